//! `list_api_calls`: the calls that match a filter, newest first, as many as one answer holds.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Definition, schema, stats};
use crate::{
    mcp::{
        answer::{Answer, BUDGET, shorten, size},
        arguments, question, text,
    },
    query::{self, Cursor, Found, Page, Question, Stats},
    record::json::{Detail, write, write_compact},
    store::Snapshot,
    web::App,
};

pub(super) static TOOL: Definition = Definition {
    name: "list_api_calls",
    title: "List API calls",
    description: "Lists calls (a request and its answer) that were captured on this node, newest first. Use it to see \
        what happened: which requests failed, were slow, or went to a service. \
        kfl filters, in CEL; examples: http && status_code >= 400; method == \"POST\" && path.startsWith(\"/orders\"); \
        elapsed_time > 500000 (microseconds); dst.port == 8080; \"authorization\" in request.headers; \
        timestamp > now() - duration(\"5m\"). Fields: protocol, method, path, url, status_code, elapsed_time, src.ip, \
        src.port, dst.ip, dst.port, dst.name, dst.pod.namespace, request.headers, response.headers, \
        request_body_size, response_body_size; join with && || !. \
        Returns compact calls with their id; format full adds headers, raw also bodies. get_api_call shows one call \
        whole. When next_cursor is set there is more: call again with the same arguments and that cursor. \
        group_by gives counts and latencies by field instead, like get_api_stats.",
    input: || {
        schema::input(
            json!({
                "kfl": schema::text("Filter, e.g. http && status_code >= 500. All calls when absent"),
                "limit": schema::number("Most calls to return, 1 to 1000 (default 100); fewer come when the answer would exceed 24 KiB"),
                "format": json!({"type": "string", "enum": ["compact", "full", "raw"],
                    "description": "compact (default); full: records with headers; raw: also with bodies"}),
                "group_by": schema::text("Fields with commas between them, e.g. dst.name,status_code: groups instead of calls"),
                "start": schema::number("Milliseconds since 1970, inclusive"),
                "end": schema::number("Milliseconds since 1970, exclusive"),
                "cursor": schema::text("next_cursor of the answer before, with the same other arguments"),
            }),
            &[],
        )
    },
    output: || {
        schema::output(
            json!({
                "calls": {"type": "array", "items": schema::call()},
                "total": {"type": ["integer", "null"], "description": "Calls that match, when counted"},
                "truncated": {"type": "boolean", "description": "There is more than this answer holds"},
                "next_cursor": {"type": ["string", "null"]},
                "groups": {"type": "array", "items": schema::group(), "description": "Only with group_by"}
            }),
            &["calls", "total", "truncated", "next_cursor"],
        )
    },
    run,
};

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1000;
/// Bounds of texts and lists for a single record that does not fit by itself, tried one after the other.
const CUTS: [(usize, usize); 5] = [(4096, 200), (2048, 100), (1024, 64), (256, 32), (96, 16)];
/// Kept free for what is only known at the end: the cursor, the notes about cuts and the count.
const TAIL: usize = 768;
const UNCOUNTED: &str = "the time was over before all calls that match were counted: total is not known";

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// One line each
    #[default]
    Compact,
    /// The record with headers, without bodies
    Full,
    /// The record with headers and bodies
    Raw,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    kfl: Option<String>,
    #[serde(default, deserialize_with = "arguments::number")]
    limit: Option<u64>,
    #[serde(default)]
    format: Option<Format>,
    #[serde(default, deserialize_with = "arguments::names")]
    group_by: Vec<String>,
    #[serde(default, deserialize_with = "arguments::number")]
    start: Option<u64>,
    #[serde(default, deserialize_with = "arguments::number")]
    end: Option<u64>,
    cursor: Option<String>,
}

fn run(app: &App, arguments: JsonObject) -> Result<Answer, String> {
    let Arguments { kfl, limit, format, group_by, start, end, cursor } = arguments::parse(arguments)?;
    let question = question::between(&app.node, kfl.as_deref(), None, start, end)?;
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if limit == 0 {
        return Err(format!("limit must be 1 to {LIMIT_MAX}; get_api_stats counts without listing"));
    }
    let mut notes = Vec::new();
    if limit > LIMIT_MAX {
        notes.push(format!("limit {limit} was cut to {LIMIT_MAX}: go on with next_cursor"));
    }
    let limit = limit.min(LIMIT_MAX) as usize;
    let snapshot = app.store.snapshot();
    if !group_by.is_empty() {
        return grouped(&snapshot, &question, &group_by, limit, notes);
    }
    let cursor: Option<Cursor> = match cursor.as_deref().map(str::trim).filter(|cursor| !cursor.is_empty()) {
        Some(cursor) => Some(cursor.parse().map_err(|error: query::CursorError| error.to_string())?),
        None => None,
    };
    list(&snapshot, &question, limit, cursor.as_ref(), format.unwrap_or_default(), notes)
}

fn grouped(
    snapshot: &Snapshot,
    question: &Question,
    group_by: &[String],
    limit: usize,
    notes: Vec<String>,
) -> Result<Answer, String> {
    let mut stats = query::stats(snapshot, question, group_by, limit.min(200))
        .map_err(|error| format!("wrong group_by: {error}"))?;
    stats.notes.extend(notes);
    let total = counted(&stats);
    let late = stats.late;
    let mut answer = stats::answer(stats, group_by);
    // Groups are also left out when the answer would be too large.
    let others = answer.structured["other_groups"] != json!(0);
    answer.structured["calls"] = json!([]);
    answer.structured["total"] = json!(total);
    answer.structured["truncated"] = json!(late || others);
    answer.structured["next_cursor"] = Value::Null;
    Ok(answer)
}

fn list(
    snapshot: &Snapshot,
    question: &Question,
    limit: usize,
    cursor: Option<&Cursor>,
    format: Format,
    notes: Vec<String>,
) -> Result<Answer, String> {
    let mut page = query::calls(snapshot, question, limit, cursor).map_err(|error| error.to_string())?;
    page.notes.extend(notes);
    let mut shown = Vec::new();
    // What the answer costs without calls; each call then adds its two forms and what separates them.
    let mut bytes = compose(&page, &[], None, None).size() + TAIL;
    for found in &page.found {
        let mut call = Shown::of(found, format);
        if shown.is_empty() {
            call.fit(BUDGET.saturating_sub(bytes), &mut page.notes);
        }
        bytes += call.size();
        if bytes > BUDGET {
            break;
        }
        shown.push(call);
    }
    if shown.len() < page.found.len() && !shown.is_empty() {
        // Asked again for just as many, so that the cursor is where this answer ends.
        let again = query::calls(snapshot, question, shown.len(), cursor).map_err(|error| error.to_string())?;
        page.next = again.next;
    }
    let total = match (&page.next, cursor) {
        (None, None) => Some(shown.len() as u64),
        // Counting costs a second scan, so it is done once, for the first page.
        (Some(_), None) => query::stats(snapshot, question, &[], 1).ok().as_ref().and_then(counted),
        (_, Some(_)) => None,
    };
    if total.is_none() && cursor.is_none() {
        page.notes.push(UNCOUNTED.to_owned());
    }
    let next = page.next.as_ref().map(ToString::to_string);
    Ok(compose(&page, &shown, next, total))
}

/// How many calls match; `None` when the time was over before all were looked at.
fn counted(stats: &Stats) -> Option<u64> {
    (!stats.late).then_some(stats.total.count)
}

/// One call in both forms.
struct Shown {
    line: String,
    value: Value,
}

impl Shown {
    fn of(found: &Found, format: Format) -> Self {
        let json = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            serde_json::from_slice(&out).unwrap_or(Value::Null)
        };
        let record = found.record();
        match format {
            Format::Compact => {
                let value = json(&|out| write_compact(record, out));
                Self { line: text::call(&value), value }
            }
            Format::Full => Self::whole(json(&|out| write(record, Detail::WithoutBodies, out))),
            Format::Raw => Self::whole(json(&|out| write(record, Detail::Full, out))),
        }
    }

    fn whole(value: Value) -> Self {
        Self { line: text::outline(&value), value }
    }

    fn size(&self) -> usize {
        // A comma between values, an escaped line feed between lines.
        size(&self.line) + size(&self.value) + 1
    }

    /// Cuts a call that is larger than a whole answer, so that a page always holds one.
    fn fit(&mut self, room: usize, notes: &mut Vec<String>) {
        let compact = self.value.get("ts").is_some();
        for (text_max, items_max) in CUTS {
            if self.size() <= room {
                return;
            }
            shorten(&mut self.value, text_max, items_max);
            self.line = if compact { text::call(&self.value) } else { text::outline(&self.value) };
            if notes.last().is_none_or(|note| !note.starts_with("long texts")) {
                notes.push("long texts of the first call were cut; get_api_call shows it whole, in parts".to_owned());
            }
        }
    }
}

fn compose(page: &Page, shown: &[Shown], next: Option<String>, total: Option<u64>) -> Answer {
    let Page { found: _, next: _, coverage, notes } = page;
    let mut lines = vec![match total {
        Some(total) if total > shown.len() as u64 => format!("{} of {total} calls, newest first (UTC):", shown.len()),
        _ if shown.is_empty() => "no calls match".to_owned(),
        _ => format!("{} calls, newest first (UTC):", shown.len()),
    }];
    lines.extend(shown.iter().map(|call| call.line.clone()));
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    if let Some(next) = &next {
        lines.push(format!("there is more: call list_api_calls again with the same arguments and cursor \"{next}\""));
    }
    lines.push(text::coverage(&coverage.to_json()));
    let structured = json!({
        "calls": shown.iter().map(|call| call.value.clone()).collect::<Vec<_>>(),
        "total": total,
        "truncated": next.is_some(),
        "next_cursor": next,
        "coverage": coverage.to_json(),
        "notes": notes,
    });
    Answer { text: lines.join("\n"), structured }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::store::{
        Store,
        tests::{publish, record},
    };

    /// More calls than are looked at between two looks at the clock.
    const CALLS: u32 = 3000;

    fn store() -> Store {
        let store = Store::new(64 << 20);
        let status = |number: u32| Some(200 + u16::try_from(number % 3).expect("small"));
        publish(&store, 10, (0..CALLS).map(|number| record(number, 10, status(number))).collect());
        store
    }

    #[test]
    fn a_count_that_was_stopped_is_no_total() {
        let snapshot = store().snapshot();
        let late = Question { deadline: Some(Instant::now()), ..Question::default() };
        let by = ["status_code".to_owned()];
        for (question, total) in [(Question::default(), json!(CALLS)), (late, Value::Null)] {
            let list = list(&snapshot, &question, 5, None, Format::Compact, Vec::new()).expect("a list");
            assert_eq!(list.structured["calls"].as_array().map(Vec::len), Some(5));
            assert_eq!(list.structured["total"], total);
            assert_eq!(list.text.contains(UNCOUNTED), total.is_null(), "{}", list.text);
            let grouped = grouped(&snapshot, &question, &by, 5, Vec::new()).expect("groups");
            assert_eq!(grouped.structured["total"], total);
            assert_eq!(grouped.structured["truncated"], json!(total.is_null()));
        }
    }

    #[test]
    fn groups_that_are_not_shown_are_said_to_be_missing() {
        let by = ["status_code".to_owned()];
        for (limit, truncated) in [(2, true), (3, false)] {
            let answer = grouped(&store().snapshot(), &Question::default(), &by, limit, Vec::new()).expect("groups");
            assert_eq!(answer.structured["truncated"], json!(truncated), "{limit}");
        }
    }
}
