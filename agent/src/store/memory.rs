//! What a record costs in memory.

use crate::{
    dissect::{Head, Message},
    record::Record,
};

/// What an allocator adds to a block: its header, and rounding up to 16 bytes.
const BLOCK: usize = 16;

/// The record itself and all that it holds on the heap.
pub(super) fn record_bytes(record: &Record) -> usize {
    let messages = [&record.exchange.request, &record.exchange.response];
    let findings = record.exchange.findings.capacity() * size_of::<&str>();
    size_of::<Record>() + block(findings) + messages.into_iter().flatten().map(message_bytes).sum::<usize>()
}

fn message_bytes(message: &Message) -> usize {
    let head = match &message.head {
        Head::HttpRequest(request) => block(request.target.capacity()) + block(request.method.len()),
        Head::HttpResponse(_) => 0,
    };
    head + block(message.headers.heap()) + block(message.trailers.heap()) + block(message.body.kept.capacity())
}

fn block(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + BLOCK }
}
