//! What HTTP/1 and HTTP/2 share: what the filter and the docs know of a call, and what becomes of a body that is over.

pub(super) mod decode;
mod fields;
mod finish;

use std::borrow::Cow;

pub(super) use fields::FIELDS;
pub(super) use finish::{Coding, settle};

/// Without an allocation for the methods of RFC 9110, PATCH, QUERY and WebDAV's most used.
pub(super) fn method(name: &[u8]) -> Cow<'static, str> {
    Cow::Borrowed(match name {
        b"GET" => "GET",
        b"POST" => "POST",
        b"PUT" => "PUT",
        b"HEAD" => "HEAD",
        b"DELETE" => "DELETE",
        b"OPTIONS" => "OPTIONS",
        b"PATCH" => "PATCH",
        b"CONNECT" => "CONNECT",
        b"TRACE" => "TRACE",
        b"QUERY" => "QUERY",
        b"PROPFIND" => "PROPFIND",
        b"REPORT" => "REPORT",
        _ => return Cow::Owned(crate::dissect::text(name).into_owned()),
    })
}
