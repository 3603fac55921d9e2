"""tapwire.test.Peer, which go/service.go describes, with google.protobuf.BytesValue written by hand."""

SERVICE = "tapwire.test.Peer"


def encode(content):
    """Field 1 of type bytes; absent when empty."""
    if not content:
        return b""
    length, varint = len(content), bytearray()
    while length > 0x7F:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    varint.append(length)
    return b"\x0a" + bytes(varint) + content


def decode(message):
    at = 1
    while message[at:] and message[at] & 0x80:
        at += 1
    return message[at + 1:]
