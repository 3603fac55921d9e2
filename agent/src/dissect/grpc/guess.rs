//! Protobuf without a schema. The wire says where fields begin and end, but not what they are called, and little of
//! what they mean; so all this is a guess, and whoever shows it says so.
//!
//! A message becomes an object keyed by field numbers, in the order of their first appearance; a field that comes
//! several times becomes a list: `{"1": 42, "2": "abc", "3": {"1": true}, "4": [1, 2]}`.
//!
//! - Varint: an integer; beyond 2^63 a negative one, which is how int32 and int64 write them. Zigzag and booleans can't
//!   be told, so -1 may be a 1 and true is 1.
//! - Four and eight bytes: a float or double when that gives a number of everyday size, else an integer.
//! - Length-delimited: text, a message or bytes, the first of these that fits. Text is UTF-8 without control characters:
//!   few messages are that, because field numbers below 4 have tags that are control characters. White space is some of
//!   these, so text with lines is text only when it is no message. What is neither is bytes: `{"base64": "…"}`, which
//!   can't be mixed up with a message, whose keys are numbers, nor with a text. Of packed numbers nothing tells that they
//!   are; where it is likely, what they would be stands beside the bytes (`packed`).
//! - Nothing at all: an empty text, for an empty message looks the same.
//!
//! Each level is checked as a whole before anything of it is built, and each byte is looked at once or twice at each
//! level. So time is linear in size for a given depth, and a wrong guess costs no memory.

use serde_json::{Map, Value};

use super::{
    budget::{Budget, DEPTH},
    number, packed,
    wire::{self, Fields, Wire},
};

/// A whole message; `None` when it is no protobuf.
pub fn guess(payload: &[u8], budget: &mut Budget) -> Option<Value> {
    message(payload, budget, DEPTH).map(Value::Object)
}

pub(super) fn message(bytes: &[u8], budget: &mut Budget, depth: u32) -> Option<Map<String, Value>> {
    if !wire::well_formed(bytes) {
        return None;
    }
    let mut tree = Map::new();
    for (number, wire) in Fields::of(bytes).flatten() {
        if !budget.field() {
            break;
        }
        add(&mut tree, number, value(wire, budget, depth));
    }
    Some(tree)
}

/// Puts a value under its field's number. No guessed value is a list, so a list is always what was made one here.
pub(super) fn add(tree: &mut Map<String, Value>, number: u32, value: Value) {
    match tree.entry(number.to_string()) {
        serde_json::map::Entry::Vacant(entry) => drop(entry.insert(value)),
        serde_json::map::Entry::Occupied(mut entry) => match entry.get_mut() {
            Value::Array(values) => values.push(value),
            first => *first = Value::Array(vec![first.take(), value]),
        },
    }
}

pub(super) fn value(wire: Wire<'_>, budget: &mut Budget, depth: u32) -> Value {
    match wire {
        Wire::Varint(value) => number::signed(value as i64),
        Wire::Fixed64(bits) => number::likely_double(bits).map_or_else(|| number::signed(bits as i64), number::double),
        Wire::Fixed32(bits) => number::likely_float(bits).map_or_else(|| Value::from(bits as i32), number::float),
        Wire::Bytes(bytes) => delimited(bytes, budget, depth),
    }
}

fn delimited(bytes: &[u8], budget: &mut Budget, depth: u32) -> Value {
    let text = std::str::from_utf8(bytes).ok().zip(Controls::of(bytes));
    if let Some((text, Controls::None)) = text {
        return budget.text(text);
    }
    match depth.checked_sub(1) {
        Some(depth) => {
            if let Some(tree) = message(bytes, budget, depth) {
                return Value::Object(tree);
            }
        }
        // Perhaps a message, which nobody will see.
        None => budget.set_cut(),
    }
    match text {
        Some((text, Controls::Space | Controls::None)) => budget.text(text),
        None => packed::bytes(bytes, budget),
    }
}

/// Control characters (C0 and DEL) in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Controls {
    None,
    /// Only those that texts have: tab, line feed, carriage return, and the escape of coloured logs.
    Space,
}

impl Controls {
    /// `None`: others, so it is no text.
    fn of(bytes: &[u8]) -> Option<Self> {
        // Without branches first: nearly all texts are plain.
        if bytes.iter().fold(true, |plain, &byte| plain & (byte >= 0x20) & (byte != 0x7f)) {
            return Some(Self::None);
        }
        bytes
            .iter()
            .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b | 0x20..=0x7e | 0x80..))
            .then_some(Self::Space)
    }
}

#[cfg(test)]
mod tests {
    use prost::encoding::{self, WireType};
    use serde_json::json;

    use super::*;
    use crate::dissect::grpc::testing::Random;

    fn run(payload: &[u8]) -> Option<Value> {
        let mut budget = Budget::new(1 << 20);
        let tree = guess(payload, &mut budget);
        assert!(!budget.cut());
        tree
    }

    fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
        encoding::bytes::encode(number, &value.to_vec(), out);
    }

    #[test]
    fn each_kind_is_guessed() {
        let mut inner = Vec::new();
        bytes(&mut inner, 1, b"inner text");
        encoding::bool::encode(2, &true, &mut inner);
        let mut out = Vec::new();
        encoding::uint32::encode(1, &42, &mut out);
        bytes(&mut out, 2, b"abc");
        bytes(&mut out, 3, &inner);
        encoding::uint32::encode(4, &1, &mut out);
        encoding::uint32::encode(4, &2, &mut out);
        bytes(&mut out, 5, &[0xff, 0xfe, 0xff]);
        bytes(&mut out, 6, b"");
        encoding::int32::encode(7, &-7, &mut out);
        encoding::uint64::encode(8, &((1 << 60) + 1), &mut out);
        encoding::double::encode(9, &0.1, &mut out);
        encoding::fixed64::encode(10, &1_763_742_000_000_000_000, &mut out);
        encoding::float::encode(11, &0.1, &mut out);
        encoding::sfixed32::encode(12, &-3, &mut out);
        bytes(&mut out, 13, b"two\nlines");
        bytes(&mut out, 14, "größer 日本".as_bytes());
        encoding::uint32::encode(4, &3, &mut out);
        assert_eq!(
            run(&out),
            Some(json!({
                "1": 42,
                "2": "abc",
                "3": {"1": "inner text", "2": 1},
                "4": [1, 2, 3],
                "5": {"base64": "//7/"},
                "6": "",
                "7": -7,
                "8": "1152921504606846977",
                "9": 0.1,
                "10": "1763742000000000000",
                "11": 0.1,
                "12": -3,
                "13": "two\nlines",
                "14": "größer 日本",
            }))
        );
    }

    /// Field 1 with 10 characters begins with two line feeds: text with lines and a message at once.
    #[test]
    fn a_message_that_looks_like_lines_is_a_message() {
        for length in [9, 10, 13, 32, 100] {
            let (mut inner, mut out) = (Vec::new(), Vec::new());
            let text = "x".repeat(length);
            bytes(&mut inner, 1, text.as_bytes());
            bytes(&mut out, 1, &inner);
            assert_eq!(run(&out), Some(json!({"1": {"1": text}})));
        }
    }

    #[test]
    fn what_is_no_message_is_not_guessed() {
        assert_eq!(run(b""), Some(json!({})));
        assert_eq!(run(b"hello"), None);
        assert_eq!(run(&[0x08]), None);
        assert_eq!(run(br#"{"json": true}"#), None);
    }

    #[test]
    fn nesting_is_bounded_in_depth_and_time() {
        // Each level a message; the innermost bytes are no message, so that each level's guess is put to the test.
        for tail in [&b"\x01"[..], b"\x08\x01", b""] {
            let mut nested = tail.to_vec();
            while nested.len() < 1 << 20 {
                let mut outer = Vec::new();
                encoding::encode_key(1, WireType::LengthDelimited, &mut outer);
                encoding::encode_varint(nested.len() as u64, &mut outer);
                outer.extend_from_slice(&nested);
                // Grows by much once it is deep, else this would take a million levels.
                if outer.len() > 1000 {
                    bytes(&mut outer, 2, &nested);
                }
                nested = outer;
            }
            let mut budget = Budget::new(1 << 20);
            let start = std::time::Instant::now();
            let tree = guess(&nested, &mut budget).unwrap();
            assert!(start.elapsed().as_secs() < 5 && budget.cut());
            let text = tree.to_string();
            assert!(serde_json::from_str::<Value>(&text).is_ok());
        }
    }

    #[test]
    fn many_fields_are_cut() {
        let mut budget = Budget::new(1 << 20);
        let tree = guess(&[0x08, 1].repeat(100_000), &mut budget).unwrap();
        assert!(budget.cut() && tree["1"].as_array().unwrap().len() < 10_000);
        let mut budget = Budget::new(10);
        let mut out = Vec::new();
        bytes(&mut out, 1, &[b'a'; 100]);
        bytes(&mut out, 2, &[0xff; 100]);
        assert_eq!(guess(&out, &mut budget), Some(json!({"1": "aaaaaaaaaa", "2": {"base64": ""}})));
        assert!(budget.cut());
    }

    #[test]
    fn any_bytes_stay_in_bounds() {
        let mut random = Random(2);
        let mut seed = Vec::new();
        for number in 1..20 {
            let value = random.bytes(12);
            bytes(&mut seed, number, &value);
            encoding::uint64::encode(number, &random.next(), &mut seed);
        }
        for round in 0..20_000 {
            let payload = if round % 2 == 0 { random.bytes(40) } else { random.mutated(&seed) };
            let mut budget = Budget::new(200);
            if let Some(tree) = guess(&payload, &mut budget) {
                assert!(tree.to_string().len() < 10_000);
            }
        }
    }

    /// How often random bytes pass for a message. Not a promise, but to be known when the rules change.
    #[test]
    fn random_bytes_seldom_pass_for_messages() {
        let mut random = Random(3);
        for (length, most) in [(4, 600), (8, 400), (16, 200), (32, 100)] {
            let mut wrong = 0;
            for _ in 0..10_000 {
                let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
                wrong += u32::from(wire::well_formed(&bytes));
            }
            println!("{length} random bytes: {wrong} of 10000 are messages");
            assert!(wrong < most, "{length}: {wrong}");
        }
    }

    /// ns per message: `cargo test --release -- --ignored --nocapture speed`.
    #[test]
    #[ignore = "a measurement"]
    fn speed() {
        let (mut inner, mut out) = (Vec::new(), Vec::new());
        bytes(&mut inner, 1, b"550e8400-e29b-41d4-a716-446655440000");
        encoding::uint32::encode(2, &7, &mut inner);
        encoding::uint32::encode(1, &42, &mut out);
        bytes(&mut out, 2, b"some text of a request");
        bytes(&mut out, 3, &inner);
        encoding::double::encode(4, &0.5, &mut out);
        bytes(&mut out, 5, b"more");
        let deep = {
            let mut nested = vec![1; 64 << 10];
            for _ in 0..2 * DEPTH {
                let mut outer = Vec::new();
                bytes(&mut outer, 1, &nested);
                nested = outer;
            }
            nested
        };
        let many = [0x08, 1].repeat(32 << 10);
        for (name, payload, rounds) in
            [("small", &out, 300_000u32), ("deep 64 KiB", &deep, 200), ("many fields 64 KiB", &many, 200)]
        {
            let start = std::time::Instant::now();
            for _ in 0..rounds {
                std::hint::black_box(guess(std::hint::black_box(payload), &mut Budget::new(1 << 20)));
            }
            println!("{name}: {} bytes, {} ns", payload.len(), start.elapsed().as_nanos() / u128::from(rounds));
        }
    }
}
