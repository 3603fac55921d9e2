//! The chunked transfer coding (RFC 9112 section 7.1): sizes, extensions, trailers.

use memchr::memchr;

use super::{
    body::{take, use_up},
    head,
};
use crate::dissect::{
    Headers, Malformed,
    conversation::{INPUT_LIMIT, TOO_LONG},
    input::Input,
};

/// A chunk's size and extensions. Nobody uses more than a signature (AWS: about 90 bytes); Go stops at 4 KiB.
const LINE_LIMIT: usize = 4 << 10;

/// How far a chunked body is read.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    step: Step,
    size: u64,
}

#[derive(Debug, Default)]
enum Step {
    #[default]
    Size,
    Data {
        left: u64,
    },
    DataEnd,
    Trailers {
        scanned: usize,
    },
}

impl Chunked {
    /// Takes what is there. `Some`: the body is complete, and its chunks have this size together.
    pub(super) fn read(
        &mut self,
        input: &mut Input<'_>,
        room: &mut usize,
        kept: &mut Vec<u8>,
        trailers: &mut Headers,
        findings: &mut Vec<&'static str>,
    ) -> Result<Option<u64>, Malformed> {
        loop {
            match &mut self.step {
                Step::Size => {
                    let Some((line, size)) = size_line(input.bytes())? else {
                        return Ok(None);
                    };
                    input.consume(line);
                    self.size = self.size.checked_add(size).ok_or(Malformed("chunk_size"))?;
                    self.step = if size == 0 { Step::Trailers { scanned: 0 } } else { Step::Data { left: size } };
                }
                Step::Data { left } => {
                    if !take(input, left, room, kept) {
                        return Ok(None);
                    }
                    self.step = Step::DataEnd;
                }
                Step::DataEnd => {
                    match input.bytes() {
                        [b'\r', b'\n', ..] => input.consume(2),
                        [b'\n', ..] => input.consume(1),
                        [] | [b'\r'] => return Ok(None),
                        _ => return Err(Malformed("chunk_end")),
                    }
                    self.step = Step::Size;
                }
                Step::Trailers { scanned } => {
                    match input.bytes() {
                        [b'\r', b'\n', ..] => input.consume(2),
                        [b'\n', ..] => input.consume(1),
                        [] | [b'\r'] => return Ok(None),
                        bytes => match head::end(bytes, *scanned) {
                            Err(at) => {
                                *scanned = at;
                                return Ok(None);
                            }
                            Ok(end) if end > INPUT_LIMIT => return Err(Malformed(TOO_LONG)),
                            Ok(end) => {
                                *trailers = head::trailers(&bytes[..end], findings)?;
                                input.consume(end);
                            }
                        },
                    }
                    return Ok(Some(self.size));
                }
            }
        }
    }

    /// Bytes are missing next: how many of them are surely data of the chunk.
    pub(super) fn gap(&mut self, missing: u64) -> u64 {
        match &mut self.step {
            Step::Data { left } => use_up(left, missing),
            Step::Size | Step::DataEnd | Step::Trailers { .. } => 0,
        }
    }
}

/// Length of the line, and the size that it gives; `None` when it goes on.
fn size_line(bytes: &[u8]) -> Result<Option<(usize, u64)>, Malformed> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    // Section 7.1: 1*HEXDIG; a size that doesn't fit must not wrap.
    let size = bytes[..digits].iter().try_fold(0u64, |size, &digit| {
        let digit = char::from(digit).to_digit(16).map_or(0, u64::from);
        (size >> 60 == 0).then_some(size << 4 | digit)
    });
    let size = size.ok_or(Malformed("chunk_size"))?;
    let rest = &bytes[digits..];
    // Section 7.1.1: white space before an extension is bad, and is to be accepted.
    let blank = rest.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    match &rest[blank..] {
        _ if digits == 0 && !rest.is_empty() => return Err(Malformed("chunk_size")),
        [] | [b';' | b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..] => {}
        _ => return Err(Malformed("chunk_size")),
    }
    match memchr(b'\n', rest) {
        Some(end) if digits + end < LINE_LIMIT => Ok(Some((digits + end + 1, size))),
        None if bytes.len() < LINE_LIMIT => Ok(None),
        Some(_) | None => Err(Malformed("chunk_line_limit")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size_line(b"5\r\nhello"), Ok(Some((3, 5))));
        assert_eq!(size_line(b"00a;name=\"v\"\r\n"), Ok(Some((14, 10))));
        assert_eq!(size_line(b"F \r\n"), Ok(Some((4, 15))));
        assert_eq!(size_line(b"1\n"), Ok(Some((2, 1))));
        assert_eq!(size_line(b"0\r\n\r\nGET"), Ok(Some((3, 0))));
        assert_eq!(size_line(b"ffffffffffffffff\r\n"), Ok(Some((18, u64::MAX))));
        for part in [&b""[..], b"5", b"5\r", b"5;a", b"5 "] {
            assert_eq!(size_line(part), Ok(None));
        }
        for bad in [&b"\r\n"[..], b"g\r\n", b"-5\r\n", b"0x5\r\n", b"5 5\r\n", b"10000000000000000\r\n", b";\r\n"] {
            assert_eq!(size_line(bad), Err(Malformed("chunk_size")), "{bad:?}");
        }
        assert_eq!(size_line(&[b"5;".as_slice(), &[b'a'; LINE_LIMIT]].concat()), Err(Malformed("chunk_line_limit")));
    }
}
