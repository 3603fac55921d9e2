//! The tools' schemas. Written by hand: an assistant pays for each word, and some know only plain types, so arguments
//! are text, whole numbers, flags and choices, all of them told apart by a description. A record has the fields of its
//! protocol, so its schema names what is always there and leaves the rest open.

use std::sync::Arc;

use rmcp::model::JsonObject;
use serde_json::{Value, json};

/// A tool's arguments; unknown ones are refused.
pub(super) fn input(properties: Value, required: &[&str]) -> Arc<JsonObject> {
    let mut root = JsonObject::new();
    root.insert("type".to_owned(), "object".into());
    root.insert("properties".to_owned(), properties);
    root.insert("required".to_owned(), json!(required));
    root.insert("additionalProperties".to_owned(), false.into());
    Arc::new(root)
}

pub(super) fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

pub(super) fn number(description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": description})
}

pub(super) fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

/// The root of a tool's output: its own properties beside `coverage` and `notes`, which every answer has.
pub(super) fn output(properties: Value, required: &[&str]) -> Arc<JsonObject> {
    let mut all = JsonObject::new();
    if let Value::Object(properties) = properties {
        all.extend(properties);
    }
    all.insert("coverage".to_owned(), coverage());
    all.insert("notes".to_owned(), json!({"type": "array", "items": {"type": "string"}, "description": "What to know: why nothing matched, what was cut"}));
    let required: Vec<_> = required.iter().copied().chain(["coverage", "notes"]).collect();
    let mut root = JsonObject::new();
    root.insert("type".to_owned(), "object".into());
    root.insert("properties".to_owned(), all.into());
    root.insert("required".to_owned(), json!(required));
    Arc::new(root)
}

fn coverage() -> Value {
    json!({
        "type": "object",
        "description": "What the answer is drawn from. Bytes are payload; bytes = captured_bytes + skipped + lost",
        "properties": {
            "nodes": {"type": "array", "items": {"type": "string"}},
            "from": {"type": ["string", "null"]},
            "to": {"type": ["string", "null"]},
            "records": {"type": "integer"},
            "lost": {"type": "object", "description": "Bytes that are missing, by reason"},
            "skipped": {"type": "object", "description": "Bytes left out on purpose, by reason"},
            "undecoded": {"type": "object", "description": "Captured bytes that no record shows, by reason: encrypted, unknown_protocol, …"},
            "evicted_before": {"type": ["string", "null"]},
            "complete": {"type": "boolean", "description": "Nothing lost or evicted in the range that was asked for"}
        },
        "required": ["nodes", "from", "to", "records", "complete"]
    })
}

/// One group of a summary.
pub(super) fn group() -> Value {
    json!({
        "type": "object",
        "properties": {
            "key": {"type": "object", "description": "Field names and values; null when absent"},
            "count": {"type": "integer"},
            "rate": {"type": "number", "description": "Calls a second"},
            "errors": {"type": "integer"},
            "error_share": {"type": ["number", "null"], "description": "0 to 1, of calls whose outcome is known"},
            "unknown": {"type": "integer", "description": "Calls whose outcome is not known"},
            "p50": {"type": ["integer", "null"], "description": "Microseconds"},
            "p90": {"type": ["integer", "null"]},
            "p99": {"type": ["integer", "null"]},
            "request_bytes": {"type": "integer"},
            "response_bytes": {"type": "integer"}
        },
        "required": ["count", "rate", "errors", "error_share", "p50", "p90", "p99"]
    })
}

/// A call: compact, or a whole record.
pub(super) fn call() -> Value {
    json!({
        "type": "object",
        "description": "compact: id, ts (ms), src and dst {ip, port, …}, proto, method, path, status, latency_ms; full and raw: the record",
        "properties": {"id": {"type": "string"}},
        "required": ["id"]
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        mcp::tools,
        status,
        store::Store,
        web::{App, Token},
    };

    /// The names that a tool accepts are those that its schema shows.
    #[test]
    fn schemas_show_what_is_accepted() {
        let directory = std::env::temp_dir().join(format!("tapwire-schemas-{}", std::process::id()));
        let app = App {
            store: Store::new(1 << 20).into(),
            status: status::Shared::default().into(),
            node: "n".to_owned(),
            token: Token::load_or_create(&directory.join("token")).unwrap(),
            allow_hosts: Vec::new(),
        };
        std::fs::remove_dir_all(directory).unwrap();
        for tool in tools::all() {
            let input = (tool.input)();
            let shown: Vec<_> =
                input["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let wrong = json!({"no such": 1}).as_object().cloned().unwrap_or_default();
            let refused = (tool.run)(&app, wrong).map(|_| ()).unwrap_err();
            // "unknown argument `no such`, expected one of `a`, `b`"
            let named: Vec<_> = refused.split('`').skip(3).step_by(2).collect();
            assert_eq!(named, shown, "{}: {refused}", tool.name);
            for (name, argument) in input["properties"].as_object().into_iter().flatten() {
                assert!(argument["description"].as_str().is_some_and(|text| text.len() > 10), "{name}");
                assert!(argument["type"] == "string" || argument["type"] == "integer" || argument["type"] == "boolean");
            }
            assert_eq!((tool.output)()["type"], Value::from("object"));
        }
    }
}
