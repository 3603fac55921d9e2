//! What the connections of a capture file say, beside HTTP/1.1: small calls of HTTP/2, and of Kafka.

use super::capture_file::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    Http1,
    /// Header blocks of static names and plain literals, answers of about 400 bytes.
    Http2,
    /// Produce of version 3 and Fetch of version 4 by turns, with one record of about 300 bytes.
    Kafka,
}

impl Spoken {
    pub const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Kafka];

    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Kafka => "Kafka",
        }
    }

    /// How tshark is asked for what `read` prints: who it is, what was asked, and how it went.
    pub fn tshark(self) -> &'static [&'static str] {
        match self {
            Self::Http1 => {
                &["-Y", "http", "-e", "http.request.method", "-e", "http.request.uri", "-e", "http.response.code"]
            }
            Self::Http2 => &[
                "-d",
                "tcp.port==8080,http2",
                "-Y",
                "http2",
                "-e",
                "http2.headers.method",
                "-e",
                "http2.headers.path",
                "-e",
                "http2.headers.status",
            ],
            Self::Kafka => &[
                "-d",
                "tcp.port==8080,kafka",
                "-Y",
                "kafka",
                "-e",
                "kafka.api_key",
                "-e",
                "kafka.topic_name",
                "-e",
                "kafka.error",
            ],
        }
    }

    /// What both sides say before the first call.
    pub fn opening(self) -> Option<[Vec<u8>; 2]> {
        match self {
            Self::Http1 | Self::Kafka => None,
            Self::Http2 => {
                let settings = frame(4, 0, 0, b"");
                Some([[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat(), settings])
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A literal whose name is in HPACK's static table (RFC 7541 section 6.2.2).
fn literal(name: u8, value: &str) -> Vec<u8> {
    let mut field = if name < 15 { vec![name] } else { vec![15, name - 15] };
    field.push(value.len() as u8);
    field.extend_from_slice(value.as_bytes());
    field
}

/// The call on a connection of this ordinal.
pub fn http2(ordinal: u64, number: u64, random: &mut Random) -> [Vec<u8>; 2] {
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    let stream = 2 * ordinal as u32 + 1;
    let path = format!("/api/v1/orders/{}", random.below(1_000_000));
    // :method GET, :scheme http, :path, :authority, user-agent, accept
    let asked = [
        vec![0x82, 0x86],
        literal(4, &path),
        literal(1, "shop.example"),
        literal(58, "storefront/4.2 (Linux; x86_64)"),
        literal(19, "application/json"),
    ]
    .concat();
    // :status, content-type, server
    let status = [0x88, 0x88, 0x88, 0x8d, 0x8e][random.below(5) as usize];
    let answered = [vec![status], literal(31, "application/json"), literal(54, "nginx/1.22.1")].concat();
    let body = format!("{{\"id\": {number}, \"note\": \"{}\"}}", "order ".repeat(20 + random.below(60) as usize));
    let answer = [frame(1, END_HEADERS, stream, &answered), frame(0, END_STREAM, stream, body.as_bytes())].concat();
    [frame(1, END_STREAM | END_HEADERS, stream, &asked), answer]
}

/// Likewise.
pub fn kafka(ordinal: u64, number: u64, random: &mut Random) -> [Vec<u8>; 2] {
    let id = (ordinal as i32 + 1).to_be_bytes();
    let topic = ["orders", "payments", "stock", "clicks"][random.below(4) as usize];
    let value =
        format!("{{\"order\": {number}, \"note\": \"{}\"}}", "blue shoe ".repeat(20 + random.below(20) as usize));
    let records = batch(value.as_bytes());
    if number % 2 == 1 {
        return fetch(id, topic, &records);
    }
    let request = [
        &[0, 0, 0, 3][..],
        &id,
        &text("storefront"),
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0x75, 0x30, 0, 0, 0, 1],
        &text(topic),
        &[0, 0, 0, 1, 0, 0, 0, 0],
        &(records.len() as u32).to_be_bytes(),
        &records,
    ]
    .concat();
    let error = if random.below(50) == 0 { [0, 6] } else { [0, 0] };
    let answer = [
        &id[..],
        &[0, 0, 0, 1],
        &text(topic),
        &[0, 0, 0, 1, 0, 0, 0, 0],
        &error,
        &number.to_be_bytes(),
        &[0xff; 8],
        &[0; 4],
    ]
    .concat();
    [sized(&request), sized(&answer)]
}

/// From partition 0, up to 1 MiB, for half a second at most; no transaction was aborted.
fn fetch(id: [u8; 4], topic: &str, records: &[u8]) -> [Vec<u8>; 2] {
    let request = [
        &[0, 1, 0, 4][..],
        &id,
        &text("storefront"),
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0xf4, 0, 0, 0, 1, 0, 0x10, 0, 0, 0],
        &[0, 0, 0, 1],
        &text(topic),
        &[0, 0, 0, 1, 0, 0, 0, 0],
        &[0; 8],
        &[0, 0x10, 0, 0],
    ]
    .concat();
    let answer = [
        &id[..],
        &[0; 4],
        &[0, 0, 0, 1],
        &text(topic),
        &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        &1_u64.to_be_bytes(),
        &1_u64.to_be_bytes(),
        &[0; 4],
        &(records.len() as u32).to_be_bytes(),
        records,
    ]
    .concat();
    [sized(&request), sized(&answer)]
}

fn sized(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// Of magic 2 with one record. Nobody here checks its CRC.
fn batch(value: &[u8]) -> Vec<u8> {
    let record = [&[0, 0, 0, 1][..], &zigzag(value.len()), value, &[0]].concat();
    let records = [zigzag(record.len()), record].concat();
    let mut batch = vec![0; 8];
    batch.extend((49 + records.len() as u32).to_be_bytes());
    batch.extend([0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    batch.extend([0; 16]);
    batch.extend([0xff; 14]);
    batch.extend([0, 0, 0, 1]);
    batch.extend(records);
    batch
}

fn zigzag(value: usize) -> Vec<u8> {
    let mut rest = value << 1;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}
