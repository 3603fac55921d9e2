//! Well-known types, whose JSON is not that of their fields (protobuf.dev/programming-guides/json, google/protobuf/*.proto).
//! They are read by their published field numbers, whatever a descriptor under their name says.
//!
//! Values that the mapping refuses (a time after the year 9999) fall back on the plain fields: an observer shows what was
//! sent. An `Any` of a type that nobody knows shows its bytes.

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use super::{
    guess, number,
    typed::Reader,
    wire::{self, Fields, Wire},
};

/// Years 1 to 9999 (google/protobuf/timestamp.proto).
const TIMESTAMPS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// About 10000 years (google/protobuf/duration.proto).
const DURATIONS: std::ops::RangeInclusive<i64> = -315_576_000_000..=315_576_000_000;

const NANOS: i32 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Any,
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
    Wrapper(Scalar),
}

/// What a wrapper holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Double,
    Float,
    Int64,
    Uint64,
    Int32,
    Uint32,
    Bool,
    String,
    Bytes,
}

const TABLE: &[(&str, Known)] = &[
    ("Any", Known::Any),
    ("Timestamp", Known::Timestamp),
    ("Duration", Known::Duration),
    ("FieldMask", Known::FieldMask),
    ("Struct", Known::Struct),
    ("Value", Known::Value),
    ("ListValue", Known::ListValue),
    ("DoubleValue", Known::Wrapper(Scalar::Double)),
    ("FloatValue", Known::Wrapper(Scalar::Float)),
    ("Int64Value", Known::Wrapper(Scalar::Int64)),
    ("UInt64Value", Known::Wrapper(Scalar::Uint64)),
    ("Int32Value", Known::Wrapper(Scalar::Int32)),
    ("UInt32Value", Known::Wrapper(Scalar::Uint32)),
    ("BoolValue", Known::Wrapper(Scalar::Bool)),
    ("StringValue", Known::Wrapper(Scalar::String)),
    ("BytesValue", Known::Wrapper(Scalar::Bytes)),
];

impl Known {
    pub(super) fn of(full_name: &str) -> Option<Self> {
        let name = full_name.strip_prefix("google.protobuf.")?;
        TABLE.iter().find(|(known, _)| *known == name).map(|&(_, known)| known)
    }

    /// `None` when it is no protobuf. `depth`: levels that may still come below this one.
    pub(super) fn read(
        self,
        reader: &mut Reader<'_>,
        descriptor: &MessageDescriptor,
        bytes: &[u8],
        depth: u32,
    ) -> Option<Value> {
        if !wire::well_formed(bytes) {
            return None;
        }
        match self {
            Self::Any => any(reader, descriptor.parent_pool(), bytes, depth),
            Self::Timestamp | Self::Duration => match self.time(bytes) {
                Some(text) => Some(reader.budget.text(&text)),
                None => reader.fields(descriptor, bytes, depth).map(Value::Object),
            },
            Self::FieldMask => Some(field_mask(reader, bytes)),
            Self::Struct | Self::Value | Self::ListValue => Some(self.dynamic(reader, bytes, depth)),
            Self::Wrapper(scalar) => {
                let kind = scalar.kind();
                let value = last(bytes, 1).and_then(|wire| reader.value(&kind, wire, 0));
                Some(value.unwrap_or_else(|| reader.absent(&kind, 0)))
            }
        }
    }

    fn time(self, bytes: &[u8]) -> Option<String> {
        let varint = |number| match last(bytes, number) {
            Some(Wire::Varint(value)) => Some(value as i64),
            None => Some(0),
            Some(Wire::Fixed64(_) | Wire::Bytes(_) | Wire::Fixed32(_)) => None,
        };
        let (seconds, nanos) = (varint(1)?, varint(2)? as i32);
        if self == Self::Timestamp {
            let valid = TIMESTAMPS.contains(&seconds) && (0..NANOS).contains(&nanos);
            return valid.then(|| prost_types::Timestamp { seconds, nanos }.to_string());
        }
        // Both have the same sign.
        let valid = DURATIONS.contains(&seconds)
            && (1 - NANOS..NANOS).contains(&nanos)
            && (seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0));
        valid.then(|| prost_types::Duration { seconds, nanos }.to_string())
    }

    /// google/protobuf/struct.proto: JSON in protobuf.
    fn dynamic(self, reader: &mut Reader<'_>, bytes: &[u8], depth: u32) -> Value {
        let Some(depth) = depth.checked_sub(1) else {
            reader.budget.set_cut();
            return reader.budget.marked_base64(bytes);
        };
        if !wire::well_formed(bytes) {
            return reader.budget.marked_base64(bytes);
        }
        match self {
            Self::Struct => {
                let mut tree = Map::new();
                for (number, wire) in Fields::of(bytes).flatten() {
                    if let (1, Wire::Bytes(entry)) = (number, wire)
                        && reader.budget.field()
                    {
                        let key = last(entry, 1).and_then(|key| reader.value(&Kind::String, key, 0));
                        let Value::String(key) = key.unwrap_or_else(|| Value::String(String::new())) else { continue };
                        let value = match last(entry, 2) {
                            Some(Wire::Bytes(value)) => Self::Value.dynamic(reader, value, depth),
                            _ => Value::Null,
                        };
                        tree.insert(key, value);
                    }
                }
                Value::Object(tree)
            }
            Self::ListValue => {
                let mut values = Vec::new();
                for (number, wire) in Fields::of(bytes).flatten() {
                    if let (1, Wire::Bytes(value)) = (number, wire)
                        && reader.budget.field()
                    {
                        values.push(Self::Value.dynamic(reader, value, depth));
                    }
                }
                Value::Array(values)
            }
            // The last of a oneof counts.
            _ => match Fields::of(bytes).flatten().filter(|(number, _)| (1..=6).contains(number)).last() {
                Some((2, Wire::Fixed64(bits))) => number::double(f64::from_bits(bits)),
                Some((3, text @ Wire::Bytes(_))) => reader.value(&Kind::String, text, 0).unwrap_or_default(),
                Some((4, Wire::Varint(value))) => Value::Bool(value != 0),
                Some((5, Wire::Bytes(bytes))) => Self::Struct.dynamic(reader, bytes, depth),
                Some((6, Wire::Bytes(bytes))) => Self::ListValue.dynamic(reader, bytes, depth),
                _ => Value::Null,
            },
        }
    }
}

impl Scalar {
    fn kind(self) -> Kind {
        match self {
            Self::Double => Kind::Double,
            Self::Float => Kind::Float,
            Self::Int64 => Kind::Int64,
            Self::Uint64 => Kind::Uint64,
            Self::Int32 => Kind::Int32,
            Self::Uint32 => Kind::Uint32,
            Self::Bool => Kind::Bool,
            Self::String => Kind::String,
            Self::Bytes => Kind::Bytes,
        }
    }
}

/// The last value of a field; of singular ones that is the one that counts.
pub(super) fn last(bytes: &[u8], wanted: u32) -> Option<Wire<'_>> {
    Fields::of(bytes).flatten().filter(|&(number, _)| number == wanted).last().map(|(_, wire)| wire)
}

/// The name behind the last slash of a type URL (google/protobuf/any.proto).
pub(super) fn type_name(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |(_, name)| name)
}

pub(super) fn any(reader: &mut Reader<'_>, pool: &DescriptorPool, bytes: &[u8], depth: u32) -> Option<Value> {
    let url = match last(bytes, 1) {
        Some(Wire::Bytes(url)) => std::str::from_utf8(url).ok()?,
        _ => "",
    };
    let value = match last(bytes, 2) {
        Some(Wire::Bytes(value)) => value,
        _ => &[],
    };
    let mut tree = Map::new();
    if bytes.is_empty() {
        return Some(Value::Object(tree));
    }
    tree.insert("@type".to_owned(), reader.budget.text(url));
    let name = type_name(url);
    let inner = pool.get_message_by_name(name);
    match (inner, depth.checked_sub(1)) {
        (Some(inner), Some(depth)) if Known::of(name).is_none() && name != "google.protobuf.Empty" => {
            match reader.fields(&inner, value, depth) {
                Some(fields) => tree.extend(fields),
                None => drop(tree.insert("value".to_owned(), reader.budget.marked_base64(value))),
            }
        }
        (Some(inner), Some(_)) => drop(tree.insert("value".to_owned(), reader.nested(&inner, value, depth))),
        (None, Some(depth)) => {
            let wire = guess::value(Wire::Bytes(value), reader.budget, depth);
            tree.insert("guessed".to_owned(), Value::Bool(true));
            tree.insert("value".to_owned(), wire);
        }
        (_, None) => {
            reader.budget.set_cut();
            tree.insert("value".to_owned(), reader.budget.marked_base64(value));
        }
    }
    Some(Value::Object(tree))
}

/// Paths in lowerCamelCase, with commas between.
fn field_mask(reader: &mut Reader<'_>, bytes: &[u8]) -> Value {
    let mut text = String::new();
    for (number, wire) in Fields::of(bytes).flatten() {
        if let (1, Wire::Bytes(path)) = (number, wire) {
            if !text.is_empty() {
                text.push(',');
            }
            let mut upper = false;
            for character in String::from_utf8_lossy(path).chars() {
                match (character, upper) {
                    ('_', _) => upper = true,
                    (character, true) => {
                        text.push(character.to_ascii_uppercase());
                        upper = false;
                    }
                    (character, false) => text.push(character),
                }
            }
        }
    }
    reader.budget.text(&text)
}
