//! What dissection yields, the same for all protocols: a request and its answer, each with its head, headers and body.

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
    pub incomplete: Incomplete,
    /// Short names of what is worth a look: `upgraded`, `bad_chunk`, `pipelined`, …
    pub findings: Vec<&'static str>,
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
    /// Start line to blank line inclusive.
    pub headers_size: u32,
    pub trailers: Headers,
    pub body: Body,
}

/// What stands before the headers.
#[derive(Clone, Debug)]
pub enum Head {
    HttpRequest(HttpRequest),
    HttpResponse(HttpResponse),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: std::borrow::Cow<'static, str>,
    /// As sent: origin form, absolute form, authority form or `*`.
    pub target: Vec<u8>,
    /// "1.0", "1.1", "2".
    pub version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
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
}

/// Names and values in order, with repetitions, as sent. One allocation: each entry is two lengths and two texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Vec<u8>,
    count: u32,
}

/// Two little-endian `u32` before each entry's texts.
const LENGTHS: usize = 8;

impl Headers {
    /// Room for `count` headers whose names and values have `text` bytes together.
    pub fn with_capacity(count: usize, text: usize) -> Self {
        Self { entries: Vec::with_capacity(count * LENGTHS + text), count: 0 }
    }

    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let lengths = (value.len() as u64) << 32 | name.len() as u64 & u64::from(u32::MAX);
        self.entries.extend_from_slice(&lengths.to_le_bytes());
        self.entries.extend_from_slice(name);
        self.entries.extend_from_slice(value);
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

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.entries.as_slice();
        std::iter::from_fn(move || {
            let (lengths, texts) = rest.split_at_checked(LENGTHS)?;
            let length = |at: usize| {
                u32::from_le_bytes([lengths[at], lengths[at + 1], lengths[at + 2], lengths[at + 3]]) as usize
            };
            let (name, texts) = texts.split_at_checked(length(0))?;
            let (value, texts) = texts.split_at_checked(length(4))?;
            rest = texts;
            Some((name, value))
        })
    }

    /// The first value under a name, without regard to case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}
