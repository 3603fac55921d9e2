//! Times and durations as texts: RFC 3339, and `1h30m`, as CEL writes them.

use crate::time::Time;

/// `2026-11-21T01:02:03.456789Z`, also with an offset from UTC.
pub(super) fn time(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_at_checked(10)?;
    let (clock, rest) = rest.split_at_checked(9)?;
    let [y @ .., b'-', m1, m0, b'-', d1, d0] = date else { return None };
    let [b'T' | b't' | b' ', h1, h0, b':', n1, n0, b':', s1, s0] = clock else { return None };
    let (year, month, day) = (number(y)?, number(&[*m1, *m0])?, number(&[*d1, *d0])?);
    let (hour, minute, second) = (number(&[*h1, *h0])?, number(&[*n1, *n0])?, number(&[*s1, *s0])?);
    if !(1..=days_in(year, month)?).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = match rest {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&digits) {
                return None;
            }
            (number(&rest[..digits])? * 10_i64.pow(9 - digits as u32), &rest[digits..])
        }
        _ => (0, rest),
    };
    let offset = match zone {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
            let (hours, minutes) = (number(&[*h1, *h0])?, number(&[*m1, *m0])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset;
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(fraction);
    u64::try_from(nanos).ok().map(Time)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value: i64, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => Some(29),
        2 => Some(28),
        _ => None,
    }
}

/// Days since 1970, counted from March so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
        - 1
        - 719_468
}

/// Nanoseconds of `-1h30m`, `1.5s`, `300ms`, `0`.
pub(super) fn duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, tail) = rest.split_at(length);
        let unit = tail.bytes().take_while(|byte| !byte.is_ascii_digit() && *byte != b'.').count();
        let (unit, tail) = tail.split_at(unit);
        let nanos: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        // 18 digits are more than an i64 of nanoseconds has.
        if whole.len() + fraction.len() == 0 || whole.len() > 18 || fraction.len() > 18 || fraction.contains('.') {
            return None;
        }
        let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
        total += digits(whole)? * nanos + digits(fraction)? * nanos / 10_i128.pow(fraction.len() as u32);
        rest = tail;
    }
    i64::try_from(sign * total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back() {
        for nanos in [0, 951_827_696_789_012_000, 1_795_309_323_456_789_000, 4_102_444_800_000_000_000] {
            assert_eq!(time(&Time(nanos).to_string()), Some(Time(nanos)));
        }
        assert_eq!(time("1970-01-01T01:00:00+01:00"), Some(Time(0)));
        assert_eq!(time("1970-01-01T00:00:00.5-00:30"), Some(Time(1_800_500_000_000)));
        for bad in [
            "",
            "now",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "é026-01-01T00:00:00Z",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1h30m"), Some(5_400_000_000_000));
        assert_eq!(duration("-1.5s"), Some(-1_500_000_000));
        assert_eq!(duration("100us"), Some(100_000));
        assert_eq!(duration("0"), Some(0));
        for bad in ["", "5", "m", "1d", "1.2.3s", "99999999999999999999h", "9000000h", "-", "5 m", "é"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
