//! A record in the few keys that Kubeshark's users and assistants know: what a list of calls shows.

use std::net::SocketAddr;

use super::{address, id, key, number, value};
use crate::{
    dissect::Value,
    record::{Record, address::namespace, timing::Micros},
};

/// The protocol fields it shows, and their keys here.
const FIELDS: [(&str, &str); 6] = [
    ("method", "method"),
    ("path", "path"),
    ("status_code", "status"),
    ("grpc_status", "grpc_status"),
    ("kafka_request_summary", "kafka_request_summary"),
    ("kafka_error", "kafka_error"),
];

/// Appends `{id, ts, src, dst, proto, method, path, status, grpc_status, latency_ms}`: `ts` in milliseconds since 1970, what is
/// absent left out.
pub fn write_compact(record: &Record, out: &mut Vec<u8>) {
    let exchange = &record.exchange;
    out.extend_from_slice(b"{\"id\":\"");
    id(out, record);
    out.extend_from_slice(b"\",\"ts\":");
    number(out, record.timestamp.millis());
    for (name, end) in [("src", record.client), ("dst", record.server)] {
        key(out, name);
        self::end(out, end);
    }
    out.extend_from_slice(b",\"proto\":\"");
    out.extend_from_slice(exchange.protocol.name.as_bytes());
    out.push(b'"');
    for (name, short) in FIELDS {
        if let Some(field) = exchange.protocol.fields().find(|field| field.name == name) {
            let found = (field.get)(exchange);
            if found != Value::Absent {
                key(out, short);
                value(out, &found);
            }
        }
    }
    match record.elapsed_time() {
        Micros::Absent => {}
        Micros::Unknown => out.extend_from_slice(b",\"latency_ms\":null"),
        Micros::Known(micros) => {
            key(out, "latency_ms");
            millis(out, micros);
        }
    }
    out.push(b'}');
}

fn end(out: &mut Vec<u8>, end: SocketAddr) {
    out.extend_from_slice(b"{\"ip\":\"");
    address(out, end.ip());
    out.extend_from_slice(b"\",\"port\":");
    number(out, u64::from(end.port()));
    out.extend_from_slice(b",\"ns\":\"");
    out.extend_from_slice(namespace(end.ip()).as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Microseconds as milliseconds with their fraction: `1834` → `1.834`.
fn millis(out: &mut Vec<u8>, micros: u64) {
    number(out, micros / 1000);
    let fraction = micros % 1000;
    if fraction > 0 {
        let digits = [fraction / 100, fraction / 10 % 10, fraction % 10].map(|digit| b'0' + digit as u8);
        let length = 3 - digits.iter().rev().take_while(|&&digit| digit == b'0').count();
        out.push(b'.');
        out.extend_from_slice(&digits[..length]);
    }
}
