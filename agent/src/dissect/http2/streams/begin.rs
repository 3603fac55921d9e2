//! The headers of a half: what they make of it.

use super::{
    super::{
        block::Role,
        body::{Reading, State},
    },
    Block,
};
use crate::dissect::{
    Head, Headers, Message,
    grpc::{GRPC, Types},
    output::Output,
    pairing::{Half, Handle},
};

/// The headers of a half came, or what is left of them. `known`: its stream was open before. `types`: by the path.
#[expect(clippy::too_many_arguments, reason = "one step of `headers` and `promise`, apart for its length")]
pub(super) fn begin(
    reading: &mut Reading,
    handle: Handle,
    half: Half,
    block: Block,
    known: bool,
    types: impl FnOnce(Option<&[u8]>) -> Types,
    max_body: usize,
    out: &mut Output,
) {
    let Block { from: _, stream: _, fields, started, ended, end_stream: _, missing: _ } = block;
    let role = fields.role();
    let head = match half {
        Half::Request => Head::HttpRequest(fields.request()),
        Half::Response => Head::HttpResponse(fields.response()),
    };
    if let Head::HttpResponse(response) = &head
        && let Some(status @ 100..=199) = response.status
    {
        // RFC 9110 section 15.2: any number of them may come before the final one.
        return out.finding(
            handle,
            match status {
                100 => "continue",
                103 => "early_hints",
                _ => "informational",
            },
        );
    }
    if half == Half::Request && fields.is_extended_connect() {
        out.finding(handle, "extended_connect");
    }
    let mut message = Message {
        started,
        ended,
        head,
        headers: Headers::default(),
        headers_size: None,
        trailers: Headers::default(),
        body: Default::default(),
    };
    // What came before it on this stream may have been the headers.
    let unsure = half == Half::Response && (reading.doubtful || !known);
    match role {
        Role::Request | Role::Response => {}
        Role::Trailers if unsure => {
            message.trailers = fields.trailers();
            out.finding(handle, "headers_not_seen");
            (reading.state, reading.doubtful) = (State::Open, true);
            return out.begin(handle, half, message);
        }
        Role::Unclear if unsure => {
            out.finding(handle, "headers_not_seen");
            (reading.state, reading.doubtful) = (State::Open, true);
            return out.begin(handle, half, message);
        }
        Role::Trailers => out.finding(handle, "bad_pseudo_header"),
        Role::Unclear => {}
    }
    let path = match &message.head {
        Head::HttpRequest(request) => request.target.clone(),
        _ => out.exchange(handle).and_then(|exchange| exchange.target().map(<[u8]>::to_vec)),
    };
    reading.open(&fields.headers, types(path.as_deref()), max_body);
    if reading.is_grpc()
        && let Some(exchange) = out.exchange(handle)
    {
        exchange.protocol = &GRPC;
    }
    (message.headers, message.headers_size) = (fields.headers, fields.size);
    out.begin(handle, half, message);
    if reading.is_coded() {
        out.coded(handle, half);
    }
}

pub(super) fn status_known(out: &mut Output, handle: Handle) -> bool {
    let answer = out.message(handle, Half::Response);
    answer.is_some_and(|message| matches!(&message.head, Head::HttpResponse(head) if head.status.is_some()))
}
