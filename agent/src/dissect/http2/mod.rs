//! HTTP/2 (RFC 9113). One dissector reads both directions: frames, header blocks, and an exchange for each stream.
//!
//! Nothing is held but a frame's header, the parts of a header block and small control frames: bodies are read as they
//! come, and the extent of a payload is known, so that bytes missing inside one harm only what it carries. Bytes missing
//! between two frames hide where the next one begins; it is found again by `scan`.

mod assembly;
mod block;
mod body;
pub(super) mod error;
mod frame;
mod payload;
mod scan;
mod settings;
mod streams;

#[cfg(test)]
mod tests;

use assembly::Open;
use frame::{Frame, HEADER, Kind, PREFACE, flags};
use payload::{Data, Payload};
use settings::{Set, Settings};
use streams::Streams;

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
