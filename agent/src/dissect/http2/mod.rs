//! HTTP/2 (RFC 9113). One dissector reads both directions: frames, header blocks, and an exchange for each stream.
//!
//! Nothing is held but a frame's header, the parts of a header block and small control frames: bodies are read as they
//! come, and the extent of a payload is known, so that bytes missing inside one harm only what it carries. Bytes missing
//! between two frames hide where the next one begins; it is found again by `scan`.

mod block;
mod body;
pub(super) mod error;
mod frame;
mod scan;
mod settings;
mod streams;

#[cfg(test)]
mod tests;

use frame::{Frame, HEADER, Kind, PREFACE, flags};
use settings::{Set, Settings};
use streams::{Block, Goaway, Streams};

use super::{
    Direction, Dissector, Malformed, Missing, Protocol, Scan, hpack, http,
    input::{Input, Unread},
    output::Output,
    pairing::Handle,
};
use crate::{
    flow::{Ending, Protocol4},
    time::Time,
};

pub(super) static HTTP2: Protocol = Protocol {
    name: "http",
    transport: Protocol4::Tcp,
    ports: &[80, 8080, 50051],
    fields: &[http::FIELDS],
    probe: scan::probe,
    open,
    scan: Some(scan::scan),
};

/// From the connection's first byte.
pub(super) fn open(settings: &super::Settings) -> Box<dyn Dissector> {
    Box::new(Http2::new(settings, true))
}

/// A header block, coded. nginx takes 32 KiB, Go 1 MiB by default, which nobody uses up; Envoy and gRPC 8 to 60 KiB.
const BLOCK_LIMIT: usize = 128 << 10;

/// Larger SETTINGS are not looked at: nobody sends hundreds of them.
const SETTINGS_LIMIT: u32 = 4 << 10;

/// Section 6.8: what stands before the debug data, which is not shown.
const GOAWAY: u32 = 8;

/// What a direction is in the middle of.
#[derive(Debug)]
enum State {
    /// Section 3.4.
    Preface,
    Frame,
    /// A payload that is looked at as a whole.
    Payload(Payload),
    Data(Data),
    Lost,
}

#[derive(Debug)]
struct Payload {
    frame: Frame,
    started: Time,
    /// What came in earlier pieces.
    bytes: Vec<u8>,
    left: u32,
    /// Bytes behind those that are not looked at.
    rest: u32,
    missing: Option<Missing>,
}

#[derive(Debug)]
struct Data {
    /// 0: of a frame that nobody looks at.
    stream: u32,
    end_stream: bool,
    /// The length of the padding is the next byte.
    padded: bool,
    left: u32,
    padding: u32,
}

/// A header block that goes on in CONTINUATION frames.
#[derive(Debug)]
struct Open {
    /// Of the frame that it began with.
    kind: Kind,
    stream: u32,
    promised: Option<u32>,
    end_stream: bool,
    started: Time,
    bytes: Vec<u8>,
    /// Parts of it can't be read, for this reason.
    broken: Option<&'static str>,
    missing: Option<Missing>,
}

/// One direction.
#[derive(Debug)]
struct Side {
    state: State,
    /// Of what this side sends.
    decoder: hpack::Decoder,
    /// What this side sets.
    settings: Settings,
    block: Option<Open>,
    ended: bool,
}

impl Side {
    fn new(state: State, whole: bool) -> Self {
        Self { state, decoder: hpack::Decoder::new(whole), settings: Settings::new(whole), block: None, ended: false }
    }
}

#[derive(Debug)]
pub(super) struct Http2 {
    sides: [Side; 2],
    streams: Streams,
}

impl Http2 {
    fn new(settings: &super::Settings, whole: bool) -> Self {
        Self {
            sides: [Side::new(State::Preface, whole), Side::new(State::Frame, whole)],
            streams: Streams::new(settings, whole),
        }
    }

    /// After an upgrade from HTTP/1, whose request is answered here (RFC 7540 section 3.2). `asked`: the time of its last
    /// byte. `header`: what the client said in HTTP2-Settings, which the upgrade acknowledges.
    pub(super) fn upgraded(settings: &super::Settings, handle: Option<Handle>, asked: Time, header: &[u8]) -> Self {
        let mut http2 = Self::new(settings, true);
        if let Some(handle) = handle {
            http2.streams.upgraded(handle, asked);
        }
        let set = Set::parse(header);
        http2.sides[Direction::ToServer as usize].settings.sent(set);
        http2.acknowledge(Direction::ToClient);
        http2
    }

    /// `from` acknowledges what the other side has set.
    fn acknowledge(&mut self, from: Direction) {
        let set = self.sides[from.other() as usize].settings.acknowledged();
        let decoder = &mut self.sides[from as usize].decoder;
        match set {
            None => decoder.forget_limit(),
            Some(Set { header_table: Some(size), .. }) => decoder.set_limit(size),
            Some(_) => {}
        }
    }

    /// Reads what is there of what this side is in the middle of. Whether there may be more to read.
    fn step(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> Result<bool, Malformed> {
        match &mut self.sides[from as usize].state {
            State::Lost => Ok(false),
            State::Preface => {
                let bytes = input.bytes();
                if !bytes.iter().zip(PREFACE).all(|(a, b)| a == b) {
                    return Err(Malformed("preface"));
                }
                if bytes.len() < PREFACE.len() {
                    return Ok(false);
                }
                input.consume(PREFACE.len());
                self.sides[from as usize].state = State::Frame;
                Ok(true)
            }
            State::Frame => {
                let Some(frame) = Frame::parse(input.bytes()) else {
                    return Ok(false);
                };
                self.frame(from, frame, input)?;
                Ok(true)
            }
            State::Payload(_) => self.payload(from, input, out),
            State::Data(_) => self.data(from, input, out),
        }
    }

    /// A frame's header came.
    fn frame(&mut self, from: Direction, frame: Frame, input: &mut Input<'_>) -> Result<(), Malformed> {
        frame.check()?;
        if !self.sides[from.other() as usize].settings.allow(frame.length) {
            return Err(Malformed("frame_size"));
        }
        let side = &mut self.sides[from as usize];
        // Section 6.10: nothing comes between the parts of a block.
        let continues = side.block.as_ref().map(|block| block.stream);
        if continues.is_some() != (frame.kind == Kind::Continuation) || continues.is_some_and(|id| id != frame.stream) {
            return Err(Malformed("continuation"));
        }
        let started = input.time_at(0);
        input.consume(HEADER);
        self.streams.seen(frame.stream, started);
        side.state = match frame.kind {
            Kind::Data => State::Data(Data {
                stream: frame.stream,
                end_stream: frame.has(flags::END_STREAM),
                padded: frame.has(flags::PADDED),
                left: frame.length,
                padding: 0,
            }),
            Kind::Headers | Kind::Continuation | Kind::PushPromise | Kind::RstStream => {
                State::of(frame, started, frame.length)
            }
            Kind::Goaway => State::of(frame, started, GOAWAY),
            Kind::Settings if frame.length <= SETTINGS_LIMIT => State::of(frame, started, frame.length),
            Kind::Settings | Kind::Priority | Kind::Ping | Kind::WindowUpdate | Kind::Unknown => {
                if frame.kind == Kind::Settings {
                    side.settings.lose();
                }
                input.skip(u64::from(frame.length));
                State::Frame
            }
        };
        Ok(())
    }

    fn payload(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> Result<bool, Malformed> {
        let side = &mut self.sides[from as usize];
        let State::Payload(payload) = &mut side.state else {
            return Ok(false);
        };
        let here = input.bytes().len().min(payload.left as usize);
        payload.left -= here as u32;
        if payload.left > 0 {
            payload.hold(&input.bytes()[..here]);
            input.consume(here);
            return Ok(false);
        }
        let after = payload.after();
        let State::Payload(mut payload) = std::mem::replace(&mut side.state, after) else {
            return Ok(false);
        };
        let ended = if here > 0 { input.time_at(here - 1) } else { input.last_time() };
        let result = if payload.bytes.is_empty() {
            self.whole(from, &payload, &input.bytes()[..here], ended, out)
        } else {
            payload.hold(&input.bytes()[..here]);
            let bytes = std::mem::take(&mut payload.bytes);
            self.whole(from, &payload, &bytes, ended, out)
        };
        input.consume(here);
        result.map(|()| true)
    }

    /// A payload is there, as far as it could be seen.
    fn whole(
        &mut self,
        from: Direction,
        payload: &Payload,
        bytes: &[u8],
        ended: Time,
        out: &mut Output,
    ) -> Result<(), Malformed> {
        let frame = payload.frame;
        match frame.kind {
            Kind::Headers | Kind::Continuation | Kind::PushPromise => {
                return self.header_block(from, payload, bytes, ended, out);
            }
            Kind::Settings if payload.missing.is_some() => self.sides[from as usize].settings.lose(),
            Kind::Settings if frame.has(flags::ACK) => self.acknowledge(from),
            Kind::Settings => self.sides[from as usize].settings.sent(Set::parse(bytes)),
            Kind::RstStream => {
                let code = frame::number(bytes, 0).filter(|_| payload.missing.is_none());
                self.streams.reset(from, frame.stream, code, ended, out);
            }
            Kind::Goaway => {
                let front = frame::number(bytes, 0).zip(frame::number(bytes, 4));
                if let Some((last, code)) = front.filter(|_| payload.missing.is_none()) {
                    self.streams.goaway(from, Goaway { last: last & 0x7fff_ffff, code }, out);
                }
            }
            Kind::Data | Kind::Priority | Kind::Ping | Kind::WindowUpdate | Kind::Unknown => {}
        }
        Ok(())
    }

    /// A frame of a header block came.
    fn header_block(
        &mut self,
        from: Direction,
        payload: &Payload,
        bytes: &[u8],
        ended: Time,
        out: &mut Output,
    ) -> Result<(), Malformed> {
        let side = &mut self.sides[from as usize];
        let frame = payload.frame;
        let mut malformed = None;
        // Less than the frame has was held: a block of which a part is read would shift the table's entries.
        let too_long = bytes.len() > BLOCK_LIMIT;
        let mut content = if payload.missing.is_some() || too_long { None } else { frame::content(frame, bytes) };
        let mut promised = None;
        if frame.kind == Kind::PushPromise {
            let parts = content.and_then(<[u8]>::split_first_chunk::<4>);
            (promised, content) = parts.map(|(id, rest)| (u32::from_be_bytes(*id) & 0x7fff_ffff, rest)).unzip();
        }
        if content.is_none() && payload.missing.is_none() && !too_long {
            malformed = Some(Malformed("padding"));
        }
        let mut open = side.block.take().unwrap_or_else(|| Open {
            kind: frame.kind,
            stream: frame.stream,
            promised,
            end_stream: frame.kind == Kind::Headers && frame.has(flags::END_STREAM),
            started: payload.started,
            bytes: Vec::new(),
            broken: None,
            missing: None,
        });
        let before = open.missing.map_or(0, |missing| missing.bytes);
        open.missing = match payload.missing {
            Some(missing) => Some(Missing { bytes: before + missing.bytes, ..missing }),
            None => open.missing,
        };
        let done = frame.has(flags::END_HEADERS);
        // A block in one frame is read where it lies.
        let mut alone = None;
        match content {
            None => open.broken = Some(if too_long { "header_block_limit" } else { "headers_lost" }),
            Some(content) if done && open.bytes.is_empty() => alone = Some(content),
            Some(content) if open.bytes.len() + content.len() <= BLOCK_LIMIT => open.bytes.extend_from_slice(content),
            Some(_) => {
                (open.bytes, open.broken) = (Vec::new(), Some("header_block_limit"));
            }
        }
        if !done {
            side.block = Some(open);
            return malformed.map_or(Ok(()), Err);
        }
        let fields = match open.broken {
            Some(why) => {
                side.decoder.lose();
                block::Fields::unseen(why)
            }
            None => {
                let (fields, bad) = block::decode(&mut side.decoder, alone.unwrap_or(&open.bytes));
                malformed = malformed.or(bad);
                fields
            }
        };
        let Open { kind, stream, promised, end_stream, started, bytes: _, broken: _, missing } = open;
        let block = Block { from, stream, fields, started, ended, end_stream, missing };
        match (kind, promised) {
            // Section 8.4: only servers do.
            (Kind::PushPromise, Some(promised)) if from == Direction::ToClient => {
                self.streams.promise(promised, block, out);
            }
            // Of what stream is not known.
            (Kind::PushPromise, _) => {}
            (_, _) => self.streams.headers(block, out),
        }
        malformed.map_or(Ok(()), Err)
    }

    fn data(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> Result<bool, Malformed> {
        let State::Data(data) = &mut self.sides[from as usize].state else {
            return Ok(false);
        };
        if input.skipping() {
            return Ok(false);
        }
        if data.padded {
            let Some(&padding) = input.bytes().first() else {
                return Ok(false);
            };
            input.consume(1);
            data.left -= 1;
            // Section 6.1: as long as the payload, or longer, is an error.
            let padding = u32::from(padding);
            data.left = data.left.checked_sub(padding).ok_or(Malformed("padding"))?;
            (data.padded, data.padding) = (false, padding);
        }
        let id = data.stream;
        if data.left > 0 {
            let unneeded = self.streams.unneeded(from, id).min(u64::from(data.left));
            if unneeded > 0 {
                data.left -= unneeded as u32;
                input.skip(unneeded);
                let time = (!input.skipping()).then(|| input.last_time());
                self.streams.pass(from, id, unneeded, time, out);
                return Ok(!input.skipping());
            }
            let here = input.bytes().len().min(data.left as usize);
            if here == 0 {
                return Ok(false);
            }
            let time = input.time_at(here - 1);
            self.streams.data(from, id, &input.bytes()[..here], time, out);
            data.left -= here as u32;
            input.consume(here);
            return Ok(true);
        }
        if data.padding > 0 {
            input.skip(u64::from(std::mem::take(&mut data.padding)));
            return Ok(!input.skipping());
        }
        let end_stream = data.end_stream;
        self.sides[from as usize].state = State::Frame;
        self.streams.until(from, id, (!input.last_lost()).then(|| input.last_time()), out);
        if end_stream {
            self.streams.end(id, from, out);
        }
        Ok(true)
    }
}

impl State {
    /// A payload of which the front is looked at.
    fn of(frame: Frame, started: Time, front: u32) -> Self {
        let rest = frame.length.saturating_sub(front);
        Self::Payload(Payload { frame, started, bytes: Vec::new(), left: frame.length - rest, rest, missing: None })
    }
}

impl Payload {
    /// What comes behind it.
    fn after(&self) -> State {
        match self.rest {
            0 => State::Frame,
            left => State::Data(Data { stream: 0, end_stream: false, padded: false, left, padding: 0 }),
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        // What is beyond the limit breaks the block.
        let room = (BLOCK_LIMIT + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl Dissector for Http2 {
    fn decode(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> Result<(), Malformed> {
        while self.step(from, input, out)? {}
        Ok(())
    }

    fn gap(&mut self, from: Direction, missing: Missing, out: &mut Output) -> u64 {
        match &mut self.sides[from as usize].state {
            State::Data(data) if data.padded => {
                // How much of it is padding is not known, nor where the body ends in it.
                let used = missing.bytes.min(u64::from(data.left));
                data.left -= used as u32;
                data.padded = false;
                let id = data.stream;
                let missing_here = Missing { bytes: used, ..missing };
                self.streams.unsure(from, id, missing_here, out);
                self.finish_in_gap(from, used < missing.bytes, out);
                used
            }
            State::Data(data) => {
                let all = u64::from(data.left) + u64::from(data.padding);
                let used = missing.bytes.min(all);
                let body = used.min(u64::from(data.left));
                data.left -= body as u32;
                data.padding -= (used - body) as u32;
                let id = data.stream;
                if body > 0 {
                    self.streams.pass(from, id, body, missing.time, out);
                    self.streams.missing(id, Missing { bytes: body, ..missing }, out);
                }
                self.finish_in_gap(from, used < missing.bytes, out);
                used
            }
            State::Payload(payload) => {
                let used = missing.bytes.min(u64::from(payload.left));
                payload.left -= used as u32;
                let before = payload.missing.map_or(0, |missing| missing.bytes);
                payload.missing = Some(Missing { bytes: before + used, ..missing });
                self.finish_in_gap(from, used < missing.bytes, out);
                match &self.sides[from as usize].state {
                    // The gap goes on in what is not looked at.
                    State::Data(_) if used < missing.bytes => {
                        used + self.gap(from, Missing { bytes: missing.bytes - used, ..missing }, out)
                    }
                    _ => used,
                }
            }
            State::Preface | State::Frame | State::Lost => 0,
        }
    }

    fn passed_over(&mut self, from: Direction, missing: Missing, out: &mut Output) {
        if let State::Data(Data { stream, .. }) = self.sides[from as usize].state {
            self.streams.missing(stream, missing, out);
            self.streams.until(from, stream, missing.time, out);
        }
    }

    fn lose(&mut self, from: Direction, missing: Option<Missing>, out: &mut Output) {
        let side = &mut self.sides[from as usize];
        if !matches!(side.state, State::Lost) || missing.is_some() {
            side.decoder.lose();
            side.settings.lose();
            // Acknowledgements may be among what was lost.
            self.sides[from.other() as usize].settings.lose();
            self.streams.lose(from, missing, out);
        }
        let side = &mut self.sides[from as usize];
        (side.state, side.block) = (State::Lost, None);
    }

    fn resume(&mut self, from: Direction, bytes: &[u8], _unread: Unread, out: &mut Output) -> bool {
        let begins = from == Direction::ToServer && bytes.starts_with(PREFACE);
        if begins {
            // Nothing that either side has said before was this protocol.
            self.streams.end_all(out);
            let settings = self.streams.settings();
            let [_, server] = std::mem::replace(self, Self::new(&settings, true)).sides;
            let side = &mut self.sides[Direction::ToClient as usize];
            (side.state, side.ended) = (server.state, server.ended);
            // It may have said what it allows before the client spoke.
            side.settings.lose();
        }
        let side = &mut self.sides[from as usize];
        side.state = if begins { State::Preface } else { State::Frame };
        true
    }

    fn find(&self, from: Direction, _turn: bool, bytes: &[u8]) -> Scan {
        scan::scan(Some(from), bytes)
    }

    fn turn(&mut self, _from: Direction, _out: &mut Output) {}

    fn held(&self) -> usize {
        let side = |side: &Side| {
            let payload = if let State::Payload(payload) = &side.state { payload.bytes.capacity() } else { 0 };
            payload + side.decoder.heap() + side.block.as_ref().map_or(0, |block| block.bytes.capacity())
        };
        self.sides.iter().map(side).sum::<usize>() + self.streams.heap()
    }

    fn relieve(&mut self, out: &mut Output) -> bool {
        self.streams.relieve(out);
        true
    }

    fn end(&mut self, from: Direction, _input: &mut Input<'_>, _how: Ending, out: &mut Output) {
        self.cut(from, out);
        let side = &mut self.sides[from as usize];
        (side.ended, side.state, side.block) = (true, State::Lost, None);
        side.decoder = hpack::Decoder::new(false);
        // A client may close its side and still be answered.
        if self.sides[Direction::ToClient as usize].ended {
            self.streams.end_all(out);
        }
    }
}

impl Http2 {
    /// The connection ends inside a header block: that there was a message is told.
    fn cut(&mut self, from: Direction, out: &mut Output) {
        let side = &self.sides[from as usize];
        let cut = match (&side.state, &side.block) {
            (_, Some(open)) if open.kind == Kind::Headers => Some((open.stream, open.started)),
            (State::Payload(Payload { frame, started, .. }), None) if frame.kind == Kind::Headers => {
                Some((frame.stream, *started))
            }
            _ => None,
        };
        if let Some((stream, started)) = cut {
            let fields = block::Fields::unseen("cut_short");
            let block = Block { from, stream, fields, started, ended: started, end_stream: false, missing: None };
            self.streams.headers(block, out);
        }
    }

    /// Bytes that are missing may have been the last of a frame. `beyond`: they go on behind it, so `lose` follows.
    fn finish_in_gap(&mut self, from: Direction, beyond: bool, out: &mut Output) {
        let side = &mut self.sides[from as usize];
        match &side.state {
            State::Payload(payload @ Payload { left: 0, .. }) => {
                let after = payload.after();
                let State::Payload(payload) = std::mem::replace(&mut side.state, after) else { return };
                let ended = payload.missing.and_then(|missing| missing.time).unwrap_or(payload.started);
                // What could be read of it is known to be incomplete, which is no error of the sender.
                let _ = self.whole(from, &payload, &payload.bytes, ended, out);
            }
            State::Data(Data { left: 0, padding: 0, end_stream, stream, .. }) if beyond => {
                let (end_stream, id) = (*end_stream, *stream);
                side.state = State::Frame;
                if end_stream {
                    self.streams.end(id, from, out);
                }
            }
            _ => {}
        }
    }
}
