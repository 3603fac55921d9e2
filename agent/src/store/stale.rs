//! Which rows are superseded: a row is stale when the store holds a newer revision of the same record.
//!
//! Later revisions are rare (an answer that came late, a stream that goes on), so only they are listed, by segment;
//! what they supersede is looked for once a snapshot, and only when there are any. So nothing must be kept up to date
//! while segments come and go, and a snapshot agrees with itself.

use std::{collections::HashMap, sync::Arc};

use super::Segment;

/// The superseded rows of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Stale {
    /// (superseded row, first row that supersedes it), by the superseded one.
    rows: Vec<(u64, u64)>,
}

impl Stale {
    pub(super) fn find(segments: &[Arc<Segment>]) -> Self {
        let mut revisions: HashMap<_, Vec<(u32, u64)>> = HashMap::new();
        for (row, record) in segments.iter().flat_map(|segment| segment.revised()) {
            revisions.entry(record.id).or_default().push((record.exchange.revision, row));
        }
        if revisions.is_empty() {
            return Self::default();
        }
        let mut rows = Vec::new();
        for segment in segments {
            for (row, record) in (segment.first..).zip(&segment.records) {
                let Some(later) = revisions.get(&record.id) else { continue };
                let mine = (record.exchange.revision, row);
                // The same revision published twice counts as one: the later row stands for it.
                if let Some(by) = later.iter().filter(|&&other| other > mine).map(|&(_, by)| by).min() {
                    rows.push((row, by));
                }
            }
        }
        Self { rows }
    }

    /// Whether `row` is superseded by one of the rows before `until`.
    pub(super) fn contains(&self, row: u64, until: u64) -> bool {
        self.rows.binary_search_by_key(&row, |&(stale, _)| stale).is_ok_and(|at| self.rows[at].1 < until)
    }

    /// All superseded rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = u64> {
        self.rows.iter().map(|&(row, _)| row)
    }
}
