//! What gRPC makes of a call: a protocol above HTTP, its fields, and what its streams' ends mean.

use std::borrow::Cow;

use super::{Budget, metadata, schema::Schemas, status};
use crate::{
    dissect::{
        Direction, Exchange, Field, Headers, Kind, Match, Message, Protocol, Reset, Value, http,
        http2::{self, error::CANCEL},
        text,
    },
    flow::Protocol4,
    time::Time,
};

/// Never found by itself: a call of HTTP turns out to be one by its content type.
pub static GRPC: Protocol = Protocol {
    name: "grpc",
    transport: Protocol4::Tcp,
    ports: &[50051],
    fields: &[http::FIELDS, FIELDS],
    probe: |_, _| Match::No,
    open: http2::open,
    scan: None,
};

const FIELDS: &[Field] = &[
    Field { name: "grpc_service", kind: Kind::Text, json: true, doc: "Service, with its package", get: service },
    Field { name: "grpc_method", kind: Kind::Text, json: true, doc: "Method of the service", get: method },
    Field {
        name: "grpc_status",
        kind: Kind::Int,
        json: true,
        doc: "Status code as sent, 0 is OK; unknown when the stream ended without one",
        get: |exchange| code(exchange).map_or(Value::Unknown, |code| Value::Int(i64::from(code))),
    },
    Field {
        name: "grpc_status_name",
        kind: Kind::Text,
        json: true,
        doc: "Name of the status code: OK, NOT_FOUND, …",
        get: |exchange| named(code(exchange).and_then(status::name)),
    },
    Field { name: "grpc_message", kind: Kind::Text, json: true, doc: "What the status says", get: message },
    Field {
        name: "grpc_status_details",
        kind: Kind::Text,
        json: true,
        doc: "The status with its details (google.rpc.Status), as JSON",
        get: details,
    },
    Field {
        name: "grpc_timeout",
        kind: Kind::Int,
        json: true,
        doc: "Microseconds that the client gives the call",
        get: |exchange| match timeout(exchange) {
            Timeout::Nanos(nanos) => Value::Int(i64::try_from(nanos / 1000).unwrap_or(i64::MAX)),
            Timeout::None => Value::Absent,
            Timeout::Unknown => Value::Unknown,
        },
    },
    Field {
        name: "grpc_request_metadata",
        kind: Kind::TextMap,
        json: true,
        doc: "Metadata that the client sent, binary values decoded",
        get: |exchange| map(exchange.request.as_ref().map(|message| [&message.headers, &message.trailers])),
    },
    Field {
        name: "grpc_response_metadata",
        kind: Kind::TextMap,
        json: true,
        doc: "Metadata that the server sent in headers and trailers, binary values decoded",
        get: |exchange| map(exchange.response.as_ref().map(|message| [&message.headers, &message.trailers])),
    },
    Field {
        name: "grpc_request_messages",
        kind: Kind::Int,
        json: false,
        doc: "Messages that the client sent",
        get: |exchange| count(exchange.request.as_ref()),
    },
    Field {
        name: "grpc_response_messages",
        kind: Kind::Int,
        json: false,
        doc: "Messages that the server sent",
        get: |exchange| count(exchange.response.as_ref()),
    },
];

/// "Path → "/" Service-Name "/" {method name}".
fn parts(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let path = path.strip_prefix(b"/")?;
    let slash = memchr::memrchr(b'/', path)?;
    Some((&path[..slash], &path[slash + 1..]))
}

fn service(exchange: &Exchange) -> Value<'_> {
    exchange.target().and_then(parts).map_or(Value::Unknown, |(service, _)| Value::Text(text(service)))
}

fn method(exchange: &Exchange) -> Value<'_> {
    exchange.target().and_then(parts).map_or(Value::Unknown, |(_, method)| Value::Text(text(method)))
}

fn named(name: Option<&'static str>) -> Value<'static> {
    name.map_or(Value::Absent, |name| Value::Text(Cow::Borrowed(name)))
}

/// From the trailers; a call that ends at once has them in its only headers ("Trailers-Only").
fn trailer<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a [u8]> {
    let response = exchange.response.as_ref()?;
    response.trailers.get(name).or_else(|| response.headers.get(name))
}

fn code(exchange: &Exchange) -> Option<u32> {
    trailer(exchange, "grpc-status").and_then(status::code)
}

fn message(exchange: &Exchange) -> Value<'_> {
    match trailer(exchange, "grpc-message").map(metadata::percent_decoded) {
        None => Value::Absent,
        Some(Cow::Borrowed(message)) => Value::Text(text(message)),
        Some(Cow::Owned(message)) => Value::Text(Cow::Owned(text(&message).into_owned())),
    }
}

/// `grpc-message` with its coding undone.
pub fn message_text(value: &[u8]) -> Vec<u8> {
    metadata::percent_decoded(value).into_owned()
}

/// What a binary header's value stands for, as text: of the status' details the JSON that is shown.
pub fn binary_text(name: &[u8], value: &[u8]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = metadata::binary(value).flatten().collect();
    if name.eq_ignore_ascii_case(b"grpc-status-details-bin") {
        return parts.first().and_then(|part| details_of(part)).unwrap_or_default().into_bytes();
    }
    parts.join(&b", "[..])
}

fn details_of(payload: &[u8]) -> Option<String> {
    status::details(payload, &Schemas::default(), &mut Budget::new(DETAILS)).map(|tree| tree.to_string())
}

/// Text of the details, in JSON.
const DETAILS: usize = 16 << 10;

fn details(exchange: &Exchange) -> Value<'_> {
    let coded = trailer(exchange, "grpc-status-details-bin").and_then(|value| metadata::binary(value).next()?);
    coded.and_then(|payload| details_of(&payload)).map_or(Value::Absent, |text| Value::Text(Cow::Owned(text)))
}

/// How long the client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timeout {
    Nanos(u64),
    None,
    /// It may be among the headers that were not seen.
    Unknown,
}

fn timeout(exchange: &Exchange) -> Timeout {
    let Some(request) = &exchange.request else { return Timeout::Unknown };
    match request.headers.get("grpc-timeout") {
        Some(value) => metadata::timeout(value).map_or(Timeout::None, Timeout::Nanos),
        None if request.headers_size.is_none() => Timeout::Unknown,
        None => Timeout::None,
    }
}

/// Headers that the protocol itself uses ("Call-Definition"), or HTTP.
const RESERVED: [&str; 11] = [
    "te",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "user-agent",
    "host",
    "trailer",
    "date",
    "server",
];

fn map(headers: Option<[&Headers; 2]>) -> Value<'_> {
    let mut map: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for (name, value) in headers.into_iter().flatten().flat_map(Headers::iter) {
        let mut name = text(name);
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            name = Cow::Owned(name.to_ascii_lowercase());
        }
        if RESERVED.contains(&&*name) || name.starts_with("grpc-") {
            continue;
        }
        let value = if name.ends_with("-bin") { binary(value) } else { text(value) };
        match map.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => *values = Cow::Owned([values, ", ", &value].concat()),
            None => map.push((name, value)),
        }
    }
    if map.is_empty() { Value::Absent } else { Value::TextMap(map) }
}

/// Text where it is some, else hexadecimal digits; as sent where it is no base64.
fn binary(value: &[u8]) -> Cow<'_, str> {
    let Some(parts) = metadata::binary(value).collect::<Option<Vec<_>>>() else {
        return text(value);
    };
    let shown = parts.into_iter().map(|part| match String::from_utf8(part) {
        Ok(text) if !text.contains(|c: char| c.is_control()) => text,
        Ok(text) => hexadecimal(text.as_bytes()),
        Err(error) => hexadecimal(error.as_bytes()),
    });
    Cow::Owned(shown.collect::<Vec<_>>().join(", "))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut shown = String::from("0x");
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            shown.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    shown
}

fn count(message: Option<&Message>) -> Value<'_> {
    let messages = message.and_then(|message| message.body.messages.as_ref());
    let count = messages.and_then(|messages| messages.count);
    count.map_or(Value::Unknown, |count| Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// Timers end a little before or after what the header said when it was sent: so much, and at most a tenth of it.
const LATE: u64 = 5_000_000;

/// What a reset at this time means for a call: its deadline has passed, or the client has lost interest. `None` where
/// nobody can tell.
pub fn reset(exchange: &Exchange, time: Time) -> Option<&'static str> {
    let Some(Reset { by: Direction::ToServer, code: Some(CANCEL) }) = exchange.reset else {
        return None;
    };
    let elapsed = time.0.saturating_sub(exchange.request.as_ref()?.started.0);
    match timeout(exchange) {
        Timeout::Nanos(timeout) if elapsed.saturating_add(LATE.min(timeout / 10)) >= timeout => {
            Some("deadline_exceeded")
        }
        Timeout::Nanos(_) | Timeout::None => Some("cancelled_by_client"),
        Timeout::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::{Head, HttpRequest};

    #[test]
    fn a_cancel_is_told_from_a_deadline_where_the_deadline_is_known() {
        let after = |timeout: Option<&str>, known: bool, nanos: u64| {
            let mut headers = Headers::default();
            if let Some(timeout) = timeout {
                headers.push(b"grpc-timeout", timeout.as_bytes());
            }
            let request = Message {
                started: Time(1),
                ended: Time(1),
                head: Head::HttpRequest(HttpRequest::new("POST", b"/s.S/M".to_vec(), "2")),
                headers,
                headers_size: known.then_some(1),
                trailers: Headers::default(),
                body: Default::default(),
            };
            let exchange = Exchange {
                number: 0,
                revision: 0,
                open: false,
                protocol: &GRPC,
                stream_id: Some(1),
                request: Some(request),
                response: None,
                reset: Some(Reset { by: Direction::ToServer, code: Some(CANCEL) }),
                incomplete: Default::default(),
                findings: Vec::new(),
            };
            reset(&exchange, Time(1 + nanos))
        };
        assert_eq!(after(Some("1S"), true, 996_000_000), Some("deadline_exceeded"));
        assert_eq!(after(Some("1S"), true, 990_000_000), Some("cancelled_by_client"));
        // Five milliseconds would be most of it.
        assert_eq!(after(Some("6m"), true, 2_000_000), Some("cancelled_by_client"));
        assert_eq!(after(Some("6m"), true, 5_500_000), Some("deadline_exceeded"));
        assert_eq!(after(None, true, 1_000_000_000), Some("cancelled_by_client"));
        // Joined late: the header's name may be one of those that are not known.
        assert_eq!(after(None, false, 1_000_000_000), None);
        assert_eq!(after(Some("1S"), false, 1_000_000_000), Some("deadline_exceeded"));
    }
}
