//! `multipart/form-data` (RFC 7578): a field's value under a secret name. Known by the boundary that the content type
//! declares, else by a body that begins with one.

use std::ops::Range;

use memchr::memmem;

use super::{
    json,
    names::{self, Place},
    rewrite::{Rewriter, find},
};
use crate::dissect::Headers;

/// RFC 2046, 5.1.1: a boundary has 70 characters at most, after two hyphens.
const BOUNDARY: usize = 72;

/// Where the first boundary stands, from its hyphens on, without its line end.
pub(super) fn first_boundary(headers: &Headers, body: &[u8]) -> Option<Range<usize>> {
    // Clients forget the content type, or get it wrong: then the bytes count.
    declared(headers, body).or_else(|| begins_with(body))
}

/// The boundary of the content type, which may stand behind a preamble (RFC 2046, 5.1.1).
fn declared(headers: &Headers, body: &[u8]) -> Option<Range<usize>> {
    const MULTIPART: &[u8] = b"multipart/";
    const PARAMETER: &[u8] = b"boundary=";
    let content_type = headers.get("content-type")?.trim_ascii_start();
    if !content_type.get(..MULTIPART.len())?.eq_ignore_ascii_case(MULTIPART) {
        return None;
    }
    let mut places = content_type.windows(PARAMETER.len());
    let at = places.position(|window| window.eq_ignore_ascii_case(PARAMETER))? + PARAMETER.len();
    let boundary = [b"--", parameter(&content_type[at..]).trim_ascii_end()].concat();
    if !(3..=BOUNDARY).contains(&boundary.len()) {
        return None;
    }
    let start = memmem::find_iter(body, &boundary).find(|&at| at == 0 || body[at - 1] == b'\n')?;
    Some(start..start + boundary.len())
}

/// A boundary line at the front, after empty lines at most, with the header of a part behind it.
fn begins_with(body: &[u8]) -> Option<Range<usize>> {
    const HEADER: &[u8] = b"content-";
    let start = body.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let front = &body[start..body.len().min(start + BOUNDARY + 2)];
    let line = &front[..memchr::memchr(b'\n', front)?];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() <= 2 || !line.starts_with(b"--") {
        return None;
    }
    let end = start + line.len();
    let rest = body[end..].trim_ascii_start();
    let front = &rest[..rest.len().min(HEADER.len())];
    front.eq_ignore_ascii_case(&HEADER[..front.len()]).then_some(start..end)
}

/// `first` is where the first boundary stands.
pub(super) fn redact(rewriter: &mut Rewriter<'_>, first: Range<usize>) {
    let body = rewriter.source;
    // The preamble is text for readers that don't know the type.
    json::redact(rewriter, 0..first.start, false);
    let boundaries = memmem::Finder::new(&body[first.clone()]);
    let mut at = first.end;
    while at < body.len() && !rewriter.full() {
        let end = boundaries.find(&body[at..]).map_or(body.len(), |next| at + next);
        part(rewriter, at..end);
        at = end + first.len();
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
        return Some(parameter(&headers[at..]));
    }
}

/// The value that a parameter's text begins with, quoted or not.
fn parameter(text: &[u8]) -> &[u8] {
    match text {
        [b'"', quoted @ ..] => &quoted[..memchr::memchr2(b'"', b'\n', quoted).unwrap_or(quoted.len())],
        _ => &text[..text.iter().position(|byte| matches!(byte, b';' | b'\r' | b'\n')).unwrap_or(text.len())],
    }
}
