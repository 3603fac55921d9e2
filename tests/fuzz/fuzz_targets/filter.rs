//! Any text as a filter, as what calls are grouped by, and as a cursor: nothing panics, what can be read is read the
//! same again, and it is evaluated on a record with and without an answer.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tapwire::{
    capture::CaptureSource,
    coverage::Counters,
    dissect::{Body, Exchange, Head, Headers, HttpRequest, HttpResponse, Incomplete, Message, PROTOCOLS},
    flow::Views,
    query::{Cursor, Question, calls, filter::Filter, stats},
    record::{Record, RecordId},
    store::{Snapshot, Store},
    time::Time,
};

/// What the texts are asked of.
static SNAPSHOT: LazyLock<Option<Snapshot>> = LazyLock::new(|| {
    let protocol = PROTOCOLS.iter().find(|protocol| protocol.name == "http")?;
    let message = |head| {
        let mut headers = Headers::with_capacity(2, 64);
        headers.push(b"Host", b"shop");
        headers.push(b"x-bytes", b"\xff\x00");
        Message {
            started: Time(1_000_000_000),
            ended: Time(2_000_000_000),
            head,
            headers,
            headers_size: Some(60),
            trailers: Headers::default(),
            body: Body {
                size: Some(5),
                kept: b"hello".to_vec(),
                decoded: None,
                truncated: false,
                end_lost: false,
                messages: None,
            },
        }
    };
    let request = HttpRequest::new("GET", b"/items/7?a=b&c=%20".to_vec(), "1.1");
    let answer = HttpResponse { status: Some(503), version: "1.1" };
    let record = |number, response| Record {
        id: RecordId { epoch: 1, conn: 2, number },
        source: CaptureSource::Pcap,
        timestamp: Time(1_000_000_000),
        client: ([10, 0, 0, 1], 50_000).into(),
        server: ([10, 0, 0, 2], 80).into(),
        dialed: None,
        views: Views::default(),
        join_key: None,
        exchange: Exchange {
            number,
            revision: 0,
            open: false,
            protocol,
            stream_id: None,
            request: Some(message(Head::HttpRequest(request.clone()))),
            response,
            reset: None,
            incomplete: Incomplete::default(),
            findings: Vec::new(),
        },
        redacted: 0,
    };
    let store = Store::new(1 << 20);
    let records = vec![record(0, None), record(1, Some(message(Head::HttpResponse(answer))))];
    store.publish(records, Counters::default(), Time(0), Time(3_000_000_000));
    Some(store.snapshot())
});

fuzz_target!(|text: &str| {
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string(), text);
    }
    let filter = Filter::parse(text);
    if let Err(error) = &filter {
        assert_eq!(error.to_string().lines().count(), 1, "one line: {error}");
    }
    let Some(snapshot) = &*SNAPSHOT else { return };
    if let Ok(filter) = filter {
        let again = Filter::parse(filter.source()).expect("its own source");
        let question = Question { filter: Some(filter), ..Question::default() };
        let page = calls(snapshot, &question, 1, None).expect("no cursor");
        let rest = page.next.map(|cursor| calls(snapshot, &question, 9, Some(&cursor)).expect("its own cursor"));
        let found = page.found.len() + rest.map_or(0, |rest| rest.found.len());
        let question = Question { filter: Some(again), ..Question::default() };
        assert_eq!(calls(snapshot, &question, 9, None).expect("no cursor").found.len(), found);
    }
    let _ = stats(snapshot, &Question::default(), &[text.to_owned()], 10);
});
