//! Where a message's body ends (RFC 9112 section 6). What peers may read differently is a finding, never a guess.

/// What the headers say of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    length: Length,
    transfer: Transfer,
    /// Transfer codings besides chunked.
    pub(super) transfer_coded: bool,
    /// There is a content-encoding.
    pub(super) content_coded: bool,
    /// Expect: 100-continue.
    pub(super) expects: bool,
    /// What proxies say when they grant a CONNECT.
    pub(super) tunnel: bool,
    /// A header that frames the body stands in a line that readers take differently.
    pub(super) doubtful: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Is(u64),
    Invalid,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Transfer {
    #[default]
    Absent,
    /// `chunked` comes last.
    Chunked,
    /// Known codings without a final `chunked`.
    Other,
    Invalid,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    UntilEnd,
    /// Until the end, or a tunnel begins: the request would tell, and was not seen.
    Unseen,
    /// Readers differ over it, for this reason.
    Unclear(&'static str),
}

/// What is known of the request that a response answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Head,
    Connect,
    Other,
    Unknown,
}

impl Facts {
    #[inline]
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        match (name.len(), name.first().map(u8::to_ascii_lowercase)) {
            (14, Some(b'c')) if name.eq_ignore_ascii_case(b"content-length") => self.length = self.length.and(value),
            (17, Some(b't')) if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            (16, Some(b'c')) if name.eq_ignore_ascii_case(b"content-encoding") => self.content_coded = true,
            (6, Some(b'e')) if name.eq_ignore_ascii_case(b"expect") => {
                self.expects = value.trim_ascii().eq_ignore_ascii_case(b"100-continue");
            }
            _ => {}
        }
    }

    /// Section 7: transfer-coding names are case-insensitive, chunked comes last and only once.
    fn transfer_encoding(&mut self, value: &[u8]) {
        for coding in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty()) {
            let known = [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"];
            self.transfer = match self.transfer {
                Transfer::Chunked | Transfer::Invalid => Transfer::Invalid,
                Transfer::Absent | Transfer::Other if coding.eq_ignore_ascii_case(b"chunked") => Transfer::Chunked,
                Transfer::Absent | Transfer::Other if known.iter().any(|name| coding.eq_ignore_ascii_case(name)) => {
                    self.transfer_coded = true;
                    Transfer::Other
                }
                Transfer::Absent | Transfer::Other => Transfer::Invalid,
            };
        }
        if self.transfer == Transfer::Absent {
            self.transfer = Transfer::Invalid;
        }
    }

    /// Of a request, with a finding.
    pub(super) fn request(&self, version: &str) -> (Framing, Option<&'static str>) {
        match self.framed(version) {
            Some((Framing::UntilEnd, _)) => (Framing::Unclear("transfer_encoding"), None),
            Some(framed) => framed,
            // Section 6.3, rule 7.
            None => (Framing::Empty, None),
        }
    }

    /// Of a response, with a finding.
    pub(super) fn response(&self, version: &str, status: u16, asked: Asked) -> (Framing, Option<&'static str>) {
        // Section 6.3, rules 1 and 2.
        if asked == Asked::Head
            || matches!(status, 100..=199 | 204 | 304)
            || asked == Asked::Connect && (200..=299).contains(&status)
        {
            return (Framing::Empty, None);
        }
        let unframed = match (asked, status) {
            // Section 6.3, rule 2: what follows the answer to CONNECT is no body.
            (Asked::Unknown, 200..=299) => Framing::Unseen,
            // Rule 8.
            _ => Framing::UntilEnd,
        };
        self.framed(version).unwrap_or((unframed, None))
    }

    fn framed(&self, version: &str) -> Option<(Framing, Option<&'static str>)> {
        if self.doubtful {
            return Some((Framing::Unclear("framing_header"), None));
        }
        // Section 6.3, rule 3: transfer-encoding overrides content-length, and may be an attempt at smuggling.
        let both = (self.length != Length::Absent).then_some("transfer_encoding_and_content_length");
        match self.transfer {
            Transfer::Absent => {}
            // Section 6.1: in HTTP/1.0 the framing is faulty.
            _ if version == "1.0" => return Some((Framing::Unclear("transfer_encoding_in_1_0"), None)),
            Transfer::Chunked => return Some((Framing::Chunked, both)),
            Transfer::Other => return Some((Framing::UntilEnd, both)),
            Transfer::Invalid => return Some((Framing::Unclear("transfer_encoding"), None)),
        }
        match self.length {
            Length::Absent => None,
            Length::Is(0) => Some((Framing::Empty, None)),
            Length::Is(length) => Some((Framing::Length(length), None)),
            // Rule 5.
            Length::Invalid => Some((Framing::Unclear("content_length"), None)),
        }
    }
}

impl Length {
    /// With one more value. RFC 9110 section 8.6: digits only; a list of equal values is that value.
    fn and(self, value: &[u8]) -> Self {
        if let (Self::Absent, Some(number)) = (self, decimal(value)) {
            return Self::Is(number);
        }
        value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).fold(self, |length, number| {
            match (length, decimal(number)) {
                (Self::Absent, Some(number)) => Self::Is(number),
                (Self::Is(before), Some(number)) if before == number => Self::Is(before),
                _ => Self::Invalid,
            }
        })
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, &digit| {
        digit.is_ascii_digit().then_some(())?;
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(headers: &[(&str, &str)]) -> Facts {
        let mut facts = Facts::default();
        for (name, value) in headers {
            facts.add(name.as_bytes(), value.as_bytes());
        }
        facts
    }

    fn request(headers: &[(&str, &str)]) -> (Framing, Option<&'static str>) {
        facts(headers).request("1.1")
    }

    #[test]
    fn content_length() {
        let cases: [(&[&str], Framing); 12] = [
            (&["5"], Framing::Length(5)),
            (&["0"], Framing::Empty),
            (&["005"], Framing::Length(5)),
            (&["5, 5"], Framing::Length(5)),
            (&["5", "5"], Framing::Length(5)),
            (&["18446744073709551615"], Framing::Length(u64::MAX)),
            (&["18446744073709551616"], Framing::Unclear("content_length")),
            (&["5, 6"], Framing::Unclear("content_length")),
            (&["5", "6"], Framing::Unclear("content_length")),
            (&["+5"], Framing::Unclear("content_length")),
            (&["0x5"], Framing::Unclear("content_length")),
            (&[""], Framing::Unclear("content_length")),
        ];
        for (values, framing) in cases {
            let headers: Vec<_> = values.iter().map(|value| ("Content-Length", *value)).collect();
            assert_eq!(request(&headers), (framing, None), "{values:?}");
        }
    }

    #[test]
    fn transfer_encoding() {
        let te = "Transfer-Encoding";
        assert_eq!(request(&[(te, "Chunked")]), (Framing::Chunked, None));
        assert_eq!(request(&[(te, "gzip, chunked")]), (Framing::Chunked, None));
        assert_eq!(request(&[(te, "gzip"), (te, "chunked")]), (Framing::Chunked, None));
        for unclear in
            ["xchunked", "chunked, gzip", "chunked, chunked", "identity", "gzip", "", "chunked;a=b", "\u{b}chunked"]
        {
            assert_eq!(request(&[(te, unclear)]), (Framing::Unclear("transfer_encoding"), None), "{unclear:?}");
        }
        let both = request(&[("Content-Length", "5"), (te, "chunked")]);
        assert_eq!(both, (Framing::Chunked, Some("transfer_encoding_and_content_length")));
        assert_eq!(facts(&[(te, "chunked")]).request("1.0"), (Framing::Unclear("transfer_encoding_in_1_0"), None));
        assert_eq!(facts(&[(te, "gzip")]).response("1.1", 200, Asked::Other), (Framing::UntilEnd, None));
    }

    #[test]
    fn responses_without_a_body() {
        let length = facts(&[("content-length", "9")]);
        for (status, asked) in
            [(200, Asked::Head), (204, Asked::Other), (304, Asked::Unknown), (100, Asked::Other), (200, Asked::Connect)]
        {
            assert_eq!(length.response("1.1", status, asked).0, Framing::Empty);
        }
        assert_eq!(length.response("1.1", 407, Asked::Connect).0, Framing::Length(9));
        assert_eq!(facts(&[]).response("1.1", 200, Asked::Other).0, Framing::UntilEnd);
        assert_eq!(facts(&[]).response("1.1", 200, Asked::Unknown).0, Framing::Unseen);
        assert_eq!(facts(&[]).response("1.1", 404, Asked::Unknown).0, Framing::UntilEnd);
        assert_eq!(facts(&[]).request("1.1").0, Framing::Empty);
    }
}
