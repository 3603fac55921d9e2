//! Sizes and durations as people write them: `256MiB`, `64KiB`, `5m`, `1h30m`.

use std::{fmt, str::FromStr, time::Duration};

/// A number of bytes. `K`, `KiB`, … are powers of 1024; `KB`, … of 1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const BYTE_UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

impl ByteSize {
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// Parses a size that must lie between two others, both included.
    pub fn within(text: &str, min: Self, max: Self) -> Result<Self, String> {
        let size: Self = text.parse()?;
        if size < min || size > max {
            return Err(format!("must be {min} to {max}"));
        }
        Ok(size)
    }

    /// As an address space allows it; sizes beyond are cut to that.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be a size, such as 65536, 64KiB or 256MiB".to_owned();
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim().to_ascii_lowercase();
        let (_, factor) = BYTE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(*factor).map(Self).ok_or_else(|| "is too large".to_owned())
    }
}

impl fmt::Display for ByteSize {
    /// The largest unit that keeps it a whole number, so that it parses back to the same size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 != 0 && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// A stretch of time, as `--since` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

const TIME_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Longer than any store reaches back: a slip of the unit.
const SPAN_MAX_MILLIS: u64 = 3_650 * 86_400_000;

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be a duration, such as 30s, 5m or 1h30m".to_owned();
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut millis = 0_u64;
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
            let (unit, after) = after.split_at(after.bytes().take_while(u8::is_ascii_alphabetic).count());
            let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            let number: u64 = number.parse().map_err(|_| wrong())?;
            millis = number.checked_mul(*factor).and_then(|part| millis.checked_add(part)).ok_or("is too long")?;
            rest = after;
        }
        if millis == 0 || millis > SPAN_MAX_MILLIS {
            return Err("must be more than 0 and at most 3650d".to_owned());
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("64k", 65_536),
            ("64 kb", 64_000),
            ("256MiB", 268_435_456),
            ("2G", 2_147_483_648),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "1XiB", "99999999999999999999", "99999999999TiB", "1 2", "１"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        for size in [0, 1, 1000, 1024, 65_536, 1 << 20, (1 << 30) + 1] {
            assert_eq!(ByteSize(size).to_string().parse(), Ok(ByteSize(size)));
        }
    }

    #[test]
    fn spans() {
        for (text, millis) in
            [("5m", 300_000), ("90s", 90_000), ("1h30m", 5_400_000), ("250ms", 250), ("2d", 172_800_000)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        for text in ["", "5", "m", "0s", "-5m", "5 m", "5y", "99999999999999999999s", "9999999999999999d", "4000d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
