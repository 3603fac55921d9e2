//! A sealed segment: the rows of one or more publications, never changed, freed as a whole.
//!
//! Rows stand in the order of publishing and are numbered across the store, so a row keeps its number when small
//! segments are merged. Beside them stand their order in time and a summary, by which a query skips the segment. The
//! columns that filters touch will stand beside `records` too, made in `Segment::seal`, when they become Arrow arrays.

use crate::{
    coverage::Counters,
    record::{Record, RecordId},
    time::Time,
};

/// What orders records in an answer: a record's start, then its id.
pub type Key = (Time, RecordId);

/// Two counts in an `Arc`'s allocation.
const ARC_COUNTS: usize = 2 * size_of::<usize>();

/// Records that were published together, with what was counted meanwhile.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Number of the first row: rows are numbered from 0 in the order of publishing, and no number is used twice.
    pub first: u64,
    /// In the order of publishing.
    pub records: Vec<Record>,
    pub counters: Counters,
    /// Of the publishing thread's clock: all counts are of traffic between these.
    pub from: Time,
    pub to: Time,
    /// What it costs in memory.
    pub bytes: usize,
    /// Rows by `Key`, the oldest first.
    by_time: Box<[u32]>,
    /// Rows that are a later revision of a record: few.
    revised: Box<[u32]>,
}

impl Segment {
    /// Takes at most `u32::MAX` records: a publication is cut long before (`Store::publish`).
    pub(super) fn seal(mut records: Vec<Record>, counters: Counters, from: Time, to: Time) -> Self {
        records.shrink_to_fit();
        let rows = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let mut by_time: Box<[u32]> = (0..rows).collect();
        by_time.sort_by_key(|&row| key(&records[row as usize]));
        let revised: Box<[u32]> = (0..rows).filter(|&row| records[row as usize].exchange.revision > 0).collect();
        let bytes = size_of::<Self>()
            + ARC_COUNTS
            + records.iter().map(Record::memory).sum::<usize>()
            + size_of_val(&*by_time)
            + size_of_val(&*revised)
            + counters.malformed.capacity() * size_of::<(&str, &str, u64)>()
            + counters.limits.capacity() * size_of::<(&str, u64)>();
        Self { first: 0, records, counters, from, to, bytes, by_time, revised }
    }

    /// One segment for both; `next` follows `self`.
    pub(super) fn merge(self, next: Self) -> Self {
        let Self { first, mut records, mut counters, from, to, bytes: _, by_time: _, revised: _ } = self;
        counters.merge(&next.counters);
        records.extend(next.records);
        let merged = Self::seal(records, counters, from.min(next.from), to.max(next.to));
        Self { first, ..merged }
    }

    /// The number after the last row's.
    pub fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    pub fn key(&self, row: u32) -> Key {
        key(&self.records[row as usize])
    }

    /// The start of the record that began last.
    pub fn newest(&self) -> Option<Time> {
        self.by_time.last().map(|&row| self.records[row as usize].timestamp)
    }

    /// The start of the record that began first.
    pub fn oldest(&self) -> Option<Time> {
        self.by_time.first().map(|&row| self.records[row as usize].timestamp)
    }

    /// Rows in order of time that start at `from` or later and before `to`.
    pub fn rows_between(&self, from: Option<Time>, to: Option<Time>) -> &[u32] {
        let started_before = |time: Time| self.by_time.partition_point(|&row| self.key(row).0 < time);
        let low = from.map_or(0, started_before);
        let high = to.map_or(self.by_time.len(), started_before);
        self.by_time.get(low..high).unwrap_or_default()
    }

    /// Rows that are a later revision of a record.
    pub(super) fn revised(&self) -> impl Iterator<Item = (u64, &Record)> {
        self.revised.iter().map(|&row| (self.first + u64::from(row), &self.records[row as usize]))
    }

    /// Whether traffic of that span was counted here.
    pub fn overlaps(&self, from: Option<Time>, to: Option<Time>) -> bool {
        from.is_none_or(|from| self.to >= from) && to.is_none_or(|to| self.from < to)
    }
}

fn key(record: &Record) -> Key {
    (record.timestamp, record.id)
}
