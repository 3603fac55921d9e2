//! Text and numbers in JSON, appended by hand: most of a line is plain ASCII that is copied in runs.

use std::net::IpAddr;

/// A byte in each place of a word.
const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// Appends a quoted string. Bytes that are not UTF-8 are taken for Latin-1, each byte a character (RFC 9110, 5.5: what
/// header values were once meant to be).
pub(super) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    escaped(out, text, false);
    out.push(b'"');
}

/// The same, for what is known to be UTF-8.
pub(super) fn utf8_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text.as_bytes(), true);
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, text: &[u8], utf8: bool) {
    out.reserve(text.len() + WORD);
    let mut high = if utf8 { 0 } else { HIGH };
    let mut rest = text;
    loop {
        rest = plain(out, rest, high);
        match rest.split_first() {
            None => return,
            Some((0x80.., _)) => {
                if std::str::from_utf8(rest).is_err() {
                    return latin1(out, rest);
                }
                high = 0;
            }
            Some((&byte, after)) => {
                escape(out, byte);
                rest = after;
            }
        }
    }
}

/// Bytes that are looked at and copied at once: most strings are so short that a call to copy them costs more than they do.
const WORD: usize = 8;

/// Copies what can stay as it is from the front; returns what is behind. RFC 8259, 7: all but the quote, the backslash and
/// the control characters.
fn plain<'a>(out: &mut Vec<u8>, text: &'a [u8], high: u64) -> &'a [u8] {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk::<WORD>() {
        out.extend_from_slice(word);
        let count = plain_bytes(u64::from_le_bytes(*word), high);
        if count < WORD {
            out.truncate(out.len() - WORD + count);
            return &rest[count..];
        }
        rest = after;
    }
    let (word, length) = (last_word(rest), rest.len());
    out.extend_from_slice(&word.to_le_bytes());
    let count = plain_bytes(word, high).min(length);
    out.truncate(out.len() - WORD + count);
    &rest[count..]
}

/// Less than a word, filled up with zeros.
fn last_word(text: &[u8]) -> u64 {
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(front), Some(back)) => {
            let [front, back] = [front, back].map(|half| u64::from(u32::from_le_bytes(*half)));
            front | back << (8 * (text.len() - 4))
        }
        _ => text.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// How many bytes at the front of a word can be copied as they are.
fn plain_bytes(word: u64, high: u64) -> usize {
    // The lowest marked byte is exact; a borrow can mark wrong ones only above it.
    let below = |word: u64, least: u64| word.wrapping_sub(ONES * least);
    let special = below(word, 0x20) | below(word ^ (ONES * 0x22), 1) | below(word ^ (ONES * 0x5c), 1);
    let marks = ((special & !word) | (word & high)) & HIGH;
    (marks.trailing_zeros() / 8) as usize
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        8 => b'b',
        12 => b'f',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            return out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn latin1(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        match byte {
            0..0x20 | b'"' | b'\\' => escape(out, byte),
            0x80.. => out.extend_from_slice(char::from(byte).encode_utf8(&mut [0; 2]).as_bytes()),
            _ => out.push(byte),
        }
    }
}

/// Appends a number in decimal.
pub(in crate::record) fn number(out: &mut Vec<u8>, value: u64) {
    const FOUR: u64 = 10_000;
    if value >= FOUR {
        number(out, value / FOUR);
        let [[a, b], [c, d]] = [value % FOUR / 100, value % 100].map(two_digits);
        return out.extend_from_slice(&[a, b, c, d]);
    }
    if value >= 1000 {
        let [[a, b], [c, d]] = [value / 100, value % 100].map(two_digits);
        out.extend_from_slice(&[a, b, c, d]);
    } else if value >= 100 {
        let [a, b] = two_digits(value % 100);
        out.extend_from_slice(&[b'0' + (value / 100) as u8, a, b]);
    } else if value >= 10 {
        out.extend_from_slice(&two_digits(value));
    } else {
        out.push(b'0' + value as u8);
    }
}

/// Of a number below 100.
fn two_digits(value: u64) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

/// Appends a signed number in decimal.
pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

/// Appends an address; IPv6 as RFC 5952 writes it, an IPv4 address inside an IPv6 one by itself.
pub(in crate::record) fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                number(out, u64::from(octet));
            }
        }
        IpAddr::V6(ip) => out.extend_from_slice(ip.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(text: &[u8]) -> String {
        let mut out = Vec::new();
        string(&mut out, text);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn escapes() {
        assert_eq!(quoted(b"plain text, longer than a word"), "\"plain text, longer than a word\"");
        assert_eq!(quoted(b"a\"b\\c\n\r\t\x08\x0c\x00\x1f\x7f"), "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0000\\u001f\x7f\"");
        assert_eq!(quoted("ä€😀\u{2028}\"".as_bytes()), "\"ä€😀\u{2028}\\\"\"");
        assert_eq!(quoted(b"caf\xe9 \x80\""), "\"café \u{80}\\\"\"");
        assert_eq!(quoted(b""), "\"\"");
    }

    #[test]
    fn numbers() {
        for value in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, 12_345, 1_000_000, u64::MAX, u64::MAX - 1] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
        for value in [i64::MIN, -10, -1, 0, 1, i64::MAX] {
            let mut out = Vec::new();
            signed(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }

    #[test]
    fn addresses() {
        for text in ["10.0.0.1", "255.255.255.255", "2001:db8::1", "::1"] {
            let mut out = Vec::new();
            address(&mut out, text.parse().expect(text));
            assert_eq!(out, text.as_bytes());
        }
        let mut out = Vec::new();
        address(&mut out, "::ffff:10.1.2.3".parse().expect("mapped"));
        assert_eq!(out, b"10.1.2.3");
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,40}|[\\x00-\\x7f\u{2028}ä😀]{0,40}") {
            let parsed: String = serde_json::from_str(&quoted(text.as_bytes())).expect("JSON");
            prop_assert_eq!(parsed, text);
        }

        #[test]
        fn any_bytes_come_back_as_utf_8_or_latin_1(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let parsed: String = serde_json::from_str(&quoted(&bytes)).expect("JSON");
            let expected = String::from_utf8(bytes.clone()).unwrap_or_else(|_| bytes.iter().map(|&byte| char::from(byte)).collect());
            prop_assert_eq!(parsed, expected);
        }

        #[test]
        fn any_number_is_written(value: u64) {
            let mut out = Vec::new();
            number(&mut out, value);
            prop_assert_eq!(out, value.to_string().into_bytes());
        }
    }
}
