package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
)

// Object is a JSON object.
type Object = map[string]any

// Said is one call as its client knows it. All clients of these tests print this shape.
type Said struct {
	// ID came with the call: in the header x-call-id, and as the path's last part where the path is free.
	ID   string `json:"id"`
	Kind string `json:"kind"`
	// Outcome is for people who read a failure.
	Outcome string `json:"outcome"`
	// Reset is the error code that ended the stream, by RFC 9113's name; absent for a stream that ended by itself.
	Reset any `json:"reset,omitempty"`
	// Record is the part of Tapwire's record that follows from what was done, by the record's own names. Lists of
	// headers are what must be among those of the record, with any value where theirs is null; of other lists each
	// element is like that of the record. {"any": [...]} is one of several values.
	Record Object `json:"record"`
}

// anyOf is a value that the client cannot know, out of few.
func anyOf(values ...any) Object { return Object{"any": values} }

var telling sync.Mutex

func tell(said *Said) {
	line := must(json.Marshal(said))
	telling.Lock()
	defer telling.Unlock()
	fmt.Fprintln(os.Stdout, string(line))
}

func portOf(address net.Addr) int {
	if tcp, ok := address.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

// Streams numbers the calls of a connection whose client makes them one by one: RFC 9113, section 5.1.1. Go's clients
// use all odd numbers, from 1.
type Streams struct{ next int }

func (streams *Streams) take() int {
	if streams.next == 0 {
		streams.next = 1
	}
	id := streams.next
	streams.next += 2
	return id
}
