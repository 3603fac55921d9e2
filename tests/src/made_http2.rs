//! Captures of HTTP/2 and gRPC, made by hand: what real peers do rarely, or never twice alike. The coder of header blocks
//! is the plainest that uses a dynamic table.

use std::io::Write;

use crate::talk::{Capture, Talk};

const SERVER: &str = "192.0.2.80:8080";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;

/// Every capture by its file name.
pub const SCRIPTS: [(&str, fn(&mut Capture)); 7] = [
    ("http2-streams.pcap", streams),
    ("http2-frames.pcap", frames),
    ("http2-resets.pcap", resets),
    ("http2-upgrade.pcap", upgrade),
    ("http2-table.pcap", table),
    ("http2-server-first.pcap", server_first),
    ("grpc-calls.pcap", grpc_calls),
];

/// One side's header coder (RFC 7541): what it has sent once it refers to.
#[derive(Default)]
struct Coder {
    table: Vec<(String, String)>,
}

impl Coder {
    fn block(&mut self, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for &(name, value) in headers {
            let fixed = match (name, value) {
                (":method", "GET") => Some(2),
                (":method", "POST") => Some(3),
                (":scheme", "http") => Some(6),
                (":status", "200") => Some(8),
                _ => None,
            };
            let sent = self.table.iter().rev().position(|(n, v)| n == name && v == value);
            if let Some(index) = fixed.or(sent.map(|at| 62 + at)) {
                integer(&mut out, 0x80, 7, index);
                continue;
            }
            let sent = self.table.iter().rev().position(|(n, _)| n == name);
            integer(&mut out, 0x40, 6, sent.map_or(0, |at| 62 + at));
            if sent.is_none() {
                integer(&mut out, 0, 7, name.len());
                out.extend_from_slice(name.as_bytes());
            }
            integer(&mut out, 0, 7, value.len());
            out.extend_from_slice(value.as_bytes());
            self.table.push((name.to_owned(), value.to_owned()));
        }
        out
    }
}

/// RFC 7541 section 5.1.
fn integer(out: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        return out.push(first | value as u8);
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    out.push(rest as u8);
}

fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

fn get<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    request("GET", path, more)
}

fn request<'a>(method: &'a str, path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![(":method", method), (":scheme", "http"), (":path", path), (":authority", "two.example")];
    headers.extend_from_slice(more);
    headers
}

fn answer<'a>(status: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![(":status", status)];
    headers.extend_from_slice(more);
    headers
}

/// A connection with its settings exchanged.
struct Http2 {
    talk: Talk,
    client: Coder,
    server: Coder,
}

impl Http2 {
    /// Each capture has a client of its own, so that all can be read as one.
    fn open(capture: &mut Capture, client: &str) -> Self {
        let mut talk = Talk::open(capture, client, SERVER);
        talk.client(capture, [PREFACE, &frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x64\0\x04\0\x01\0\0")].concat());
        talk.server(capture, [frame(SETTINGS, 0, 0, b"\0\x05\0\0\x40\0"), frame(SETTINGS, ACK, 0, b"")].concat());
        talk.client(capture, frame(SETTINGS, ACK, 0, b""));
        Self { talk, client: Coder::default(), server: Coder::default() }
    }

    fn ask(&mut self, stream: u32, flags: u8, headers: &[(&str, &str)]) -> Vec<u8> {
        frame(HEADERS, flags | END_HEADERS, stream, self.client.block(headers))
    }

    fn tell(&mut self, stream: u32, flags: u8, headers: &[(&str, &str)]) -> Vec<u8> {
        frame(HEADERS, flags | END_HEADERS, stream, self.server.block(headers))
    }
}

/// Streams answered out of order, their bodies interleaved; trailers both ways; a body that is coded, and one of several
/// frames; the second requests refer to what the first ones sent.
fn streams(capture: &mut Capture) {
    let mut http2 = Http2::open(capture, "192.0.2.10:41001");
    let agent = ("user-agent", "made/1");
    let first = http2.ask(1, END_STREAM, &get("/slow?token=abc", &[agent, ("x-number", "1")]));
    let second = http2.ask(3, 0, &request("POST", "/upload", &[agent, ("content-length", "11")]));
    let third = http2.ask(5, END_STREAM, &get("/quick", &[agent, ("cookie", "a=secret"), ("cookie", "b=other")]));
    http2.talk.client(capture, [first, second, frame(DATA, 0, 3, b"hello ")].concat());
    http2.talk.client(capture, [third, frame(DATA, END_STREAM, 3, b"world")].concat());
    let quick = http2.tell(5, 0, &answer("200", &[("content-type", "text/plain")]));
    let upload = http2.tell(3, 0, &answer("201", &[("location", "/upload/1")]));
    http2.talk.server(capture, [quick, frame(DATA, 0, 5, b"qu"), upload, frame(DATA, 0, 3, b"cre")].concat());
    let trailers = http2.tell(3, END_STREAM, &[("x-sum", "5")]);
    http2.talk.server(capture, [frame(DATA, END_STREAM, 5, b"ick"), frame(DATA, 0, 3, b"ated"), trailers].concat());
    capture.wait(20_000);
    let mut coded = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coded.write_all(&b"some text, again and again. ".repeat(40)).unwrap_or_else(|error| panic!("{error}"));
    let coded = coded.finish().unwrap_or_else(|error| panic!("{error}"));
    let slow = http2.tell(1, 0, &answer("200", &[("content-encoding", "gzip"), ("content-type", "text/plain")]));
    http2.talk.server(capture, [slow, frame(DATA, END_STREAM, 1, coded)].concat());
    // A body of three frames, asked for with an Expect that is answered first.
    let expects = http2.ask(7, 0, &request("PUT", "/large", &[agent, ("expect", "100-continue")]));
    http2.talk.client(capture, expects);
    let interim = http2.tell(7, 0, &answer("100", &[]));
    http2.talk.server(capture, interim);
    let body: Vec<u8> = (0..6000_u32).map(|at| b'a' + (at % 23) as u8).collect();
    let pieces = [frame(DATA, 0, 7, &body[..2500]), frame(DATA, 0, 7, &body[2500..5000])].concat();
    http2.talk.client(capture, pieces);
    let sum = http2.ask(7, END_STREAM, &[("x-sum", "9")]);
    http2.talk.client(capture, [frame(DATA, 0, 7, &body[5000..]), sum].concat());
    let stored = http2.tell(7, END_STREAM, &answer("204", &[]));
    http2.talk.server(capture, stored);
    let again = http2.ask(9, END_STREAM, &get("/quick", &[agent, ("x-number", "1")]));
    http2.talk.client(capture, again);
    let missing = http2.tell(9, 0, &answer("404", &[("content-type", "text/plain")]));
    http2.talk.server(capture, [missing, frame(DATA, END_STREAM, 9, b"none")].concat());
    http2.talk.close(capture);
}

/// Padding, priorities, header blocks in parts, a promise, pings, and a type of frame that nobody knows.
fn frames(capture: &mut Capture) {
    let mut http2 = Http2::open(capture, "192.0.2.10:41002");
    let block = http2.client.block(&get("/padded", &[("x-one", "1"), ("x-two", "2")]));
    let padded = [&[5_u8][..], &[0x80, 0, 0, 0, 7], &block, &[0; 5]].concat();
    let padded = frame(HEADERS, PADDED | WITH_PRIORITY | END_HEADERS | END_STREAM, 1, padded);
    http2.talk.client(capture, [padded, frame(PRIORITY, 0, 3, [0, 0, 0, 0, 9]), frame(PING, 0, 0, [7; 8])].concat());
    let block = http2.server.block(&answer("200", &[("x-part", "one"), ("x-other", "two"), ("x-last", "three")]));
    let parts = [
        frame(HEADERS, 0, 1, &block[..3]),
        frame(CONTINUATION, 0, 1, &block[3..20]),
        frame(CONTINUATION, END_HEADERS, 1, &block[20..]),
    ];
    http2.talk.server(capture, [frame(PING, ACK, 0, [7; 8]), parts.concat()].concat());
    let promised = [&[0, 0, 0, 2][..], &http2.server.block(&get("/pushed", &[]))].concat();
    http2.talk.server(capture, frame(PUSH_PROMISE, END_HEADERS, 1, promised));
    http2.talk.server(capture, frame(DATA, PADDED, 1, [&[3][..], b"padded body", &[0; 3]].concat()));
    http2.talk.server(capture, [frame(0x2a, 0xff, 1, b"what is this"), frame(DATA, END_STREAM, 1, b"")].concat());
    let pushed = http2.tell(2, 0, &answer("200", &[]));
    http2.talk.server(capture, [pushed, frame(DATA, END_STREAM, 2, b"unasked")].concat());
    http2.talk.client(capture, frame(WINDOW_UPDATE, 0, 0, [0, 1, 0, 0]));
    // RFC 8441.
    let websocket = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/chat"),
        (":authority", "two.example"),
    ];
    let connect = http2.ask(5, 0, &websocket);
    http2.talk.client(capture, connect);
    let granted = http2.tell(5, 0, &answer("200", &[]));
    http2.talk.server(capture, [granted, frame(DATA, 0, 5, b"\x81\x02hi")].concat());
    http2.talk.client(capture, frame(DATA, END_STREAM, 5, b"\x88\0"));
    http2.talk.server(capture, frame(DATA, END_STREAM, 5, b"\x88\0"));
    http2.talk.close(capture);
}

/// Streams that end before their time: cancelled, refused, cut by GOAWAY, and by the connection's end.
fn resets(capture: &mut Capture) {
    let mut http2 = Http2::open(capture, "192.0.2.10:41003");
    for (stream, path) in [(1, "/cancelled"), (3, "/refused"), (5, "/answered-early"), (7, "/late")] {
        let asked = http2.ask(stream, u8::from(stream != 5), &get(path, &[("x-stream", path)]));
        http2.talk.client(capture, asked);
    }
    let partly = http2.tell(1, 0, &answer("200", &[("x-kind", "partly")]));
    http2.talk.server(capture, [partly, frame(DATA, 0, 1, b"some of it")].concat());
    http2.talk.client(capture, frame(RST_STREAM, 0, 1, [0, 0, 0, 8]));
    http2.talk.server(capture, [frame(DATA, 0, 1, b"under way"), frame(RST_STREAM, 0, 3, [0, 0, 0, 7])].concat());
    let early = http2.tell(5, END_STREAM, &answer("413", &[("x-kind", "early")]));
    http2.talk.server(capture, [early, frame(RST_STREAM, 0, 5, [0; 4])].concat());
    let unseen = http2.ask(9, END_STREAM, &get("/not-processed", &[]));
    http2.talk.client(capture, unseen);
    http2.talk.server(capture, frame(GOAWAY, 0, 0, [&[0, 0, 0, 7, 0, 0, 0, 0][..], b"bye"].concat()));
    let late = http2.tell(7, 0, &answer("200", &[]));
    http2.talk.server(capture, [late, frame(DATA, 0, 7, b"begun")].concat());
    http2.talk.close(capture);
}

/// RFC 7540 section 3.2: an upgrade from HTTP/1.1, answered as stream 1.
fn upgrade(capture: &mut Capture) {
    let mut talk = Talk::open(capture, "192.0.2.10:41004", SERVER);
    let asked = "GET /upgraded HTTP/1.1\r\nHost: two.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                 HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    talk.client(capture, asked);
    let mut server = Coder::default();
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    talk.server(capture, [&switch[..], &frame(SETTINGS, 0, 0, b"")].concat());
    talk.client(capture, [PREFACE, &frame(SETTINGS, 0, 0, b""), &frame(SETTINGS, ACK, 0, b"")].concat());
    let block = server.block(&answer("200", &[("content-length", "5")]));
    talk.server(capture, [frame(HEADERS, END_HEADERS, 1, block), frame(DATA, END_STREAM, 1, b"first")].concat());
    let block = Coder::default().block(&get("/second", &[]));
    talk.client(capture, frame(HEADERS, END_HEADERS | END_STREAM, 3, block));
    let block = server.block(&answer("200", &[("content-length", "6")]));
    talk.server(capture, [frame(HEADERS, END_HEADERS, 3, block), frame(DATA, END_STREAM, 3, b"second")].concat());
    talk.close(capture);
}

/// A table that overflows, is made smaller, emptied, and turned off by the settings.
fn table(capture: &mut Capture) {
    let mut http2 = Http2::open(capture, "192.0.2.10:41005");
    let values: Vec<String> = (0..30).map(|n| format!("{n:-<180}")).collect();
    for (n, value) in values.iter().enumerate() {
        let stream = n as u32 * 2 + 1;
        if n == 20 {
            // The server wants no table; the client says so in its next block, and forgets.
            http2.talk.server(capture, frame(SETTINGS, 0, 0, b"\0\x01\0\0\0\0"));
            http2.talk.client(capture, frame(SETTINGS, ACK, 0, b""));
            http2.client.table.clear();
        }
        let mut block = if n == 20 { vec![0x20] } else { Vec::new() };
        if n >= 20 {
            http2.client.table.clear();
        }
        // What is sent once and never again leaves the table; what is older than 4 KiB is gone.
        http2.client.table.drain(..http2.client.table.len().saturating_sub(12));
        block.extend(http2.client.block(&get("/t", &[("x-value", value), ("x-same", "same")])));
        http2.talk.client(capture, frame(HEADERS, END_HEADERS | END_STREAM, stream, block));
        let told = http2.tell(stream, END_STREAM, &answer("200", &[("x-answer", value)]));
        http2.server.table.drain(..http2.server.table.len().saturating_sub(12));
        http2.talk.server(capture, told);
    }
    http2.talk.close(capture);
}

/// The server's settings come before the client's preface is seen.
fn server_first(capture: &mut Capture) {
    let mut talk = Talk::open(capture, "192.0.2.10:41006", SERVER);
    talk.server(capture, frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x80"));
    let block = Coder::default().block(&get("/after", &[]));
    let asked = frame(HEADERS, END_HEADERS | END_STREAM, 1, block);
    talk.client(capture, [PREFACE, &frame(SETTINGS, 0, 0, b""), &frame(SETTINGS, ACK, 0, b""), &asked].concat());
    let block = Coder::default().block(&answer("200", &[]));
    talk.server(capture, [frame(SETTINGS, ACK, 0, b""), frame(HEADERS, END_HEADERS, 1, block)].concat());
    talk.server(capture, frame(DATA, END_STREAM, 1, b"done"));
    talk.close(capture);
}

/// A length-prefixed message of gRPC.
fn message(payload: &[u8]) -> Vec<u8> {
    [&[0][..], &(payload.len() as u32).to_be_bytes(), payload].concat()
}

/// Unary, the three streaming kinds, errors with and without an answer, a deadline, a cancel, and a coded message.
fn grpc_calls(capture: &mut Capture) {
    let mut http2 = Http2::open(capture, "192.0.2.10:41007");
    let path = |method: &str| format!("/shop.v1.Cart/{method}");
    let common = [("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "grpc-made/1")];
    let json = ("content-type", "application/grpc");
    let ok = [("grpc-status", "0")];
    let ask = |http2: &mut Http2, stream: u32, method: &str, more: &[(&str, &str)]| {
        let mut headers = common.to_vec();
        headers.extend_from_slice(more);
        let path = path(method);
        http2.ask(stream, 0, &request("POST", &path, &headers))
    };
    // Unary: field 1 is text, field 2 a number, field 3 a message.
    let asked = ask(&mut http2, 1, "Add", &[("grpc-timeout", "5S"), ("x-trace-bin", "AAEC")]);
    let item = message(b"\x0a\x05apple\x10\x96\x01\x1a\x02\x08\x01");
    http2.talk.client(capture, [asked, frame(DATA, END_STREAM, 1, item)].concat());
    let head = http2.tell(1, 0, &answer("200", &[json]));
    let tail = http2.tell(1, END_STREAM, &ok);
    http2.talk.server(capture, [head, frame(DATA, 0, 1, message(b"\x08\x01")), tail].concat());
    // Client streaming: two messages in one frame, one in two.
    let asked = ask(&mut http2, 3, "AddAll", &[]);
    let two = [message(b"\x0a\x01a"), message(b"\x0a\x01b")].concat();
    let third = message(b"\x0a\x05third");
    http2.talk.client(capture, [asked, frame(DATA, 0, 3, two), frame(DATA, 0, 3, &third[..7])].concat());
    http2.talk.client(capture, frame(DATA, END_STREAM, 3, &third[7..]));
    let head = http2.tell(3, 0, &answer("200", &[json]));
    let tail = http2.tell(3, END_STREAM, &ok);
    http2.talk.server(capture, [head, frame(DATA, 0, 3, message(b"\x08\x03")), tail].concat());
    // Server streaming, which the client cancels.
    let asked = ask(&mut http2, 5, "Watch", &[]);
    http2.talk.client(capture, [asked, frame(DATA, END_STREAM, 5, message(b""))].concat());
    let head = http2.tell(5, 0, &answer("200", &[json]));
    http2.talk.server(capture, [head, frame(DATA, 0, 5, message(b"\x08\x01"))].concat());
    http2.talk.server(capture, frame(DATA, 0, 5, message(b"\x08\x02")));
    http2.talk.client(capture, frame(RST_STREAM, 0, 5, [0, 0, 0, 8]));
    // Both ways, with an error at the end.
    let asked = ask(&mut http2, 7, "Chat", &[]);
    http2.talk.client(capture, [asked, frame(DATA, 0, 7, message(b"\x0a\x02hi"))].concat());
    let head = http2.tell(7, 0, &answer("200", &[json]));
    http2.talk.server(capture, [head, frame(DATA, 0, 7, message(b"\x0a\x05hello"))].concat());
    http2.talk.client(capture, frame(DATA, END_STREAM, 7, message(b"\x0a\x03bye")));
    let failed =
        [("grpc-status", "9"), ("grpc-message", "not%20open: 100%25"), ("grpc-status-details-bin", "CAkSCG5vdCBvcGVu")];
    let tail = http2.tell(7, END_STREAM, &failed);
    http2.talk.server(capture, tail);
    // Trailers only.
    let asked = ask(&mut http2, 9, "Nothing", &[]);
    http2.talk.client(capture, [asked, frame(DATA, END_STREAM, 9, message(b""))].concat());
    let tail = http2.tell(9, END_STREAM, &answer("200", &[json, ("grpc-status", "12")]));
    http2.talk.server(capture, tail);
    // A deadline that passes: the client gives up.
    let asked = ask(&mut http2, 11, "Slow", &[("grpc-timeout", "50m")]);
    http2.talk.client(capture, [asked, frame(DATA, END_STREAM, 11, message(b""))].concat());
    capture.wait(55_000);
    http2.talk.client(capture, frame(RST_STREAM, 0, 11, [0, 0, 0, 8]));
    // A coded message.
    let asked = ask(&mut http2, 13, "Add", &[("grpc-encoding", "gzip")]);
    let mut coded = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coded.write_all(b"\x0a\x0csqueezed pea").unwrap_or_else(|error| panic!("{error}"));
    let mut coded = message(&coded.finish().unwrap_or_else(|error| panic!("{error}")));
    coded[0] = 1;
    http2.talk.client(capture, [asked, frame(DATA, END_STREAM, 13, coded)].concat());
    let head = http2.tell(13, 0, &answer("200", &[json]));
    let tail = http2.tell(13, END_STREAM, &ok);
    http2.talk.server(capture, [head, frame(DATA, 0, 13, message(b"\x08\x04")), tail].concat());
    http2.talk.close(capture);
}
