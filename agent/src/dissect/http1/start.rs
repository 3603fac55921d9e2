//! Start lines: what the probe, a new turn and a body that never came are judged by.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use memchr::{memchr, memrchr};

use crate::dissect::{Direction, Head, Match, Message};

/// Longest method that is taken for one: registered ones have at most 17 letters (UPDATEREDIRECTREF).
pub(super) const LONGEST_METHOD: usize = 32;

/// Whether `bytes` begin with a start line of HTTP/1.0 or 1.1. Sure only when the line is complete, so that the answer
/// does not depend on where segments are cut.
pub(in crate::dissect) fn probe(role: Direction, bytes: &[u8]) -> Match {
    let bytes = skip_blank(bytes);
    if !is_plausible(role, bytes) {
        return Match::No;
    }
    let Some(end) = memchr(b'\n', bytes) else {
        return Match::NeedMore;
    };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let valid = match role {
        Direction::ToServer => request_line(line).is_some(),
        Direction::ToClient => status_line(line).is_some(),
    };
    if valid { Match::Yes } else { Match::No }
}

/// Whether a start line may begin so; looks at its first bytes only.
pub(super) fn is_plausible(role: Direction, bytes: &[u8]) -> bool {
    match role {
        Direction::ToServer => begins_with_method(bytes),
        Direction::ToClient => bytes.iter().zip(b"HTTP/1.").all(|(a, b)| a == b),
    }
}

/// RFC 9112 section 2.2: empty lines before a request line are to be ignored.
pub(super) fn skip_blank(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count();
    &bytes[blank..]
}

/// Methods in IANA's registry, and those that UPnP and caches made usual.
const REGISTERED: [&[u8]; 47] = [
    b"ACL",
    b"BAN",
    b"BASELINE-CONTROL",
    b"BIND",
    b"CHECKIN",
    b"CHECKOUT",
    b"CONNECT",
    b"COPY",
    b"DELETE",
    b"GET",
    b"HEAD",
    b"LABEL",
    b"LINK",
    b"LOCK",
    b"M-SEARCH",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MKREDIRECTREF",
    b"MKWORKSPACE",
    b"MOVE",
    b"NOTIFY",
    b"OPTIONS",
    b"ORDERPATCH",
    b"PATCH",
    b"POST",
    b"PROPFIND",
    b"PROPPATCH",
    b"PURGE",
    b"PUT",
    b"QUERY",
    b"REBIND",
    b"REPORT",
    b"SEARCH",
    b"SUBSCRIBE",
    b"TRACE",
    b"UNBIND",
    b"UNCHECKOUT",
    b"UNLINK",
    b"UNLOCK",
    b"UNSUBSCRIBE",
    b"UPDATE",
    b"UPDATEREDIRECTREF",
    b"VERSION-CONTROL",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
];

/// Whether a request with a registered method and an ordinary target begins here, of which the line is complete: where
/// nothing else says that a message begins, the end of a body may stand before it.
pub(super) fn begins_like_registered(bytes: &[u8]) -> bool {
    let bytes = skip_blank(bytes);
    let line = memchr(b'\n', bytes).map_or(bytes, |end| &bytes[..end]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    request_line(line).is_some_and(|(method, target, _)| {
        let absolute = memchr::memmem::find(target, b"://").is_some();
        REGISTERED.contains(&method) && (target.starts_with(b"/") || target == b"*" || absolute || method == b"CONNECT")
    })
}

/// As far as the bytes go: a method, and a space behind it.
fn begins_with_method(bytes: &[u8]) -> bool {
    let length = bytes.iter().take(LONGEST_METHOD + 1).take_while(|&&byte| is_token(byte)).count();
    match bytes.get(length) {
        None => length <= LONGEST_METHOD,
        Some(b' ') => (1..=LONGEST_METHOD).contains(&length),
        Some(_) => false,
    }
}

/// tchar of RFC 9110 section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Method, target, version of a request line (RFC 9112 section 3). Spaces inside a target are wrong but seen: the
/// method ends at the first space, the version begins after the last.
pub(super) fn request_line(line: &[u8]) -> Option<(&[u8], &[u8], &'static str)> {
    let first = memchr(b' ', line)?;
    let last = memrchr(b' ', line)?;
    let (method, target) = (&line[..first], line.get(first + 1..last)?);
    let valid = (1..=LONGEST_METHOD).contains(&method.len())
        && method.iter().all(|&byte| is_token(byte))
        && !target.trim_ascii().is_empty()
        && !target.contains(&0);
    valid.then_some((method, target.trim_ascii(), version(&line[last + 1..])?))
}

/// Whether what follows the request, if it was granted, may be anything, another HTTP included: what a tunnel carries,
/// or a protocol that is not known. Frames of the known ones don't begin like HTTP/1.
pub(super) fn may_leave(request: &Message) -> bool {
    let connect = matches!(&request.head, Head::HttpRequest(head) if head.method.as_deref() == Some("CONNECT"));
    let known = |protocol: &[u8]| [&b"websocket"[..], b"h2c"].iter().any(|name| protocol.eq_ignore_ascii_case(name));
    let upgrade = |(name, value): (&[u8], &[u8])| name.eq_ignore_ascii_case(b"upgrade") && !known(value.trim_ascii());
    connect || request.headers.iter().any(upgrade)
}

/// What the client of an upgrade to HTTP/2 sets (RFC 7540 section 3.2.1).
pub(super) fn http2_settings(request: &Message) -> Vec<u8> {
    let coded = request.headers.get("http2-settings").unwrap_or_default();
    URL_SAFE_NO_PAD.decode(coded.trim_ascii()).unwrap_or_default()
}

/// Whether a reason phrase is the one that proxies usually give to a granted CONNECT: it tells an answer whose request
/// was not seen.
pub(super) fn is_tunnel(reason: &[u8]) -> bool {
    reason.trim_ascii().eq_ignore_ascii_case(b"connection established")
}

/// Version and status of a status line (RFC 9112 section 4); its reason phrase may be missing.
pub(super) fn status_line(line: &[u8]) -> Option<(&'static str, u16)> {
    let (version_text, rest) = line.split_at_checked(8)?;
    let (separator, rest) = rest.split_first()?;
    let (digits, rest) = rest.split_at_checked(3)?;
    if *separator != b' ' || !digits.iter().all(u8::is_ascii_digit) || !matches!(rest.first(), None | Some(b' ')) {
        return None;
    }
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    // RFC 9110 section 15: 100 to 599; others are seen in the wild up to 999.
    (status >= 100).then_some((version(version_text)?, status))
}

fn version(text: &[u8]) -> Option<&'static str> {
    match text {
        b"HTTP/1.1" => Some("1.1"),
        b"HTTP/1.0" => Some("1.0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ToClient, ToServer};

    #[test]
    fn requests_are_told_by_their_whole_line() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "M-SEARCH * HTTP/1.1\n",
            "\r\nget http://a/b?c HTTP/1.0\r\n",
            "GET /a b HTTP/1.1\r\n",
        ] {
            assert_eq!(probe(ToServer, line.as_bytes()), Match::Yes, "{line:?}");
            for cut in 0..line.len() {
                assert_eq!(probe(ToServer, &line.as_bytes()[..cut]), Match::NeedMore, "{line:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn other_protocols_are_not_requests() {
        for bytes in [
            &b"GET /\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"OPTIONS rtsp://a RTSP/1.0\r\n",
            b"INVITE sip:a@b SIP/2.0\r\n",
            b"get key\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"GET  HTTP/1.1\r\n",
            b"\x16\x03\x01\x00\x04",
            b" / HTTP/1.1\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
        ] {
            assert_eq!(probe(ToServer, bytes), Match::No, "{:?}", crate::dissect::text(bytes));
        }
    }

    #[test]
    fn behind_the_end_of_a_body_no_request_is_told() {
        for line in
            ["GET / HTTP/1.1\r\n", "\r\nCONNECT a:1 HTTP/1.1\r\n", "OPTIONS * HTTP/1.0\n", "GET http://a/ HTTP/1.1\r\n"]
        {
            assert!(begins_like_registered(line.as_bytes()), "{line:?}");
        }
        for line in ["endGET / HTTP/1.1\r\n", "the endGET / HTTP/1.1\r\n", "GET end HTTP/1.1\r\n", "get / HTTP/1.1\r\n"]
        {
            assert!(!begins_like_registered(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn answers_are_told_by_their_whole_line() {
        for line in ["HTTP/1.1 200 OK\r\n", "HTTP/1.0 404\r\n", "HTTP/1.1 200 \r\n"] {
            assert_eq!(probe(ToClient, line.as_bytes()), Match::Yes, "{line:?}");
        }
        for line in
            ["HTTP/1.1 20\r\n", "HTTP/2 200\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1\t200 OK\r\n", "ICY 200 OK\r\n"]
        {
            assert_eq!(probe(ToClient, line.as_bytes()), Match::No, "{line:?}");
        }
        assert_eq!(probe(ToClient, b"HTTP/1.1 2"), Match::NeedMore);
    }
}
