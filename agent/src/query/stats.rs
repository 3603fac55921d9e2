//! Summaries: count, rate, share of errors and percentiles of `elapsed_time`, by the values of fields.

use std::{collections::HashMap, time::Instant};

use super::{
    Group, Question, Stats,
    answer::{self, Failures, Outcome},
    calls::ROWS_A_LOOK,
    filter::{CatalogueField, Expression, FilterError, fields},
    percentile::Durations,
    walk::Walk,
};
use crate::{
    dissect::{Exchange, Message, Value},
    record::Record,
    store::Snapshot,
    time::Time,
};

/// Fields to group by at once: more make groups of one call each.
const MAX_FIELDS: usize = 4;

/// Groups that are kept apart: an answer shows far fewer, and each costs some 300 bytes.
const MAX_GROUPS: usize = 10_000;

/// Bytes of their keys in all: a path can be long.
const MAX_KEYS: usize = 4 << 20;

/// Groups that one record is counted in: the combinations of its lists' values.
const MAX_VALUES: usize = 64;

/// Durations that are kept one by one, in all groups together (8 MiB); beyond, percentiles are within 1 %.
const EXACT_DURATIONS: usize = 1 << 20;

/// A summary, grouped by fields of the catalogue or other expressions; the largest groups first, at most `limit`.
pub fn stats(
    snapshot: &Snapshot,
    question: &Question,
    group_by: &[String],
    limit: usize,
) -> Result<Stats, FilterError> {
    if group_by.len() > MAX_FIELDS {
        return Err(FilterError::whole(format!("group by at most {MAX_FIELDS} fields at once")));
    }
    let fields = group_by.iter().map(|field| Expression::parse(field)).collect::<Result<Vec<_>, _>>()?;
    let (deadline, now) = (question.deadline(), Time::now());
    let mut outcome = Outcome { failures: Failures::default(), examined: 0, late: false, matched: false };
    let mut summary = Summary::default();
    let readings = Readings::new();
    for reached in Walk::new(snapshot, question.from, question.to, None, snapshot.end) {
        if outcome.examined % ROWS_A_LOOK == ROWS_A_LOOK - 1 && Instant::now() >= deadline {
            outcome.late = true;
            break;
        }
        outcome.examined += 1;
        let record = reached.record();
        let filter = question.filter.as_ref();
        if filter.is_none_or(|filter| outcome.failures.settle(filter.evaluate(record, now))) {
            let mut cut = false;
            summary.add(readings.call(record), || keys(record, &fields, now, &mut cut));
            summary.cut |= cut;
        }
    }
    outcome.matched = summary.total.count > 0;
    let coverage = answer::coverage(snapshot, question);
    let mut notes = answer::notes(snapshot, question, &coverage, &outcome);
    for field in &fields {
        notes.extend(field.notes().iter().filter(|note| !notes.contains(note)).cloned().collect::<Vec<_>>());
    }
    let seconds = coverage.from.zip(coverage.to).map_or(0.0, |(from, to)| (to.0 - from.0) as f64 / 1e9);
    let stats = summary.finish(limit, seconds, coverage, notes);
    Ok(Stats { late: outcome.late, ..stats })
}

#[derive(Default)]
struct Summary {
    groups: HashMap<Vec<Option<String>>, Tally>,
    key_bytes: usize,
    /// What came after the groups were full.
    late: Tally,
    total: Tally,
    durations: usize,
    rounded: bool,
    /// Some records stood in several groups.
    overlap: bool,
    /// Some stood in more than are counted.
    cut: bool,
}

/// A group while it is counted.
#[derive(Clone, Debug, Default)]
struct Tally {
    count: u64,
    errors: u64,
    unknown: u64,
    request_bytes: u64,
    response_bytes: u64,
    durations: Durations,
}

/// What a call adds to a group.
#[derive(Clone, Copy)]
struct Call {
    /// `None`: not known.
    error: Option<bool>,
    elapsed: Option<u64>,
    request_bytes: u64,
    response_bytes: u64,
}

impl Summary {
    /// `keys` are those of the groups that the call belongs to; none without fields to group by.
    fn add(&mut self, call: Call, keys: impl FnOnce() -> Vec<Vec<Option<String>>>) {
        self.total.add(call, self.rounded);
        self.durations += usize::from(call.elapsed.is_some());
        let keys = keys();
        self.overlap |= keys.len() > 1;
        for key in keys {
            self.durations += usize::from(call.elapsed.is_some());
            let rounded = self.rounded;
            self.group(key).add(call, rounded);
        }
        if self.durations > EXACT_DURATIONS && !self.rounded {
            self.rounded = true;
            let all = self.groups.values_mut().chain([&mut self.late, &mut self.total]);
            all.for_each(|tally| tally.durations.round());
        }
    }

    fn group(&mut self, key: Vec<Option<String>>) -> &mut Tally {
        let bytes = key.iter().flatten().map(String::len).sum::<usize>();
        let full = self.groups.len() >= MAX_GROUPS || self.key_bytes + bytes > MAX_KEYS;
        if full && !self.groups.contains_key(&key) {
            return &mut self.late;
        }
        self.groups.entry(key).or_insert_with(|| {
            self.key_bytes += bytes;
            Tally::default()
        })
    }

    fn finish(self, limit: usize, seconds: f64, coverage: crate::coverage::Coverage, mut notes: Vec<String>) -> Stats {
        let Self { groups, key_bytes: _, late, total, durations: _, rounded, overlap, cut } = self;
        if overlap {
            notes
                .push("a record counts in each group that it belongs to: the groups' sums exceed the total".to_owned());
        }
        if cut {
            notes.push(format!("a record that belongs to more than {MAX_VALUES} groups counts in that many of them"));
        }
        if rounded {
            notes.push(format!("more than {EXACT_DURATIONS} durations: percentiles are up to 1 % too small"));
        }
        if late.count > 0 {
            notes.push(format!(
                "more than {} groups: those met later are summed up in the others and not counted as groups",
                groups.len()
            ));
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by(|(left, a), (right, b)| b.count.cmp(&a.count).then_with(|| left.cmp(right)));
        let rest = groups.split_off(limit.min(groups.len()));
        let other_groups = rest.len() as u64;
        let mut others = late;
        for (_, tally) in rest {
            others.merge(tally);
        }
        Stats {
            groups: groups.into_iter().map(|(key, tally)| tally.finish(key, seconds)).collect(),
            other_groups,
            others: (others.count > 0).then(|| others.finish(Vec::new(), seconds)),
            total: total.finish(Vec::new(), seconds),
            late: false,
            coverage,
            notes,
        }
    }
}

/// One key for each combination of values.
fn keys(record: &Record, fields: &[Expression], now: Time, cut: &mut bool) -> Vec<Vec<Option<String>>> {
    if fields.is_empty() {
        return Vec::new();
    }
    let mut keys = vec![Vec::with_capacity(fields.len())];
    for field in fields {
        let values = field.values(record, now);
        let longer = |key: Vec<Option<String>>| {
            values.iter().map(move |value| [key.as_slice(), std::slice::from_ref(value)].concat())
        };
        *cut |= keys.len() * values.len() > MAX_VALUES;
        keys = keys.into_iter().flat_map(longer).take(MAX_VALUES).collect();
    }
    keys
}

impl Tally {
    fn add(&mut self, call: Call, rounded: bool) {
        if rounded {
            self.durations.round();
        }
        self.count += 1;
        match call.error {
            Some(error) => self.errors += u64::from(error),
            None => self.unknown += 1,
        }
        if let Some(elapsed) = call.elapsed {
            self.durations.add(elapsed);
        }
        self.request_bytes += call.request_bytes;
        self.response_bytes += call.response_bytes;
    }

    fn merge(&mut self, other: Self) {
        let Self { count, errors, unknown, request_bytes, response_bytes, durations } = other;
        self.count += count;
        self.errors += errors;
        self.unknown += unknown;
        self.request_bytes += request_bytes;
        self.response_bytes += response_bytes;
        self.durations.merge(durations);
    }

    fn finish(mut self, key: Vec<Option<String>>, seconds: f64) -> Group {
        let known = self.count - self.unknown;
        Group {
            key,
            count: self.count,
            rate: self.count as f64 / if seconds > 0.0 { seconds } else { 1.0 },
            errors: self.errors,
            error_share: (known > 0).then(|| self.errors as f64 / known as f64),
            unknown: self.unknown,
            p50: self.durations.percentile(50),
            p90: self.durations.percentile(90),
            p99: self.durations.percentile(99),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
        }
    }
}

/// The fields that a summary reads of each record, looked up once.
struct Readings {
    elapsed: Option<&'static CatalogueField>,
    /// What says that a call failed, the most specific first, and how.
    outcomes: Vec<(&'static CatalogueField, fn(i64) -> bool)>,
}

/// gRPC's status stands in a trailer, whatever HTTP says (0 is OK); HTTP's errors begin at 400 (RFC 9110, section 15); of
/// Kafka's codes 0 is none.
const OUTCOMES: [(&str, fn(i64) -> bool); 3] = [
    ("grpc_status", |status| status != 0),
    ("status_code", |status| status >= 400),
    ("kafka_error_code", |code| code != 0),
];

impl Readings {
    fn new() -> Self {
        let outcome = |(name, failed)| fields::field(name).map(|field| (field, failed));
        Self { elapsed: fields::field("elapsed_time"), outcomes: OUTCOMES.into_iter().filter_map(outcome).collect() }
    }

    fn call(&self, record: &Record) -> Call {
        let elapsed = match self.elapsed.map(|field| field.get(record)) {
            Some(Value::Int(micros)) => u64::try_from(micros).ok(),
            _ => None,
        };
        let error = self.outcomes.iter().find_map(|(field, failed)| match field.get(record) {
            Value::Int(status) => Some(failed(status)),
            _ => None,
        });
        let size = |message: &Option<Message>| message.as_ref().map_or(0, size);
        let Exchange { request, response, .. } = &record.exchange;
        Call { error, elapsed, request_bytes: size(request), response_bytes: size(response) }
    }
}

/// Head and body, as far as known.
fn size(message: &Message) -> u64 {
    u64::from(message.headers_size.unwrap_or_default()) + message.body.size.unwrap_or(message.body.kept.len() as u64)
}
