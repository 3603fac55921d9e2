//! What several tests share: seeded random numbers, a schema and random messages of it.

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// splitmix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 when `end` is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Less than `end` of them.
    pub(super) fn bytes(&mut self, end: usize) -> Vec<u8> {
        (0..self.below(end)).map(|_| self.next() as u8).collect()
    }

    /// Some bytes changed, put in, taken out or cut off.
    pub(super) fn mutated(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next() as u8),
                2 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ if !bytes.is_empty() => bytes[at] = self.next() as u8,
                _ => {}
            }
        }
        bytes
    }
}

/// `fixtures/shop.proto`, as protoc writes it.
pub(super) const SHOP: &[u8] = include_bytes!("fixtures/shop.pb");

/// The operator's schema of these tests.
pub(super) fn shop() -> super::schema::Schemas {
    super::schema::Schemas::read(std::path::Path::new("shop.pb"), SHOP).unwrap()
}

/// A message with random fields, such as protobuf's JSON mapping allows.
pub(super) fn random_message(random: &mut Random, descriptor: &MessageDescriptor, depth: u32) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            message.set_field_by_number(1, Value::I64(random.below(1 << 33) as i64 - (1 << 32)));
            message.set_field_by_number(2, Value::I32([0, 1, 1000, 120_000_000][random.below(4)]));
        }
        "google.protobuf.Duration" => {
            let sign = [1, -1][random.below(2)];
            message.set_field_by_number(1, Value::I64(sign * random.below(1 << 38) as i64));
            message.set_field_by_number(2, Value::I32(sign as i32 * random.below(1_000_000_000) as i32));
        }
        "google.protobuf.FieldMask" => {
            let paths = vec![Value::String("user_name.a_b".to_owned()), Value::String("plain".to_owned())];
            message.set_field_by_number(1, Value::List(paths));
        }
        "google.protobuf.Any" => {
            let name = ["shop.v1.Line", "google.protobuf.Duration", "google.protobuf.Empty"][random.below(3)];
            let inner = descriptor.parent_pool().get_message_by_name(name).unwrap();
            let inner = random_message(random, &inner, depth.saturating_sub(1));
            message.set_field_by_number(1, Value::String(format!("type.googleapis.com/{name}")));
            message.set_field_by_number(2, Value::Bytes(inner.encode_to_vec().into()));
        }
        _ => {
            for field in descriptor.fields() {
                let one_in = if descriptor.full_name().starts_with("google") { 1 } else { 3 };
                let nested = matches!(field.kind(), Kind::Message(_));
                if random.below(one_in) == 0 && (depth > 0 || !nested) {
                    let value = random_field(random, &field, depth.saturating_sub(1));
                    message.set_field(&field, value);
                }
            }
        }
    }
    message
}

fn random_field(random: &mut Random, field: &FieldDescriptor, depth: u32) -> Value {
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut map = std::collections::HashMap::new();
        for _ in 0..random.below(4) {
            let key = random_value(random, &key, depth).into_map_key().unwrap();
            map.insert(key, random_value(random, &value, depth));
        }
        return Value::Map(map);
    }
    if field.is_list() {
        return Value::List((0..random.below(5)).map(|_| random_value(random, &field.kind(), depth)).collect());
    }
    random_value(random, &field.kind(), depth)
}

fn random_value(random: &mut Random, kind: &Kind, depth: u32) -> Value {
    let number = random.next() >> random.below(64);
    match kind {
        Kind::Double => Value::F64(number as i32 as f64 / 8.0),
        Kind::Float => Value::F32(f32::from(number as i16) / 8.0),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number as i64),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number),
        Kind::Bool => Value::Bool(number & 1 == 1),
        Kind::String => Value::String(String::from_utf8_lossy(&random.bytes(12)).into_owned()),
        Kind::Bytes => Value::Bytes(random.bytes(12).into()),
        Kind::Enum(_) => Value::EnumNumber(random.below(5) as i32 - 2),
        Kind::Message(descriptor) => Value::Message(random_message(random, descriptor, depth)),
    }
}
