//! Frames of http2jp's test cases, and conversations as scripts.

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::coverage::Reason;
use crate::{
    dissect::{
        Carried, Exchange,
        tests::{Run, Step, client, run_with, server, timed},
    },
    flow::Direction::*,
};

const MAX_BODY: usize = 64 << 10;

#[test]
fn frames_of_the_test_cases_are_told_right_from_wrong() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/http2-frames");
    let mut tried = 0;
    for folder in std::fs::read_dir(&root).expect("the corpus").flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
            let case: Value = serde_json::from_slice(&std::fs::read(file.path()).expect("a file")).expect("JSON");
            let hex = case["wire"].as_str().expect("bytes");
            let wire: Vec<u8> =
                (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect();
            let frame = Frame::parse(&wire).expect("a header");
            let payload = &wire[HEADER..];
            let right = frame.check().is_ok() && payload.len() == frame.length as usize && scan::fits(frame, payload);
            assert_eq!(right, case["error"].is_null(), "{}", file.path().display());
            tried += 1;
            let Some(expected) = case["frame"].as_object() else { continue };
            assert_eq!(u64::from(frame.length), expected["length"]);
            assert_eq!(u64::from(frame.stream), expected["stream_identifier"]);
            assert_eq!(u64::from(frame.flags), expected["flags"]);
            let said = &expected["frame_payload"];
            let text = said.get("header_block_fragment").or(said.get("data")).and_then(Value::as_str);
            if let (Some(text), Some(content)) = (text, frame::content(frame, payload)) {
                let promised = if frame.kind == Kind::PushPromise { 4 } else { 0 };
                assert_eq!(&content[promised..], text.as_bytes(), "{}", file.path().display());
            }
        }
    }
    assert!(tried > 30, "{tried}");
}

fn frame_of(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// Literals without indexing.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame_of(1, flags | flags::END_HEADERS, stream, block(fields))
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(flags::END_STREAM, stream, &[(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a")])
}

fn post(stream: u32, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = vec![(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a")];
    fields.extend_from_slice(more);
    headers(0, stream, &fields)
}

fn ok(stream: u32, flags: u8) -> Vec<u8> {
    headers(flags, stream, &[(":status", "200")])
}

fn hello() -> [Step; 2] {
    [client([&PREFACE[..], &frame_of(4, 0, 0, b"")].concat()), server(frame_of(4, 0, 0, b""))]
}

fn played(more: impl IntoIterator<Item = Step>) -> Run {
    let steps: Vec<Step> = hello().into_iter().chain(more).collect();
    run_with(&timed(&steps), false, MAX_BODY)
}

fn closed() -> [Step; 2] {
    [Step::End(ToServer, Ending::Fin), Step::End(ToClient, Ending::Fin)]
}

/// `GET /a 200 5`.
fn brief(exchanges: &[Exchange]) -> Vec<String> {
    let value = |exchange: &Exchange, name: &str| {
        let field = exchange.protocol.fields().find(|field| field.name == name).expect("a field");
        let mut out = Vec::new();
        crate::record::json::value(&mut out, &(field.get)(exchange));
        String::from_utf8(out).expect("text").replace('"', "")
    };
    let names = ["method", "path", "status_code", "request_body_size", "response_body_size"];
    exchanges.iter().map(|exchange| names.map(|name| value(exchange, name)).join(" ")).collect()
}

#[test]
fn a_gap_in_a_body_harms_that_body_only() {
    let data = frame_of(0, flags::END_STREAM, 3, vec![b'x'; 5000]);
    let steps = [
        client([get(1, "/one"), post(3, "/two", &[]), data[..1000].to_vec()].concat()),
        Step::Gap(ToServer, 2000, Reason::RingFull),
        client(&data[3000..]),
        server([ok(1, flags::END_STREAM), ok(3, flags::END_STREAM)].concat()),
    ];
    let run = played(steps);
    assert_eq!(brief(&run.exchanges), ["GET /one 200 0 0", "POST /two 200 5000 0"]);
    assert!(run.exchanges[0].incomplete.is_empty());
    assert_eq!(run.exchanges[1].incomplete.lost.total(), 2000);
    let body = &run.exchanges[1].request.as_ref().expect("a request").body;
    assert_eq!((body.kept.len(), body.truncated), (991, true));
}

#[test]
fn a_gap_in_a_header_block_makes_its_fields_unknown() {
    let long = "v".repeat(100);
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/two"), ("x-long", &*long)];
    let whole = headers(flags::END_STREAM, 3, &fields);
    let steps = [
        client([get(1, "/one"), whole[..40].to_vec()].concat()),
        Step::Gap(ToServer, 30, Reason::RingFull),
        client([&whole[70..], &get(5, "/three")[..]].concat()),
        server([ok(1, 1), ok(3, 1), ok(5, 1)].concat()),
    ];
    let run = played(steps);
    assert_eq!(brief(&run.exchanges), ["GET /one 200 0 0", "null null 200 0 0", "GET /three 200 0 0"]);
    assert_eq!(run.exchanges[1].findings, ["headers_lost"]);
    assert_eq!(run.exchanges[1].incomplete.lost.total(), 30);
}

#[test]
fn a_gap_between_frames_is_got_over() {
    let steps = [
        client(get(1, "/one")),
        server(ok(1, 1)),
        Step::Gap(ToServer, 100, Reason::RingFull),
        client([get(5, "/five"), frame_of(8, 0, 0, [0, 0, 1, 0])].concat()),
        server(ok(5, 1)),
        client(get(7, "/seven")),
        server(ok(7, 1)),
    ];
    let run = played(steps);
    assert_eq!(brief(&run.exchanges), ["GET /one 200 0 0", "GET /five 200 0 0", "GET /seven 200 0 0"]);
    assert_eq!(run.counters.undecoded.total(), 0);
}

#[test]
fn what_is_beyond_the_limit_is_not_held() {
    let large = vec![b'y'; 16_384];
    let mut sent = post(1, "/large", &[]);
    for _ in 0..64 {
        sent.extend(frame_of(0, 0, 1, &large));
    }
    sent.extend(frame_of(0, flags::END_STREAM, 1, b"end"));
    let mut steps: Vec<Step> = sent.chunks(40_000).map(client).collect();
    steps.push(server(ok(1, 1)));
    let run = played(steps);
    assert_eq!(brief(&run.exchanges), ["POST /large 200 1048579 0"]);
    let body = &run.exchanges[0].request.as_ref().expect("a request").body;
    assert_eq!((body.kept.len(), body.truncated), (MAX_BODY, true));
}

#[test]
fn frames_longer_than_was_allowed_are_malformed() {
    let long = frame_of(0, 0, 1, vec![0; 16_385]);
    let run = played([client([post(1, "/a", &[]), long.clone()].concat())]);
    assert_eq!(run.counters.malformed, [("http", "frame_size", 1)]);
    // Allowed by the server, and used before the client acknowledged it.
    let settings = frame_of(4, 0, 0, [0, 5, 0, 1, 0, 0]);
    let end = frame_of(0, 1, 1, b"");
    let run = played([server(settings), client([post(1, "/a", &[]), long, end].concat()), server(ok(1, 1))]);
    assert_eq!(brief(&run.exchanges), ["POST /a 200 16385 0"]);
    assert!(run.counters.malformed.is_empty());
}

#[test]
fn a_flood_of_resets_holds_nothing() {
    let mut steps = Vec::new();
    for n in 0..10_000_u32 {
        let id = n * 2 + 1;
        steps.push(client([get(id, "/flood"), frame_of(3, 0, id, [0, 0, 0, 8])].concat()));
    }
    let run = played(steps);
    assert_eq!(run.exchanges.len(), 10_000);
    assert!(run.conversation.held_bytes() < 10_000, "{}", run.conversation.held_bytes());
}

#[test]
fn streams_that_never_end_are_given_up() {
    let run = played((0..5000_u32).map(|n| client(post(n * 2 + 1, "/open", &[]))));
    assert_eq!(run.exchanges.len(), 5000 - 2048);
    assert!(run.exchanges.iter().all(|exchange| exchange.findings == ["stream_limit"]));
}

#[test]
fn a_flood_of_continuations_is_bounded() {
    let mut steps = vec![client(frame_of(1, 0, 1, block(&[(":method", "GET")])))];
    steps.extend((0..1000).map(|_| client(frame_of(9, 0, 1, vec![0x82; 16_000]))));
    steps.push(client(frame_of(9, flags::END_HEADERS, 1, b"")));
    steps.push(client(get(3, "/after")));
    steps.push(server(ok(3, 1)));
    let run = played(steps.into_iter().chain(closed()));
    assert_eq!(brief(&run.exchanges), ["GET /after 200 0 0", "null null null null null"]);
    assert!(run.exchanges[1].findings.contains(&"header_block_limit"));
}

#[test]
fn messages_of_a_call_are_told_apart_wherever_frames_are_cut() {
    let message = |payload: &[u8]| [&[0, 0, 0, 0][..], &[payload.len() as u8], payload].concat();
    let sent = [message(b"\x0a\x03one"), message(b""), message(b"\x0a\x03two")].concat();
    let grpc = [("content-type", "application/grpc")];
    for cut in 0..=sent.len() {
        let steps = [
            client([post(1, "/s.S/M", &grpc), frame_of(0, 0, 1, &sent[..cut])].concat()),
            client(frame_of(0, 1, 1, &sent[cut..])),
            server(headers(1, 1, &[(":status", "200"), grpc[0], ("grpc-status", "5"), ("grpc-message", "no%20way")])),
        ];
        let run = played(steps);
        let exchange = &run.exchanges[0];
        assert_eq!(exchange.protocol.name, "grpc");
        let messages = exchange.request.as_ref().and_then(|request| request.body.messages.as_ref()).expect("messages");
        let carried: Vec<&[u8]> = messages
            .list
            .iter()
            .map(|message| match &message.carried {
                Carried::Fields { json, .. } => json.as_slice(),
                Carried::Raw { .. } => b"raw",
            })
            .collect();
        assert_eq!(carried, [&br#"{"1":"one"}"#[..], b"{}", br#"{"1":"two"}"#], "cut at {cut}");
        assert_eq!((messages.count, messages.bytes), (3, 10));
    }
}

#[test]
fn a_block_beyond_the_limit_is_not_read_in_part() {
    // Entries of the table, more than are held, and then a reference to the newest.
    let entry = [&[0x40, 1, b'n', 100][..], &[b'v'; 100]].concat();
    let long = [block(&[(":method", "GET"), (":path", "/long")]), entry.repeat(1300)].concat();
    assert!(long.len() > BLOCK_LIMIT);
    let allow = frame_of(4, 0, 0, [0, 5, 0, 0x10, 0, 0]);
    let next = [block(&[(":method", "GET"), (":scheme", "http"), (":path", "/next")]), vec![0x80 | 62]].concat();
    let sent = [
        frame_of(1, flags::END_HEADERS | flags::END_STREAM, 1, &long),
        frame_of(1, flags::END_HEADERS | flags::END_STREAM, 3, next),
    ]
    .concat();
    for part in [1000, 100_000, sent.len()] {
        let steps = [server(&allow)].into_iter().chain(sent.chunks(part).map(client)).chain([server(ok(3, 1))]);
        let run = played(steps.chain(closed()));
        assert_eq!(brief(&run.exchanges), ["GET /next 200 0 0", "null null null 0 null"], "in parts of {part}");
        let request = run.exchanges[0].request.as_ref().expect("a request");
        assert_eq!(request.headers.iter().count(), 0, "what the table holds is not known");
        assert!(run.exchanges[1].findings.contains(&"header_block_limit"));
    }
}

#[test]
fn a_head_that_is_cut_is_told() {
    let head = get(1, "/cut");
    let parts = frame_of(1, 0, 3, block(&[(":method", "GET")]));
    for sent in [head[..head.len() - 3].to_vec(), parts] {
        let run = played([client(sent)].into_iter().chain(closed()));
        assert_eq!(brief(&run.exchanges), ["null null null null null"]);
        assert!(run.exchanges[0].findings.contains(&"cut_short"));
        assert_eq!(run.conversation.held_bytes(), 0);
    }
}

#[test]
fn a_stream_that_is_used_again_is_told() {
    let steps = [client(get(1, "/a")), server(ok(1, 1)), client(get(1, "/b")), server(ok(1, 1))];
    let run = played(steps);
    assert_eq!(brief(&run.exchanges), ["GET /a 200 0 0", "GET /b 200 0 0"]);
    assert_eq!(run.exchanges[1].findings, ["stream_reused"]);
}
