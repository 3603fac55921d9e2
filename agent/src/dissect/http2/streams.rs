//! Streams (RFC 9113 section 5): each carries one exchange. What is not known for certain stays open, or is closed
//! without a size.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    block::{Fields, Role},
    body::{Reading, State, until},
};
use crate::{
    dissect::{
        Direction, Head, Headers, Message, Missing, Reset, Schemas, Settings,
        grpc::{self, End, GRPC, Types},
        output::Output,
        pairing::{HELD, Half, Handle},
    },
    time::Time,
};

/// Streams open at a time. Servers allow 100 to 250 (nginx 128, Go 250, Apache 100); Envoy and proxies of it allow up to
/// 1024 by configuration. Beyond it the oldest is given up.
const STREAMS: usize = 2048;

/// Streams closed last, by number: frames that were under way when they were closed belong to nothing.
const CLOSED: usize = 256;

/// Nanoseconds without a frame after which a stream is given up whose end may have been among bytes that passed unseen.
/// Long polls wait for half a minute. It is looked for when another stream begins, at most once in `SWEEP`.
const DOUBT: u64 = 30_000_000_000;
const SWEEP: u64 = 1_000_000_000;

/// What the streams of a connection may still hold when too much is held in all: those of ordinary calls.
const RELIEVED: usize = 16 << 10;

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

/// GOAWAY (section 6.8).
#[derive(Clone, Copy, Debug)]
pub(super) struct Goaway {
    /// What its receiver began after this one was not and will not be processed.
    pub(super) last: u32,
    pub(super) code: u32,
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

    /// Too much is held on all connections: forgets what can be learned again, and closes what holds most.
    pub(super) fn relieve(&mut self, out: &mut Output) {
        self.learned = None;
        self.shrink(RELIEVED, RELIEVED, out);
    }

    /// Keeps what is held on this connection within its limit. Not each time, for that is a look at all streams.
    fn look(&mut self, out: &mut Output) {
        if self.fed >= HELD / 4 {
            self.fed = 0;
            self.shrink(HELD, HELD / 2, out);
        }
    }

    /// If all streams together hold more than `most`: closes those that hold most, until the others hold at most `left`.
    fn shrink(&mut self, most: usize, left: usize, out: &mut Output) {
        let size = |stream: &Stream| out.held(stream.handle) + stream.heap();
        let mut sizes: Vec<(usize, u32)> = self.open.iter().map(|(id, stream)| (size(stream), *id)).collect();
        let mut held: usize = sizes.iter().map(|(bytes, _)| bytes).sum();
        if held <= most {
            return;
        }
        sizes.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        for (bytes, id) in sizes {
            if held <= left {
                return;
            }
            held -= bytes;
            self.cut(id, End::Cut, "memory_limit", None, out);
        }
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

    /// RST_STREAM (section 6.4). `code`: none when it could not be read.
    pub(super) fn reset(&mut self, from: Direction, id: u32, code: Option<u32>, time: Time, out: &mut Output) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        let answered = stream.halves[Half::Response as usize].state == State::Closed;
        if stream.halves[Half::from(from) as usize].state == State::Open
            && let Some(message) = out.message(stream.handle, Half::from(from))
        {
            message.ended = message.ended.max(time);
        }
        // Section 8.1: a server that has answered in full may so decline the rest of the request.
        if !(answered && code == Some(0))
            && let Some(exchange) = out.exchange(stream.handle)
        {
            exchange.reset = Some(Reset { by: from, code });
            out.finding(
                stream.handle,
                match from {
                    Direction::ToServer => "reset_by_client",
                    Direction::ToClient => "reset_by_server",
                },
            );
            let exchange = out.exchange(stream.handle).filter(|exchange| std::ptr::eq(exchange.protocol, &GRPC));
            if let Some(finding) = exchange.and_then(|exchange| grpc::reset(exchange, time)) {
                out.finding(stream.handle, finding);
            }
        }
        self.close(id, End::Reset, None, out);
    }

    /// GOAWAY: closes what is left out, now and from here on.
    pub(super) fn goaway(&mut self, from: Direction, goaway: Goaway, out: &mut Output) {
        self.goaway[from as usize] = Some(goaway);
        let later = self.open.range(goaway.last.saturating_add(1)..);
        let cut: Vec<(u32, Reset)> = later.filter_map(|(id, _)| Some((*id, self.left_out(*id)?))).collect();
        for (id, reset) in cut {
            self.cut(id, End::Reset, "goaway", Some(reset), out);
        }
    }

    /// Whether a GOAWAY says that this stream will not be processed. Section 5.1.1: clients open odd ones.
    fn left_out(&self, id: u32) -> Option<Reset> {
        let by = if id % 2 == 1 { Direction::ToClient } else { Direction::ToServer };
        let goaway = self.goaway[by as usize].filter(|goaway| id > goaway.last)?;
        Some(Reset { by, code: Some(goaway.code) })
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

    /// Nothing more comes.
    pub(super) fn end_all(&mut self, out: &mut Output) {
        // Section 5.4.1: who finds an error says so, and ends the connection.
        let error = [Direction::ToClient, Direction::ToServer].into_iter().find_map(|by| {
            let code = self.goaway[by as usize].map(|goaway| goaway.code).filter(|code| *code != 0)?;
            Some(Reset { by, code: Some(code) })
        });
        while let Some((&id, _)) = self.open.first_key_value() {
            self.cut(id, End::Cut, "cut_short", error, out);
        }
        self.learned = None;
    }

    /// The exchange is over before its end: why, and what that side said.
    fn cut(&mut self, id: u32, end: End, why: &'static str, reset: Option<Reset>, out: &mut Output) {
        let exchange = self.open.get(&id).and_then(|stream| out.exchange(stream.handle));
        if let Some(exchange) = exchange {
            exchange.reset = exchange.reset.or(reset);
        }
        self.close(id, end, Some(why), out);
    }

    /// The exchange is over. `end`: of what is still being read of it. `why`: if that is before its end.
    fn close(&mut self, id: u32, end: End, why: Option<&'static str>, out: &mut Output) {
        let Some(mut stream) = self.open.remove(&id) else { return };
        for half in [Half::Request, Half::Response] {
            stream.halves[half as usize].close(stream.handle, half, end, self.max_body, out);
        }
        if let Some(why) = why {
            out.finding(stream.handle, why);
        }
        out.finish(stream.handle);
        if self.closed.len() >= CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(id);
    }

    /// Before a stream begins.
    fn make_room(&mut self, now: Time, out: &mut Output) {
        if self.doubts && now.0.saturating_sub(self.swept.0) > SWEEP {
            self.swept = now;
            self.sweep(now, out);
        }
        while self.open.len() >= STREAMS
            && let Some((&id, _)) = self.open.first_key_value()
        {
            self.cut(id, End::Cut, "stream_limit", None, out);
        }
    }

    /// Gives up the streams whose end has probably passed unseen.
    fn sweep(&mut self, now: Time, out: &mut Output) {
        let doubtful = self.open.iter().filter(|(_, stream)| stream.doubtful());
        let (idle, busy): (Vec<_>, Vec<_>) =
            doubtful.map(|(id, stream)| (*id, stream.last)).partition(|(_, last)| now.0.saturating_sub(last.0) > DOUBT);
        self.doubts = !busy.is_empty();
        for (id, _) in idle {
            self.cut(id, End::Cut, "end_not_seen", None, out);
        }
    }
}

/// The headers of a half came, or what is left of them. `known`: its stream was open before. `types`: by the path.
#[expect(clippy::too_many_arguments, reason = "one step of `headers` and `promise`, apart for its length")]
fn begin(
    reading: &mut Reading,
    handle: Handle,
    half: Half,
    block: Block,
    known: bool,
    types: impl FnOnce(Option<&[u8]>) -> Types,
    max_body: usize,
    out: &mut Output,
) {
    let Block { from: _, stream: _, fields, started, ended, end_stream: _, missing: _ } = block;
    let role = fields.role();
    let head = match half {
        Half::Request => Head::HttpRequest(fields.request()),
        Half::Response => Head::HttpResponse(fields.response()),
    };
    if let Head::HttpResponse(response) = &head
        && let Some(status @ 100..=199) = response.status
    {
        // RFC 9110 section 15.2: any number of them may come before the final one.
        return out.finding(
            handle,
            match status {
                100 => "continue",
                103 => "early_hints",
                _ => "informational",
            },
        );
    }
    if half == Half::Request && fields.is_extended_connect() {
        out.finding(handle, "extended_connect");
    }
    let mut message = Message {
        started,
        ended,
        head,
        headers: Headers::default(),
        headers_size: None,
        trailers: Headers::default(),
        body: Default::default(),
    };
    // What came before it on this stream may have been the headers.
    let unsure = half == Half::Response && (reading.doubtful || !known);
    match role {
        Role::Request | Role::Response => {}
        Role::Trailers if unsure => {
            message.trailers = fields.trailers();
            out.finding(handle, "headers_not_seen");
            (reading.state, reading.doubtful) = (State::Open, true);
            return out.begin(handle, half, message);
        }
        Role::Unclear if unsure => {
            out.finding(handle, "headers_not_seen");
            (reading.state, reading.doubtful) = (State::Open, true);
            return out.begin(handle, half, message);
        }
        Role::Trailers => out.finding(handle, "bad_pseudo_header"),
        Role::Unclear => {}
    }
    let path = match &message.head {
        Head::HttpRequest(request) => request.target.clone(),
        _ => out.exchange(handle).and_then(|exchange| exchange.target().map(<[u8]>::to_vec)),
    };
    reading.open(&fields.headers, types(path.as_deref()), max_body);
    if reading.is_grpc()
        && let Some(exchange) = out.exchange(handle)
    {
        exchange.protocol = &GRPC;
    }
    (message.headers, message.headers_size) = (fields.headers, fields.size);
    out.begin(handle, half, message);
    if reading.is_coded() {
        out.coded(handle, half);
    }
}

fn status_known(out: &mut Output, handle: Handle) -> bool {
    let answer = out.message(handle, Half::Response);
    answer.is_some_and(|message| matches!(&message.head, Head::HttpResponse(head) if head.status.is_some()))
}
