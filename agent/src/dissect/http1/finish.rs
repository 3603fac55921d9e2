//! What is kept of a body when it is over: decoded, cut to the limit, and never in the middle of a character.

use super::{body::Reading, decode::decode};
use crate::dissect::Message;

/// Settles a body of this size after transfer coding; returns a finding.
pub(super) fn settle(
    message: &mut Message,
    size: Option<u64>,
    reading: &Reading,
    max_body: usize,
) -> Option<&'static str> {
    let body = &mut message.body;
    // What a transfer coding besides chunked made of the content has another size.
    body.size = size.filter(|_| !reading.recoded);
    let raw_whole = size == Some(body.kept.len() as u64);
    let mut finding = None;
    if reading.coded {
        let named = |wanted: &'static [u8]| {
            let values = message.headers.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
            values.map(|(_, value)| value)
        };
        let names = named(b"content-encoding").chain(named(b"transfer-encoding"));
        match decode(names, &body.kept, raw_whole, max_body) {
            Ok(Some(decoded)) => {
                body.kept = decoded.bytes;
                body.decoded = Some(decoded.name);
                body.truncated = !decoded.whole;
                finding = decoded.damaged.then_some("content_encoding");
            }
            Ok(None) => {}
            Err(why) => finding = Some(why),
        }
    }
    if body.decoded.is_none() {
        body.truncated = !raw_whole || body.kept.len() > max_body;
        body.kept.truncate(max_body);
    }
    if body.truncated
        && let Err(error) = std::str::from_utf8(&body.kept)
        && error.error_len().is_none()
    {
        body.kept.truncate(error.valid_up_to());
    }
    finding
}
