//! `Cookie` and `Set-Cookie` (RFC 6265): each cookie's value is replaced; names and attributes stay, so that a filter can
//! still ask for them.

use std::ops::Range;

use super::rewrite::{Rewriter, find};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cookie,
    SetCookie,
}

/// `Cookie2` and `Set-Cookie2` (RFC 2965) are obsolete, but hold the same.
pub(super) fn kind(name: &[u8]) -> Option<Kind> {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match () {
        () if is("cookie") || is("cookie2") => Some(Kind::Cookie),
        () if is("set-cookie") || is("set-cookie2") => Some(Kind::SetCookie),
        () => None,
    }
}

/// RFC 6265, 4.2.1: `name=value; name=value`.
pub(super) fn cookie(rewriter: &mut Rewriter<'_>) {
    for part in parts(rewriter.source) {
        pair(rewriter, part);
    }
}

/// RFC 6265, 4.1.1: the cookie, then its attributes.
pub(super) fn set_cookie(rewriter: &mut Rewriter<'_>) {
    for (index, part) in parts(rewriter.source).enumerate() {
        if index == 0 || !is_attribute(&rewriter.source[part.clone()]) {
            pair(rewriter, part);
        }
    }
}

/// What stands between the semicolons, without the space around it.
fn parts(value: &[u8]) -> impl Iterator<Item = Range<usize>> + use<> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at <= value.len() {
        let mut end = find(value, at..value.len(), b';').unwrap_or(value.len());
        let next = end + 1;
        while at < end && value[at].is_ascii_whitespace() {
            at += 1;
        }
        while at < end && value[end - 1].is_ascii_whitespace() {
            end -= 1;
        }
        parts.push(at..end);
        at = next;
    }
    parts.into_iter()
}

/// RFC 6265, 5.2: without `=` it is the value of a cookie without a name.
fn pair(rewriter: &mut Rewriter<'_>, part: Range<usize>) {
    let start = find(rewriter.source, part.clone(), b'=').map_or(part.start, |equals| equals + 1);
    let value = start..part.end;
    rewriter.replace(value.clone(), &rewriter.source[value]);
}

/// RFC 6265, 4.1.1, and its drafted successor. A value with `=` is none of an attribute: two cookies that a proxy joined by
/// a comma (`a=1; Path=/, b=2`) would hide the second one so.
fn is_attribute(part: &[u8]) -> bool {
    const ATTRIBUTES: [&str; 10] = [
        "expires",
        "max-age",
        "domain",
        "path",
        "secure",
        "httponly",
        "samesite",
        "priority",
        "partitioned",
        "version",
    ];
    let mut sides = part.splitn(2, |&byte| byte == b'=');
    let name = sides.next().unwrap_or_default();
    let value = sides.next().unwrap_or_default();
    let known = ATTRIBUTES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    (part.is_empty() || known) && !value.contains(&b'=')
}
