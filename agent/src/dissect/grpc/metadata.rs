//! Headers and trailers of gRPC whose values are coded: `grpc-timeout`, `grpc-message`, and those whose names end in
//! `-bin` (gRPC over HTTP/2, "Requests", "Responses", "Custom-Metadata").

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// "TimeoutValue → {positive integer as ASCII string of at most 8 digits}".
const TIMEOUT_DIGITS: usize = 8;

/// "Implementations MUST accept padded and un-padded values".
const EITHER_PADDING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// `grpc-timeout` in nanoseconds; what has no room in 64 bits (some 580 years) is the largest.
pub fn timeout(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    let unit: u64 = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1000,
        b'n' => 1,
        _ => return None,
    };
    if digits.is_empty() || digits.len() > TIMEOUT_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0, |count, digit| count * 10 + u64::from(digit - b'0'));
    Some(count.saturating_mul(unit))
}

/// `grpc-message` with its percent-encoding undone. "Decoders MUST NOT error": what is no encoding stays.
pub fn percent_decoded(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'%') {
        return Cow::Borrowed(value);
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'%', [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = behind;
                }
                _ => decoded.push(b'%'),
            },
            _ => decoded.push(*first),
        }
    }
    Cow::Owned(decoded)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// The values of one header whose name ends in `-bin`: several may be joined by commas. `None`: not base64.
pub fn binary(value: &[u8]) -> impl Iterator<Item = Option<Vec<u8>>> {
    value.split(|&byte| byte == b',').map(|value| EITHER_PADDING.decode(value.trim_ascii()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::grpc::testing::Random;

    #[test]
    fn timeouts_are_read() {
        for (value, nanos) in [
            ("100m", 100_000_000),
            ("1S", 1_000_000_000),
            ("2M", 120_000_000_000),
            ("1H", 3_600_000_000_000),
            ("7u", 7000),
            ("99999999n", 99_999_999),
            ("0m", 0),
            ("99999999H", u64::MAX),
        ] {
            assert_eq!(timeout(value.as_bytes()), Some(nanos), "{value}");
        }
        for value in ["", "S", "1", "1s", "123456789n", "-1S", "1.5S", " 1S", "1S ", "+1S"] {
            assert_eq!(timeout(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn messages_are_decoded() {
        let decoded = |value: &str| String::from_utf8(percent_decoded(value.as_bytes()).into_owned()).unwrap();
        assert_eq!(decoded("plain text"), "plain text");
        assert_eq!(decoded("100%25 gr%C3%B6%c3%9fer%0A"), "100% größer\n");
        assert_eq!(decoded("50% off %"), "50% off %");
        assert_eq!(decoded("%4"), "%4");
        assert_eq!(decoded("%%41%zz"), "%A%zz");
    }

    #[test]
    fn binary_values_are_decoded() {
        let values = |value: &str| binary(value.as_bytes()).collect::<Vec<_>>();
        assert_eq!(values("AQID"), [Some(vec![1, 2, 3])]);
        assert_eq!(values("AQ=="), [Some(vec![1])]);
        assert_eq!(values("AQ"), [Some(vec![1])]);
        assert_eq!(values("AQ==, AgM,AQID"), [Some(vec![1]), Some(vec![2, 3]), Some(vec![1, 2, 3])]);
        assert_eq!(values("A!"), [None]);
        assert_eq!(values(""), [Some(vec![])]);
    }

    #[test]
    fn any_bytes_are_read() {
        let mut random = Random(6);
        for _ in 0..20_000 {
            let bytes = random.bytes(20);
            timeout(&bytes);
            assert!(percent_decoded(&bytes).len() <= bytes.len());
            assert!(binary(&bytes).flatten().map(|value| value.len()).sum::<usize>() <= bytes.len());
        }
    }
}
