//! Packed numbers without a schema: a repeated number field is one run of bytes that says nothing of itself. The bytes
//! are shown as they are, and where one reading is likely, it stands beside them: `{"base64": "AQID", "varints": [1, 2,
//! 3]}`. It claims no more than that the bytes read so.

use serde_json::{Map, Value};

use super::{
    budget::Budget,
    number,
    wire::{fixed32, fixed64, varint},
};

/// Numbers that are shown beside the bytes: enough to see what they are, and what they cost is known.
const SHOWN: usize = 64;

/// One reading.
struct Reading {
    name: &'static str,
    /// Fewer numbers prove nothing: random bytes pass for a likely double one time in 25, for a float one in 5.
    least: usize,
    /// Bytes for a number, at most: of random bytes half end a varint, of lists of small numbers nearly all.
    most: fn(usize) -> usize,
    /// How many may be zero: round doubles make a float and a zero each.
    zeros: fn(usize) -> usize,
    take: fn(&mut &[u8]) -> Option<Value>,
}

/// Floats first: two of them often make a likely double.
const READINGS: [Reading; 3] = [
    Reading { name: "floats", least: 4, most: |count| count * 4, zeros: |count| count / 3, take: float },
    Reading { name: "doubles", least: 2, most: |count| count * 8, zeros: |count| count - 1, take: double },
    Reading { name: "varints", least: 1, most: |count| count + count / 2, zeros: |count| count, take: integer },
];

/// Bytes that are neither text nor a message.
pub(super) fn bytes(bytes: &[u8], budget: &mut Budget) -> Value {
    let mut tree = Map::new();
    tree.insert("base64".to_owned(), Value::String(budget.base64(bytes)));
    for reading in &READINGS {
        if let Some(numbers) = read(reading, bytes) {
            if numbers.iter().all(|_| budget.field()) {
                tree.insert(reading.name.to_owned(), Value::Array(numbers));
            }
            break;
        }
    }
    Value::Object(tree)
}

/// Nobody allocates before it is known that all of it reads so.
fn read(reading: &Reading, bytes: &[u8]) -> Option<Vec<Value>> {
    let (mut rest, mut count) = (bytes, 0);
    while !rest.is_empty() {
        if count == SHOWN {
            return None;
        }
        (reading.take)(&mut rest)?;
        count += 1;
    }
    if count < reading.least || bytes.len() > (reading.most)(count) {
        return None;
    }
    let mut rest = bytes;
    let numbers: Vec<_> = (0..count).map_while(|_| (reading.take)(&mut rest)).collect();
    let zeros = numbers.iter().filter(|number| number.as_i64() == Some(0)).count();
    (zeros <= (reading.zeros)(count)).then_some(numbers)
}

/// Zeros stand between other numbers.
fn double(rest: &mut &[u8]) -> Option<Value> {
    match fixed64(rest).ok()? {
        0 => Some(Value::from(0)),
        bits => number::likely_double(bits).map(number::double),
    }
}

fn float(rest: &mut &[u8]) -> Option<Value> {
    match fixed32(rest).ok()? {
        0 => Some(Value::from(0)),
        bits => number::likely_float(bits).map(number::float),
    }
}

/// Shortest form only, as encoders write it, and of everyday size.
fn integer(rest: &mut &[u8]) -> Option<Value> {
    let before = *rest;
    let value = u32::try_from(varint(rest).ok()?).ok()?;
    let used = before.len() - rest.len();
    let shortest = (32 - value.leading_zeros()).div_ceil(7).max(1) as usize;
    (used == shortest).then(|| Value::from(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dissect::grpc::testing::Random;

    fn run(raw: &[u8]) -> Value {
        let mut tree = bytes(raw, &mut Budget::new(1000));
        tree.as_object_mut().unwrap().remove("base64").unwrap();
        tree
    }

    #[test]
    fn likely_readings_stand_beside_the_bytes() {
        assert_eq!(run(&[1, 2, 3]), json!({"varints": [1, 2, 3]}));
        assert_eq!(run(&[0, 0, 0, 1]), json!({"varints": [0, 0, 0, 1]}));
        assert_eq!(run(&[3, 0x8e, 2, 0x9e, 0xa7, 5]), json!({}));
        assert_eq!(run(&[3, 4, 0x8e, 2]), json!({"varints": [3, 4, 270]}));
        let doubles: Vec<u8> = [0.5f64, 0.0, -12.25].iter().flat_map(|n| n.to_le_bytes()).collect();
        assert_eq!(run(&doubles), json!({"doubles": [0.5, 0, -12.25]}));
        let floats: Vec<u8> = [0.1f32, 0.2, -0.3, 0.4].iter().flat_map(|n| n.to_le_bytes()).collect();
        assert_eq!(run(&floats), json!({"floats": [0.1, 0.2, -0.3, 0.4]}));
        assert_eq!(run(&[0xff, 0xff]), json!({}));
        assert_eq!(run(&[1; 65]), json!({}));
        assert_eq!(bytes(b"\x01\x02\x03", &mut Budget::new(100)), json!({"base64": "AQID", "varints": [1, 2, 3]}));
    }

    #[test]
    fn random_bytes_seldom_have_a_reading() {
        let mut random = Random(4);
        for (length, most) in [(16, 1500), (20, 1500), (32, 500)] {
            let mut seen = 0;
            for _ in 0..10_000 {
                let raw: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
                seen += u32::from(run(&raw) != json!({}));
            }
            println!("{length} random bytes: {seen} of 10000 have a reading");
            assert!(seen < most, "{length}: {seen}");
        }
    }
}
