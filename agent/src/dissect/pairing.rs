//! Pairing: which answer belongs to which request. In order, as HTTP/1 answers (RFC 9112 section 9.3.2); a protocol
//! that answers by a key (stream, correlation id) finds its slot by that key instead of by `awaited`.
//!
//! A wrong pair is worse than none. When requests or answers passed unseen, what cannot be paired for certain is
//! reported as halves: a request without answer, an answer without request. Pairing resumes when no request can be
//! outstanding any more: a client that begins a turn after the server's message was complete waits for its answers,
//! unless it was seen to overlap turns before.

use std::collections::VecDeque;

use super::{Direction, Exchange, Incomplete, Message, Missing, Protocol};
use crate::time::Time;

/// Which half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Request,
    Response,
}

impl From<Direction> for Half {
    /// Of what is sent so.
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::ToServer => Self::Request,
            Direction::ToClient => Self::Response,
        }
    }
}

/// Names an open exchange: its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u32);

/// Requests outstanding in one conversation. Browsers and load generators pipeline a few dozen at most; beyond it, a
/// capture of one direction only is likelier than a real queue.
const OUTSTANDING: usize = 256;

/// Bytes that the open exchanges of one conversation may hold together, before they are reported as they are.
pub(super) const HELD: usize = 4 << 20;

/// A body that grows is published again after this time at the earliest: each revision carries all that was kept.
const GROWTH_EVERY: u64 = 1_000_000_000;

#[derive(Debug)]
struct Slot {
    exchange: Exchange,
    /// An answer may still come for it.
    awaits: bool,
    /// Halves that are being read.
    reading: [bool; 2],
    /// Halves whose kept bytes wait for their content decoding.
    coded: [bool; 2],
    began: Time,
    /// Its request's first byte began a turn.
    turn: bool,
    /// Found by a key of its protocol, and open until `finish`.
    keyed: bool,
    /// What happened since it was last published.
    news: News,
    published: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum News {
    None,
    Growth,
    Event,
}

impl Slot {
    fn half(&mut self, half: Half) -> Option<&mut Message> {
        match half {
            Half::Request => self.exchange.request.as_mut(),
            Half::Response => self.exchange.response.as_mut(),
        }
    }

    fn is_done(&self) -> bool {
        !self.awaits && self.reading == [false; 2]
    }

    /// Of a stream an interim answer may be all that was seen.
    fn has_message(&self) -> bool {
        self.exchange.request.is_some() || self.exchange.response.is_some()
    }

    fn held(&self) -> usize {
        [&self.exchange.request, &self.exchange.response].into_iter().flatten().map(Message::heap).sum()
    }
}

/// The open exchanges of one conversation, in the order in which they began.
#[derive(Debug)]
pub(super) struct Pairing {
    protocol: &'static Protocol,
    slots: VecDeque<Slot>,
    next: u32,
    /// New requests can be paired.
    in_step: bool,
    /// The client was seen to begin a turn before it had its answers.
    overlaps: bool,
    /// An answer came that no request explains: one was not captured, or the capture is out of order.
    unexplained: bool,
    /// Requests given up because their answer seemed to have passed unseen: so many answers may still come for them.
    excused: u32,
    /// What is missing since `in_step` was left.
    unseen: Incomplete,
    answers_ended: bool,
    /// Time of the last byte of the last answer.
    answered: Time,
}

impl Pairing {
    pub(super) fn new(protocol: &'static Protocol) -> Self {
        Self {
            protocol,
            slots: VecDeque::new(),
            next: 0,
            in_step: true,
            overlaps: false,
            unexplained: false,
            excused: 0,
            unseen: Incomplete::default(),
            answers_ended: false,
            answered: Time(0),
        }
    }

    fn open(&mut self, began: Time, request: Option<Message>, response: Option<Message>) -> &mut Slot {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let reading = [request.is_some(), response.is_some()];
        self.slots.push_back(Slot {
            exchange: Exchange {
                number,
                revision: 0,
                open: false,
                protocol: self.protocol,
                stream_id: None,
                request,
                response,
                reset: None,
                incomplete: Incomplete::default(),
                findings: Vec::new(),
            },
            awaits: false,
            reading,
            coded: [false; 2],
            began,
            turn: false,
            keyed: false,
            news: News::Event,
            published: Time(0),
        });
        let last = self.slots.len() - 1;
        &mut self.slots[last]
    }

    /// A request begins. `turn`: its first byte begins a turn.
    pub(super) fn request(&mut self, message: Message, turn: bool, done: &mut Vec<Exchange>) -> Handle {
        let waiting = self.slots.iter().filter(|slot| slot.awaits).count();
        if waiting >= OUTSTANDING || (waiting > 1 && self.held() > HELD) {
            self.give_up(None, done);
            (self.in_step, self.overlaps) = (false, true);
        } else if waiting == 0 && turn {
            self.excused = 0;
        }
        let (in_step, awaits) = (self.in_step, self.in_step && !self.answers_ended);
        let unseen = if in_step { Incomplete::default() } else { self.unseen.clone() };
        // What stood behind a CONNECT that was refused was held until the answer was there.
        let pipelined = message.started < self.answered;
        let slot = self.open(message.started, Some(message), None);
        slot.exchange.findings.extend(pipelined.then_some("pipelined"));
        slot.awaits = awaits;
        slot.turn = turn;
        slot.exchange.incomplete = unseen;
        Handle(slot.exchange.number)
    }

    /// The exchange that the next answer belongs to.
    pub(super) fn awaited(&self) -> Option<&Exchange> {
        self.outstanding().next()
    }

    /// The exchanges that an answer may still come for.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = &Exchange> {
        self.slots.iter().filter(|slot| slot.awaits).map(|slot| &slot.exchange)
    }

    /// A final answer begins.
    pub(super) fn response(&mut self, message: Message) -> Handle {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.awaits) {
            slot.awaits = false;
            slot.reading[Half::Response as usize] = true;
            slot.exchange.response = Some(message);
            slot.news = News::Event;
            return Handle(slot.exchange.number);
        }
        let unseen = self.unseen.clone();
        if self.excused > 0 {
            self.excused -= 1;
        } else if self.in_step {
            // An answer to nothing: requests are answered in an order that was not seen. No pair is certain any more.
            (self.in_step, self.unexplained) = (false, true);
        }
        let slot = self.open(message.started, None, Some(message));
        slot.exchange.incomplete = unseen;
        Handle(slot.exchange.number)
    }

    /// Numbers only grow.
    fn find(&self, handle: Handle) -> Option<usize> {
        let first = self.slots.front()?.exchange.number;
        let since = |number: u32| number.wrapping_sub(first);
        self.slots.binary_search_by_key(&since(handle.0), |slot| since(slot.exchange.number)).ok()
    }

    fn slot(&mut self, handle: Handle) -> Option<&mut Slot> {
        let at = self.find(handle)?;
        self.slots.get_mut(at)
    }

    // === by stream ===

    /// An exchange that is found by its stream or another key, and open until `finish`.
    pub(super) fn stream(&mut self, stream: Option<u64>, began: Time) -> Handle {
        let slot = self.open(began, None, None);
        (slot.awaits, slot.keyed, slot.exchange.stream_id) = (true, true, stream);
        Handle(slot.exchange.number)
    }

    /// The exchange that awaits the next answer becomes a stream's; others are not answered any more.
    pub(super) fn hand_over(
        &mut self,
        protocol: &'static Protocol,
        stream: u64,
        done: &mut Vec<Exchange>,
    ) -> Option<Handle> {
        self.protocol = protocol;
        let chosen = self.slots.iter().position(|slot| slot.awaits);
        for (at, slot) in self.slots.iter_mut().enumerate() {
            slot.reading = [false; 2];
            slot.awaits = Some(at) == chosen;
        }
        let handle = chosen.and_then(|at| self.slots.get_mut(at)).map(|slot| {
            (slot.keyed, slot.exchange.stream_id) = (true, Some(stream));
            Handle(slot.exchange.number)
        });
        self.collect(done);
        handle
    }

    pub(super) fn exchange(&mut self, handle: Handle) -> Option<&mut Exchange> {
        self.slot(handle).map(|slot| &mut slot.exchange)
    }

    /// A half of it begins.
    pub(super) fn begin(&mut self, handle: Handle, half: Half, message: Message) {
        let Some(slot) = self.slot(handle) else { return };
        slot.reading[half as usize] = true;
        slot.news = News::Event;
        match half {
            Half::Request => slot.exchange.request = Some(message),
            Half::Response => slot.exchange.response = Some(message),
        }
    }

    /// Nothing more comes of it.
    pub(super) fn finish(&mut self, handle: Handle, done: &mut Vec<Exchange>) {
        if let Some(at) = self.find(handle)
            && let Some(slot) = self.slots.remove(at)
            && slot.has_message()
        {
            done.push(slot.exchange);
        }
    }

    /// It was none.
    pub(super) fn discard(&mut self, handle: Handle) {
        if let Some(at) = self.find(handle) {
            self.slots.remove(at);
        }
    }

    /// A half that is being read, to add to its body.
    pub(super) fn message(&mut self, handle: Handle, half: Half) -> Option<&mut Message> {
        let slot = self.slot(handle)?;
        if slot.news == News::None {
            slot.news = News::Growth;
        }
        slot.half(half)
    }

    /// The kept bytes of this half are raw until it is closed.
    pub(super) fn coded(&mut self, handle: Handle, half: Half) {
        if let Some(slot) = self.slot(handle) {
            slot.coded[half as usize] = true;
        }
    }

    pub(super) fn finding(&mut self, handle: Handle, finding: &'static str) {
        if let Some(slot) = self.slot(handle)
            && !slot.exchange.findings.contains(&finding)
        {
            slot.exchange.findings.push(finding);
        }
    }

    /// A finding of the exchange that the next answer belongs to.
    pub(super) fn awaited_finding(&mut self, finding: &'static str) {
        if let Some(number) = self.awaited().map(|exchange| exchange.number) {
            self.finding(Handle(number), finding);
        }
    }

    pub(super) fn missing(&mut self, handle: Handle, missing: Missing) {
        if let Some(slot) = self.slot(handle) {
            slot.exchange.incomplete.add(missing);
        }
    }

    /// A half is read as far as it can be.
    pub(super) fn close(&mut self, handle: Handle, half: Half, done: &mut Vec<Exchange>) {
        let Some(at) = self.find(handle) else {
            return;
        };
        let slot = &mut self.slots[at];
        slot.reading[half as usize] = false;
        slot.coded[half as usize] = false;
        slot.news = News::Event;
        if slot.keyed {
            return;
        }
        let answered = slot.exchange.response.as_ref().filter(|_| half == Half::Response).map(|message| message.ended);
        if slot.is_done() {
            let slot = if at == 0 { self.slots.pop_front() } else { self.slots.remove(at) };
            done.extend(slot.map(|slot| slot.exchange));
        }
        self.answered = self.answered.max(answered.unwrap_or_default());
        // By their times: segments that wait for a missing one are handed on after the other side's later ones.
        if let Some(ended) = answered
            && let Some(next) = self.slots.iter_mut().find(|slot| slot.awaits && slot.began < ended)
        {
            if !next.exchange.findings.contains(&"pipelined") {
                next.exchange.findings.push("pipelined");
            }
            self.overlaps |= next.turn;
        }
    }

    /// Requests may have passed unseen: the ones that are known are still answered first, new ones can't be paired.
    pub(super) fn missed_requests(&mut self, missing: Option<Missing>) {
        // A gap is known only some time after it: the answer to what was lost in it may have come before.
        self.unexplained &= missing.is_none();
        self.leave_step(missing);
    }

    fn leave_step(&mut self, missing: Option<Missing>) {
        self.in_step = false;
        if let Some(missing) = missing {
            self.unseen.add(missing);
        }
    }

    /// The client begins a turn with a request while no answer is being read: whether it can be paired.
    pub(super) fn resume(&mut self) {
        if !self.overlaps && !self.unexplained && self.awaited().is_none() {
            self.in_step = true;
            self.unseen = Incomplete::default();
        }
    }

    /// Bytes of answers passed unseen; `reading`: of one that was being read, and that is closed by now. With one
    /// request outstanding they were its answer; with more, nobody knows whose.
    pub(super) fn missed_responses(&mut self, missing: Option<Missing>, reading: bool, done: &mut Vec<Exchange>) {
        let waiting = self.slots.iter().filter(|slot| slot.awaits).count();
        if waiting == 0 {
            if let Some(missing) = missing.filter(|_| !self.in_step) {
                self.unseen.add(missing);
            }
            return;
        }
        let theirs = usize::from(!reading);
        if waiting > theirs {
            self.leave_step(missing);
            // Turns overlap, or what waited for the missing bytes is handed on late: nobody can tell which.
            self.overlaps |= self.slots.iter().filter(|slot| slot.awaits).skip(theirs).any(|slot| slot.turn);
        }
        self.excused = self.excused.saturating_add(u32::try_from(waiting).unwrap_or(u32::MAX));
        self.give_up(missing, done);
    }

    /// No answer comes for what is outstanding, or none that could be told.
    fn give_up(&mut self, missing: Option<Missing>, done: &mut Vec<Exchange>) {
        for slot in self.slots.iter_mut().filter(|slot| slot.awaits) {
            slot.awaits = false;
            slot.news = News::Event;
            if let Some(missing) = missing {
                slot.exchange.incomplete.add(missing);
            }
        }
        self.collect(done);
    }

    /// Nothing more comes from the server.
    pub(super) fn end_answers(&mut self, done: &mut Vec<Exchange>) {
        self.answers_ended = true;
        self.give_up(None, done);
    }

    fn collect(&mut self, done: &mut Vec<Exchange>) {
        for slot in std::mem::take(&mut self.slots) {
            if slot.is_done() {
                done.push(slot.exchange);
            } else {
                self.slots.push_back(slot);
            }
        }
    }

    /// See `Conversation::publish_open`.
    pub(super) fn publish_open(&mut self, before: Time, done: &mut Vec<Exchange>) {
        for slot in &mut self.slots {
            let due = match slot.news {
                News::None => false,
                News::Growth => before.0.saturating_sub(slot.published.0) >= GROWTH_EVERY,
                News::Event => true,
            };
            if !due || slot.began >= before || !slot.has_message() {
                continue;
            }
            let mut revision = slot.exchange.clone();
            revision.open = true;
            let halves = [(&mut revision.request, slot.coded[0]), (&mut revision.response, slot.coded[1])];
            for (message, coded) in halves {
                if let Some(message) = message.as_mut().filter(|_| coded) {
                    // Raw bytes of an encoding can't be shown as the content that they are not yet.
                    message.body.kept = Vec::new();
                    message.body.truncated = true;
                }
            }
            done.push(revision);
            slot.exchange.revision += 1;
            slot.news = News::None;
            slot.published = before;
        }
    }

    pub(super) fn held_by(&self, handle: Handle) -> usize {
        self.find(handle).and_then(|at| self.slots.get(at)).map_or(0, Slot::held)
    }

    pub(super) fn held(&self) -> usize {
        self.slots.iter().map(Slot::held).sum()
    }

    pub(super) fn oldest(&self) -> Option<Time> {
        self.slots.iter().map(|slot| slot.began).min()
    }
}
