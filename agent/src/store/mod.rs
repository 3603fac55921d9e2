//! The node's memory: a ring of sealed, immutable segments, bounded in bytes. Appending, querying and evicting don't
//! wait for one another: a snapshot is a pointer to a list of `Arc`s, and the one lock is held for the few
//! instructions that change that list.
//!
//! **Append-only.** A newer revision of a record is a new row with the same id; `Snapshot::is_stale` tells the older
//! ones. **Evicting** frees whole segments, the oldest by publishing first, so that memory comes back in blocks.
//! **Merging** joins small neighbours, so that a quiet node holds a few thousand segments and not one a publication;
//! rows keep their numbers, so positions and cursors outlive it.

mod ring;
mod segment;
mod snapshot;
mod stale;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    hash::{BuildHasher, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

pub use segment::{Key, Segment};
pub use snapshot::{Evicted, Snapshot};

use crate::{coverage::Counters, record::Record, time::Time};
use ring::Ring;
use stale::Stale;

/// A publication larger than this part of the limit is cut into several segments, so that evicting one never empties
/// much of a small store.
const SEGMENT_PART: usize = 16;

/// And never larger than this, so that memory is given back in even steps.
const MAX_SEGMENT: usize = 1 << 20;

/// The ring of segments.
#[derive(Debug)]
pub struct Store {
    limit: usize,
    ring: Mutex<Ring>,
    /// The number of the next row, for those who wait for it.
    published: watch::Sender<u64>,
}

/// What was published since a position.
#[derive(Debug, Default)]
pub struct Since {
    /// In the order of publishing. A record comes again, with a higher revision, when more of it became known.
    pub found: Vec<crate::query::Found>,
    /// Where to go on.
    pub next: u64,
    /// Rows that were evicted before they could be read.
    pub missed: u64,
}

impl Store {
    /// A ring of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        // The standard library's hasher starts from the system's randomness; there is no other use for it here.
        let store = std::collections::hash_map::RandomState::new().build_hasher().finish();
        Self { limit, ring: Mutex::new(Ring::new(store)), published: watch::Sender::new(0) }
    }

    /// Seals and appends what a shard gathered, evicting the oldest segments to stay within the limit. An empty one
    /// says only that nothing passed between `from` and `to`.
    pub fn publish(&self, records: Vec<Record>, counters: Counters, from: Time, to: Time) {
        let mut sealed = Vec::new();
        if !records.is_empty() || !counters.is_empty() {
            let most = MAX_SEGMENT.min(self.limit / SEGMENT_PART);
            ring::cut(records, most, |part, last| {
                // Counts go with the part that is evicted last.
                let counters = if last { counters.clone() } else { Counters::default() };
                sealed.push(Segment::seal(part, counters, from, to));
            });
        }
        let mut ring = self.lock();
        let before = ring.end();
        ring.extend_span(from, to);
        for segment in sealed {
            ring.append(segment);
        }
        let freed = ring.evict(self.limit);
        let end = ring.end();
        drop(ring);
        // Freed without the lock: that takes longer than all the rest.
        drop(freed);
        if end > before {
            self.published.send_modify(|published| *published = end.max(*published));
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    /// What the held segments cost in memory.
    pub fn bytes(&self) -> usize {
        self.lock().bytes()
    }

    /// What they may cost.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The number of the next row: where `since` starts for those who want only what is new.
    pub fn position(&self) -> u64 {
        *self.published.borrow()
    }

    /// Waits until rows from `position` on are there, and returns the number of the next one.
    pub async fn wait_newer(&self, position: u64) -> u64 {
        let mut published = self.published.subscribe();
        // Fails only when the sender is gone, and that is `self`.
        published.wait_for(|&end| end > position).await.map_or(position, |end| *end)
    }

    /// Records published from `position` on, the oldest first, at most `limit` rows of them. Rows that were superseded
    /// before they could be read are left out.
    pub fn since(&self, position: u64, limit: usize) -> Since {
        let snapshot = self.snapshot();
        // A position of an earlier run may lie beyond the end: nothing is there yet.
        let start = position.clamp(snapshot.first(), snapshot.end);
        let next = start.saturating_add(limit as u64).min(snapshot.end);
        // What supersedes a row came after it: the segments before are not looked through.
        let later = snapshot.segments.get(snapshot.segment_of(start)..).unwrap_or_default();
        let stale = Stale::find(later);
        let found = (start..next).filter(|&row| !stale.contains(row, u64::MAX)).filter_map(|row| {
            let (segment, row) = snapshot.locate(row)?;
            Some(crate::query::Found { segment: segment.clone(), row })
        });
        Since { found: found.collect(), next, missed: start.saturating_sub(position) }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
