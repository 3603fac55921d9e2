//! The list of segments behind the store's lock: appending, merging, evicting.

use std::sync::{Arc, OnceLock};

use super::{Evicted, Segment, Snapshot};
use crate::{record::Record, time::Time};

/// Neighbours that are both smaller than this become one.
const MERGE_BELOW: usize = 64 << 10;

/// And that span no more than this: counts are only as fine in time as their segment. 10 s.
const MERGE_SPAN: u64 = 10_000_000_000;

/// Beyond so many segments, old small neighbours are merged whatever they span: a quiet node that runs for weeks keeps
/// its list short, at the price of coarser counts for what is long ago.
const MANY_SEGMENTS: usize = 8192;

/// How many neighbours one append looks at for such a pair.
const MERGE_STEPS: usize = 64;

#[derive(Debug)]
pub(super) struct Ring {
    segments: Arc<Vec<Arc<Segment>>>,
    bytes: usize,
    /// The number of the next row.
    end: u64,
    evicted: Arc<Evicted>,
    span: Option<(Time, Time)>,
    store: u64,
    /// Filled by the first query that needs it; a new one with each change.
    stale: Arc<OnceLock<super::stale::Stale>>,
    /// Where the search for old small neighbours goes on.
    merge_at: usize,
}

impl Ring {
    pub(super) fn new(store: u64) -> Self {
        Self {
            segments: Arc::default(),
            bytes: 0,
            end: 0,
            evicted: Arc::default(),
            span: None,
            store,
            stale: Arc::default(),
            merge_at: 0,
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            segments: self.segments.clone(),
            evicted: self.evicted.clone(),
            end: self.end,
            store: self.store,
            span: self.span,
            stale: self.stale.clone(),
        }
    }

    pub(super) fn extend_span(&mut self, from: Time, to: Time) {
        self.span = Some(match self.span {
            Some((first, last)) => (first.min(from), last.max(to)),
            None => (from, to),
        });
    }

    pub(super) fn append(&mut self, mut segment: Segment) {
        self.stale = Arc::default();
        segment.first = self.end;
        self.end = segment.end();
        let segments = Arc::make_mut(&mut self.segments);
        if segments.last().is_some_and(|last| small(last, &segment) && span(last, &segment) <= MERGE_SPAN)
            && let Some(last) = segments.pop()
        {
            self.bytes -= last.bytes;
            segment = Arc::unwrap_or_clone(last).merge(segment);
        }
        self.bytes += segment.bytes;
        segments.push(Arc::new(segment));
        if segments.len() > MANY_SEGMENTS {
            self.merge_old();
        }
    }

    /// Takes out the oldest segments until the rest fits.
    pub(super) fn evict(&mut self, limit: usize) -> Vec<Arc<Segment>> {
        if self.bytes <= limit {
            return Vec::new();
        }
        let mut count = 0;
        let evicted = Arc::make_mut(&mut self.evicted);
        for segment in self.segments.iter() {
            if self.bytes <= limit {
                break;
            }
            count += 1;
            self.bytes -= segment.bytes;
            evicted.counters.merge(&segment.counters);
            // Everything that was held here began at or before these.
            let last = segment.newest().map_or(segment.to, |newest| newest.max(segment.to));
            evicted.before = evicted.before.max(Some(Time(last.0.saturating_add(1))));
        }
        self.stale = Arc::default();
        self.merge_at = self.merge_at.saturating_sub(count);
        Arc::make_mut(&mut self.segments).drain(..count).collect()
    }

    /// Merges one pair of small neighbours, going round from old to new.
    fn merge_old(&mut self) {
        let segments = Arc::make_mut(&mut self.segments);
        for _ in 0..MERGE_STEPS {
            let at = self.merge_at;
            let (Some(left), Some(right)) = (segments.get(at), segments.get(at + 1)) else {
                self.merge_at = 0;
                continue;
            };
            self.merge_at += 1;
            if small(left, right) {
                let (left, right) = (segments.remove(at), segments.remove(at));
                self.bytes -= left.bytes + right.bytes;
                let merged = Arc::unwrap_or_clone(left).merge(Arc::unwrap_or_clone(right));
                self.bytes += merged.bytes;
                segments.insert(at, Arc::new(merged));
                return;
            }
        }
    }
}

fn small(left: &Segment, right: &Segment) -> bool {
    left.bytes < MERGE_BELOW && right.bytes < MERGE_BELOW
}

/// Nanoseconds from the begin of the earlier to the end of the later.
fn span(left: &Segment, right: &Segment) -> u64 {
    left.to.max(right.to).0.saturating_sub(left.from.min(right.from).0)
}

/// Hands `records` to `part` in pieces of at most `most` bytes, or one record when that is larger; says which is last.
pub(super) fn cut(records: Vec<Record>, most: usize, mut part: impl FnMut(Vec<Record>, bool)) {
    let mut rest = records;
    loop {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|record| {
            bytes += record.memory();
            bytes <= most
        });
        let fits = fits.count().max(1);
        if fits >= rest.len() {
            return part(rest, true);
        }
        let later = rest.split_off(fits);
        part(rest, false);
        rest = later;
    }
}
