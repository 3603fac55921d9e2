//! The bounded input of a dissector: the bytes of one direction that are not decided yet, each with its time.
//!
//! Bytes that lie whole in one chunk are read where they lie. Only what a dissector leaves (a head that goes on in the
//! next segment) is copied and held, so what a dissector sees is always contiguous. What it declares unneeded by `skip`
//! is never held, and may be missing.

use super::Missing;
use crate::{coverage::Reason, flow::Ending, time::Time};

/// Where a piece begins in the bytes that are not decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    at: usize,
    time: Time,
    /// The piece follows data of the other side.
    turn: bool,
}

/// More pieces than this in one held message share their times from here on: the first and the last byte, which is
/// what a message shows, keep theirs.
const MARKS: usize = 64;

/// What goes on from call to call.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Bytes of the stream before the first undecided one, missing ones included.
    position: u64,
    /// Bytes still to be passed over; `u64::MAX`: all to the end.
    skip: u64,
    /// Time of the last byte that was taken.
    last: Time,
    /// Bytes behind that one are missing, and when they passed is not known.
    last_lost: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    marks: &'a [Mark],
    taken: usize,
    cursor: &'a mut Cursor,
}

impl Input<'_> {
    /// All bytes that are not decided.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Takes `count` bytes from the front, at most all that are there.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.bytes.len() - self.taken);
        if count == 0 {
            return;
        }
        self.cursor.last = self.time_at(count - 1);
        self.cursor.last_lost = false;
        self.cursor.position += count as u64;
        self.taken += count;
    }

    /// Passes over `count` bytes, of which some may come later, or be missing.
    pub fn skip(&mut self, count: u64) {
        let here = count.min((self.bytes.len() - self.taken) as u64);
        self.consume(here as usize);
        self.cursor.skip = count - here;
    }

    /// Passes over all that comes in this direction.
    pub fn skip_to_end(&mut self) {
        self.consume(usize::MAX);
        self.cursor.skip = u64::MAX;
    }

    /// A skip goes on beyond what is here.
    pub fn skipping(&self) -> bool {
        self.cursor.skip > 0
    }

    /// When the byte at `offset` of `bytes()` came. Of the last byte taken, when nothing is there.
    pub fn time_at(&self, offset: usize) -> Time {
        let at = self.taken.saturating_add(offset);
        match self.marks {
            [] => self.cursor.last,
            [only] => only.time,
            marks => marks.iter().rev().find(|mark| mark.at <= at).map_or(self.cursor.last, |mark| mark.time),
        }
    }

    /// When the last byte that was consumed or skipped came.
    pub fn last_time(&self) -> Time {
        self.cursor.last
    }

    /// Bytes behind that one are missing, and when they passed is not known.
    pub fn last_lost(&self) -> bool {
        self.cursor.last_lost
    }

    /// The first byte of `bytes()` is the first of a segment that follows the other side's data.
    pub fn begins_turn(&self) -> bool {
        self.marks.iter().any(|mark| mark.turn && mark.at == self.taken)
    }

    /// Bytes of the stream before the first of `bytes()`, since it is read, missing ones included.
    pub fn position(&self) -> u64 {
        self.cursor.position
    }
}

/// How one lane of a conversation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// The dissector reads it.
    InStep,
    /// Held since the first byte of the stream or of a turn, until a probe knows more; else lost for this reason.
    Probing(Reason),
    /// Held until it is sure that a message begins in it.
    Scanning(Reason),
    /// Not read, until a turn begins with a plausible start.
    Lost(Reason),
    /// Never read again.
    Closed(Reason),
}

/// What is known of a side's last turn that was not read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unread {
    /// Its first bytes, or the first that were seen; zeros behind them.
    pub front: [u8; 12],
    /// Its last byte; 0 when that was not seen.
    pub last: u8,
    /// All of it, missing bytes included.
    pub bytes: u64,
    /// Seen from its first byte on.
    pub whole: bool,
}

impl Unread {
    pub(super) fn add(&mut self, bytes: &[u8], turn: bool) {
        if turn {
            *self = Self { whole: true, ..Self::default() };
        }
        let at = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        for (front, byte) in self.front.iter_mut().skip(at).zip(bytes) {
            *front = *byte;
        }
        self.last = bytes.last().copied().unwrap_or(self.last);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
    }
}

/// One direction of a conversation: how far it is read, and what is held.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) sync: Sync,
    /// The other side's data came since this side's last.
    pub(super) turn: bool,
    pub(super) ended: Option<Ending>,
    /// Read from its very first byte on.
    pub(super) whole: bool,
    /// What was missing before a protocol was found.
    pub(super) missed: Option<Missing>,
    /// No protocol begins like what it sent.
    pub(super) refused: bool,
    pub(super) unread: Unread,
    /// Bytes in which no message was found to begin.
    pub(super) scanned: u64,
    held: Vec<u8>,
    marks: Vec<Mark>,
    cursor: Cursor,
}

impl Lane {
    pub(super) fn new(sync: Sync, whole: bool) -> Self {
        Self {
            sync,
            turn: false,
            ended: None,
            whole,
            missed: None,
            refused: false,
            unread: Unread::default(),
            scanned: 0,
            held: Vec::new(),
            marks: Vec::new(),
            cursor: Cursor::default(),
        }
    }

    /// Takes from the front of `bytes` what is being skipped; returns the rest.
    pub(super) fn pass<'a>(&mut self, bytes: &'a [u8], time: Time) -> &'a [u8] {
        if self.cursor.skip == 0 {
            return bytes;
        }
        let here = (bytes.len() as u64).min(self.cursor.skip);
        self.pass_missing(here, Some(time));
        &bytes[here as usize..]
    }

    /// Takes what is being skipped from `count` missing bytes; returns how many that were.
    pub(super) fn pass_missing(&mut self, count: u64, time: Option<Time>) -> u64 {
        let here = count.min(self.cursor.skip);
        self.advance(here, time);
        if self.cursor.skip != u64::MAX {
            self.cursor.skip -= here;
        }
        here
    }

    /// Counts missing bytes into the position, and into the time when that is known.
    pub(super) fn advance(&mut self, missing: u64, time: Option<Time>) {
        self.cursor.position = self.cursor.position.saturating_add(missing);
        if missing > 0 {
            self.cursor.last = time.unwrap_or(self.cursor.last);
            self.cursor.last_lost = time.is_none();
        }
    }

    pub(super) fn skipping(&self) -> bool {
        self.cursor.skip > 0
    }

    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }

    /// What is held begins with the first byte of a turn.
    pub(super) fn begins_turn(&self) -> bool {
        self.marks.first().is_some_and(|mark| mark.turn && mark.at == 0)
    }

    /// A turn begins in the middle of what is held.
    pub(super) fn holds_turn(&self) -> bool {
        self.marks.iter().any(|mark| mark.turn && mark.at > 0)
    }

    /// When the first byte came that is held.
    pub(super) fn held_since(&self) -> Option<Time> {
        self.marks.first().map(|mark| mark.time)
    }

    pub(super) fn hold(&mut self, bytes: &[u8], time: Time, turn: bool) {
        if bytes.is_empty() {
            return;
        }
        let mark = Mark { at: self.held.len(), time, turn };
        let full = self.marks.len() >= MARKS;
        match self.marks.last_mut() {
            Some(last) if last.time == time && !turn => {}
            Some(last) if full => *last = mark,
            _ => self.marks.push(mark),
        }
        self.held.extend_from_slice(bytes);
    }

    /// Calls `read` with what is held and `chunk` behind it, and holds what it leaves. Returns what `read` returned.
    pub(super) fn read<T>(
        &mut self,
        chunk: &[u8],
        time: Time,
        turn: bool,
        read: impl FnOnce(&mut Input<'_>) -> T,
    ) -> T {
        if self.held.is_empty() && !chunk.is_empty() {
            let marks = [Mark { at: 0, time, turn }];
            let mut input = Input { bytes: chunk, marks: &marks, taken: 0, cursor: &mut self.cursor };
            let result = read(&mut input);
            let taken = input.taken;
            self.hold(&chunk[taken..], time, turn && taken == 0);
            return result;
        }
        self.hold(chunk, time, turn);
        let mut held = std::mem::take(&mut self.held);
        let mut marks = std::mem::take(&mut self.marks);
        let mut input = Input { bytes: &held, marks: &marks, taken: 0, cursor: &mut self.cursor };
        let result = read(&mut input);
        let taken = input.taken;
        drop_front(&mut held, &mut marks, taken);
        (self.held, self.marks) = (held, marks);
        result
    }

    /// Forgets what is held and skipped, but for what stands at or after the beginning of a later turn: that may be
    /// readable. All of it counts as unread until then. Returns how many bytes were forgotten.
    pub(super) fn forget(&mut self) -> usize {
        self.cursor.skip = 0;
        let keep = self.marks.iter().find(|mark| mark.turn && mark.at > 0).map_or(self.held.len(), |mark| mark.at);
        self.cursor.position = self.cursor.position.saturating_add(keep as u64);
        self.unread = Unread::default();
        self.unread.add(&self.held[..keep], false);
        drop_front(&mut self.held, &mut self.marks, keep);
        let ends = self.marks.iter().skip(1).map(|mark| mark.at).chain([self.held.len()]);
        for (mark, end) in self.marks.iter().zip(ends) {
            self.unread.add(&self.held[mark.at..end], mark.turn);
        }
        keep
    }

    /// Forgets what is held before `count`.
    pub(super) fn drop(&mut self, count: usize) {
        self.cursor.position = self.cursor.position.saturating_add(count as u64);
        self.scanned = self.scanned.saturating_add(count as u64);
        drop_front(&mut self.held, &mut self.marks, count);
    }

    /// Forgets all that is held and skipped. Returns how many bytes were forgotten.
    pub(super) fn clear(&mut self) -> usize {
        let held = self.held.len();
        self.cursor.skip = 0;
        self.cursor.position = self.cursor.position.saturating_add(held as u64);
        self.held = Vec::new();
        self.marks = Vec::new();
        held
    }
}

fn drop_front(held: &mut Vec<u8>, marks: &mut Vec<Mark>, count: usize) {
    if count == 0 {
        return;
    }
    if count >= held.len() {
        // A lane at rest costs nothing: long conversations are many, and heads that span segments few.
        *held = Vec::new();
        *marks = Vec::new();
        return;
    }
    held.drain(..count);
    let first = marks.iter().rposition(|mark| mark.at <= count).unwrap_or(0);
    marks.drain(..first);
    for mark in marks {
        mark.turn &= mark.at >= count;
        mark.at = mark.at.saturating_sub(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        Lane::new(Sync::InStep, true)
    }

    #[test]
    fn a_whole_message_in_one_chunk_is_read_where_it_lies() {
        let mut lane = lane();
        let chunk = b"abcdef";
        lane.read(chunk, Time(5), true, |input| {
            assert_eq!(input.bytes().as_ptr(), chunk.as_ptr());
            assert!(input.begins_turn());
            input.consume(6);
            assert_eq!(input.last_time(), Time(5));
        });
        assert!(lane.held().is_empty());
        assert_eq!(lane.cursor.position, 6);
    }

    #[test]
    fn what_is_left_is_held_with_its_times_and_turns() {
        let mut lane = lane();
        lane.read(b"abcd", Time(1), true, |input| input.consume(2));
        lane.read(b"ef", Time(2), true, |input| {
            assert_eq!(input.bytes(), b"cdef");
            assert!(!input.begins_turn());
            assert_eq!([0, 1, 2, 3].map(|at| input.time_at(at)), [Time(1), Time(1), Time(2), Time(2)]);
            assert_eq!(input.position(), 2);
            input.consume(2);
            assert!(input.begins_turn());
        });
        assert_eq!(lane.held(), b"ef");
        assert_eq!(lane.held_since(), Some(Time(2)));
    }

    #[test]
    fn a_skip_goes_on_over_pieces_and_missing_bytes() {
        let mut lane = lane();
        lane.read(b"abcd", Time(1), false, |input| {
            input.skip(10);
            assert!(input.skipping());
            assert!(input.bytes().is_empty());
        });
        assert_eq!(lane.pass(b"efg", Time(2)), b"");
        assert_eq!((lane.pass_missing(2, None), lane.cursor.last_lost), (2, true));
        assert_eq!(lane.pass(b"jkl", Time(3)), b"kl");
        assert_eq!((lane.cursor.position, lane.cursor.last, lane.cursor.last_lost), (10, Time(3), false));
    }

    #[test]
    fn forgetting_stops_at_the_next_turn() {
        let mut lane = lane();
        lane.hold(b"garbage", Time(1), true);
        lane.hold(b"more", Time(2), false);
        lane.hold(b"GET", Time(3), true);
        assert_eq!(lane.forget(), 11);
        assert_eq!(lane.held(), b"GET");
        assert_eq!(lane.forget(), 3);
    }

    #[test]
    fn many_pieces_keep_the_time_of_the_first_and_the_last_byte() {
        let mut lane = lane();
        for n in 0..1000 {
            lane.hold(b"x", Time(n), false);
        }
        assert!(lane.marks.len() <= MARKS);
        lane.read(b"", Time(0), false, |input| {
            assert_eq!(input.time_at(0), Time(0));
            assert_eq!(input.time_at(999), Time(999));
        });
    }
}
