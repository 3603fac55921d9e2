//! Rows of a snapshot from the newest down: a merge over the segments, each in its own order of time. Segments that
//! began too early to matter yet are not opened, so the first page of a large store touches few of them.

use std::{collections::BinaryHeap, sync::Arc};

use crate::{
    record::Record,
    store::{Key, Segment, Snapshot},
    time::Time,
};

/// Rows by (timestamp, id) downwards, without the superseded ones.
pub(super) struct Walk<'a> {
    snapshot: &'a Snapshot,
    until: u64,
    /// Rows in range of each segment that is not opened yet; the newest last.
    closed: Vec<Head<'a>>,
    open: BinaryHeap<Head<'a>>,
}

/// The newest remaining row of a segment.
#[derive(Clone, Copy)]
struct Head<'a> {
    key: Key,
    row: u32,
    segment: &'a Arc<Segment>,
    rest: &'a [u32],
}

/// A row that was reached.
#[derive(Clone, Copy)]
pub(super) struct Reached<'a> {
    pub key: Key,
    pub segment: &'a Arc<Segment>,
    pub row: u32,
}

impl<'a> Reached<'a> {
    pub(super) fn record(&self) -> &'a Record {
        &self.segment.records[self.row as usize]
    }
}

impl<'a> Walk<'a> {
    /// Records between `from` and `to`, below `after` where that is given, published before row `until`.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        from: Option<Time>,
        to: Option<Time>,
        after: Option<Key>,
        until: u64,
    ) -> Self {
        let published = snapshot.segments.iter().take_while(|segment| segment.first < until);
        let mut closed: Vec<Head<'a>> = published
            .filter_map(|segment| {
                let rows = segment.rows_between(from, to);
                let below = after.map_or(rows.len(), |after| rows.partition_point(|&row| segment.key(row) < after));
                Head::new(segment, rows.get(..below)?)
            })
            .collect();
        closed.sort_unstable();
        Self { snapshot, until, closed, open: BinaryHeap::new() }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Reached<'a>;

    fn next(&mut self) -> Option<Reached<'a>> {
        loop {
            while let Some(head) = self.closed.pop_if(|head| self.open.peek().is_none_or(|top| *head >= *top)) {
                self.open.push(head);
            }
            let Head { key, row, segment, rest } = self.open.pop()?;
            self.open.extend(Head::new(segment, rest));
            let number = segment.first + u64::from(row);
            if number < self.until && !self.snapshot.is_stale(number, self.until) {
                return Some(Reached { key, segment, row });
            }
        }
    }
}

impl<'a> Head<'a> {
    fn new(segment: &'a Arc<Segment>, rows: &'a [u32]) -> Option<Self> {
        let (&row, rest) = rows.split_last()?;
        Some(Self { key: segment.key(row), row, segment, rest })
    }

    /// By key, then by the order of publishing.
    fn order(&self) -> (Key, u64) {
        (self.key, self.segment.first + u64::from(self.row))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Head<'_> {}
