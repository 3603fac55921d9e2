//! What a record costs in memory. The store's bound is only as true as this number, so vectors are counted by their
//! capacity, and lose their slack first.

use std::{borrow::Cow, mem::size_of};

use super::Record;
use crate::dissect::{Exchange, Head, Message};

/// What the allocator adds to each allocation: a header of 8 bytes (glibc) or 4 (musl), and what rounding up to a size
/// class wastes, on average 10 bytes at the 100 to 200 bytes that most of a record's allocations have.
const ALLOCATION: usize = 20;

/// Slack up to this is not worth a reallocation; nor is less than an eighth of the capacity.
const SLACK: usize = 64;

impl Record {
    /// Bytes on the heap and in the record itself.
    pub fn memory(&self) -> usize {
        let Exchange { request, response, findings, .. } = &self.exchange;
        size_of::<Self>()
            + request.as_ref().map_or(0, message)
            + response.as_ref().map_or(0, message)
            + allocated(findings.capacity() * size_of::<&str>())
    }
}

fn message(message: &Message) -> usize {
    let Message { started: _, ended: _, head, headers, headers_size: _, trailers, body } = message;
    let head = match head {
        Head::HttpRequest(request) => {
            let method = match &request.method {
                Cow::Borrowed(_) => 0,
                Cow::Owned(method) => method.capacity(),
            };
            allocated(method) + allocated(request.target.capacity())
        }
        Head::HttpResponse(_) => 0,
    };
    head + allocated(headers.heap()) + allocated(trailers.heap()) + allocated(body.kept.capacity())
}

fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + ALLOCATION }
}

/// Gives back what the dissector's buffers have too much.
pub(super) fn shrink(exchange: &mut Exchange) {
    for message in [&mut exchange.request, &mut exchange.response].into_iter().flatten() {
        message.headers.shrink(SLACK);
        message.trailers.shrink(SLACK);
        shrink_vec(&mut message.body.kept);
        if let Head::HttpRequest(request) = &mut message.head {
            shrink_vec(&mut request.target);
        }
    }
}

fn shrink_vec(bytes: &mut Vec<u8>) {
    let slack = bytes.capacity() - bytes.len();
    if slack > SLACK && slack > bytes.capacity() / 8 {
        bytes.shrink_to_fit();
    }
}
