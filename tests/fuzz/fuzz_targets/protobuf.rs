//! Any bytes as a message, guessed and by a schema: nothing panics, a tree is no larger than its budget allows, parses as
//! JSON and is the same each time.
//!
//! Input: the budget, then the message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapwire::dissect::grpc::{Budget, guess::guess, typed};

#[path = "../src/schemas.rs"]
mod schemas;

/// JSON of a byte of text (`\u0000`), and of a field with its name, digits and punctuation.
const TEXT: usize = 6;
const FIELD: usize = 512;

/// Fields that any tree may have.
const FIELDS: usize = 8192;

fn check(payload: &[u8], room: usize, decode: impl Fn(&mut Budget) -> Option<serde_json::Value>) {
    let tree = decode(&mut Budget::new(room));
    if let Some(tree) = &tree {
        let text = tree.to_string();
        // Each field has a byte on the wire at least.
        assert!(text.len() <= TEXT * room + FIELD * (payload.len().min(FIELDS) + 1), "{} of {room}", text.len());
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
    assert_eq!(tree, decode(&mut Budget::new(room)));
}

fuzz_target!(|data: &[u8]| {
    let [room, payload @ ..] = data else { return };
    let room = usize::from(*room) * 64;
    check(payload, room, |budget| guess(payload, budget));
    for path in [schemas::ORDER, schemas::WATCH] {
        let method = schemas::SCHEMAS.method(path).expect("the schema has it");
        check(payload, room, |budget| Some(typed::decode(&method.input(), payload, budget)?.tree));
    }
});
