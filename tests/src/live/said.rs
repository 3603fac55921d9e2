//! What the clients of `tests/peers` say of their calls, and how the agent's records are held against it: all of them
//! there, every value exact or null, none wrong. Null only where the agent cannot know.

use std::{collections::BTreeMap, io, process::Output, time::Duration};

use serde_json::Value;

use super::{Agent, PATIENCE, json_lines, wait_until};

/// One call as its client knows it; `peers/go/said.go` says what the fields hold.
#[derive(Clone, Debug)]
pub struct Said {
    pub id: String,
    pub kind: String,
    /// How the server took it, for people.
    pub outcome: String,
    pub reset: Value,
    pub record: Value,
}

/// How much of a connection the agent could see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// All of it: no value may be null, nothing incomplete.
    All,
    /// It carries bodies of which the kernel side copies a front only: a call that says so may have nulls.
    Cut,
    /// It is older than the agent, and so is the state of its header compression.
    Joined,
}

/// Calls after a join that may be missing: the first that follows stands where the agent finds the frames again.
const LOST_BY_JOIN: usize = 1;
/// Failures show this many differences.
const SHOWN: usize = 30;

impl Said {
    pub fn of_output(id: &str, output: io::Result<Output>) -> Vec<Self> {
        let output = output.unwrap_or_else(|error| panic!("{id}: {error}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{id}: {}: {stderr}", output.status);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of = |line: Value| Self {
            id: text(&line["id"]),
            kind: text(&line["kind"]),
            outcome: text(&line["outcome"]),
            reset: line["reset"].clone(),
            record: line["record"].clone(),
        };
        json_lines(&String::from_utf8_lossy(&output.stdout)).into_iter().map(of).collect()
    }
}

/// Waits until the calls that match a filter are there, and holds them against what was said of them.
pub fn assert_said(agent: &Agent, kfl: &str, said: &[Said], known: Known) {
    assert!(!said.is_empty(), "the client made no call");
    let least = if known == Known::Joined { said.len().saturating_sub(LOST_BY_JOIN) } else { said.len() };
    wait_until(PATIENCE, || (agent.calls(kfl).len() >= least).then_some(()));
    // One too many, or a last revision, would come within a few publishing intervals of 100 ms.
    std::thread::sleep(Duration::from_millis(500));
    let calls = agent.calls(kfl);
    let differences = compare(&calls, said, known, least);
    assert!(
        differences.is_empty(),
        "{} of {} calls differ or more ({known:?}):\n{}\nagent: {}",
        differences.len(),
        said.len(),
        differences[..differences.len().min(SHOWN)].join("\n"),
        agent.log()
    );
}

/// What a record and a line are matched by: the id where the headers are known, else the number of the stream.
fn key_of_call(call: &Value, known: Known) -> String {
    if known == Known::Joined {
        return call["stream_id"].to_string();
    }
    let headers = call["request"]["headers"].as_array().map_or(&[][..], Vec::as_slice);
    let id = headers.iter().find(|header| header[0] == "x-call-id").and_then(|header| header[1].as_str());
    let last = || call["path"].as_str().and_then(|path| path.rsplit('/').next());
    id.or_else(last).unwrap_or_default().to_owned()
}

fn key_of_said(said: &Said, known: Known) -> String {
    if known == Known::Joined { said.record["stream_id"].to_string() } else { said.id.clone() }
}

fn compare(calls: &[Value], said: &[Said], known: Known, least: usize) -> Vec<String> {
    let mut by_key: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for call in calls {
        by_key.entry(key_of_call(call, known)).or_default().push(call);
    }
    let mut differences = Vec::new();
    let mut present = 0;
    for said in said {
        let found = by_key.remove(&key_of_said(said, known)).unwrap_or_default();
        match found[..] {
            [call] => {
                present += 1;
                let named = differences_of(call, said, known).into_iter();
                differences.extend(named.map(|difference| format!("{} ({}): {difference}", said.id, said.kind)));
            }
            [] if known == Known::Joined => {}
            [] => differences.push(format!("{} ({}, {}): no record", said.id, said.kind, said.outcome)),
            _ => differences.push(format!("{} ({}): {} records", said.id, said.kind, found.len())),
        }
    }
    differences.extend(by_key.values().flatten().map(|call| format!("nobody said: {call}")));
    if known == Known::Joined && present < least {
        differences.push(format!("{present} records of {least}"));
    }
    differences
}

fn differences_of(call: &Value, said: &Said, known: Known) -> Vec<String> {
    let incomplete = !call["incomplete"].is_null();
    let judge = Judge {
        null: match known {
            Known::All => false,
            Known::Cut => incomplete,
            Known::Joined => true,
        },
        joined: known == Known::Joined,
    };
    let mut differences = judge.value("", "", &said.record, call);
    if known == Known::All && incomplete {
        differences.push(format!("incomplete: {}", call["incomplete"]));
    }
    let headers = call["request"]["headers"].as_array().map_or(&[][..], Vec::as_slice);
    // After an upgrade the request is one of HTTP/1.1.
    let of_http2 = headers.iter().filter(|_| said.record["http_version"] == "2");
    for name in of_http2.filter_map(|header| header[0].as_str()) {
        if name.starts_with(':') || name.chars().any(|letter| letter.is_ascii_uppercase()) {
            differences.push(format!("a header named {name}"));
        }
    }
    differences.extend(reset_differs(call, &said.reset));
    differences
}

fn reset_differs(call: &Value, said: &Value) -> Option<String> {
    let error = call["stream_error"].as_str();
    // A server that has answered may tell its client by NO_ERROR to stop sending: RFC 9113, section 8.1.
    let is_as = |said: &Value| match said.as_str() {
        Some(code) => error == Some(code),
        None => error.is_none_or(|error| error == "NO_ERROR"),
    };
    let same = match said["any"].as_array() {
        Some(choices) => choices.iter().any(is_as),
        None => is_as(said),
    };
    (!same).then(|| format!("stream_error: {error:?}, said {said}"))
}

/// Holds values against what was said of them.
#[derive(Clone, Copy)]
struct Judge {
    /// Whether any value may be null.
    null: bool,
    /// Whether headers may be unknown one by one.
    joined: bool,
}

impl Judge {
    /// The differences below `at`; `key` is its last part.
    fn value(self, at: &str, key: &str, said: &Value, got: &Value) -> Vec<String> {
        if let Some(choices) = said.get("any").and_then(Value::as_array) {
            let fits = choices.iter().any(|choice| self.value(at, key, choice, got).is_empty());
            return if fits { Vec::new() } else { vec![format!("{at}: {got}, said {said}")] };
        }
        if got.is_null() && (said.is_null() || self.null) {
            return Vec::new();
        }
        match (said, got) {
            (Value::Object(fields), Value::Object(_)) => {
                let below = |(name, said): (&String, &Value)| {
                    self.value(&format!("{at}.{name}"), name, said, got.get(name).unwrap_or(&Value::Null))
                };
                fields.iter().flat_map(below).collect()
            }
            (Value::Array(said), Value::Array(got)) if matches!(key, "headers" | "trailers") => {
                let missing = said.iter().filter(|said| !self.has(got, &said[0], &said[1]));
                missing.map(|said| format!("{at}: no {said} in {}", Value::from(got.clone()))).collect()
            }
            (Value::Array(said), Value::Array(got)) if said.len() == got.len() => {
                let below = |(said, got)| self.value(&format!("{at}[]"), "", said, got);
                said.iter().zip(got).flat_map(below).collect()
            }
            _ if said == got => Vec::new(),
            // What stands above HTTP is told by a content type that may not be known.
            _ if self.joined && key == "protocol" && got == "http" => Vec::new(),
            _ => vec![format!("{at}: {got}, said {said}")],
        }
    }

    /// Whether a header is among those of the record; null in what was said is any value.
    fn has(self, headers: &[Value], name: &Value, value: &Value) -> bool {
        let mut values = headers.iter().filter(|header| header[0] == *name).map(|header| &header[1]).peekable();
        // One whose name is a reference to before the agent is a header without a name.
        if values.peek().is_none() {
            return self.joined;
        }
        values.any(|got| value.is_null() || got == value || (self.null && got.is_null()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(record: Value) -> Said {
        let text = String::from;
        Said { id: text("a-1"), kind: text("unary"), outcome: text("OK"), reset: Value::Null, record }
    }

    fn call() -> Value {
        json!({"stream_id": 1, "path": "/p", "status_code": 200, "grpc_status": 0,
               "request": {"headers": [["x-call-id", "a-1"], ["te", "trailers"]], "body_size": 7,
                           "messages": [{"size": 2}]}})
    }

    fn differences(call: &Value, record: Value, known: Known) -> usize {
        compare(std::slice::from_ref(call), &[said(record)], known, 1).len()
    }

    #[test]
    fn a_right_record_has_no_differences() {
        let record = json!({"stream_id": 1, "status_code": {"any": [null, 200]}, "grpc_message": null,
                            "request": {"headers": [["te", "trailers"]], "messages": [{"size": 2}]}});
        for known in [Known::All, Known::Cut, Known::Joined] {
            assert_eq!(differences(&call(), record.clone(), known), 0, "{known:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_one_however_little_is_known() {
        for wrong in [
            json!({"stream_id": 1, "status_code": 404}),
            json!({"stream_id": 1, "grpc_status": {"any": [null, 4]}}),
            json!({"stream_id": 1, "request": {"headers": [["te", "gzip"]]}}),
            json!({"stream_id": 1, "request": {"messages": [{"size": 3}]}}),
            json!({"stream_id": 1, "request": {"messages": []}}),
        ] {
            for known in [Known::All, Known::Cut, Known::Joined] {
                assert_eq!(differences(&call(), wrong.clone(), known), 1, "{known:?} {wrong}");
            }
        }
    }

    #[test]
    fn null_is_right_only_where_it_may_be() {
        let record = json!({"stream_id": 1, "path": "/p", "grpc_status": 0});
        let mut unknown = call();
        unknown["grpc_status"] = Value::Null;
        assert_eq!(differences(&unknown, record.clone(), Known::All), 1);
        assert_eq!(differences(&unknown, record.clone(), Known::Cut), 1, "it does not say that it is incomplete");
        assert_eq!(differences(&unknown, record.clone(), Known::Joined), 0);
        unknown["incomplete"] = json!({"lost_bytes": 1});
        assert_eq!(differences(&unknown, record, Known::Cut), 0);
    }

    #[test]
    fn calls_that_are_missing_or_made_up_are_differences() {
        let record = json!({"stream_id": 1});
        assert_eq!(compare(&[], &[said(record.clone())], Known::All, 1).len(), 1);
        assert_eq!(compare(&[], &[said(record.clone())], Known::Joined, 1).len(), 1);
        assert_eq!(compare(&[call(), call()], &[said(record)], Known::All, 1).len(), 1, "one call, twice");
        assert_eq!(compare(&[call()], &[], Known::All, 0).len(), 1);
    }

    #[test]
    fn resets_are_told_by_their_code() {
        let mut call = call();
        assert!(reset_differs(&call, &Value::Null).is_none());
        assert!(reset_differs(&call, &json!("CANCEL")).is_some());
        call["stream_error"] = json!("CANCEL");
        assert!(reset_differs(&call, &json!("CANCEL")).is_none());
        assert!(reset_differs(&call, &json!({"any": ["CANCEL", null]})).is_none());
        assert!(reset_differs(&call, &Value::Null).is_some());
    }
}
