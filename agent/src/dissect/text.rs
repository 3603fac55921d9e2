//! Captured bytes as text.

use std::borrow::Cow;

/// UTF-8 where it is; else each byte as the Latin-1 character of that number, which loses nothing and is what RFC 9110
/// section 5.5 calls the historical encoding of header fields.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_stays_and_the_rest_is_latin_1() {
        assert_eq!(text("Grüße".as_bytes()), "Grüße");
        assert!(matches!(text(b"plain"), Cow::Borrowed("plain")));
        assert_eq!(text(b"caf\xe9"), "café");
    }
}
