//! `get_capture_status`: what is captured, what is not, and why.

use std::sync::Arc;

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Definition, schema};
use crate::{
    mcp::{
        answer::{Answer, BUDGET, shorten},
        arguments, question, text,
    },
    query,
    web::App,
};

pub(crate) static TOOL: Definition = Definition {
    name: "get_capture_status",
    title: "Capture status",
    description: "What is captured on this node and what is not, with reasons: the kernel hooks, packets and bytes \
        seen, lost, skipped or not decoded (encrypted, unknown protocol), the largest such flows, the memory and the \
        time span that can be asked about, and whether secrets are redacted. Use it when an answer is empty or \
        incomplete, or before you say that something did not happen.",
    input: || schema::input(json!({}), &[]),
    output,
    run,
};

/// Text and list bounds, tried one after the other until the answer fits.
const CUTS: [(usize, usize); 4] = [(1024, 64), (256, 20), (128, 8), (64, 3)];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {}

fn output() -> Arc<JsonObject> {
    schema::output(
        json!({
            "version": {"type": "string"},
            "node": {"type": "string"},
            "started": {"type": "string"},
            "listen": {"type": "string"},
            "capture": {"type": "array", "description": "Kernel hooks, and why one is not attached", "items": {"type": "object"}},
            "kernel": {"type": "object"},
            "flows": {"type": "object"},
            "refused_segments": {"type": "object", "description": "TCP segments that the receivers refuse too, by why"},
            "undecoded_flows": {"type": "array", "items": {"type": "object"}},
            "store": {"type": "object", "description": "Bytes, limit, rows, and the oldest and newest call"},
            "redaction": {"type": "boolean"}
        }),
        &["version", "node", "capture", "store", "redaction"],
    )
}

fn run(app: &App, arguments: JsonObject) -> Result<Answer, String> {
    let Arguments {} = arguments::parse(arguments)?;
    let mut structured = to_json(app);
    let mut cuts = CUTS.iter();
    loop {
        let mut told = structured.clone();
        let coverage = told.as_object_mut().and_then(|told| told.remove("coverage")).unwrap_or_default();
        let text = format!("{}{}", text::outline(&told), text::coverage(&coverage));
        let answer = Answer { text, structured: structured.clone() };
        match cuts.next() {
            Some(&(text_max, items_max)) if answer.size() > BUDGET => {
                if shorten(&mut structured, text_max, items_max) {
                    structured["notes"] = json!(["long lists and texts were cut to keep the answer small"]);
                }
            }
            _ => return Ok(answer),
        }
    }
}

/// The whole status, also what `tapwire status -o json` prints and the resource holds.
pub(crate) fn to_json(app: &App) -> Value {
    let snapshot = app.store.snapshot();
    let coverage = query::coverage(&snapshot, &question::all(&app.node));
    let oldest = snapshot.segments.iter().filter_map(|segment| segment.oldest()).min();
    let newest = snapshot.segments.iter().filter_map(|segment| segment.newest()).max();
    let mut status = json!(app.status.get());
    status["store"] = json!({
        "bytes": app.store.bytes(),
        "limit": app.store.limit(),
        "segments": snapshot.segments.len(),
        "rows": snapshot.end.saturating_sub(snapshot.first()),
        "oldest": oldest.map(|time| time.to_string()),
        "newest": newest.map(|time| time.to_string()),
    });
    status["coverage"] = coverage.to_json();
    status["notes"] = json!([]);
    status
}
