//! What the tools' output schemas share. Written by hand where the value is: a record has the fields of its protocol,
//! so its schema names what is always there and leaves the rest open.

use std::sync::Arc;

use rmcp::model::JsonObject;
use serde_json::{Value, json};

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
