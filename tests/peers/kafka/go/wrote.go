package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Wrote is the header of a request that was given to a socket. The library has up to four connections to a broker, each
// with correlation ids of its own.
type Wrote struct {
	ClientID      string `json:"client_id"`
	Port          int    `json:"port"`
	APIKey        int16  `json:"api_key"`
	APIKeyName    string `json:"api_key_name"`
	APIVersion    int16  `json:"api_version"`
	CorrelationID int32  `json:"correlation_id"`
}

// Call is what the hook says. Sizes have the four bytes of the length before each message; read is 0 without an answer.
type Call struct {
	ClientID string `json:"client_id"`
	APIKey   int16  `json:"api_key"`
	Written  int    `json:"written"`
	Read     int    `json:"read"`
	Error    string `json:"error,omitempty"`
}

// log prints what one client does.
type log struct{ client string }

func (log *log) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	call := Call{ClientID: log.client, APIKey: key, Written: e2e.BytesWritten, Read: e2e.BytesRead}
	if err := e2e.Err(); err != nil {
		call.Error = err.Error()
	}
	tell(map[string]Call{"call": call})
}

func (log *log) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &logged{conn, log}, nil
}

// logged relies on franz-go writing each request with one call.
type logged struct {
	net.Conn
	log *log
}

func (conn *logged) Write(request []byte) (int, error) {
	written, err := conn.Conn.Write(request)
	if err == nil && len(request) >= 12 {
		key := int16(binary.BigEndian.Uint16(request[4:]))
		wrote := Wrote{
			ClientID: conn.log.client, Port: conn.LocalAddr().(*net.TCPAddr).Port,
			APIKey: key, APIKeyName: kmsg.NameForKey(key),
			APIVersion:    int16(binary.BigEndian.Uint16(request[6:])),
			CorrelationID: int32(binary.BigEndian.Uint32(request[8:])),
		}
		tell(map[string]Wrote{"wrote": wrote})
	}
	return written, err
}

var telling sync.Mutex

func tell(line any) {
	text := must(json.Marshal(line))
	telling.Lock()
	defer telling.Unlock()
	fmt.Println(string(text))
}
