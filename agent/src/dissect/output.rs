//! What a dissector reports: messages opened, updated and closed, and what is to become of the conversation. Pairing
//! stands behind it, so that every protocol reports in the same words.

use super::{
    Direction, Exchange, Message, Missing,
    pairing::{Half, Handle, Pairing},
};
use crate::coverage::Reason;

/// See the module.
#[derive(Debug)]
pub struct Output {
    pub(super) pairing: Pairing,
    pub(super) done: Vec<Exchange>,
    pub(super) left: Option<Reason>,
    pub(super) lost: [Option<Reason>; 2],
    pub(super) retry: [bool; 2],
}

impl Output {
    pub(super) fn new(protocol: &'static super::Protocol) -> Self {
        Self { pairing: Pairing::new(protocol), done: Vec::new(), left: None, lost: [None; 2], retry: [false; 2] }
    }

    /// A request begins, its body still empty. `turn`: its first byte begins a turn.
    pub fn request(&mut self, message: Message, turn: bool) -> Handle {
        self.pairing.request(message, turn, &mut self.done)
    }

    /// The exchange that the next answer belongs to; `None` when that is not known.
    pub fn awaited(&self) -> Option<&Exchange> {
        self.pairing.awaited()
    }

    /// The exchanges that an answer may still come for.
    pub fn outstanding(&self) -> impl Iterator<Item = &Exchange> {
        self.pairing.outstanding()
    }

    /// The final answer to `awaited` begins.
    pub fn response(&mut self, message: Message) -> Handle {
        self.pairing.response(message)
    }

    /// A half that is being read, to add to its body.
    pub fn message(&mut self, handle: Handle, half: Half) -> Option<&mut Message> {
        self.pairing.message(handle, half)
    }

    /// The kept bytes of this half are raw until it is closed.
    pub fn coded(&mut self, handle: Handle, half: Half) {
        self.pairing.coded(handle, half);
    }

    /// Something worth a look.
    pub fn finding(&mut self, handle: Handle, finding: &'static str) {
        self.pairing.finding(handle, finding);
    }

    /// As `finding`, of the exchange that the next answer belongs to.
    pub fn awaited_finding(&mut self, finding: &'static str) {
        self.pairing.awaited_finding(finding);
    }

    /// Bytes of this exchange are missing.
    pub fn missing(&mut self, handle: Handle, missing: Missing) {
        self.pairing.missing(handle, missing);
    }

    /// A half is read as far as it can be.
    pub fn close(&mut self, handle: Handle, half: Half) {
        self.pairing.close(handle, half, &mut self.done);
    }

    /// Requests may have passed unseen.
    pub fn missed_requests(&mut self, missing: Option<Missing>) {
        self.pairing.missed_requests(missing);
    }

    /// Answers, or parts of them, passed unseen. `reading`: one was being read, and was closed just before.
    pub fn missed_responses(&mut self, missing: Option<Missing>, reading: bool) {
        self.pairing.missed_responses(missing, reading, &mut self.done);
    }

    /// The client begins a turn with a request, and no answer is being read.
    pub fn resume(&mut self) {
        self.pairing.resume();
    }

    /// Nothing more comes from the server.
    pub fn end_answers(&mut self) {
        self.pairing.end_answers(&mut self.done);
    }

    /// What follows in both directions is another protocol, which no dissector reads.
    pub fn leave(&mut self, reason: Reason) {
        self.left = Some(reason);
    }

    /// This direction can't be read on before its next turn.
    pub fn lose(&mut self, direction: Direction, reason: Reason) {
        self.lost[direction as usize] = Some(reason);
    }

    /// What is held in this direction can be read now.
    pub fn retry(&mut self, direction: Direction) {
        self.retry[direction as usize] = true;
    }
}
