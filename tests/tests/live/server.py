"""The server of the live tests: server.py ADDRESS PORT. What nginx does not do by itself:

    GET  /chunked/SIZE/ID    an answer of SIZE bytes in chunks, with an extension and a trailer
    GET  /ok/ID              a short answer
    POST /length/ID          answers with the length of the body, which may come in chunks
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def body(size):
    """Bytes that say where they stand."""
    line = b"%015d\n"
    whole = b"".join(line % at for at in range(0, size + 16, 16))
    return whole[:size]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def plain(self, content):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        parts = self.path.split("/")
        if parts[1] != "chunked":
            return self.plain(f"hello {self.path}\n".encode())
        content, step, at = body(int(parts[2])), 7, 0
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Trailer", "x-end")
        self.end_headers()
        while at < len(content):
            part = content[at:at + step]
            self.wfile.write(b"%x;ext=1\r\n%s\r\n" % (len(part), part))
            at, step = at + step, step * 5 % 65521
        self.wfile.write(b"0\r\nx-end: yes\r\n\r\n")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            length = 0
            while (size := int(self.rfile.readline().split(b";")[0], 16)):
                length += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            length = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.plain(str(length).encode())


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
