//! Protobuf with a schema, in protobuf's JSON mapping (protobuf.dev/programming-guides/json): names in lowerCamelCase,
//! 64-bit integers as texts, enums by name, bytes in base64, well-known types in their own forms (`known`).
//!
//! Descriptors come from an operator's file or from the wire, payloads from anywhere, and they need not fit. So this
//! reads the wire itself and asks the descriptor about each field, which has three merits over a message object that is
//! serialized afterwards: all that is built is paid from the budget, an `Any` within an `Any` counts as depth, and what
//! does not fit spoils itself alone:
//! - A field that the schema lacks (it is older than the sender) is guessed and stands under its number: `unknown`.
//! - A field of another wire type than the schema says is no such field (protobuf's parsers treat it so too), and is
//!   guessed likewise. A text that is no UTF-8, or a message that is none, is `{"base64": "…"}`. Both: `mismatched`.
//!
//! Other than the mapping demands, fields that are on the wire with their default value are shown: the sender sent them.
//! Extensions of proto2 count as unknown.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use super::{
    budget::{Budget, DEPTH},
    guess, known, number,
    wire::{self, Fields, Wire},
};

/// A message by its schema.
#[derive(Debug)]
pub struct Typed {
    pub tree: Value,
    /// Fields that the schema does not have.
    pub unknown: u32,
    /// Fields that are not what the schema says. Many of them: it is the schema of something else.
    pub mismatched: u32,
}

/// `None` when it is no protobuf.
pub fn decode(descriptor: &MessageDescriptor, payload: &[u8], budget: &mut Budget) -> Option<Typed> {
    let mut reader = Reader::new(budget);
    let tree = reader.message(descriptor, payload, DEPTH)?;
    let Reader { budget: _, unknown, mismatched } = reader;
    Some(Typed { tree, unknown, mismatched })
}

/// What reading one message has come to.
pub(super) struct Reader<'a> {
    pub(super) budget: &'a mut Budget,
    unknown: u32,
    mismatched: u32,
}

/// Singular messages of one message, by field number. One that comes in several parts is their concatenation
/// (programming-guides/encoding, "Last One Wins").
type Parts<'a> = BTreeMap<u32, (FieldDescriptor, Vec<&'a [u8]>)>;

impl<'a> Reader<'a> {
    pub(super) fn new(budget: &'a mut Budget) -> Self {
        Self { budget, unknown: 0, mismatched: 0 }
    }

    pub(super) fn message(&mut self, descriptor: &MessageDescriptor, bytes: &[u8], depth: u32) -> Option<Value> {
        match known::Known::of(descriptor.full_name()) {
            Some(known) => known.read(self, descriptor, bytes, depth),
            None => self.fields(descriptor, bytes, depth).map(Value::Object),
        }
    }

    pub(super) fn fields(
        &mut self,
        descriptor: &MessageDescriptor,
        bytes: &[u8],
        depth: u32,
    ) -> Option<Map<String, Value>> {
        if !wire::well_formed(bytes) {
            return None;
        }
        let mut tree = Map::new();
        let mut parts = Parts::new();
        let mut chosen = BTreeMap::<String, FieldDescriptor>::new();
        for (number, wire) in Fields::of(bytes).flatten() {
            if !self.budget.field() {
                break;
            }
            let Some(field) = descriptor.get_field(number) else {
                self.unknown = self.unknown.saturating_add(1);
                guess::add(&mut tree, number, guess::value(wire, self.budget, depth));
                continue;
            };
            if self.slot(&mut tree, &field).is_none() {
                break;
            }
            if let Some(other) = last_of_oneof(&mut chosen, &field) {
                tree.shift_remove(other.json_name());
                parts.remove(&other.number());
                self.slot(&mut tree, &field);
            }
            let kind = field.kind();
            let fits = match (&kind, wire) {
                (Kind::Message(entry), Wire::Bytes(bytes)) if field.is_map() => {
                    self.entry(self::slot(&mut tree, &field), entry, bytes, depth).is_some()
                }
                (_, Wire::Bytes(bytes)) if field.is_list() && packable(&kind) => {
                    self.packed(self::slot(&mut tree, &field), &kind, bytes).is_some()
                }
                (Kind::Message(_), Wire::Bytes(bytes)) if !field.is_list() => {
                    parts.entry(number).or_insert_with(|| (field.clone(), Vec::new())).1.push(bytes);
                    true
                }
                _ => match self.value(&kind, wire, depth) {
                    Some(value) => {
                        match (self::slot(&mut tree, &field), field.is_list()) {
                            (Some(Value::Array(values)), true) => values.push(value),
                            (Some(slot), _) => *slot = value,
                            (None, _) => {}
                        }
                        true
                    }
                    None => false,
                },
            };
            if !fits {
                self.mismatched = self.mismatched.saturating_add(1);
                if self::slot(&mut tree, &field).is_some_and(|slot| slot.is_null()) {
                    tree.shift_remove(field.json_name());
                }
                guess::add(&mut tree, number, guess::value(wire, self.budget, depth));
            }
        }
        for (field, parts) in parts.into_values() {
            let Kind::Message(descriptor) = field.kind() else { continue };
            let value = match parts.as_slice() {
                [one] => self.nested(&descriptor, one, depth),
                several => self.nested(&descriptor, &several.concat(), depth),
            };
            if self.slot(&mut tree, &field).is_some()
                && let Some(slot) = self::slot(&mut tree, &field)
            {
                *slot = value;
            }
        }
        Some(tree)
    }

    /// Makes the place of a field, with what it starts as. `None`: its name can't be paid.
    fn slot(&mut self, tree: &mut Map<String, Value>, field: &FieldDescriptor) -> Option<()> {
        if !tree.contains_key(field.json_name()) {
            let empty = match (field.is_map(), field.is_list()) {
                (true, _) => Value::Object(Map::new()),
                (false, true) => Value::Array(Vec::new()),
                (false, false) => Value::Null,
            };
            tree.insert(self.budget.name(field.json_name())?, empty);
        }
        Some(())
    }

    /// A message in a field. What is none is shown as bytes.
    pub(super) fn nested(&mut self, descriptor: &MessageDescriptor, bytes: &[u8], depth: u32) -> Value {
        let Some(depth) = depth.checked_sub(1) else {
            self.budget.set_cut();
            return self.budget.marked_base64(bytes);
        };
        match self.message(descriptor, bytes, depth) {
            Some(tree) => tree,
            None => {
                self.mismatched = self.mismatched.saturating_add(1);
                self.budget.marked_base64(bytes)
            }
        }
    }

    /// `None` when the wire type is not the kind's.
    pub(super) fn value(&mut self, kind: &Kind, wire: Wire<'_>, depth: u32) -> Option<Value> {
        Some(match (kind, wire) {
            // Longer values lose their upper bits, as in protobuf's parsers.
            (Kind::Int32, Wire::Varint(value)) => Value::from(value as i32),
            (Kind::Uint32, Wire::Varint(value)) => Value::from(value as u32),
            (Kind::Sint32, Wire::Varint(value)) => Value::from(number::zigzag(u64::from(value as u32)) as i32),
            (Kind::Int64, Wire::Varint(value)) => Value::from((value as i64).to_string()),
            (Kind::Uint64, Wire::Varint(value)) => Value::from(value.to_string()),
            (Kind::Sint64, Wire::Varint(value)) => Value::from(number::zigzag(value).to_string()),
            (Kind::Bool, Wire::Varint(value)) => Value::from(value != 0),
            (Kind::Enum(descriptor), Wire::Varint(value)) => match descriptor.get_value(value as i32) {
                _ if descriptor.full_name() == "google.protobuf.NullValue" => Value::Null,
                Some(value) => self.budget.text(value.name()),
                None => Value::from(value as i32),
            },
            (Kind::Fixed32, Wire::Fixed32(bits)) => Value::from(bits),
            (Kind::Sfixed32, Wire::Fixed32(bits)) => Value::from(bits as i32),
            (Kind::Float, Wire::Fixed32(bits)) => number::float(f32::from_bits(bits)),
            (Kind::Fixed64, Wire::Fixed64(bits)) => Value::from(bits.to_string()),
            (Kind::Sfixed64, Wire::Fixed64(bits)) => Value::from((bits as i64).to_string()),
            (Kind::Double, Wire::Fixed64(bits)) => number::double(f64::from_bits(bits)),
            (Kind::String, Wire::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => self.budget.text(text),
                Err(_) => {
                    self.mismatched = self.mismatched.saturating_add(1);
                    self.budget.marked_base64(bytes)
                }
            },
            (Kind::Bytes, Wire::Bytes(bytes)) => Value::String(self.budget.base64(bytes)),
            (Kind::Message(descriptor), Wire::Bytes(bytes)) => self.nested(descriptor, bytes, depth),
            (
                Kind::Int32
                | Kind::Uint32
                | Kind::Sint32
                | Kind::Int64
                | Kind::Uint64
                | Kind::Sint64
                | Kind::Bool
                | Kind::Enum(_)
                | Kind::Fixed32
                | Kind::Sfixed32
                | Kind::Float
                | Kind::Fixed64
                | Kind::Sfixed64
                | Kind::Double
                | Kind::String
                | Kind::Bytes
                | Kind::Message(_),
                _,
            ) => return None,
        })
    }

    /// Numbers without tags. Parsers must take them whether or not the field is declared packed.
    fn packed(&mut self, slot: Option<&mut Value>, kind: &Kind, bytes: &[u8]) -> Option<()> {
        let Some(Value::Array(values)) = slot else { return None };
        let before = values.len();
        let mut rest = bytes;
        while !rest.is_empty() {
            let wire = match kind {
                Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => wire::fixed32(&mut rest).map(Wire::Fixed32),
                Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => wire::fixed64(&mut rest).map(Wire::Fixed64),
                _ => wire::varint(&mut rest).map(Wire::Varint),
            };
            let Ok(wire) = wire else {
                values.truncate(before);
                return None;
            };
            if !self.budget.field() {
                break;
            }
            values.extend(self.value(kind, wire, 0));
        }
        Some(())
    }

    /// An entry of a map is a message with the key in field 1 and the value in field 2, either of which may be absent.
    fn entry(&mut self, slot: Option<&mut Value>, entry: &MessageDescriptor, bytes: &[u8], depth: u32) -> Option<()> {
        let (Some(Value::Object(tree)), true) = (slot, wire::well_formed(bytes)) else { return None };
        let depth = depth.checked_sub(1)?;
        // Descriptors from the wire may lack them.
        let (key_kind, value_kind) = (entry.get_field(1)?.kind(), entry.get_field(2)?.kind());
        let (mut key, mut value) = (None, None);
        for (number, wire) in Fields::of(bytes).flatten() {
            match number {
                1 => key = Some(wire),
                2 => value = Some(wire),
                _ => self.unknown = self.unknown.saturating_add(1),
            }
        }
        let key = match key {
            Some(key) => match self.value(&key_kind, key, depth)? {
                Value::String(key) => key,
                key @ (Value::Null | Value::Bool(_) | Value::Number(_)) => key.to_string(),
                // Of no kind that a key may have.
                Value::Array(_) | Value::Object(_) => return None,
            },
            None => match key_kind {
                Kind::String => String::new(),
                Kind::Bool => "false".to_owned(),
                _ => "0".to_owned(),
            },
        };
        let value = match value {
            Some(value) => self.value(&value_kind, value, depth)?,
            None => self.absent(&value_kind, depth),
        };
        tree.insert(key, value);
        Some(())
    }

    /// What an absent value of this kind means.
    pub(super) fn absent(&mut self, kind: &Kind, depth: u32) -> Value {
        let wire = match kind {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Wire::Fixed64(0),
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Wire::Fixed32(0),
            Kind::String | Kind::Bytes | Kind::Message(_) => Wire::Bytes(&[]),
            _ => Wire::Varint(0),
        };
        self.value(kind, wire, depth).unwrap_or_default()
    }
}

fn slot<'a>(tree: &'a mut Map<String, Value>, field: &FieldDescriptor) -> Option<&'a mut Value> {
    tree.get_mut(field.json_name())
}

/// Of a oneof the last member on the wire counts; returns the one that counted before.
fn last_of_oneof(chosen: &mut BTreeMap<String, FieldDescriptor>, field: &FieldDescriptor) -> Option<FieldDescriptor> {
    let oneof = field.containing_oneof()?;
    match chosen.get_mut(oneof.name()) {
        Some(before) if before.number() == field.number() => None,
        Some(before) => Some(std::mem::replace(before, field.clone())),
        None => {
            chosen.insert(oneof.name().to_owned(), field.clone());
            None
        }
    }
}

/// Numbers of all kinds.
fn packable(kind: &Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_reflect::SerializeOptions;
    use serde_json::json;

    use super::*;
    use crate::dissect::grpc::testing::{Random, random_message, shop};

    fn everything() -> MessageDescriptor {
        shop().message("shop.v1.Everything").unwrap()
    }

    fn run(name: &str, payload: &[u8]) -> Typed {
        decode(&shop().message(name).unwrap(), payload, &mut Budget::new(1 << 20)).unwrap()
    }

    /// What the library makes of it is the measure. Its map is in another order, which does not count.
    #[test]
    fn random_messages_are_as_the_mapping_says() {
        let (mut random, descriptor) = (Random(11), everything());
        let options = SerializeOptions::new();
        let mut compared = 0;
        for _ in 0..2000 {
            let message = random_message(&mut random, &descriptor, 3);
            let payload = message.encode_to_vec();
            // A oneof has one member, whichever was put in last; and what was not set at all is not on the wire.
            let mut budget = Budget::new(1 << 20);
            let typed = decode(&descriptor, &payload, &mut budget).unwrap();
            assert_eq!((typed.unknown, typed.mismatched, budget.cut()), (0, 0, false));
            let Ok(expected) = message.serialize_with_options(serde_json::value::Serializer, &options) else {
                continue;
            };
            compared += 1;
            assert_eq!(typed.tree, expected);
        }
        assert!(compared > 1500, "{compared}");
    }

    #[test]
    fn the_last_of_a_oneof_and_all_parts_of_a_message_count() {
        // by_name, by_line {count 1}, by_number.
        let tree = run("shop.v1.Everything", b"\x9a\x01\x01a\xaa\x01\x02\x10\x01\xa0\x01\x05").tree;
        assert_eq!(tree, json!({"byNumber": 5}));
        // by_number, by_line in two parts.
        let tree = run("shop.v1.Everything", b"\xa0\x01\x05\xaa\x01\x02\x10\x01\xaa\x01\x03\x0a\x01x").tree;
        assert_eq!(tree, json!({"byLine": {"count": 1, "articleName": "x"}}));
        // Packed and not, by turns, in a field that is declared either way.
        let tree = run("shop.v1.Everything", b"\xf0\x01\x01\xf2\x01\x02\x02\x03\xf0\x01\x04\xfa\x01\x01\x05").tree;
        assert_eq!(tree, json!({"packed": [1, 2, 3, 4], "unpacked": [5]}));
    }

    #[test]
    fn what_does_not_fit_spoils_itself_alone() {
        // article_name that is no UTF-8, count as text, next that is no message, an unknown field, api_key.
        let typed = run("shop.v1.Line", b"\x0a\x01\xff\x12\x03abc\x1a\x01\xff\xf2\x01\x01z\x22\x01k");
        assert_eq!(
            typed.tree,
            json!({
                "articleName": {"base64": "/w=="},
                "2": "abc",
                "next": {"base64": "/w=="},
                "30": "z",
                "apiKey": "aw==",
            })
        );
        assert_eq!((typed.unknown, typed.mismatched), (1, 3));
        assert!(decode(&everything(), b"\xff", &mut Budget::new(100)).is_none());
    }

    #[test]
    fn values_that_the_mapping_refuses_are_shown() {
        // time {seconds: 2^62}, any of a type that nobody knows, value {number: NaN}.
        let mut payload = Vec::new();
        let time = prost_types::Timestamp { seconds: 1 << 62, nanos: 5 };
        prost::encoding::message::encode(51, &time, &mut payload);
        let any = prost_types::Any { type_url: "x/none.None".to_owned(), value: b"\x08\x05".to_vec() };
        prost::encoding::message::encode(50, &any, &mut payload);
        let kind = Some(prost_types::value::Kind::NumberValue(f64::NAN));
        prost::encoding::message::encode(54, &prost_types::Value { kind }, &mut payload);
        assert_eq!(
            run("shop.v1.Everything", &payload).tree,
            json!({
                "time": {"seconds": "4611686018427387904", "nanos": 5},
                "any": {"@type": "x/none.None", "guessed": true, "value": {"1": 5}},
                "value": "NaN",
            })
        );
    }

    /// An `Any` holds bytes, so that no parser's limit on depth sees what is in it.
    #[test]
    fn an_any_in_an_any_is_depth() {
        let mut any = prost_types::Any::default();
        for _ in 0..2000 {
            any = prost_types::Any { type_url: "x/google.protobuf.Any".to_owned(), value: any.encode_to_vec() };
        }
        let mut payload = Vec::new();
        prost::encoding::message::encode(50, &any, &mut payload);
        let mut budget = Budget::new(1 << 20);
        let typed = decode(&everything(), &payload, &mut budget).unwrap();
        assert!(budget.cut());
        assert!(serde_json::from_str::<Value>(&typed.tree.to_string()).is_ok());
    }

    #[test]
    fn nesting_is_bounded() {
        // Line in Line, and Struct in Struct.
        for (tag, inner) in [(0x1a, &b""[..]), (0x1a, b"\xff")] {
            let mut payload = inner.to_vec();
            for _ in 0..1000 {
                let mut outer = vec![tag];
                prost::encoding::encode_varint(payload.len() as u64, &mut outer);
                outer.extend(payload);
                payload = outer;
            }
            let mut budget = Budget::new(1 << 20);
            let descriptor = shop().message("shop.v1.Line").unwrap();
            let typed = decode(&descriptor, &payload, &mut budget).unwrap();
            assert!(budget.cut() && serde_json::from_str::<Value>(&typed.tree.to_string()).is_ok());
        }
        let mut value = prost_types::Value::default();
        for _ in 0..200 {
            let list = prost_types::ListValue { values: vec![value] };
            value = prost_types::Value { kind: Some(prost_types::value::Kind::ListValue(list)) };
        }
        let mut payload = Vec::new();
        prost::encoding::message::encode(54, &value, &mut payload);
        let mut budget = Budget::new(1 << 20);
        let typed = decode(&everything(), &payload, &mut budget).unwrap();
        assert!(budget.cut() && serde_json::from_str::<Value>(&typed.tree.to_string()).is_ok());
    }

    #[test]
    fn mutated_messages_stay_in_bounds() {
        let (mut random, descriptor) = (Random(12), everything());
        for _ in 0..300 {
            let payload = random_message(&mut random, &descriptor, 3).encode_to_vec();
            for _ in 0..30 {
                let mutated = random.mutated(&payload);
                let mut budget = Budget::new(500);
                if let Some(typed) = decode(&descriptor, &mutated, &mut budget) {
                    assert!(typed.tree.to_string().len() < 40_000);
                }
            }
        }
    }

    /// ns per message: `cargo test --release -- --ignored --nocapture speed`.
    #[test]
    #[ignore = "a measurement"]
    fn speed() {
        let line = b"\x0a\x24550e8400-e29b-41d4-a716-446655440000\x10\x07\x1a\x06\x0a\x04next\x22\x04code";
        let mut random = Random(13);
        let message = random_message(&mut random, &everything(), 2).encode_to_vec();
        for (name, payload, rounds) in
            [("shop.v1.Line", &line[..], 300_000u32), ("shop.v1.Everything", &message, 20_000)]
        {
            let descriptor = shop().message(name).unwrap();
            let start = std::time::Instant::now();
            for _ in 0..rounds {
                std::hint::black_box(decode(&descriptor, payload, &mut Budget::new(1 << 20)).is_some());
            }
            println!("{name}: {} bytes, {} ns", payload.len(), start.elapsed().as_nanos() / u128::from(rounds));
            let start = std::time::Instant::now();
            for _ in 0..rounds {
                let message = prost_reflect::DynamicMessage::decode(descriptor.clone(), payload).unwrap();
                std::hint::black_box(serde_json::to_value(&message).is_ok());
            }
            println!("{name} by the library: {} ns", start.elapsed().as_nanos() / u128::from(rounds));
        }
    }
}
