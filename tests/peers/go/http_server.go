package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// serveHTTP answers, like every HTTP peer of these tests as far as it can:
//
//	GET  /size/SIZE/ID      SIZE bytes
//	POST /length/ID         the length of the request's body, in decimal
//	GET  /status/CODE/ID    that status; 204 and 304 without a body
//	GET  /trailers/ID       a body and the trailer x-end
//	GET  /gzip/SIZE/ID      SIZE bytes, compressed, without content-length
//	GET  /hints/ID          103 first, then 200
//	GET  /wait/ID           1000 bytes, and then waits until the client goes away
//	GET  /abort/ID          1000 bytes, and then resets the stream
func serveHTTP(address string) {
	mux := http.NewServeMux()
	mux.HandleFunc("/size/{size}/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("content-length", r.PathValue("size"))
		_, _ = w.Write(payload(number(r, "size")))
	})
	mux.HandleFunc("/length/{id}", func(w http.ResponseWriter, r *http.Request) {
		length, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, length)
	})
	mux.HandleFunc("/status/{code}/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(number(r, "code"))
	})
	mux.HandleFunc("/trailers/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("trailer", "x-end")
		_, _ = w.Write(payload(1000))
		w.Header().Set("x-end", "yes")
	})
	mux.HandleFunc("/gzip/{size}/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("content-encoding", "gzip")
		compressed := gzip.NewWriter(w)
		_, _ = compressed.Write(payload(number(r, "size")))
		_ = compressed.Close()
	})
	mux.HandleFunc("/hints/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = w.Write(payload(10))
	})
	mux.HandleFunc("/wait/{id}", func(w http.ResponseWriter, r *http.Request) {
		begin(w)
		<-r.Context().Done()
	})
	mux.HandleFunc("/abort/{id}", func(w http.ResponseWriter, _ *http.Request) {
		begin(w)
		// What was flushed is on its way before the reset.
		time.Sleep(50 * time.Millisecond)
		panic(http.ErrAbortHandler)
	})
	// Deprecated, and still the one server that takes the upgrade from HTTP/1.1, which net/http itself does not.
	server := http.Server{Addr: address, Handler: h2c.NewHandler(mux, &http2.Server{MaxConcurrentStreams: 250})}
	fail(server.ListenAndServe())
}

func number(r *http.Request, name string) int {
	value, _ := strconv.Atoi(r.PathValue(name))
	return value
}

func begin(w http.ResponseWriter) {
	_, _ = w.Write(payload(1000))
	_ = http.NewResponseController(w).Flush()
}
