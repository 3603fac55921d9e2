//! Frames of http2jp's test cases, and conversations as scripts.

use std::path::PathBuf;

use serde_json::Value;

use super::{assembly::BLOCK_LIMIT, *};
use crate::coverage::Reason;
use crate::{
    dissect::{
        Carried, Exchange, Relief, Scan,
        tests::{Run, Step, client, run_with, server, timed},
    },
    flow::{Direction::*, Piece},
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

/// A field as records show it, without quotes.
fn value(exchange: &Exchange, name: &str) -> String {
    let field = exchange.protocol.fields().find(|field| field.name == name).expect("a field");
    let mut out = Vec::new();
    crate::record::json::value(&mut out, &(field.get)(exchange));
    String::from_utf8(out).expect("text").replace('"', "")
}

/// `GET /a 200 5`.
fn brief(exchanges: &[Exchange]) -> Vec<String> {
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
        assert_eq!((messages.count, messages.bytes), (Some(3), Some(10)));
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

fn data(flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame_of(0, flags, stream, payload)
}

/// More of what is said, after a run.
fn go_on(run: &mut Run, from: Direction, bytes: &[u8], millis: u64) {
    let time = Time::from_millis(millis);
    run.conversation.feed(from, Piece::Chunk { bytes, time }, &mut run.counters, &mut run.exchanges);
}

#[test]
fn relief_closes_what_holds_most_and_reads_on() {
    let entry = [&[0x40, 6][..], b"x-name", &[5], b"value"].concat();
    let first = [block(&[(":method", "GET"), (":scheme", "http"), (":path", "/small")]), entry].concat();
    let steps = [
        client(frame_of(1, flags::END_HEADERS | flags::END_STREAM, 1, first)),
        client([post(3, "/large", &[]), data(0, 3, vec![b'x'; 16_000])].concat()),
        client(data(0, 3, vec![b'x'; 16_000])),
    ];
    let mut run = played(steps);
    assert!(run.conversation.held_bytes() > 32_000);
    run.conversation.relieve(Relief::Messages, &mut run.counters, &mut run.exchanges);
    assert!(run.conversation.held_bytes() < 16_000, "{}", run.conversation.held_bytes());
    assert_eq!(run.exchanges[0].findings, ["memory_limit"]);
    assert_eq!(run.counters.limits, [("memory_limit", 1)]);
    // What was held before is still known: the stream that stays, and the table.
    let next = [block(&[(":method", "GET"), (":scheme", "http"), (":path", "/next")]), vec![0x80 | 62]].concat();
    go_on(&mut run, ToServer, &frame_of(1, flags::END_HEADERS | flags::END_STREAM, 5, next), 10);
    go_on(&mut run, ToClient, &[ok(1, 1), ok(3, 1), ok(5, 1)].concat(), 11);
    assert_eq!(brief(&run.exchanges), ["POST /large null null null", "GET /small 200 0 0", "GET /next 200 0 0"]);
    let request = run.exchanges[2].request.as_ref().expect("a request");
    assert_eq!(request.headers.get("x-name"), Some(&b"value"[..]));
    assert_eq!(run.counters.undecoded.total(), 0);
}

#[test]
fn a_connection_holds_no_more_than_its_limit() {
    let mut steps = Vec::new();
    for n in 0..400_u32 {
        let id = n * 2 + 1;
        steps.push(client(post(id, "/held", &[])));
        steps.extend((0..4).map(|_| client(data(0, id, vec![b'x'; 16_000]))));
    }
    let run = played(steps);
    let held = run.conversation.held_bytes();
    assert!(held < 6 << 20, "{held}");
    assert!(run.exchanges.len() > 200, "{}", run.exchanges.len());
    assert!(run.exchanges.iter().all(|exchange| exchange.findings == ["memory_limit"]));
    assert_eq!(run.counters.limits, [("memory_limit", run.exchanges.len() as u64)]);
    // Names and targets are held as well.
    let long = "/".repeat(100);
    let run = played((0..5000_u32).map(|n| client(post(n * 2 + 1, &long, &[]))));
    assert!(run.conversation.held_bytes() > 2048 * 100);
}

#[test]
fn what_a_goaway_leaves_out_is_told() {
    let goaway = |last: u32, code: u32, debug: usize| {
        let payload = [&last.to_be_bytes()[..], &code.to_be_bytes(), &vec![b'd'; debug]].concat();
        frame_of(7, 0, 0, payload)
    };
    for debug in [0, 5, 10_000] {
        let said = [goaway(1, 11, debug), ok(1, 1)].concat();
        for cut in [1, 12, 20, said.len()] {
            let steps = [
                client([get(1, "/taken"), get(3, "/open")].concat()),
                server(&said[..cut.min(said.len())]),
                server(&said[cut.min(said.len())..]),
                client(get(5, "/late")),
            ];
            let run = played(steps);
            let mut briefs = brief(&run.exchanges);
            briefs.sort_unstable();
            assert_eq!(briefs, ["GET /late null 0 null", "GET /open null 0 null", "GET /taken 200 0 0"], "{debug}");
            for exchange in run.exchanges.iter().filter(|exchange| exchange.stream_id != Some(1)) {
                assert_eq!(exchange.findings, ["goaway"]);
                assert_eq!(
                    (value(exchange, "stream_error"), value(exchange, "stream_reset_by")),
                    ("ENHANCE_YOUR_CALM".to_owned(), "server".to_owned())
                );
            }
        }
        // A gap in what is not looked at harms nothing.
        let steps = [
            client([get(1, "/taken"), get(3, "/open")].concat()),
            server(&said[..17]),
            Step::Gap(ToClient, debug as u64, Reason::RingFull),
            server(&said[17 + debug..]),
        ];
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Gap(_, 0, _))).collect();
        assert_eq!(brief(&played(steps).exchanges), ["GET /open null 0 null", "GET /taken 200 0 0"], "{debug}");
    }
    // An error of the connection ends what it has taken.
    let steps = [client(get(1, "/cut")), server(goaway(1, 1, 0))];
    let run = played(steps.into_iter().chain(closed()));
    assert_eq!(run.exchanges[0].findings, ["cut_short"]);
    assert_eq!(value(&run.exchanges[0], "stream_error"), "PROTOCOL_ERROR");
}

#[test]
fn a_code_that_is_not_known_is_not_named() {
    let reset = frame_of(3, 0, 1, [0, 0, 1, 0]);
    let run = played([client(get(1, "/a")), server(&reset)]);
    assert_eq!(value(&run.exchanges[0], "stream_error"), "0x100");
    let steps = [client(get(1, "/a")), server(&reset[..10]), Step::Gap(ToClient, 3, Reason::RingFull)];
    let run = played(steps);
    assert_eq!(
        (value(&run.exchanges[0], "stream_error"), &run.exchanges[0].findings),
        ("null".to_owned(), &vec!["reset_by_server"])
    );
}

#[test]
fn streams_whose_end_was_lost_are_given_up() {
    let mut steps = hello().to_vec();
    // The oldest one is in no doubt: its answer came in part after the gap.
    steps.extend([client([get(1, "/kept"), get(3, "/lost"), get(5, "/busy")].concat())]);
    steps.push(Step::Gap(ToClient, 100, Reason::RingFull));
    steps.push(server([ok(1, 0), ok(5, 0)].concat()));
    let mut steps = timed(&steps);
    steps.push((20_000, server(frame_of(8, 0, 5, [0, 0, 1, 0]))));
    steps.push((20_000, server([data(0, 1, "x"), data(flags::END_STREAM, 1, "")].concat())));
    steps.push((40_000, client(get(7, "/new"))));
    let run = run_with(&steps, false, MAX_BODY);
    assert_eq!(brief(&run.exchanges), ["GET /kept 200 0 null", "GET /lost null 0 null"]);
    assert_eq!(run.exchanges[1].findings, ["end_not_seen"]);
}

#[test]
fn a_gap_at_the_length_of_the_padding_harms_that_body_only() {
    let padded = frame_of(0, flags::PADDED | flags::END_STREAM, 1, [&[3][..], b"body", &[0; 3]].concat());
    let steps = [
        client([post(1, "/padded", &[]), padded[..9].to_vec()].concat()),
        Step::Gap(ToServer, 2, Reason::RingFull),
        client([&padded[11..], &get(3, "/next")].concat()),
        server([ok(1, 1), ok(3, 1)].concat()),
    ];
    let run = played(steps);
    assert_eq!(brief(&run.exchanges), ["POST /padded 200 null 0", "GET /next 200 0 0"]);
    assert_eq!(run.exchanges[0].incomplete.lost.total(), 2);
    assert_eq!((run.counters.undecoded.total(), run.exchanges[1].incomplete.is_empty()), (0, true));
}

#[test]
fn all_gaps_of_a_block_are_counted() {
    let parts = [frame_of(1, flags::END_STREAM, 1, [0; 50]), frame_of(9, flags::END_HEADERS, 1, [0; 50])];
    let steps = [
        client(&parts[0][..19]),
        Step::Gap(ToServer, 10, Reason::RingFull),
        client([&parts[0][29..], &parts[1][..19]].concat()),
        Step::Gap(ToServer, 20, Reason::RingFull),
        client(&parts[1][39..]),
        server(ok(1, 1)),
    ];
    assert_eq!(played(steps).exchanges[0].incomplete.lost.total(), 30);
}

#[test]
fn a_promise_of_which_the_stream_is_lost_is_no_answer() {
    let promise = frame_of(5, 0, 1, [&[0, 0, 0, 2][..], &block(&[(":method", "GET"), (":path", "/pushed")])].concat());
    let more = frame_of(9, flags::END_HEADERS, 1, block(&[("a", "b")]));
    let steps = [
        client(get(1, "/page")),
        server(&promise[..10]),
        Step::Gap(ToClient, 6, Reason::RingFull),
        server([&promise[16..], &more, &ok(1, 1)].concat()),
    ];
    let run = played(steps);
    assert_eq!(brief(&run.exchanges), ["GET /page 200 0 0"]);
    assert!(run.exchanges[0].findings.is_empty(), "{:?}", run.exchanges[0].findings);
}

#[test]
fn a_second_answer_does_not_replace_the_first() {
    let steps = [
        client(get(1, "/a")),
        server([ok(1, 0), headers(0, 1, &[(":status", "500")]), data(flags::END_STREAM, 1, "body")].concat()),
    ];
    let run = played(steps);
    assert_eq!(brief(&run.exchanges), ["GET /a 200 0 4"]);
    assert_eq!(run.exchanges[0].findings, ["second_answer"]);
}

#[test]
fn trailers_have_no_pseudo_headers() {
    let steps = [
        client([post(1, "/a", &[]), headers(flags::END_STREAM, 1, &[(":path", "/b"), ("t", "u")])].concat()),
        server(ok(1, 1)),
    ];
    let run = played(steps);
    assert_eq!(brief(&run.exchanges), ["POST /a 200 0 0"]);
    assert_eq!(run.exchanges[0].findings, ["bad_pseudo_header"]);
}

#[test]
fn what_stands_in_pseudo_headers_is_shown() {
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/chat"),
        (":authority", "shop:8080"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ];
    let run = played([client(headers(1, 1, &fields)), server(ok(1, 1)), client(get(3, "/")), server(ok(3, 1))]);
    let [connect, other] = &run.exchanges[..] else { panic!("{:?}", brief(&run.exchanges)) };
    assert_eq!(value(connect, "connect_protocol"), "websocket");
    assert_eq!(value(connect, "authority"), "shop:8080");
    assert_eq!(value(connect, "request.headers"), "{cookie:a=1; b=2}");
    assert_eq!(value(other, "connect_protocol"), "null");
    // A host header stands for the authority, unless it may be among the fields that are not known.
    for (known, authority, url) in [(true, "shop", "http://shop/"), (false, "null", "null")] {
        let mut fields = block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("accept", "*")]);
        fields.extend(if known { block(&[("host", "shop")]) } else { vec![0x80 | 70] });
        let request = frame_of(1, flags::END_HEADERS | flags::END_STREAM, 1, fields);
        let steps = [client([frame_of(8, 0, 0, [0, 0, 1, 0]), request].concat()), server(ok(1, 1))];
        let run = if known {
            played(steps)
        } else {
            let steps =
                [client([frame_of(6, 0, 0, [0; 8]), frame_of(6, 0, 0, [0; 8])].concat())].into_iter().chain(steps);
            run_with(&timed(&steps.collect::<Vec<_>>()), true, MAX_BODY)
        };
        let exchange = run.exchanges.last().expect("a call");
        assert_eq!((&*value(exchange, "authority"), &*value(exchange, "url")), (authority, url));
    }
}

#[test]
fn an_empty_frame_of_data_is_not_believed_alone() {
    let scan = |bytes: &[u8]| scan::scan(Some(ToServer), bytes);
    let empty = data(0, 1, "");
    assert_eq!(scan(&empty), Scan::Undecided(0));
    assert_eq!(scan(&empty.repeat(2)), Scan::Undecided(0));
    assert_eq!(scan(&data(0, 1, "x")), Scan::Undecided(0));
    assert_eq!(scan(&data(0, 1, "x").repeat(2)), Scan::Found { at: 0, sender: ToServer });
    assert_eq!(scan(&get(1, "/")), Scan::Found { at: 0, sender: ToServer });
    assert_eq!(scan(&[empty, get(1, "/")].concat()), Scan::Found { at: 0, sender: ToServer });
    // What a part of a block goes on from was not seen.
    let part = frame_of(9, flags::END_HEADERS, 1, "part");
    assert_eq!(scan(&[part.clone(), get(1, "/")].concat()), Scan::Found { at: part.len(), sender: ToServer });
}

#[test]
fn an_upgrade_waits_for_the_end_of_the_request() {
    let head = "POST /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\nContent-Length: 4\r\n\r\n";
    let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let settings = frame_of(4, 0, 0, b"");
    for early in [0, 2, 4] {
        let steps = [
            client([head.as_bytes(), &b"body"[..early]].concat()),
            server([switching.as_bytes(), &settings, &ok(1, 1)].concat()),
            client([&b"body"[early..], PREFACE, &settings, &get(3, "/b")].concat()),
            server(ok(3, 1)),
        ];
        let run = run_with(&timed(&steps), false, MAX_BODY);
        assert_eq!(brief(&run.exchanges), ["POST /a 200 4 0", "GET /b 200 0 0"], "{early}");
        assert_eq!(run.counters.undecoded.total(), 0, "{early}");
    }
}

#[test]
fn a_preface_that_comes_late_leaves_open_what_the_server_allows() {
    let settings = frame_of(4, 0, 0, [0, 5, 0, 1, 0, 0]);
    let steps = [
        server(settings),
        client([&PREFACE[..], &frame_of(4, 0, 0, b""), &post(1, "/a", &[])].concat()),
        client(data(flags::END_STREAM, 1, vec![0; 20_000])),
        server(ok(1, 1)),
    ];
    for mid_stream in [false, true] {
        let run = run_with(&timed(&steps), mid_stream, MAX_BODY);
        assert_eq!(brief(&run.exchanges), ["POST /a 200 20000 0"]);
        assert!(run.counters.malformed.is_empty(), "{:?}", run.counters.malformed);
    }
}

#[test]
fn a_message_that_is_not_whole_says_why() {
    let grpc = [("content-type", "application/grpc")];
    let message = |size: u32, payload: &[u8]| [&[0][..], &size.to_be_bytes(), payload].concat();
    let sent = [message(3, b"\x0a\x01a"), message(9, b"\x0a")].concat();
    let call = [post(1, "/s.S/M", &grpc), data(0, 1, &sent)].concat();
    let told = |run: &Run| {
        let request = run.exchanges[0].request.as_ref().expect("a request");
        let messages = request.body.messages.as_ref().expect("messages");
        let why = messages.list.iter().find_map(|message| match message.carried {
            Carried::Raw { why, .. } => Some(why),
            Carried::Fields { .. } => None,
        });
        (why, messages.count)
    };
    let reset = frame_of(3, 0, 1, [0, 0, 0, 8]);
    let run = played([client([call.clone(), reset].concat())]);
    assert_eq!(told(&run), (Some("cut_short"), Some(2)));
    let run = played([client(&call)].into_iter().chain(closed()));
    assert_eq!(told(&run), (Some("cut_short"), None), "others may have followed");
    let gap = [client(&call), Step::Gap(ToServer, 100, Reason::RingFull)];
    let run = played(gap.into_iter().chain(closed()));
    assert_eq!(told(&run), (Some("lost"), None));
    let large = [post(1, "/s.S/M", &grpc), data(flags::END_STREAM, 1, message(2000, &[b'x'; 2000]))].concat();
    let steps: Vec<Step> = hello().into_iter().chain([client(&large), server(ok(1, 1))]).collect();
    let run = run_with(&timed(&steps), false, 1000);
    assert_eq!(told(&run), (Some("too_large"), Some(1)));
    assert_eq!(run.counters.limits, [("message_size_limit", 1)]);
}
