//! A connection: the frames of both sides, and which answer belongs to which request.
//!
//! Brokers answer in order, by the request's correlation id, and a produce with acks=0 not at all. An answer is read by its
//! request's version, so one whose request was not seen stays closed. A frame's size stands in front of it: bytes that are
//! missing inside it harm only what they carry.

use std::{collections::VecDeque, sync::Arc};

use super::{
    detect,
    facts::{Facts, Software},
    frame::{Frame, Shape},
    message::{self, Front, Header, KafkaRequest, KafkaResponse},
    schema,
    topics::TopicNames,
};
use crate::{
    coverage::Reason,
    dissect::{
        Body, Direction, Dissector, Head, Headers, Malformed, Message, Missing, Scan, Settings,
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
const WAITING: usize = 8192;

const PRODUCE: i16 = 0;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;

/// An ApiVersions that the broker does not know is answered as version 0, so that the client can ask again (KIP-511).
const UNSUPPORTED_VERSION: [u8; 2] = 35_i16.to_be_bytes();

/// A request that waits for its answer.
#[derive(Debug)]
struct Waiting {
    /// `None`: a token of SASL.
    header: Option<Header>,
    handle: Handle,
    /// Answers passed unseen since.
    doubtful: bool,
}

impl Waiting {
    fn id(&self) -> Option<i32> {
        self.header.as_ref().map(|header| header.correlation_id)
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
    states: [State; 2],
    waiting: VecDeque<Waiting>,
    software: Option<Arc<Software>>,
    /// Both sides were seen since the connection began.
    whole: bool,
    /// An answer came that belongs to a request.
    confirmed: bool,
    /// Requests passed unseen: an answer may be to one of those.
    unseen: bool,
    last_id: Option<i32>,
    /// The client does not count its requests.
    repeats: bool,
    /// Frames may be tokens without a header (KIP-43: behind a SaslHandshake of version 0).
    tokens: bool,
    answers_ended: bool,
}

impl Kafka {
    pub fn new(settings: &Settings) -> Self {
        Self {
            max_body: settings.max_body,
            names: settings.topic_names.clone(),
            states: [State::Front, State::Front],
            waiting: VecDeque::new(),
            software: None,
            whole: true,
            confirmed: false,
            unseen: false,
            last_id: None,
            repeats: false,
            tokens: false,
            answers_ended: false,
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
            Front::Header(header, taken) => (Some(header), taken),
            Front::More if !all => return Ok(false),
            _ if self.tokens => (None, 0),
            Front::More => return Err(Malformed("header")),
            Front::No(why) => return Err(Malformed(why)),
        };
        let shape = match &header {
            None => Shape::Closed("sasl_token"),
            Some(Header { key, version, .. }) => schema::table()
                .api(*key)
                .and_then(|api| Some(Shape::Known(api, *version, api.request(*version)?)))
                .unwrap_or(Shape::Closed("unknown_version")),
        };
        let began = input.time_at(0);
        input.consume(4 + taken);
        let handle = out.stream(None, began);
        let head = KafkaRequest { header: header.clone(), size, facts: Facts::default() };
        self.begin(handle, Head::KafkaRequest(Box::new(head)), shape, size, taken, began, input, out);
        self.ask(header, handle, out);
        Ok(true)
    }

    /// A request waits for its answer.
    fn ask(&mut self, header: Option<Header>, handle: Handle, out: &mut Output) {
        let id = header.as_ref().map(|header| header.correlation_id);
        self.repeats |= id.is_some() && id == self.last_id;
        self.last_id = id.or(self.last_id);
        if self.answers_ended {
            return;
        }
        if self.waiting.len() >= WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            out.finding(oldest.handle, "outstanding_limit");
            out.finish(oldest.handle);
        }
        self.waiting.push_back(Waiting { header, handle, doubtful: false });
    }

    fn response(&mut self, input: &mut Input<'_>, out: &mut Output) -> Result<bool, Malformed> {
        let bytes = input.bytes();
        let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return Ok(false) };
        let size = u32::from_be_bytes(*size);
        let token = self.waiting.front().is_some_and(|waiting| waiting.header.is_none());
        if size > FRAME_LIMIT || (size < 4 && !token) {
            return Err(Malformed("frame_size"));
        }
        let (mut taken, mut id, mut shape, mut asked) = (0, None, Shape::Closed("sasl_token"), None);
        if !token {
            let Some(front) = rest.first_chunk::<4>() else { return Ok(false) };
            let number = i32::from_be_bytes(*front);
            (taken, id) = (4, Some(number));
            asked = self.asked(number);
            if asked.is_none() && !self.confirmed && self.whole {
                return Ok(self.disown(out));
            }
            let header = asked.and_then(|at| self.waiting[at].header.as_ref());
            shape = match header.and_then(|header| Some((header.version, schema::table().api(header.key)?))) {
                None => Shape::Closed("request_not_seen"),
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
                        Some(layout) => Shape::Known(api, version, layout),
                        None => Shape::Closed("unknown_version"),
                    }
                }
            };
        }
        let began = input.time_at(0);
        input.consume(4 + taken);
        let asked = if token { Some(0) } else { asked };
        let handle = asked.and_then(|at| self.answer(at, out)).unwrap_or_else(|| out.stream(None, began));
        let head = KafkaResponse { correlation_id: id, size, facts: Facts::default() };
        self.begin(handle, Head::KafkaResponse(Box::new(head)), shape, size, taken, began, input, out);
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
            out.finding(waiting.handle, "answer_not_seen");
            out.finish(waiting.handle);
        }
        self.waiting.pop_front().map(|waiting| waiting.handle)
    }

    /// The first answer is to nothing that was asked: this is another protocol.
    fn disown(&mut self, out: &mut Output) -> bool {
        for waiting in self.waiting.drain(..) {
            out.discard(waiting.handle);
        }
        self.states = [State::Lost, State::Lost];
        out.leave(Reason::UnknownProtocol);
        false
    }

    #[expect(clippy::too_many_arguments, reason = "the second half of `request` and of `response`")]
    fn begin(
        &mut self,
        handle: Handle,
        head: Head,
        shape: Shape,
        size: u32,
        taken: usize,
        started: Time,
        input: &Input<'_>,
        out: &mut Output,
    ) {
        let half = if matches!(head, Head::KafkaRequest(_)) { Half::Request } else { Half::Response };
        let frame = Frame::new(half, shape, size, taken, self.max_body, &self.names);
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
        for finding in read.findings.into_iter().flatten().chain(cut) {
            out.finding(handle, finding);
        }
        let unanswered =
            half == Half::Request && api.is_some_and(|(key, _)| key == PRODUCE) && read.facts.acks == Some(0);
        self.tokens |= half == Half::Response && api == Some((SASL_HANDSHAKE, 0)) && read.facts.error == Some(0);
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
        }
        if half == Half::Response || unanswered || self.answers_ended {
            out.finish(handle);
        }
    }

    /// No answer will be seen to what waits.
    fn give_up(&mut self, out: &mut Output) {
        for waiting in std::mem::take(&mut self.waiting) {
            out.finish(waiting.handle);
        }
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
            Direction::ToClient => {
                detect::scan_answers(|id| self.waiting[self.asked(id)?].header.as_ref(), turn, bytes)
            }
        }
    }

    fn turn(&mut self, _from: Direction, _out: &mut Output) {}

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
    Some(if *error == UNSUPPORTED_VERSION { 0 } else { asked })
}
