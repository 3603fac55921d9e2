//! A body being read: its front is kept, the rest is passed over, and its end is found.

use super::{chunked::Chunked, framing::Framing};
use crate::dissect::{Headers, Malformed, http::Coding, input::Input, pairing::Handle};

/// One body.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) handle: Handle,
    state: State,
    /// Bytes that may still be kept.
    pub(super) room: usize,
    /// Kept bytes wait for these to be undone.
    pub(super) coding: Coding,
    /// The request is not known: it may have been HEAD, and no body comes.
    pub(super) unsure: bool,
    /// Sent with Expect: 100-continue.
    pub(super) expects: bool,
    /// That was answered by a final status: the body may never come.
    pub(super) declined: bool,
    /// Nothing of it came yet.
    pub(super) fresh: bool,
}

#[derive(Debug)]
enum State {
    Length {
        size: u64,
        left: u64,
    },
    Chunked(Chunked),
    /// Until the connection ends: `from` is the stream's position where it began.
    UntilEnd {
        from: u64,
    },
}

impl Reading {
    /// `None`: there is no body.
    pub(super) fn new(handle: Handle, framing: Framing, from: u64, room: usize) -> Option<Self> {
        let state = match framing {
            Framing::Empty | Framing::Unseen | Framing::Unclear(_) => return None,
            Framing::Length(size) => State::Length { size, left: size },
            Framing::Chunked => State::Chunked(Chunked::default()),
            Framing::UntilEnd => State::UntilEnd { from },
        };
        let [unsure, expects, declined] = [false; 3];
        Some(Self { handle, state, room, coding: Coding::default(), unsure, expects, declined, fresh: true })
    }

    /// Takes what is there. `Some`: the body is complete, and has this size.
    pub(super) fn read(
        &mut self,
        input: &mut Input<'_>,
        kept: &mut Vec<u8>,
        trailers: &mut Headers,
        findings: &mut Vec<&'static str>,
    ) -> Result<Option<u64>, Malformed> {
        self.fresh &= input.bytes().is_empty();
        match &mut self.state {
            State::Length { size, left } => Ok(take(input, left, &mut self.room, kept).then_some(*size)),
            State::Chunked(chunked) => chunked.read(input, &mut self.room, kept, trailers, findings),
            State::UntilEnd { .. } => {
                let count = input.bytes().len().min(self.room);
                kept.extend_from_slice(&input.bytes()[..count]);
                input.consume(count);
                self.room -= count;
                if self.room == 0 {
                    input.skip_to_end();
                }
                Ok(None)
            }
        }
    }

    /// The size of a body that the connection's end at this position ends.
    pub(super) fn ended(&self, position: u64) -> Option<u64> {
        match self.state {
            State::UntilEnd { from } => Some(position.saturating_sub(from)),
            State::Length { .. } | State::Chunked(_) => None,
        }
    }

    /// Bytes are missing next: how many of them are surely the body's. What is kept ends here.
    pub(super) fn gap(&mut self, missing: u64) -> u64 {
        let used = match &mut self.state {
            State::Length { left, .. } => use_up(left, missing),
            State::Chunked(chunked) => chunked.gap(missing),
            State::UntilEnd { .. } => missing,
        };
        if used > 0 {
            self.room = 0;
            self.fresh = false;
        }
        used
    }

    /// The whole of a body whose last byte is behind us, though some are missing.
    pub(super) fn complete(&self) -> Option<u64> {
        match self.state {
            State::Length { size, left: 0 } => Some(size),
            State::Length { .. } | State::Chunked(_) | State::UntilEnd { .. } => None,
        }
    }
}

pub(super) fn use_up(left: &mut u64, missing: u64) -> u64 {
    let used = missing.min(*left);
    *left -= used;
    used
}

/// Takes up to `left` bytes: the front is kept while there is room, the rest is passed over. True when all have passed.
pub(super) fn take(input: &mut Input<'_>, left: &mut u64, room: &mut usize, kept: &mut Vec<u8>) -> bool {
    let here = (input.bytes().len() as u64).min(*left);
    let count = (here as usize).min(*room);
    kept.extend_from_slice(&input.bytes()[..count]);
    input.consume(count);
    *left -= count as u64;
    *room -= count;
    if *room == 0 && *left > 0 {
        input.skip(*left);
        *left = 0;
    }
    *left == 0 && !input.skipping()
}
