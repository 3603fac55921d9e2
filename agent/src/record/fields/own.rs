//! The fields that every record has, whatever its protocol.

use std::{borrow::Cow, net::SocketAddr, sync::OnceLock};

use crate::{
    capture::CaptureSource,
    dissect::Kind::{self, Bool, Int, Text, TextList, Timestamp},
    dissect::Value,
    flow::Views,
    record::{Record, address, json, timing::Micros},
};

type Row = (&'static str, Kind, &'static str, for<'a> fn(&'a Record) -> Value<'a>);

/// Name, type, meaning, and how it is read.
pub(super) const OWN: &[Row] = &[
    ("id", Text, "the call's id, as in every answer", |record| text(record.id.to_string())),
    ("timestamp", Timestamp, "time of the first request byte, else of the first response byte", |record| {
        Value::Timestamp(record.timestamp)
    }),
    ("protocol", Text, "the most specific protocol", |record| name(record.exchange.protocol.name)),
    ("src.ip", Text, "the client's address", |record| ip(record.client)),
    ("src.port", Int, "the client's port", |record| int(record.client.port())),
    ("src.name", Text, "the client's name: its address, when nothing better is known", |record| ip(record.client)),
    ("src.namespace", Text, "the client's namespace; outside any pod `internal` or `public`", |record| {
        name(address::namespace(record.client.ip()))
    }),
    ("dst.ip", Text, "the address that was reached", |record| ip(record.server)),
    ("dst.port", Int, "the port that was reached", |record| int(record.server.port())),
    ("dst.name", Text, "the server's name: its address, when nothing better is known", |record| ip(record.server)),
    ("dst.namespace", Text, "the server's namespace; outside any pod `internal` or `public`", |record| {
        name(address::namespace(record.server.ip()))
    }),
    ("dst.dialed.ip", Text, "the address that the client called, when another one was reached", |record| {
        record.dialed.map_or(Value::Absent, ip)
    }),
    ("dst.dialed.port", Int, "the port that the client called, when another endpoint was reached", |record| {
        record.dialed.map_or(Value::Absent, |dialed| int(dialed.port()))
    }),
    ("namespaces", TextList, "the namespaces of both ends", |record| {
        let mut both = vec![address::namespace(record.client.ip()), address::namespace(record.server.ip())];
        both.dedup();
        list(both.into_iter())
    }),
    ("elapsed_time", Int, "from the first request byte to the last response byte, in microseconds", |record| {
        micros(record.elapsed_time())
    }),
    ("time_to_first_byte", Int, "from the last request byte to the first response byte, in microseconds", |record| {
        micros(record.time_to_first_byte())
    }),
    ("conn_id", Int, "the connection; calls of one connection have the same", |record| int(record.id.conn)),
    ("stream", Text, "the stream within its connection, for protocols that have streams", |record| {
        record.exchange.stream_id.map_or(Value::Absent, |stream| text(stream.to_string()))
    }),
    ("stream_id", Int, "the stream within its connection, for protocols that have streams", |record| {
        record.exchange.stream_id.map_or(Value::Absent, int)
    }),
    ("view", Text, "whose socket was seen: `client`, `server` or `both`", |record| {
        view(record.views).map_or(Value::Absent, name)
    }),
    ("join_key", Text, "client and server initial sequence numbers: the same at both ends of a connection", |record| {
        record.join_key.map_or(Value::Absent, |key| {
            let mut out = Vec::with_capacity(17);
            json::join_key(&mut out, key);
            text(String::from_utf8_lossy(&out).into_owned())
        })
    }),
    ("capture_source", Text, "where the bytes came from: `ebpf`, `ebpf_tls` or `pcap`", |record| {
        name(record.source.name())
    }),
    ("capture_backend", Text, "how they were captured: `ebpf` or `pcap`", |record| name(record.source.name())),
    ("capture_source_code", Int, "capture_source as a number: ebpf is 2, pcap is 4", |record| {
        int(source_code(record.source))
    }),
    ("tls", Bool, "the connection was encrypted, also when it could be read", |_| Value::Bool(false)),
    ("findings", TextList, "what is worth a look, by short names", |record| {
        list(record.exchange.findings.iter().copied())
    }),
    ("incomplete", Bool, "bytes of the call are missing", |record| Value::Bool(!record.exchange.incomplete.is_empty())),
    ("lost_bytes", Int, "bytes that passed and were not captured", |record| {
        int(record.exchange.incomplete.lost.total())
    }),
    ("skipped_bytes", Int, "bytes that were left out by policy", |record| {
        int(record.exchange.incomplete.skipped.total())
    }),
    ("redacted", Int, "values that were replaced", |record| int(record.redacted)),
    ("open", Bool, "the call goes on", |record| Value::Bool(record.exchange.open)),
    ("node_name", Text, "the node that captured it", |record| match (record.source, NODE.get()) {
        (CaptureSource::Ebpf, Some(node)) => name(node),
        (CaptureSource::Ebpf | CaptureSource::Pcap, _) => Value::Absent,
    }),
];

/// A process captures one node, so its name is not kept in each record.
static NODE: OnceLock<String> = OnceLock::new();

/// Says which node this process captures. Once, at its start; later calls change nothing.
pub fn set_node_name(name: String) {
    let _ = NODE.set(name);
}

/// `None` when neither end was seen at its own socket, as in capture files.
pub(in crate::record) fn view(views: Views) -> Option<&'static str> {
    match views {
        Views { client: true, server: true } => Some("both"),
        Views { client: true, server: false } => Some("client"),
        Views { client: false, server: true } => Some("server"),
        Views { client: false, server: false } => None,
    }
}

/// Kubeshark's numbers (1 is its packet socket, 3 its TLS probes), and the next one for files.
fn source_code(source: CaptureSource) -> u32 {
    match source {
        CaptureSource::Ebpf => 2,
        CaptureSource::Pcap => 4,
    }
}

fn name(name: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(name))
}

fn text<'a>(text: String) -> Value<'a> {
    Value::Text(Cow::Owned(text))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> Value<'a> {
    Value::TextList(names.map(Cow::Borrowed).collect())
}

fn ip<'a>(end: SocketAddr) -> Value<'a> {
    let mut out = Vec::with_capacity(15);
    json::address(&mut out, end.ip());
    text(String::from_utf8_lossy(&out).into_owned())
}

/// Counts beyond what the filter's integers hold stay at their largest.
fn int<'a>(value: impl Into<u64>) -> Value<'a> {
    Value::Int(i64::try_from(value.into()).unwrap_or(i64::MAX))
}

fn micros<'a>(micros: Micros) -> Value<'a> {
    match micros {
        Micros::Absent => Value::Absent,
        Micros::Unknown => Value::Unknown,
        Micros::Known(micros) => int(micros),
    }
}
