//! What is kept of a body when it is over: decoded, cut to the limit, and never in the middle of a character.

use super::decode::decode;
use crate::dissect::Message;

/// Raw bytes kept beyond the limit of a body that is coded: the coding's own framing, and content that didn't shrink.
const CODED_SLACK: usize = 1 << 10;

/// What was made of a body besides its framing, as the headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coding {
    pub content: bool,
    /// Besides chunked: the size is not that of the content.
    pub transfer: bool,
}

impl Coding {
    pub fn any(self) -> bool {
        self.content || self.transfer
    }

    /// Bytes to keep as they come, so that `max_body` can be kept of what they stand for.
    pub fn room(self, max_body: usize) -> usize {
        if self.any() { max_body.saturating_add(CODED_SLACK) } else { max_body }
    }
}

/// Settles a body of this size after transfer coding; returns a finding.
pub fn settle(message: &mut Message, size: Option<u64>, coding: Coding, max_body: usize) -> Option<&'static str> {
    let body = &mut message.body;
    body.size = size.filter(|_| !coding.transfer);
    let raw_whole = size == Some(body.kept.len() as u64);
    let mut finding = None;
    if coding.any() {
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
