//! What targets share that speak HTTP/2: how a connection begins, frames, and header blocks.

use tapwire::flow::Direction;

use crate::conversations::Said;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113 section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

/// Flags of both types.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub fn beginning() -> Vec<Said> {
    let settings = frame(SETTINGS, 0, 0, b"");
    vec![Said::Bytes(Direction::ToServer, [PREFACE, &settings].concat()), Said::Bytes(Direction::ToClient, settings)]
}

pub fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let mut out = length.to_be_bytes()[1..].to_vec();
    out.extend([kind, flags, 0, 0, 0, stream]);
    out.extend_from_slice(payload);
    out
}

/// A header block without references: literals that are not indexed.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

pub fn request(stream: u8, path: &str, content_type: &str, encoding: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        ("content-type", content_type),
        ("grpc-encoding", encoding),
    ];
    frame(HEADERS, END_HEADERS, stream, &block(&fields))
}

pub fn answer(stream: u8, content_type: &str, encoding: &str) -> Vec<u8> {
    let fields = [(":status", "200"), ("content-type", content_type), ("grpc-encoding", encoding)];
    frame(HEADERS, END_HEADERS, stream, &block(&fields))
}

pub fn trailers(stream: u8, status: &str) -> Vec<u8> {
    let fields = [("grpc-status", status), ("grpc-message", "m")];
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
}
