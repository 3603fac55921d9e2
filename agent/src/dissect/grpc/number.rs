//! Numbers in JSON, after protobuf's JSON mapping: what a double can't hold is a text, and so are infinities.

use serde_json::{Number, Value};

/// Integers beyond 2^53 lose digits in readers that know doubles only (RFC 8259, section 6).
const SAFE: u64 = 1 << 53;

/// An integer, as a text when a double can't hold it.
pub(super) fn signed(value: i64) -> Value {
    if value.unsigned_abs() <= SAFE { Value::from(value) } else { Value::from(value.to_string()) }
}

pub(super) fn double(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::from("NaN"),
        None if value > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}

/// 0.1 stays 0.1: the nearest double has more digits, which nobody wrote.
pub(super) fn float(value: f32) -> Value {
    let short = if value.is_finite() { value.to_string().parse().ok() } else { None };
    double(short.unwrap_or(f64::from(value)))
}

/// Eight bytes that are likely a double: zero is not, nor what only an integer's bits would give. As doubles, integers
/// below 2^60 are less than 1e-230, and times in nanoseconds since 1970 less than 1e-190.
pub(super) fn likely_double(bits: u64) -> Option<f64> {
    let value = f64::from_bits(bits);
    (1e-9..1e15).contains(&value.abs()).then_some(value)
}

/// The same for four bytes: as floats, integers below 2^29 are less than 1e-19.
pub(super) fn likely_float(bits: u32) -> Option<f32> {
    let value = f32::from_bits(bits);
    (1e-6..1e9).contains(&value.abs()).then_some(value)
}

/// Protobuf's zigzag: 0, -1, 1, -2, …
pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_likely_a_double() {
        assert_eq!(likely_double(0.25f64.to_bits()), Some(0.25));
        assert_eq!(likely_double(1_763_742_000_000_000_000), None);
        assert_eq!((likely_double(0), likely_double(42), likely_double(u64::MAX)), (None, None, None));
        assert_eq!(likely_float((-1e6f32).to_bits()), Some(-1e6));
        assert_eq!((likely_float(0), likely_float(0x1fff_ffff), likely_float(u32::MAX)), (None, None, None));
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(float(0.1).to_string(), "0.1");
        assert_eq!(float(f32::NEG_INFINITY), "-Infinity");
        assert_eq!(double(f64::NAN), "NaN");
        assert_eq!(signed(-5), -5);
        assert_eq!(signed(i64::MIN), "-9223372036854775808");
        assert_eq!(signed(1 << 53), 1u64 << 53);
        assert_eq!(signed((1 << 53) + 1), "9007199254740993");
        assert_eq!((0..5).map(zigzag).collect::<Vec<_>>(), [0, -1, 1, -2, 2]);
        assert_eq!(zigzag(u64::MAX), i64::MIN);
    }
}
