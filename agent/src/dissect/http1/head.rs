//! Message heads: where one ends, and what it says. httparse reads those that keep to the rules; what it refuses and
//! peers accept all the same (folded lines, a space before the colon, control characters, targets that are not UTF-8)
//! is read line by line, with a finding for what different readers may take differently.

use std::mem::MaybeUninit;

use memchr::memchr;

use super::{framing::Facts, start};
use crate::dissect::{
    Direction, Head, Headers, HttpRequest, HttpResponse, Malformed, Match,
    conversation::{INPUT_LIMIT, TOO_LONG},
    http,
};

/// More headers than Apache (100) and nginx (no limit but 32 KiB) take in practice.
const HEADERS: usize = 256;

/// How far an incomplete head was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The start line does not end before this.
    line: usize,
    /// No head ends before this.
    scanned: usize,
    /// The start line is complete and plausible.
    started: bool,
    /// Its first byte, or a blank line before it, began a turn.
    pub(super) turn: bool,
}

#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) size: usize,
    pub(super) head: Head,
    pub(super) headers: Headers,
    pub(super) facts: Facts,
    pub(super) findings: Vec<&'static str>,
}

/// Reads a head at the front of `bytes`; `None` when it goes on. `scan` is where the last look ended, so that a head
/// that comes byte by byte costs no more than one that comes whole.
pub(super) fn parse(role: Direction, bytes: &[u8], scan: &mut Scan) -> Result<Option<Parsed>, Malformed> {
    if !scan.started && memchr(b'\n', bytes.get(scan.line..).unwrap_or_default()).is_none() {
        scan.line = bytes.len();
        return if start::is_plausible(role, bytes) { Ok(None) } else { Err(Malformed("start_line")) };
    }
    if scan.scanned == 0
        && let Some(parsed) = strict(role, bytes)
    {
        return if parsed.size > INPUT_LIMIT { Err(Malformed(TOO_LONG)) } else { Ok(Some(parsed)) };
    }
    if !scan.started {
        match start::probe(role, bytes) {
            Match::Yes => scan.started = true,
            Match::No => return Err(Malformed("start_line")),
            Match::NeedMore => return Ok(None),
        }
    }
    match end(bytes, scan.scanned) {
        Err(scanned) => {
            scan.scanned = scanned;
            Ok(None)
        }
        Ok(size) if size > INPUT_LIMIT => Err(Malformed(TOO_LONG)),
        Ok(size) => {
            let head = &bytes[..size];
            strict(role, head).map_or_else(|| lenient(role, head), Ok).map(Some)
        }
    }
}

/// The end of the first empty line at or after `from`; else where to look on.
pub(super) fn end(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let mut at = from;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr(b'\n', rest)) {
        let next = at + found + 1;
        match &bytes[next..] {
            // RFC 9112 section 2.2: a single LF may be taken for a line end.
            [b'\n', ..] => return Ok(next + 1),
            [b'\r', b'\n', ..] => return Ok(next + 2),
            [] | [b'\r'] => return Err(next - 1),
            _ => at = next,
        }
    }
    Err(bytes.len())
}

fn strict(role: Direction, bytes: &[u8]) -> Option<Parsed> {
    let mut slots = [const { MaybeUninit::uninit() }; HEADERS];
    match role {
        Direction::ToServer => {
            let mut request = httparse::Request::new(&mut []);
            let Ok(httparse::Status::Complete(size)) = request.parse_with_uninit_headers(bytes, &mut slots) else {
                return None;
            };
            let method = request.method.filter(|method| method.len() <= start::LONGEST_METHOD)?;
            let target = request.path?.as_bytes().to_vec();
            let head = HttpRequest::new(http::method(method.as_bytes()), target, version(request.version?));
            let head = Head::HttpRequest(head);
            let (headers, facts) = collect(request.headers.iter().map(|header| (header.name.as_bytes(), header.value)));
            Some(Parsed { size, head, headers, facts, findings: Vec::new() })
        }
        Direction::ToClient => {
            let mut response = httparse::Response::new(&mut []);
            let config = httparse::ParserConfig::default();
            let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, &mut slots);
            let Ok(httparse::Status::Complete(size)) = parsed else {
                return None;
            };
            let status = response.code.filter(|&status| status >= 100)?;
            let head = Head::HttpResponse(HttpResponse { status: Some(status), version: version(response.version?) });
            let (headers, mut facts) =
                collect(response.headers.iter().map(|header| (header.name.as_bytes(), header.value)));
            facts.tunnel = response.reason.is_some_and(|reason| start::is_tunnel(reason.as_bytes()));
            Some(Parsed { size, head, headers, facts, findings: Vec::new() })
        }
    }
}

fn version(minor: u8) -> &'static str {
    if minor == 0 { "1.0" } else { "1.1" }
}

fn collect<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> (Headers, Facts) {
    let (count, text) =
        fields.clone().fold((0, 0), |(n, text), (name, value)| (n + 1, text + name.len() + value.len()));
    let mut headers = Headers::with_capacity(count, text);
    let mut facts = Facts::default();
    for (name, value) in fields {
        facts.add(name, value);
        headers.push(name, value);
    }
    (headers, facts)
}

fn lenient(role: Direction, head: &[u8]) -> Result<Parsed, Malformed> {
    let (line, rest) = line(head).ok_or(Malformed("start_line"))?;
    let start = match role {
        Direction::ToServer => {
            let (method, target, version) = start::request_line(line).ok_or(Malformed("start_line"))?;
            Head::HttpRequest(HttpRequest::new(http::method(method), target.to_vec(), version))
        }
        Direction::ToClient => {
            let (version, status) = start::status_line(line).ok_or(Malformed("start_line"))?;
            Head::HttpResponse(HttpResponse { status: Some(status), version })
        }
    };
    let mut findings = Vec::new();
    let (fields, doubtful) = lines(rest, &mut findings)?;
    let (headers, mut facts) = collect(fields.iter().map(|(name, value)| (*name, value.as_slice())));
    facts.doubtful = doubtful;
    facts.tunnel = role == Direction::ToClient && start::is_tunnel(line.get(13..).unwrap_or_default());
    Ok(Parsed { size: head.len(), head: start, headers, facts, findings })
}

/// The fields of a trailer section, up to and with its empty line.
pub(super) fn trailers(section: &[u8], findings: &mut Vec<&'static str>) -> Result<Headers, Malformed> {
    let (fields, _) = lines(section, findings)?;
    Ok(collect(fields.iter().map(|(name, value)| (*name, value.as_slice()))).0)
}

type Fields<'a> = Vec<(&'a [u8], Vec<u8>)>;

/// Names and values up to the empty line, and whether a line that says where the body ends is one that readers take
/// differently: who drops it, or takes it as it is, sees another end of the message.
fn lines<'a>(section: &'a [u8], findings: &mut Vec<&'static str>) -> Result<(Fields<'a>, bool), Malformed> {
    let mut doubtful = false;
    let mut found = |finding, line: &[u8]| {
        doubtful |= names_framing(line);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    };
    let mut fields: Fields<'_> = Vec::new();
    let mut rest = section;
    while let Some((line, after)) = line(rest) {
        rest = after;
        if line.is_empty() {
            break;
        }
        if line.contains(&0) {
            return Err(Malformed("header"));
        }
        if line.contains(&b'\r') {
            // RFC 9112 section 2.2: a CR alone is invalid, or a space.
            found("bare_cr", line);
        } else if line.iter().any(|&byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            found("control_characters", line);
        }
        if let [b' ' | b'\t', ..] = line {
            // RFC 9112 section 5.2: a folded line goes on with a space.
            let (name, value) = fields.last_mut().ok_or(Malformed("header"))?;
            found("folded_header", name);
            found("folded_header", line);
            if !value.is_empty() {
                value.push(b' ');
            }
            value.extend_from_slice(line.trim_ascii());
            continue;
        }
        let colon = memchr(b':', line).ok_or(Malformed("header"))?;
        let name = line[..colon].trim_ascii_end();
        if name.len() < colon {
            // RFC 9112 section 5.1: no space may stand there, because readers have differed over it.
            found("space_before_colon", name);
        }
        if name.is_empty() || name.iter().any(|&byte| byte <= b' ') {
            return Err(Malformed("header"));
        }
        if !name.iter().all(|&byte| start::is_token(byte)) {
            found("header_name", name);
        }
        if fields.len() == HEADERS {
            // Most servers refuse them; the size of a head bounds how many there can be.
            found("too_many_headers", name);
        }
        fields.push((name, line[colon + 1..].trim_ascii().to_vec()));
    }
    Ok((fields, doubtful))
}

/// Whether the name of a header that frames the body stands anywhere in it.
fn names_framing(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    [&b"content-length"[..], b"transfer-encoding"].iter().any(|name| memchr::memmem::find(&text, name).is_some())
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'\n', bytes)?;
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    Some((line, &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Option<Parsed>, Malformed> {
        parse(Direction::ToServer, text.as_bytes(), &mut Scan::default())
    }

    fn headers(parsed: &Parsed) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| crate::dissect::text(bytes).into_owned();
        parsed.headers.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn a_head_gives_its_fields_as_sent() {
        let parsed = request("GET /a?b HTTP/1.1\r\nHost: shop\r\nX-Two:  a \r\nx-two: b\r\n\r\nrest").unwrap().unwrap();
        assert_eq!(parsed.size, 55);
        assert_eq!(
            headers(&parsed),
            [("Host", "shop"), ("X-Two", "a"), ("x-two", "b")].map(|(n, v)| (n.into(), v.into()))
        );
        assert!(parsed.findings.is_empty());
        let Head::HttpRequest(head) = &parsed.head else { panic!("not a request") };
        assert!(matches!(head.method, Some(std::borrow::Cow::Borrowed("GET"))));
        assert_eq!((head.target.as_deref(), head.version), (Some(&b"/a?b"[..]), "1.1"));
    }

    #[test]
    fn what_peers_accept_is_read_with_a_finding() {
        for (text, finding, value) in [
            ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "folded_header", "b c"),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n", "space_before_colon", "b"),
            ("GET / HTTP/1.1\r\nA: b\x01c\r\n\r\n", "control_characters", "b\x01c"),
            ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "bare_cr", "b\rc"),
        ] {
            let parsed = request(text).unwrap().unwrap();
            assert_eq!(parsed.findings, [finding]);
            assert_eq!(headers(&parsed), [("A".to_owned(), value.to_owned())]);
        }
        let bare = request("GET / HTTP/1.1\nA: b\n\n").unwrap().unwrap();
        assert_eq!((bare.size, headers(&bare).len()), (21, 1));
    }

    #[test]
    fn only_a_line_that_frames_the_body_makes_its_end_doubtful() {
        for (headers, doubtful) in [
            ("A: b\r\n c\r\nContent-Length: 3\r\n", false),
            ("A : b\r\nContent-Length: 3\r\n", false),
            ("Content-Length : 3\r\n", true),
            ("Content-Length:\r\n 3\r\n", true),
            ("A: b\r\n Transfer-Encoding: chunked\r\n", true),
            ("A: b\rContent-Length: 3\r\n", true),
            ("Transfer-Encoding: \x0bchunked\r\n", true),
        ] {
            let parsed = request(&format!("POST / HTTP/1.1\r\n{headers}\r\n")).unwrap().unwrap();
            assert_eq!(parsed.facts.doubtful, doubtful, "{headers:?}");
        }
    }

    #[test]
    fn what_nobody_accepts_is_malformed() {
        for (text, why) in [
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", "header"),
            ("GET / HTTP/1.1\r\n: b\r\n\r\n", "header"),
            ("GET / HTTP/1.1\r\nA: \0\r\n\r\n", "header"),
            ("GET /\r\n\r\n", "start_line"),
            ("HTTP/1.1 200 OK\r\n\r\n", "start_line"),
        ] {
            assert_eq!(request(text).err(), Some(Malformed(why)), "{text:?}");
        }
        let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(INPUT_LIMIT));
        assert_eq!(request(&long).err(), Some(Malformed(TOO_LONG)));
    }

    #[test]
    fn more_headers_than_servers_take_are_read_with_a_finding() {
        let many = |count| format!("GET /many HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert!(request(&many(HEADERS)).unwrap().unwrap().findings.is_empty());
        let parsed = request(&many(HEADERS + 1)).unwrap().unwrap();
        assert_eq!((parsed.findings, parsed.headers.len()), (vec!["too_many_headers"], HEADERS + 1));
    }

    #[test]
    fn targets_that_are_not_utf_8_are_kept_as_sent() {
        let parsed =
            parse(Direction::ToServer, b"GET /caf\xe9 HTTP/1.1\r\n\r\n", &mut Scan::default()).unwrap().unwrap();
        let Head::HttpRequest(head) = &parsed.head else { panic!("not a request") };
        assert_eq!(head.target.as_deref(), Some(&b"/caf\xe9"[..]));
    }

    #[test]
    fn byte_by_byte_gives_the_same_and_looks_once() {
        let text = b"POST /x HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n";
        let mut scan = Scan::default();
        for cut in 0..text.len() {
            assert!(parse(Direction::ToServer, &text[..cut], &mut scan).unwrap().is_none(), "cut at {cut}");
            assert!(scan.scanned <= cut);
            assert!(scan.scanned.max(scan.line) + 3 >= cut, "looked at {} of {cut}", scan.scanned);
        }
        let parsed = parse(Direction::ToServer, text, &mut scan).unwrap().unwrap();
        assert_eq!((parsed.size, parsed.findings), (text.len(), vec!["folded_header"]));
    }
}
