//! What a record costs in memory. The store's bound is only as true as this number, so vectors are counted by their
//! capacity, and lose their slack first.

use std::{borrow::Cow, mem::size_of};

use super::Record;
use crate::dissect::{Exchange, Head, HttpRequest, KafkaRequest, KafkaResponse, Message, Site};

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
            let HttpRequest { method, target, site, version: _ } = request;
            let method = match method {
                None | Some(Cow::Borrowed(_)) => 0,
                Some(Cow::Owned(method)) => method.capacity(),
            };
            let text = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, |text| allocated(text.capacity()));
            let site = site.as_ref().map_or(0, |site| {
                let Site { scheme, authority, protocol } = &**site;
                allocated(size_of::<Site>()) + text(scheme) + text(authority) + text(protocol)
            });
            allocated(method) + text(target) + site
        }
        Head::HttpResponse(_) => 0,
        Head::KafkaRequest(request) => {
            let KafkaRequest { header, size: _, facts } = &**request;
            allocated(size_of::<KafkaRequest>()) + header.as_ref().map_or(0, |header| header.heap()) + facts.heap()
        }
        Head::KafkaResponse(response) => {
            let KafkaResponse { correlation_id: _, size: _, facts } = &**response;
            allocated(size_of::<KafkaResponse>()) + facts.heap()
        }
    };
    let messages = body.messages.as_ref().map_or(0, |messages| messages.heap());
    head + allocated(headers.heap()) + allocated(trailers.heap()) + allocated(body.kept.capacity()) + messages
}

/// What mimalloc takes for so many bytes: it has four sizes between two powers of two, and no headers.
fn allocated(bytes: usize) -> usize {
    match bytes.checked_ilog2() {
        None => 0,
        Some(0..=5) => bytes.next_multiple_of(8),
        Some(bits) => bytes.next_multiple_of(1 << (bits - 2)),
    }
}

/// Gives back what the dissector's buffers have too much.
pub(super) fn shrink(exchange: &mut Exchange) {
    for message in [&mut exchange.request, &mut exchange.response].into_iter().flatten() {
        message.headers.shrink(SLACK);
        message.trailers.shrink(SLACK);
        shrink_vec(&mut message.body.kept);
        if let Head::HttpRequest(HttpRequest { target: Some(target), .. }) = &mut message.head {
            shrink_vec(target);
        }
    }
}

fn shrink_vec(bytes: &mut Vec<u8>) {
    let slack = bytes.capacity() - bytes.len();
    if slack > SLACK && slack > bytes.capacity() / 8 {
        bytes.shrink_to_fit();
    }
}
