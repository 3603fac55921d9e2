//! `get_api_stats`: throughput, error share and latency percentiles.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Definition, schema};
use crate::{
    mcp::{
        answer::{Answer, BUDGET, largest},
        arguments, question, text,
    },
    query::{self, Group, Stats},
    web::App,
};

pub(super) static TOOL: Definition = Definition {
    name: "get_api_stats",
    title: "Summarize API calls",
    description: "Counts the captured calls: how many, per second, share of errors (HTTP status 400 and above, a gRPC \
        status or Kafka error that is not 0), and p50/p90/p99 of their duration in microseconds, in total and for each \
        group. Use it first for 'how much', 'what fails', 'what is slow'; then list_api_calls with a filter for the calls \
        themselves. group_by takes filter fields, such as path, method, status_code, dst.ip, dst.port, kafka_topics, \
        kafka_group_id, dst.pod.namespace or protocol; the largest groups come first, and a call counts under each of its \
        topics. Filter examples: http && status_code >= 500; path.startsWith(\"/api\"); kafka_rebalance, by kafka_group_id.",
    input: || {
        schema::input(
            json!({
                "kfl": schema::text("Filter, e.g. http && method == \"GET\". All calls when absent"),
                "ns": schema::text("Only calls from or to this namespace"),
                "group_by": schema::text("Fields with commas between them, e.g. method,path. Total only when absent"),
                "start": schema::number("Milliseconds since 1970, inclusive"),
                "end": schema::number("Milliseconds since 1970, exclusive"),
                "limit": schema::number("Most groups to return, 1 to 200 (default 50)"),
            }),
            &[],
        )
    },
    output: || {
        schema::output(
            json!({
                "total": schema::group(),
                "groups": {"type": "array", "items": schema::group()},
                "other_groups": {"type": "integer", "description": "Smaller groups that are only in total"}
            }),
            &["total", "groups", "other_groups"],
        )
    },
    run,
};

/// Groups of one answer, when they fit.
const GROUPS_MAX: u64 = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    kfl: Option<String>,
    ns: Option<String>,
    #[serde(default, deserialize_with = "arguments::names")]
    group_by: Vec<String>,
    #[serde(default, deserialize_with = "arguments::number")]
    start: Option<u64>,
    #[serde(default, deserialize_with = "arguments::number")]
    end: Option<u64>,
    #[serde(default, deserialize_with = "arguments::number")]
    limit: Option<u64>,
}

fn run(app: &App, arguments: JsonObject) -> Result<Answer, String> {
    let Arguments { kfl, ns, group_by, start, end, limit } = arguments::parse(arguments)?;
    let question = question::between(&app.node, kfl.as_deref(), ns.as_deref(), start, end)?;
    let limit = limit.unwrap_or(50);
    if limit == 0 || limit > GROUPS_MAX {
        return Err(format!("limit must be 1 to {GROUPS_MAX}; narrow kfl to see other groups"));
    }
    let stats = query::stats(&app.store.snapshot(), &question, &group_by, limit as usize)
        .map_err(|error| format!("wrong group_by: {error}"))?;
    Ok(answer(stats, &group_by))
}

/// A summary within the budget: groups that don't fit are counted as others.
pub(super) fn answer(mut stats: Stats, group_by: &[String]) -> Answer {
    let groups = std::mem::take(&mut stats.groups);
    let others = stats.other_groups;
    let mut with = |count: usize| {
        stats.groups = groups.iter().take(count).cloned().collect();
        stats.other_groups = others + (groups.len() - count) as u64;
        // Their sum would be that of others yet: without it rather than wrong.
        if count < groups.len() {
            stats.others = None;
        }
        let mut lines = vec![format!("in total:\n{}", text::groups(&[], std::slice::from_ref(&stats.total)))];
        if !group_by.is_empty() {
            lines.push(format!("by {}:\n{}", group_by.join(", "), text::groups(group_by, &stats.groups)));
        }
        if stats.other_groups > 0 {
            lines.push(format!(
                "{} smaller groups are not shown: narrow kfl, or group by fewer fields",
                stats.other_groups
            ));
        }
        lines.extend(stats.notes.iter().map(|note| format!("note: {note}")));
        lines.push(text::coverage(&stats.coverage.to_json()));
        Answer { text: lines.join("\n"), structured: to_json(&stats, group_by) }
    };
    let fitting = largest(groups.len(), |count| with(count).size() <= BUDGET);
    with(fitting)
}

/// The structured half, also what `tapwire stats -o json` prints.
pub(crate) fn to_json(stats: &Stats, group_by: &[String]) -> Value {
    // A late one says so in its notes.
    let Stats { groups, other_groups, others, total, late: _, coverage, notes } = stats;
    json!({
        "total": group(total, &[]),
        "groups": groups.iter().map(|one| group(one, group_by)).collect::<Vec<_>>(),
        "other_groups": other_groups,
        "others": others.as_ref().map(|others| group(others, &[])),
        "coverage": coverage.to_json(),
        "notes": notes,
    })
}

fn group(group: &Group, fields: &[String]) -> Value {
    let Group { key, count, rate, errors, error_share, unknown, p50, p90, p99, request_bytes, response_bytes } = group;
    let key: JsonObject = fields.iter().cloned().zip(key.iter().map(|value| json!(value))).collect();
    json!({
        "key": key, "count": count, "rate": rate, "errors": errors, "error_share": error_share,
        "unknown": unknown, "p50": p50, "p90": p90, "p99": p99, "request_bytes": request_bytes, "response_bytes": response_bytes,
    })
}
