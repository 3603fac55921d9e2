"""The client of the live tests: makes calls and prints, one JSON line each, what it did and what it got.

    client.py short HOST PORT COUNT THREADS ID    many short calls, on kept and on fresh connections
    client.py pipeline HOST PORT COUNT ID         all requests in one write, then all answers
    client.py many HOST PORT COUNT ID             COUNT connections open at once, one call on each
    client.py upload HOST PORT SIZE ID            a request body in chunks
    client.py abort HOST PORT PATH BYTES          goes away after so many bytes of the answer
    client.py hold HOST PORT COUNT ID             one call, waits for a line on stdin, COUNT more on the same connection
"""

import http.client
import json
import socket
import struct
import sys
import threading

lock = threading.Lock()


def tell(**what):
    with lock:
        print(json.dumps(what), flush=True)


def call(connection, method, path, body=None):
    connection.request(method, path, body=body, headers={"x-test": "live"})
    answer = connection.getresponse()
    got = answer.read()
    host, port = connection.sock.getsockname()[:2] if connection.sock else (None, None)
    return answer.status, len(got), host, port


def short(host, port, count, threads, name):
    """Kinds of calls in turn; every 20th on a connection of its own, every 50th closes the kept one."""

    def worker(first):
        kept = http.client.HTTPConnection(host, port, timeout=30)
        for number in range(first, count, threads):
            method = ["GET", "GET", "POST", "GET", "PUT", "DELETE", "HEAD"][number % 7]
            place = ["ok", "ok", "missing", "made", "ok", "broken"][number % 6]
            path = f"/{place}/{name}-{number}"
            body = b"b" * (number * 37 % 3000) if method in ("POST", "PUT") else None
            fresh = number % 20 == 0
            connection = http.client.HTTPConnection(host, port, timeout=30) if fresh else kept
            connection.connect() if connection.sock is None else None
            address, client_port = connection.sock.getsockname()[:2]
            status, size, _, _ = call(connection, method, path, body)
            tell(method=method, path=path, status=status, request_size=len(body or b""), response_size=size,
                 ip=address, port=client_port)
            if fresh or number % 50 == 0:
                connection.close()

    running = [threading.Thread(target=worker, args=(first,)) for first in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def answers(sock, count, heads=()):
    """Reads answers off a socket that many requests were written to."""
    stream = sock.makefile("rb")
    for _ in range(count):
        status = int(stream.readline().split()[1])
        length = 0
        while (line := stream.readline().strip()):
            name, value = line.split(b":", 1)
            if name.lower() == b"content-length":
                length = int(value)
        yield status, len(stream.read(length))


def request(host, path):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def pipeline(host, port, count, name):
    with socket.create_connection((host, port), timeout=30) as sock:
        paths = [f"/ok/{name}-{number}" for number in range(count)]
        sock.sendall(b"".join(request(host, path) for path in paths))
        for path, (status, size) in zip(paths, answers(sock, count)):
            tell(path=path, status=status, response_size=size, port=sock.getsockname()[1])


def many(host, port, count, name):
    socks = [socket.create_connection((host, port), timeout=30) for _ in range(count)]
    for number, sock in enumerate(socks):
        sock.sendall(request(host, f"/ok/{name}-{number}"))
    for number, sock in enumerate(socks):
        for status, size in answers(sock, 1):
            tell(path=f"/ok/{name}-{number}", status=status, response_size=size, port=sock.getsockname()[1])
    for sock in socks:
        sock.close()


def upload(host, port, size, name):
    def chunks():
        left, step = size, 1
        while left:
            now = min(left, step)
            yield b"u" * now
            left, step = left - now, step * 3 % 50021
    connection = http.client.HTTPConnection(host, port, timeout=60)
    path = f"/length/{name}"
    connection.request("POST", path, body=chunks(), encode_chunked=True, headers={"transfer-encoding": "chunked"})
    answer = connection.getresponse()
    got = answer.read()
    tell(path=path, status=answer.status, received=int(got), request_size=size)
    connection.close()


def abort(host, port, path, enough):
    with socket.create_connection((host, port), timeout=30) as sock:
        sock.sendall(request(host, path))
        got = 0
        while got < enough:
            got += len(sock.recv(min(4096, enough - got)))
        # Away at once: what is unread is answered by a reset.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        tell(path=path, received=got)


def hold(host, port, count, name):
    connection = http.client.HTTPConnection(host, port, timeout=60)
    for number in range(count + 1):
        path = f"/ok/{name}-{number}"
        status, size, _, client_port = call(connection, "GET", path)
        tell(path=path, status=status, response_size=size, port=client_port)
        if number == 0:
            sys.stdin.readline()


COMMANDS = {
    "short": (short, [str, int, int, int, str]),
    "pipeline": (pipeline, [str, int, int, str]),
    "many": (many, [str, int, int, str]),
    "upload": (upload, [str, int, int, str]),
    "abort": (abort, [str, int, str, int]),
    "hold": (hold, [str, int, int, str]),
}

if __name__ == "__main__":
    command, kinds = COMMANDS[sys.argv[1]]
    command(*[kind(arg) for kind, arg in zip(kinds, sys.argv[2:], strict=True)])
