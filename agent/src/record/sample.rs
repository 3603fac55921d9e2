//! Records for the stage's own tests: one private protocol with a few fields, so that the tests say what they rely on.

use std::borrow::Cow;

use super::{Origin, Record, Redactor};
use crate::{
    capture::{CaptureSource, JoinKey},
    dissect::{
        Body, Exchange, Field, Head, Headers, HttpRequest, HttpResponse, Incomplete, Kind, Match, Message, Protocol,
        Value,
    },
    flow::{Protocol4, Views},
    time::Time,
};

pub(super) static HTTP: Protocol = Protocol {
    name: "http",
    transport: Protocol4::Tcp,
    ports: &[80],
    fields: &[&[
        Field { name: "method", kind: Kind::Text, json: true, doc: "method", get: method },
        Field { name: "path", kind: Kind::Text, json: true, doc: "path", get: path },
        Field { name: "status_code", kind: Kind::Int, json: true, doc: "status", get: status },
        Field { name: "request_body_size", kind: Kind::Int, json: false, doc: "size", get: |_| Value::Int(0) },
    ]],
    probe: |_, _| Match::No,
    open: |_| unreachable!("the tests dissect nothing"),
    scan: None,
};

fn method(exchange: &Exchange) -> Value<'_> {
    match exchange.request.as_ref().map(|message| &message.head) {
        Some(Head::HttpRequest(request)) => Value::Text(Cow::Borrowed(request.method.as_deref().unwrap_or_default())),
        _ => Value::Unknown,
    }
}

fn path(exchange: &Exchange) -> Value<'_> {
    match exchange.request.as_ref().map(|message| &message.head) {
        Some(Head::HttpRequest(request)) => {
            let target = request.target.as_deref().unwrap_or_default();
            let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
            std::str::from_utf8(&target[..end]).map_or(Value::Unknown, |path| Value::Text(Cow::Borrowed(path)))
        }
        _ => Value::Unknown,
    }
}

fn status(exchange: &Exchange) -> Value<'_> {
    match exchange.response.as_ref().map(|message| &message.head) {
        Some(Head::HttpResponse(response)) => {
            response.status.map_or(Value::Unknown, |status| Value::Int(i64::from(status)))
        }
        _ => Value::Absent,
    }
}

pub(super) fn headers(pairs: &[(&str, &str)]) -> Headers {
    let mut headers =
        Headers::with_capacity(pairs.len(), pairs.iter().map(|(name, value)| name.len() + value.len()).sum());
    for (name, value) in pairs {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}

pub(super) fn body(kept: &[u8]) -> Body {
    Body {
        size: Some(kept.len() as u64),
        kept: kept.to_vec(),
        decoded: None,
        truncated: false,
        end_lost: false,
        messages: None,
    }
}

pub(super) fn request(method: &'static str, target: &str, pairs: &[(&str, &str)], kept: &[u8]) -> Message {
    Message {
        started: Time(1_795_309_323_456_789_000),
        ended: Time(1_795_309_323_456_999_000),
        head: Head::HttpRequest(HttpRequest::new(method, target.as_bytes().to_vec(), "1.1")),
        headers: headers(pairs),
        headers_size: Some(90),
        trailers: Headers::default(),
        body: body(kept),
    }
}

pub(super) fn response(status: u16, pairs: &[(&str, &str)], kept: &[u8]) -> Message {
    Message {
        started: Time(1_795_309_323_458_199_000),
        ended: Time(1_795_309_323_458_623_000),
        head: Head::HttpResponse(HttpResponse { status: Some(status), version: "1.1" }),
        headers: headers(pairs),
        headers_size: Some(60),
        trailers: Headers::default(),
        body: body(kept),
    }
}

pub(super) fn exchange(request: Option<Message>, response: Option<Message>) -> Exchange {
    Exchange {
        number: 3,
        revision: 0,
        open: false,
        protocol: &HTTP,
        stream_id: None,
        request,
        response,
        reset: None,
        incomplete: Incomplete::default(),
        findings: Vec::new(),
    }
}

pub(super) fn origin() -> Origin {
    Origin {
        epoch: 0x3f9a_1c2b,
        conn: 17,
        source: CaptureSource::Ebpf,
        client: ([10, 244, 1, 7], 50_312).into(),
        server: ([10, 244, 2, 9], 8080).into(),
        dialed: Some(([10, 96, 0, 9], 80).into()),
        views: Views { client: true, server: true },
        join_key: Some(JoinKey { client: 0x9a0c_11d2, server: 0x77e0_1b3c }),
    }
}

/// Not redacted.
pub(super) fn record(exchange: Exchange) -> Record {
    Record::new(&origin(), exchange, None)
}

/// The limit for bodies in the tests, unless they test it.
pub(super) const MAX_BODY: usize = 64 * 1024;

pub(super) fn redactor() -> Redactor {
    Redactor::new(b"test key", MAX_BODY)
}

/// The record's line, redacted.
pub(super) fn line(exchange: Exchange) -> String {
    let mut out = Vec::new();
    super::json::write(&Record::new(&origin(), exchange, Some(&redactor())), super::json::Detail::Full, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}
