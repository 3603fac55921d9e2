//! Any messages of gRPC calls, of a known schema, of none, and of server reflection, compressed or not, with bytes
//! missing anywhere: nothing panics, every byte is counted once, memory stays bounded, and nothing is left open at the
//! end. Where nothing is missing, it makes no difference how the bytes are cut into chunks.
//!
//! Input: settings, then pieces: a byte that says what, and what that needs.

#![no_main]

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use tapwire::{dissect::Settings, flow::Direction};

#[path = "../src/conversations.rs"]
mod conversations;
#[path = "../src/frames.rs"]
mod frames;
#[path = "../src/schemas.rs"]
mod schemas;

use conversations::Said;

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const PATHS: [&str; 4] = [schemas::ORDER, schemas::WATCH, "/s.S/M", REFLECTION];
const ENCODINGS: [&str; 4] = ["gzip", "deflate", "zstd", "identity"];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// A byte that says whether it is compressed, the length, the message.
fn message(compressed: bool, payload: &[u8]) -> Vec<u8> {
    [&[u8::from(compressed)], &(payload.len() as u32).to_be_bytes()[..], payload].concat()
}

fn script(what: [u8; 3], mut rest: &[u8]) -> (Vec<Said>, bool) {
    let [path, encoding, status] = what;
    let path = PATHS[usize::from(path) % PATHS.len()];
    let encoding = ENCODINGS[usize::from(encoding) % ENCODINGS.len()];
    let mut said = frames::beginning();
    for stream in [1, 3] {
        said.push(Said::Bytes(Direction::ToServer, frames::request(stream, path, "application/grpc", encoding)));
        said.push(Said::Bytes(Direction::ToClient, frames::answer(stream, "application/grpc+proto", encoding)));
    }
    let mut missing = false;
    while let [what, length, tail @ ..] = rest {
        let from = if what & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let stream = if what & 2 == 0 { 1 } else { 3 };
        let (payload, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        let data = match what >> 2 & 7 {
            0 => {
                missing = true;
                said.push(Said::Gap(from, u64::from(*length)));
                continue;
            }
            // Anything, which begins or ends within a message.
            1 => payload.to_vec(),
            2 => message(true, payload),
            3 => message(true, &gzip(payload)),
            _ => message(false, payload),
        };
        said.push(Said::Bytes(from, frames::frame(frames::DATA, what >> 5 & frames::END_STREAM, stream, &data)));
    }
    said.push(Said::Bytes(Direction::ToClient, frames::trailers(1, &status.to_string())));
    (said, missing)
}

fuzz_target!(|data: &[u8]| {
    let [max_body, path, encoding, status, rest @ ..] = data else { return };
    let settings =
        Settings { max_body: usize::from(*max_body) * 64, schemas: schemas::SCHEMAS.clone(), ..Settings::default() };
    let (said, missing) = script([*path, *encoding, *status], rest);
    conversations::check(&said, &settings, missing);
});
