"""The grpcio client: grpc_client.py ADDRESS ID SCENARIO..., of any server of tapwire.test.Peer.

The scenarios are those of go/grpc_client.go, but for reflection. All on one connection, in order.
"""

import queue
import sys
import threading

import grpc

from grpc_service import SERVICE, decode, encode
from said import payload, run, tell

address, name, *scenarios = sys.argv[1:]
channel = grpc.insecure_channel(address, options=[
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 16 << 20),
])


class Call:
    """One call, from its id to its line."""

    count = 0
    next_stream = 1

    def __init__(self, kind, method, *headers):
        Call.count += 1
        self.id, self.kind, self.method = f"{name}-{Call.count}", kind, method
        self.headers = [*headers, ("x-call-id", self.id)]
        self.sent, self.got = [], []

    def open(self, shape):
        """The callable of one of the channel's four shapes; it notes the sizes of messages."""

        def serialize(content):
            message = encode(content)
            self.sent.append(len(message))
            return message

        def deserialize(message):
            self.got.append(len(message))
            return decode(message)

        return shape(f"/{SERVICE}/{self.method}", serialize, deserialize)

    def unary(self, content, **options):
        answer, call = None, None
        try:
            answer, call = self.open(channel.unary_unary).with_call(content, metadata=self.headers, **options)
        except grpc.RpcError as error:
            call = error
        assert answer in (None, content), "the echo is another one"
        self.end(call)

    def end(self, call, reset=None):
        compressed = self.kind == "gzip"
        code = call.code()
        record = {
            "protocol": "grpc", "method": "POST", "path": f"/{SERVICE}/{self.method}", "http_version": "2",
            "grpc_service": SERVICE, "grpc_method": self.method, "grpc_status": None,
            "request": {
                **sizes(self.sent, compressed),
                "headers": [
                    *([key, on_the_wire(key, value)] for key, value in self.headers),
                    ["content-type", "application/grpc"], ["te", "trailers"],
                ],
            },
            "response": {**sizes(self.got, compressed), "headers": pairs(call.initial_metadata(), "x-server")},
        }
        if self.kind != "many":
            record["stream_id"] = Call.next_stream
            Call.next_stream += 2
        if not reset:
            record["status_code"], record["grpc_status"] = 200, code.value[0]
            if call.details():
                record["grpc_message"] = call.details()
            if code == grpc.StatusCode.OK:
                record["response"]["trailers"] = pairs(call.trailing_metadata(), "x-end")
        elif self.kind == "deadline":
            # Both sides have a clock: the server's status may come just before the reset, or cross it.
            reset = {"any": [reset, None]}
            record["status_code"], record["grpc_status"] = {"any": [None, 200]}, {"any": [None, code.value[0]]}
            record["response"] = {"any": [None, {"messages": []}]}
        else:
            # It never ended, so that its size is nobody's knowledge.
            record["status_code"], record["response"]["body_size"] = 200, None
        tell(self.id, self.kind, code.name, record, reset)


def sizes(messages, compressed):
    """This client is not told how long a compressed message is."""
    if compressed:
        return {"messages": [{} for _ in messages]}
    return {"body_size": sum(5 + size for size in messages), "messages": [{"size": size} for size in messages]}


def pairs(metadata, *names):
    return [[key, value] for key, value in metadata or () if key in names]


def on_the_wire(key, value):
    """Binary values go as base64 without padding; or, where both peers are of this library, as they are, which the
    client is not told: None stands for any value."""
    return None if key.endswith("-bin") else value


def compressed():
    call = Call("gzip", "Echo", ("x-compress", "yes"))
    call.unary(payload(20_000), compression=grpc.Compression.Gzip)


def metadata():
    call = Call("metadata", "Echo", ("x-text", "some text, with a comma"), ("x-list", "a"), ("x-list", "b"),
                ("x-raw-bin", bytes(range(256))))
    call.unary(payload(10))


def client_stream():
    call = Call("client_stream", "Collect")
    contents = iter([payload(size) for size in (1, 0, 1000, 20_000)])
    _, done = call.open(channel.stream_unary).with_call(contents, metadata=call.headers)
    call.end(done)


def server_stream():
    call = Call("server_stream", "Spread")
    stream = call.open(channel.unary_stream)(b"7 3000", metadata=call.headers)
    for _ in stream:
        pass
    call.end(stream)


def bidi():
    call, contents = Call("bidi", "Chat"), queue.Queue()
    stream = call.open(channel.stream_stream)(iter(contents.get, None), metadata=call.headers)
    for size in (5, 500, 50):
        contents.put(payload(size))
        next(stream)
    contents.put(None)
    assert list(stream) == []
    call.end(stream)


def deadline():
    call = Call("deadline", "Wait")
    stream = call.open(channel.unary_stream)(b"0 0", metadata=call.headers, timeout=0.3)
    try:
        next(stream)
    except grpc.RpcError:
        call.end(stream, reset="CANCEL")


def cancel():
    call = Call("cancel", "Wait")
    stream = call.open(channel.unary_stream)(b"3 40", metadata=call.headers)
    for _ in range(3):
        next(stream)
    stream.cancel()
    call.end(stream, reset="CANCEL")


def many():
    """A hundred calls at once."""
    calls = [Call("many", "Echo") for _ in range(100)]
    threads = [threading.Thread(target=call.unary, args=[payload(at * 31)]) for at, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Call.next_stream += 200


def failure(kind, code, message):
    Call(kind, "Fail", ("x-code", str(code))).unary(message.encode())


run(scenarios, {
    "unary": lambda: Call("unary", "Echo").unary(payload(100)),
    "empty": lambda: Call("empty", "Echo").unary(b""),
    "large": lambda: Call("large", "Echo").unary(payload(1 << 20)),
    "gzip": compressed,
    "metadata": metadata,
    "error": lambda: failure("error", 5, "no such thing"),
    "error_text": lambda: failure("error_text", 15, "50 % of “naïve”\n"),
    "unimplemented": lambda: Call("unimplemented", "Nothing").unary(payload(10)),
    "client_stream": client_stream,
    "server_stream": server_stream,
    "bidi": bidi,
    "deadline": deadline,
    "cancel": cancel,
    "many": many,
})
