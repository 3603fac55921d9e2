//! Any frames of HTTP/2, calls of gRPC among them, with bytes missing anywhere: nothing panics, every byte is counted
//! once, memory stays bounded, and nothing is left open at the end. Where nothing is missing, it makes no difference how
//! the bytes are cut into chunks.
//!
//! Input: a byte of settings, then pieces: a byte that says what, and what that needs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapwire::{dissect::Settings, flow::Direction};

#[path = "../src/conversations.rs"]
mod conversations;
#[path = "../src/frames.rs"]
mod frames;

use conversations::Said;

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
    let mut said = frames::beginning();
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
                let headers = match from {
                    Direction::ToServer => frames::request(*stream, path, kind, "gzip"),
                    Direction::ToClient => frames::answer(*stream, kind, "gzip"),
                };
                said.push(Said::Bytes(from, headers));
                rest = tail;
            }
            (_, [kind, flags, stream, length, tail @ ..]) => {
                let (payload, tail) = tail.split_at(tail.len().min(usize::from(*length)));
                said.push(Said::Bytes(from, frames::frame(kind % 11, *flags, *stream, payload)));
                rest = tail;
            }
            _ => break,
        }
    }
    Some((said, usize::from(settings) * 16, missing))
}

fuzz_target!(|data: &[u8]| {
    if let Some((said, max_body, missing)) = script(data) {
        conversations::check(&said, &Settings { max_body, ..Settings::default() }, missing);
    }
});
