//! `multipart/form-data` (RFC 7578): a field's value under a secret name. Known by its first line, the boundary.

use std::ops::Range;

use memchr::memmem;

use super::{
    json,
    names::{self, Place},
    rewrite::{Rewriter, find},
};

/// RFC 2046, 5.1.1: a boundary has 70 characters at most, after two hyphens.
const BOUNDARY: usize = 72;

/// Whether a body starts with a boundary line and the header of a part.
pub(super) fn looks_like(body: &[u8]) -> bool {
    const HEADER: &[u8] = b"content-";
    let Some(boundary) = boundary(body) else { return false };
    let rest = body[boundary.len()..].trim_ascii_start();
    let front = &rest[..rest.len().min(HEADER.len())];
    front.eq_ignore_ascii_case(&HEADER[..front.len()])
}

fn boundary(body: &[u8]) -> Option<&[u8]> {
    let front = &body[..body.len().min(BOUNDARY + 2)];
    let line = &front[..memchr::memchr(b'\n', front)?];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (line.len() > 2 && line.starts_with(b"--")).then_some(line)
}

pub(super) fn redact(rewriter: &mut Rewriter<'_>) {
    let body = rewriter.source;
    let Some(boundary) = boundary(body) else { return };
    let boundaries = memmem::Finder::new(boundary);
    let mut at = boundary.len();
    while at < body.len() && !rewriter.full() {
        let end = boundaries.find(&body[at..]).map_or(body.len(), |next| at + next);
        part(rewriter, at..end);
        at = end + boundary.len();
    }
}

/// One part: from behind its boundary to the next one.
fn part(rewriter: &mut Rewriter<'_>, range: Range<usize>) {
    let Some((headers, value)) = split(rewriter.source, range.clone()) else {
        return json::redact(rewriter, range, false);
    };
    if name(&rewriter.source[headers]).is_some_and(|name| names::is_secret(name, Place::Parameter)) {
        rewriter.replace(value.clone(), &rewriter.source[value]);
    } else {
        let looks_like_json = json::looks_like(&rewriter.source[value.clone()]);
        json::redact(rewriter, value, looks_like_json);
    }
}

/// The headers and the value of a part. `None` when the body was cut before the value.
fn split(body: &[u8], range: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let mut line = find(body, range.clone(), b'\n')? + 1;
    let headers = line;
    loop {
        let end = find(body, line..range.end, b'\n')?;
        let blank = matches!(&body[line..end], b"" | b"\r");
        line = end + 1;
        if blank {
            break;
        }
    }
    // The line end before a boundary belongs to it (RFC 2046, 5.1.1).
    let mut end = range.end;
    if end < body.len() {
        for byte in *b"\n\r" {
            end -= usize::from(end > line && body[end - 1] == byte);
        }
    }
    Some((headers..line, line..end))
}

/// The `name` of Content-Disposition, quoted or not.
fn name(headers: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let lower = headers[at..].windows(5).position(|window| window.eq_ignore_ascii_case(b"name="))?;
        let found = at + lower;
        at = found + 5;
        // Not `filename=`.
        if found.checked_sub(1).is_some_and(|before| headers[before].is_ascii_alphanumeric() || headers[before] == b'*')
        {
            continue;
        }
        let value = &headers[at..];
        return Some(match value {
            [b'"', quoted @ ..] => &quoted[..memchr::memchr2(b'"', b'\n', quoted).unwrap_or(quoted.len())],
            _ => &value[..value.iter().position(|byte| matches!(byte, b';' | b'\r' | b'\n')).unwrap_or(value.len())],
        });
    }
}
