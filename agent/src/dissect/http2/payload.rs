//! Payloads: of a frame that is looked at as a whole, held until it is there; of DATA, handed on as it comes.

use super::{
    Http2, State,
    assembly::BLOCK_LIMIT,
    frame::{self, Frame, Kind, flags},
    settings::Set,
    streams::Goaway,
};
use crate::{
    dissect::{Direction, Malformed, Missing, input::Input, output::Output},
    time::Time,
};

#[derive(Debug)]
pub(super) struct Payload {
    pub(super) frame: Frame,
    pub(super) started: Time,
    /// What came in earlier pieces.
    pub(super) bytes: Vec<u8>,
    pub(super) left: u32,
    /// Bytes behind those that are not looked at.
    pub(super) rest: u32,
    pub(super) missing: Option<Missing>,
}

#[derive(Debug)]
pub(super) struct Data {
    /// 0: of a frame that nobody looks at.
    pub(super) stream: u32,
    pub(super) end_stream: bool,
    /// The length of the padding is the next byte.
    pub(super) padded: bool,
    pub(super) left: u32,
    pub(super) padding: u32,
}

impl State {
    /// A payload of which the front is looked at.
    pub(super) fn of(frame: Frame, started: Time, front: u32) -> Self {
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

impl Http2 {
    pub(super) fn payload(
        &mut self,
        from: Direction,
        input: &mut Input<'_>,
        out: &mut Output,
    ) -> Result<bool, Malformed> {
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

    pub(super) fn data(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> Result<bool, Malformed> {
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

    /// Bytes that are missing may have been the last of a frame. `beyond`: they go on behind it, so `lose` follows.
    pub(super) fn finish_in_gap(&mut self, from: Direction, beyond: bool, out: &mut Output) {
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
