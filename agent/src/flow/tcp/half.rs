//! One direction of a connection: puts its bytes in order. Positions are offsets of 64 bits from the first byte, so
//! that nothing but `offset` knows that sequence numbers wrap around.

use super::{
    Waits,
    queue::{Hole, Queue},
};
use crate::{
    coverage::Reason,
    flow::{Ending, Piece},
    time::Time,
};

/// Where a direction's offsets count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    /// Nothing of it was seen.
    Unknown,
    /// From what the other side acknowledged. An earlier byte may move it back as long as none was delivered.
    Supposed,
    /// From its SYN, or from the first byte that was seen.
    Seen,
}

#[derive(Debug)]
pub(super) struct Half {
    base: Base,
    /// Sequence number of the byte at offset 0.
    first: u32,
    /// Initial sequence number, from its SYN.
    pub(super) isn: Option<u32>,
    /// Offset of the next byte to deliver.
    pub(super) next: u64,
    /// The receiver has everything before this offset.
    pub(super) acked: u64,
    /// Offset of the FIN: the stream's length.
    fin: Option<u64>,
    pub(super) ended: bool,
    /// The packets come from the kernel, which makes an event of each one that carries data.
    pub(super) live: bool,
    /// The sender's socket is on this node: all it sends passes there.
    pub(super) sent_here: bool,
    /// Beyond the window, where the sender said it was (with a FIN there), and what the receiver said it had.
    pub(super) sent_beyond: Option<(u64, bool)>,
    pub(super) received_beyond: Option<u64>,
    /// Allocated only while something waits.
    queue: Option<Box<Queue>>,
    /// Bytes that arrived again, not yet counted by the caller.
    pub(super) again: u64,
    /// Bytes from before the first one seen, which the stream was begun without: not yet counted by the caller.
    pub(super) early: u64,
    /// Only while something is missing.
    wait: Option<Wait>,
}

/// How long the byte at `next` has been waited for.
#[derive(Clone, Copy, Debug)]
struct Wait {
    next: u64,
    since: Time,
    /// Since when it is known that the receiver has that byte, and the flow's packets since then.
    acked_since: Option<Time>,
    packets: u32,
}

/// The extent of a segment, in offsets that may lie before the first byte, and what was copied of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent<'a> {
    pub(super) start: i64,
    pub(super) payload: &'a [u8],
    pub(super) wire_len: u32,
    pub(super) cut: Reason,
    pub(super) time: Time,
    /// What its sender had by then of the other direction.
    pub(super) acks: u64,
}

/// Takes the pieces of one direction.
pub(super) type Sink<'s> = &'s mut dyn FnMut(Piece<'_>);

impl Half {
    pub(super) fn new() -> Self {
        Self {
            base: Base::Unknown,
            first: 0,
            isn: None,
            next: 0,
            acked: 0,
            fin: None,
            ended: false,
            live: false,
            sent_here: false,
            sent_beyond: None,
            received_beyond: None,
            queue: None,
            again: 0,
            early: 0,
            wait: None,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.base != Base::Unknown
    }

    /// The initial sequence number, also when only its acknowledgement was seen.
    pub(super) fn isn_or_supposed(&self) -> Option<u32> {
        self.isn.or((self.base == Base::Supposed).then(|| self.first.wrapping_sub(1)))
    }

    /// The sequence number that would be in order.
    pub(super) fn next_seq(&self) -> u32 {
        self.first.wrapping_add(self.next as u32)
    }

    /// The offset of a sequence number: the one nearest to `next`, before or after it.
    pub(super) fn offset(&self, seq: u32) -> i64 {
        self.next as i64 + i64::from(seq.wrapping_sub(self.next_seq()).cast_signed())
    }

    /// The receiver's next expected sequence number as far as this capture tells: beyond a FIN, by what it acknowledged.
    pub(super) fn expects(&self, offset: i64) -> bool {
        let fin = i64::from(self.ended);
        offset == self.next as i64 + fin || offset == self.acked as i64 || (self.ended && offset == self.next as i64)
    }

    /// A SYN says where the stream begins. Returns whether the stream of this direction is seen from its beginning.
    pub(super) fn syn(&mut self, isn: u32) -> bool {
        let first = isn.wrapping_add(1);
        match self.base {
            Base::Unknown => {}
            Base::Supposed if self.next == 0 && self.queue.is_none() => self.acked = 0,
            // Again, or late: it must name the first byte as the beginning, else it is of another connection.
            Base::Supposed | Base::Seen => {
                let same = first == self.first;
                if same {
                    self.isn = Some(isn);
                }
                return same;
            }
        }
        self.first = first;
        self.isn = Some(isn);
        self.base = Base::Seen;
        true
    }

    /// The other side's acknowledgement says where the stream begins.
    pub(super) fn suppose(&mut self, first: u32) {
        if self.base == Base::Unknown {
            self.first = first;
            self.base = Base::Supposed;
        }
    }

    /// A stream that is joined late begins at the first byte seen.
    pub(super) fn begin(&mut self, seq: u32) {
        match self.base {
            Base::Unknown => {
                self.first = seq;
                self.base = Base::Seen;
            }
            Base::Supposed => {
                let offset = self.offset(seq);
                if offset < 0 && self.next == 0 && self.queue.is_none() && self.fin.is_none() {
                    self.first = seq;
                    self.acked += offset.unsigned_abs();
                    self.base = Base::Seen;
                }
            }
            Base::Seen => {}
        }
    }

    /// Delivers a segment, or keeps it until what is before it has come: in this direction, and in the other one, of
    /// which so much has `passed`. So an answer comes after a request that was found to be missing.
    pub(super) fn segment(&mut self, extent: &Extent<'_>, passed: u64, sink: Sink<'_>) {
        let Extent { start, payload, wire_len, cut, time, acks } = *extent;
        let end = start + i64::from(wire_len);
        let early = self.before_the_first(start, end);
        self.early += early;
        if end <= self.next as i64 {
            self.again += u64::from(wire_len) - early;
            return;
        }
        let end = end.unsigned_abs();
        if start <= self.next as i64 && acks <= passed {
            // Delivered bytes never change: only what is new is taken (tcp_data_queue: a partial packet).
            let seen = (self.next as i64 - start).unsigned_abs();
            self.again += seen - early;
            if let Some(new) = payload.get(seen as usize..).filter(|new| !new.is_empty()) {
                sink(Piece::Chunk { bytes: new, time });
                self.next += new.len() as u64;
            }
            if self.next < end {
                let hole = Hole { end, reason: cut, time, acks };
                match self.queue.as_mut() {
                    // A full copy of these bytes may wait already.
                    Some(queue) => self.again += queue.insert_hole(self.next, hole),
                    None => {
                        sink(Piece::missing(end - self.next, cut, Some(time)));
                        self.next = end;
                    }
                }
            }
            self.settle(time, passed, sink);
            return;
        }
        // What was delivered needs no room.
        let seen = (self.next as i64 - start).max(0);
        let start = (start + seen).unsigned_abs();
        self.again += seen.unsigned_abs() - early;
        let payload = payload.get(seen as usize..).unwrap_or_default();
        let copied_end = start + payload.len() as u64;
        let queue = self.queue.get_or_insert_default();
        if copied_end > start {
            self.again += queue.insert(start, payload, time, acks);
        }
        if end > copied_end {
            self.again += queue.insert_hole(copied_end, Hole { end, reason: cut, time, acks });
        }
    }

    /// How many of these bytes stand before the first one that was seen, where none is known to: a capture in another order
    /// than that of the stream. A keep-alive repeats the last byte before it.
    fn before_the_first(&self, start: i64, end: i64) -> u64 {
        let keep_alive = end - start == 1 && start == -1;
        if start >= 0 || keep_alive || !matches!(self.base, Base::Seen) || self.isn.is_some() {
            return 0;
        }
        (end.min(0) - start).unsigned_abs()
    }

    /// The stream ends at this offset. The first one stands; one inside what was delivered is old.
    pub(super) fn fin(&mut self, offset: i64, time: Time, passed: u64, sink: Sink<'_>) {
        if offset >= self.next as i64 && self.fin.is_none() {
            self.fin = Some(offset.unsigned_abs());
        }
        self.settle(time, passed, sink);
    }

    /// Delivers what has become in order (tcp_ofo_queue).
    pub(super) fn settle(&mut self, time: Time, passed: u64, sink: Sink<'_>) {
        loop {
            if self.at_fin(time, sink) {
                return;
            }
            let Some(queue) = self.queue.as_mut() else { return };
            if let Some((start, segment)) = queue.take_segment(self.next, passed) {
                let seen = (self.next - start) as usize;
                self.again += seen.min(segment.bytes.len()) as u64;
                if let Some(new) = segment.bytes.get(seen..).filter(|new| !new.is_empty()) {
                    sink(Piece::Chunk { bytes: new, time: segment.time });
                    self.next += new.len() as u64;
                }
            } else if queue.first_segment().is_some_and(|start| start <= self.next) {
                return;
            } else if let Some((start, hole)) = queue.take_hole(self.next, passed) {
                self.again += self.next.min(hole.end) - start;
                if hole.end > self.next {
                    // Copied bytes are better than none, so the hole ends where they begin.
                    let until = queue.first_segment().map_or(hole.end, |at| at.min(hole.end));
                    if until < hole.end {
                        self.again += queue.insert_hole(until, hole);
                    }
                    sink(Piece::missing(until - self.next, hole.reason, Some(hole.time)));
                    self.next = until;
                }
            } else {
                if queue.is_empty() {
                    self.queue = None;
                }
                return;
            }
        }
    }

    /// Ends the direction when all before its FIN was delivered. A FIN that was passed by bytes in order is dropped, as
    /// tcp_ofo_queue drops a segment whose end is not beyond what was received; what is kept beyond one is forgotten, as
    /// tcp_fin purges the queue.
    fn at_fin(&mut self, time: Time, sink: Sink<'_>) -> bool {
        match self.fin {
            Some(fin) if fin == self.next => {
                self.queue = None;
                self.end(Ending::Fin, time, sink);
                true
            }
            Some(fin) if fin < self.next => {
                self.fin = None;
                false
            }
            Some(_) | None => false,
        }
    }

    /// The receiver has everything before `offset`, which was checked against the window.
    pub(super) fn acknowledge(&mut self, offset: u64) {
        let offset = self.fin.map_or(offset, |fin| fin.min(offset));
        self.acked = self.acked.max(offset);
    }

    /// An acknowledgement beyond the window: taken when the sender says the same, since then the capture lacks more than
    /// a window of bytes. One side alone may be forged.
    pub(super) fn acknowledge_beyond(&mut self, offset: u64) {
        match self.sent_beyond.take() {
            Some((end, fin)) if end + u64::from(fin) == offset => {
                if fin && self.fin.is_none() {
                    self.fin = Some(end);
                }
                self.acknowledge(offset);
            }
            Some(_) | None => self.received_beyond = Some(offset),
        }
    }

    /// A segment beyond the window: whether the receiver said that it has all before it. Then it is taken.
    pub(super) fn segment_beyond(&mut self, start: i64, len: u32, fin: bool) -> bool {
        let start = start.unsigned_abs();
        let confirmed = self.received_beyond.take() == Some(start);
        if confirmed {
            self.acknowledge(start);
        } else {
            self.sent_beyond = Some((start + u64::from(len), fin));
        }
        confirmed
    }

    /// Where the receiver's acknowledgement lies beyond `next`: bytes that are not in the capture. A single one with
    /// nothing behind it is taken for a FIN that is not in the capture, which takes a sequence number too.
    fn acked_missing(&self) -> Option<u64> {
        let fin_only = self.fin.is_none() && self.queue.is_none() && self.acked == self.next + 1;
        (self.acked > self.next && !fin_only && !self.ended && self.is_known()).then_some(self.acked)
    }

    /// Something is missing, and known to have passed.
    pub(super) fn lacks(&self) -> bool {
        !self.ended && (self.queue.is_some() || self.fin.is_some() || self.acked_missing().is_some())
    }

    /// Looks after what is missing, with each packet of the flow and now and then: gives up what was waited for enough.
    pub(super) fn watch(&mut self, now: Time, packet: bool, waits: &Waits, passed: u64, sink: Sink<'_>) {
        if !self.lacks() {
            self.wait = None;
            return;
        }
        let fresh = Wait { next: self.next, since: now, acked_since: None, packets: 0 };
        let wait = match &mut self.wait {
            Some(wait) if wait.next == self.next => wait,
            // Bytes still come in order: what is behind them comes too.
            stale => stale.insert(fresh),
        };
        let since = wait.since;
        if self.acked > self.next {
            let acked_since = *wait.acked_since.get_or_insert(now);
            wait.packets += u32::from(packet);
            let enough = wait.packets > waits.reorder_packets || elapsed(acked_since, now) >= waits.reorder_nanos;
            if enough && let Some(acked) = self.acked_missing() {
                self.give_up(acked, Reason::NotCaptured, now, passed, sink);
                return;
            }
        }
        if elapsed(since, now) >= waits.gap_nanos {
            self.give_up_first(Reason::NotCaptured, now, passed, sink);
        }
    }

    /// Declares missing what is before the first thing that is kept, or before the FIN; delivers what follows. What
    /// waits for the other direction only, waits no longer.
    pub(super) fn give_up_first(&mut self, reason: Reason, now: Time, passed: u64, sink: Sink<'_>) {
        if self.is_blocked() {
            self.settle(now, u64::MAX, sink);
            return;
        }
        let kept = self.queue.as_ref().and_then(|queue| queue.first()).map(|(start, _)| start);
        if let Some(until) = kept.or(self.fin).or(self.acked_missing()) {
            self.give_up(until, reason, now, passed, sink);
        }
    }

    /// Declares missing all that is missing before `until`.
    fn give_up(&mut self, until: u64, reason: Reason, now: Time, passed: u64, sink: Sink<'_>) {
        // Directions that wait for each other don't tell the truth, or too much is missing.
        let passed = if self.is_blocked() { u64::MAX } else { passed };
        if passed == u64::MAX {
            self.settle(now, passed, sink);
        }
        while self.next < until && !self.ended && !self.is_blocked() {
            let kept = self.queue.as_ref().and_then(|queue| queue.first()).filter(|&(start, _)| start < until);
            let at = kept.map_or(until, |(start, _)| start);
            if at > self.next {
                sink(Piece::missing(at - self.next, self.reason(reason, at), None));
                self.next = at;
            }
            self.settle(now, passed, sink);
        }
    }

    /// Why bytes before `until` are missing, when nothing better is known. What passed at a socket of this node made an
    /// event, which found no room; what only the network may have lost did not pass.
    fn reason(&self, reason: Reason, until: u64) -> Reason {
        let passed = self.live && (self.sent_here || until <= self.acked);
        if passed && reason == Reason::NotCaptured { Reason::RingFull } else { reason }
    }

    /// Delivers all that is kept, with its gaps, up to the last byte that is known to have passed, and ends.
    pub(super) fn finish(&mut self, how: Ending, reason: Reason, now: Time, sink: Sink<'_>) {
        while !self.ended && self.queue.is_some() {
            self.give_up_first(reason, now, u64::MAX, sink);
        }
        if let Some(until) = (!self.ended).then_some(()).and(self.fin.or(self.acked_missing())) {
            self.give_up(until, Reason::NotCaptured, now, u64::MAX, sink);
        }
        self.end(how, now, sink);
    }

    fn end(&mut self, how: Ending, time: Time, sink: Sink<'_>) {
        if !self.ended {
            self.ended = true;
            self.queue = None;
            sink(Piece::End { how, time });
        }
    }

    /// The next byte is kept, or known not to be copied, and waits for what its sender had by then of the other direction.
    pub(super) fn is_blocked(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_blocked(self.next))
    }

    /// How far this direction's bytes have passed, for what acknowledges them.
    pub(super) fn passed(&self) -> u64 {
        if self.ended { u64::MAX } else { self.next }
    }

    /// Whether an acknowledgement says that bytes passed which are not delivered. A single one may be a FIN's.
    pub(super) fn is_ahead(&self, acks: u64) -> bool {
        self.is_known() && !self.ended && (acks > self.next + 1 || (acks == self.next + 1 && self.holds()))
    }

    /// Something is kept that waits for a missing byte.
    pub(super) fn holds(&self) -> bool {
        self.queue.is_some()
    }

    /// Time of the oldest segment that waits.
    pub(super) fn oldest_held(&self) -> Option<Time> {
        self.queue.as_ref().and_then(|queue| queue.oldest())
    }

    /// Memory for what waits.
    pub(super) fn held(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.cost())
    }
}

fn elapsed(since: Time, now: Time) -> u64 {
    now.0.saturating_sub(since.0)
}
