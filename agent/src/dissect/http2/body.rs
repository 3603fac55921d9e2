//! One half of a stream: how far it is read, and what is kept of its body.

use crate::{
    dissect::{
        Headers, Message, Missing,
        grpc::{End, Reader, Types},
        http::{Coding, settle},
        output::Output,
        pairing::{Half, Handle},
    },
    time::Time,
};

/// How far a half is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its headers have not come, or were not seen.
    Unseen,
    Open,
    Closed,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) state: State,
    /// Bytes of this side passed unseen while it was open: anything may have been among them.
    pub(super) doubtful: bool,
    /// Payload so far, missing bytes included.
    size: u64,
    /// Bytes that may still be kept.
    room: usize,
    coding: Coding,
    grpc: Option<Box<Reader>>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { state: State::Unseen, doubtful: false, size: 0, room: 0, coding: Coding::default(), grpc: None }
    }
}

impl Reading {
    /// The headers came.
    pub(super) fn open(&mut self, headers: &Headers, types: Types, max_body: usize) {
        self.state = State::Open;
        self.grpc = Reader::new(headers, types, max_body).map(Box::new);
        if self.grpc.is_none() {
            self.coding = Coding { content: headers.get("content-encoding").is_some(), transfer: false };
            self.room = self.coding.room(max_body);
        }
    }

    pub(super) fn is_grpc(&self) -> bool {
        self.grpc.is_some()
    }

    /// Descriptors of services that it carried.
    pub(super) fn take_descriptors(&mut self) -> Vec<Vec<u8>> {
        self.grpc.as_mut().map(|reader| reader.take_descriptors()).unwrap_or_default()
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.grpc.as_ref().map_or(0, |reader| size_of::<Reader>() + reader.heap())
    }

    pub(super) fn is_coded(&self) -> bool {
        self.coding.any()
    }

    /// Bytes of the body that need not come at all.
    pub(super) fn unneeded(&self) -> u64 {
        match &self.grpc {
            Some(reader) => reader.unneeded(),
            None if self.room == 0 => u64::MAX,
            None => 0,
        }
    }

    /// Part of the body. How many bytes more are held for it.
    pub(super) fn take(&mut self, message: &mut Message, bytes: &[u8], time: Time) -> usize {
        self.size = self.size.saturating_add(bytes.len() as u64);
        until(message, Some(time));
        if let Some(reader) = &mut self.grpc {
            return reader.push(bytes, message);
        }
        let kept = bytes.len().min(self.room);
        message.body.kept.extend_from_slice(&bytes[..kept]);
        self.room -= kept;
        kept
    }

    /// Bytes of the body pass that are not looked at, or are missing. `time`: when, if that is known.
    pub(super) fn pass(&mut self, message: &mut Message, count: u64, time: Option<Time>) {
        self.size = self.size.saturating_add(count);
        self.room = 0;
        match &mut self.grpc {
            Some(reader) => reader.pass(count, message),
            None => message.body.truncated = true,
        }
        until(message, time);
    }

    /// Bytes of this side passed unseen; `missing`: so many, for this reason.
    pub(super) fn lose(&mut self, message: Option<&mut Message>, missing: Option<Missing>) {
        self.doubtful = true;
        self.room = 0;
        if let Some(reader) = &mut self.grpc {
            reader.lose();
        }
        if let Some(message) = message {
            message.body.truncated = true;
            if let Some(missing) = missing {
                until(message, missing.time);
            }
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self, handle: Handle, half: Half, end: End, max_body: usize, out: &mut Output) {
        let grpc = self.grpc.take();
        if self.state == State::Open
            && let Some(message) = out.message(handle, half)
        {
            let end = if self.doubtful { End::Cut } else { end };
            let size = (end == End::Whole).then_some(self.size);
            let finding = match grpc {
                Some(mut reader) => {
                    message.body.size = size;
                    reader.end(end, message)
                }
                None => settle(message, size, self.coding, max_body),
            };
            let limits = message.body.messages.as_ref().map(|messages| messages.limits());
            for (name, times) in limits.into_iter().flatten() {
                out.limit(name, times);
            }
            if let Some(finding) = finding {
                out.finding(handle, finding);
            }
            out.close(handle, half);
        }
        self.state = State::Closed;
    }
}

/// The last byte so far passed at this time, if that is known.
pub(super) fn until(message: &mut Message, time: Option<Time>) {
    message.body.end_lost = time.is_none();
    message.ended = message.ended.max(time.unwrap_or_default());
}
