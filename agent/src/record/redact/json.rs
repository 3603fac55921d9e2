//! JSON, and what holds it: lines of it, server-sent events, a string inside other JSON. Works on the front of a text
//! that may be cut anywhere or be malformed, so nothing is parsed: every `:` is looked at, and what stands before it.
//! That needs no state, so no odd quote can hide what follows, and the values that nobody asks for cost nothing.
//!
//! A string inside a string has its quotes escaped. The *level* of a quote is how deep that goes: 0 for `"`, 1 for `\"`,
//! 2 for `\\\"`; in general the count of trailing ones of the number of backslashes before it. A string ends at the next
//! quote of its own level, or of a lower one, which ends what it is in.

use std::{borrow::Cow, ops::Range};

use memchr::{memchr, memrchr};

use super::{
    names::{self, Place},
    rewrite::{Rewriter, find, nibble},
    url,
};

/// How far back a key may begin. Of longer ones the end is looked at; spelled in escapes, 40 letters fit.
const KEY: usize = 256;

/// Whether a text is JSON by its first byte, behind a byte order mark and the guards that some APIs put before it.
pub(super) fn looks_like(text: &[u8]) -> bool {
    let mut text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    for guard in [&b")]}'"[..], b"while(1);", b"for(;;);", b"&&&START&&&"] {
        text = text.strip_prefix(guard).unwrap_or(text);
    }
    matches!(text.trim_ascii_start().strip_prefix(b",").unwrap_or(text).trim_ascii_start(), [b'{' | b'[', ..])
}

/// Replaces the values under secret keys, and the userinfo of URLs, in a range of the text. `json`: the text as a
/// whole looks like JSON, so keys without quotes or in single ones, as people write them, count too.
pub(super) fn redact(rewriter: &mut Rewriter<'_>, range: Range<usize>, json: bool) {
    let (mut at, mut no_userinfo) = (range.start, 0);
    while let Some(colon) = find(rewriter.source, at..range.end, b':') {
        if rewriter.full() {
            return;
        }
        at = colon + 1;
        if let Some(start) = url::authority_at(&rewriter.source[..range.end], at) {
            at = url::userinfo(rewriter, start..range.end, &mut no_userinfo);
            continue;
        }
        let Some(key) = key_before(rewriter.source, range.start..colon, json) else { continue };
        let name = unescaped(&rewriter.source[key.name], key.level);
        let among = |names: &[&str]| names.iter().any(|known| known.as_bytes() == &*name);
        let number = || rewriter.source.get(at).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
        let harmless = || key.level == 0 && among(rewriter.numbers) && number();
        if names::is_secret(&name, Place::Key) && !harmless() || among(rewriter.secrets) {
            at = value(rewriter, at..range.end, key.quote, key.level);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    Double,
    Single,
    None,
}

struct Key {
    name: Range<usize>,
    quote: Quote,
    level: u32,
}

/// The key that ends where the range ends, but for white space.
fn key_before(text: &[u8], range: Range<usize>, json: bool) -> Option<Key> {
    let front = text[range.clone()].trim_ascii_end();
    let end = range.start + front.len();
    let least = range.start.max(end.saturating_sub(KEY));
    match *front.last()? {
        b'"' => {
            let quote = end - 1;
            let level = level(text, range.start..quote);
            let name_end = quote - prefix(level);
            let least = least.min(name_end);
            let start = opening(text, least..name_end, range.start, level).unwrap_or(least);
            Some(Key { name: start..name_end, quote: Quote::Double, level })
        }
        b'\'' if json => {
            let name_end = end - 1;
            let least = least.min(name_end);
            let start = memrchr(b'\'', &text[least..name_end]).map_or(least, |quote| least + quote + 1);
            Some(Key { name: start..name_end, quote: Quote::Single, level: 0 })
        }
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'$' if json => {
            let other = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'-' | b'.'));
            let start = text[least..end].iter().rposition(other).map_or(least, |at| least + at + 1);
            Some(Key { name: start..end, quote: Quote::None, level: 0 })
        }
        _ => None,
    }
}

/// Behind the quote that opens the string of this level which ends at the end of the range.
fn opening(text: &[u8], range: Range<usize>, least: usize, wanted: u32) -> Option<usize> {
    let mut end = range.end;
    loop {
        let quote = range.start + memrchr(b'"', &text[range.start..end])?;
        if level(text, least..quote) <= wanted {
            return Some(quote + 1);
        }
        end = quote;
    }
}

/// How many strings deep the quote behind the range stands, by the backslashes at the range's end.
fn level(text: &[u8], range: Range<usize>) -> u32 {
    let backslashes = text[range].iter().rev().take_while(|&&byte| byte == b'\\').count();
    backslashes.trailing_ones()
}

/// Backslashes of a quote of this level that are its own. Never more than stand before a quote with that level.
fn prefix(level: u32) -> usize {
    (1 << level) - 1
}

/// Replaces the value that the range starts with; where it ends.
fn value(rewriter: &mut Rewriter<'_>, range: Range<usize>, key: Quote, key_level: u32) -> usize {
    let text = rewriter.source;
    let start = skip_space(text, range.clone(), key_level);
    let backslashes = text[start..range.end].iter().take_while(|&&byte| byte == b'\\').count();
    match text.get(start + backslashes).filter(|_| start + backslashes < range.end) {
        Some(b'"') => {
            let quote = start + backslashes;
            let level = backslashes.trailing_ones();
            if level < key_level && key == Quote::Double {
                // The string that holds the key ends here: it was cut before the value.
                return start;
            }
            let (content, end) = string(text, quote + 1..range.end, level);
            if key == Quote::None && level == 0 && closes_a_sentence(&text[content.clone()]) {
                return start;
            }
            rewriter.replace(content.clone(), &unescaped(&text[content], level));
            end
        }
        Some(b'\'') if backslashes == 0 && key != Quote::Double => {
            let content = start + 1..single_quoted(text, start + 1..range.end);
            rewriter.replace(content.clone(), &unescaped(&text[content.clone()], 0));
            content.end
        }
        // A word before a colon and no string behind: a sentence, or a type.
        _ if key == Quote::None => start,
        _ => {
            let end = other_end(text, start..range.end, key_level);
            let part = start..start + text[start..end].trim_ascii_end().len();
            if !matches!(&text[part.clone()], b"" | b"true" | b"false" | b"null" | b"{}" | b"[]") {
                let quote = [&b"\\".repeat(prefix(key_level))[..], b"\""].concat();
                rewriter.replace_quoted(part.clone(), &quote, &text[part.clone()]);
            }
            part.end
        }
    }
}

/// `{"error": "bad token:", "next": …`: what stands before the colon is no key, and the quote behind it opens nothing.
fn closes_a_sentence(content: &[u8]) -> bool {
    matches!(content.trim_ascii_start(), [] | [b',' | b'}' | b']', ..])
}

/// White space, inside strings also escaped.
fn skip_space(text: &[u8], range: Range<usize>, level: u32) -> usize {
    let mut at = range.start;
    while at < range.end {
        let rest = &text[at..range.end];
        let backslashes = rest.iter().take_while(|&&byte| byte == b'\\').count();
        at += match rest.get(backslashes) {
            Some(byte) if backslashes == 0 && byte.is_ascii_whitespace() => 1,
            Some(b'n' | b'r' | b't') if backslashes > 0 && level > 0 => backslashes + 1,
            _ => break,
        };
    }
    at
}

/// The content of a string that starts here, and where to go on behind it. Without a closing quote it goes on to the end.
fn string(text: &[u8], range: Range<usize>, wanted: u32) -> (Range<usize>, usize) {
    let mut at = range.start;
    while let Some(quote) = find(text, at..range.end, b'"') {
        let level = level(text, range.start..quote);
        if level <= wanted {
            let end = quote - prefix(level);
            return (range.start..end, if level == wanted { quote + 1 } else { end });
        }
        at = quote + 1;
    }
    (range.clone(), range.end)
}

fn single_quoted(text: &[u8], range: Range<usize>) -> usize {
    let mut at = range.start;
    while let Some(quote) = find(text, at..range.end, b'\'') {
        let backslashes = text[range.start..quote].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if backslashes % 2 == 0 {
            return quote;
        }
        at = quote + 1;
    }
    range.end
}

/// The end of a value that is no string: an object or array with all that is in it, a number, or what should not be.
fn other_end(text: &[u8], range: Range<usize>, wanted: u32) -> usize {
    let mut depth = 0_usize;
    let mut at = range.start;
    while at < range.end {
        match text[at] {
            b'"' => {
                let level = level(text, range.start..at);
                if level < wanted {
                    return at - prefix(level);
                }
                (_, at) = string(text, at + 1..range.end, level);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + depth,
            b'}' | b']' => depth -= 1,
            b',' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    range.end
}

/// Undoes the escapes of a string at this level. What is no escape stays as it is.
fn unescaped(text: &[u8], level: u32) -> Cow<'_, [u8]> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..=level {
        if memchr(b'\\', &text).is_none() {
            break;
        }
        text = Cow::Owned(unescaped_once(&text));
    }
    text
}

fn unescaped_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let Some((&escape, after)) = after.split_first().filter(|_| byte == b'\\') else {
            out.push(byte);
            continue;
        };
        rest = after;
        match escape {
            b'"' | b'\\' | b'/' | b'\'' => out.push(escape),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' if unit(after).is_some() => rest = unicode(after, &mut out),
            _ => out.extend_from_slice(&[b'\\', escape]),
        }
    }
    out
}

/// Four hexadecimal digits.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.get(..4)?;
    digits
        .iter()
        .all(u8::is_ascii_hexdigit)
        .then(|| digits.iter().fold(0, |unit, &digit| unit << 4 | u32::from(nibble(digit))))
}

/// Appends the character behind `\u`, which may be a pair of surrogates (RFC 8259, 7); what follows it.
fn unicode<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let first = unit(text).unwrap_or_default();
    let mut rest = text.get(4..).unwrap_or_default();
    let mut code = first;
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) =
            rest.strip_prefix(br"\u").and_then(unit).filter(|second| (0xdc00..0xe000).contains(second))
    {
        code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        rest = &rest[6..];
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}
