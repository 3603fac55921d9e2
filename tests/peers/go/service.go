package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The service that every gRPC peer serves and calls. Each method takes and gives google.protobuf.BytesValue, so that
// no code has to be generated, and peers without protobuf write the message by hand: 0x0a, length, bytes.
//
//	Echo     gives back what it got
//	Fail     fails with the code in the header x-code, the request as message, and a detail
//	Collect  takes a stream, gives the sum of the lengths in decimal
//	Spread   takes "COUNT SIZE", gives a stream of COUNT messages
//	Chat     gives each message back as it comes
//	Wait     takes "COUNT SIZE", gives them and then waits for the call's end, by deadline or by cancel
//
// Where the call's answer has any header it has x-server, and x-end in its trailers.
const (
	serviceName = "tapwire.test.Peer"
	protoFile   = "tapwire/test/peer.proto"
)

// methods, and whether each side streams.
var methods = []struct {
	name           string
	client, server bool
}{
	{"Echo", false, false},
	{"Fail", false, false},
	{"Collect", true, false},
	{"Spread", false, true},
	{"Chat", true, true},
	{"Wait", false, true},
}

// describe makes the service known to server reflection.
func describe() {
	service := &descriptorpb.ServiceDescriptorProto{Name: proto.String("Peer")}
	message := proto.String(".google.protobuf.BytesValue")
	for _, method := range methods {
		service.Method = append(service.Method, &descriptorpb.MethodDescriptorProto{
			Name: proto.String(method.name), InputType: message, OutputType: message,
			ClientStreaming: proto.Bool(method.client), ServerStreaming: proto.Bool(method.server),
		})
	}
	file := must(protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String(protoFile), Package: proto.String("tapwire.test"), Syntax: proto.String("proto3"),
		Dependency: []string{wrapperspb.File_google_protobuf_wrappers_proto.Path()},
		Service:    []*descriptorpb.ServiceDescriptorProto{service},
	}, protoregistry.GlobalFiles))
	if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
		fail(err)
	}
}

// payload is a content of this length that says where it stands, and compresses.
func payload(size int) []byte {
	content := make([]byte, 0, size+16)
	for at := 0; at < size; at += 16 {
		content = fmt.Appendf(content, "%015d\n", at)
	}
	return content[:size]
}
