//! The readable half of an answer: one line a call, an outline for one call, one line for what the answer covers.
//! Works on the JSON of the structured half, so that a new protocol's fields show here by themselves.

use std::fmt::Write;

use serde_json::Value;

use crate::{query::Group, time::Time};

/// Levels of an outline: a record has four.
const DEPTH_MAX: usize = 12;

/// What an answer covers, on one line, from its JSON.
pub(crate) fn coverage(coverage: &Value) -> String {
    let text = |name: &str| coverage.get(name).and_then(Value::as_str);
    let number = |name: &str| coverage.get(name).and_then(Value::as_u64).unwrap_or_default();
    let reasons = |name: &str| -> Vec<String> {
        let counts = coverage.get(name).and_then(Value::as_object).into_iter().flatten();
        counts.map(|(reason, bytes)| format!("{reason} {bytes} B")).collect()
    };
    let complete = coverage.get("complete").and_then(Value::as_bool).unwrap_or_default();
    let mut line = if complete { "coverage: complete".to_owned() } else { "coverage: INCOMPLETE".to_owned() };
    let lost = reasons("lost");
    // Writing to a string cannot fail.
    for (what, counts) in [("lost", &lost), ("skipped", &reasons("skipped")), ("not decoded", &reasons("undecoded"))] {
        if !counts.is_empty() {
            let _ = write!(line, "; {what}: {}", counts.join(", "));
        }
    }
    if number("lost_unnoted") > 0 {
        let _ = write!(line, "; lost: {} packets of unknown connections", number("lost_unnoted"));
    }
    let malformed = coverage.get("malformed").and_then(Value::as_object).into_iter().flatten();
    let malformed: u64 = malformed
        .flat_map(|(_, reasons)| reasons.as_object())
        .flat_map(|reasons| reasons.values())
        .filter_map(Value::as_u64)
        .sum();
    if malformed > 0 {
        let _ = write!(line, "; malformed: {malformed} messages");
    }
    let limits = coverage.get("limits").and_then(Value::as_object).into_iter().flatten();
    let limits: Vec<String> = limits.map(|(name, count)| format!("{name} {count}")).collect();
    if !limits.is_empty() {
        let _ = write!(line, "; limits hit: {}", limits.join(", "));
    }
    if let (false, Some(before)) = (complete, text("evicted_before")) {
        let _ = write!(line, "; calls before {before} were evicted");
    }
    let nodes: Vec<_> =
        coverage.get("nodes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = write!(
        line,
        "; {} calls, {} flows, {} to {}; node {}",
        number("records"),
        number("flows"),
        text("from").unwrap_or("-"),
        text("to").unwrap_or("-"),
        nodes.join(", ")
    );
    line
}

/// One call on one line, from its compact form.
pub(super) fn call(call: &Value) -> String {
    let text = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = call.get("ts").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), clock);
    let status = match call.get("status") {
        Some(Value::Number(status)) => status.to_string(),
        Some(Value::String(status)) if !status.is_empty() => status.clone(),
        _ => "no answer".to_owned(),
    };
    let latency = call.get("latency_ms").and_then(Value::as_f64).map(|ms| format!(" {ms} ms")).unwrap_or_default();
    let words: Vec<_> =
        [text("proto"), text("method"), text("path")].into_iter().filter(|word| !word.is_empty()).collect();
    one_line(&format!(
        "{time} {} -> {status}{latency}  {} > {}  id {}",
        words.join(" "),
        end(call.get("src")),
        end(call.get("dst")),
        text("id"),
    ))
}

/// `pod.namespace` or name, and address, of one end.
fn end(end: Option<&Value>) -> String {
    let field = |name: &str| end.and_then(|end| end.get(name)).and_then(Value::as_str).filter(|text| !text.is_empty());
    let port = end.and_then(|end| end.get("port")).and_then(Value::as_u64).unwrap_or_default();
    let ip = field("ip").unwrap_or("?");
    let address = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
    match field("pod").or_else(|| field("svc")) {
        Some(name) => format!("{name}{} ({address})", field("ns").map(|ns| format!(".{ns}")).unwrap_or_default()),
        None => address,
    }
}

/// `2026-11-21 01:02:03.456` of milliseconds since 1970.
fn clock(millis: u64) -> String {
    let text = Time::from_millis(millis).to_string();
    text.get(..23).unwrap_or(&text).replace('T', " ")
}

/// A value as indented lines: what a person writes down of a JSON object. Pairs, such as headers, are `name: value`.
pub(crate) fn outline(value: &Value) -> String {
    let mut out = String::new();
    walk(value, 0, &mut out);
    out
}

fn walk(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let entry = |name: &str, value: &Value, out: &mut String| {
        let _ = match value {
            Value::Object(_) | Value::Array(_) if depth >= DEPTH_MAX => writeln!(out, "{indent}{name}: {value}"),
            Value::Object(fields) if fields.is_empty() => writeln!(out, "{indent}{name}: {{}}"),
            Value::Array(items) if items.is_empty() => writeln!(out, "{indent}{name}: none"),
            Value::Object(_) | Value::Array(_) => {
                let written = writeln!(out, "{indent}{name}:");
                walk(value, depth + 1, out);
                written
            }
            Value::String(text) if text.contains('\n') => {
                // Whole, on lines of its own: cutting at line ends would hide what the lines end in.
                writeln!(out, "{indent}{name}: |\n{}", printable(text))
            }
            Value::String(text) => writeln!(out, "{indent}{name}: {}", one_line(text)),
            Value::Null | Value::Bool(_) | Value::Number(_) => writeln!(out, "{indent}{name}: {value}"),
        };
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| entry(name, value, out)),
        Value::Array(items) => items.iter().for_each(|item| match item.as_array().map(Vec::as_slice) {
            Some([Value::String(name), value]) => entry(&one_line(name), value, out),
            _ => match flat(item) {
                Some(line) => entry("-", &Value::String(line), out),
                None => entry("-", item, out),
            },
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An object of plain values on one line, without those that are null.
fn flat(value: &Value) -> Option<String> {
    let fields = value.as_object().filter(|fields| !fields.is_empty())?;
    let words: Option<Vec<_>> = fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match value {
            Value::Object(_) | Value::Array(_) => None,
            Value::String(text) => Some(format!("{name} {text}")),
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(format!("{name} {value}")),
        })
        .collect();
    Some(words?.join(", "))
}

/// Groups of a summary as a table.
pub(super) fn groups(fields: &[String], groups: &[Group]) -> String {
    let mut out = format!("count  rate/s  errors  p50_us  p90_us  p99_us  {}\n", fields.join("  "));
    groups.iter().for_each(|group| {
        out.push_str(&self::group(group));
        out.push('\n');
    });
    out
}

/// One group on one line.
pub(super) fn group(group: &Group) -> String {
    let micros = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let share = group.error_share.map_or_else(String::new, |share| format!(" ({:.1}%)", share * 100.0));
    let key: Vec<_> = group.key.iter().map(|value| value.as_deref().map_or_else(|| "-".to_owned(), one_line)).collect();
    format!(
        "{}  {:.2}  {}{share}  {}  {}  {}  {}",
        group.count,
        group.rate,
        group.errors,
        micros(group.p50),
        micros(group.p90),
        micros(group.p99),
        key.join("  "),
    )
}

/// Captured text on one line: line ends and other control characters are escaped, so that no call looks like two.
pub(crate) fn one_line(text: &str) -> String {
    if text.chars().any(commands) {
        text.chars().flat_map(|c| if commands(c) { c.escape_default().collect() } else { vec![c] }).collect()
    } else {
        text.to_owned()
    }
}

/// Captured text as it is, but for control characters that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if commands(c) && !matches!(c, '\n' | '\t') { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// What a terminal obeys instead of showing it, the marks that turn the direction of text round included (Unicode's
/// Trojan Source): a client could make its host look like another.
fn commands(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_one_line_whatever_it_holds() {
        let value = json!({"id": "1-2", "ts": 1_795_309_323_456_u64, "src": {"ip": "::1", "port": 9},
            "dst": {"ip": "10.0.0.2", "port": 80, "pod": "shop", "ns": "prod"}, "proto": "http", "method": "GET",
            "path": "/a\n\u{1b}[2J", "status": 200, "latency_ms": 1.8});
        assert_eq!(
            call(&value),
            "2026-11-22 01:02:03.456 http GET /a\\n\\u{1b}[2J -> 200 1.8 ms  [::1]:9 > shop.prod (10.0.0.2:80)  id 1-2"
        );
        assert!(call(&json!({})).contains("no answer"));
    }

    #[test]
    fn outlines() {
        let value = json!({"a": 1, "headers": [["host", "x"], ["n", null]], "e": [], "o": {"b": "two\nlines"}, "l": ["x", {"n": "y", "z": null, "t": true}]});
        assert_eq!(
            outline(&value),
            "a: 1\nheaders:\n  host: x\n  n: null\ne: none\no:\n  b: |\ntwo\nlines\nl:\n  -: x\n  -: n y, t true\n"
        );
    }
}
