//! A message that is being read: how much of it is still to come, and what becomes of it when it is over.

use std::sync::Arc;

use super::{
    facts::Facts,
    reading::Reading,
    schema::{self, Api, Layout},
    topics::TopicNames,
    walk::{Bad, Progress, Walk},
};
use crate::{
    dissect::{Carried, Head, Message, Messages, StreamMessage, pairing::Half},
    time::Time,
};

/// What a body is read by.
#[derive(Clone, Copy, Debug)]
pub enum ReadBy {
    /// In this version.
    Known(&'static Api, i16, &'static Layout),
    /// Not at all, for this reason.
    Closed(&'static str),
}

/// See the module.
#[derive(Debug)]
pub struct Frame {
    pub half: Half,
    read_by: ReadBy,
    /// Of the whole message.
    size: u32,
    /// Bytes that are still to come.
    left: u64,
    walk: Option<Walk>,
    reading: Reading,
    /// The body is not what its schema says.
    bad: Option<&'static str>,
    missing: bool,
}

/// What was read.
#[derive(Debug)]
pub struct Read {
    pub facts: Facts,
    /// `None`: the body stays closed.
    pub carried: Option<Carried>,
    /// Why the body stays closed, or is not what its schema says.
    pub why: Option<&'static str>,
    /// What is wrong with its records.
    pub of_records: Option<&'static str>,
    /// Limits that were hit.
    pub limits: Vec<&'static str>,
    pub bad: Option<&'static str>,
}

impl Frame {
    /// Of `size` bytes, `header` of which are read. `limit`: for the text of its tree.
    pub fn new(half: Half, read_by: ReadBy, size: u32, header: usize, limit: usize, names: &Arc<TopicNames>) -> Self {
        let left = u64::from(size) - header as u64;
        let walk = match read_by {
            ReadBy::Known(_, _, layout) => Some(Walk::new(&layout.body, left)),
            ReadBy::Closed(_) => None,
        };
        let reading = Reading::new(limit, names.clone(), half == Half::Response);
        Self { half, read_by, size, left, walk, reading, bad: None, missing: false }
    }

    pub fn left(&self) -> u64 {
        self.left
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.walk.as_ref().map_or(0, Walk::heap) + self.reading.heap()
    }

    /// Takes from the front of `bytes`; returns how many, and how many of the next ones need not be seen.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, u64) {
        let here = &bytes[..bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))];
        let Some(walk) = &mut self.walk else { return (0, self.left) };
        let mut rest = here;
        let result = walk.feed(&mut rest, &mut self.reading);
        let taken = here.len() - rest.len();
        self.left -= taken as u64;
        let unneeded = match result {
            Ok(Progress::More) => 0,
            Ok(Progress::Pass(count)) => count,
            Ok(Progress::Done) => {
                self.bad = self.bad.or((self.left > 0).then_some("trailing_bytes"));
                self.left
            }
            Err(Bad(why)) => {
                (self.bad, self.walk) = (Some(why), None);
                self.left
            }
        };
        (taken, unneeded)
    }

    /// So many of the next bytes are not seen. `missing`: they were needed.
    pub fn pass(&mut self, count: u64, missing: bool) {
        self.left -= count.min(self.left);
        self.missing |= missing;
        if let Some(walk) = &mut self.walk
            && !walk.done()
            && !walk.pass(count, missing, &mut self.reading)
        {
            self.walk = None;
        }
    }

    /// It is over.
    pub fn finish(mut self) -> Read {
        // What needs no more bytes: values of no length, ends of lists.
        self.feed(&[]);
        self.reading.settle();
        let done = self.walk.as_ref().is_some_and(Walk::done);
        if self.walk.is_some() && !done && !self.missing && self.left == 0 {
            self.bad = self.bad.or(Some("short_body"));
        }
        let Reading { mut facts, tree, finding, limits, lost, too_long, .. } = self.reading;
        let whole = done && !lost && self.bad.is_none();
        facts.whole = whole && !too_long;
        if let Some(records) = facts.records.as_mut().filter(|_| !done) {
            records.count = None;
        }
        let (json, cut) = tree.finish();
        let (carried, why) = match self.read_by {
            ReadBy::Known(api, version, _) => {
                let type_name = Some(format!("{} v{version}", api.name).into_boxed_str());
                let cut = cut || self.missing || !whole;
                (Some(Carried::Fields { json, type_name, learned: false, cut }), self.bad)
            }
            ReadBy::Closed(why) => (None, Some(why)),
        };
        Read { facts, carried, why, of_records: finding, limits, bad: self.bad }
    }

    /// Key and version of what is read.
    pub fn api(&self) -> Option<(i16, i16)> {
        match self.read_by {
            ReadBy::Known(api, version, _) => Some((api.key, version)),
            ReadBy::Closed(_) => None,
        }
    }

    pub fn size(&self) -> u32 {
        self.size
    }
}

/// Reads a body that is all there: of the request or the answer of an API in some version, if that is known.
pub fn read(half: Half, key: i16, version: i16, body: &[u8], limit: usize) -> Option<Read> {
    let api = schema::table().api(key)?;
    let layout = match half {
        Half::Request => api.request(version)?,
        Half::Response => api.response(version)?,
    };
    let read_by = ReadBy::Known(api, version, layout);
    let mut frame = Frame::new(half, read_by, u32::try_from(body.len()).ok()?, 0, limit, &Arc::default());
    let mut rest = body;
    while frame.left() > 0 {
        let (taken, unneeded) = frame.feed(rest);
        if unneeded > 0 {
            frame.pass(unneeded, false);
        } else if taken == 0 {
            break;
        }
        rest = rest.get(taken + unneeded as usize..)?;
    }
    Some(frame.finish())
}

impl Read {
    /// Puts it into the message. `ended`: when its last byte came, when that was seen.
    pub fn settle(self, message: &mut Message, size: u32, ended: Option<Time>) {
        message.ended = ended.unwrap_or(message.ended);
        message.body.end_lost = ended.is_none();
        if let Some(carried) = self.carried {
            let size = size.saturating_sub(message.headers_size.unwrap_or_default());
            message.body.size = Some(u64::from(size));
            let list = vec![StreamMessage { size, carried, encoding: None }];
            message.body.messages = Some(Box::new(Messages { list, count: Some(1), bytes: Some(u64::from(size)) }));
        } else {
            // Where its header ends is not known.
            message.headers_size = None;
        }
        match &mut message.head {
            Head::KafkaRequest(request) => request.facts = self.facts,
            Head::KafkaResponse(response) => response.facts = self.facts,
            Head::HttpRequest(_) | Head::HttpResponse(_) => {}
        }
    }
}
