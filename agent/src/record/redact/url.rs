//! URLs: userinfo (RFC 3986, 3.2.1) and the parameters of their path, query and fragment, in request targets, in the values of headers,
//! and in the text of bodies.

use std::ops::Range;

use memchr::{memchr, memmem, memrchr};

use super::{
    Redactor, form,
    names::{self, Place},
    rewrite::{Rewriter, Rewritten, find, marked, percent_decoded},
};

/// The request target, in any of its four forms (RFC 9112, 3.2); how many values were replaced.
pub(super) fn target(redactor: &Redactor, target: &mut Vec<u8>) -> u32 {
    let mut count = 0;
    if memchr(b'@', target).is_some() {
        let mut rewriter = Rewriter::new(redactor, target, usize::MAX);
        // The authority form (CONNECT) has no scheme before it, the origin form no authority at all.
        let bare = !target.starts_with(b"/") && memmem::find(target, b"//").is_none();
        if bare {
            userinfo(&mut rewriter, 0..target.len(), &mut 0);
        } else {
            authorities(&mut rewriter);
        }
        count += put(target, rewriter.finish());
    }
    if memchr(b'=', target).is_some() {
        let mut rewriter = Rewriter::new(redactor, target, usize::MAX);
        let end = target.len();
        // Up to the query there are only path parameters (RFC 3986, 3.3), which end with their segment.
        let query = memchr(b'?', target).unwrap_or(end);
        parameters(&mut rewriter, 0..query, Ends::Segment);
        parameters(&mut rewriter, query..end, Ends::Ampersand);
        count += put(target, rewriter.finish());
    }
    count
}

fn put(text: &mut Vec<u8>, rewritten: Option<Rewritten>) -> u32 {
    let Some(rewritten) = rewritten else { return 0 };
    *text = rewritten.text;
    rewritten.count
}

/// A header's value, which may be a URL, hold some, or hold parameters of its own; `None` when it may stay.
pub(super) fn in_header(redactor: &Redactor, name: &[u8], value: &[u8]) -> Option<(Vec<u8>, u32)> {
    let mut first = None;
    if memchr(b'@', value).is_some() {
        let mut rewriter = Rewriter::new(redactor, value, usize::MAX);
        if name.eq_ignore_ascii_case(b"host") {
            userinfo(&mut rewriter, 0..value.len(), &mut 0);
        } else {
            authorities(&mut rewriter);
        }
        first = rewriter.finish();
    }
    let text = first.as_ref().map_or(value, |rewritten| &rewritten.text);
    let mut rewriter = Rewriter::new(redactor, text, usize::MAX);
    parameters(&mut rewriter, 0..text.len(), Ends::Text);
    match (first.as_ref().map_or(0, |rewritten| rewritten.count), rewriter.finish()) {
        (count, Some(second)) => Some((second.text, count + second.count)),
        (count, None) => first.map(|rewritten| (rewritten.text, count)),
    }
}

/// What stands between scheme and authority. JSON may escape slashes.
const SLASHES: [&[u8]; 2] = [b"//", br"\/\/"];

/// Where the authority begins, if a URL's scheme ends before `at`.
pub(super) fn authority_at(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    SLASHES.into_iter().find(|slashes| rest.starts_with(slashes)).map(|slashes| at + slashes.len())
}

/// The parameters of the URLs in a body's text. JSON may escape ampersands (`\u0026`).
pub(super) fn in_text(rewriter: &mut Rewriter<'_>) {
    let text = rewriter.source;
    let mut at = 0;
    while let Some(colon) = find(text, at..text.len(), b':') {
        at = colon + 1;
        if let Some(start) = authority_at(text, at) {
            let stops = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'<' | b'>' | b'`' | 0..0x20);
            at = text[start..].iter().position(stops).map_or(text.len(), |stop| start + stop);
            parameters(rewriter, start..at, Ends::Text);
        }
    }
}

/// The userinfo after each `//` that begins an authority, and is not inside a path.
fn authorities(rewriter: &mut Rewriter<'_>) {
    let end = rewriter.source.len();
    let (mut at, mut none) = (0, 0);
    while let Some(slashes) = memmem::find(&rewriter.source[at..], b"//") {
        at += slashes + 2;
        let in_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"/.-_~%)".contains(byte);
        if !at.checked_sub(3).and_then(|before| rewriter.source.get(before)).is_some_and(in_path) {
            at = userinfo(rewriter, at..end, &mut none);
        }
    }
}

/// Replaces the userinfo of the authority that starts here; where that ends, at most. `none` is how far it is known that
/// no more `@` comes, so that a text made of beginnings of URLs is not searched for each of them.
pub(super) fn userinfo(rewriter: &mut Rewriter<'_>, range: Range<usize>, none: &mut usize) -> usize {
    let text = &rewriter.source[range.clone()];
    let stops = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'<' | b'>');
    // RFC 3986, 3.2: the authority ends at the first of these.
    let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b'\\') || stops(byte);
    let authority = text.iter().position(ends).unwrap_or(text.len());
    let at = memrchr(b'@', &text[..authority]).or_else(|| {
        // A password may hold one of these unescaped. Then what stands after the colon is no port.
        let colon = memchr(b':', &text[..authority])?;
        let port = &text[colon + 1..authority];
        if port.iter().all(u8::is_ascii_digit) || range.start < *none {
            return None;
        }
        let url = text[authority..].iter().position(stops).map_or(text.len(), |stop| authority + stop);
        let at = memrchr(b'@', &text[..url]);
        if at.is_none() {
            *none = range.start + url;
        }
        at
    });
    match at {
        Some(at) => {
            let info = range.start..range.start + at;
            rewriter.replace(info.clone(), &percent_decoded(&rewriter.source[info]));
            range.start + at + 1
        }
        None => range.start,
    }
}

/// Where the value of a secret parameter ends: too late rather than too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// With the path's segment or its next parameter.
    Segment,
    /// At `&` only.
    Ampersand,
    /// At `&`, or with the line.
    Line,
    /// At what stands in no URL, or with its fragment; at the closing quote, when it is quoted.
    Text,
}

/// `name=value` wherever it stands in a range of the text, replacing the values of secret names.
pub(super) fn parameters(rewriter: &mut Rewriter<'_>, range: Range<usize>, ends: Ends) {
    let mut at = range.start;
    // Where the value that `at` is in ends: found once, however many `=` there are in it.
    let mut segment = 0;
    while let Some(equals) = find(rewriter.source, at..range.end, b'=') {
        if rewriter.full() {
            return;
        }
        let value = equals + 1;
        let new = value > segment;
        if new {
            segment = value_end(rewriter.source, value..range.end, ends);
        }
        let (name, place) = name_before(rewriter.source, at..equals, ends);
        if names::is_secret(&percent_decoded(&rewriter.source[name]), place) {
            let (start, end) = match quoted_end(rewriter.source, value..range.end, ends) {
                Some(end) => (value + 1, end),
                None => (value, segment),
            };
            rewriter.replace(start..end, &percent_decoded(&rewriter.source[start..end]));
            at = end;
        } else if new && form::nested(rewriter, value..segment) {
            at = segment;
        } else {
            at = value;
        }
    }
}

/// The name that ends at the end of the range, and what its place makes of it.
fn name_before(text: &[u8], range: Range<usize>, ends: Ends) -> (Range<usize>, Place) {
    let front = &text[range.clone()];
    let starts = |byte: &u8| match byte {
        b'?' | b'&' | b';' | b'#' => true,
        b'/' => ends == Ends::Segment,
        b'\r' | b'\n' => true,
        b',' | b'"' | b'\'' | b'(' | b'<' | b'{' | b' ' | b'\t' => ends == Ends::Text,
        _ => false,
    };
    let delimiter = front.iter().rposition(starts);
    let mut name = range.start + delimiter.map_or(0, |at| at + 1)..range.end;
    // In JSON an ampersand may be escaped.
    if memchr(b'\\', &text[name.clone()]).is_some()
        && let Some(escaped) = memmem::rfind(&text[name.clone()], br"\u0026")
    {
        name.start += escaped + br"\u0026".len();
        return (name, Place::Parameter);
    }
    let of_url = match delimiter.and_then(|at| front.get(at)) {
        Some(b'?' | b'&' | b'#') => true,
        _ => ends != Ends::Text,
    };
    (name, if of_url { Place::Parameter } else { Place::Header })
}

fn value_end(text: &[u8], range: Range<usize>, ends: Ends) -> usize {
    // A mark that an earlier pass left is passed whole, though it holds what ends a value.
    let start = range.start + marked(&text[range.clone()]);
    let value = &text[start..range.end];
    let length = match ends {
        Ends::Segment => value.iter().position(|byte| matches!(byte, b'/' | b'?' | b';' | b'&')),
        Ends::Ampersand => memchr(b'&', value),
        Ends::Line => value.iter().position(|byte| matches!(byte, b'&' | b'\r' | b'\n')),
        Ends::Text => value.iter().position(|byte| matches!(byte, b'&' | b'#' | b'"' | b'<' | b'>' | b'\\')),
    };
    length.map_or(range.end, |length| start + length)
}

/// The closing quote of a value that begins with a quote: `token="a b"`, as headers have it.
fn quoted_end(text: &[u8], range: Range<usize>, ends: Ends) -> Option<usize> {
    let quoted = text[range.clone()].strip_prefix(b"\"").filter(|_| ends == Ends::Text)?;
    Some(memchr(b'"', quoted).map_or(range.end, |length| range.start + 1 + length))
}
