// The Go peers of the live tests: servers of gRPC and of HTTP/2 in plain text, and clients that say, one JSON line a
// call, what they did and what they got (said.go).
//
//	peer grpc-server PORT                serves tapwire.test.Peer (service.go) on loopback
//	peer http-server PORT                serves the paths of http_server.go
//	peer grpc ADDRESS ID SCENARIO...     calls any server of that service
//	peer http ADDRESS ID SCENARIO...     calls any server with those paths
//
// A client makes its calls on one connection in the order given. ID begins the ids of its calls, which are unique.
// The scenario `hold` waits for a line on stdin: what follows it happens on a connection that is already in use.
package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	args := os.Args[1:]
	switch {
	case len(args) == 2 && args[0] == "grpc-server":
		serveGRPC("127.0.0.1:" + args[1])
	case len(args) == 2 && args[0] == "http-server":
		serveHTTP("127.0.0.1:" + args[1])
	case len(args) > 3 && args[0] == "grpc":
		callGRPC(args[1], args[2], args[3:])
	case len(args) > 3 && args[0] == "http":
		callHTTP(args[1], args[2], args[3:])
	default:
		fail("usage: peer grpc-server|http-server PORT | peer grpc|http ADDRESS ID SCENARIO...")
	}
}

// run does the scenarios in order.
func run(names []string, scenarios map[string]func()) {
	stdin := bufio.NewReader(os.Stdin)
	for _, name := range names {
		if name == "hold" {
			// The end of stdin lets go, too.
			_, _ = stdin.ReadString('\n')
			continue
		}
		scenario, known := scenarios[name]
		if !known {
			fail("no scenario " + name)
		}
		scenario()
	}
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, "peer:", why)
	os.Exit(1)
}

func must[T any](value T, err error) T {
	if err != nil {
		fail(err)
	}
	return value
}
