//! A consistent view of the store: three pointers, taken in less than a microsecond, nothing copied.
//!
//! A snapshot keeps its segments in memory though the store evicts them meanwhile. What bounds that is time: a query
//! holds one snapshot for `query::MAX_QUERY_TIME` at most, so no more than what is published in that time is held
//! beyond the store's limit. An answer keeps the segments of the rows that it shows until it is written.

use std::sync::{Arc, OnceLock};

use super::{Segment, stale::Stale};
use crate::{coverage::Counters, record::Record, time::Time};

/// What the ring no longer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Everything that started at this time or later is still held; earlier records may be gone.
    pub before: Option<Time>,
    /// Sum over the evicted segments.
    pub counters: Counters,
}

/// A consistent view of the store.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Oldest first. Their rows are numbered without a hole.
    pub segments: Arc<Vec<Arc<Segment>>>,
    pub evicted: Arc<Evicted>,
    /// The number that the next row gets.
    pub end: u64,
    /// Tells this store from that of an earlier run.
    pub store: u64,
    /// From the first publication's begin to the last one's end, also those of which nothing is held.
    pub span: Option<(Time, Time)>,
    pub(super) stale: Arc<OnceLock<Stale>>,
}

impl Snapshot {
    /// Whether one of the rows before `until` holds a newer revision of the record in `row`.
    pub fn is_stale(&self, row: u64, until: u64) -> bool {
        self.stale().contains(row, until)
    }

    /// Records that start at `from` or later and before `to`, each counted once.
    pub fn count(&self, from: Option<Time>, to: Option<Time>) -> u64 {
        let rows: usize = self.segments.iter().map(|segment| segment.rows_between(from, to).len()).sum();
        let within = |record: &Record| {
            from.is_none_or(|from| record.timestamp >= from) && to.is_none_or(|to| record.timestamp < to)
        };
        let stale = self.stale().rows().filter_map(|row| self.record(row)).filter(|record| within(record)).count();
        rows.saturating_sub(stale) as u64
    }

    /// The number of the oldest row that is still held.
    pub fn first(&self) -> u64 {
        self.segments.first().map_or(self.end, |segment| segment.first)
    }

    /// The place of a row, unless it was evicted or does not exist yet.
    pub fn locate(&self, row: u64) -> Option<(&Arc<Segment>, usize)> {
        let segment = self.segments.get(self.segment_of(row))?;
        let within = usize::try_from(row.checked_sub(segment.first)?).ok()?;
        Some((segment, within))
    }

    /// Where the segment of a row stands in the list.
    pub(super) fn segment_of(&self, row: u64) -> usize {
        self.segments.partition_point(|segment| segment.end() <= row)
    }

    fn record(&self, row: u64) -> Option<&Record> {
        let (segment, within) = self.locate(row)?;
        segment.records.get(within)
    }

    fn stale(&self) -> &Stale {
        self.stale.get_or_init(|| Stale::find(&self.segments))
    }
}
