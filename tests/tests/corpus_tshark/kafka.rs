//! Kafka, message by message: the header, and what both have a name for in the body.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tapwire_tests::{
    corpus::{self, Owned},
    pipeline,
    tshark_kafka::{self, Message},
};

use crate::{Difference, end_of};

type Key = (String, String, String);

/// How many messages were compared, and how many of them to the end of the body.
pub fn compare(path: &Path, packets: &[Owned], found: &mut BTreeSet<Difference>) -> (usize, usize) {
    let records: Vec<Value> =
        pipeline::real(packets).values().into_iter().filter(|record| record["protocol"] == "kafka").collect();
    let ports: BTreeSet<u64> = records.iter().filter_map(|record| record["dst"]["port"].as_u64()).collect();
    if ports.is_empty() {
        return (0, 0);
    }
    let mut theirs: BTreeMap<Key, VecDeque<Message>> = BTreeMap::new();
    for message in tshark_kafka::messages(path, &ports) {
        let id = message.values.get("correlation_id").and_then(|ids| ids.first()).cloned().unwrap_or_default();
        theirs.entry((message.src.clone(), message.dst.clone(), id)).or_default().push_back(message);
    }
    let capture = corpus::name(path);
    let mut differ = |frame: u64, what: String| {
        found.insert((capture.clone(), frame.to_string(), what));
    };
    let (mut compared, mut bodies) = (0, 0);
    for record in &records {
        let (client, server) = (end_of(record, "src"), end_of(record, "dst"));
        let id = record["kafka_correlation_id"].to_string();
        for (name, from, to) in [("request", &client, &server), ("response", &server, &client)] {
            let Some(half) = record.get(name).filter(|half| half.is_object()) else { continue };
            let their = theirs.get_mut(&(from.clone(), to.clone(), id.clone())).and_then(VecDeque::pop_front);
            let Some(their) = their else {
                differ(0, format!("only tapwire: {name} {id}"));
                continue;
            };
            compared += 1;
            let mut ours = header(record, name);
            if their.whole {
                bodies += 1;
                body(&half["messages"][0]["fields"], &[], &mut ours);
            }
            for what in differences(&ours, &their) {
                differ(their.frame, format!("{name} {id}: {what}"));
            }
        }
    }
    for message in theirs.into_values().flatten() {
        differ(message.frame, "only tshark".to_owned());
    }
    (compared, bodies)
}

type Values = BTreeMap<&'static str, Vec<String>>;

fn header(record: &Value, half: &str) -> Values {
    let mut names = vec![("api_key", "kafka_api_key"), ("correlation_id", "kafka_correlation_id")];
    match half {
        "request" => names.extend([("api_version", "kafka_api_version"), ("client_id", "kafka_client_id")]),
        _ => names.push(("response.version", "kafka_api_version")),
    }
    let known = names.into_iter().filter(|(_, ours)| !record[ours].is_null());
    known.map(|(theirs, ours)| (theirs, vec![text(&record[ours])])).collect()
}

/// Lists of topics whose entries have only a `name`.
const TOPICS: [&str; 7] = [
    "topics",
    "topic_data",
    "responses",
    "topic_results",
    "results_by_topic_v3_and_below",
    "v3_and_below_topics",
    "topics_v3",
];
/// Fields that both have: tshark's name, and ours.
const NAMES: [(&str, &[&str]); 17] = [
    ("topic_name", &["topic"]),
    ("partition_id", &["partition_index", "partition", "index", "partitions", "partition_indexes"]),
    ("error", &["error_code", "partition_error_code"]),
    ("throttle_time", &["throttle_time_ms"]),
    ("consumer_group", &["group_id"]),
    ("member_id", &["member_id"]),
    ("generation_id", &["generation_id", "generation_id_or_member_epoch"]),
    ("transactional_id", &["transactional_id", "v3_and_below_transactional_id"]),
    ("producer_id", &["producer_id", "v3_and_below_producer_id"]),
    ("required_acks", &["acks"]),
    ("session_timeout", &["session_timeout_ms"]),
    ("fetch_session_id", &["session_id"]),
    ("log_start_offset", &["log_start_offset"]),
    ("api_versions.max_version", &["max_version"]),
    // Of batches and records, which are picked out apart.
    ("message_magic", &[]),
    ("message_key", &[]),
    ("message_value", &[]),
];

/// What members of groups put into bytes, which tshark does not look into.
const WITHIN_BYTES: [&str; 2] = ["metadata", "assignment"];

/// Puts all values of `NAMES` behind those that are there.
fn body(value: &Value, path: &[&str], into: &mut Values) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !WITHIN_BYTES.contains(&name.as_str())) {
                body(value, &[path, &[name.as_str()]].concat(), into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| body(value, path, into)),
        Value::Null => {}
        _ => {
            let (list, name) = match path {
                [.., list, name] => (*list, *name),
                [name] => ("", *name),
                [] => return,
            };
            if path.contains(&"records") {
                return record(value, list, name, into);
            }
            let topic = name == "name" && TOPICS.contains(&list);
            let names = NAMES.iter().find(|(theirs, ours)| ours.contains(&name) || topic && *theirs == "topic_name");
            if let Some((theirs, _)) = names {
                into.entry(theirs).or_default().push(text(value));
            }
        }
    }
}

/// Of batches and what is in them. tshark shows keys and values as hexadecimal bytes.
fn record(value: &Value, list: &str, name: &str, into: &mut Values) {
    let shown = value.as_str().map(str::as_bytes).unwrap_or_default();
    let (theirs, value) = match (list, name) {
        ("batches", "magic") => ("message_magic", text(value)),
        ("batches", "producer_id") => ("producer_id", text(value)),
        ("records", "key") => ("message_key", hexadecimal(shown)),
        ("records", "value") => ("message_value", hexadecimal(shown)),
        ("key", "base64") => ("message_key", hexadecimal(&STANDARD.decode(shown).unwrap_or_default())),
        ("value", "base64") => ("message_value", hexadecimal(&STANDARD.decode(shown).unwrap_or_default())),
        _ => return,
    };
    into.entry(theirs).or_default().push(value);
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What we say otherwise than tshark.
fn differences(ours: &Values, theirs: &Message) -> Vec<String> {
    let names = ours.keys().copied().chain(NAMES.iter().map(|(name, _)| *name).filter(|_| theirs.whole));
    let names: BTreeSet<&str> = names.collect();
    // tshark shows no key as an empty one, and no producer as -1.
    let none_of = |name: &str, value: &str| match name {
        "producer_id" => value == "-1",
        "message_key" | "message_value" => value.is_empty(),
        _ => false,
    };
    let said = |values: Option<&Vec<String>>, name: &str| -> Vec<String> {
        values.into_iter().flatten().filter(|value| !none_of(name, value)).cloned().collect()
    };
    let pairs = names.into_iter().map(|name| (name, said(theirs.values.get(name), name), said(ours.get(name), name)));
    // Of an answer in a version that it does not read, tshark says neither API nor version.
    let different = pairs.filter(|(_, there, ours)| there != ours && (theirs.whole || !there.is_empty()));
    different
        .map(|(name, theirs, ours)| {
            let at = theirs.iter().zip(&ours).take_while(|(theirs, ours)| theirs == ours).count();
            let value = |values: &[String]| values.get(at).cloned().unwrap_or("none".to_owned());
            format!("{name} {at} of {}: {}, tapwire {}", theirs.len(), value(&theirs), value(&ours))
        })
        .collect()
}
