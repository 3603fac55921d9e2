//! A page of calls, and one call.

use std::time::Instant;

use super::{
    Cursor, CursorError, Found, Page, Question,
    answer::{self, Failures, Outcome},
    cursor,
    walk::{Reached, Walk},
};
use crate::{
    record::RecordId,
    store::{Key, Snapshot},
    time::Time,
};

/// The clock is looked at once in so many rows: each takes a microsecond or so, and 20 ms with the dearest filter.
pub(super) const ROWS_A_LOOK: u64 = 32;

/// A page of calls, newest first, at most `limit`, from `cursor` on. The next page's cursor is set only when another
/// record matches, or when the deadline came first.
pub fn calls(
    snapshot: &Snapshot,
    question: &Question,
    limit: usize,
    cursor: Option<&Cursor>,
) -> Result<Page, CursorError> {
    if let Some(cursor) = cursor {
        cursor.check(snapshot.store, question)?;
    }
    let start = match cursor {
        Some(cursor) => {
            Start { until: cursor.until, now: cursor.now, from: cursor.from, to: cursor.to, after: Some(cursor.after) }
        }
        None => Start { until: snapshot.end, now: Time::now(), from: question.from, to: question.to, after: None },
    };
    let deadline = question.deadline();
    let mut found: Vec<Found> = Vec::new();
    let mut outcome = Outcome { failures: Failures::default(), examined: 0, late: false, matched: cursor.is_some() };
    // Below this the next page begins.
    let (mut shown, mut looked_at) = (start.after, start.after);
    let mut next = None;
    for reached in Walk::new(snapshot, start.from, start.to, start.after, start.until) {
        if outcome.examined % ROWS_A_LOOK == ROWS_A_LOOK - 1 && Instant::now() >= deadline {
            outcome.late = true;
            // With a full page only the end is unknown: nothing that was looked at since is skipped twice.
            next = looked_at;
            break;
        }
        outcome.examined += 1;
        let matches = question
            .filter
            .as_ref()
            .is_none_or(|filter| outcome.failures.settle(filter.evaluate(reached.record(), start.now)));
        if matches && found.len() >= limit {
            next = shown;
            break;
        }
        looked_at = Some(reached.key);
        if matches {
            shown = looked_at;
            found.push(reached.found());
        }
    }
    outcome.matched |= !found.is_empty();
    let coverage = answer::within(snapshot, question, start.from, start.to);
    let notes = answer::notes(snapshot, question, &coverage, &outcome);
    let next = next.map(|after| start.cursor(snapshot, question, after));
    Ok(Page { found, next, coverage, notes })
}

/// What all pages of one question share, and where this one begins.
struct Start {
    until: u64,
    now: Time,
    from: Option<Time>,
    to: Option<Time>,
    after: Option<Key>,
}

impl Start {
    fn cursor(&self, snapshot: &Snapshot, question: &Question, after: Key) -> Cursor {
        let Self { until, now, from, to, after: _ } = *self;
        Cursor { store: snapshot.store, question: cursor::fingerprint(question), until, now, from, to, after }
    }
}

impl Reached<'_> {
    fn found(&self) -> Found {
        Found { segment: self.segment.clone(), row: self.row as usize }
    }
}

/// The last revision of one call.
pub fn call(snapshot: &Snapshot, id: RecordId) -> Option<Found> {
    let revisions = snapshot.segments.iter().flat_map(|segment| {
        let rows = segment.records.iter().enumerate().filter(move |(_, record)| record.id == id);
        rows.map(move |(row, record)| (record.exchange.revision, segment, row))
    });
    // The last one of equal revisions.
    let (_, segment, row) = revisions.max_by_key(|&(revision, _, _)| revision)?;
    Some(Found { segment: segment.clone(), row })
}
