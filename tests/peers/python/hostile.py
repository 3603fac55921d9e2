"""What no client should send: hostile.py ADDRESS ID [ATTACK...], of any HTTP/2 server in plain text; all attacks without.

Each attack has a connection of its own. It begins with one good call (GET /size/1/CALL_ID), whose line is printed in
the shape that ../go/said.go describes; `outcome` is what the server made of the attack. Requests of the attacks
themselves ask for /attack/NAME. All of it is bounded: no attack sends more than LIMIT bytes, nor waits for long.

RFC 9113 section 4 and 6 (frames), section 5.1 (streams), RFC 7541 (header compression); CVE-2023-44487 (rapid reset),
CVE-2024-27316 and its like (CONTINUATION flood), CVE-2019-9512, 9515 and 9518 (floods of PING, SETTINGS, empty frames).
"""

import select
import socket
import struct
import sys
import time

from said import tell

LIMIT = 8 << 20
PATIENCE = 5.0

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CANCEL = struct.pack(">I", 8)
# The good call is on stream 1, an attack begins on this one.
FIRST = 3


def frame(kind, flags, stream, payload=b"", length=None):
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    """A header that is not remembered, without Huffman: RFC 7541 section 6.2.2. Values are short."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def block(path, *more):
    """:method GET and :scheme http of the static table, :path and :authority as literals."""
    return b"\x82\x86\x04" + bytes([len(path)]) + path + b"\x01\x09127.0.0.1" + b"".join(more)


def get(stream, path, *more, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, block(path, *more))


# === The attacks, each a function of the path to ask for, that gives what to send ===


def oversized_frame(path):
    # SETTINGS_MAX_FRAME_SIZE is 16,384 unless told otherwise.
    return get(FIRST, path, flags=END_HEADERS) + frame(DATA, 0, FIRST, b"x" * 100_000, length=(1 << 24) - 1)


def padding_beyond_data(path):
    return get(FIRST, path, flags=END_HEADERS) + frame(DATA, PADDED, FIRST, b"\xffshort")


def padding_beyond_headers(path):
    return frame(HEADERS, END_STREAM | END_HEADERS | PADDED, FIRST, b"\xff" + block(path))


def continuation_flood(path):
    part = literal(b"x-part", b"v" * 100) * 9
    return get(FIRST, path, flags=END_STREAM) + frame(CONTINUATION, 0, FIRST, part) * 4000


def continuation_empty_flood(path):
    return get(FIRST, path, flags=END_STREAM) + frame(CONTINUATION, 0, FIRST) * 100_000


def continuation_interrupted(path):
    return get(FIRST, path, flags=END_STREAM) + frame(PING, 0, 0, b"inbetwee")


def continuation_alone(path):
    return frame(CONTINUATION, END_HEADERS, FIRST, block(path))


def hpack_bomb(path):
    # One entry of 4,000 bytes, then 16,000 references of one byte each: 64 MB of headers, many times over.
    entry = b"\x40\x06x-bomb\x7f" + bytes([(3900 - 127) & 0x7F | 0x80, (3900 - 127) >> 7]) + b"b" * 3900
    sent = frame(HEADERS, END_STREAM | END_HEADERS, FIRST, block(path, entry))
    bomb = frame(HEADERS, END_STREAM | END_HEADERS, 0, block(path, b"\xbe" * 16_000))
    streams = range(FIRST + 2, FIRST + 42, 2)
    return sent + b"".join(bomb[:5] + stream.to_bytes(4, "big") + bomb[9:] for stream in streams)


def hpack_table_too_large(path):
    return get(FIRST, path, b"") + frame(HEADERS, END_STREAM | END_HEADERS, FIRST + 2,
                                         b"\x3f\xe1\xff\xff\xff\x07" + block(path))


def hpack_bad_index(path):
    return get(FIRST, path, b"\xff\xff\x03")


def hpack_index_zero(path):
    return get(FIRST, path, b"\x80")


def hpack_endless_integer(path):
    return get(FIRST, path, b"\xff" + b"\xff" * 1000)


def hpack_string_beyond(path):
    return get(FIRST, path, b"\x00\x7f\xff\xff\x7fx")


def huffman_end_of_string(path):
    # RFC 7541 section 5.2: EOS in a string is an error.
    return get(FIRST, path, b"\x00\x84\xff\xff\xff\xff\x01v")


def huffman_bad_padding(path):
    # Padding of zeros, and padding of more than seven bits.
    return get(FIRST, path, b"\x00\x81\x18\x01v") + get(FIRST + 2, path, b"\x00\x82\x1f\xff\x01v")


def settings_flood(_):
    return frame(SETTINGS, 0, 0, struct.pack(">HI", 1, 4096)) * 20_000


def settings_table_flapping(path):
    sizes = (0, 1 << 31, 65_536, 1)
    return b"".join(frame(SETTINGS, 0, 0, struct.pack(">HI", 1, sizes[at % 4])) + get(FIRST + 2 * at, path)
                    for at in range(50))


def settings_bad_length(_):
    return frame(SETTINGS, 0, 0, b"12345")


def settings_on_stream(_):
    return frame(SETTINGS, 0, FIRST)


def ping_flood(_):
    return frame(PING, 0, 0, b"12345678") * 20_000


def ping_bad_length(_):
    return frame(PING, 0, 0, b"1234")


def empty_data_flood(path):
    return get(FIRST, path, flags=END_HEADERS) + frame(DATA, 0, FIRST) * 20_000


def window_overflow(path):
    return get(FIRST, path, flags=END_HEADERS) + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2


def window_by_nothing(_):
    return frame(WINDOW_UPDATE, 0, 0, bytes(4))


def even_stream(path):
    return get(2, path)


def stream_zero(path):
    return get(0, path) + frame(DATA, 0, 0, b"x")


def stream_backwards(path):
    return get(FIRST + 4, path) + get(FIRST, path)


def stream_reserved_bit(path):
    return get(FIRST | 1 << 31, path)


def data_on_idle_stream(_):
    return frame(DATA, END_STREAM, 99, b"x" * 100)


def data_after_end(path):
    return get(FIRST, path) + frame(DATA, END_STREAM, FIRST, b"x" * 100)


def reset_of_idle_stream(_):
    return frame(RST_STREAM, 0, 99, CANCEL)


def priority_on_itself(path):
    return frame(PRIORITY, 0, FIRST, struct.pack(">IB", FIRST, 1)) + get(FIRST, path)


def priority_flood(_):
    return b"".join(frame(PRIORITY, 0, stream, struct.pack(">IB", 0, 1)) for stream in range(101, 40_101, 2))


def promise_by_client(path):
    return frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 4) + block(path))


def unknown_frames(path):
    # To be ignored: RFC 9113 section 5.5.
    return frame(0x42, 0xFF, 0, b"?" * 1000) * 1000 + get(FIRST, path)


def no_path(_):
    return frame(HEADERS, END_STREAM | END_HEADERS, FIRST, b"\x82\x86")


def upper_case_header(path):
    return get(FIRST, path, literal(b"X-Upper", b"v"))


def pseudo_header_late(path):
    return get(FIRST, path, literal(b"x-first", b"v"), literal(b":path", b"/attack/other"))


def pseudo_header_twice(path):
    return frame(HEADERS, END_STREAM | END_HEADERS, FIRST, block(path) + literal(b":path", b"/attack/other"))


def line_ends_in_value(path):
    return get(FIRST, path, literal(b"x-split", b"a\r\nx-forged: b\x00\xff"))


def length_not_kept(path):
    return (get(FIRST, path, literal(b"content-length", b"1000"), flags=END_HEADERS)
            + frame(DATA, END_STREAM, FIRST, b"ten bytes."))


def cut_in_frame(path):
    return get(FIRST, path)[:-5]


def preface_again(_):
    return PREFACE


def noise(_):
    # Looks like nothing, the same each time.
    return bytes(at * at * 31 >> 3 & 0xFF for at in range(50_000))


def rapid_reset(path):
    return b"".join(get(stream, path) + frame(RST_STREAM, 0, stream, CANCEL)
                    for stream in range(FIRST, FIRST + 20_000, 2))


ATTACKS = [
    oversized_frame, padding_beyond_data, padding_beyond_headers, continuation_flood, continuation_empty_flood,
    continuation_interrupted, continuation_alone, hpack_bomb, hpack_table_too_large, hpack_bad_index,
    hpack_index_zero, hpack_endless_integer, hpack_string_beyond, huffman_end_of_string, huffman_bad_padding,
    settings_flood, settings_table_flapping, settings_bad_length, settings_on_stream, ping_flood, ping_bad_length,
    empty_data_flood, window_overflow, window_by_nothing, even_stream, stream_zero, stream_backwards,
    stream_reserved_bit, data_on_idle_stream, data_after_end, reset_of_idle_stream, priority_on_itself,
    priority_flood, promise_by_client, unknown_frames, no_path, upper_case_header, pseudo_header_late,
    pseudo_header_twice, line_ends_in_value, length_not_kept, cut_in_frame, preface_again, noise, rapid_reset,
]


class Connection:
    """A socket, and what the server's frames say of interest."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.received = b""
        self.ended = set()
        self.resets = 0
        self.verdict = None

    def read(self):
        """Reads what there is; false at the end."""
        try:
            received = self.socket.recv(1 << 16)
        except TimeoutError:
            return True
        except OSError:
            received = b""
        if not received:
            self.verdict = self.verdict or "closed"
            return False
        self.received += received
        while len(self.received) >= 9:
            length = int.from_bytes(self.received[:3], "big")
            if len(self.received) < 9 + length:
                break
            kind, flags, stream = self.received[3], self.received[4], int.from_bytes(self.received[5:9], "big")
            payload, self.received = self.received[9:9 + length], self.received[9 + length:]
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                self.ended.add(stream)
            elif kind == RST_STREAM:
                self.resets += 1
            elif kind == GOAWAY:
                self.verdict = f"goaway {int.from_bytes(payload[4:8], 'big')}"
        return True

    def send(self, content):
        """Sends all of it, reading meanwhile, until the server has had enough."""
        left, end = memoryview(content[:LIMIT]), time.monotonic() + 4 * PATIENCE
        while left and time.monotonic() < end:
            readable, writable, _ = select.select([self.socket], [self.socket], [], PATIENCE)
            if readable and not self.read():
                break
            if writable:
                try:
                    left = left[self.socket.send(left[:1 << 16]):]
                except OSError:
                    self.verdict = self.verdict or "closed"
                    break
            if not readable and not writable:
                break
        return len(content) - len(left)

    def settle(self):
        """What the server makes of it: half a second without a word is none."""
        self.socket.settimeout(0.5)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            before = len(self.received), self.resets, len(self.ended)
            if not self.read() or before == (len(self.received), self.resets, len(self.ended)):
                break


def attack(address, name, number, serve):
    connection, call_id = Connection(address), f"{name}-{number}"
    path = f"/size/1/{call_id}"
    port = connection.socket.getsockname()[1]
    connection.send(PREFACE + frame(SETTINGS, 0, 0) + get(1, path.encode(), literal(b"x-call-id", call_id.encode())))
    while 1 not in connection.ended:
        if not connection.read():
            sys.exit(f"{call_id}: no answer to a good call")
    connection.send(frame(SETTINGS, ACK, 0))
    sent = connection.send(serve(f"/attack/{serve.__name__}".encode()))
    connection.settle()
    said = f"{serve.__name__}: {connection.verdict or 'open'}, {connection.resets} resets, {sent} bytes sent"
    connection.socket.close()
    tell(call_id, "before_attack", said, {
        "protocol": "http", "method": "GET", "path": path, "http_version": "2", "stream_id": 1, "src": {"port": port},
        "status_code": 200, "request": {"body_size": 0, "headers": [["x-call-id", call_id]]},
        "response": {"body_size": 1},
    })


address, name, *wanted = sys.argv[1:]
for number, serve in enumerate(ATTACKS):
    if not wanted or serve.__name__ in wanted:
        attack(address, name, number, serve)
