//! Forms: `application/x-www-form-urlencoded`, also without that content type, and JSON inside a parameter.

use std::ops::Range;

use super::{
    json,
    rewrite::{Rewriter, percent_decoded},
    url::{Ends, parameters},
};

/// How far the first `=` of a form may be away: longer names are not typed by people.
const NAME: usize = 256;

/// Whether a body of another or no content type looks like a form: a name, then `=`.
pub(super) fn looks_like(body: &[u8]) -> bool {
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~%+[]*!$:@".contains(byte);
    let blank = |byte: &&u8| byte.is_ascii_whitespace() || **byte == b'&';
    let body = &body[body.iter().take_while(blank).count()..];
    let front = &body[..body.len().min(NAME)];
    let length = front.iter().position(|byte| !name(byte)).unwrap_or(front.len());
    length > 0 && body.get(length) == Some(&b'=')
}

/// `typed`: the content type says that it is a form, in which a line end belongs to the value that it stands in. In
/// other texts a value ends with its line.
pub(super) fn redact(rewriter: &mut Rewriter<'_>, typed: bool) {
    let end = rewriter.source.len();
    parameters(rewriter, 0..end, if typed { Ends::Ampersand } else { Ends::Line });
}

/// Parameters in parameters deeper than this are not looked into: each level is a copy of the text.
const DEPTH: u8 = 2;

/// A parameter's value that is itself JSON, a URL or a query, percent-encoded or not: its secrets are replaced.
/// Whether it was searched.
pub(super) fn nested(rewriter: &mut Rewriter<'_>, value: Range<usize>) -> bool {
    let raw = &rewriter.source[value.clone()];
    if !(matches!(raw, [b'{' | b'[', ..]) || memchr::memchr(b'%', raw).is_some()) || rewriter.depth >= DEPTH {
        return false;
    }
    let mut text = percent_decoded(raw).into_owned();
    let mut count = 0;
    for scan in [json_of, parameters_of] {
        let mut inner = Rewriter::new(rewriter.redactor, &text, usize::MAX);
        inner.depth = rewriter.depth + 1;
        scan(&mut inner);
        if let Some(rewritten) = inner.finish() {
            text = rewritten.text;
            count += rewritten.count;
        }
    }
    if count == 0 {
        return true;
    }
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text {
        // What would end the value or be taken for an escape. The rest stays as it reads best.
        if matches!(byte, b'%' | b'&' | b'+' | b'=' | 0..0x20 | 0x7f..) {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            encoded.push(byte);
        }
    }
    rewriter.replace_raw(value, &encoded, count);
    true
}

fn json_of(inner: &mut Rewriter<'_>) {
    let json = json::looks_like(inner.source);
    json::redact(inner, 0..inner.source.len(), json);
}

fn parameters_of(inner: &mut Rewriter<'_>) {
    parameters(inner, 0..inner.source.len(), Ends::Ampersand);
}
