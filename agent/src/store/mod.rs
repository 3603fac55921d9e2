//! The node's memory: a ring of sealed, immutable segments, bounded in bytes. Appending, querying and evicting don't
//! wait for one another: a snapshot is a list of `Arc`s.

use std::sync::Arc;

use crate::{coverage::Counters, record::Record, time::Time};

/// Records that were published together, with what was counted meanwhile. Sealed: never changed.
#[derive(Debug)]
pub struct Segment {
    /// Ordinal, from 0, never used twice.
    pub number: u64,
    pub records: Vec<Record>,
    pub counters: Counters,
    /// Of the publishing thread's clock: all counts are of traffic between these.
    pub from: Time,
    pub to: Time,
    /// What it costs in memory.
    pub bytes: usize,
}

/// The ring of segments.
#[derive(Debug)]
pub struct Store {
    // owned by the store stage
    _private: (),
}

impl Store {
    /// A ring of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let _ = limit;
        Self { _private: () }
    }

    /// Seals and appends what a shard gathered, evicting the oldest segments to stay within the limit. An empty one is
    /// nothing.
    pub fn publish(&self, records: Vec<Record>, counters: Counters, from: Time, to: Time) {
        let _ = (records, counters, from, to);
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot { segments: Vec::new() }
    }
}

/// A consistent view of the store.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Oldest first.
    pub segments: Vec<Arc<Segment>>,
}
