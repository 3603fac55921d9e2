use std::{borrow::Cow, collections::HashSet};

use super::*;
use crate::{
    coverage::Reason,
    record::sample::{self, HTTP, request, response},
    time::Time,
};

fn get<'a>(catalogue: &Catalogue, name: &str, record: &'a Record) -> Value<'a> {
    catalogue.fields[catalogue.by_name[name]].get(record)
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

#[test]
fn knows_every_name_once() {
    let names: HashSet<_> = all().iter().map(|field| field.name).collect();
    assert_eq!(names.len(), all().len());
    assert_eq!(known::KNOWN.len(), 226);
    for (name, ..) in known::KNOWN {
        assert!(field(name).is_some(), "{name}");
    }
    assert!(field("no_such_field").is_none());
}

#[test]
fn kinds_are_those_that_users_know() {
    for &(name, kind, _) in known::KNOWN {
        let found = field(name).map(|field| field.kind);
        // An id is an opaque string here.
        assert_eq!(found, Some(if name == "id" { Kind::Text } else { kind }), "{name}");
    }
}

#[test]
fn every_field_has_a_meaning_and_a_value_of_its_kind() {
    let record = sample::record(sample::exchange(Some(request("GET", "/", &[], b"")), Some(response(200, &[], b""))));
    for field in Catalogue::of(&[&HTTP]).fields {
        assert!(!field.doc.is_empty(), "{}", field.name);
        let fits = match field.get(&record) {
            Value::Absent => true,
            Value::Unknown => field.collected,
            Value::Bool(_) => field.kind == Kind::Bool,
            Value::Int(_) => field.kind == Kind::Int,
            Value::Float(_) => field.kind == Kind::Float,
            Value::Text(_) => field.kind == Kind::Text,
            Value::Bytes(_) => field.kind == Kind::Bytes,
            Value::Timestamp(_) => field.kind == Kind::Timestamp,
            Value::Duration(_) => field.kind == Kind::Duration,
            Value::TextList(_) => field.kind == Kind::TextList,
            Value::TextMap(_) => field.kind == Kind::TextMap || field.kind == Kind::Map,
        };
        assert!(fits, "{}", field.name);
        assert!(field.collected || field.get(&record) == Value::Absent, "{}", field.name);
    }
}

#[test]
fn reads_a_record() {
    let mut exchange = sample::exchange(Some(request("GET", "/a?x=1", &[], b"")), Some(response(200, &[], b"")));
    exchange.incomplete.lost.add(Reason::RingFull, 1448);
    exchange.findings.push("upgraded");
    let record = sample::record(exchange);
    let catalogue = Catalogue::of(&[&HTTP]);
    let list = |texts: &[&'static str]| Value::TextList(texts.iter().map(|&text| Cow::Borrowed(text)).collect());
    for (name, value) in [
        ("id", text("3f9a1c2b-17-3")),
        ("timestamp", Value::Timestamp(Time(1_795_309_323_456_789_000))),
        ("protocol", text("http")),
        ("src.ip", text("10.244.1.7")),
        ("src.port", Value::Int(50_312)),
        ("dst.name", text("10.244.2.9")),
        ("dst.namespace", text("internal")),
        ("dst.dialed.ip", text("10.96.0.9")),
        ("dst.dialed.port", Value::Int(80)),
        ("namespaces", list(&["internal"])),
        ("elapsed_time", Value::Int(1834)),
        ("time_to_first_byte", Value::Int(1200)),
        ("conn_id", Value::Int(17)),
        ("stream", Value::Absent),
        ("view", text("both")),
        ("join_key", text("9a0c11d2-77e01b3c")),
        ("capture_source", text("ebpf")),
        ("capture_backend", text("ebpf")),
        ("capture_source_code", Value::Int(2)),
        ("http", Value::Bool(true)),
        ("tcp", Value::Bool(true)),
        ("udp", Value::Bool(false)),
        ("tls", Value::Bool(false)),
        ("method", text("GET")),
        ("path", text("/a")),
        ("status_code", Value::Int(200)),
        ("findings", list(&["upgraded"])),
        ("incomplete", Value::Bool(true)),
        ("lost_bytes", Value::Int(1448)),
        ("redis", Value::Absent),
        ("dns_questions", Value::Absent),
    ] {
        assert_eq!(get(&catalogue, name, &record), value, "{name}");
    }
}

#[test]
fn a_capture_names_its_node_and_a_file_has_none() {
    super::set_node_name("here".to_owned());
    super::set_node_name("there".to_owned());
    let mut record = sample::record(sample::exchange(Some(request("GET", "/", &[], b"")), None));
    let catalogue = Catalogue::of(&[&HTTP]);
    assert_eq!(get(&catalogue, "node_name", &record), text("here"));
    record.source = crate::capture::CaptureSource::Pcap;
    assert_eq!(get(&catalogue, "node_name", &record), Value::Absent);
}

#[test]
fn a_protocol_s_fields_are_absent_elsewhere() {
    static OTHER: Protocol = Protocol {
        name: "grpc",
        transport: Protocol4::Tcp,
        ports: &[],
        fields: &[&[crate::dissect::Field {
            name: "method",
            kind: Kind::Text,
            json: true,
            doc: "method",
            get: |_| Value::Unknown,
        }]],
        probe: HTTP.probe,
        open: HTTP.open,
        scan: None,
    };
    let catalogue = Catalogue::of(&[&HTTP, &OTHER]);
    let mut exchange = sample::exchange(Some(request("GET", "/", &[], b"")), Some(response(200, &[], b"")));
    exchange.protocol = &OTHER;
    let record = sample::record(exchange);
    assert_eq!(get(&catalogue, "status_code", &record), Value::Absent);
    assert_eq!(get(&catalogue, "method", &record), Value::Unknown);
    assert_eq!(get(&catalogue, "http", &record), Value::Bool(true), "below gRPC");
    assert_eq!(get(&catalogue, "grpc", &record), Value::Bool(true));
}

#[test]
fn values_as_text() {
    assert_eq!(to_text(&Value::Absent), None);
    assert_eq!(to_text(&Value::Unknown), None);
    assert_eq!(to_text(&Value::Int(-5)), Some("-5".to_owned()));
    assert_eq!(to_text(&Value::Bool(true)), Some("true".to_owned()));
    assert_eq!(to_text(&text("a \"b\"")), Some("a \"b\"".to_owned()));
    assert_eq!(to_text(&Value::TextList(vec!["a".into(), "b".into()])), Some("[\"a\",\"b\"]".to_owned()));
    assert_eq!(to_text(&Value::Timestamp(Time(0))), Some("1970-01-01T00:00:00.000000Z".to_owned()));
}
