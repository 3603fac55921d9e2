//! Settings as messages list them: `{"name":"ssl.key.password","value":"…"}`. The name stands beside the value, as a value of
//! its own. For JSON that we wrote, without white space.

use memchr::memmem;

use super::{
    names::{self, Place},
    rewrite::Rewriter,
};

const NAME: &[u8] = b"\"name\":";
/// A name that is no text, which nobody can judge.
const NO_TEXT: &[u8] = b"{\"base64\":\"";
const VALUE: &[u8] = b",\"value\":\"";
const BYTES: &[u8] = b",\"value\":{\"base64\":\"";

/// Replaces the values of settings with secret names.
pub(super) fn redact(rewriter: &mut Rewriter<'_>) {
    let text = rewriter.source;
    let mut done = 0;
    for at in memmem::find_iter(text, NAME) {
        let start = at + NAME.len();
        if at < done {
            continue;
        }
        let behind = if text[start..].starts_with(NO_TEXT) {
            string_end(text, start + NO_TEXT.len()) + 2
        } else if text.get(start) == Some(&b'"') {
            let name_end = string_end(text, start + 1);
            if !names::is_secret(&text[start + 1..name_end], Place::Key) {
                continue;
            }
            name_end + 1
        } else {
            continue;
        };
        let Some(value) = value_behind(text, behind) else { continue };
        done = string_end(text, value);
        rewriter.replace(value..done, &text[value..done]);
    }
}

/// Where the string under `value` begins, behind numbers under other names.
fn value_behind(text: &[u8], at: usize) -> Option<usize> {
    let mut rest = text.get(at..)?;
    loop {
        if let Some(value) = rest.strip_prefix(VALUE).or_else(|| rest.strip_prefix(BYTES)) {
            return Some(text.len() - value.len());
        }
        let member = rest.strip_prefix(b",\"")?;
        let colon = memmem::find(member, b"\":")?;
        let number = &member[colon + 2..];
        let end = number.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'-'))?;
        if end == 0 {
            return None;
        }
        rest = &number[end..];
    }
}

/// Where the string that begins here ends: at its quote, or with the text.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(start) {
        match byte {
            b'"' if !escaped => return at,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}
