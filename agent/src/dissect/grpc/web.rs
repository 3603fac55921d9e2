//! What gRPC-Web adds (grpc/PROTOCOL-WEB): the whole body may be base64, and the trailers are in the body, in a frame of
//! their own, as HTTP/1 header lines with names in lower case.

/// Trailer lines that are read: servers send three to ten.
const TRAILERS: usize = 128;

/// Base64 that is no base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBase64;

/// Undoes the base64 of `application/grpc-web-text`, as it comes. Each write of the sender may be padded by itself, so
/// padding ends a group of four, not the text.
#[derive(Debug, Default)]
pub struct Text {
    /// Bits of the group so far.
    bits: u32,
    /// Characters of the group so far.
    count: u8,
    /// How many of them are padding.
    padding: u8,
}

impl Text {
    /// Appends what the characters give: at most three bytes for four of them. After an error the rest means nothing,
    /// and after missing bytes too, as nobody knows whether there was padding among them: the messages' boundaries are
    /// lost.
    pub fn push(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), NotBase64> {
        for &character in text {
            let sextet = match character {
                b'A'..=b'Z' => character - b'A',
                b'a'..=b'z' => character - b'a' + 26,
                b'0'..=b'9' => character - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                // RFC 4648 section 3.2: one or two of them, at the end of a group.
                b'=' if self.count >= 2 => {
                    self.padding += 1;
                    0
                }
                _ => return Err(NotBase64),
            };
            if self.padding > 0 && character != b'=' {
                return Err(NotBase64);
            }
            self.bits = self.bits << 6 | u32::from(sextet);
            self.count += 1;
            if self.count == 4 {
                let [_, group @ ..] = self.bits.to_be_bytes();
                let bytes = group.len() - usize::from(self.padding);
                out.extend(group.iter().take(bytes));
                *self = Self::default();
            }
        }
        Ok(())
    }

    /// Whether the text may end here.
    pub fn complete(&self) -> bool {
        self.count == 0
    }
}

/// Names and values of a trailer frame's payload, or of its front. Lines without a colon are passed over.
pub fn trailers(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = block.split(|&byte| byte == b'\n').take(TRAILERS);
    lines.filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        let name = name.trim_ascii();
        (!name.is_empty()).then(|| (name, value.strip_prefix(b":").unwrap_or(value).trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;
    use crate::dissect::grpc::testing::Random;

    #[test]
    fn chunks_padded_by_themselves_are_undone() {
        let mut random = Random(8);
        for _ in 0..2000 {
            let (mut plain, mut coded) = (Vec::new(), String::new());
            for _ in 0..random.below(5) {
                let chunk = random.bytes(10);
                coded += &STANDARD.encode(&chunk);
                plain.extend(chunk);
            }
            let cut = random.below(coded.len() + 1);
            let (mut text, mut out) = (Text::default(), Vec::new());
            text.push(&coded.as_bytes()[..cut], &mut out).unwrap();
            assert!(text.complete() == cut.is_multiple_of(4) && plain.starts_with(&out));
            text.push(&coded.as_bytes()[cut..], &mut out).unwrap();
            assert!(text.complete() && out == plain);
        }
    }

    #[test]
    fn what_is_no_base64_is_said() {
        for wrong in ["=", "A===", "AA=A", "AB-_", "AQ==\n", "A B"] {
            assert_eq!(Text::default().push(wrong.as_bytes(), &mut Vec::new()), Err(NotBase64), "{wrong}");
        }
        let mut random = Random(9);
        for _ in 0..5000 {
            let (bytes, mut out) = (random.bytes(50), Vec::new());
            let _ = Text::default().push(&bytes, &mut out);
            assert!(out.len() <= bytes.len() / 4 * 3);
        }
    }

    #[test]
    fn trailers_are_split() {
        let list = |block: &'static str| trailers(block.as_bytes()).collect::<Vec<_>>();
        assert_eq!(
            list("grpc-status:0\r\ngrpc-message: a: b \r\nx-empty:\r\n\r\n"),
            [(&b"grpc-status"[..], &b"0"[..]), (b"grpc-message", b"a: b"), (b"x-empty", b"")]
        );
        assert_eq!(list("grpc-status:0"), [(&b"grpc-status"[..], &b"0"[..])]);
        assert_eq!(list("none\r\n:x\r\n"), []);
        assert_eq!(trailers("a:b\n".repeat(1000).as_bytes()).count(), TRAILERS);
    }
}
