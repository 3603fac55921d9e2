//! How a call ended: `grpc-status` (grpc/statuscodes) and what `grpc-status-details-bin` adds (google/rpc/status.proto).

use serde_json::{Map, Value};

use super::{
    budget::{Budget, DEPTH},
    known,
    schema::Schemas,
    typed::Reader,
    wire::{self, Fields, Wire},
};

/// By code, from 0.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The code's name; `None` for a code of somebody's own.
pub fn name(code: u32) -> Option<&'static str> {
    NAMES.get(usize::try_from(code).ok()?).copied()
}

/// The value of `grpc-status`: "1*DIGIT", the number of a code.
pub fn code(value: &[u8]) -> Option<u32> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// `google.rpc.Status` out of `grpc-status-details-bin`: `{"code": 5, "message": "…", "details": [{"@type": …}]}`. Each
/// detail is an `Any`: decoded when its type is known, else guessed, which it says. `None` when it is no such thing.
pub fn details(payload: &[u8], schemas: &Schemas, budget: &mut Budget) -> Option<Value> {
    if !wire::well_formed(payload) {
        return None;
    }
    let mut tree = Map::new();
    let mut details = Vec::new();
    let mut reader = Reader::new(budget);
    for (number, wire) in Fields::of(payload).flatten() {
        if !reader.budget.field() {
            break;
        }
        match (number, wire) {
            (1, Wire::Varint(code)) => drop(tree.insert("code".to_owned(), Value::from(code as i32))),
            (2, Wire::Bytes(message)) => {
                let message = std::str::from_utf8(message).ok()?;
                tree.insert("message".to_owned(), reader.budget.text(message));
            }
            (3, Wire::Bytes(detail)) => {
                let detail = match wire::well_formed(detail) {
                    true => known::any(&mut reader, schemas.pool(), detail, DEPTH),
                    false => None,
                };
                details.push(detail?);
            }
            // Fields to come, which this one has not had in ten years.
            _ => {}
        }
    }
    if !details.is_empty() {
        tree.insert("details".to_owned(), Value::Array(details));
    }
    Some(Value::Object(tree))
}

#[cfg(test)]
mod tests {
    use prost::{Message, encoding};
    use serde_json::json;

    use super::*;
    use crate::dissect::grpc::testing::Random;

    #[test]
    fn codes_have_names() {
        assert_eq!(
            (name(0), name(5), name(16), name(17)),
            (Some("OK"), Some("NOT_FOUND"), Some("UNAUTHENTICATED"), None)
        );
        assert_eq!((code(b"0"), code(b"16"), code(b"4294967295")), (Some(0), Some(16), Some(u32::MAX)));
        for wrong in [&b""[..], b"-1", b" 1", b"+1", b"x", b"4294967296"] {
            assert_eq!(code(wrong), None);
        }
    }

    fn status() -> Vec<u8> {
        let (mut info, mut payload) = (Vec::new(), Vec::new());
        encoding::string::encode(1, &"STOCKOUT".to_owned(), &mut info);
        encoding::string::encode(2, &"example.com".to_owned(), &mut info);
        encoding::int32::encode(1, &8, &mut payload);
        encoding::string::encode(2, &"out of stock".to_owned(), &mut payload);
        let known = prost_types::Duration { seconds: 3, nanos: 0 }.encode_to_vec();
        for (name, value) in [("google.rpc.ErrorInfo", info), ("google.protobuf.Duration", known)] {
            let any = prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value };
            encoding::message::encode(3, &any, &mut payload);
        }
        payload
    }

    #[test]
    fn details_are_decoded() {
        let tree = details(&status(), &Schemas::default(), &mut Budget::new(1000));
        assert_eq!(
            tree,
            Some(json!({
                "code": 8,
                "message": "out of stock",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "guessed": true,
                        "value": {"1": "STOCKOUT", "2": "example.com"},
                    },
                    {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s"},
                ],
            }))
        );
        assert_eq!(details(b"\x08", &Schemas::default(), &mut Budget::new(1000)), None);
        assert_eq!(details(b"", &Schemas::default(), &mut Budget::new(1000)), Some(json!({})));
    }

    #[test]
    fn any_bytes_give_something_small() {
        let mut random = Random(7);
        let (seed, schemas) = (status(), Schemas::default());
        for _ in 0..10_000 {
            if let Some(tree) = details(&random.mutated(&seed), &schemas, &mut Budget::new(300)) {
                assert!(tree.to_string().len() < 4000);
            }
        }
    }
}
