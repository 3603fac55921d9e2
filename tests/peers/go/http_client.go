package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
)

type httpClient struct {
	client  *http.Client
	base    string
	id      string
	count   int
	streams Streams
}

func callHTTP(address, id string, names []string) {
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	client := &httpClient{client: &http.Client{Transport: transport}, base: "http://" + address, id: id}
	run(names, map[string]func(){
		"get":      func() { client.get("get", 1) },
		"large":    func() { client.get("large", 1<<20) },
		"post":     func() { client.post("post", 1000) },
		"upload":   func() { client.post("upload", 1<<20) },
		"status":   client.status,
		"trailers": client.trailers,
		"gzip":     client.gzip,
		"hints":    client.hints,
		"cancel":   client.cancel,
		"abort":    client.abort,
		"many":     client.many,
	})
}

// call does one, and fills in the record but for what the scenario knows better. `prefix` is the path without the id.
func (client *httpClient) begin(kind, method, prefix string, body io.Reader) (*Said, *http.Request) {
	client.count++
	id := fmt.Sprintf("%s-%d", client.id, client.count)
	path := prefix + id
	said := &Said{ID: id, Kind: kind, Record: Object{"protocol": "http", "method": method, "path": path,
		"url": client.base + path, "http_version": "2"}}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		said.Record["src"] = Object{"port": portOf(info.Conn.LocalAddr())}
	}}
	ctx := httptrace.WithClientTrace(context.Background(), trace)
	request := must(http.NewRequestWithContext(ctx, method, client.base+path, body))
	request.Header.Set("x-call-id", id)
	said.Record["request"] = Object{"headers": [][2]string{{"x-call-id", id}}, "body_size": request.ContentLength}
	if kind != "many" {
		said.Record["stream_id"] = client.streams.take()
	}
	return said, request
}

// end does the call and prints it; the answer with its body read.
func (client *httpClient) end(said *Said, request *http.Request) (*http.Response, []byte) {
	response := must(client.client.Do(request))
	content, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	said.Outcome = fmt.Sprint(response.StatusCode)
	if err != nil {
		said.Outcome = err.Error()
	}
	if (err != nil) != (said.Reset != nil) {
		fail(said.ID + " ended otherwise: " + said.Outcome)
	}
	said.Record["status_code"] = response.StatusCode
	answer := Object{"body_size": len(content)}
	if said.Reset != nil {
		answer["body_size"] = nil
	}
	if said.Kind == "gzip" {
		answer["headers"] = [][2]string{{"content-encoding", "gzip"}}
	}
	if len(response.Trailer) > 0 {
		answer["trailers"] = [][2]string{{"x-end", response.Trailer.Get("x-end")}}
	}
	said.Record["response"] = answer
	tell(said)
	return response, content
}

func (client *httpClient) get(kind string, size int) {
	_, content := client.end(client.begin(kind, "GET", fmt.Sprintf("/size/%d/", size), nil))
	if len(content) != size {
		fail(fmt.Sprintf("%d bytes of %d", len(content), size))
	}
}

func (client *httpClient) post(kind string, size int) {
	client.end(client.begin(kind, "POST", "/length/", bytes.NewReader(payload(size))))
}

func (client *httpClient) status() {
	for _, code := range []int{204, 304, 404, 503} {
		client.end(client.begin("status", "GET", fmt.Sprintf("/status/%d/", code), nil))
	}
	client.end(client.begin("status", "HEAD", "/size/1000/", nil))
}

func (client *httpClient) trailers() { client.end(client.begin("trailers", "GET", "/trailers/", nil)) }

func (client *httpClient) gzip() {
	said, request := client.begin("gzip", "GET", "/gzip/20000/", nil)
	request.Header.Set("accept-encoding", "gzip")
	client.end(said, request)
}

func (client *httpClient) hints() { client.end(client.begin("hints", "GET", "/hints/", nil)) }

func (client *httpClient) cancel() {
	said, request := client.begin("cancel", "GET", "/wait/", nil)
	ctx, cancel := context.WithCancel(request.Context())
	response := must(client.client.Do(request.WithContext(ctx)))
	must(io.ReadFull(response.Body, make([]byte, 1000)))
	cancel()
	_ = response.Body.Close()
	said.Outcome, said.Reset = "cancelled", "CANCEL"
	said.Record["status_code"] = response.StatusCode
	said.Record["response"] = Object{"body_size": nil}
	tell(said)
}

func (client *httpClient) abort() {
	said, request := client.begin("abort", "GET", "/abort/", nil)
	said.Reset = "INTERNAL_ERROR"
	client.end(said, request)
}

// many are a hundred calls at once.
func (client *httpClient) many() {
	var group sync.WaitGroup
	for number := range 100 {
		said, request := client.begin("many", "GET", fmt.Sprintf("/size/%d/", number*17), nil)
		group.Go(func() { client.end(said, request) })
	}
	group.Wait()
	client.streams.next += 200
}
