//! A record as it is printed: by `-o jsonl`, by `call`, and in the answers of MCP. Written by hand into a buffer, since
//! `read` prints millions of lines. Scripts hold on to the shape: add to it, never change it.

mod compact;
mod message;
mod text;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

pub use compact::write_compact;
pub(super) use text::{address, number};

use super::{Record, address::namespace, fields, timing::Micros};
use crate::{capture::JoinKey, dissect::Value};

/// How much of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Bodies, too.
    Full,
    /// Of bodies only their sizes.
    WithoutBodies,
}

/// Appends the record as one JSON object, without a line end.
pub fn write(record: &Record, detail: Detail, out: &mut Vec<u8>) {
    let exchange = &record.exchange;
    out.reserve(estimate(record));
    out.extend_from_slice(b"{\"id\":\"");
    id(out, record);
    out.extend_from_slice(b"\",\"timestamp\":\"");
    record.timestamp.write_rfc3339(out);
    out.extend_from_slice(b"\",\"protocol\":\"");
    out.extend_from_slice(exchange.protocol.name.as_bytes());
    out.extend_from_slice(b"\",\"capture_source\":\"");
    out.extend_from_slice(record.source.name().as_bytes());
    out.extend_from_slice(b"\",\"conn_id\":");
    number(out, record.id.conn);
    if let Some(stream) = exchange.stream_id {
        out.extend_from_slice(b",\"stream_id\":");
        number(out, stream);
    }
    if exchange.open {
        out.extend_from_slice(b",\"open\":true,\"revision\":");
        number(out, u64::from(exchange.revision));
    }
    if let Some(view) = fields::view(record.views) {
        out.extend_from_slice(b",\"view\":\"");
        out.extend_from_slice(view.as_bytes());
        out.push(b'"');
    }
    if let Some(key) = record.join_key {
        out.extend_from_slice(b",\"join_key\":\"");
        join_key(out, key);
        out.push(b'"');
    }
    out.extend_from_slice(b",\"src\":{");
    end(out, record.client);
    out.extend_from_slice(b"},\"dst\":{");
    end(out, record.server);
    if let Some(dialed) = record.dialed {
        out.extend_from_slice(b",\"dialed\":{\"ip\":\"");
        address(out, dialed.ip());
        out.extend_from_slice(b"\",\"port\":");
        number(out, u64::from(dialed.port()));
        out.push(b'}');
    }
    out.push(b'}');
    for field in exchange.protocol.fields().filter(|field| field.json) {
        member(out, field.name, &(field.get)(exchange));
    }
    micros(out, "elapsed_time", record.elapsed_time());
    micros(out, "time_to_first_byte", record.time_to_first_byte());
    out.extend_from_slice(b",\"request\":");
    message::write(out, exchange.request.as_ref(), detail);
    out.extend_from_slice(b",\"response\":");
    message::write(out, exchange.response.as_ref(), detail);
    if !exchange.incomplete.is_empty() {
        out.extend_from_slice(b",\"incomplete\":{\"lost_bytes\":");
        number(out, exchange.incomplete.lost.total());
        out.extend_from_slice(b",\"skipped_bytes\":");
        number(out, exchange.incomplete.skipped.total());
        out.extend_from_slice(b",\"reasons\":");
        names(out, exchange.incomplete.reasons().into_iter().map(|reason| reason.name()));
        out.push(b'}');
    }
    if !exchange.findings.is_empty() {
        out.extend_from_slice(b",\"findings\":");
        names(out, exchange.findings.iter().copied());
    }
    out.extend_from_slice(b",\"redacted\":");
    number(out, u64::from(record.redacted));
    out.push(b'}');
}

/// So that the buffer rarely grows inside a line.
fn estimate(record: &Record) -> usize {
    const FIXED: usize = 640;
    let message = |message: &crate::dissect::Message| {
        message.headers.heap() + message.headers.len() * 2 + message.body.kept.len() * 5 / 4 + 256
    };
    let messages = [&record.exchange.request, &record.exchange.response];
    FIXED + messages.into_iter().flatten().map(message).sum::<usize>()
}

/// The same as `RecordId`'s `Display`, which is slower.
pub(super) fn id(out: &mut Vec<u8>, record: &Record) {
    if record.id.epoch != 0 {
        hexadecimal(out, record.id.epoch);
        out.push(b'-');
    }
    number(out, record.id.conn);
    out.push(b'-');
    number(out, u64::from(record.id.number));
}

/// `9a0c11d2-77e01b3c`: client and server initial sequence numbers.
pub(super) fn join_key(out: &mut Vec<u8>, key: JoinKey) {
    hexadecimal(out, key.client);
    out.push(b'-');
    hexadecimal(out, key.server);
}

fn hexadecimal(out: &mut Vec<u8>, value: u32) {
    for shift in (0..8).rev() {
        let nibble = (value >> (shift * 4) & 15) as u8;
        out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    }
}

/// The members of `src` or `dst`. Without a pod, service or name behind it, an address is its own name.
fn end(out: &mut Vec<u8>, end: SocketAddr) {
    out.extend_from_slice(b"\"ip\":\"");
    let start = out.len();
    address(out, end.ip());
    let ip = start..out.len();
    out.extend_from_slice(b"\",\"port\":");
    number(out, u64::from(end.port()));
    out.extend_from_slice(b",\"name\":\"");
    out.extend_from_within(ip);
    out.extend_from_slice(b"\",\"namespace\":\"");
    out.extend_from_slice(namespace(end.ip()).as_bytes());
    out.push(b'"');
}

/// `,"name":value`, or nothing when the value is absent.
fn member(out: &mut Vec<u8>, name: &str, value: &Value<'_>) {
    if *value == Value::Absent {
        return;
    }
    key(out, name);
    self::value(out, value);
}

/// `,"name":`, for names of our own, which need no escapes.
fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn micros(out: &mut Vec<u8>, name: &str, micros: Micros) {
    match micros {
        Micros::Absent => {}
        Micros::Unknown => {
            key(out, name);
            out.extend_from_slice(b"null");
        }
        Micros::Known(micros) => {
            key(out, name);
            number(out, micros);
        }
    }
}

/// Appends a field's value; what is absent or unknown as null.
pub fn value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Absent | Value::Unknown => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => text::signed(out, *value),
        // RFC 8259, 6: JSON has no number that is none.
        Value::Float(value) if !value.is_finite() => out.extend_from_slice(b"null"),
        Value::Float(value) => out.extend_from_slice(format!("{value:?}").as_bytes()),
        Value::Text(text) => text::utf8_string(out, text),
        Value::Bytes(bytes) => text::string(out, bytes),
        Value::Timestamp(time) => {
            out.push(b'"');
            time.write_rfc3339(out);
            out.push(b'"');
        }
        // Durations are printed in whole microseconds.
        Value::Duration(nanos) => text::signed(out, nanos / 1000),
        Value::TextList(texts) => {
            out.push(b'[');
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                text::utf8_string(out, text);
            }
            out.push(b']');
        }
        Value::TextMap(pairs) => {
            out.push(b'{');
            for (index, (name, text)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                text::utf8_string(out, name);
                out.push(b':');
                text::utf8_string(out, text);
            }
            out.push(b'}');
        }
    }
}

/// A list of names of our own.
fn names<'a>(out: &mut Vec<u8>, names: impl Iterator<Item = &'a str>) {
    out.push(b'[');
    for (index, name) in names.enumerate() {
        out.extend_from_slice(if index > 0 { b",\"" } else { b"\"" });
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
    }
    out.push(b']');
}
