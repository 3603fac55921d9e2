//! What the filter, the schemas and the docs know of Kafka.

use std::{borrow::Cow, fmt::Write};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    KafkaRequest, KafkaResponse,
    facts::{Facts, PARTITIONS, Topic},
    keys,
    message::Header,
    schema,
};
use crate::dissect::{Exchange, Field, Head, Kind, Value};

pub const FIELDS: &[Field] = &[
    Field {
        name: "kafka_api_key",
        kind: Kind::Int,
        json: true,
        doc: "API key of the request",
        get: |exchange| of_header(exchange, |header| Value::Int(i64::from(header.key))),
    },
    Field {
        name: "kafka_api_key_name",
        kind: Kind::Text,
        json: true,
        doc: "Name of the API: PRODUCE, FETCH, METADATA, …",
        get: |exchange| of_header(exchange, |header| header.name().map_or(Value::Unknown, borrowed)),
    },
    Field {
        name: "kafka_api_version",
        kind: Kind::Int,
        json: true,
        doc: "Version of the API that the client speaks",
        get: |exchange| of_header(exchange, |header| Value::Int(i64::from(header.version))),
    },
    Field {
        name: "kafka_correlation_id",
        kind: Kind::Int,
        json: true,
        doc: "Number by which the answer belongs to the request",
        get: correlation_id,
    },
    Field {
        name: "kafka_client_id",
        kind: Kind::Text,
        json: true,
        doc: "What the client calls itself",
        get: |exchange| of_header(exchange, |header| text(header.client_id.as_deref())),
    },
    Field {
        name: "kafka_client_software",
        kind: Kind::Text,
        json: true,
        doc: "Name and version of the client's library, as its connection's ApiVersions said",
        get: |exchange| {
            of_request(exchange, |request| match &request.facts.software {
                Some(software) => Value::Text(Cow::Owned(format!("{} {}", software.name, software.version))),
                None => Value::Unknown,
            })
        },
    },
    Field {
        name: "kafka_topics",
        kind: Kind::TextList,
        json: true,
        doc: "Topics that request and answer name, as far as they were read; unknown when one is known by its id only",
        get: topics,
    },
    Field {
        name: "kafka_partitions",
        kind: Kind::TextList,
        json: true,
        doc: "Partitions that request and answer name, as far as they were read, as topic-partition: orders-0",
        get: partitions,
    },
    Field {
        name: "kafka_offsets",
        kind: Kind::TextList,
        json: true,
        doc: "Offsets, as topic-partition@offset: orders-0@42: fetched from, written at, committed, asked for, or deleted up to; as far as they were read",
        get: offsets,
    },
    Field {
        name: "kafka_record_count",
        kind: Kind::Int,
        json: true,
        doc: "Records that the call carries, without marks of transactions",
        get: |exchange| match records(exchange) {
            Some(records) => records.count.map_or(Value::Unknown, count),
            None => none(exchange),
        },
    },
    Field {
        name: "kafka_record_bytes",
        kind: Kind::Int,
        json: true,
        doc: "Bytes of the call's record batches, as sent",
        get: |exchange| match records(exchange) {
            Some(_) if !facts(exchange).all(|facts| facts.whole) => Value::Unknown,
            Some(records) => count(records.bytes),
            None => none(exchange),
        },
    },
    Field {
        name: "kafka_group_id",
        kind: Kind::Text,
        json: true,
        doc: "Consumer group, the first one of the call",
        get: |exchange| first(exchange, |facts| facts.group.as_deref().map(borrowed)),
    },
    Field {
        name: "kafka_member_id",
        kind: Kind::Text,
        json: true,
        doc: "Member of the consumer group, the first one of the call",
        get: |exchange| first(exchange, |facts| facts.member.as_deref().map(borrowed)),
    },
    Field {
        name: "kafka_generation",
        kind: Kind::Int,
        json: true,
        doc: "Generation of the consumer group, or the member's epoch",
        get: |exchange| first(exchange, |facts| facts.generation.map(|value| Value::Int(i64::from(value)))),
    },
    Field {
        name: "kafka_rebalance",
        kind: Kind::Bool,
        json: true,
        doc: "The group's partitions are dealt out anew: a member joins, is told so, or gets another epoch",
        get: rebalance,
    },
    Field {
        name: "kafka_transactional_id",
        kind: Kind::Text,
        json: true,
        doc: "Transactional id, the first one of the call",
        get: |exchange| first(exchange, |facts| facts.transaction.as_deref().map(borrowed)),
    },
    Field {
        name: "kafka_acks",
        kind: Kind::Int,
        json: true,
        doc: "Acknowledgements that a produce asks for: 0, 1, or -1 for all",
        get: |exchange| {
            of_request(exchange, |request| match request.facts.acks {
                Some(acks) => Value::Int(i64::from(acks)),
                None if request.facts.whole => Value::Absent,
                None => Value::Unknown,
            })
        },
    },
    Field {
        name: "kafka_error_code",
        kind: Kind::Int,
        json: true,
        doc: "First error code of the answer that is not 0, else 0",
        get: |exchange| error(exchange).map_or_else(|unknown| unknown, |code| Value::Int(i64::from(code))),
    },
    Field {
        name: "kafka_error",
        kind: Kind::Text,
        json: true,
        doc: "Name of the error code: NONE, NOT_LEADER_OR_FOLLOWER, …",
        get: |exchange| {
            error(exchange)
                .map_or_else(|unknown| unknown, |code| schema::table().error(code).map_or(Value::Unknown, borrowed))
        },
    },
    Field {
        name: "kafka_throttle_time_ms",
        kind: Kind::Int,
        json: true,
        doc: "Milliseconds that the broker asks the client to wait",
        get: |exchange| match response(exchange).and_then(|response| response.facts.throttle) {
            Some(time) => Value::Int(i64::from(time)),
            None => none(exchange),
        },
    },
    Field {
        name: "kafka_lag",
        kind: Kind::Int,
        json: true,
        doc: "Of a fetch: records between where it begins and the end of the log, of the partition with the most",
        get: lag,
    },
    Field {
        name: "kafka_request_summary",
        kind: Kind::Text,
        json: true,
        doc: "The request in one line: PRODUCE v9 orders[0] records=3 acks=-1",
        get: |exchange| of_request(exchange, |request| Value::Text(Cow::Owned(summary(request)))),
    },
    Field {
        name: "kafka_request",
        kind: Kind::Bool,
        json: false,
        doc: "The request was seen",
        get: |exchange| Value::Bool(request(exchange).is_some()),
    },
    Field {
        name: "kafka_response",
        kind: Kind::Bool,
        json: false,
        doc: "The answer was seen",
        get: |exchange| Value::Bool(response(exchange).is_some()),
    },
    Field {
        name: "kafka_size",
        kind: Kind::Int,
        json: false,
        doc: "Bytes of request and answer together, as far as they were seen, without their length prefixes",
        get: |exchange| {
            let sizes =
                [request(exchange).map(|request| request.size), response(exchange).map(|response| response.size)];
            count(sizes.into_iter().flatten().map(u64::from).sum())
        },
    },
    Field {
        name: "kafka_request_size",
        kind: Kind::Int,
        json: false,
        doc: "Bytes of the request, without its length prefix",
        get: |exchange| of_request(exchange, |request| Value::Int(i64::from(request.size))),
    },
    Field {
        name: "kafka_response_size",
        kind: Kind::Int,
        json: false,
        doc: "Bytes of the answer, without its length prefix",
        get: |exchange| response(exchange).map_or(Value::Unknown, |response| Value::Int(i64::from(response.size))),
    },
];

fn request(exchange: &Exchange) -> Option<&KafkaRequest> {
    match &exchange.request.as_ref()?.head {
        Head::KafkaRequest(request) => Some(request),
        _ => None,
    }
}

fn response(exchange: &Exchange) -> Option<&KafkaResponse> {
    match &exchange.response.as_ref()?.head {
        Head::KafkaResponse(response) => Some(response),
        _ => None,
    }
}

/// A half that was not seen is looked for and not known.
fn of_request<'a>(exchange: &'a Exchange, get: impl FnOnce(&'a KafkaRequest) -> Value<'a>) -> Value<'a> {
    request(exchange).map_or(Value::Unknown, get)
}

/// A token of SASL has none.
fn of_header<'a>(exchange: &'a Exchange, get: impl FnOnce(&'a Header) -> Value<'a>) -> Value<'a> {
    request(exchange).and_then(|request| request.header.as_ref()).map_or(Value::Unknown, get)
}

/// What both halves say, the request first.
fn facts(exchange: &Exchange) -> impl Iterator<Item = &Facts> {
    let halves = [request(exchange).map(|request| &request.facts), response(exchange).map(|response| &response.facts)];
    halves.into_iter().flatten()
}

fn first<'a>(exchange: &'a Exchange, get: impl Fn(&'a Facts) -> Option<Value<'a>>) -> Value<'a> {
    for facts in facts(exchange) {
        match get(facts) {
            Some(value) => return value,
            // It may stand in what was not read.
            None if !facts.whole => return Value::Unknown,
            None => {}
        }
    }
    Value::Absent
}

fn borrowed(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Absent, borrowed)
}

fn count(value: u64) -> Value<'static> {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn correlation_id(exchange: &Exchange) -> Value<'_> {
    let asked = request(exchange).and_then(|request| Some(request.header.as_ref()?.correlation_id));
    let answered = response(exchange).and_then(|response| response.correlation_id);
    asked.or(answered).map_or(Value::Unknown, |id| Value::Int(i64::from(id)))
}

fn topics(exchange: &Exchange) -> Value<'_> {
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    for topic in facts(exchange).flat_map(|facts| &facts.topics) {
        let Topic::Name(name) = topic else { return Value::Unknown };
        if !names.iter().any(|known| **known == **name) {
            names.push(Cow::Borrowed(name));
        }
    }
    if names.is_empty() { none(exchange) } else { Value::TextList(names) }
}

/// What was not seen or not read may say some.
fn none(exchange: &Exchange) -> Value<'_> {
    let whole = request(exchange).is_some() && answered(exchange) && facts(exchange).all(|facts| facts.whole);
    if whole { Value::Absent } else { Value::Unknown }
}

/// The answer was seen, or there is none: a produce may ask for that.
fn answered(exchange: &Exchange) -> bool {
    response(exchange).is_some() || request(exchange).is_some_and(|request| request.facts.acks == Some(0))
}

fn partitions(exchange: &Exchange) -> Value<'_> {
    let mut seen: Vec<(i32, &str)> = Vec::new();
    for facts in facts(exchange) {
        for partition in &facts.partitions {
            let Some(Topic::Name(topic)) = facts.topics.get(usize::from(partition.topic)) else {
                return Value::Unknown;
            };
            if !seen.contains(&(partition.number, topic)) {
                seen.push((partition.number, topic));
            }
        }
    }
    if seen.is_empty() {
        return none(exchange);
    }
    Value::TextList(seen.into_iter().map(|(number, topic)| Cow::Owned(format!("{topic}-{number}"))).collect())
}

fn offsets(exchange: &Exchange) -> Value<'_> {
    let mut found: Vec<Cow<'_, str>> = Vec::new();
    for facts in facts(exchange) {
        for partition in &facts.partitions {
            let Some(offset) = partition.offset else { continue };
            let Some(Topic::Name(topic)) = facts.topics.get(usize::from(partition.topic)) else {
                return Value::Unknown;
            };
            found.push(Cow::Owned(format!("{topic}-{}@{offset}", partition.number)));
        }
    }
    if found.is_empty() { none(exchange) } else { Value::TextList(found) }
}

/// What members of groups ask.
const OF_MEMBERS: [i16; 6] = [
    keys::OFFSET_COMMIT,
    keys::JOIN_GROUP,
    keys::HEARTBEAT,
    keys::LEAVE_GROUP,
    keys::SYNC_GROUP,
    keys::TXN_OFFSET_COMMIT,
];

/// The same of groups whose members learn all by heartbeats (KIP-848, KIP-932, KIP-1071).
const HEARTBEATS: [i16; 3] =
    [keys::CONSUMER_GROUP_HEARTBEAT, keys::SHARE_GROUP_HEARTBEAT, keys::STREAMS_GROUP_HEARTBEAT];

fn rebalance(exchange: &Exchange) -> Value<'_> {
    let Some(key) = request(exchange).and_then(|request| Some(request.header.as_ref()?.key)) else {
        return Value::Unknown;
    };
    let heartbeat = HEARTBEATS.contains(&key);
    if !heartbeat && !OF_MEMBERS.contains(&key) {
        return Value::Absent;
    }
    match error(exchange) {
        Ok(0) if key == keys::JOIN_GROUP => Value::Bool(true),
        Ok(0) if heartbeat => {
            let [asked, answered] = [request(exchange).map(|it| &it.facts), response(exchange).map(|it| &it.facts)];
            let epoch = |facts: Option<&Facts>| facts.and_then(|facts| facts.generation);
            epoch(asked).zip(epoch(answered)).map_or(Value::Unknown, |(before, after)| Value::Bool(before != after))
        }
        Ok(code) => Value::Bool(code == keys::REBALANCE_IN_PROGRESS),
        Err(_) => Value::Unknown,
    }
}

fn records(exchange: &Exchange) -> Option<super::facts::Records> {
    facts(exchange).find_map(|facts| facts.records)
}

/// The answer's error code; else what the field is.
fn error(exchange: &Exchange) -> Result<i16, Value<'static>> {
    let Some(response) = response(exchange) else {
        return Err(if answered(exchange) { Value::Absent } else { Value::Unknown });
    };
    match response.facts.error {
        // In what was not read there may be one.
        Some(0) | None if !response.facts.whole => Err(Value::Unknown),
        None => Err(Value::Absent),
        Some(code) => Ok(code),
    }
}

fn lag(exchange: &Exchange) -> Value<'_> {
    let (Some(request), Some(response)) = (request(exchange), response(exchange)) else { return none(exchange) };
    let (asked, answered) = (&request.facts, &response.facts);
    // Another partition may have more.
    if [asked, answered].iter().any(|facts| !facts.whole || facts.partitions.len() >= PARTITIONS) {
        return Value::Unknown;
    }
    let mut most = None;
    for end in &answered.partitions {
        let Some(last) = end.end else { continue };
        let topic = answered.topics.get(usize::from(end.topic));
        let begin = asked
            .partitions
            .iter()
            .find(|begin| begin.number == end.number && asked.topics.get(usize::from(begin.topic)) == topic);
        // Who fetches on in a session does not say again from where.
        let Some(begin) = begin.and_then(|begin| begin.offset) else { return Value::Unknown };
        most = most.max(last.checked_sub(begin).filter(|lag| *lag >= 0));
    }
    most.map_or_else(|| none(exchange), Value::Int)
}

/// Topics in a summary, and partitions of each; more are counted, or just not shown.
const SHOWN: usize = 5;
const SHOWN_PARTITIONS: usize = 8;

fn summary(request: &KafkaRequest) -> String {
    let Some(header) = &request.header else { return "SASL token".to_owned() };
    let facts = &request.facts;
    let mut line = format!("{} v{}", header.name().unwrap_or("unknown API"), header.version);
    for (at, topic) in facts.topics.iter().enumerate().take(SHOWN) {
        line.push(' ');
        match topic {
            Topic::Name(name) => line.push_str(name),
            Topic::Id(id) => URL_SAFE_NO_PAD.encode_string(id, &mut line),
        }
        let partitions = facts.partitions.iter().filter(|partition| usize::from(partition.topic) == at);
        let mut partitions: Vec<String> =
            partitions.map(|partition| partition.number.to_string()).take(SHOWN_PARTITIONS + 1).collect();
        if let Some(more) = partitions.get_mut(SHOWN_PARTITIONS) {
            "…".clone_into(more);
        }
        if !partitions.is_empty() {
            // Writing to a string does not fail.
            let _ = write!(line, "[{}]", partitions.join(","));
        }
    }
    if facts.topics.len() > SHOWN {
        let _ = write!(line, " and {} more topics", facts.topics.len() - SHOWN);
    }
    match facts.records.map(|records| records.count) {
        Some(Some(records)) => {
            let _ = write!(line, " records={records}");
        }
        Some(None) => line.push_str(" records=?"),
        None => {}
    }
    if let Some(acks) = facts.acks {
        let _ = write!(line, " acks={acks}");
    }
    for (name, value) in [("group", &facts.group), ("member", &facts.member), ("transactional_id", &facts.transaction)]
    {
        if let Some(value) = value {
            let _ = write!(line, " {name}={value}");
        }
    }
    if !facts.whole {
        line.push_str(" …");
    }
    line
}
