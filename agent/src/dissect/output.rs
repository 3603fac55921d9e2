//! What a dissector reports: messages opened, updated and closed, and what is to become of the conversation. Pairing
//! stands behind it, so that every protocol reports in the same words.

use super::{
    Direction, Dissector, Exchange, Message, Missing, Protocol,
    pairing::{Half, Handle, Pairing},
};
use crate::{coverage::Reason, time::Time};

/// Findings that tell of a limit that was hit, which is counted besides.
const LIMITS: [&str; 9] = [
    "header_block_limit",
    "header_list_limit",
    "memory_limit",
    "outstanding_limit",
    "partition_limit",
    "records_compression_limit",
    "stream_limit",
    "topic_limit",
    "topic_names_limit",
];

/// See the module.
pub struct Output {
    pub(super) pairing: Pairing,
    pub(super) done: Vec<Exchange>,
    /// Limits that were hit, and how often.
    pub(super) limits: Vec<(&'static str, u64)>,
    pub(super) left: Option<Reason>,
    pub(super) lost: [Option<Reason>; 2],
    pub(super) retry: [bool; 2],
    pub(super) next: Option<Next>,
    pub(super) malformed: Vec<&'static str>,
}

/// What reads the conversation from here on.
pub(super) struct Next {
    pub(super) protocol: &'static Protocol,
    pub(super) dissector: Box<dyn Dissector>,
}

impl Output {
    pub(super) fn new(protocol: &'static Protocol) -> Self {
        let pairing = Pairing::new(protocol);
        Self {
            pairing,
            done: Vec::new(),
            left: None,
            lost: [None; 2],
            retry: [false; 2],
            next: None,
            malformed: Vec::new(),
            limits: Vec::new(),
        }
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

    /// An exchange that is found by its stream, or another key, instead of its place in line; open until `finish`.
    pub fn stream(&mut self, stream: Option<u64>, began: Time) -> Handle {
        self.pairing.stream(stream, began)
    }

    /// One that is open.
    pub fn exchange(&mut self, handle: Handle) -> Option<&mut Exchange> {
        self.pairing.exchange(handle)
    }

    /// A half of a stream's exchange begins, its body still empty.
    pub fn begin(&mut self, handle: Handle, half: Half, message: Message) {
        self.pairing.begin(handle, half, message);
    }

    /// Nothing more comes of a stream's exchange.
    pub fn finish(&mut self, handle: Handle) {
        self.pairing.finish(handle, &mut self.done);
    }

    /// It turned out to be none.
    pub fn discard(&mut self, handle: Handle) {
        self.pairing.discard(handle);
    }

    /// What was read is not what the protocol says, and reading goes on all the same.
    pub fn malformed(&mut self, what: &'static str) {
        self.malformed.push(what);
    }

    /// The final answer to `awaited` begins.
    pub fn response(&mut self, message: Message) -> Handle {
        self.pairing.response(message)
    }

    /// Bytes that an exchange holds.
    pub fn held(&self, handle: Handle) -> usize {
        self.pairing.held_by(handle)
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
        if LIMITS.contains(&finding) {
            self.limit(finding, 1);
        }
        self.pairing.finding(handle, finding);
    }

    /// A limit was hit so many times.
    pub fn limit(&mut self, name: &'static str, times: u64) {
        if times > 0 {
            self.limits.push((name, times));
        }
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

    /// What follows in both directions is read by another dissector. The next answer's exchange is handed to it, as that
    /// of a stream.
    pub fn become_streams(
        &mut self,
        protocol: &'static Protocol,
        stream: u64,
        dissector: impl FnOnce(Option<Handle>) -> Box<dyn Dissector>,
    ) {
        let handle = self.pairing.hand_over(protocol, stream, &mut self.done);
        self.next = Some(Next { protocol, dissector: dissector(handle) });
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
