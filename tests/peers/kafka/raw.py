"""What no library sends: raw.py ADDRESS SASL_ADDRESS ID SCENARIO..., over sockets of its own, one a scenario.

It prints a line for each call, with what went over the wire: {"client_id", "api_key", "api_version",
"correlation_id", "topics", "error_code", "answered"}. The topic is called ID-raw, but for the scenario `elsewhere`,
which makes none. A scenario ends when every answer was read.

The layout is that of Kafka's protocol guide (kafka.apache.org/protocol): from Produce v9, Metadata v9 and ApiVersions
v3 on, strings and arrays are compact and headers have tagged fields.
"""

import json
import socket
import struct
import sys
import time

PRODUCE, METADATA, SASL_HANDSHAKE, API_VERSIONS, CREATE_TOPICS = 0, 3, 17, 18, 19
FLEXIBLE = {PRODUCE: 9, METADATA: 9, API_VERSIONS: 3, CREATE_TOPICS: 5}
PIPELINED = 1000
PATIENCE = 20
NOT_LEADER_OR_FOLLOWER = 6

address, sasl_address, name, *scenarios = sys.argv[1:]
TOPIC = f"{name}-raw"


def crc32c_table():
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


TABLE = tuple(crc32c_table())


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ TABLE[crc & 0xFF ^ byte]
    return crc ^ 0xFFFFFFFF


def zigzag(value):
    return varint(value << 1 ^ value >> 31)


def varint(value):
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def text(value, flexible=False):
    size = varint(len(value) + 1) if flexible else struct.pack(">h", len(value))
    return size + value.encode()


def count(number, flexible=False):
    return varint(number + 1) if flexible else struct.pack(">i", number)


def batch(value, crc_off_by=0):
    """A batch with one record, as of Produce v3."""
    record = b"\0" + zigzag(0) + zigzag(0) + zigzag(3) + b"key" + zigzag(len(value)) + value + zigzag(0)
    record = zigzag(len(record)) + record
    now = int(time.time() * 1000)
    body = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + record
    crc = crc32c(body) + crc_off_by & 0xFFFFFFFF
    return struct.pack(">qiibI", 0, len(body) + 9, -1, 2, crc) + body


def produce(version, value, acks=-1, partition=0, topic=TOPIC, crc_off_by=0):
    flexible = version >= FLEXIBLE[PRODUCE]
    records, tags = batch(value, crc_off_by), b"\0" if flexible else b""
    size = varint(len(records) + 1) if flexible else struct.pack(">i", len(records))
    return ((b"\0" if flexible else b"\xff\xff") + struct.pack(">hi", acks, 10_000) + count(1, flexible)
            + text(topic, flexible) + count(1, flexible) + struct.pack(">i", partition) + size + records + tags * 3)


class Connection:
    """Writes requests and reads answers when told to, so that any number may be under way."""

    def __init__(self, client_id, to=address):
        host, port = to.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.reader = self.socket.makefile("rb")
        self.client_id, self.next, self.unsent, self.under_way = f"{name}-{client_id}", 0, b"", []

    def ask(self, key, version, body, topics=(), error_at=None, answered=True):
        """`error_at` finds the error code in the answer's body, of which a function makes an offset, None is none."""
        flexible = version >= FLEXIBLE.get(key, 1000)
        header = struct.pack(">hhi", key, version, self.next) + text(self.client_id) + (b"\0" if flexible else b"")
        self.unsent += struct.pack(">i", len(header + body)) + header + body
        call = {"client_id": self.client_id, "api_key": key, "api_version": version, "correlation_id": self.next,
                "topics": list(topics), "error_code": None, "answered": answered}
        self.next += 1
        if answered:
            # ApiVersions answers with the old header in all versions: KIP-511.
            skip = 1 if flexible and key != API_VERSIONS else 0
            self.under_way.append((call, error_at, skip))
        else:
            print(json.dumps(call))

    def send(self):
        self.socket.sendall(self.unsent)
        self.unsent = b""

    def read(self):
        for call, error_at, skip in self.under_way:
            size, = struct.unpack(">i", self.reader.read(4))
            answer = self.reader.read(size)
            got, = struct.unpack(">i", answer[:4])
            assert got == call["correlation_id"], f"{got} answers {call}"
            if error_at is not None:
                call["error_code"], = struct.unpack_from(">h", answer, 4 + skip + error_at)
            print(json.dumps(call))
        self.under_way = []

    def call(self, *args, **more):
        self.ask(*args, **more)
        self.send()
        self.read()

    def produce(self, version, value, topic=TOPIC, **more):
        acks = more.get("acks", -1)
        flexible = version >= FLEXIBLE[PRODUCE]
        # One topic with its name, one partition with its number, and then the error.
        error_at = len(count(1, flexible) + text(topic, flexible) + count(1, flexible)) + 4
        self.ask(PRODUCE, version, produce(version, value, topic=topic, **more), [topic], error_at, answered=acks != 0)


def setup():
    """The topic, made by CreateTopics v2, whose error is that there is one already."""
    connection = Connection("setup")
    body = count(1) + text(TOPIC) + struct.pack(">ih", 1, 1) + count(0) + count(0) + struct.pack(">i?", 10_000, False)
    # throttle_time_ms, one topic with its name
    connection.call(CREATE_TOPICS, 2, body, [TOPIC], error_at=4 + len(count(1) + text(TOPIC)))
    metadata = Connection("setup-metadata")
    # The leader is there a moment later.
    for _ in range(50):
        metadata.call(METADATA, 1, count(1) + text(TOPIC), [TOPIC])
        probe = Connection("setup-probe")
        probe.produce(3, b"probe")
        probe.send()
        call = probe.under_way[0][0]
        probe.read()
        if call["error_code"] == 0:
            return
        time.sleep(0.1)


def pipeline():
    """All of them before the first answer is read, in every version that the broker takes by name: 8 MB together."""
    connection = Connection("pipeline")
    for at in range(PIPELINED):
        connection.produce(3 + at % 10, b"value %d " % at + b"x" * 8000)
    connection.send()
    connection.read()


def unanswered():
    """Without an answer, between those with one."""
    connection = Connection("unanswered")
    for at in range(100):
        connection.produce(9, b"value %d" % at, acks=(0, 0, 1)[at % 3])
    connection.send()
    connection.read()


def versions():
    """Too new a version is answered in version 0: KIP-511."""
    connection = Connection("versions")
    software = text("raw", True) + text("1.0", True) + b"\0"
    connection.call(API_VERSIONS, 100, software, error_at=0)
    for version in (0, 1, 2):
        connection.call(API_VERSIONS, version, b"", error_at=0)
    connection.call(API_VERSIONS, 3, software, error_at=0)
    for version in range(1, 9):
        flags = b"\1" if version >= 4 else b""
        flags += b"\0\0" if version >= 8 else b""
        connection.call(METADATA, version, count(1) + text(TOPIC) + flags, [TOPIC])


def errors():
    connection = Connection("errors")
    for version in (3, 7, 8, 9):
        connection.produce(version, b"no such partition", partition=99)
        connection.produce(version, b"broken", crc_off_by=1)
        connection.produce(version, b"no such topic", topic=f"{name}-none")
        connection.produce(version, b"as many as that", acks=5)
        connection.produce(version, b"good")
        connection.send()
        connection.read()
    # Not on this listener.
    connection.call(SASL_HANDSHAKE, 1, text("PLAIN"), error_at=0)


def split():
    """A request a byte at a time, and two in one write that ends within the second."""
    connection = Connection("split")
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.produce(7, b"bytes")
    for at in range(len(connection.unsent)):
        connection.socket.sendall(connection.unsent[at:at + 1])
    connection.unsent = b""
    connection.produce(8, b"first")
    connection.produce(9, b"second")
    for part in (connection.unsent[:-20], connection.unsent[-20:]):
        connection.socket.sendall(part)
        time.sleep(0.05)
    connection.unsent = b""
    connection.read()


def sasl():
    """A token without a header, which SaslHandshake v0 asks for: KIP-43. Before it and behind it are ordinary calls."""
    connection = Connection("sasl", sasl_address)
    connection.call(SASL_HANDSHAKE, 0, text("PLAIN"), error_at=0)
    token = b"\0tester\0tester-password"
    connection.socket.sendall(struct.pack(">i", len(token)) + token)
    assert connection.reader.read(4) == bytes(4), "the broker does not take the token"
    for version in (3, 9):
        connection.produce(version, b"authenticated")
        connection.send()
        connection.read()


def hold():
    """Ten calls after each line on stdin, all under way at once; the end of stdin lets go."""
    connection = Connection("hold")
    while True:
        for at in range(10):
            connection.produce(3 + at % 7, b"held %d" % at)
        connection.send()
        connection.read()
        print('{"held": true}', flush=True)
        if not sys.stdin.readline():
            break


def elsewhere():
    """To a broker that does not lead the partition, until it knows who does: another one has made the topic."""
    connection = Connection("elsewhere")
    for at in range(100):
        connection.produce(3 + at % 10, b"elsewhere", topic="leader-raw")
        call = connection.under_way[0][0]
        connection.send()
        connection.read()
        if at >= 10 and call["error_code"] == NOT_LEADER_OR_FOLLOWER:
            break
        time.sleep(0.05)


if scenarios != ["elsewhere"]:
    setup()
for scenario in scenarios:
    {"pipeline": pipeline, "unanswered": unanswered, "versions": versions, "errors": errors, "split": split,
     "sasl": sasl, "hold": hold, "elsewhere": elsewhere}[scenario]()
    sys.stdout.flush()
