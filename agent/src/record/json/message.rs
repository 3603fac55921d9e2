//! A message in JSON: its headers as sent, and what was kept of its body.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Detail, text};
use crate::dissect::{Body, Carried, Headers, Message, Messages, StreamMessage};

/// `null` for a message that was not seen.
pub(super) fn write(out: &mut Vec<u8>, message: Option<&Message>, detail: Detail) {
    let Some(message) = message else { return out.extend_from_slice(b"null") };
    let Message { started: _, ended: _, head: _, headers, headers_size, trailers, body } = message;
    out.extend_from_slice(b"{\"headers\":");
    let unseen = headers_size.is_none() && headers.is_empty();
    if unseen {
        out.extend_from_slice(b"null");
    } else {
        pairs(out, headers);
    }
    out.extend_from_slice(b",\"headers_size\":");
    match headers_size {
        Some(size) => text::number(out, u64::from(*size)),
        None => out.extend_from_slice(b"null"),
    }
    self::body(out, body, detail);
    out.extend_from_slice(b",\"trailers\":");
    if unseen && trailers.is_empty() && body.size.is_none() {
        out.extend_from_slice(b"null");
    } else {
        pairs(out, trailers);
    }
    out.push(b'}');
}

fn body(out: &mut Vec<u8>, body: &Body, detail: Detail) {
    let Body { size, kept, decoded, truncated, end_lost: _, messages } = body;
    out.extend_from_slice(b",\"body_size\":");
    match size {
        Some(size) => text::number(out, *size),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(messages) = messages {
        return self::messages(out, messages, detail);
    }
    // Whether there was a body at all is not known either: nothing of it is claimed.
    let unknown = size.is_none() && kept.is_empty();
    if detail == Detail::Full && unknown {
        out.extend_from_slice(b",\"body\":null");
    } else if detail == Detail::Full {
        content(out, kept);
    }
    out.extend_from_slice(b",\"body_kept\":");
    text::number(out, kept.len() as u64);
    if *truncated && !unknown {
        out.extend_from_slice(b",\"body_truncated\":true");
    }
    if let Some(decoded) = decoded {
        out.extend_from_slice(b",\"content_encoding\":\"");
        out.extend_from_slice(decoded.as_bytes());
        out.push(b'"');
    }
}

/// What a body of messages carries.
fn messages(out: &mut Vec<u8>, messages: &Messages, detail: Detail) {
    let Messages { list, count, bytes } = messages;
    out.extend_from_slice(b",\"message_count\":");
    text::number(out, *count);
    out.extend_from_slice(b",\"message_bytes\":");
    text::number(out, *bytes);
    out.extend_from_slice(b",\"messages\":[");
    for (index, StreamMessage { size, carried, encoding }) in list.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"size\":" } else { b"{\"size\":" });
        text::number(out, u64::from(*size));
        if let Some(encoding) = encoding {
            out.extend_from_slice(b",\"encoding\":\"");
            out.extend_from_slice(encoding.as_bytes());
            out.push(b'"');
        }
        if detail == Detail::Full {
            self::carried(out, carried);
        }
        out.push(b'}');
    }
    out.push(b']');
}

fn carried(out: &mut Vec<u8>, carried: &Carried) {
    match carried {
        Carried::Fields { json, type_name, learned, cut } => {
            out.extend_from_slice(b",\"fields\":");
            out.extend_from_slice(json);
            match type_name {
                None => out.extend_from_slice(b",\"guessed\":true"),
                Some(name) => {
                    out.extend_from_slice(b",\"type\":");
                    text::utf8_string(out, name);
                }
            }
            if *learned {
                out.extend_from_slice(b",\"type_from\":\"reflection\"");
            }
            if *cut {
                out.extend_from_slice(b",\"fields_truncated\":true");
            }
        }
        Carried::Raw { bytes, why } => {
            content(out, bytes);
            out.extend_from_slice(b",\"not_decoded\":\"");
            out.extend_from_slice(why.as_bytes());
            out.push(b'"');
        }
    }
}

/// `,"body":…,"body_encoding":…`: as text where it is some.
fn content(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(kept) => {
            out.extend_from_slice(b",\"body\":");
            text::utf8_string(out, kept);
            out.extend_from_slice(b",\"body_encoding\":\"utf8\"");
        }
        Err(_) => {
            out.extend_from_slice(b",\"body\":\"");
            base64(out, bytes);
            out.extend_from_slice(b"\",\"body_encoding\":\"base64\"");
        }
    }
}

/// Straight into the buffer: a body can be large.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

fn pairs(out: &mut Vec<u8>, headers: &Headers) {
    out.push(b'[');
    let text = |out: &mut Vec<u8>, text: Option<&[u8]>| match text {
        Some(text) => text::string(out, text),
        None => out.extend_from_slice(b"null"),
    };
    for (index, (name, value)) in headers.all().enumerate() {
        out.extend_from_slice(if index > 0 { b",[" } else { b"[" });
        text(out, name);
        out.push(b',');
        text(out, value);
        out.push(b']');
    }
    out.push(b']');
}
