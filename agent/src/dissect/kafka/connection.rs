//! A connection: the frames of both sides, and which answer belongs to which request.
//!
//! Brokers answer in order, by the request's correlation id, and a produce with acks=0 not at all. An answer is read by its
//! request's version, so one whose request was not seen stays closed. A frame's size stands in front of it: bytes that are
//! missing inside it harm only what they carry.

use std::{collections::VecDeque, sync::Arc};

use super::{
    detect,
    facts::{Facts, Software},
    frame::{Frame, ReadBy},
    keys::{API_VERSIONS, PRODUCE, SASL_HANDSHAKE, UNSUPPORTED_VERSION},
    message::{self, Front, Header, KafkaRequest, KafkaResponse},
    schema,
    topics::TopicNames,
};
use crate::{
    coverage::Reason,
    dissect::{
        Body, Carried, Direction, Dissector, Head, Headers, Malformed, Message, Missing, Scan, Settings,
        input::{Input, Unread},
        output::Output,
        pairing::{Half, Handle},
    },
    flow::Ending,
    time::Time,
};

/// A message. Brokers take 100 MiB by default (socket.request.max.bytes); their answers have no limit.
pub const FRAME_LIMIT: u32 = 1 << 30;

/// Requests without an answer. Clients have 5 outstanding by default, some thousands when they are told to flood.
const WAITING: usize = 4096;

const OUTSTANDING_LIMIT: &str = "outstanding_limit";

/// Bytes that a connection's requests may hold together while they wait, as for other protocols.
const HELD: usize = 4 << 20;

/// The same when too much is held on all connections.
const RELIEVED: usize = 16 << 10;

const MEMORY_LIMIT: &str = "memory_limit";

/// A request that waits for its answer.
#[derive(Debug)]
struct Waiting {
    /// `None`: a token of SASL.
    asked: Option<Asked>,
    handle: Handle,
    /// Answers passed unseen since.
    doubtful: bool,
    /// What it holds, once it was read.
    bytes: usize,
}

/// What an answer is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub key: i16,
    pub version: i16,
    id: i32,
}

impl Waiting {
    fn id(&self) -> Option<i32> {
        self.asked.map(|asked| asked.id)
    }
}

#[derive(Debug)]
enum State {
    /// A size, and a header behind it.
    Front,
    Body {
        handle: Handle,
        frame: Box<Frame>,
    },
    Lost,
}

/// See the module.
#[derive(Debug)]
pub struct Kafka {
    max_body: usize,
    names: Arc<TopicNames>,
    /// By direction: requests first.
    states: [State; 2],
    waiting: VecDeque<Waiting>,
    held_by_waiting: usize,
    software: Option<Arc<Software>>,
    /// Both sides were seen since the connection began, and nothing was given up.
    whole: bool,
    /// An answer came that belongs to a request.
    confirmed: bool,
    /// Requests passed unseen, or were given up: an answer may be to one of those.
    unseen: bool,
    last_id: Option<i32>,
    /// The client does not count its requests.
    repeats: bool,
    /// The next frames may be tokens without a header (KIP-43: behind a SaslHandshake of version 0), until the client that
    /// has asked for it speaks as before.
    tokens: bool,
    handshake: Option<Box<str>>,
    answers_ended: bool,
    /// A request that goes on though its answer is there.
    answered_early: Option<Handle>,
}

impl Kafka {
    pub fn new(settings: &Settings) -> Self {
        Self {
            max_body: settings.max_body,
            names: settings.topic_names.clone(),
            states: [State::Front, State::Front],
            waiting: VecDeque::new(),
            held_by_waiting: 0,
            software: None,
            whole: true,
            confirmed: false,
            unseen: false,
            last_id: None,
            repeats: false,
            tokens: false,
            handshake: None,
            answers_ended: false,
            answered_early: None,
        }
    }

    fn request(&mut self, input: &mut Input<'_>, out: &mut Output) -> Result<bool, Malformed> {
        let Some((size, rest)) = input.bytes().split_first_chunk::<4>() else { return Ok(false) };
        let size = u32::from_be_bytes(*size);
        if size > FRAME_LIMIT {
            return Err(Malformed("frame_size"));
        }
        let all = rest.len() >= size as usize;
        let (header, taken) = match message::request_header(&rest[..rest.len().min(size as usize)], size) {
            Front::Header(header, taken) if !self.tokens || self.speaks_as_before(&header) => (Some(header), taken),
            Front::More if !all => return Ok(false),
            _ if self.tokens => (None, 0),
            Front::Header(..) | Front::More => return Err(Malformed("header")),
            Front::No(why) => return Err(Malformed(why)),
        };
        let read_by = match &header {
            None => ReadBy::Closed("sasl_token"),
            Some(Header { key, version, .. }) => match schema::table().api(*key) {
                Some(api) => api
                    .request(*version)
                    .map_or(ReadBy::Closed("unknown_version"), |layout| ReadBy::Known(api, *version, layout)),
                None => ReadBy::Closed("unknown_api"),
            },
        };
        let began = input.time_at(0);
        input.consume(4 + taken);
        let handle = out.stream(None, began);
        self.tokens &= header.is_none();
        if let Some(header) = header.as_ref().filter(|header| header.key == SASL_HANDSHAKE) {
            self.handshake.clone_from(&header.client_id);
        }
        let asked =
            header.as_ref().map(|header| Asked { key: header.key, version: header.version, id: header.correlation_id });
        let head = KafkaRequest { header, size, facts: Facts::default() };
        self.begin(handle, Head::KafkaRequest(Box::new(head)), read_by, size, taken, began, input, out);
        self.ask(asked, handle, out);
        Ok(true)
    }

    /// A token may look like a header.
    fn speaks_as_before(&self, header: &Header) -> bool {
        let known = schema::table().api(header.key).and_then(|api| api.request(header.version)).is_some();
        known && header.client_id == self.handshake
    }

    /// A request waits for its answer.
    fn ask(&mut self, asked: Option<Asked>, handle: Handle, out: &mut Output) {
        let id = asked.map(|asked| asked.id);
        self.repeats |= id.is_some() && id == self.last_id;
        self.last_id = id.or(self.last_id);
        if self.answers_ended {
            return;
        }
        if self.waiting.len() >= WAITING {
            self.close_oldest(OUTSTANDING_LIMIT, out);
        }
        self.waiting.push_back(Waiting { asked, handle, doubtful: false, bytes: 0 });
    }

    /// If all requests together hold more than `most`, lets go of what the oldest carry until they hold at most `left`; and
    /// where that is not enough, closes the oldest.
    fn shrink(&mut self, most: usize, left: usize, out: &mut Output) {
        if self.held_by_waiting <= most {
            return;
        }
        for waiting in &mut self.waiting {
            if self.held_by_waiting <= left {
                return;
            }
            if unload(waiting.handle, out) {
                self.held_by_waiting -= waiting.bytes;
                waiting.bytes = out.held(waiting.handle);
                self.held_by_waiting += waiting.bytes;
            }
        }
        while self.held_by_waiting > left {
            self.close_oldest(MEMORY_LIMIT, out);
        }
    }

    fn close_oldest(&mut self, why: &'static str, out: &mut Output) {
        let Some(oldest) = self.waiting.pop_front() else {
            self.held_by_waiting = 0;
            return;
        };
        self.held_by_waiting -= oldest.bytes;
        // Its answer may still come, and is then one to nothing that is known.
        (self.unseen, self.whole) = (true, false);
        out.finding(oldest.handle, why);
        out.finish(oldest.handle);
    }

    fn response(&mut self, input: &mut Input<'_>, out: &mut Output) -> Result<bool, Malformed> {
        let bytes = input.bytes();
        let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return Ok(false) };
        let size = u32::from_be_bytes(*size);
        let token = self.waiting.front().is_some_and(|waiting| waiting.asked.is_none());
        if size > FRAME_LIMIT || (size < 4 && !token) {
            return Err(Malformed("frame_size"));
        }
        let (mut taken, mut id, mut read_by, mut asked) = (0, None, ReadBy::Closed("sasl_token"), None);
        if !token {
            let Some(front) = rest.first_chunk::<4>() else { return Ok(false) };
            let number = i32::from_be_bytes(*front);
            (taken, id) = (4, Some(number));
            asked = self.asked(number);
            if asked.is_none() && self.whole {
                // All that was asked is known: this is another protocol, or no answer.
                return if self.confirmed {
                    Err(Malformed("correlation_id"))
                } else {
                    self.disown(out);
                    Ok(false)
                };
            }
            let request = asked.and_then(|at| self.waiting[at].asked);
            read_by = match request.and_then(|request| Some((request.version, schema::table().api(request.key)?))) {
                None if request.is_some() => ReadBy::Closed("unknown_api"),
                None => ReadBy::Closed("request_not_seen"),
                Some((version, api)) => {
                    let layout = api.response(version);
                    if layout.is_some_and(|layout| layout.header > 0) {
                        let mut tags = &rest[4..rest.len().min(size as usize).max(4)];
                        let there = tags.len();
                        match message::tags(&mut tags) {
                            Some(true) => taken += there - tags.len(),
                            Some(false) if rest.len() < size as usize => return Ok(false),
                            Some(false) | None => return Err(Malformed("header_tags")),
                        }
                    }
                    let Some(version) = answered_version(api.key, version, &rest[4..], size) else { return Ok(false) };
                    match api.response(version) {
                        Some(layout) => ReadBy::Known(api, version, layout),
                        None => ReadBy::Closed("unknown_version"),
                    }
                }
            };
        }
        let began = input.time_at(0);
        input.consume(4 + taken);
        let asked = if token { Some(0) } else { asked };
        let handle = asked.and_then(|at| self.answer(at, out)).unwrap_or_else(|| out.stream(None, began));
        let head = KafkaResponse { correlation_id: id, size, facts: Facts::default() };
        self.begin(handle, Head::KafkaResponse(Box::new(head)), read_by, size, taken, began, input, out);
        Ok(true)
    }

    /// Which request an answer with this id belongs to.
    fn asked(&self, id: i32) -> Option<usize> {
        // A client that does not count says nothing by its ids once some passed unseen; those that count begin at 0 or 1.
        if self.unseen && (self.repeats || id == 0) {
            return None;
        }
        let at = self.waiting.iter().position(|waiting| waiting.id() == Some(id))?;
        let twice = || self.waiting.iter().skip(at + 1).any(|waiting| waiting.id() == Some(id));
        // Whether its own answer passed unseen, and this is the next one's, nobody knows.
        (!self.waiting[at].doubtful || !twice()).then_some(at)
    }

    /// The request at this place is answered. Those before it will not be.
    fn answer(&mut self, at: usize, out: &mut Output) -> Option<Handle> {
        self.confirmed = true;
        for waiting in self.waiting.drain(..at) {
            self.held_by_waiting -= waiting.bytes;
            out.finding(waiting.handle, "answer_not_seen");
            out.finish(waiting.handle);
        }
        let answered = self.waiting.pop_front()?;
        self.held_by_waiting -= answered.bytes;
        Some(answered.handle)
    }

    /// The first answer is to nothing that was asked: this is another protocol.
    fn disown(&mut self, out: &mut Output) {
        self.held_by_waiting = 0;
        for waiting in self.waiting.drain(..) {
            out.discard(waiting.handle);
        }
        self.states = [State::Lost, State::Lost];
        out.leave(Reason::UnknownProtocol);
    }

    #[expect(clippy::too_many_arguments, reason = "the second half of `request` and of `response`")]
    fn begin(
        &mut self,
        handle: Handle,
        head: Head,
        read_by: ReadBy,
        size: u32,
        taken: usize,
        started: Time,
        input: &Input<'_>,
        out: &mut Output,
    ) {
        let half = if matches!(head, Head::KafkaRequest(_)) { Half::Request } else { Half::Response };
        let frame = Frame::new(half, read_by, size, taken, self.max_body, &self.names);
        self.states[half as usize] = State::Body { handle, frame: Box::new(frame) };
        let message = Message {
            started,
            ended: input.last_time(),
            head,
            headers: Headers::default(),
            headers_size: u32::try_from(taken).ok(),
            trailers: Headers::default(),
            body: Body::default(),
        };
        out.begin(handle, half, message);
    }

    /// Reads on in a message; whether it is over.
    fn body(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> bool {
        let State::Body { frame, .. } = &mut self.states[from as usize] else { return false };
        while frame.left() > 0 && !input.skipping() {
            let (taken, unneeded) = frame.feed(input.bytes());
            input.consume(taken);
            if unneeded > 0 {
                frame.pass(unneeded, false);
                input.skip(unneeded);
            } else if input.bytes().is_empty() {
                break;
            }
        }
        if frame.left() > 0 || input.skipping() {
            return false;
        }
        let ended = (!input.last_lost()).then(|| input.last_time());
        self.finish(from, ended, None, out);
        true
    }

    /// A message is over. `ended`: when its last byte came, when that was seen. `cut`: why it is not all there.
    fn finish(&mut self, from: Direction, ended: Option<Time>, cut: Option<&'static str>, out: &mut Output) {
        let State::Body { handle, frame } = std::mem::replace(&mut self.states[from as usize], State::Front) else {
            return;
        };
        let (half, size, api) = (frame.half, frame.size(), frame.api());
        let mut read = frame.finish();
        if let Some(bad) = read.bad {
            out.malformed(bad);
        }
        for finding in [read.why, read.of_records, cut].into_iter().flatten().chain(read.limits.iter().copied()) {
            out.finding(handle, finding);
        }
        let unanswered =
            half == Half::Request && api.is_some_and(|(key, _)| key == PRODUCE) && read.facts.acks == Some(0);
        if api == Some((SASL_HANDSHAKE, 0)) {
            // Its answer may not be seen, or come late, and a token that is read as a request would show a password.
            self.tokens = half == Half::Request || read.facts.error.is_none_or(|error| error == 0);
        }
        if half == Half::Request {
            self.software = read.facts.software.take().or(self.software.take());
            read.facts.software = self.software.clone();
        }
        if let Some(message) = out.message(handle, half) {
            read.settle(message, size, ended);
        }
        out.close(handle, half);
        if unanswered {
            self.waiting.retain(|waiting| waiting.handle != handle);
            out.finding(handle, "no_answer_wanted");
        } else if half == Half::Request
            && let Some(waiting) = self.waiting.iter_mut().rev().find(|waiting| waiting.handle == handle)
        {
            waiting.bytes = out.held(handle);
            self.held_by_waiting += waiting.bytes;
            self.shrink(HELD, HELD / 2, out);
        }
        let asking =
            matches!(&self.states[Half::Request as usize], State::Body { handle: asking, .. } if *asking == handle);
        if half == Half::Response && asking {
            // Refused before it was all there.
            self.answered_early = Some(handle);
        } else if half == Half::Response || unanswered || self.answers_ended || self.answered_early == Some(handle) {
            out.finish(handle);
        }
    }

    /// No answer will be seen to what waits.
    fn give_up(&mut self, out: &mut Output) {
        self.held_by_waiting = 0;
        for waiting in std::mem::take(&mut self.waiting) {
            out.finish(waiting.handle);
        }
    }
}

/// Lets go of what a request carries; false when there is nothing more.
fn unload(handle: Handle, out: &mut Output) -> bool {
    let messages = out.message(handle, Half::Request).and_then(|message| message.body.messages.as_mut());
    let carried = messages.and_then(|messages| messages.list.first_mut()).map(|message| &mut message.carried);
    match carried {
        Some(carried @ Carried::Fields { .. }) => {
            *carried = Carried::Raw { bytes: Vec::new(), why: MEMORY_LIMIT };
            out.finding(handle, MEMORY_LIMIT);
            true
        }
        Some(Carried::Raw { .. }) | None => false,
    }
}

impl Dissector for Kafka {
    fn decode(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> Result<(), Malformed> {
        loop {
            let more = match &self.states[from as usize] {
                State::Lost => false,
                State::Front if from == Direction::ToServer => self.request(input, out)?,
                State::Front => self.response(input, out)?,
                State::Body { .. } => self.body(from, input, out),
            };
            if !more {
                return Ok(());
            }
        }
    }

    fn gap(&mut self, from: Direction, missing: Missing, out: &mut Output) -> u64 {
        let State::Body { handle, frame } = &mut self.states[from as usize] else { return 0 };
        let used = missing.bytes.min(frame.left());
        frame.pass(used, true);
        out.missing(*handle, Missing { bytes: used, ..missing });
        if frame.left() == 0 {
            self.finish(from, missing.time, None, out);
        }
        used
    }

    fn passed_over(&mut self, from: Direction, missing: Missing, out: &mut Output) {
        if let State::Body { handle, .. } = &self.states[from as usize] {
            out.missing(*handle, missing);
        }
    }

    fn lose(&mut self, from: Direction, missing: Option<Missing>, out: &mut Output) {
        self.finish(from, None, Some("cut_short"), out);
        self.states[from as usize] = State::Lost;
        self.whole = false;
        if from == Direction::ToServer {
            self.unseen = true;
            return;
        }
        // Nothing tells the answer to a token from another one's.
        let held = &mut self.held_by_waiting;
        self.waiting.retain(|waiting| {
            if waiting.asked.is_none() {
                *held -= waiting.bytes;
                out.finish(waiting.handle);
            }
            waiting.asked.is_some()
        });
        for waiting in &mut self.waiting {
            waiting.doubtful = true;
            if let Some(missing) = missing {
                out.missing(waiting.handle, missing);
            }
        }
    }

    fn resume(&mut self, from: Direction, _bytes: &[u8], _unread: Unread, _out: &mut Output) -> bool {
        self.states[from as usize] = State::Front;
        true
    }

    fn find(&self, from: Direction, turn: bool, bytes: &[u8]) -> Scan {
        match from {
            Direction::ToServer => detect::scan(Some(from), bytes),
            Direction::ToClient => detect::scan_answers(|id| self.waiting[self.asked(id)?].asked, turn, bytes),
        }
    }

    fn turn(&mut self, _from: Direction, _out: &mut Output) {}

    fn relieve(&mut self, out: &mut Output) -> bool {
        self.shrink(RELIEVED, RELIEVED, out);
        true
    }

    fn held(&self) -> usize {
        let frame = |state: &State| if let State::Body { frame, .. } = state { frame.heap() } else { 0 };
        self.states.iter().map(frame).sum::<usize>() + self.waiting.capacity() * size_of::<Waiting>()
    }

    fn end(&mut self, from: Direction, _input: &mut Input<'_>, _how: Ending, out: &mut Output) {
        self.finish(from, None, Some("cut_short"), out);
        self.states[from as usize] = State::Lost;
        if from == Direction::ToClient {
            self.answers_ended = true;
            self.give_up(out);
        }
    }
}

/// The version that an answer of this size is in, by its first bytes; `None` when they are not there yet.
fn answered_version(key: i16, asked: i16, body: &[u8], size: u32) -> Option<i16> {
    if key != API_VERSIONS || asked == 0 || size < 6 {
        return Some(asked);
    }
    let error = body.first_chunk::<2>()?;
    Some(if i16::from_be_bytes(*error) == UNSUPPORTED_VERSION { 0 } else { asked })
}
