//! Holds records that were made of less against those that were made of all. A value is right when it is the same, or
//! says that it is not known: null, absent, or, on a record that says what it lacks, a front of the body and a span of
//! time. Everything else is wrong.

use serde_json::{Map, Value};

use super::Report;

/// How many records were found, of those that should be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matched {
    pub exact: usize,
    pub partial: usize,
}

/// Whose times the records may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Those of all of the capture.
    Exact,
    /// The segment that is left out is there once more, and then its later copy is all that there is.
    OfACopy,
}

/// Finds for each record the one that it is part of, each at most once, and reports those that are part of none.
pub fn all(found: &[Value], expected: &[Value], times: Times, place: &str, report: &mut Report) -> Matched {
    // Which halves of each record were found: a call whose pairing is not certain is told as two, but nothing twice.
    let mut told = vec![[false; 2]; expected.len()];
    let mut matched = Matched::default();
    report.compared += found.len();
    let mut rest = Vec::new();
    // Equal ones first, so that a partial record does not take their place.
    for record in found {
        match (0..expected.len()).find(|&at| told[at] == [false; 2] && same(record, &expected[at])) {
            Some(at) => {
                told[at] = [true; 2];
                matched.exact += 1;
            }
            None => rest.push(record),
        }
    }
    for record in rest {
        let halves = ["request", "response"].map(|half| record.get(half).is_some_and(|half| !half.is_null()));
        let mut nearest: Option<String> = None;
        let fits = (0..expected.len()).find(|&at| {
            let again = halves.iter().zip(told[at]).any(|(&here, told)| here && told);
            match part_of(record, &expected[at], times) {
                Ok(()) => !again,
                Err(why) => {
                    let stream = record.get("stream_id").is_some_and(|id| expected[at].get("stream_id") == Some(id));
                    if !again && (nearest.is_none() || stream) {
                        nearest = Some(why);
                    }
                    false
                }
            }
        });
        match fits {
            Some(at) => {
                told[at] = [told[at][0] || halves[0], told[at][1] || halves[1]];
                matched.partial += 1;
            }
            None if made_of_halves(record, expected, times, &mut told) => matched.partial += 1,
            None => {
                let why = nearest.unwrap_or_else(|| "no record is left that it could be".to_owned());
                report.wrong.push(format!("{place}: {why}: {}", short(record)));
            }
        }
    }
    matched
}

/// A call that is told whole, where all of the capture left its halves apart. There an earlier answer that no request
/// explains made every later pair uncertain (desync); who came after it has no sign of that. Each half must be right.
fn made_of_halves(record: &Value, expected: &[Value], times: Times, told: &mut [[bool; 2]]) -> bool {
    let of_both = ["elapsed_time", "time_to_first_byte", "findings"];
    let of_request = ["method", "path", "url", "authority", "http_version", "timestamp"];
    let find = |half: usize, other: &str, gone: &[&str]| {
        let mut alone = record.clone();
        for key in gone.iter().chain(&of_both).chain(&[other]) {
            alone[*key] = Value::Null;
        }
        (0..expected.len()).find(|&at| {
            !told[at][half] && expected[at][other].is_null() && part_of(&alone, &expected[at], times).is_ok()
        })
    };
    let (Some(request), Some(response)) = (find(0, "response", &["status_code"]), find(1, "request", &of_request))
    else {
        return false;
    };
    told[request][0] = true;
    told[response][1] = true;
    true
}

/// What names a record may differ, since a capture that begins later numbers otherwise.
fn same(found: &Value, expected: &Value) -> bool {
    let keys = |value: &Value| value.as_object().map(|map| map.keys().filter(|key| !names(key)).count());
    keys(found) == keys(expected)
        && found
            .as_object()
            .is_some_and(|found| found.iter().all(|(key, value)| names(key) || expected.get(key) == Some(value)))
}

fn names(key: &str) -> bool {
    matches!(key, "id" | "conn_id" | "join_key")
}

/// Why a record cannot be what is left of another one.
fn part_of(found: &Value, expected: &Value, times: Times) -> Result<(), String> {
    let (Some(found), Some(expected)) = (found.as_object(), expected.as_object()) else {
        return Err("not an object".to_owned());
    };
    let lacks = found.contains_key("incomplete");
    let other_times = times == Times::OfACopy || lacks || halves_of(found);
    for (key, value) in found {
        let other = expected.get(key).unwrap_or(&Value::Null);
        let right = value.is_null()
            || value == other
            || match key.as_str() {
                "id" | "conn_id" => true,
                // Without the content type nobody knows what stands above.
                "protocol" => value == "http" && other == "grpc",
                "incomplete" => true,
                "findings" => findings(value, other).map_err(|extra| format!("findings have {extra}, "))?,
                // An answer alone is named after its own first byte, which is not before the request's.
                "timestamp" => text(value) >= text(other) && other_times,
                "elapsed_time" | "time_to_first_byte" => other_times,
                // The request's, else the answer's, which may be another.
                "http_version" => halves_of(found),
                // Of what was seen; an id stands for a name that was not.
                "kafka_topics" | "kafka_partitions" | "kafka_offsets" => {
                    (lacks || halves_of(found)) && is_subset(value, other)
                }
                "kafka_request_summary" => {
                    let front = |line: &Value| text(line).splitn(3, ' ').take(2).map(str::to_owned).collect::<Vec<_>>();
                    front(value) == front(other) && (lacks || found.get("kafka_topics").is_some_and(Value::is_null))
                }
                "request" | "response" => message(value, other, lacks).map_err(|why| format!("{key}.{why}"))?,
                _ => false,
            };
        if !right {
            return Err(format!("{key} is not {}", short(other)));
        }
    }
    Ok(())
}

/// Findings that say what is not known. Others say what was there, so all of the capture must show it too.
const MARKS: [&str; 9] = [
    "answer_not_seen",
    "body_unclear",
    "cut_short",
    "end_not_seen",
    "grpc_messages_lost",
    "headers_lost",
    "headers_not_seen",
    "request_not_seen",
    "unknown_headers",
];

/// Whether no finding says more than those of all of the capture; else which.
fn findings(found: &Value, expected: &Value) -> Result<bool, String> {
    let names = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let expected = names(expected);
    match names(found).into_iter().find(|name| !MARKS.contains(&&**name) && !expected.contains(name)) {
        Some(extra) => Err(extra),
        None => Ok(true),
    }
}

fn halves_of(record: &Map<String, Value>) -> bool {
    ["request", "response"].iter().any(|half| record.get(*half).is_none_or(Value::is_null))
}

fn message(found: &Value, expected: &Value, lacks: bool) -> Result<bool, String> {
    let (Some(found), Some(expected)) = (found.as_object(), expected.as_object()) else {
        return Err(" is there".to_owned());
    };
    // A body of unknown size says itself that there is more of it.
    let less = lacks || found.get("body_size").is_some_and(Value::is_null);
    let endless = [found, expected].iter().all(|half| half.get("body_size").is_some_and(Value::is_null));
    // Not known to carry messages.
    let raw = expected.contains_key("messages") && !found.contains_key("messages");
    for (key, value) in found {
        let other = expected.get(key).unwrap_or(&Value::Null);
        let right = value.is_null()
            || value == other
            || match key.as_str() {
                "body" | "body_encoding" | "body_kept" | "body_truncated" if raw => true,
                // Where a stream is reset, what was under way is read or not.
                "body" | "body_encoding" if endless => body_begins(found, expected) || body_begins(expected, found),
                "body_kept" if endless => true,
                "body" | "body_encoding" => less && body_begins(found, expected),
                "body_truncated" => less,
                "body_kept" => less && value.as_u64() <= other.as_u64(),
                // A list of which something is not known says so by its size.
                "headers" => found.get("headers_size").is_some_and(Value::is_null) && is_part(value, other),
                "trailers" => (lacks && value.as_array().is_some_and(Vec::is_empty)) || all_there(value, other),
                "messages" => less && is_front(value, other),
                "message_count" | "message_bytes" => endless,
                _ => false,
            };
        if !right {
            return Err(format!("{key} is not {}", short(other)));
        }
    }
    Ok(true)
}

/// Each header of one list, as far as it is known, is in the other one, in order.
fn is_part(found: &Value, expected: &Value) -> bool {
    let (Some(found), Some(expected)) = (found.as_array(), expected.as_array()) else {
        return false;
    };
    let same = |part: &Value, other: &Value| part.is_null() || part == other;
    let mut rest = expected.iter();
    found.iter().all(|header| rest.any(|other| same(&header[0], &other[0]) && same(&header[1], &other[1])))
}

/// The same, and none is left out.
fn all_there(found: &Value, expected: &Value) -> bool {
    found.as_array().map(Vec::len) == expected.as_array().map(Vec::len) && is_part(found, expected)
}

/// The first messages of a stream.
fn is_front(found: &Value, expected: &Value) -> bool {
    let (Some(found), Some(expected)) = (found.as_array(), expected.as_array()) else {
        return false;
    };
    found.iter().zip(expected).all(|(found, expected)| {
        // One that is cut is not decoded.
        let cut = || {
            !found["not_decoded"].is_null()
                || (found["fields_truncated"] == true && tree_is_part(&found["fields"], &expected["fields"]))
        };
        found == expected || (found["size"] == expected["size"] && cut())
    }) && found.len() <= expected.len()
}

/// What is there of a tree is right: lists end early, members are missing or null, texts are cut.
fn tree_is_part(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Null, _) => true,
        (Value::Object(found), Value::Object(expected)) => {
            found.iter().all(|(name, value)| expected.get(name).is_some_and(|other| tree_is_part(value, other)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() <= expected.len() && found.iter().zip(expected).all(|(found, other)| tree_is_part(found, other))
        }
        (Value::String(found), Value::String(expected)) => expected.starts_with(found.trim_end_matches('=')),
        _ => found == expected,
    }
}

/// A list without some of its values.
fn is_subset(found: &Value, expected: &Value) -> bool {
    let (Some(found), Some(expected)) = (found.as_array(), expected.as_array()) else { return false };
    found.iter().all(|value| expected.contains(value))
}

/// The kept bytes are a front of those that should have been kept.
fn body_begins(found: &Map<String, Value>, expected: &Map<String, Value>) -> bool {
    match (body(found), body(expected)) {
        (Some(found), Some(expected)) => expected.starts_with(&found),
        (None, _) => true,
        (Some(found), None) => found.is_empty(),
    }
}

fn body(message: &Map<String, Value>) -> Option<Vec<u8>> {
    let text = message.get("body")?.as_str()?;
    match message.get("body_encoding").and_then(Value::as_str) {
        Some("base64") => base64(text),
        _ => Some(text.as_bytes().to_vec()),
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.bytes().filter(|&digit| digit != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Characters of a value that a report shows.
const SHORT: usize = 600;

fn short(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((at, _)) = text.char_indices().nth(SHORT) {
        text.truncate(at);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(found: &[Value], expected: &[Value]) -> usize {
        let mut report = Report::default();
        all(found, expected, Times::Exact, "here", &mut report);
        report.wrong.len()
    }

    #[test]
    fn less_is_right_and_other_is_wrong() {
        let whole = json!({"id": "1-0", "method": "GET", "status_code": 200, "timestamp": "b",
            "request": {"headers": [["a", "b"]], "body": "abc", "body_size": 3, "trailers": []},
            "response": {"headers": [], "body": "YWJj", "body_encoding": "base64", "body_size": 3, "trailers": [["t", "u"]]}});
        let all = std::slice::from_ref(&whole);
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut record = whole.clone();
            change(&mut record);
            wrong(&[record], all)
        };
        assert_eq!(changed(&|record| record["id"] = json!("7-0")), 0);
        assert_eq!(changed(&|record| record["status_code"] = json!(null)), 0);
        assert_eq!(changed(&|record| record["response"] = json!(null)), 0);
        assert_eq!(changed(&|record| record["status_code"] = json!(404)), 1);
        assert_eq!(changed(&|record| record["request"]["headers"] = json!([])), 1);
        assert_eq!(changed(&|record| record["request"]["body"] = json!("ab")), 1);
        assert_eq!(changed(&|record| record["request"]["body_size"] = json!(2)), 1);
        // Only with a mark, and only a front.
        for (body, right) in [("ab", true), ("bc", false), ("abcd", false)] {
            let record = |record: &mut Value| {
                record["request"]["body"] = json!(body);
                record["request"]["body_size"] = json!(null);
                record["incomplete"] = json!({"lost_bytes": 1});
            };
            assert_eq!(changed(&record), usize::from(!right), "{body}");
        }
        assert_eq!(
            changed(&|record| {
                record["response"]["body"] = json!("YWI=");
                record["response"]["trailers"] = json!([]);
                record["incomplete"] = json!({});
            }),
            0
        );
        // What was there was there with all of the capture too.
        for (finding, right) in [("cut_short", true), ("cancelled_by_client", false)] {
            assert_eq!(changed(&|record| record["findings"] = json!([finding])), usize::from(!right), "{finding}");
        }
        // Nothing is told twice, but a call may be told as its halves.
        assert_eq!(wrong(&[whole.clone(), whole.clone()], all), 1);
        let (mut request, mut response) = (whole.clone(), whole.clone());
        request["response"] = json!(null);
        request["status_code"] = json!(null);
        response["request"] = json!(null);
        response["method"] = json!(null);
        assert_eq!(wrong(&[request, response], all), 0);
    }
}
