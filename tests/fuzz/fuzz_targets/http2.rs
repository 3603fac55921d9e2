//! Any frames of HTTP/2, calls of gRPC among them, with bytes missing anywhere: nothing panics, every byte is counted
//! once, memory stays bounded, and nothing is left open at the end. Where nothing is missing, it makes no difference how
//! the bytes are cut into chunks.
//!
//! Input: a byte of settings, then pieces: a byte that says what, and what that needs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapwire::flow::Direction;

#[path = "../src/conversations.rs"]
mod conversations;

use conversations::Said;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
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

/// Calls whose bodies are looked into.
const KINDS: [(&str, &str); 5] = [
    ("application/grpc", "/s.S/M"),
    ("application/grpc", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    ("application/grpc-web-text", "/s.S/M"),
    ("application/grpc-web+json", "/s.S/M"),
    ("text/plain", "/a?b=c"),
];

fn script(data: &[u8]) -> Option<(Vec<Said>, usize, bool)> {
    let (&settings, mut rest) = data.split_first()?;
    let mut said = vec![
        Said::Bytes(Direction::ToServer, [PREFACE, &frame(4, 0, 0, b"")].concat()),
        Said::Bytes(Direction::ToClient, frame(4, 0, 0, b"")),
    ];
    let mut missing = false;
    while let [what, tail @ ..] = rest {
        rest = tail;
        let from = if what & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        match (what >> 1 & 7, rest) {
            (0, [bytes, tail @ ..]) => {
                missing = true;
                said.push(Said::Gap(from, u64::from(*bytes)));
                rest = tail;
            }
            (1, [length, tail @ ..]) => {
                let (bytes, tail) = tail.split_at(tail.len().min(usize::from(*length)));
                said.push(Said::Bytes(from, bytes.to_vec()));
                rest = tail;
            }
            (2, [stream, tail @ ..]) => {
                let (kind, path) = KINDS[usize::from(what >> 4) % KINDS.len()];
                let fields = match from {
                    Direction::ToServer => {
                        vec![(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", kind)]
                    }
                    Direction::ToClient => vec![(":status", "200"), ("content-type", kind), ("grpc-encoding", "gzip")],
                };
                said.push(Said::Bytes(from, frame(1, 4, *stream, &block(&fields))));
                rest = tail;
            }
            (_, [kind, flags, stream, length, tail @ ..]) => {
                let (payload, tail) = tail.split_at(tail.len().min(usize::from(*length)));
                said.push(Said::Bytes(from, frame(kind % 11, *flags, *stream, payload)));
                rest = tail;
            }
            _ => break,
        }
    }
    Some((said, usize::from(settings) * 16, missing))
}

fuzz_target!(|data: &[u8]| {
    if let Some((said, max_body, missing)) = script(data) {
        conversations::check(&said, max_body, missing);
    }
});
