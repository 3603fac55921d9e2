//! Streams (RFC 9113 section 5): each carries one exchange. What is not known for certain stays open, or is closed
//! without a size.

mod begin;
mod bounds;
mod ends;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use begin::{begin, status_known};
pub(super) use ends::Goaway;

use super::{
    block::{Fields, Role},
    body::{Reading, State, until},
};
use crate::{
    dissect::{
        Direction, Headers, Message, Missing, Schemas, Settings,
        grpc::{End, Types},
        output::Output,
        pairing::{Half, Handle},
    },
    time::Time,
};

#[derive(Debug)]
struct Stream {
    handle: Handle,
    halves: [Reading; 2],
    /// Of its last frame.
    last: Time,
}

impl Stream {
    /// Its end may have passed unseen.
    fn doubtful(&self) -> bool {
        self.halves.iter().any(|reading| reading.doubtful && reading.state != State::Closed)
    }

    /// Bytes on the heap, besides those of its exchange.
    fn heap(&self) -> usize {
        self.halves.iter().map(Reading::heap).sum()
    }
}

/// A header block that came.
pub(super) struct Block {
    pub(super) from: Direction,
    pub(super) stream: u32,
    pub(super) fields: Fields,
    /// Times of its first and its last byte.
    pub(super) started: Time,
    pub(super) ended: Time,
    pub(super) end_stream: bool,
    pub(super) missing: Option<Missing>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Streams {
    max_body: usize,
    open: BTreeMap<u32, Stream>,
    closed: VecDeque<u32>,
    /// By which messages get their names.
    schemas: Arc<Schemas>,
    /// Those, and what reflection on this connection has told.
    learned: Option<Box<Schemas>>,
    /// Requests since the connection began were all seen, up to this stream.
    newest: Option<u32>,
    /// By the side that sent it: the last one.
    goaway: [Option<Goaway>; 2],
    /// Some stream may be doubtful.
    doubts: bool,
    swept: Time,
    /// Bytes that came to be held since all that is held was last looked at.
    fed: usize,
}

impl Streams {
    /// `whole`: seen since the connection began.
    pub(super) fn new(settings: &Settings, whole: bool) -> Self {
        Self {
            max_body: settings.max_body,
            open: BTreeMap::new(),
            closed: VecDeque::new(),
            schemas: settings.schemas.clone(),
            learned: None,
            newest: whole.then_some(0),
            goaway: [None; 2],
            doubts: false,
            swept: Time::default(),
            fed: 0,
        }
    }

    pub(super) fn settings(&self) -> Settings {
        Settings { max_body: self.max_body, schemas: self.schemas.clone(), ..Settings::default() }
    }

    /// The request that was upgraded from HTTP/1 is stream 1 (RFC 7540 section 3.2), and was read already. `last`: when its
    /// last byte came.
    pub(super) fn upgraded(&mut self, handle: Handle, last: Time) {
        let mut halves = [Reading::default(), Reading::default()];
        halves[Half::Request as usize].state = State::Closed;
        self.open.insert(1, Stream { handle, halves, last });
        self.newest = Some(1);
    }

    pub(super) fn headers(&mut self, block: Block, out: &mut Output) {
        let half = Half::from(block.from);
        let known = self.open.contains_key(&block.stream);
        if !known && !self.may_begin(&block) {
            return;
        }
        let id = block.stream;
        if !known {
            self.make_room(block.started, out);
            let handle = out.stream(Some(u64::from(id)), block.started);
            if self.closed.contains(&id) {
                // Section 5.1.1: an error, which receivers answer by closing the connection.
                out.finding(handle, "stream_reused");
            }
            self.open.insert(id, Stream { handle, halves: Default::default(), last: block.started });
            if let Some(newest) = &mut self.newest {
                *newest = (*newest).max(id);
            }
        }
        let Some(stream) = self.open.get_mut(&id) else { return };
        stream.last = block.ended;
        let (handle, from, end_stream, ended) = (stream.handle, block.from, block.end_stream, block.ended);
        if let Some(missing) = block.missing {
            out.missing(handle, missing);
        }
        for finding in &block.fields.findings {
            out.finding(handle, finding);
        }
        let reading = &mut stream.halves[half as usize];
        let types =
            |path: Option<&[u8]>| Types::of(path, half == Half::Response, &self.schemas, self.learned.as_deref());
        match reading.state {
            State::Closed => out.finding(handle, "headers_after_end"),
            // The trailers of a request that was not seen, or something that nobody can tell from them.
            State::Unseen if half == Half::Request && self.newest.is_none() && block.fields.role() != Role::Request => {
            }
            State::Unseen => begin(reading, handle, half, block, known, types, self.max_body, out),
            // Section 8.1: an answer has one header section that is not interim.
            State::Open
                if half == Half::Response && block.fields.role() == Role::Response && status_known(out, handle) =>
            {
                out.finding(handle, "second_answer");
            }
            // An interim answer whose status was not known came before.
            State::Open if half == Half::Response && block.fields.role() == Role::Response => {
                begin(reading, handle, half, block, known, types, self.max_body, out);
            }
            // It may be the answer after an interim one, or its trailers: what came before may not have been either.
            State::Open
                if half == Half::Response && block.fields.role() == Role::Unclear && !status_known(out, handle) =>
            {
                out.finding(handle, "headers_not_seen");
                if let Some(message) = out.message(handle, half) {
                    (message.headers, message.headers_size, message.ended) = (Headers::default(), None, ended);
                }
            }
            State::Open => {
                // Section 8.1: trailers have no pseudo-headers.
                if matches!(block.fields.role(), Role::Request | Role::Response) {
                    out.finding(handle, "bad_pseudo_header");
                }
                if let Some(message) = out.message(handle, half) {
                    message.trailers = block.fields.trailers();
                    message.ended = ended;
                }
                if !end_stream {
                    out.finding(handle, "trailers_without_end");
                }
            }
        }
        self.fed += out.held(handle);
        if end_stream {
            self.end(id, from, out);
        }
        if !known && let Some(reset) = self.left_out(id).filter(|reset| reset.by != from) {
            self.cut(id, End::Reset, "goaway", Some(reset), out);
        }
        self.look(out);
    }

    /// Whether a stream of which nothing is known begins with this block.
    fn may_begin(&self, block: &Block) -> bool {
        let closed = self.closed.contains(&block.stream);
        match block.from {
            Direction::ToServer => {
                let newer = self.newest.is_some_and(|newest| block.stream > newest);
                // Joined late, an answer may have been read, and closed, before its request was known to be one.
                let fresh = !closed || self.newest.is_some();
                fresh && block.fields.role() == Role::Request || !closed && newer
            }
            // Without its request: that was not seen, or the stream was closed before.
            Direction::ToClient => !closed && self.newest.is_none_or(|newest| block.stream > newest),
        }
    }

    /// A request that the server promises (section 8.4).
    pub(super) fn promise(&mut self, promised: u32, block: Block, out: &mut Output) {
        if self.open.contains_key(&promised) || !promised.is_multiple_of(2) || promised == 0 {
            return;
        }
        let (started, from) = (block.started, Direction::ToServer);
        self.make_room(started, out);
        let handle = out.stream(Some(u64::from(promised)), started);
        let mut halves: [Reading; 2] = Default::default();
        let request = &mut halves[Half::Request as usize];
        begin(request, handle, Half::Request, block, false, |_| Types::default(), self.max_body, out);
        out.finding(handle, "pushed");
        self.fed += out.held(handle);
        self.open.insert(promised, Stream { handle, halves, last: started });
        self.end(promised, from, out);
        self.look(out);
    }

    /// A frame of this stream came.
    pub(super) fn seen(&mut self, id: u32, time: Time) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.last = stream.last.max(time);
        }
    }

    /// Part of a body.
    pub(super) fn data(&mut self, from: Direction, id: u32, bytes: &[u8], time: Time, out: &mut Output) {
        let mut held = 0;
        self.body(from, id, out, |reading, message| held = reading.take(message, bytes, time));
        let Some(stream) = self.open.get_mut(&id) else { return };
        stream.last = time;
        let descriptors = stream.halves[Half::from(from) as usize].take_descriptors();
        if !descriptors.is_empty() {
            let schemas = self.learned.get_or_insert_with(|| Box::new(self.schemas.fork()));
            let before = schemas.refused();
            for descriptor in descriptors {
                schemas.learn(&descriptor);
            }
            out.limit("descriptors_refused", schemas.refused() - before);
        }
        self.fed += held;
        self.look(out);
    }

    /// Part of a body that is not looked at, or is missing.
    pub(super) fn pass(&mut self, from: Direction, id: u32, count: u64, time: Option<Time>, out: &mut Output) {
        self.body(from, id, out, |reading, message| reading.pass(message, count, time));
    }

    /// The last byte of a body so far passed then, if that is known.
    pub(super) fn until(&mut self, from: Direction, id: u32, time: Option<Time>, out: &mut Output) {
        self.body(from, id, out, |_, message| until(message, time));
        if let Some(time) = time {
            self.seen(id, time);
        }
    }

    /// Bytes of a body are missing.
    pub(super) fn missing(&mut self, id: u32, missing: Missing, out: &mut Output) {
        if let Some(stream) = self.open.get(&id) {
            out.missing(stream.handle, missing);
        }
    }

    /// Bytes of a frame are missing, and how many of them are the body's is not known.
    pub(super) fn unsure(&mut self, from: Direction, id: u32, missing: Missing, out: &mut Output) {
        self.missing(id, missing, out);
        self.body(from, id, out, |reading, message| reading.lose(Some(message), Some(missing)));
        self.doubts = true;
    }

    fn body(&mut self, from: Direction, id: u32, out: &mut Output, take: impl FnOnce(&mut Reading, &mut Message)) {
        let half = Half::from(from);
        if let Some(stream) = self.open.get_mut(&id)
            && stream.halves[half as usize].state == State::Open
            && let Some(message) = out.message(stream.handle, half)
        {
            take(&mut stream.halves[half as usize], message);
        }
    }

    /// Bytes that come next of this body and that nobody needs.
    pub(super) fn unneeded(&self, from: Direction, id: u32) -> u64 {
        let reading = self.open.get(&id).map(|stream| &stream.halves[Half::from(from) as usize]);
        reading.filter(|reading| reading.state == State::Open).map_or(u64::MAX, Reading::unneeded)
    }

    /// Bytes on the heap, besides those of exchanges.
    pub(super) fn heap(&self) -> usize {
        let streams = self.open.values().map(Stream::heap).sum::<usize>();
        streams
            + self.open.len() * size_of::<(u32, Stream)>()
            + self.learned.as_ref().map_or(0, |schemas| schemas.heap())
    }

    /// END_STREAM: this side has sent all.
    pub(super) fn end(&mut self, id: u32, from: Direction, out: &mut Output) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        let half = Half::from(from);
        stream.halves[half as usize].close(stream.handle, half, End::Whole, self.max_body, out);
        let [request, response] = &stream.halves;
        // The end of a request that was not seen may have passed, or may never be seen.
        let asked = request.state == State::Closed || request.state == State::Unseen || request.doubtful;
        if response.state == State::Closed && asked {
            self.close(id, End::Reset, None, out);
        }
    }

    /// Bytes of this side passed unseen; `missing`: so many, for this reason.
    pub(super) fn lose(&mut self, from: Direction, missing: Option<Missing>, out: &mut Output) {
        if from == Direction::ToServer {
            self.newest = None;
        }
        self.doubts = true;
        for stream in self.open.values_mut() {
            // Also of one that this side has ended: a reset may be among what is missing.
            if let Some(missing) = missing {
                out.missing(stream.handle, missing);
            }
            let reading = &mut stream.halves[Half::from(from) as usize];
            if reading.state == State::Closed {
                continue;
            }
            reading.lose(out.message(stream.handle, Half::from(from)), missing);
        }
    }
}
