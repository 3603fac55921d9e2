//! From arguments to the question that `query` answers: filter, namespace, time range, fields, ids. Every mistake is
//! one line that says what to do instead.

use std::time::{Duration, Instant};

use crate::{
    query::{self, Found, Question, filter::Filter},
    record::{Record, RecordId},
    store::Snapshot,
    time::Time,
};

/// A scan stops here and answers with what it has: before `web::queries::TIMEOUT` turns it into an error.
const DEADLINE: Duration = Duration::from_secs(8);
/// Times before this year are seconds, or days, taken for milliseconds.
const MILLIS_MIN: u64 = 100_000_000_000;
/// Times after the year 5000 are micro- or nanoseconds.
const MILLIS_MAX: u64 = 100_000_000_000_000;

/// Every call that is held at this node.
pub fn all(node: &str) -> Question {
    Question { nodes: vec![node.to_owned()], deadline: Some(Instant::now() + DEADLINE), ..Question::default() }
}

/// Calls that match `kfl`, since `since` before now.
pub fn recent(node: &str, kfl: Option<&str>, since: Option<Duration>) -> Result<Question, String> {
    let from = since.map(|since| Time::now().saturating_sub(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)));
    Ok(Question { filter: filter(kfl, None)?, from, ..all(node) })
}

/// Calls that match `kfl` and touch the namespace, from `start` on and before `end`, in milliseconds since 1970.
pub fn between(
    node: &str,
    kfl: Option<&str>,
    ns: Option<&str>,
    start: Option<u64>,
    end: Option<u64>,
) -> Result<Question, String> {
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        return Err(format!("start ({start}) must be before end ({end})"));
    }
    Ok(Question { filter: filter(kfl, ns)?, from: time("start", start)?, to: time("end", end)?, ..all(node) })
}

fn time(name: &str, millis: Option<u64>) -> Result<Option<Time>, String> {
    match millis {
        Some(millis) if !(MILLIS_MIN..MILLIS_MAX).contains(&millis) => Err(format!(
            "{name} is in milliseconds since 1970; now is {}, and {millis} is too {}",
            Time::now().millis(),
            if millis < MILLIS_MIN { "small: seconds?" } else { "large: microseconds?" }
        )),
        Some(millis) => Ok(Some(Time::from_millis(millis))),
        None => Ok(None),
    }
}

fn filter(kfl: Option<&str>, ns: Option<&str>) -> Result<Option<Filter>, String> {
    let kfl = kfl.filter(|kfl| !kfl.trim().is_empty());
    let parse = |text: &str| Filter::parse(text).map_err(|error| format!("invalid kfl: {error}"));
    let own = kfl.map(parse).transpose()?;
    let Some(ns) = ns.map(str::trim).filter(|ns| !ns.is_empty()) else { return Ok(own) };
    // Label names of RFC 1123: also what keeps the name inside its quotes.
    if ns.len() > 63 || !ns.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(format!("ns must be a namespace's name, and {ns:?} can't be one"));
    }
    let within = format!("{ns:?} in namespaces");
    // `kfl` parsed alone above, so that it cannot close the parenthesis; the line feed ends a comment in it.
    parse(&kfl.map_or_else(|| within.clone(), |kfl| format!("({kfl}\n) && {within}"))).map(Some)
}

/// Whether one record answers the question.
pub fn matches(question: &Question, record: &Record) -> bool {
    let Question { filter, from, to, nodes: _, deadline: _ } = question;
    from.is_none_or(|from| record.timestamp >= from)
        && to.is_none_or(|to| record.timestamp < to)
        && filter.as_ref().is_none_or(|filter| filter.matches(record, Time::now()))
}

/// The last revision of a call.
pub fn find(snapshot: &Snapshot, id: &str) -> Result<Found, String> {
    let id = id.trim();
    let shown: String = id.chars().take(64).collect();
    let parsed: RecordId = id.parse().map_err(|error: crate::record::BadId| error.to_string())?;
    query::call(snapshot, parsed).ok_or_else(|| {
        format!(
            "no call with id {shown:?}: it was evicted, or belongs to an earlier run of the agent; \
             list_api_calls or `tapwire calls` shows the ids that are there"
        )
    })
}

/// Names with commas between them.
pub fn fields(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
