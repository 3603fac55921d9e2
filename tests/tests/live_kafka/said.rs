//! What the clients' own logs say of their calls, as `said.py` reads it, and how the agent's records are held against it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tapwire_tests::live::{Agent, PATIENCE, wait_until};

/// Failures show this many differences.
const SHOWN: usize = 30;

/// Calls that carry what consumers want, or are given, in bytes.
const WITHIN_BYTES: [&str; 3] = ["JOIN_GROUP", "SYNC_GROUP", "DESCRIBE_GROUPS"];

/// Bodies up to here are copied whole: the agent's --max-body.
const COPIED: i64 = 64 << 10;

/// How much of a connection the agent could see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// All of it.
    All,
    /// It is older than the agent.
    Joined,
}

#[derive(Clone, Debug, Default)]
pub struct Log {
    pub calls: Vec<Said>,
    /// Of a client that says them, which it does apart.
    pub sizes: Vec<Sizes>,
}

/// One call as its client logged it. What the log does not have is None.
#[derive(Clone, Debug)]
pub struct Said {
    key: Key,
    topics: Option<Vec<String>>,
    errors: Option<Vec<i64>>,
    api_key: Option<i64>,
    answered: Option<bool>,
    record_bytes: Option<i64>,
}

/// Client id, name of the API key, version, correlation id. Not unique: connections of a client may count alike.
type Key = (String, String, i64, i64);

/// The bytes of one call, with the four of each length.
#[derive(Clone, Debug)]
pub struct Sizes {
    client: String,
    api: i64,
    written: i64,
    /// None when the client did not wait for the answer.
    read: Option<i64>,
}

impl Log {
    /// Of the lines that `said.py` prints.
    pub fn of(lines: &[Value]) -> Self {
        let calls = lines.iter().filter(|line| line["client_id"].is_string()).map(Said::of).collect();
        let sizes = lines.iter().map(|line| &line["sizes"]).filter(|sizes| sizes.is_object()).map(Sizes::of).collect();
        Self { calls, sizes }
    }

    /// What clients did whose ids end so.
    pub fn of_client(mut self, suffix: &str) -> Self {
        self.calls.retain(|said| said.key.0.ends_with(suffix));
        self.sizes.retain(|sizes| sizes.client.ends_with(suffix));
        self
    }

    /// The last calls, and those before them.
    pub fn split(mut self, last: usize) -> (Self, Self) {
        let calls = self.calls.split_off(self.calls.len() - last);
        let sizes = self.sizes.split_off(self.sizes.len().saturating_sub(last));
        (self, Self { calls, sizes })
    }

    /// What is wrong in these records of all its calls.
    pub fn differences(&self, calls: &[Value], known: Known) -> Vec<String> {
        let mut differences = compare(calls, &self.calls, known);
        differences.extend(compare_sizes(calls, &self.sizes));
        differences
    }
}

impl Said {
    fn of(line: &Value) -> Self {
        let key = key_of(line, "client_id", "api_key_name", "api_version", "correlation_id");
        let errors = line["error_codes"].as_array().map(|codes| codes.iter().filter_map(Value::as_i64).collect());
        Self {
            key,
            topics: topics_of(&line["topics"]),
            errors,
            api_key: line["api_key"].as_i64(),
            answered: line["answered"].as_bool(),
            record_bytes: line["record_bytes"].as_i64(),
        }
    }
}

impl Sizes {
    fn of(call: &Value) -> Self {
        let number = |name: &str| call[name].as_i64().unwrap_or(-1);
        let read = call["error"].is_null().then(|| number("read"));
        let client = call["client_id"].as_str().unwrap_or_default().to_owned();
        Self { client, api: number("api_key"), written: number("written"), read }
    }

    /// Whether a record may be the one that this was said of.
    fn fits(&self, call: &Value) -> bool {
        // Where the header of such a version ends is not known, and so neither size.
        let unknown = call["findings"].as_array().is_some_and(|findings| findings.contains(&"unknown_version".into()));
        let size = |half: &str| Some(4 + call[half]["headers_size"].as_i64()? + call[half]["body_size"].as_i64()?);
        call["kafka_client_id"] == self.client.as_str()
            && call["kafka_api_key"] == self.api
            && size("request").map_or(unknown, |size| size == self.written)
            && self.read.is_none_or(|read| size("response").unwrap_or(0) == read)
    }
}

fn key_of(value: &Value, client: &str, name: &str, version: &str, correlation: &str) -> Key {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let number = |field: &str| value[field].as_i64().unwrap_or(-1);
    (text(client), text(name), number(version), number(correlation))
}

fn topics_of(value: &Value) -> Option<Vec<String>> {
    let mut topics: Vec<_> = value.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    topics.sort();
    topics.dedup();
    Some(topics)
}

/// Waits until the calls are there, and holds them against what was said: all of them, none else, no value wrong.
pub fn assert_said(agent: &Agent, kfl: &str, log: &Log, known: Known) {
    let said = &log.calls;
    assert!(!said.is_empty(), "the client made no call");
    wait_until(PATIENCE, || (agent.calls(kfl).len() >= said.len()).then_some(()));
    // One too many, or a last revision, would come within a few publishing intervals of 100 ms.
    std::thread::sleep(Duration::from_millis(500));
    let differences = log.differences(&agent.calls(kfl), known);
    let shown = differences[..differences.len().min(SHOWN)].join("\n");
    assert!(differences.is_empty(), "{} of {} differ:\n{shown}\nagent: {}", differences.len(), said.len(), agent.log());
}

fn compare(calls: &[Value], said: &[Said], known: Known) -> Vec<String> {
    let mut left: BTreeMap<&Key, Vec<&Said>> = BTreeMap::new();
    for said in said {
        left.entry(&said.key).or_default().push(said);
    }
    let mut differences = Vec::new();
    for call in calls {
        let key = key_of(call, "kafka_client_id", "kafka_api_key_name", "kafka_api_version", "kafka_correlation_id");
        // Calls with one key differ in nothing that their client logs.
        match left.get_mut(&key).and_then(Vec::pop) {
            None => differences.push(format!("nobody said: {call}")),
            Some(said) => differences.extend(differs(call, said, known)),
        }
    }
    differences.extend(left.into_values().flatten().map(|said| format!("no record: {said:?}")));
    differences
}

/// What is wrong in a record, with both.
fn differs(call: &Value, said: &Said, known: Known) -> Option<String> {
    let what = wrong(call, said, known)?;
    Some(format!("{what}, said {said:?}: {call}"))
}

fn wrong(call: &Value, said: &Said, known: Known) -> Option<String> {
    let incomplete = !call["incomplete"].is_null();
    let long = said.record_bytes.is_some_and(|bytes| bytes > COPIED);
    if incomplete && known == Known::All && !long {
        return Some("incomplete".to_owned());
    }
    if said.api_key.is_some_and(|number| call["kafka_api_key"] != number) {
        return Some("the API key's number".to_owned());
    }
    // Nobody has read the answers that a client left behind at its end.
    if said.answered == Some(true) && call["response"].is_null() {
        return Some("no answer".to_owned());
    }
    let topics = topics_of(&call["kafka_topics"]).unwrap_or_default();
    // As of Produce 13 and Fetch 13 a topic is a number, whose name was on the wire before the agent came. What was not
    // copied of a long answer may name more topics, hold an error, and end more batches.
    let unnamed = (known == Known::Joined || incomplete) && call["kafka_topics"].is_null();
    // What members of a group tell one another in bytes stands in no log.
    let unnamed = unnamed || said.topics.as_ref().is_some_and(Vec::is_empty) && WITHIN_BYTES.contains(&&*said.key.1);
    if said.topics.as_ref().is_some_and(|said| *said != topics) && !unnamed {
        return Some(format!("topics {topics:?}"));
    }
    let error = call["kafka_error_code"].as_i64();
    let right = match said.errors.as_deref() {
        None => true,
        Some([]) => error == Some(0) || (error.is_none() && incomplete),
        Some([first, ..]) => error == Some(*first),
    };
    if !right {
        return Some(format!("error {error:?}"));
    }
    let record_bytes = call["kafka_record_bytes"].as_i64();
    let right =
        said.record_bytes.is_none_or(|said| record_bytes.map_or(said == 0 || incomplete, |bytes| bytes == said));
    (!right).then(|| format!("{record_bytes:?} bytes of records"))
}

/// What was said of an answer's size first: the rest fits more records.
fn compare_sizes(calls: &[Value], said: &[Sizes]) -> Vec<String> {
    let mut left: Vec<&Value> = calls.iter().collect();
    let (answered, unanswered): (Vec<_>, Vec<_>) = said.iter().partition(|sizes| sizes.read.is_some());
    let mut differences = Vec::new();
    for sizes in answered.into_iter().chain(unanswered) {
        match left.iter().position(|call| sizes.fits(call)) {
            Some(at) => {
                left.swap_remove(at);
            }
            None => differences.push(format!("no record with {sizes:?}")),
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A line of `said.py`, the record that fits it, and what a client may say apart.
    fn same() -> (Said, Value, Sizes) {
        let said = json!({"client_id": "c", "api_key_name": "FETCH", "api_version": 4, "correlation_id": 7, "api_key": 1,
                          "topics": ["b", "a"], "error_codes": [3, 6], "answered": true, "record_bytes": 20});
        let call = json!({"kafka_client_id": "c", "kafka_api_key_name": "FETCH", "kafka_api_version": 4, "kafka_api_key": 1,
                          "kafka_correlation_id": 7, "kafka_topics": ["a", "b"], "kafka_error_code": 3,
                          "kafka_record_bytes": 20, "request": {"headers_size": 11, "body_size": 5},
                          "response": {"headers_size": 4, "body_size": 30}, "incomplete": null});
        let sizes = json!({"client_id": "c", "api_key": 1, "written": 20, "read": 38});
        (Said::of(&said), call, Sizes::of(&sizes))
    }

    fn differences(calls: &[Value], known: Known) -> usize {
        let (said, _, sizes) = same();
        Log { calls: vec![said], sizes: vec![sizes] }.differences(calls, known).len()
    }

    #[test]
    fn a_right_record_has_no_differences() {
        for known in [Known::All, Known::Joined] {
            assert_eq!(differences(&[same().1], known), 0);
        }
    }

    #[test]
    fn a_wrong_value_is_one_however_little_is_known() {
        for (field, wrong) in [
            ("kafka_topics", json!(["a"])),
            ("kafka_error_code", json!(6)),
            ("kafka_error_code", Value::Null),
            ("kafka_record_bytes", json!(19)),
            ("response", Value::Null),
        ] {
            let mut call = same().1;
            call[field] = wrong;
            for known in [Known::All, Known::Joined] {
                assert_ne!(differences(std::slice::from_ref(&call), known), 0, "{field}");
            }
        }
    }

    #[test]
    fn a_wrong_size_is_a_difference() {
        let mut call = same().1;
        call["request"]["body_size"] = json!(6);
        assert_eq!(differences(&[call], Known::All), 1);
    }

    #[test]
    fn calls_that_are_missing_or_made_up_are_differences() {
        let call = same().1;
        assert_eq!(differences(&[], Known::Joined), 2, "the call, and its size");
        assert_eq!(differences(&[call.clone(), call], Known::Joined), 1, "one call, twice");
    }
}
