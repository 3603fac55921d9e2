//! What the filter, the schemas and the docs know of HTTP.

use std::borrow::Cow;

use crate::dissect::{
    Body, Direction, Exchange, Field, Head, Headers, HttpRequest, HttpResponse, Kind, Message, Value, http2::error,
    text,
};

pub const FIELDS: &[Field] = &[
    Field { name: "method", kind: Kind::Text, json: true, doc: "Request method, as sent", get: method },
    Field { name: "path", kind: Kind::Text, json: true, doc: "Path of the request, without query", get: path },
    Field { name: "url", kind: Kind::Text, json: true, doc: "URL of the request, with its query", get: url },
    Field {
        name: "authority",
        kind: Kind::Text,
        json: true,
        doc: "Host and port that the client asked for: :authority, or the Host header",
        get: authority,
    },
    Field {
        name: "connect_protocol",
        kind: Kind::Text,
        json: true,
        doc: "What an extended CONNECT (RFC 8441) asks for: websocket, …",
        get: connect_protocol,
    },
    Field { name: "http_version", kind: Kind::Text, json: true, doc: "1.0, 1.1, 2 or 3", get: http_version },
    Field { name: "status_code", kind: Kind::Int, json: true, doc: "Status of the final response", get: status_code },
    Field {
        name: "stream_error",
        kind: Kind::Text,
        json: true,
        doc: "Error code of the RST_STREAM that ended the HTTP/2 stream before its time, or of the GOAWAY that left it \
              out: CANCEL, REFUSED_STREAM, …, 0x1f for one without a name",
        get: |exchange| match exchange.reset.map(|reset| reset.code) {
            None => Value::Absent,
            Some(None) => Value::Unknown,
            Some(Some(code)) => Value::Text(error::name(code)),
        },
    },
    Field {
        name: "stream_reset_by",
        kind: Kind::Text,
        json: true,
        doc: "Who ended the stream: client or server",
        get: |exchange| match exchange.reset.map(|reset| reset.by) {
            None => Value::Absent,
            Some(Direction::ToServer) => Value::Text(Cow::Borrowed("client")),
            Some(Direction::ToClient) => Value::Text(Cow::Borrowed("server")),
        },
    },
    Field {
        name: "query_string",
        kind: Kind::TextMap,
        json: false,
        doc: "Query parameters, decoded",
        get: query_string,
    },
    Field {
        name: "request.headers",
        kind: Kind::TextMap,
        json: false,
        doc: "Request headers by lower-case name, repeats joined by \", \", cookies by \"; \"",
        get: |exchange| of_request(exchange, |message| Value::TextMap(header_map(&message.headers))),
    },
    Field {
        name: "response.headers",
        kind: Kind::TextMap,
        json: false,
        doc: "Response headers by lower-case name, repeats joined by \", \"",
        get: |exchange| of_response(exchange, |message| Value::TextMap(header_map(&message.headers))),
    },
    Field {
        name: "request.cookies",
        kind: Kind::TextMap,
        json: false,
        doc: "Cookies that the client sent",
        get: |exchange| of_request(exchange, |message| Value::TextMap(cookies(&message.headers, "cookie", true))),
    },
    Field {
        name: "response.cookies",
        kind: Kind::TextMap,
        json: false,
        doc: "Cookies that the server set, without their attributes",
        get: |exchange| of_response(exchange, |message| Value::TextMap(cookies(&message.headers, "set-cookie", false))),
    },
    Field {
        name: "request_headers_size",
        kind: Kind::Int,
        json: false,
        doc: "Bytes from the request line to the blank line, inclusive",
        get: |exchange| {
            of_request(exchange, |message| {
                message.headers_size.map_or(Value::Unknown, |size| Value::Int(i64::from(size)))
            })
        },
    },
    Field {
        name: "request_body_size",
        kind: Kind::Int,
        json: false,
        doc: "Bytes of the request's body, after transfer and before content decoding",
        get: |exchange| of_request(exchange, |message| size(&message.body)),
    },
    Field {
        name: "response_headers_size",
        kind: Kind::Int,
        json: false,
        doc: "Bytes from the status line to the blank line, inclusive",
        get: |exchange| {
            of_response(exchange, |message| {
                message.headers_size.map_or(Value::Unknown, |size| Value::Int(i64::from(size)))
            })
        },
    },
    Field {
        name: "response_body_size",
        kind: Kind::Int,
        json: false,
        doc: "Bytes of the response's body, after transfer and before content decoding",
        get: |exchange| of_response(exchange, |message| size(&message.body)),
    },
    Field {
        name: "request_body",
        kind: Kind::Text,
        json: false,
        doc: "What was kept of the request's body",
        get: |exchange| of_request(exchange, |message| Value::Text(text(&message.body.kept))),
    },
    Field {
        name: "response_body",
        kind: Kind::Text,
        json: false,
        doc: "What was kept of the response's body",
        get: |exchange| of_response(exchange, |message| Value::Text(text(&message.body.kept))),
    },
];

fn request(exchange: &Exchange) -> Option<(&Message, &HttpRequest)> {
    match exchange.request.as_ref()? {
        message @ Message { head: Head::HttpRequest(head), .. } => Some((message, head)),
        _ => None,
    }
}

fn response(exchange: &Exchange) -> Option<(&Message, &HttpResponse)> {
    match exchange.response.as_ref()? {
        message @ Message { head: Head::HttpResponse(head), .. } => Some((message, head)),
        _ => None,
    }
}

/// A half that was not seen is looked for and not known.
fn of_request<'a>(exchange: &'a Exchange, get: impl FnOnce(&'a Message) -> Value<'a>) -> Value<'a> {
    request(exchange).map_or(Value::Unknown, |(message, _)| get(message))
}

fn of_response<'a>(exchange: &'a Exchange, get: impl FnOnce(&'a Message) -> Value<'a>) -> Value<'a> {
    response(exchange).map_or(Value::Unknown, |(message, _)| get(message))
}

fn size(body: &Body) -> Value<'_> {
    body.size.map_or(Value::Unknown, |size| Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn method(exchange: &Exchange) -> Value<'_> {
    let method = request(exchange).and_then(|(_, head)| head.method.as_deref());
    method.map_or(Value::Unknown, |method| Value::Text(Cow::Borrowed(method)))
}

fn http_version(exchange: &Exchange) -> Value<'_> {
    let [asked, answered] =
        [request(exchange).map(|(_, head)| head.version), response(exchange).map(|(_, head)| head.version)];
    // An upgrade was asked for in the older one.
    let version = answered.filter(|version| *version == "2").or(asked).or(answered);
    version.map_or(Value::Unknown, |version| Value::Text(Cow::Borrowed(version)))
}

fn status_code(exchange: &Exchange) -> Value<'_> {
    let status = response(exchange).and_then(|(_, head)| head.status);
    status.map_or(Value::Unknown, |status| Value::Int(i64::from(status)))
}

fn path(exchange: &Exchange) -> Value<'_> {
    let Some((target, head)) = target(exchange) else {
        return Value::Unknown;
    };
    // RFC 8441: only in HTTP/2 it may have one.
    if head.method.as_deref() == Some("CONNECT") && (head.site.is_none() || !target.starts_with(b"/")) {
        return Value::Absent;
    }
    let target = origin(target);
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len()).min(fragment(target));
    // RFC 3986 section 6.2.3: the path of `http://host` is `/`.
    Value::Text(if end == 0 { Cow::Borrowed("/") } else { text(&target[..end]) })
}

/// The target without scheme and authority, if it has them (RFC 9112 section 3.2.2).
fn origin(target: &[u8]) -> &[u8] {
    authority_range(target).map_or(target, |range| &target[range.end..])
}

/// The authority of a target that has one; else empty.
fn authority_of(target: &[u8]) -> &[u8] {
    authority_range(target).map_or(&[], |range| &target[range])
}

fn authority_range(target: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = authority_start(target)?;
    let authority = &target[start..];
    let end = authority.iter().position(|byte| b"/?".contains(byte)).unwrap_or(authority.len());
    Some(start..start + end.min(fragment(authority)))
}

/// Where a fragment begins. A target has none (RFC 9112 section 3.2), but some clients send it. It has no space of its
/// own either, so a `#` behind one is that of a redacted value: `[redacted 3 B #1f3a9c0d7e22b104]`.
fn fragment(target: &[u8]) -> usize {
    let mut hashes = memchr::memchr_iter(b'#', target);
    hashes.find(|&at| at == 0 || target[at - 1] != b' ').unwrap_or(target.len())
}

/// Behind `scheme://` (RFC 3986 section 3.1).
fn authority_start(target: &[u8]) -> Option<usize> {
    let colon = target.iter().position(|&byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)))?;
    (colon > 0 && target[colon..].starts_with(b"://")).then_some(colon + 3)
}

/// The request's target, when it is known.
fn target(exchange: &Exchange) -> Option<(&[u8], &HttpRequest)> {
    request(exchange).and_then(|(_, head)| Some((head.target.as_deref()?, head)))
}

fn url(exchange: &Exchange) -> Value<'_> {
    let Some((target, head)) = target(exchange) else {
        return Value::Unknown;
    };
    if !target.starts_with(b"/") {
        return Value::Text(text(target));
    }
    let scheme: &[u8] = match head.site.as_deref().map(|site| &site.scheme) {
        // RFC 9110 section 7.1: the scheme is that of the connection.
        None => b"http",
        Some(Some(scheme)) => scheme,
        Some(None) => return Value::Unknown,
    };
    match authority(exchange) {
        Value::Text(authority) => Value::Text(Cow::Owned([&text(scheme), "://", &authority, &text(target)].concat())),
        Value::Unknown => Value::Unknown,
        _ => Value::Text(text(target)),
    }
}

/// HTTP/2 sends it apart (RFC 9113 section 8.3.1), and a host header may stand for it; HTTP/1 sends a host header, unless
/// it is in the target (RFC 9112 section 3.2).
fn authority(exchange: &Exchange) -> Value<'_> {
    let Some((message, head)) = request(exchange) else {
        return Value::Unknown;
    };
    let sent: &[u8] = match (&head.site, head.target.as_deref()) {
        (Some(site), _) => match &site.authority {
            Some(authority) => authority,
            None => return Value::Unknown,
        },
        (None, Some(target)) if head.method.as_deref() == Some("CONNECT") && !target.starts_with(b"/") => target,
        (None, target) => target.map_or(&[], authority_of),
    };
    match (sent, message.headers.get("host").unwrap_or_default()) {
        ([], []) if message.headers_size.is_none() => Value::Unknown,
        ([], []) => Value::Absent,
        ([], host) => Value::Text(text(host)),
        (sent, _) => Value::Text(text(sent)),
    }
}

/// RFC 8441: of requests whose method may be CONNECT.
fn connect_protocol(exchange: &Exchange) -> Value<'_> {
    let Some((_, HttpRequest { method, target: _, site: Some(site), version: _ })) = request(exchange) else {
        return Value::Absent;
    };
    match &site.protocol {
        Some(protocol) if protocol.is_empty() => Value::Absent,
        Some(protocol) => Value::Text(text(protocol)),
        None if method.as_deref().is_none_or(|method| method == "CONNECT") => Value::Unknown,
        None => Value::Absent,
    }
}

fn query_string(exchange: &Exchange) -> Value<'_> {
    let Some((target, _)) = target(exchange) else {
        return Value::Unknown;
    };
    let target = &target[..fragment(target)];
    let Some(question) = target.iter().position(|&byte| byte == b'?') else {
        return Value::TextMap(Vec::new());
    };
    let mut map = Vec::new();
    let pairs = target[question + 1..].split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
    for pair in pairs.take(PARAMETERS) {
        let (name, value) = split_once(pair, b'=').unwrap_or((pair, &[]));
        insert(&mut map, percent_decoded(name), percent_decoded(value), ", ");
    }
    Value::TextMap(map)
}

/// Parameters shown of one query: a target of 64 KiB could hold 32 thousand, which a filter would sort for each record.
const PARAMETERS: usize = 1024;

/// `%XX`, and `+` for a space as forms write it (WHATWG URL section 5.1).
fn percent_decoded(bytes: &[u8]) -> Cow<'_, str> {
    if !bytes.iter().any(|byte| b"%+".contains(byte)) {
        return text(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = |at: usize| after.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            (b'+', ..) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    Cow::Owned(text(&decoded).into_owned())
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let found = bytes.iter().position(|&byte| byte == at)?;
    Some((&bytes[..found], &bytes[found + 1..]))
}

type Map<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

fn header_map(headers: &Headers) -> Map<'_> {
    let mut map = Vec::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        let mut name = text(name);
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            name = Cow::Owned(name.to_ascii_lowercase());
        }
        // RFC 9113 section 8.2.3: cookies may come one by one, and are joined so.
        let separator = if name == "cookie" { "; " } else { ", " };
        insert(&mut map, name, text(value), separator);
    }
    map
}

/// RFC 6265: `a=b; c=d` from a client, one `a=b; attributes` in each header from a server.
fn cookies<'a>(headers: &'a Headers, header: &str, all: bool) -> Map<'a> {
    let mut map = Vec::new();
    for (_, value) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header.as_bytes())) {
        let pairs = value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty());
        for (name, value) in pairs.take(if all { usize::MAX } else { 1 }).filter_map(|pair| split_once(pair, b'=')) {
            insert(&mut map, text(name), text(value), ", ");
        }
    }
    map
}

fn insert<'a>(map: &mut Map<'a>, name: Cow<'a, str>, value: Cow<'a, str>, separator: &str) {
    match map.iter_mut().find(|(known, _)| *known == name) {
        Some((_, values)) => *values = Cow::Owned([values, separator, &value].concat()),
        None => map.push((name, value)),
    }
}
