//! What dissection yields, the same for all protocols: a request and its answer, each with its head, headers and body.

use std::borrow::Cow;

use super::kafka::{KafkaRequest, KafkaResponse};
use crate::{
    coverage::{ByReason, Reason},
    time::Time,
};

/// A request and its answer, or one of them. Revisions of an exchange have the same `number`; the last one wins.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Ordinal within its conversation, from 0.
    pub number: u32,
    /// 0 when first published, then 1, 2, …
    pub revision: u32,
    /// More may come.
    pub open: bool,
    pub protocol: &'static super::Protocol,
    pub stream_id: Option<u64>,
    pub request: Option<Message>,
    pub response: Option<Message>,
    /// Its stream was ended before its time.
    pub reset: Option<Reset>,
    pub incomplete: Incomplete,
    /// Short names of what is worth a look: `upgraded`, `bad_chunk`, `pipelined`, …
    pub findings: Vec<&'static str>,
}

/// A stream's end by one side (HTTP/2's RST_STREAM).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// What that side sends goes this way.
    pub by: super::Direction,
    /// Of the error code.
    pub name: &'static str,
}

/// Bytes of this exchange that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incomplete {
    pub lost: ByReason,
    pub skipped: ByReason,
}

impl Incomplete {
    pub fn add(&mut self, missing: super::Missing) {
        if missing.skipped {
            self.skipped.add(missing.reason, missing.bytes);
        } else {
            self.lost.add(missing.reason, missing.bytes);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.lost.total() == 0 && self.skipped.total() == 0
    }

    pub fn reasons(&self) -> Vec<Reason> {
        Reason::ALL.into_iter().filter(|&reason| self.lost.get(reason) + self.skipped.get(reason) > 0).collect()
    }
}

/// One message of an exchange.
#[derive(Clone, Debug)]
pub struct Message {
    /// Time of its first byte (of an HTTP response: of the final one, not of a 1xx before it).
    pub started: Time,
    /// Time of its last byte so far.
    pub ended: Time,
    pub head: Head,
    pub headers: Headers,
    /// Start line to blank line inclusive; in HTTP/2 the decoded names and values. `None`: not known, and when there are
    /// no headers either, nothing is known of the message before its body.
    pub headers_size: Option<u32>,
    pub trailers: Headers,
    pub body: Body,
}

impl Message {
    /// Bytes on the heap, but for those of the head.
    pub fn heap(&self) -> usize {
        let messages = self.body.messages.as_ref().map_or(0, |messages| messages.heap());
        self.body.kept.capacity() + self.headers.heap() + self.trailers.heap() + messages
    }
}

/// What stands before the headers.
#[derive(Clone, Debug)]
pub enum Head {
    HttpRequest(HttpRequest),
    HttpResponse(HttpResponse),
    KafkaRequest(Box<KafkaRequest>),
    KafkaResponse(Box<KafkaResponse>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `None`: not known, and so with the others.
    pub method: Option<Cow<'static, str>>,
    /// As sent: origin form, absolute form, authority form or `*`.
    pub target: Option<Vec<u8>>,
    /// What HTTP/2 says beside the target.
    pub site: Option<Box<Site>>,
    /// "1.0", "1.1", "2".
    pub version: &'static str,
}

impl HttpRequest {
    /// One whose request line was seen.
    pub fn new(method: impl Into<Cow<'static, str>>, target: Vec<u8>, version: &'static str) -> Self {
        Self { method: Some(method.into()), target: Some(target), site: None, version }
    }
}

/// Pseudo-headers of HTTP/2 that HTTP/1 has in other places. `None`: not known; empty: not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    pub scheme: Option<Vec<u8>>,
    pub authority: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// `None`: not known.
    pub status: Option<u16>,
    pub version: &'static str,
}

/// What was kept of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// After transfer and before content decoding; `None` when the end is not known.
    pub size: Option<u64>,
    /// The front, after content decoding where `decoded` says so.
    pub kept: Vec<u8>,
    /// The content encoding that was undone.
    pub decoded: Option<&'static str>,
    /// `kept` is not the whole body.
    pub truncated: bool,
    /// Its last bytes were lost, so that nobody knows when it ended.
    pub end_lost: bool,
    /// What it carries, where that is messages (gRPC); then nothing else is kept.
    pub messages: Option<Box<Messages>>,
}

/// Messages of a body, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// The first ones.
    pub list: Vec<StreamMessage>,
    /// All that were seen to begin.
    pub count: u64,
    /// Their sizes together.
    pub bytes: u64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamMessage {
    /// On the wire, without what is before it.
    pub size: u32,
    pub carried: Carried,
    /// The compression that was undone.
    pub encoding: Option<&'static str>,
}

/// What a message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Its fields, as a JSON object.
    Fields {
        json: Vec<u8>,
        /// `None`: there is no schema, and what the fields are is guessed.
        type_name: Option<Box<str>>,
        /// The schema was learned from the connection.
        learned: bool,
        /// Not all of it is in the object.
        cut: bool,
    },
    /// As far as it was kept, for this reason.
    Raw { bytes: Vec<u8>, why: &'static str },
}

/// Names and values in order, with repetitions, as sent. One allocation: each entry is two lengths and two texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Vec<u8>,
    count: u32,
}

/// Two little-endian `u32` before each entry's texts.
const LENGTHS: usize = 8;

/// In place of the length of what is not known. No header is that long.
const UNKNOWN: u32 = u32::MAX;

impl Headers {
    /// Room for `count` headers whose names and values have `text` bytes together.
    pub fn with_capacity(count: usize, text: usize) -> Self {
        Self { entries: Vec::with_capacity(count * LENGTHS + text), count: 0 }
    }

    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.push_known(Some(name), Some(value));
    }

    /// One of which a part may not be known.
    pub fn push_known(&mut self, name: Option<&[u8]>, value: Option<&[u8]>) {
        for text in [name, value] {
            let length = text.map_or(UNKNOWN, |text| text.len() as u32);
            self.entries.extend_from_slice(&length.to_le_bytes());
        }
        self.entries.extend_from_slice(name.unwrap_or_default());
        self.entries.extend_from_slice(value.unwrap_or_default());
        self.count += 1;
    }

    pub fn len(&self) -> usize {
        self.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.entries.capacity()
    }

    /// Gives back the slack when there is more than `least` of it, and more than an eighth.
    pub fn shrink(&mut self, least: usize) {
        let slack = self.entries.capacity() - self.entries.len();
        if slack > least && slack > self.entries.capacity() / 8 {
            self.entries.shrink_to_fit();
        }
    }

    /// Those that are known.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.all().filter_map(|(name, value)| Some((name?, value?)))
    }

    /// All, `None` for what is not known.
    pub fn all(&self) -> impl Iterator<Item = (Option<&[u8]>, Option<&[u8]>)> {
        let mut rest = self.entries.as_slice();
        std::iter::from_fn(move || {
            let (lengths, texts) = rest.split_at_checked(LENGTHS)?;
            let length = |at: usize| {
                let length = u32::from_le_bytes([lengths[at], lengths[at + 1], lengths[at + 2], lengths[at + 3]]);
                (length != UNKNOWN).then_some(length as usize)
            };
            let (name, texts) = texts.split_at_checked(length(0).unwrap_or(0))?;
            let (value, texts) = texts.split_at_checked(length(4).unwrap_or(0))?;
            rest = texts;
            Some((length(0).map(|_| name), length(4).map(|_| value)))
        })
    }

    /// The first value under a name, without regard to case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}
