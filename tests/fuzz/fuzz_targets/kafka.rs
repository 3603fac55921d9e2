//! Any requests and answers of Kafka, with bytes missing anywhere, and any body of any version: nothing panics, every byte
//! is counted once, memory and the text that is made stay bounded, and nothing is left open at the end. Where nothing is
//! missing, it makes no difference how the bytes are cut into chunks.
//!
//! Input: a byte of settings, then pieces: a byte that says what, and what that needs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapwire::{
    dissect::{Carried, Half, Settings, kafka},
    flow::Direction,
};

#[path = "../src/conversations.rs"]
mod conversations;

use conversations::Said;

/// Text beyond the limit: brackets that close what is open.
const CLOSING: usize = 64;

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

/// An API of the table.
fn api(chosen: u8) -> &'static kafka::schema::Api {
    let apis = kafka::schema::table().apis();
    &apis[usize::from(chosen) % apis.len()]
}

/// More than any API has.
const VERSIONS: u8 = 20;

/// A request with a header that fits its version.
fn request(chosen: u8, version: u8, id: u8, body: &[u8]) -> Vec<u8> {
    let api = api(chosen);
    let (key, version) = (api.key as u8, version % VERSIONS);
    let header = api.request(i16::from(version)).map_or(1, |layout| layout.header);
    let client: &[u8] = if header > 0 { &[0, 1, b'c'] } else { &[] };
    let tags: &[u8] = if header > 1 { &[0] } else { &[] };
    framed(&[&[0, key, 0, version, 0, 0, 0, id], client, tags, body])
}

fn script(settings: u8, data: &[u8]) -> (Vec<Said>, usize, bool) {
    let mut rest = data;
    // ApiVersions, so that the connection is known, and its answer.
    let mut said = vec![
        Said::Bytes(Direction::ToServer, request(18, 0, 0, b"")),
        Said::Bytes(Direction::ToClient, framed(&[&[0; 4], &[0; 6]])),
    ];
    let mut missing = false;
    while let [what, tail @ ..] = rest {
        rest = tail;
        let from = if what & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        match (what >> 1 & 3, rest) {
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
            (_, [key, version, id, length, tail @ ..]) => {
                let (body, tail) = tail.split_at(tail.len().min(usize::from(*length)));
                let bytes = match from {
                    Direction::ToServer => request(*key, *version, *id, body),
                    Direction::ToClient => framed(&[&[0, 0, 0, *id], body]),
                };
                said.push(Said::Bytes(from, bytes));
                rest = tail;
            }
            _ => break,
        }
    }
    (said, usize::from(settings) * 16, missing)
}

fn body(data: &[u8]) {
    let [half, key, version, limit, bytes @ ..] = data else { return };
    let half = if half & 1 == 0 { Half::Request } else { Half::Response };
    let limit = usize::from(*limit) * 64;
    let Some(read) = kafka::read(half, api(*key).key, i16::from(version % VERSIONS), bytes, limit) else { return };
    if let Some(Carried::Fields { json, .. }) = read.carried {
        assert!(json.len() <= limit + CLOSING, "{} of {limit}", json.len());
    }
}

fuzz_target!(|data: &[u8]| {
    match data {
        [0..=127, rest @ ..] => body(rest),
        [settings, rest @ ..] => {
            let (said, max_body, missing) = script(settings - 128, rest);
            conversations::check(&said, &Settings { max_body, ..Settings::default() }, missing);
        }
        [] => {}
    }
});
