package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // answers in gzip what came in gzip
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func serveGRPC(address string) {
	describe()
	server := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	server.RegisterService(&serviceDesc, nil)
	reflection.Register(server)
	fail(server.Serve(must(net.Listen("tcp", address))))
}

var serviceDesc = grpc.ServiceDesc{
	ServiceName: serviceName,
	Metadata:    protoFile,
	Methods:     []grpc.MethodDesc{unary("Echo", echo), unary("Fail", failing)},
	Streams: []grpc.StreamDesc{
		{StreamName: "Collect", Handler: collect, ClientStreams: true},
		{StreamName: "Spread", Handler: spread, ServerStreams: true},
		{StreamName: "Chat", Handler: chat, ClientStreams: true, ServerStreams: true},
		{StreamName: "Wait", Handler: wait, ServerStreams: true},
	},
}

func unary(name string, serve func(context.Context, []byte) ([]byte, error)) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			request := new(wrapperspb.BytesValue)
			if err := decode(request); err != nil {
				return nil, err
			}
			answer, err := serve(ctx, request.Value)
			if err != nil {
				return nil, err
			}
			return wrapperspb.Bytes(answer), nil
		},
	}
}

var serverHeader, serverTrailer = metadata.Pairs("x-server", "go"), metadata.Pairs("x-end", "yes")

func echo(ctx context.Context, request []byte) ([]byte, error) {
	return request, errors.Join(grpc.SetHeader(ctx, serverHeader), grpc.SetTrailer(ctx, serverTrailer))
}

func failing(ctx context.Context, request []byte) ([]byte, error) {
	// Sent in one block with the status: the answer has trailers only.
	if err := grpc.SetTrailer(ctx, serverTrailer); err != nil {
		return nil, err
	}
	sent, _ := metadata.FromIncomingContext(ctx)
	code := uint32(codes.Unknown)
	if values := sent.Get("x-code"); len(values) > 0 {
		code = uint32(must(strconv.ParseUint(values[0], 10, 32)))
	}
	detailed := must(status.New(codes.Code(code), string(request)).WithDetails(wrapperspb.String("a detail")))
	return nil, detailed.Err()
}

func collect(_ any, stream grpc.ServerStream) error {
	greet(stream)
	sum := 0
	for {
		request := new(wrapperspb.BytesValue)
		if err := stream.RecvMsg(request); err == io.EOF {
			return stream.SendMsg(wrapperspb.Bytes([]byte(strconv.Itoa(sum))))
		} else if err != nil {
			return err
		}
		sum += len(request.Value)
	}
}

func chat(_ any, stream grpc.ServerStream) error {
	greet(stream)
	for {
		request := new(wrapperspb.BytesValue)
		if err := stream.RecvMsg(request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(request); err != nil {
			return err
		}
	}
}

func spread(_ any, stream grpc.ServerStream) error {
	greet(stream)
	request := new(wrapperspb.BytesValue)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	var count, size int
	if _, err := fmt.Sscanf(string(request.Value), "%d %d", &count, &size); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	for range count {
		if err := stream.SendMsg(wrapperspb.Bytes(payload(size))); err != nil {
			return err
		}
	}
	return nil
}

func wait(_ any, stream grpc.ServerStream) error {
	if err := spread(nil, stream); err != nil {
		return err
	}
	<-stream.Context().Done()
	// The client's own clock ends the call first, so that what it says is what was on the wire.
	time.Sleep(200 * time.Millisecond)
	return status.FromContextError(stream.Context().Err()).Err()
}

func greet(stream grpc.ServerStream) {
	// They go with the first message, or with the status.
	if err := stream.SetHeader(serverHeader); err != nil {
		fail(err)
	}
	stream.SetTrailer(serverTrailer)
}
