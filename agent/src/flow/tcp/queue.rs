//! What waits behind a missing byte: segments by the offset of their first byte, and apart from them the extents that
//! passed but were not copied. Copied bytes always win over such an extent.

use std::collections::BTreeMap;

use crate::{coverage::Reason, time::Time};

/// A queue's first map nodes (11 entries each) and its own allocation: a flow that holds one byte costs that much.
const QUEUE_COST: usize = 1024;
/// Its share of a map node that is half full, and the allocator's header.
const ENTRY_COST: usize = 96;

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// None lies wholly inside another, so that ends are in the order of starts.
    segments: BTreeMap<u64, Segment>,
    holes: BTreeMap<u64, Hole>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) bytes: Box<[u8]>,
    pub(super) time: Time,
    /// What its sender had by then of the other direction.
    pub(super) acks: u64,
}

impl Segment {
    fn end(&self, start: u64) -> u64 {
        start + self.bytes.len() as u64
    }
}

/// Bytes of known extent that were not copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    pub(super) end: u64,
    pub(super) reason: Reason,
    /// Of the packet with the last of them.
    pub(super) time: Time,
    /// As a segment's.
    pub(super) acks: u64,
}

impl Queue {
    /// Keeps a segment by the rules of Linux's `tcp_data_queue_ofo`: what is there already stays, but what the new one
    /// covers wholly makes room for it. Returns how many bytes were seen before.
    pub(super) fn insert(&mut self, start: u64, bytes: &[u8], time: Time, acks: u64) -> u64 {
        let len = bytes.len() as u64;
        let end = start + len;
        if let Some((&before, segment)) = self.segments.range(..=start).next_back()
            && end <= segment.end(before)
        {
            return len;
        }
        let mut again = 0;
        while let Some((&at, segment)) = self.segments.range(start..end).next() {
            if segment.end(at) > end {
                break;
            }
            again += segment.bytes.len() as u64;
            self.bytes -= segment.bytes.len();
            self.segments.remove(&at);
        }
        self.bytes += bytes.len();
        self.segments.insert(start, Segment { bytes: bytes.into(), time, acks });
        again
    }

    /// Notes bytes that were not copied. Returns how many were noted before.
    pub(super) fn insert_hole(&mut self, start: u64, hole: Hole) -> u64 {
        let Hole { end, reason, time, acks } = hole;
        let mut start = start;
        let mut again = 0;
        if let Some((_, before)) = self.holes.range_mut(..=start).next_back()
            && before.end >= start
        {
            again = before.end.min(end) - start;
            if end <= before.end {
                return again;
            }
            if before.reason == reason {
                *before = Hole { end, reason, time: before.time.max(time), acks: before.acks.max(acks) };
                return again;
            }
            start = before.end;
        }
        // A longer one from the same byte on was handled above; later ones that overlap are settled when they are reached.
        if let Some(old) = self.holes.insert(start, hole) {
            again += old.end - start;
        }
        again
    }

    /// Takes the segment from which the byte at `next` would come, if its sender had no more than `passed`.
    pub(super) fn take_segment(&mut self, next: u64, passed: u64) -> Option<(u64, Segment)> {
        let due = |start, segment: &Segment| start <= next && (segment.acks <= passed || segment.end(start) <= next);
        let entry = self.segments.first_entry().filter(|entry| due(*entry.key(), entry.get()))?;
        let (start, segment) = entry.remove_entry();
        self.bytes -= segment.bytes.len();
        Some((start, segment))
    }

    /// The same for a hole.
    pub(super) fn take_hole(&mut self, next: u64, passed: u64) -> Option<(u64, Hole)> {
        let due = |start, hole: &Hole| start <= next && (hole.acks <= passed || hole.end <= next);
        let entry = self.holes.first_entry().filter(|entry| due(*entry.key(), entry.get()))?;
        Some(entry.remove_entry())
    }

    /// When all that is due was taken: the byte at `next` is here, and its sender had more than has passed.
    pub(super) fn is_blocked(&self, next: u64) -> bool {
        self.first().is_some_and(|(start, _)| start <= next)
    }

    pub(super) fn first_segment(&self) -> Option<u64> {
        self.segments.keys().next().copied()
    }

    /// Where the first thing that is kept begins, and its time.
    pub(super) fn first(&self) -> Option<(u64, Time)> {
        let segment = self.segments.first_key_value().map(|(&start, segment)| (start, segment.time));
        let hole = self.holes.first_key_value().map(|(&start, hole)| (start, hole.time));
        match (segment, hole) {
            (Some(segment), Some(hole)) => Some(if hole.0 < segment.0 { hole } else { segment }),
            (segment, hole) => segment.or(hole),
        }
    }

    /// Time of the oldest segment that is kept, whatever its place.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.segments.values().map(|segment| segment.time).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.holes.is_empty()
    }

    /// Memory, a little more than it really is.
    pub(super) fn cost(&self) -> usize {
        QUEUE_COST + self.bytes + (self.segments.len() + self.holes.len()) * ENTRY_COST
    }
}
