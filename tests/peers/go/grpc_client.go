package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type grpcClient struct {
	connection *grpc.ClientConn
	id         string
	count      int
	streams    Streams
}

func callGRPC(address, id string, names []string) {
	connection := must(grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(watcher{}), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20))))
	defer connection.Close()
	client := &grpcClient{connection: connection, id: id}
	run(names, map[string]func(){
		"unary":         func() { client.echo("unary", 100) },
		"empty":         func() { client.echo("empty", 0) },
		"large":         func() { client.echo("large", 1<<20) },
		"gzip":          func() { client.echo("gzip", 20_000, grpc.UseCompressor(gzip.Name)) },
		"metadata":      client.metadata,
		"error":         func() { client.fail("error", codes.NotFound, "no such thing") },
		"error_text":    func() { client.fail("error_text", codes.DataLoss, "50 % of “naïve”\n") },
		"unimplemented": client.unimplemented,
		"client_stream": client.clientStream,
		"server_stream": client.serverStream,
		"bidi":          client.bidi,
		"deadline":      client.deadline,
		"cancel":        client.cancel,
		"many":          client.many,
		"reflection":    client.reflection,
	})
}

// === What went over the wire, by gRPC's own statistics ===

type watched struct {
	sync.Mutex
	port               int
	requests, answers  []Object
	requestSize, total int
	header             metadata.MD
}

type watchedKey struct{}

// watcher notes what belongs to the call that its context names.
type watcher struct{}

func (watcher) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (watcher) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (watcher) HandleConn(context.Context, stats.ConnStats)                       {}
func (watcher) HandleRPC(ctx context.Context, event stats.RPCStats) {
	call, ok := ctx.Value(watchedKey{}).(*watched)
	if !ok {
		return
	}
	call.Lock()
	defer call.Unlock()
	switch event := event.(type) {
	case *stats.OutHeader:
		call.port = portOf(event.LocalAddr)
	case *stats.InHeader:
		call.header = event.Header
	case *stats.OutPayload:
		call.requests = append(call.requests, Object{"size": event.CompressedLength})
		call.requestSize += 5 + event.CompressedLength
	case *stats.InPayload:
		call.answers = append(call.answers, Object{"size": event.CompressedLength})
		call.total += 5 + event.CompressedLength
	}
}

// === One call ===

type grpcCall struct {
	client  *grpcClient
	said    *Said
	watched *watched
	// headers of the request that the record must have.
	headers [][2]string
}

// begin names the call; its context carries the id and these headers.
func (client *grpcClient) begin(kind, path string, headers ...[2]string) (*grpcCall, context.Context) {
	client.count++
	call := &grpcCall{client: client, watched: &watched{}, headers: headers}
	call.said = &Said{ID: fmt.Sprintf("%s-%d", client.id, client.count), Kind: kind}
	call.headers = append(call.headers, [2]string{"x-call-id", call.said.ID})
	service, method, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	call.said.Record = Object{"protocol": "grpc", "method": "POST", "path": path, "http_version": "2",
		"grpc_service": service, "grpc_method": method}
	ctx := context.WithValue(context.Background(), watchedKey{}, call.watched)
	sent := metadata.MD{}
	for _, header := range call.headers {
		sent.Append(header[0], header[1])
	}
	return call, metadata.NewOutgoingContext(ctx, sent)
}

// end prints the call. `trailer` is nil for a call that ended before the server's status.
func (call *grpcCall) end(err error, trailer metadata.MD) {
	call.watched.Lock()
	defer call.watched.Unlock()
	record := call.said.Record
	state := status.Convert(err)
	call.said.Outcome = state.Code().String()
	record["src"] = Object{"port": call.watched.port}
	if call.said.Kind != "many" {
		record["stream_id"] = call.client.streams.take()
	}
	request := Object{"body_size": call.watched.requestSize, "messages": list(call.watched.requests)}
	headers := onTheWire(call.headers)
	request["headers"] = append(headers, [2]string{"content-type", "application/grpc"}, [2]string{"te", "trailers"})
	record["request"] = request
	answer := Object{"messages": list(call.watched.answers)}
	if call.said.Reset == nil {
		record["status_code"] = 200
		record["grpc_status"] = int(state.Code())
		if state.Message() != "" {
			record["grpc_message"] = state.Message()
		}
		answer["body_size"] = call.watched.total
		// A failure may come in one block with the headers, which gRPC calls trailers and HTTP headers.
		if err == nil {
			answer["trailers"] = pairs(trailer, "x-end")
		}
	} else {
		// It never ended, so that its size is nobody's knowledge.
		record["grpc_status"] = nil
		answer["body_size"] = nil
	}
	answer["headers"] = pairs(call.watched.header, "x-server")
	record["response"] = answer
	if call.said.Kind == "deadline" {
		// Both sides have a clock: the server's status may come just before the reset, or cross it.
		call.said.Reset = anyOf("CANCEL", nil)
		record["status_code"] = anyOf(nil, 200)
		record["grpc_status"] = anyOf(nil, int(codes.DeadlineExceeded))
		record["response"] = anyOf(nil, Object{"messages": []Object{}})
	}
	tell(call.said)
}

func list(messages []Object) []Object {
	if messages == nil {
		return []Object{}
	}
	return messages
}

func pairs(md metadata.MD, names ...string) [][2]string {
	found := [][2]string{}
	for _, name := range names {
		for _, value := range md.Get(name) {
			found = append(found, [2]string{name, value})
		}
	}
	return found
}

// onTheWire gives binary values as base64, as gRPC sends them; this implementation does so without padding.
func onTheWire(headers [][2]string) [][2]string {
	var wire [][2]string
	for _, header := range headers {
		if strings.HasSuffix(header[0], "-bin") {
			header[1] = base64.RawStdEncoding.EncodeToString([]byte(header[1]))
		}
		wire = append(wire, header)
	}
	return wire
}

func path(method string) string { return "/" + serviceName + "/" + method }

// === Scenarios ===

func (client *grpcClient) unary(call *grpcCall, ctx context.Context, content []byte, options ...grpc.CallOption) {
	var trailer metadata.MD
	answer := new(wrapperspb.BytesValue)
	options = append(options, grpc.Trailer(&trailer))
	err := client.connection.Invoke(ctx, call.said.Record["path"].(string), wrapperspb.Bytes(content), answer, options...)
	if err == nil && string(answer.Value) != string(content) {
		fail("the echo is another one")
	}
	call.end(err, trailer)
}

func (client *grpcClient) echo(kind string, size int, options ...grpc.CallOption) {
	call, ctx := client.begin(kind, path("Echo"))
	if kind == "gzip" {
		call.headers = append(call.headers, [2]string{"grpc-encoding", "gzip"})
	}
	client.unary(call, ctx, payload(size), options...)
}

func (client *grpcClient) metadata() {
	every := make([]byte, 256)
	for at := range every {
		every[at] = byte(at)
	}
	call, ctx := client.begin("metadata", path("Echo"), [2]string{"x-text", "some text, with a comma"},
		[2]string{"x-list", "a"}, [2]string{"x-list", "b"}, [2]string{"x-raw-bin", string(every)})
	client.unary(call, ctx, payload(10))
}

func (client *grpcClient) fail(kind string, code codes.Code, message string) {
	call, ctx := client.begin(kind, path("Fail"), [2]string{"x-code", fmt.Sprint(int(code))})
	client.unary(call, ctx, []byte(message))
}

func (client *grpcClient) unimplemented() {
	call, ctx := client.begin("unimplemented", path("Nothing"))
	client.unary(call, ctx, payload(10))
}

func (client *grpcClient) open(ctx context.Context, call *grpcCall) grpc.ClientStream {
	shape := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	return must(client.connection.NewStream(ctx, shape, call.said.Record["path"].(string)))
}

func send(stream grpc.ClientStream, content []byte) {
	if err := stream.SendMsg(wrapperspb.Bytes(content)); err != nil {
		fail(err)
	}
}

// drain reads until the call ends; how it ended.
func drain(stream grpc.ClientStream) error {
	for {
		if err := stream.RecvMsg(new(wrapperspb.BytesValue)); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (client *grpcClient) clientStream() {
	call, ctx := client.begin("client_stream", path("Collect"))
	stream := client.open(ctx, call)
	for _, size := range []int{1, 0, 1000, 20_000} {
		send(stream, payload(size))
	}
	_ = stream.CloseSend()
	err := drain(stream)
	call.end(err, stream.Trailer())
}

func (client *grpcClient) serverStream() {
	call, ctx := client.begin("server_stream", path("Spread"))
	stream := client.open(ctx, call)
	send(stream, []byte("7 3000"))
	_ = stream.CloseSend()
	err := drain(stream)
	call.end(err, stream.Trailer())
}

func (client *grpcClient) bidi() {
	call, ctx := client.begin("bidi", path("Chat"))
	stream := client.open(ctx, call)
	for _, size := range []int{5, 500, 50} {
		send(stream, payload(size))
		if err := stream.RecvMsg(new(wrapperspb.BytesValue)); err != nil {
			fail(err)
		}
	}
	_ = stream.CloseSend()
	err := drain(stream)
	call.end(err, stream.Trailer())
}

func (client *grpcClient) deadline() {
	call, ctx := client.begin("deadline", path("Wait"))
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	stream := client.open(ctx, call)
	send(stream, []byte("0 0"))
	_ = stream.CloseSend()
	err := drain(stream)
	call.said.Reset = "CANCEL"
	call.end(err, nil)
}

func (client *grpcClient) cancel() {
	call, ctx := client.begin("cancel", path("Wait"))
	ctx, cancel := context.WithCancel(ctx)
	stream := client.open(ctx, call)
	send(stream, []byte("3 40"))
	_ = stream.CloseSend()
	for range 3 {
		if err := stream.RecvMsg(new(wrapperspb.BytesValue)); err != nil {
			fail(err)
		}
	}
	cancel()
	err := drain(stream)
	call.said.Reset = "CANCEL"
	call.said.Record["status_code"] = 200
	call.end(err, nil)
}

// many are a hundred calls at once.
func (client *grpcClient) many() {
	var group sync.WaitGroup
	for number := range 100 {
		call, ctx := client.begin("many", path("Echo"))
		group.Go(func() { client.unary(call, ctx, payload(number*31)) })
	}
	group.Wait()
	client.streams.next += 200
}

func (client *grpcClient) reflection() {
	call, ctx := client.begin("reflection", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
	stream := must(reflectionpb.NewServerReflectionClient(client.connection).ServerReflectionInfo(ctx))
	for _, request := range []*reflectionpb.ServerReflectionRequest{
		{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}},
		{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: serviceName}},
	} {
		if err := stream.Send(request); err != nil {
			fail(err)
		}
		answer := must(stream.Recv())
		if answer.GetErrorResponse() != nil {
			fail(answer)
		}
	}
	_ = stream.CloseSend()
	_, err := stream.Recv()
	if err == io.EOF {
		err = nil
	}
	call.end(err, nil)
}
