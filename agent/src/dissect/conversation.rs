//! One flow's way through dissection: which protocol it speaks, which bytes reach the dissector, and the count of every
//! byte. What no dissector reads is counted as undecoded, with its reason.
//!
//! A direction is in step, or lost. A lost one is read again from the first byte of a turn: a segment that follows the
//! other side's data and that begins like a message. A body may hold a whole message, so with most protocols nothing else
//! proves that one begins, and the first segment of a connection that is older than the capture proves nothing either.
//! Those that have a scan are also found elsewhere, by several messages in a row that fit.

mod find;

use super::{
    Direction, Dissector, Exchange, Malformed, Missing, Protocol, Settings,
    input::{Lane, Sync, Unread},
    output::{Next, Output},
    tls,
};
use crate::{
    coverage::{Counters, Reason},
    flow::{Ending, Piece, Protocol4},
    time::Time,
};

/// Undecided bytes held in one direction. Servers take 8 KiB (Apache, nginx) to 64 KiB (Go's default is 1 MiB, which
/// nobody uses up) of head; what needs more is not read.
pub(super) const INPUT_LIMIT: usize = 64 << 10;

/// Why a message beyond the limit is malformed, also one that came whole.
pub(super) const TOO_LONG: &str = "input_limit";

/// What reads a conversation.
#[derive(Clone, Copy, Debug)]
pub enum Reads {
    Detecting,
    Protocol(&'static Protocol),
    /// Nothing does, for this reason.
    Undecoded(Reason),
}

/// How much a conversation gives back when too much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    /// Messages, if that can be done without losing the thread; else all.
    Messages,
    All,
}

struct Reader {
    protocol: &'static Protocol,
    dissector: Box<dyn Dissector>,
    output: Output,
}

/// See the module.
pub struct Conversation {
    settings: Settings,
    mid_stream: bool,
    reversed: bool,
    reads: Reads,
    attempts: u8,
    server_name: Option<Box<str>>,
    /// By direction on the wire.
    lanes: [Lane; 2],
    reader: Option<Reader>,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("reads", &self.reads).field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

impl Conversation {
    /// `mid_stream`: the flow's first bytes, and who is the client, are not known.
    pub fn new(settings: &Settings, transport: Protocol4, mid_stream: bool) -> Self {
        let (sync, reads) = match (transport, mid_stream) {
            (Protocol4::Udp, _) => (Sync::Closed(Reason::UnknownProtocol), Reads::Undecoded(Reason::UnknownProtocol)),
            (Protocol4::Tcp, true) => (Sync::Lost(Reason::MidStream), Reads::Detecting),
            (Protocol4::Tcp, false) => (Sync::Probing(Reason::UnknownProtocol), Reads::Detecting),
        };
        Self {
            settings: settings.clone(),
            mid_stream,
            reversed: false,
            reads,
            attempts: 0,
            server_name: None,
            lanes: [Lane::new(sync, !mid_stream), Lane::new(sync, !mid_stream)],
            reader: None,
        }
    }

    /// Feeds one piece; finished exchanges are pushed to `done`. Does all counting of the piece: captured, skipped,
    /// lost, undecoded and malformed; captured + skipped + lost are the bytes of the pieces, after each call.
    pub fn feed(&mut self, from: Direction, piece: Piece<'_>, counters: &mut Counters, done: &mut Vec<Exchange>) {
        match piece {
            Piece::Chunk { bytes, time } => {
                counters.captured(bytes.len() as u64);
                self.chunk(from, bytes, time, counters);
            }
            // The body rate is a policy, also where a dissector would have needed the bytes.
            Piece::Gap { bytes, reason, time } => {
                self.missing(from, Missing { bytes, reason, skipped: reason == Reason::BodyRate, time }, counters);
            }
            Piece::Skip { bytes, reason, time } => {
                self.missing(from, Missing { bytes, reason, skipped: true, time }, counters)
            }
            Piece::End { how, time: _ } => self.end(from, how, counters),
        }
        self.hand_on(counters, done);
    }

    /// What the dissector has reported.
    fn hand_on(&mut self, counters: &mut Counters, done: &mut Vec<Exchange>) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        for (name, times) in reader.output.limits.drain(..) {
            counters.limit(name, times);
        }
        if done.is_empty() {
            std::mem::swap(done, &mut reader.output.done);
        } else {
            done.append(&mut reader.output.done);
        }
    }

    /// Pushes the exchanges that began before `before`, are still open, and changed since they were last published, as
    /// revisions with `open` set: a long stream or an unanswered request is visible while it runs.
    pub fn publish_open(&mut self, before: Time, done: &mut Vec<Exchange>) {
        if let Some(reader) = &mut self.reader {
            reader.output.pairing.publish_open(before, done);
        }
    }

    /// Detection found that the flow's guessed client is the server.
    pub fn reversed(&self) -> bool {
        self.reversed
    }

    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// The name that a ClientHello asked for.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Bytes on the heap: undecided input, and messages being gathered.
    pub fn held_bytes(&self) -> usize {
        let reader = self.reader.as_ref();
        let messages = reader.map_or(0, |reader| reader.output.pairing.held() + reader.dissector.held());
        self.lanes.iter().map(|lane| lane.held().len()).sum::<usize>() + messages
    }

    /// Gives back what is held: messages being gathered are closed as they are. A dissector that can goes on reading, unless
    /// this is `Relief::All`; else reading goes on at later turns.
    pub fn relieve(&mut self, relief: Relief, counters: &mut Counters, done: &mut Vec<Exchange>) {
        let reads_on = self.reader.as_mut().is_some_and(|reader| reader.dissector.relieve(&mut reader.output));
        if reads_on && relief == Relief::Messages {
            return self.hand_on(counters, done);
        }
        for direction in Direction::BOTH {
            if self.lanes[direction as usize].sync == Sync::InStep {
                self.forget(direction, Reason::InputLimit, None, counters);
            } else if !self.lanes[direction as usize].held().is_empty() {
                let lane = &mut self.lanes[direction as usize];
                counters.undecoded.add(Reason::InputLimit, lane.clear() as u64);
                (lane.sync, lane.whole) = (Sync::Lost(Reason::InputLimit), false);
                self.lose(direction, None, counters);
            }
        }
        self.hand_on(counters, done);
    }

    /// Start of the oldest exchange that is still open, or that may begin with bytes that are held.
    pub fn oldest_open(&self) -> Option<Time> {
        let open = self.reader.as_ref().and_then(|reader| reader.output.pairing.oldest());
        self.lanes.iter().filter_map(Lane::held_since).chain(open).min()
    }

    // === bytes ===

    fn chunk(&mut self, from: Direction, bytes: &[u8], time: Time, counters: &mut Counters) {
        if bytes.is_empty() {
            return;
        }
        self.lanes[from.other() as usize].turn = true;
        let turn = std::mem::take(&mut self.lanes[from as usize].turn);
        if turn && let Some(reader) = &mut self.reader {
            reader.dissector.turn(role(self.reversed, from), &mut reader.output);
            self.apply(counters);
        }
        let scans = self.may_scan(from, turn);
        let lane = &mut self.lanes[from as usize];
        if lane.sync != Sync::InStep {
            lane.unread.add(bytes, turn);
        }
        match lane.sync {
            Sync::InStep => {
                let rest = lane.pass(bytes, time);
                if !lane.skipping() {
                    self.decode(from, rest, time, turn && rest.len() == bytes.len(), counters);
                }
            }
            Sync::Closed(reason) => counters.undecoded.add(reason, bytes.len() as u64),
            Sync::Scanning(reason) => self.scan(from, bytes, time, turn, reason, counters),
            Sync::Lost(reason) if !turn && scans => {
                self.scan(from, bytes, time, turn, reason, counters);
            }
            Sync::Lost(reason) if !turn => {
                counters.undecoded.add(reason, bytes.len() as u64);
                self.lose(from, None, counters);
            }
            Sync::Lost(reason) => {
                lane.sync = Sync::Probing(reason);
                self.probe(from, bytes, time, turn, counters);
            }
            Sync::Probing(_) => self.probe(from, bytes, time, turn, counters),
        }
    }

    fn decode(&mut self, from: Direction, chunk: &[u8], time: Time, turn: bool, counters: &mut Counters) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        let lane = &mut self.lanes[from as usize];
        let role = role(self.reversed, from);
        let result = lane.read(chunk, time, turn, |input| reader.dissector.decode(role, input, &mut reader.output));
        let failed = match result {
            Err(Malformed(TOO_LONG)) => Some((TOO_LONG, Reason::InputLimit)),
            Err(Malformed(what)) => Some((what, Reason::Malformed)),
            Ok(()) if lane.held().len() > INPUT_LIMIT => Some((TOO_LONG, Reason::InputLimit)),
            Ok(()) => None,
        };
        self.apply(counters);
        if let Some((what, reason)) = failed {
            if let Some(reader) = &self.reader {
                counters.malformed(reader.protocol.name, what);
            }
            self.forget(from, reason, None, counters);
        }
    }

    // === missing bytes, and the end ===

    fn missing(&mut self, from: Direction, missing: Missing, counters: &mut Counters) {
        let lane = &mut self.lanes[from as usize];
        lane.turn = false;
        let mut missing = missing;
        let passed = if lane.sync == Sync::InStep { lane.pass_missing(missing.bytes, missing.time) } else { 0 };
        if passed > 0 {
            counters.skipped(passed, missing.reason);
            missing.bytes -= passed;
            if let Some(reader) = &mut self.reader {
                let passed = Missing { bytes: passed, skipped: true, ..missing };
                reader.dissector.passed_over(role(self.reversed, from), passed, &mut reader.output);
            }
            if !self.lanes[from as usize].skipping() {
                self.decode(from, &[], Time(0), false, counters);
            }
        }
        if missing.bytes == 0 {
            return;
        }
        if missing.skipped {
            counters.skipped(missing.bytes, missing.reason);
        } else {
            counters.lost(missing.bytes, missing.reason);
        }
        let lane = &mut self.lanes[from as usize];
        lane.advance(missing.bytes, missing.time);
        match lane.sync {
            Sync::Closed(_) => {}
            Sync::InStep => {
                let Some(reader) = &mut self.reader else {
                    return;
                };
                // Held bytes wait for the next ones to be told what they are.
                let used = if lane.held().is_empty() {
                    reader.dissector.gap(role(self.reversed, from), missing, &mut reader.output).min(missing.bytes)
                } else {
                    0
                };
                missing.bytes -= used;
                self.apply(counters);
                if missing.bytes > 0 {
                    self.forget(from, missing.reason, Some(missing), counters);
                } else {
                    self.decode(from, &[], Time(0), false, counters);
                }
            }
            Sync::Probing(_) | Sync::Scanning(_) | Sync::Lost(_) => {
                self.forget(from, missing.reason, Some(missing), counters)
            }
        }
    }

    fn end(&mut self, from: Direction, how: Ending, counters: &mut Counters) {
        let lane = &mut self.lanes[from as usize];
        if lane.ended.replace(how).is_some() {
            return;
        }
        if self.reader.is_none() && tls::begins(lane.held()).1.is_some() {
            // A hello that goes on beyond what came.
            self.close(Reason::Encrypted, counters);
        }
        let lane = &mut self.lanes[from as usize];
        if let Some(reader) = &mut self.reader {
            let role = role(self.reversed, from);
            lane.read(&[], Time(0), false, |input| reader.dissector.end(role, input, how, &mut reader.output));
        }
        self.apply(counters);
        let lane = &mut self.lanes[from as usize];
        let left = lane.clear() as u64;
        let reason = match (lane.sync, how) {
            (Sync::Closed(reason) | Sync::Lost(reason) | Sync::Probing(reason) | Sync::Scanning(reason), _) => reason,
            (Sync::InStep, Ending::Fin | Ending::Reset) => Reason::Malformed,
            (Sync::InStep, Ending::Expired) => Reason::NotCaptured,
            (Sync::InStep, Ending::Evicted) => Reason::FlowLimit,
        };
        if left > 0
            && let Some(reader) =
                self.reader.as_ref().filter(|_| reason == Reason::Malformed && lane.sync == Sync::InStep)
        {
            counters.malformed(reader.protocol.name, "cut_short");
        }
        counters.undecoded.add(reason, left);
        lane.sync = Sync::Closed(reason);
    }

    // === losing the thread ===

    /// What is held can't be read: it is counted, and reading goes on at a later turn.
    fn forget(&mut self, from: Direction, reason: Reason, missing: Option<Missing>, counters: &mut Counters) {
        let lane = &mut self.lanes[from as usize];
        // After a gap nothing that was held can go on.
        let forgotten = match missing {
            Some(missing) => {
                let held = lane.clear();
                lane.unread = Unread { bytes: held as u64 + missing.bytes, ..Unread::default() };
                held
            }
            None => lane.forget(),
        };
        counters.undecoded.add(reason, forgotten as u64);
        lane.whole = false;
        lane.sync = if lane.held().is_empty() { Sync::Lost(reason) } else { Sync::Probing(reason) };
        self.lose(from, missing, counters);
        self.probe(from, &[], Time(0), false, counters);
    }

    /// Tells the dissector that bytes pass unread.
    fn lose(&mut self, from: Direction, missing: Option<Missing>, counters: &mut Counters) {
        match &mut self.reader {
            Some(reader) => reader.dissector.lose(role(self.reversed, from), missing, &mut reader.output),
            None => {
                let lane = &mut self.lanes[from as usize];
                lane.missed = missing.or(lane.missed);
            }
        }
        self.apply(counters);
    }

    /// Does what the dissector asked for besides reporting messages.
    fn apply(&mut self, counters: &mut Counters) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        for what in reader.output.malformed.drain(..) {
            counters.malformed(reader.protocol.name, what);
        }
        if let Some(Next { protocol, dissector }) = reader.output.next.take() {
            (reader.protocol, reader.dissector) = (protocol, dissector);
            self.reads = Reads::Protocol(protocol);
            for direction in Direction::BOTH {
                self.decode(direction, &[], Time(0), false, counters);
            }
            return;
        }
        if let Some(reason) = reader.output.left.take() {
            self.close(reason, counters);
            return;
        }
        if reader.output.lost == [None; 2] && reader.output.retry == [false; 2] {
            return;
        }
        let lost = std::mem::take(&mut reader.output.lost);
        let retry = std::mem::take(&mut reader.output.retry);
        for direction in Direction::BOTH {
            let role = role(self.reversed, direction) as usize;
            if let Some(reason) = lost[role] {
                let lane = &mut self.lanes[direction as usize];
                counters.undecoded.add(reason, lane.clear() as u64);
                (lane.sync, lane.whole) = (Sync::Lost(reason), false);
            }
            if retry[role] {
                self.decode(direction, &[], Time(0), false, counters);
            }
        }
    }

    /// Nothing is read any more, in either direction.
    fn close(&mut self, reason: Reason, counters: &mut Counters) {
        self.reads = Reads::Undecoded(reason);
        for lane in &mut self.lanes {
            counters.undecoded.add(reason, lane.clear() as u64);
            lane.sync = Sync::Closed(reason);
        }
    }
}

fn role(reversed: bool, from: Direction) -> Direction {
    if reversed { from.other() } else { from }
}
