//! Captures of our own, for what the public ones lack. Each is a script; `tests/corpus/made` holds what they write, so
//! that other tools can read them too.

use std::io::Write;

use crate::{
    made_http2,
    talk::{Capture, MSS, Side, Talk},
};

const CLIENT: &str = "192.0.2.10:40001";
const SERVER: &str = "192.0.2.80:80";

/// Every capture by its file name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let scripts = [
        ("pipelining.pcap", pipelining as fn(&mut Capture)),
        ("chunked.pcap", chunked),
        ("encodings.pcap", encodings),
        ("continue.pcap", expect_continue),
        ("upgrade.pcap", upgrade),
        ("connect.pcap", connect),
        ("no-body.pcap", no_body),
        ("message-in-body.pcap", message_in_body),
        ("late-in-body.pcap", late_in_body),
        ("ipv6.pcap", ipv6),
        ("until-close.pcap", until_close),
        ("large.pcap", large),
        ("lost.pcap", lost),
        ("one-sided.pcap", one_sided),
        ("secrets.pcap", secrets),
    ];
    scripts
        .into_iter()
        .chain(made_http2::SCRIPTS)
        .map(|(name, script)| {
            let mut capture = Capture::default();
            script(&mut capture);
            (name, capture.to_pcap())
        })
        .collect()
}

/// Three requests in one segment, answered in order and across segments; then two whose answers share a segment with
/// each other's end.
fn pipelining(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: pipe.example\r\n\r\n");
    talk.client(capture, get("/1") + &get("/2") + &get("/3"));
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    talk.server(capture, ok("first"));
    let rest = ok("second") + &ok("third");
    talk.say_in(capture, Side::Server, rest, 50);
    // The fifth request begins in the segment that ends the fourth.
    let post = "POST /4 HTTP/1.1\r\nHost: pipe.example\r\nContent-Length: 6\r\n\r\n";
    talk.client(capture, post);
    talk.client(capture, "abcdef".to_owned() + &get("/5")[..20]);
    talk.client(capture, &get("/5")[20..]);
    talk.server(capture, ok("fourth") + "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    talk.close(capture);
}

/// RFC 9112, section 7.1: extensions, upper-case and zero-padded sizes, trailers; a request and answers.
fn chunked(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    talk.client(
        capture,
        "POST /upload HTTP/1.1\r\nHost: chunk.example\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n\
         5\r\nhello\r\n6;name=value;quoted=\"a;b\"\r\n world\r\n0\r\nDigest: sha-256=abc\r\nX-Last: yes\r\n\r\n",
    );
    talk.server(
        capture,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n\
         000A\r\n0123456789\r\n1 \r\n!\r\n0\r\n\r\n",
    );
    // A chunk at a time, each cut inside its size line or its end.
    talk.client(capture, "GET /stream HTTP/1.1\r\nHost: chunk.example\r\n\r\n");
    for piece in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1",
        "0\r\n0123456789abcdef\r",
        "\n3",
        "\r\nxyz\r\n0\r\n\r",
        "\n",
    ] {
        talk.server(capture, piece);
    }
    // Not chunked last: the answer ends with the connection (RFC 9112, section 6.3).
    talk.client(capture, "GET /last HTTP/1.1\r\nHost: chunk.example\r\nConnection: close\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
    let zipped = gzip(b"both codings are transfer codings");
    talk.server(capture, [format!("{:x}\r\n", zipped.len()).as_bytes(), &zipped, b"\r\n0\r\n\r\n"].concat());
    talk.close(capture);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// One meta-block of bytes as they are, then an empty last one (RFC 7932, section 9.2).
fn brotli(bytes: &[u8]) -> Vec<u8> {
    // From the lowest bit: window size 16 (0), not last (0), length in 4 nibbles (00), length - 1, uncompressed (1).
    let header = ((bytes.len() as u32 - 1) & 0xffff) << 4 | 1 << 20;
    [&header.to_le_bytes()[..3], bytes, &[0b11]].concat()
}

/// Every content coding that is undone, one unknown, and a gzip that lies about its length.
fn encodings(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    let text = "The same forty bytes of text, eight times. ".repeat(8);
    let text = text.as_bytes();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let deflate = zlib.write_all(text).and_then(|()| zlib.finish()).unwrap_or_default();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    let raw_deflate = raw.write_all(text).and_then(|()| raw.finish()).unwrap_or_default();
    let bodies: [(&str, Vec<u8>); 8] = [
        ("gzip", gzip(text)),
        ("x-gzip", gzip(text)),
        ("deflate", deflate),
        // Wrong by RFC 9110, section 8.4.1.2, and common: what browsers take as well.
        ("deflate", raw_deflate),
        ("br", brotli(text)),
        ("zstd", zstd::encode_all(text, 3).unwrap_or_default()),
        ("identity", text.to_vec()),
        ("compress", vec![0x1f, 0x9d, 0x90, 0x41]),
    ];
    for (at, (coding, body)) in bodies.iter().enumerate() {
        talk.client(capture, format!("GET /{at} HTTP/1.1\r\nHost: code.example\r\nAccept-Encoding: {coding}\r\n\r\n"));
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        talk.say_in(capture, Side::Server, [head.as_bytes(), body].concat(), 90);
    }
    // Two codings in a row, then garbage behind the name.
    for (coding, body) in [("br, gzip", gzip(&brotli(text))), ("gzip", b"this is not gzip".to_vec())] {
        talk.client(capture, "GET /more HTTP/1.1\r\nHost: code.example\r\n\r\n");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len());
        talk.server(capture, [head.as_bytes(), &body].concat());
    }
    talk.close(capture);
}

/// RFC 9110, section 10.1.1: the body waits for a 100; then a refusal, after which no body comes; then early hints.
fn expect_continue(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    talk.client(
        capture,
        "PUT /file HTTP/1.1\r\nHost: wait.example\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n",
    );
    capture.wait(20_000);
    talk.server(capture, "HTTP/1.1 100 Continue\r\n\r\n");
    talk.client(capture, "hello world");
    talk.server(capture, "HTTP/1.1 201 Created\r\nLocation: /file\r\nContent-Length: 0\r\n\r\n");
    talk.client(capture, "GET /hints HTTP/1.1\r\nHost: wait.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
    capture.wait(20_000);
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    talk.client(
        capture,
        "PUT /big HTTP/1.1\r\nHost: wait.example\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n\r\n",
    );
    talk.server(capture, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    talk.close(capture);
}

/// RFC 9110, section 7.8: after the 101 the connection speaks another protocol, whose bytes may look like anything.
fn upgrade(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    talk.client(capture, "GET /before HTTP/1.1\r\nHost: up.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    talk.client(
        capture,
        "GET /socket HTTP/1.1\r\nHost: up.example\r\nConnection: Upgrade\r\nUpgrade: custom/1\r\n\r\n",
    );
    talk.server(capture, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: custom/1\r\n\r\n");
    talk.client(capture, "GET /not-http HTTP/1.1\r\nHost: up.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 500 Not HTTP Either\r\nContent-Length: 0\r\n\r\n");
    talk.close(capture);
    // Refused: the connection goes on as it was.
    let mut talk = Talk::open(capture, "192.0.2.10:40002", SERVER);
    talk.client(
        capture,
        "GET /refused HTTP/1.1\r\nHost: up.example\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    );
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    talk.client(capture, "GET /after HTTP/1.1\r\nHost: up.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    talk.close(capture);
}

/// RFC 9110, section 9.3.6: a tunnel after a 2xx, whatever the answer's Content-Length says; none after a 407.
fn connect(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, "192.0.2.80:3128");
    talk.client(capture, "CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n");
    talk.server(capture, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nwho?");
    talk.client(
        capture,
        "CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n",
    );
    talk.server(capture, "HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n");
    talk.client(capture, [0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]);
    talk.server(capture, [0x15, 3, 3, 0, 2, 2, 40]);
    talk.close(capture);
}

/// RFC 9112, section 6.3: HEAD, 304 and 204 have no body, whatever their fields say; 205 has what they say.
fn no_body(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    let mut call = |request: &str, answer: &str| {
        talk.client(capture, format!("{request} HTTP/1.1\r\nHost: empty.example\r\n\r\n"));
        talk.server(capture, answer);
    };
    call("HEAD /size", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    call("HEAD /chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    call("GET /cached", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\nETag: \"x\"\r\n\r\n");
    call("DELETE /thing", "HTTP/1.1 204 No Content\r\n\r\n");
    call("POST /reset", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n");
    call("OPTIONS *", "HTTP/1.1 200 OK\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n");
    call("GET http://other.example/absolute?q=1", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend");
    talk.close(capture);
}

/// A body holds whole HTTP messages, at the front of segments too: an archive of traffic, uploaded and sent back.
fn message_in_body(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    let inner = "GET /inner HTTP/1.1\r\nHost: inner.example\r\n\r\n";
    let answer = "HTTP/1.1 599 Inner\r\nContent-Length: 2\r\n\r\nxx";
    let body = [inner, answer, inner, answer].concat();
    talk.client(
        capture,
        format!("POST /archive HTTP/1.1\r\nHost: outer.example\r\nContent-Length: {}\r\n\r\n", body.len()),
    );
    for piece in [inner, answer, inner, answer] {
        talk.client(capture, piece);
    }
    talk.server(
        capture,
        format!("HTTP/1.1 200 OK\r\nContent-Type: message/http\r\nContent-Length: {}\r\n\r\n", body.len()),
    );
    for piece in [inner, answer, inner, answer] {
        talk.server(capture, piece);
    }
    talk.client(capture, "GET /outer HTTP/1.1\r\nHost: outer.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in [inner, answer] {
        talk.server(capture, format!("{:x}\r\n", piece.len()));
        talk.server(capture, piece);
        talk.server(capture, "\r\n");
    }
    talk.server(capture, "0\r\n\r\n");
    talk.close(capture);
}

/// The capture begins in the middle of an answer's body, and the next segment of it looks like a message.
fn late_in_body(capture: &mut Capture) {
    let mut talk = Talk::joined_late(CLIENT, SERVER);
    talk.server(capture, "...the middle of some body, then a trap:");
    talk.server(capture, "HTTP/1.1 599 Inner\r\nContent-Length: 2\r\n\r\nxx");
    talk.client(capture, "GET /first-seen HTTP/1.1\r\nHost: late.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nseen");
    talk.client(capture, "GET /second HTTP/1.1\r\nHost: late.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    talk.close(capture);
}

fn ipv6(capture: &mut Capture) {
    let mut talk = Talk::open(capture, "[2001:db8::10]:40001", "[2001:db8::80]:8080");
    talk.client(capture, "GET /six?x=1&y=%20 HTTP/1.1\r\nHost: [2001:db8::80]:8080\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsix");
    talk.close(capture);
}

/// Answers that end with the connection, by FIN and by reset, in 1.0 and 1.1.
fn until_close(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    talk.client(capture, "GET /old HTTP/1.0\r\n\r\n");
    talk.server(capture, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nfirst ");
    talk.server(capture, "second");
    talk.end(capture, Side::Server);
    talk.end(capture, Side::Client);
    let mut talk = Talk::open(capture, "192.0.2.10:40002", SERVER);
    talk.client(capture, "GET /reset HTTP/1.1\r\nHost: close.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthen a reset");
    talk.reset(capture, Side::Server);
    let mut talk = Talk::open(capture, "192.0.2.10:40003", SERVER);
    talk.client(capture, "GET /short HTTP/1.1\r\nHost: close.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    talk.end(capture, Side::Server);
    talk.end(capture, Side::Client);
    // Half closed: the client has said all, the server has not.
    let mut talk = Talk::open(capture, "192.0.2.10:40004", SERVER);
    talk.client(capture, "GET /half HTTP/1.1\r\nHost: close.example\r\nConnection: close\r\n\r\n");
    talk.end(capture, Side::Client);
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf");
    talk.end(capture, Side::Server);
}

/// Bodies beyond what is kept of one, by length and in chunks, up and down.
fn large(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    let body: Vec<u8> = (0..100_000_u32).map(|at| b'a' + (at / 7 % 26) as u8).collect();
    talk.client(
        capture,
        format!("PUT /large HTTP/1.1\r\nHost: large.example\r\nContent-Length: {}\r\n\r\n", body.len()),
    );
    talk.client(capture, &body);
    talk.server(capture, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(10 * MSS) {
        talk.server(capture, [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    talk.server(capture, "0\r\n\r\n");
    talk.client(capture, "GET /after HTTP/1.1\r\nHost: large.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter");
    talk.close(capture);
}

/// Segments that the capture misses: inside a body of known length, a head, chunks.
fn lost(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    let lost = |talk: &mut Talk, capture: &mut Capture, side, bytes: &str| {
        let mut missed = Capture::default();
        talk.say(&mut missed, side, bytes);
        capture.wait(1_000);
    };
    talk.client(capture, "GET /body HTTP/1.1\r\nHost: lost.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234");
    lost(&mut talk, capture, Side::Server, "5678901234");
    talk.server(capture, "56789");
    talk.client(capture, "GET /head HTTP/1.1\r\nHost: lost.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nX-Front: yes\r\n");
    lost(&mut talk, capture, Side::Server, "Content-Length: 7\r\n\r\nabc");
    talk.server(capture, "defg");
    talk.client(capture, "GET /chunks HTTP/1.1\r\nHost: lost.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n");
    lost(&mut talk, capture, Side::Server, "hello\r\n5\r\nwor");
    talk.server(capture, "ld\r\n0\r\n\r\n");
    lost(&mut talk, capture, Side::Client, "GET /unseen HTTP/1.1\r\nHost: lost.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    talk.client(capture, "GET /last HTTP/1.1\r\nHost: lost.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    talk.close(capture);
}

/// A request without an answer, and an answer whose request came before the capture.
fn one_sided(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    talk.client(capture, "GET /unanswered HTTP/1.1\r\nHost: alone.example\r\n\r\n");
    capture.wait(2_000_000);
    talk.end(capture, Side::Client);
    let mut talk = Talk::joined_late("192.0.2.10:40002", SERVER);
    talk.server(capture, "HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nlate");
    talk.client(capture, "GET /next HTTP/1.1\r\nHost: alone.example\r\n\r\n");
    talk.server(capture, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    talk.close(capture);
}

/// What redaction is for: headers, query, userinfo, JSON and form bodies.
fn secrets(capture: &mut Capture) {
    let mut talk = Talk::open(capture, CLIENT, SERVER);
    talk.client(
        capture,
        "GET /a?page=2&api_key=Kq7r3Zp0 HTTP/1.1\r\nHost: secret.example\r\nAuthorization: Bearer Kq7r3Zp0\r\n\
         Cookie: session=Kq7r3Zp0; theme=dark\r\nX-Api-Key: Kq7r3Zp0\r\n\r\n",
    );
    talk.server(
        capture,
        "HTTP/1.1 200 OK\r\nSet-Cookie: session=Kq7r3Zp0; Path=/; HttpOnly\r\nContent-Type: application/json\r\n\
         Content-Length: 59\r\n\r\n{\"user\":\"ann\",\"password\":\"Kq7r3Zp0\",\"nested\":[{\"token\":1}]}",
    );
    let form = "user=ann&password=Kq7r3Zp0&remember=1";
    talk.client(
        capture,
        format!(
            "POST http://ann:Kq7r3Zp0@secret.example/login HTTP/1.1\r\nHost: secret.example\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ),
    );
    talk.server(capture, "HTTP/1.1 302 Found\r\nLocation: /home?token=Kq7r3Zp0\r\nContent-Length: 0\r\n\r\n");
    talk.close(capture);
}
