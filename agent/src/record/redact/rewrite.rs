//! Replaces parts of a text from front to back. A text in which nothing is replaced is never copied.

use std::{borrow::Cow, ops::Range};

use super::Redactor;

/// What a replacement adds to a text at most, as a first guess for its buffer: `[redacted 1024 B #0123456789abcdef]`.
const ROOM: usize = 48;

pub(super) struct Rewriter<'a> {
    pub(super) redactor: &'a Redactor,
    pub(super) source: &'a [u8],
    /// How many parameters this text stands in, one in another.
    pub(super) depth: u8,
    /// Keys whose values are secrets in this text, besides those of the table.
    pub(super) secrets: &'static [&'static str],
    /// Keys of the table that stand before harmless numbers in this text.
    pub(super) numbers: &'static [&'static str],
    /// The source before this is in `out`, or was replaced.
    copied: usize,
    out: Vec<u8>,
    /// `out` may not grow beyond this.
    limit: usize,
    full: bool,
    count: u32,
}

/// A text after redaction.
pub(super) struct Rewritten {
    pub(super) text: Vec<u8>,
    /// Values that were replaced.
    pub(super) count: u32,
    /// The limit was reached: the rest is gone.
    pub(super) cut: bool,
}

impl<'a> Rewriter<'a> {
    /// The result has at most `limit` bytes, if something is replaced; nothing is cut inside a replacement or a UTF-8
    /// character.
    pub(super) fn new(redactor: &'a Redactor, source: &'a [u8], limit: usize) -> Self {
        Self {
            redactor,
            source,
            depth: 0,
            secrets: &[],
            numbers: &[],
            copied: 0,
            out: Vec::new(),
            limit,
            full: false,
            count: 0,
        }
    }

    /// Nothing that follows will be kept.
    pub(super) fn full(&self) -> bool {
        self.full
    }

    /// Puts the mark of `secret` in place of a part that lies behind all that was replaced before. An empty part holds
    /// no secret, nor does a mark that an earlier pass over the text left.
    pub(super) fn replace(&mut self, part: Range<usize>, secret: &[u8]) {
        self.replace_quoted(part, b"", secret);
    }

    /// The same, with the mark between quotes: what is replaced was none, or had its own.
    pub(super) fn replace_quoted(&mut self, part: Range<usize>, quote: &[u8], secret: &[u8]) {
        if part.is_empty() || self.full || marked(secret) == secret.len() {
            return;
        }
        let mut mark = Vec::with_capacity(ROOM + 2 * quote.len());
        mark.extend_from_slice(quote);
        self.redactor.mark(secret, &mut mark);
        mark.extend_from_slice(quote);
        self.replace_raw(part, &mark, 1);
    }

    /// Puts a text in which `count` values were replaced in place of a part.
    pub(super) fn replace_raw(&mut self, part: Range<usize>, text: &[u8], count: u32) {
        debug_assert!(self.copied <= part.start, "parts are replaced in order");
        self.copy_to(part.start);
        if self.out.len() + text.len() > self.limit {
            self.full = true;
        }
        if !self.full {
            self.out.extend_from_slice(text);
            self.copied = part.end;
            self.count += count;
        }
    }

    fn copy_to(&mut self, end: usize) {
        if self.out.capacity() == 0 {
            self.out.reserve((self.source.len() + ROOM).min(self.limit));
        }
        let part = self.source.get(self.copied..end).unwrap_or_default();
        let room = self.limit.saturating_sub(self.out.len());
        if self.full {
            return;
        }
        if part.len() <= room {
            self.out.extend_from_slice(part);
        } else {
            self.out.extend_from_slice(&part[..floor_char(part, room)]);
            self.full = true;
        }
    }

    /// `None` when nothing was replaced.
    pub(super) fn finish(mut self) -> Option<Rewritten> {
        if self.count == 0 && !self.full {
            return None;
        }
        self.copy_to(self.source.len());
        Some(Rewritten { text: self.out, count: self.count, cut: self.full })
    }
}

/// The length of the mark that a text begins with, 0 when there is none.
pub(super) fn marked(text: &[u8]) -> usize {
    let length = || {
        let digits = text.strip_prefix(b"[redacted ")?;
        let (digits, rest) = digits.split_at(digits.iter().take_while(|byte| byte.is_ascii_digit()).count());
        let (hash, rest) = rest.strip_prefix(b" B #")?.split_at_checked(2 * super::SHOWN_BYTES)?;
        let whole = !digits.is_empty() && hash.iter().all(u8::is_ascii_hexdigit) && rest.starts_with(b"]");
        whole.then(|| text.len() - rest.len() + 1)
    };
    length().unwrap_or(0)
}

/// The last place not after `at` that is not inside a UTF-8 character.
pub(super) fn floor_char(text: &[u8], at: usize) -> usize {
    let continues = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    // A character has three continuation bytes at most: more of them are not UTF-8.
    (at.saturating_sub(3)..=at).rev().find(|&at| !continues(at)).unwrap_or(at)
}

/// The position of the first `byte` in `range`, which must lie inside the text.
pub(super) fn find(text: &[u8], range: Range<usize>, byte: u8) -> Option<usize> {
    let start = range.start;
    memchr::memchr(byte, text.get(range)?).map(|at| start + at)
}

/// `%41` → `A`; what is not an escape stays as it is.
pub(super) fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'%', text) else { return Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len());
    let (plain, mut rest) = text.split_at(first);
    out.extend_from_slice(plain);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(nibble(*high) << 4 | nibble(*low));
                rest = after;
            }
            _ => out.push(byte),
        }
    }
    Cow::Owned(out)
}

/// The value of a hexadecimal digit; 0 for other bytes.
pub(super) fn nibble(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample::redactor;

    #[test]
    fn nothing_replaced_is_nothing_copied() {
        let redactor = redactor();
        let mut rewriter = Rewriter::new(&redactor, b"abc", 2);
        rewriter.replace(1..1, b"");
        assert!(rewriter.finish().is_none());
    }

    #[test]
    fn a_cut_never_splits_a_mark_or_a_character() {
        let redactor = redactor();
        let source = "ä€ secret 😀 tail".as_bytes();
        let part = 6..12;
        assert_eq!(&source[part.clone()], b"secret");
        let mut mark = Vec::new();
        redactor.mark(b"secret", &mut mark);
        let whole = [&source[..6], &mark, &source[12..]].concat();
        for limit in 0..whole.len() + 3 {
            let mut rewriter = Rewriter::new(&redactor, source, limit);
            rewriter.replace(part.clone(), b"secret");
            let Rewritten { text, count, cut } = rewriter.finish().expect("replaced or cut");
            assert!(text.len() <= limit && whole.starts_with(&text), "{limit}");
            assert_eq!(cut, text.len() < whole.len(), "{limit}");
            let text = String::from_utf8(text).expect("no character is split");
            assert_eq!(u32::from(text.contains(']')), count, "{limit}");
            assert_eq!(text.contains('['), text.contains(']'), "{limit}");
        }
    }

    #[test]
    fn knows_its_own_marks() {
        for (text, length) in [
            ("", 0),
            ("[redacted 32 B #1f3a9c0d7e22b104]", 33),
            ("[redacted 3 B #1f3a9c0d7e22b104]more", 32),
            ("[redacted 3 B #1f3a9c0d7e22b104", 0),
            ("[redacted  B #1f3a9c0d7e22b104]", 0),
            ("[redacted 3 B #1f3a9c0d7e22b10x]", 0),
            ("x[redacted 3 B #1f3a9c0d7e22b104]", 0),
        ] {
            assert_eq!(marked(text.as_bytes()), length, "{text}");
        }
    }

    #[test]
    fn percent_escapes() {
        for (text, decoded) in [
            ("plain", "plain"),
            ("%41b%63", "Abc"),
            ("%4", "%4"),
            ("%", "%"),
            ("%zz%41", "%zzA"),
            ("a%%41", "a%A"),
            ("%2541", "%41"),
        ] {
            assert_eq!(percent_decoded(text.as_bytes()), decoded.as_bytes(), "{text}");
        }
    }
}
