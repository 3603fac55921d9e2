//! Length-prefixed messages in the DATA of one direction of one stream (gRPC over HTTP/2, "Length-Prefixed-Message":
//! a byte of flags, four bytes of length, the payload). DATA frames may be cut anywhere, so this reads byte by byte.
//!
//! The front of each payload is kept in one buffer while there is room, and what is kept never depends on a length that
//! the peer names. Missing bytes inside a payload spoil that message alone; missing bytes of a prefix lose the
//! boundaries, and nothing is claimed of what follows: no length is ever read at a guessed place.

use std::ops::Range;

/// Messages of a direction that are told apart; a stream of events has millions. Those behind them are counted only.
pub const MESSAGES: usize = 64;

/// A byte of flags and a length.
const PREFIX: usize = 5;

/// "Compressed-Flag → 0 / 1".
const COMPRESSED: u8 = 0x01;

/// gRPC-Web: the frame holds trailers, not a message.
const TRAILERS: u8 = 0x80;

/// What the flags may be: gRPC-Web has trailers in the body, gRPC over HTTP/2 has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Http2,
    Web,
}

/// Why no message is read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A prefix, or part of one, is missing.
    PrefixLost,
    /// Flags that no gRPC has: this is something else, or was misread.
    BadFlags(u8),
    /// The stream ended within a prefix or a payload.
    Cut,
    /// The stream ended behind a message.
    Clean,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Of the payload on the wire, without the prefix.
    pub size: u32,
    pub compressed: bool,
    /// gRPC-Web: trailers, as HTTP/1 header lines.
    pub trailers: bool,
    /// What was kept of the payload, up to the first byte that is missing or had no room.
    pub front: &'a [u8],
    /// Why `front` is not all of it; `None` also while more of it comes.
    pub lack: Option<Lack>,
}

/// Why a payload was not kept whole: what came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// There was no room for it.
    Room,
    /// Bytes of it are missing.
    Lost,
    /// Nothing more came of it.
    Cut,
}

impl Frame<'_> {
    /// `front` is all of the payload.
    pub fn whole(&self) -> bool {
        self.front.len() as u64 == u64::from(self.size)
    }
}

/// Reads one direction.
#[derive(Debug)]
pub struct Frames {
    flavor: Flavor,
    state: State,
    entries: Vec<Entry>,
    /// Kept fronts of payloads, one behind the other.
    kept: Vec<u8>,
    /// Bytes that may still be kept.
    room: usize,
    messages: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes of a prefix are there.
    Prefix([u8; PREFIX], usize),
    /// So many bytes of a payload are to come. `keep`: they still join the front.
    Payload {
        left: u64,
        keep: bool,
    },
    Ended(Ended),
}

#[derive(Debug)]
struct Entry {
    size: u32,
    flags: u8,
    front: Range<usize>,
    lack: Option<Lack>,
}

impl Frames {
    /// `room`: bytes of payloads that may be kept, all messages together.
    pub fn new(flavor: Flavor, room: usize) -> Self {
        let state = State::Prefix([0; PREFIX], 0);
        Self { flavor, state, entries: Vec::new(), kept: Vec::new(), room, messages: 0, bytes: 0 }
    }

    /// DATA without its padding, in order.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            match &mut self.state {
                State::Prefix(prefix, have) => {
                    if let Some(slot) = prefix.get_mut(*have) {
                        *slot = *first;
                    }
                    *have += 1;
                    bytes = rest;
                    if *have == PREFIX {
                        let [flags, length @ ..] = *prefix;
                        self.begin(flags, u32::from_be_bytes(length));
                    }
                }
                State::Payload { left, keep } => {
                    let here = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let (payload, rest) = bytes.split_at(here);
                    *left -= here as u64;
                    let (done, keep) = (*left == 0, *keep);
                    if keep {
                        self.keep(payload);
                    }
                    bytes = rest;
                    if done {
                        self.state = State::Prefix([0; PREFIX], 0);
                    }
                }
                State::Ended(_) => return,
            }
        }
    }

    /// So many bytes of the DATA are missing here, lost or skipped.
    pub fn missing(&mut self, count: u64) {
        let mut count = count;
        if let State::Payload { left, keep } = &mut self.state {
            let used = count.min(*left);
            *left -= used;
            count -= used;
            let (done, kept) = (*left == 0, *keep);
            *keep &= used == 0;
            if done {
                self.state = State::Prefix([0; PREFIX], 0);
            }
            if used > 0 && kept {
                // What would have had no room is not missed.
                self.lacks(if self.room > 0 { Lack::Lost } else { Lack::Room });
            }
        }
        if count > 0 {
            self.boundaries_lost();
        }
    }

    /// The last message is not kept whole.
    fn lacks(&mut self, lack: Lack) {
        if let Some(entry) = self.entries.last_mut() {
            entry.lack = entry.lack.or(Some(lack));
        }
    }

    /// What follows was not kept for want of room.
    pub fn no_room(&mut self) {
        if let State::Payload { keep: true, .. } = self.state {
            self.lacks(Lack::Room);
        }
        self.boundaries_lost();
    }

    /// An unknown number of bytes is missing here.
    pub fn boundaries_lost(&mut self) {
        if let State::Payload { keep: true, .. } = self.state {
            self.lacks(Lack::Lost);
        }
        if !matches!(self.state, State::Ended(_)) {
            self.state = State::Ended(Ended::PrefixLost);
        }
    }

    /// Nothing more comes, though this is not the end of the direction.
    pub fn cut(&mut self) {
        if let State::Payload { keep: true, .. } = self.state {
            self.lacks(Lack::Cut);
        }
    }

    /// The direction ends here.
    pub fn end(&mut self) {
        self.cut();
        self.state = State::Ended(match self.state {
            State::Prefix(_, 0) => Ended::Clean,
            State::Prefix(..) | State::Payload { .. } => Ended::Cut,
            State::Ended(why) => why,
        });
    }

    /// How many of the next bytes nobody needs: reporting them as `missing` loses nothing. `u64::MAX`: all.
    pub fn unneeded(&self) -> u64 {
        match self.state {
            State::Prefix(..) => 0,
            State::Payload { keep: true, .. } if self.room > 0 => 0,
            State::Payload { left, .. } => left,
            State::Ended(_) => u64::MAX,
        }
    }

    /// The first [`MESSAGES`] of them, in order. The last one may still grow.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.entries.iter().map(|Entry { size, flags, front, lack }| Frame {
            size: *size,
            compressed: flags & COMPRESSED != 0,
            trailers: flags & TRAILERS != 0,
            front: self.kept.get(front.clone()).unwrap_or_default(),
            lack: *lack,
        })
    }

    /// All messages that began so far, without trailers, and their sizes together, as their prefixes say. `None`: others
    /// may have followed that could not be told apart.
    pub fn totals(&self) -> Option<(u64, u64)> {
        match self.state {
            State::Ended(Ended::PrefixLost | Ended::BadFlags(_)) => None,
            State::Ended(Ended::Cut | Ended::Clean) | State::Prefix(..) | State::Payload { .. } => {
                Some((self.messages, self.bytes))
            }
        }
    }

    /// `None` while messages are read.
    pub fn ended(&self) -> Option<Ended> {
        match self.state {
            State::Ended(why) => Some(why),
            State::Prefix(..) | State::Payload { .. } => None,
        }
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.kept.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    fn begin(&mut self, flags: u8, size: u32) {
        let allowed = match self.flavor {
            Flavor::Http2 => COMPRESSED,
            Flavor::Web => COMPRESSED | TRAILERS,
        };
        if flags & !allowed != 0 {
            self.state = State::Ended(Ended::BadFlags(flags));
            return;
        }
        if flags & TRAILERS == 0 {
            self.messages += 1;
            self.bytes = self.bytes.saturating_add(u64::from(size));
        }
        // Trailers end the stream, so one place behind the messages is enough for them.
        let told_apart = self.entries.len() < MESSAGES || flags & TRAILERS != 0 && self.entries.len() == MESSAGES;
        if told_apart {
            self.entries.push(Entry { size, flags, front: self.kept.len()..self.kept.len(), lack: None });
        }
        self.state = match size {
            0 => State::Prefix([0; PREFIX], 0),
            1.. => State::Payload { left: u64::from(size), keep: told_apart },
        };
    }

    fn keep(&mut self, payload: &[u8]) {
        let front = payload.get(..self.room).unwrap_or(payload);
        self.kept.extend_from_slice(front);
        self.room -= front.len();
        let no_room = front.len() < payload.len();
        if let Some(entry) = self.entries.last_mut() {
            entry.front.end = self.kept.len();
        }
        if no_room {
            self.lacks(Lack::Room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::grpc::testing::Random;

    fn framed(messages: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (flags, payload) in messages {
            bytes.push(*flags);
            bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
            bytes.extend_from_slice(payload);
        }
        bytes
    }

    fn list(frames: &Frames) -> Vec<(u32, bool, Vec<u8>)> {
        frames.messages().map(|frame| (frame.size, frame.compressed, frame.front.to_vec())).collect()
    }

    const THREE: [(u8, &[u8]); 4] = [(0, b"hello"), (1, b""), (1, b"abc"), (0, b"0123456789")];

    #[test]
    fn cuts_anywhere_give_the_same() {
        let bytes = framed(&THREE);
        let mut at_once = Frames::new(Flavor::Http2, 1000);
        at_once.push(&bytes);
        at_once.end();
        let expected = list(&at_once);
        assert_eq!(expected.len(), 4);
        assert_eq!(expected[3], (10, false, b"0123456789".to_vec()));
        assert_eq!((at_once.totals(), at_once.ended()), (Some((4, 18)), Some(Ended::Clean)));
        for cut in 0..bytes.len() {
            let mut frames = Frames::new(Flavor::Http2, 1000);
            frames.push(&bytes[..cut]);
            frames.push(&bytes[cut..]);
            assert_eq!((list(&frames), frames.ended()), (expected.clone(), None), "{cut}");
            let mut front = Frames::new(Flavor::Http2, 1000);
            front.push(&bytes[..cut]);
            front.end();
            let boundary = [0, 10, 15, 23, bytes.len()].contains(&cut);
            assert_eq!(front.ended(), Some(if boundary { Ended::Clean } else { Ended::Cut }), "{cut}");
            for (seen, expected) in list(&front).iter().zip(&expected) {
                assert!(seen.0 == expected.0 && expected.2.starts_with(&seen.2));
            }
        }
        let mut bytewise = Frames::new(Flavor::Http2, 1000);
        bytes.chunks(1).for_each(|byte| bytewise.push(byte));
        assert_eq!(list(&bytewise), expected);
    }

    #[test]
    fn missing_bytes_never_give_a_wrong_message() {
        let bytes = framed(&THREE);
        let truth = {
            let mut frames = Frames::new(Flavor::Http2, 1000);
            frames.push(&bytes);
            list(&frames)
        };
        for from in 0..=bytes.len() {
            for to in from..=bytes.len() {
                let mut frames = Frames::new(Flavor::Http2, 1000);
                frames.push(&bytes[..from]);
                frames.missing((to - from) as u64);
                frames.push(&bytes[to..]);
                frames.end();
                let seen = list(&frames);
                assert!(seen.len() <= truth.len());
                for (seen, truth) in seen.iter().zip(&truth) {
                    assert!(seen.0 == truth.0 && seen.1 == truth.1 && truth.2.starts_with(&seen.2), "{from}..{to}");
                }
                let inside = [5..10, 20..23, 28..38].iter().any(|p| p.start <= from && to <= p.end);
                assert_eq!(frames.ended() == Some(Ended::PrefixLost), !inside && from < to, "{from}..{to}");
                let known = inside || from == to;
                assert_eq!(frames.totals(), known.then_some((4, 18)), "{from}..{to}");
                if known {
                    assert_eq!(seen.len(), 4);
                }
                let lost = frames.messages().filter(|frame| !frame.whole());
                assert!(lost.into_iter().all(|frame| frame.lack == Some(Lack::Lost)), "{from}..{to}");
                let whole = frames.messages().filter(Frame::whole).count();
                assert_eq!(whole == 4, from == to, "{from}..{to}");
            }
        }
    }

    #[test]
    fn room_is_shared_and_the_rest_is_not_needed() {
        let bytes = framed(&[(0, &[1; 6]), (0, &[2; 6]), (0, &[3; 6])]);
        let mut frames = Frames::new(Flavor::Http2, 8);
        frames.push(&bytes[..8]);
        assert_eq!(frames.unneeded(), 0);
        frames.push(&bytes[8..18]);
        assert_eq!(frames.unneeded(), 4);
        frames.missing(4);
        assert_eq!(frames.unneeded(), 0);
        frames.push(&bytes[22..]);
        let seen: Vec<_> = frames.messages().map(|frame| (frame.front.len(), frame.lack)).collect();
        assert_eq!(seen, [(6, None), (2, Some(Lack::Room)), (0, Some(Lack::Room))]);
        frames.end();
        assert_eq!((frames.ended(), frames.unneeded()), (Some(Ended::Clean), u64::MAX));
    }

    #[test]
    fn why_a_payload_is_not_whole_is_told() {
        let lack = |room, after: fn(&mut Frames)| {
            let mut frames = Frames::new(Flavor::Http2, room);
            frames.push(&framed(&[(0, b"0123456789")])[..9]);
            after(&mut frames);
            frames.messages().next().and_then(|frame| frame.lack)
        };
        assert_eq!(lack(100, |_| {}), None);
        assert_eq!(lack(100, Frames::end), Some(Lack::Cut));
        assert_eq!(lack(100, Frames::boundaries_lost), Some(Lack::Lost));
        assert_eq!(lack(100, |frames| frames.missing(2)), Some(Lack::Lost));
        assert_eq!(lack(4, |frames| frames.missing(2)), Some(Lack::Room));
        assert_eq!(lack(2, Frames::end), Some(Lack::Room), "what came first");
    }

    #[test]
    fn many_messages_are_counted() {
        let mut frames = Frames::new(Flavor::Web, 1 << 20);
        for _ in 0..1000 {
            frames.push(&framed(&[(0, b"tick")]));
        }
        frames.push(&framed(&[(0x80, b"grpc-status:0\r\n")]));
        assert_eq!((frames.totals(), frames.messages().len()), (Some((1000, 4000)), MESSAGES + 1));
        let last = frames.messages().last().unwrap();
        assert!(last.trailers && last.whole() && last.front == b"grpc-status:0\r\n");
        assert!(frames.heap() < 8192);
        frames.push(&framed(&[(0, b"tick")]));
        assert_eq!(frames.unneeded(), 0);
        frames.push(&[0, 0, 0, 0, 9, 1]);
        assert_eq!(frames.unneeded(), 8);
    }

    #[test]
    fn other_flags_end_it() {
        let mut frames = Frames::new(Flavor::Http2, 100);
        frames.push(&framed(&[(0, b"one"), (0x80, b"x"), (0, b"two")]));
        assert_eq!(frames.ended(), Some(Ended::BadFlags(0x80)));
        assert_eq!((frames.totals(), frames.messages().len()), (None, 1));
        frames.end();
        assert_eq!(frames.ended(), Some(Ended::BadFlags(0x80)));
    }

    #[test]
    fn any_bytes_in_any_pieces_stay_in_bounds() {
        let mut random = Random(1);
        for _ in 0..2000 {
            let room = random.below(64);
            let mut frames = Frames::new(if random.below(2) == 0 { Flavor::Web } else { Flavor::Http2 }, room);
            for _ in 0..random.below(40) {
                match random.below(4) {
                    0 => frames.missing(random.next() >> random.below(64)),
                    1 => frames.push(&[0, 0, 0, 0, random.below(30) as u8]),
                    _ => {
                        let bytes = random.bytes(30);
                        frames.push(&bytes);
                    }
                }
                assert!(frames.kept.len() + frames.room == room && frames.entries.len() <= MESSAGES + 1);
                assert!(frames.messages().all(|frame| frame.front.len() as u64 <= u64::from(frame.size)));
            }
            frames.end();
        }
    }
}
