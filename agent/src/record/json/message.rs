//! A message in JSON: its headers as sent, and what was kept of its body.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Detail, text};
use crate::dissect::{Body, Headers, Message};

/// `null` for a message that was not seen.
pub(super) fn write(out: &mut Vec<u8>, message: Option<&Message>, detail: Detail) {
    let Some(message) = message else { return out.extend_from_slice(b"null") };
    let Message { started: _, ended: _, head: _, headers, headers_size, trailers, body } = message;
    out.extend_from_slice(b"{\"headers\":");
    pairs(out, headers);
    out.extend_from_slice(b",\"headers_size\":");
    text::number(out, u64::from(*headers_size));
    self::body(out, body, detail);
    out.extend_from_slice(b",\"trailers\":");
    pairs(out, trailers);
    out.push(b'}');
}

fn body(out: &mut Vec<u8>, body: &Body, detail: Detail) {
    let Body { size, kept, decoded, truncated, end_lost: _ } = body;
    out.extend_from_slice(b",\"body_size\":");
    match size {
        Some(size) => text::number(out, *size),
        None => out.extend_from_slice(b"null"),
    }
    // Whether there was a body at all is not known either: nothing of it is claimed.
    let unknown = size.is_none() && kept.is_empty();
    if detail == Detail::Full && unknown {
        out.extend_from_slice(b",\"body\":null");
    } else if detail == Detail::Full {
        match std::str::from_utf8(kept) {
            Ok(kept) => {
                out.extend_from_slice(b",\"body\":");
                text::utf8_string(out, kept);
                out.extend_from_slice(b",\"body_encoding\":\"utf8\"");
            }
            Err(_) => {
                out.extend_from_slice(b",\"body\":\"");
                base64(out, kept);
                out.extend_from_slice(b"\",\"body_encoding\":\"base64\"");
            }
        }
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

/// Straight into the buffer: a body can be large.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

fn pairs(out: &mut Vec<u8>, headers: &Headers) {
    out.push(b'[');
    for (index, (name, value)) in headers.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",[" } else { b"[" });
        text::string(out, name);
        out.push(b',');
        text::string(out, value);
        out.push(b']');
    }
    out.push(b']');
}
