//! Finding where to read: which protocol a conversation speaks, and where it goes on in a direction that is lost.

use super::{Conversation, INPUT_LIMIT, Reader, Reads, role};
use crate::{
    coverage::{Counters, Reason},
    dissect::{
        Direction, Match, Protocol, Scan,
        detect::{self, Found},
        input::{Input, Sync, Unread},
        output::Output,
    },
    time::Time,
};

/// Turns of a connection joined in mid-stream that began like nothing known, until it is called unknown. It is still
/// tried at each turn: the next message may be the first that begins where a segment does.
const ATTEMPTS: u8 = 4;

/// Bytes of a side, of a connection joined in mid-stream, that are searched for the start of a message. What has none in
/// so many is likely a long body; afterwards it is looked for at turns only.
const SCANNED: u64 = 1 << 20;

impl Conversation {
    /// Asks whether a message begins with what is held and `chunk` behind it.
    pub(super) fn probe(&mut self, from: Direction, chunk: &[u8], time: Time, turn: bool, counters: &mut Counters) {
        let lane = &mut self.lanes[from as usize];
        let Sync::Probing(reason) = lane.sync else {
            return;
        };
        let mut chunk = chunk;
        if !lane.held().is_empty() {
            lane.hold(chunk, time, turn);
            chunk = &[];
        }
        let lane = &self.lanes[from as usize];
        let bytes = if lane.held().is_empty() { chunk } else { lane.held() };
        let unread = self.lanes[from.other() as usize].unread;
        let verdict = match &mut self.reader {
            Some(reader) => {
                let role = role(self.reversed, from);
                match (reader.protocol.probe)(role, bytes) {
                    Match::Yes if reader.dissector.resume(role, bytes, unread, &mut reader.output) => Match::Yes,
                    Match::Yes | Match::No => Match::No,
                    Match::NeedMore => Match::NeedMore,
                }
            }
            None => match detect::look(from, bytes, self.mid_stream) {
                Found::Protocol { protocol, reversed } => {
                    let plausible = self.open(protocol, reversed, from, chunk, unread, counters);
                    if plausible { Match::Yes } else { Match::No }
                }
                Found::Encrypted { server_name, reversed } => {
                    counters.undecoded.add(Reason::Encrypted, chunk.len() as u64);
                    self.server_name = server_name.map(String::into_boxed_str);
                    self.reversed = reversed;
                    self.close(Reason::Encrypted, counters);
                    return;
                }
                Found::Nothing => Match::No,
                Found::NeedMore => Match::NeedMore,
            },
        };
        match verdict {
            Match::Yes => {
                self.lanes[from as usize].sync = Sync::InStep;
                // What the other side sent before anybody knew the protocol was there first.
                let other = &mut self.lanes[from.other() as usize];
                if other.whole && matches!(other.sync, Sync::Probing(_)) {
                    other.sync = Sync::InStep;
                    self.decode(from.other(), &[], time, false, counters);
                }
                self.decode(from, chunk, time, turn, counters);
            }
            Match::NeedMore if self.lanes[from as usize].held().len() + chunk.len() <= INPUT_LIMIT => {
                self.lanes[from as usize].hold(chunk, time, turn);
            }
            // What was too short to tell was nothing; a message may begin with the turn behind it.
            Match::No if self.reader.is_none() && self.lanes[from as usize].holds_turn() => {
                let forgotten = self.lanes[from as usize].forget();
                counters.undecoded.add(reason, forgotten as u64);
                self.probe(from, &[], time, false, counters);
            }
            Match::NeedMore | Match::No if self.may_scan(from, turn) => {
                self.scan(from, chunk, time, turn, reason, counters);
            }
            Match::NeedMore | Match::No => {
                let lane = &mut self.lanes[from as usize];
                let unread = lane.clear() + chunk.len();
                if unread == 0 {
                    return;
                }
                counters.undecoded.add(reason, unread as u64);
                (lane.sync, lane.whole, lane.refused) = (Sync::Lost(reason), false, true);
                self.lose(from, None, counters);
                self.give_up(counters);
            }
        }
    }

    /// Whether bytes that no probe takes for a start may hold one.
    pub(super) fn may_scan(&self, from: Direction, turn: bool) -> bool {
        match &self.reader {
            Some(reader) => reader.protocol.scan.is_some(),
            None => self.mid_stream && (turn || self.lanes[from as usize].scanned < SCANNED),
        }
    }

    /// Looks for a message that begins anywhere in what is held and `chunk` behind it.
    pub(super) fn scan(
        &mut self,
        from: Direction,
        chunk: &[u8],
        time: Time,
        turn: bool,
        reason: Reason,
        counters: &mut Counters,
    ) {
        let lane = &mut self.lanes[from as usize];
        if turn && self.reader.is_none() && matches!(lane.sync, Sync::Scanning(_)) {
            // Another protocol may begin here.
            if !matches!(detect::look(from, chunk, self.mid_stream), Found::Nothing) {
                counters.undecoded.add(reason, lane.clear() as u64);
                lane.sync = Sync::Probing(reason);
                return self.probe(from, chunk, time, turn, counters);
            }
        }
        lane.hold(chunk, time, turn);
        let found = match &self.reader {
            Some(reader) => {
                (reader.protocol, reader.dissector.find(role(self.reversed, from), lane.begins_turn(), lane.held()))
            }
            None => detect::scan_all(lane.held()),
        };
        let (drop, found) = match found {
            (protocol, Scan::Found { at, sender }) => (at, Some((protocol, sender))),
            (_, Scan::Undecided(before)) if lane.held().len() - before > INPUT_LIMIT => (lane.held().len(), None),
            (_, Scan::Undecided(before)) => (before, None),
        };
        lane.drop(drop);
        counters.undecoded.add(reason, drop as u64);
        let Some((protocol, sender)) = found else {
            lane.whole = false;
            if !lane.held().is_empty() {
                lane.sync = Sync::Scanning(reason);
                return;
            }
            lane.sync = Sync::Lost(reason);
            if turn {
                lane.refused = true;
                self.give_up(counters);
            }
            return;
        };
        let unread = self.lanes[from.other() as usize].unread;
        let held = self.lanes[from as usize].held();
        let plausible = match &mut self.reader {
            Some(reader) => reader.dissector.resume(sender, held, unread, &mut reader.output),
            None => self.open(protocol, sender != from, from, &[], unread, counters),
        };
        if !plausible {
            let lane = &mut self.lanes[from as usize];
            counters.undecoded.add(reason, lane.clear() as u64);
            lane.sync = Sync::Lost(reason);
            return;
        }
        self.lanes[from as usize].sync = Sync::InStep;
        // What the other side said before can be read now, and comes first.
        if let Sync::Scanning(reason) = self.lanes[from.other() as usize].sync {
            self.scan(from.other(), &[], time, false, reason, counters);
        }
        self.decode(from, &[], time, false, counters);
    }

    /// A protocol is found, by what is held of `from` or by `chunk`: whether it is plausible here.
    fn open(
        &mut self,
        protocol: &'static Protocol,
        reversed: bool,
        from: Direction,
        chunk: &[u8],
        unread: Unread,
        counters: &mut Counters,
    ) -> bool {
        let mut reader = Reader { protocol, dissector: (protocol.open)(&self.settings), output: Output::new(protocol) };
        for direction in Direction::BOTH {
            let lane = &self.lanes[direction as usize];
            if !lane.whole {
                reader.dissector.lose(role(reversed, direction), lane.missed, &mut reader.output);
            }
            if let Some(how) = lane.ended {
                let end = |input: &mut Input<'_>| {
                    reader.dissector.end(role(reversed, direction), input, how, &mut reader.output)
                };
                self.lanes[direction as usize].read(&[], Time(0), false, end);
            }
        }
        let lane = &self.lanes[from as usize];
        let bytes = if lane.held().is_empty() { chunk } else { lane.held() };
        if !lane.whole && !reader.dissector.resume(role(reversed, from), bytes, unread, &mut reader.output) {
            return false;
        }
        self.reversed = reversed;
        self.reads = Reads::Protocol(protocol);
        self.reader = Some(reader);
        for lane in self.lanes.iter_mut().filter(|_| protocol.scan.is_none()) {
            if let Sync::Scanning(reason) = lane.sync {
                counters.undecoded.add(reason, lane.clear() as u64);
                lane.sync = Sync::Lost(reason);
            }
        }
        true
    }

    /// No protocol was found in what a side sent: whether to go on looking. One side alone proves nothing: it may be a
    /// scan, or a banner before the client speaks.
    fn give_up(&mut self, counters: &mut Counters) {
        if self.reader.is_some() {
            return;
        }
        self.attempts = self.attempts.saturating_add(1);
        if !self.mid_stream && self.lanes.iter().all(|lane| lane.refused) {
            self.close(Reason::UnknownProtocol, counters);
        } else if self.attempts >= ATTEMPTS {
            self.reads = Reads::Undecoded(Reason::UnknownProtocol);
            for lane in &mut self.lanes {
                if let Sync::Lost(reason) = &mut lane.sync {
                    *reason = Reason::UnknownProtocol;
                }
            }
        }
    }
}
