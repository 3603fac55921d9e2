//! What every answer says beside its rows: how much of the traffic it covers, and, when it is empty, why.

use super::{Question, filter::Failure};
use crate::{
    coverage::{ByReason, Counters, Coverage, Reason},
    store::Snapshot,
    time::Time,
};

/// Of the question's time range: what was counted in the segments that overlap it, and the records that began in it.
pub fn coverage(snapshot: &Snapshot, question: &Question) -> Coverage {
    within(snapshot, question, question.from, question.to)
}

/// The same for a range that a cursor gave.
pub(super) fn within(snapshot: &Snapshot, question: &Question, from: Option<Time>, to: Option<Time>) -> Coverage {
    let mut counters = Counters::default();
    for segment in snapshot.segments.iter().filter(|segment| segment.overlaps(from, to)) {
        counters.merge(&segment.counters);
    }
    counters.records = snapshot.count(from, to);
    let evicted_before = snapshot.evicted.before;
    // What is held of what was asked for.
    let span = snapshot.span.and_then(|(first, last)| {
        let first = first.max(evicted_before.unwrap_or_default()).max(from.unwrap_or_default());
        let last = to.map_or(last, |to| last.min(to));
        (first <= last).then_some((first, last))
    });
    Coverage {
        nodes: question.nodes.clone(),
        from: span.map(|(first, _)| first),
        to: span.map(|(_, last)| last),
        counters,
        evicted_before,
        evicted_in_range: evicted_before.is_some_and(|before| from.is_none_or(|from| from < before)),
        unreadable_files: false,
    }
}

/// Rows for which the filter had no answer, by why.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Failures([u64; Failure::ALL.len()]);

impl Failures {
    /// Counts a failure as "no".
    pub(super) fn settle(&mut self, outcome: Result<bool, Failure>) -> bool {
        outcome.unwrap_or_else(|failure| {
            self.0[failure as usize] += 1;
            false
        })
    }

    fn notes(self) -> impl Iterator<Item = String> {
        let counted = Failure::ALL.into_iter().zip(self.0).filter(|&(_, count)| count > 0);
        counted.map(|(failure, count)| {
            format!(
                "the filter could not be evaluated on {}: {}; they count as not matching",
                records(count),
                failure.name()
            )
        })
    }
}

/// How far a question came.
pub(super) struct Outcome {
    pub failures: Failures,
    pub examined: u64,
    /// It stopped at its deadline.
    pub late: bool,
    /// Something matched, here or on an earlier page.
    pub matched: bool,
}

/// What the asker should know, the most important first.
pub(super) fn notes(snapshot: &Snapshot, question: &Question, coverage: &Coverage, outcome: &Outcome) -> Vec<String> {
    let mut notes = Vec::new();
    if outcome.late {
        notes.push(format!(
            "stopped at the time limit after {}: go on with the cursor, or ask for a shorter time range",
            records(outcome.examined)
        ));
    }
    if !outcome.matched && !outcome.late {
        why_empty(&mut notes, snapshot, question, coverage);
    }
    if let Some(filter) = &question.filter {
        notes.extend(filter.notes().iter().cloned());
    }
    notes.extend(outcome.failures.notes());
    notes
}

fn why_empty(notes: &mut Vec<String>, snapshot: &Snapshot, question: &Question, coverage: &Coverage) {
    let counters = &coverage.counters;
    let Some((first, last)) = snapshot.span else {
        notes.push("nothing has been captured yet".to_owned());
        return;
    };
    match (counters.records, &question.filter) {
        (0, _) if coverage.from.is_none() => {
            notes.push(format!("nothing is held of this time range: the capture covers {first} to {last}"));
        }
        (0, _) if counters.packets == 0 => notes.push("no traffic was captured in this time range".to_owned()),
        (0, _) => notes.push(format!(
            "{} packets with {} bytes were captured in this time range, but no call that could be read",
            counters.packets, counters.bytes
        )),
        (held, Some(_)) => notes.push(format!("{} in this time range, but the filter matches none", are(held))),
        // Without a filter every record matches: a limit of nothing was asked for.
        (_, None) => {}
    }
    if let (true, Some(before)) = (coverage.evicted_in_range, coverage.evicted_before) {
        notes.push(format!("records before {before} were evicted to stay within the memory limit"));
    }
    let undecoded = Reason::ALL.into_iter().map(|reason| (reason, counters.undecoded.get(reason)));
    notes.extend(
        undecoded.filter(|&(_, bytes)| bytes > 0).map(|(reason, bytes)| format!("{bytes} bytes {}", unread(reason))),
    );
    if counters.lost.total() > 0 {
        notes.push(format!("{} bytes were lost: {}", counters.lost.total(), names(&counters.lost)));
    }
    if counters.lost_unnoted > 0 {
        notes.push(format!("{} packets were lost, of connections that are not known", counters.lost_unnoted));
    }
}

/// Why captured bytes show in no record.
fn unread(reason: Reason) -> &'static str {
    match reason {
        Reason::Encrypted => "were encrypted and not read",
        Reason::UnknownProtocol => "were of protocols that this build doesn't read",
        Reason::MidStream => "were of connections older than the capture, before a message's begin was seen",
        Reason::Upgraded => "came after a connection changed its protocol",
        Reason::Malformed => "followed a malformed message",
        Reason::InputLimit => "were of messages too large to hold undecided",
        Reason::RingFull
        | Reason::Budget
        | Reason::BodyRate
        | Reason::ReassemblyLimit
        | Reason::Snaplen
        | Reason::NotCaptured
        | Reason::FlowLimit => "could not be read, since others beside them are missing",
    }
}

fn names(counts: &ByReason) -> String {
    counts.iter().map(|(reason, _)| reason.name()).collect::<Vec<_>>().join(", ")
}

fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

fn are(count: u64) -> String {
    if count == 1 { "there is 1 record".to_owned() } else { format!("there are {count} records") }
}
