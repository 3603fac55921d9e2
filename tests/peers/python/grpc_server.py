"""The grpcio server: grpc_server.py PORT, on loopback."""

import sys
import threading
import time
from concurrent import futures

import grpc

from grpc_service import SERVICE, decode, encode
from said import payload


def greet(context):
    context.send_initial_metadata([("x-server", "python")])
    context.set_trailing_metadata([("x-end", "yes")])


def echo(request, context):
    if dict(context.invocation_metadata()).get("x-compress"):
        context.set_compression(grpc.Compression.Gzip)
    greet(context)
    return request


def fail(request, context):
    code = int(dict(context.invocation_metadata())["x-code"])
    context.set_trailing_metadata([("grpc-status-details-bin", b"\x08" + bytes([code]))])
    code = next(known for known in grpc.StatusCode if known.value[0] == code)
    context.abort(code, request.decode())


def collect(requests, context):
    greet(context)
    return str(sum(len(request) for request in requests)).encode()


def chat(requests, context):
    greet(context)
    yield from requests


def spread(request, context):
    greet(context)
    count, size = map(int, request.split())
    for _ in range(count):
        yield payload(size)


def wait(request, context):
    if not request.startswith(b"0 "):
        yield from spread(request, context)
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(60)
    # The client's own clock ends the call first.
    time.sleep(0.2)


def method(kind, serve):
    return kind(serve, request_deserializer=decode, response_serializer=encode)


HANDLERS = {
    "Echo": method(grpc.unary_unary_rpc_method_handler, echo),
    "Fail": method(grpc.unary_unary_rpc_method_handler, fail),
    "Collect": method(grpc.stream_unary_rpc_method_handler, collect),
    "Spread": method(grpc.unary_stream_rpc_method_handler, spread),
    "Chat": method(grpc.stream_stream_rpc_method_handler, chat),
    "Wait": method(grpc.unary_stream_rpc_method_handler, wait),
}

server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 16 << 20)])
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, HANDLERS)])
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
