//! `get_api_call`: one call whole, its bodies in parts when they are larger than an answer.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Definition, schema};
use crate::{
    coverage::Coverage,
    mcp::{
        answer::{Answer, BUDGET, largest, shorten},
        arguments, question, text,
    },
    query,
    record::json::{Detail, write},
    web::App,
};

pub(super) static TOOL: Definition = Definition {
    name: "get_api_call",
    title: "Show one API call",
    description: "Shows one call in full: times, addresses, request and response with headers and bodies, what is \
        missing of it and why. Use it with an id of list_api_calls to see why a request failed or what it carried. \
        Secrets read [redacted …]; equal ones show the same digest. Bodies that are larger than one answer come in \
        parts: when next_cursor is set, call again with the same id and that cursor for the next part.",
    input: || {
        schema::input(
            json!({
                "id": schema::text("The id of a call, as list_api_calls shows it"),
                "node_id": schema::text("The node that holds it; this one when absent"),
                "include_payload": schema::flag("Bodies too (default true)"),
                "include_l4": schema::flag("Also the connection below: addresses, views, join key (default false)"),
                "include_pcap": schema::flag("Not available: packets are not kept"),
                "max_payload_size": schema::number("Most bytes of each body in one answer (default 65536)"),
                "cursor": schema::text("next_cursor of the answer before: the next part of the bodies"),
            }),
            &["id"],
        )
    },
    output: || {
        schema::output(
            json!({
                "call": schema::call(),
                "l4": {"type": "object", "description": "Only with include_l4: the connection below"},
                "next_cursor": {"type": ["string", "null"], "description": "Set when bodies go on"}
            }),
            &["call", "next_cursor"],
        )
    },
    run,
};

/// Body bytes, of each message, when not asked otherwise.
const PAYLOAD_DEFAULT: u64 = 64 << 10;
/// What one answer holds anyhow; more is asked for by cursor.
const PAYLOAD_MAX: u64 = 16 << 20;
/// Bounds of header texts and lists, when they alone exceed an answer.
const CUTS: [(usize, usize); 4] = [(2048, 100), (512, 64), (128, 32), (64, 16)];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(deserialize_with = "arguments::word")]
    id: String,
    node_id: Option<String>,
    #[serde(default, deserialize_with = "arguments::flag")]
    include_payload: Option<bool>,
    #[serde(default, deserialize_with = "arguments::flag")]
    include_l4: Option<bool>,
    #[serde(default, deserialize_with = "arguments::flag")]
    include_pcap: Option<bool>,
    #[serde(default, deserialize_with = "arguments::number")]
    max_payload_size: Option<u64>,
    cursor: Option<String>,
}

fn run(app: &App, arguments: JsonObject) -> Result<Answer, String> {
    let Arguments { id, node_id, include_payload, include_l4, include_pcap, max_payload_size, cursor } =
        arguments::parse(arguments)?;
    if include_pcap == Some(true) {
        return Err("include_pcap is not available: this agent keeps no packets; ask without it".to_owned());
    }
    if let Some(node) = node_id.filter(|node| !node.is_empty() && *node != app.node) {
        return Err(format!(
            "this agent is node {:?} and can't answer for {node:?}: ask that node's agent, or leave node_id out",
            app.node
        ));
    }
    let payload = max_payload_size.unwrap_or(PAYLOAD_DEFAULT);
    if payload > PAYLOAD_MAX {
        return Err(format!(
            "max_payload_size must be at most {PAYLOAD_MAX}; larger bodies come in parts, by next_cursor"
        ));
    }
    let start = match cursor.as_deref().map(str::trim).filter(|cursor| !cursor.is_empty()) {
        Some(cursor) => {
            Some(Offsets::parse(cursor).ok_or("invalid cursor: use next_cursor of the last answer unchanged")?)
        }
        None => None,
    };
    let snapshot = app.store.snapshot();
    let found = question::find(&snapshot, &id)?;
    let coverage = query::coverage(&snapshot, &question::all(&app.node));
    let mut out = Vec::new();
    let detail = if include_payload.unwrap_or(true) { Detail::Full } else { Detail::WithoutBodies };
    write(found.record(), detail, &mut out);
    let record: Value = serde_json::from_slice(&out).map_err(|error| error.to_string())?;
    let l4 = (include_l4 == Some(true)).then(|| connection(&record));
    Ok(answer(record, l4, start, usize::try_from(payload).unwrap_or(usize::MAX), &coverage))
}

/// What is known of the connection below.
fn connection(record: &Value) -> Value {
    let fields = ["conn_id", "stream_id", "view", "join_key", "src", "dst", "capture_source"];
    let present = fields.iter().filter_map(|&name| Some((name.to_owned(), record.get(name)?.clone())));
    Value::Object(present.collect())
}

/// Where a part begins, in the text of each body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Offsets {
    request: usize,
    response: usize,
}

impl Offsets {
    fn parse(text: &str) -> Option<Self> {
        let (request, response) = text.strip_prefix('b')?.split_once('-')?;
        Some(Self { request: request.parse().ok()?, response: response.parse().ok()? })
    }
}

impl std::fmt::Display for Offsets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b{}-{}", self.request, self.response)
    }
}

fn answer(mut record: Value, l4: Option<Value>, start: Option<Offsets>, payload: usize, coverage: &Coverage) -> Answer {
    let mut notes = Vec::new();
    let bodies = ["request", "response"].map(|side| take_body(&mut record, side));
    if start.is_some() {
        // A part after the first: all else was in the first.
        let kept = ["id", "request", "response"].map(|name| (name.to_owned(), record[name].clone()));
        record = Value::Object(kept.into_iter().collect());
        for side in ["request", "response"] {
            if let Some(message) = record[side].as_object_mut() {
                message.retain(|name, _| name.starts_with("body") || name == "content_encoding");
            }
        }
    }
    let start = start.unwrap_or_default();
    let compose = |record: &Value, shown: Offsets, notes: &[String]| {
        let mut record = record.clone();
        let mut end = start;
        let mut cut = Vec::new();
        for (side, body, from, length, to) in [
            ("request", &bodies[0], start.request, shown.request, &mut end.request),
            ("response", &bodies[1], start.response, shown.response, &mut end.response),
        ] {
            let Some(body) = body else { continue };
            *to = put_body(&mut record[side], body, from, length);
            if *to < body.len() {
                cut.push(format!("{side} body: characters {from} to {to} of {}", body.len()));
            }
        }
        let more = cut.iter().any(|_| end != start);
        let next = more.then(|| end.to_string());
        let mut notes = notes.to_vec();
        if !cut.is_empty() {
            let how = if more { "cursor" } else { "a larger max_payload_size" };
            notes.push(format!(
                "bodies are cut here ({}): call get_api_call again with the same id and {how} for more",
                cut.join("; ")
            ));
        }
        let mut text = text::outline(&record);
        if let Some(l4) = &l4 {
            text.push_str(&text::outline(&json!({"l4": l4})));
        }
        text.extend(notes.iter().map(|note| format!("note: {note}\n")));
        if let Some(next) = &next {
            text.push_str(&format!("next part: cursor \"{next}\"\n"));
        }
        text.push_str(&text::coverage(&coverage.to_json()));
        let mut structured =
            json!({"call": record, "next_cursor": next, "coverage": coverage.to_json(), "notes": notes});
        if let Some(l4) = &l4 {
            structured["l4"] = l4.clone();
        }
        Answer { text, structured }
    };
    // Heads alone may be too large: cut them until half of the answer is left for bodies, or nothing more can be cut.
    for (text_max, items_max) in CUTS {
        if compose(&record, Offsets::default(), &notes).size() <= BUDGET / 2 {
            break;
        }
        if shorten(&mut record, text_max, items_max) && notes.is_empty() {
            notes.push("long headers are cut here; `tapwire call` prints them whole".to_owned());
        }
    }
    // The answer's body is what people look for: the request's takes at most half of the room when both are large.
    let fits = |shown: Offsets, budget: usize| compose(&record, shown, &notes).size() <= budget;
    let base = compose(&record, Offsets::default(), &notes).size();
    let half = base + BUDGET.saturating_sub(base) / 2;
    let request = largest(payload.min(BUDGET), |request| fits(Offsets { request, response: 0 }, half));
    let response = largest(payload.min(BUDGET), |response| fits(Offsets { request, response }, BUDGET));
    let request =
        largest(payload.min(BUDGET), |more| more <= request || fits(Offsets { request: more, response }, BUDGET));
    compose(&record, Offsets { request, response }, &notes)
}

/// Takes a message's body out of the record.
fn take_body(record: &mut Value, side: &str) -> Option<String> {
    match record.get_mut(side)?.as_object_mut()?.get_mut("body")?.take() {
        Value::String(body) => Some(body),
        _ => None,
    }
}

/// Puts a part of it back, at most `length` bytes, and returns where the part ends. Characters stay whole, and base64
/// is cut between its groups of four, so that each part can be decoded by itself.
fn put_body(message: &mut Value, body: &str, from: usize, length: usize) -> usize {
    let encoded = message.get("body_encoding").and_then(Value::as_str) == Some("base64");
    let edge = |at: usize| {
        let at = at.min(body.len());
        if at == body.len() {
            at
        } else if encoded {
            at - at % 4
        } else {
            body.floor_char_boundary(at)
        }
    };
    let from = edge(from);
    let to = edge(from.saturating_add(length)).max(from);
    message["body"] = body.get(from..to).unwrap_or_default().into();
    if (from, to) != (0, body.len()) {
        message["body_shown"] = json!({"from": from, "to": to, "of": body.len()});
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(request: &str, response: &str, encoding: &str) -> Value {
        json!({"id": "1", "request": {"headers": [], "body": request, "body_encoding": "utf8"},
            "response": {"headers": [], "body": response, "body_encoding": encoding}})
    }

    /// Follows the cursors and puts the parts together.
    fn all_parts(record: &Value, payload: usize) -> (String, String, usize) {
        let (mut request, mut response, mut start, mut parts) = (String::new(), String::new(), None, 0);
        loop {
            let answer = answer(record.clone(), None, start, payload, &Coverage::default());
            assert!(answer.size() <= BUDGET, "{}", answer.size());
            let call = &answer.structured["call"];
            request.push_str(call["request"]["body"].as_str().unwrap());
            response.push_str(call["response"]["body"].as_str().unwrap());
            assert!(answer.text.contains(text::printable(call["response"]["body"].as_str().unwrap()).trim_end()));
            parts += 1;
            match answer.structured["next_cursor"].as_str() {
                Some(next) => start = Some(Offsets::parse(next).unwrap()),
                None => return (request, response, parts),
            }
            assert!(parts < 500);
        }
    }

    #[test]
    fn bodies_of_any_size_come_whole_in_parts() {
        let text: String = (0..3000).map(|i| format!("{{\"naïve\": \"{i}\"}}\n")).collect();
        for (request, response) in [("", "short"), ("abc", &*text), (&*text, ""), (&*text, &*text)] {
            let (a, b, parts) = all_parts(&record(request, response, "utf8"), 64 << 10);
            assert!(a == request && b == response, "{parts} parts");
        }
        let (_, b, parts) = all_parts(&record("", &"QUJD".repeat(8_000), "base64"), 64 << 10);
        assert_eq!(b.len(), 32_000);
        assert!(parts > 1);
    }

    #[test]
    fn a_limit_of_the_caller_holds_for_each_part() {
        let answer = answer(record("", &"x".repeat(5000), "utf8"), None, None, 1000, &Coverage::default());
        assert_eq!(answer.structured["call"]["response"]["body"].as_str().unwrap().len(), 1000);
        assert_eq!(answer.structured["next_cursor"], "b0-1000");
        assert!(answer.text.contains("of 5000"));
        let nothing = super::answer(record("", &"x".repeat(5000), "utf8"), None, None, 0, &Coverage::default());
        assert_eq!(nothing.structured["next_cursor"], Value::Null);
    }

    #[test]
    fn huge_heads_fit() {
        let mut record = record("", "body", "utf8");
        let headers: Vec<_> = (0..500).map(|i| json!([format!("x-{i}"), "v".repeat(300)])).collect();
        record["request"]["headers"] = headers.into();
        let answer = answer(record, None, None, 1000, &Coverage::default());
        assert!(answer.size() <= BUDGET);
        assert!(answer.text.contains("body: body") && answer.text.contains("cut here"));
    }
}
