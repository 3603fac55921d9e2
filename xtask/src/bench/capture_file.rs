//! Writes the capture files that `read` is measured on: HTTP/1.1 exchanges of about 700 bytes, request and response with
//! their heads, or calls of another protocol (`spoken`), on keep-alive connections of which 64 are open at a time, from
//! handshake to close. Two packets an exchange; after every fourth a pause, in which the client acknowledges by a packet of its own. Methods, paths,
//! statuses, ids and lengths vary, one request in four has a cookie. The same bytes at every run.

use std::io::{self, Write};

use super::spoken::{self, Spoken};

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    pub bytes: u64,
    pub packets: u64,
    pub connections: u64,
    pub exchanges: u64,
    /// Of the exchanges, heads and bodies.
    pub exchange_bytes: u64,
}

const OPEN: usize = 64;

/// Mean of request and response together.
const EXCHANGE: u64 = 700;

/// Classic pcap, little-endian, microseconds, Ethernet (draft-ietf-opsawg-pcap).
const FILE_HEADER: [u8; 24] = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Writes at least `size` bytes: connections that are open then are closed in order.
pub fn write(out: &mut impl Write, size: u64, spoken: Spoken) -> io::Result<Made> {
    out.write_all(&FILE_HEADER)?;
    let mut file = File {
        out,
        made: Made { bytes: FILE_HEADER.len() as u64, ..Made::default() },
        micros: START,
        packet: Vec::new(),
    };
    let mut random = Random(1);
    let mut open: Vec<Connection> = Vec::new();
    for _ in 0..OPEN {
        open.push(Connection::open(&mut file, spoken, &mut random)?);
    }
    while file.made.bytes < size {
        let at = random.below(OPEN as u64) as usize;
        let connection = &mut open[at];
        connection.exchange(&mut file, &mut random)?;
        if connection.left == 0 {
            connection.close(&mut file)?;
            open[at] = Connection::open(&mut file, spoken, &mut random)?;
        }
    }
    for connection in &mut open {
        connection.close(&mut file)?;
    }
    file.out.flush()?;
    Ok(file.made)
}

/// 2026-01-01 in microseconds.
const START: u64 = 1_767_225_600_000_000;

struct File<'a, W> {
    out: &'a mut W,
    made: Made,
    micros: u64,
    packet: Vec<u8>,
}

/// One end's address and port, and its next sequence number.
#[derive(Clone, Copy)]
struct End {
    address: [u8; 4],
    port: u16,
    next: u32,
}

struct Connection {
    client: End,
    server: End,
    spoken: Spoken,
    /// Exchanges so far, and to come.
    done: u64,
    left: u64,
}

impl Connection {
    fn open<W: Write>(file: &mut File<'_, W>, spoken: Spoken, random: &mut Random) -> io::Result<Self> {
        // Each connection has a tuple of its own: clients take 28,000 ports in turn.
        let number = file.made.connections;
        file.made.connections += 1;
        let client = [10, 1, (number / 28_000) as u8, 1 + (number % 200) as u8];
        let port = 32_768 + (number % 28_000) as u16;
        let mut connection = Self {
            client: End { address: client, port, next: random.next() as u32 },
            server: End { address: [10, 2, 0, 1 + (number % 9) as u8], port: 8080, next: random.next() as u32 },
            spoken,
            done: 0,
            left: 8 + random.below(57),
        };
        let Self { client, server, .. } = &mut connection;
        file.segment(client, server, SYN, &[])?;
        file.segment(server, client, SYN | ACK, &[])?;
        file.segment(client, server, ACK, &[])?;
        if let Some([ours, theirs]) = spoken.opening() {
            file.segment(client, server, PSH | ACK, &ours)?;
            file.segment(server, client, PSH | ACK, &theirs)?;
        }
        Ok(connection)
    }

    fn exchange<W: Write>(&mut self, file: &mut File<'_, W>, random: &mut Random) -> io::Result<()> {
        let Self { client, server, spoken, done, left } = self;
        let number = file.made.exchanges;
        let [request, response] = match spoken {
            Spoken::Http1 => {
                let method = METHODS[random.below(8) as usize];
                let request = request(method, number, random);
                let response = response(number, &request, random);
                [request.into_bytes(), response.into_bytes()]
            }
            Spoken::Http2 => spoken::http2(*done, number, random),
            Spoken::Kafka => spoken::kafka(*done, number, random),
        };
        file.segment(client, server, PSH | ACK, &request)?;
        // The time that the server takes.
        file.micros += 100 + random.below(900);
        file.segment(server, client, PSH | ACK, &response)?;
        if random.below(4) == 0 {
            file.micros += 40_000;
            file.segment(client, server, ACK, &[])?;
        }
        file.made.exchanges += 1;
        file.made.exchange_bytes += (request.len() + response.len()) as u64;
        *done += 1;
        *left -= 1;
        Ok(())
    }

    fn close<W: Write>(&mut self, file: &mut File<'_, W>) -> io::Result<()> {
        let Self { client, server, .. } = self;
        file.segment(client, server, FIN | ACK, &[])?;
        file.segment(server, client, FIN | ACK, &[])?;
        file.segment(client, server, ACK, &[])
    }
}

impl<W: Write> File<'_, W> {
    /// One packet: pcap record, Ethernet, IPv4 and TCP headers, payload.
    fn segment(&mut self, from: &mut End, to: &End, flags: u8, payload: &[u8]) -> io::Result<()> {
        self.micros += 7;
        let options = options(flags, self.micros);
        let tcp_len = 20 + options.len() + payload.len();
        let packet = &mut self.packet;
        packet.clear();
        packet.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        let ip = packet.len();
        packet.extend([0x45, 0]);
        packet.extend(((20 + tcp_len) as u16).to_be_bytes());
        packet.extend([(self.made.packets >> 8) as u8, self.made.packets as u8, 0x40, 0, 64, 6, 0, 0]);
        packet.extend(from.address);
        packet.extend(to.address);
        let sum = checksum(0, &packet[ip..]);
        packet[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        let tcp = packet.len();
        packet.extend(from.port.to_be_bytes());
        packet.extend(to.port.to_be_bytes());
        packet.extend(from.next.to_be_bytes());
        packet.extend(if flags & ACK != 0 { to.next } else { 0 }.to_be_bytes());
        packet.extend([((20 + options.len()) as u8 / 4) << 4, flags, 0x01, 0xf6, 0, 0, 0, 0]);
        packet.extend(&options);
        packet.extend(payload);
        // The pseudo-header (RFC 9293 section 3.1): both addresses, the protocol, the length.
        let pseudo: u32 = [from.address, to.address]
            .iter()
            .flat_map(|a| a.chunks(2))
            .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]))
            .sum();
        let sum = checksum(pseudo + 6 + tcp_len as u32, &packet[tcp..]);
        packet[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
        // SYN and FIN take a sequence number each.
        from.next = from.next.wrapping_add(payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0));

        let len = (packet.len() as u32).to_le_bytes();
        self.out.write_all(&((self.micros / 1_000_000) as u32).to_le_bytes())?;
        self.out.write_all(&((self.micros % 1_000_000) as u32).to_le_bytes())?;
        self.out.write_all(&len)?;
        self.out.write_all(&len)?;
        self.out.write_all(packet)?;
        self.made.bytes += 16 + packet.len() as u64;
        self.made.packets += 1;
        Ok(())
    }
}

/// What Linux sends: MSS, SACK, time stamps and window scale with SYN, time stamps always.
fn options(flags: u8, micros: u64) -> Vec<u8> {
    let mut options = if flags & SYN != 0 { vec![2, 4, 5, 0xb4, 4, 2] } else { vec![1, 1] };
    options.extend([8, 10]);
    options.extend(((micros / 1000) as u32).to_be_bytes());
    options.extend(((micros / 1000) as u32).to_be_bytes());
    if flags & SYN != 0 {
        options.extend([1, 3, 3, 7]);
    }
    options
}

/// The Internet checksum (RFC 1071), from a partial sum on.
fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

const METHODS: [&str; 8] = ["GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE"];

const PATHS: [&str; 8] = [
    "/api/v1/orders/",
    "/api/v1/customers/",
    "/catalogue/items/",
    "/cart/",
    "/static/images/",
    "/search?q=shoes&page=",
    "/api/v2/payments/",
    "/health/",
];

fn request(method: &str, number: u64, random: &mut Random) -> String {
    let path = PATHS[random.below(8) as usize];
    let id = random.below(1_000_000);
    let mut request = format!(
        "{method} {path}{id} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: storefront/4.2 (Linux; x86_64)\r\n\
         Accept: application/json\r\nAccept-Encoding: identity\r\nX-Request-Id: {:016x}{number:016x}\r\n",
        random.next()
    );
    if random.below(4) == 0 {
        request.push_str(&format!("Cookie: session={:016x}{:016x}\r\n", random.next(), random.next()));
    }
    if matches!(method, "POST" | "PUT") {
        let body = format!("{{\"order\": {number}, \"amount\": {}}}", random.below(10_000));
        request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    } else {
        request.push_str("\r\n");
    }
    request
}

/// Its body is as long as the exchange's length, which is drawn around the mean, leaves it.
fn response(number: u64, request: &str, random: &mut Random) -> String {
    let status = match random.below(100) {
        0..=84 => "200 OK",
        85..=89 => "201 Created",
        90..=93 => "302 Found",
        94..=97 => "404 Not Found",
        98 => "500 Internal Server Error",
        _ => "503 Service Unavailable",
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nServer: nginx/1.22.1\r\nDate: Thu, 01 Jan 2026 00:{:02}:{:02} GMT\r\n\
         Content-Type: application/json\r\nX-Request-Id: {number:016x}\r\nContent-Length: ",
        number / 60 % 60,
        number % 60
    );
    let drawn = EXCHANGE - 150 + random.below(301);
    // "123", the two line ends
    let rest = drawn.saturating_sub((request.len() + head.len() + 7) as u64).max(SHORTEST_BODY);
    let mut body = format!("{{\"id\": {number}, \"note\": \"");
    while (body.len() as u64) < rest - 2 {
        body.push_str(WORDS[random.below(8) as usize]);
    }
    body.truncate(rest as usize - 2);
    format!("{head}{rest}\r\n\r\n{body}\"}}")
}

/// Room for the id and a word.
const SHORTEST_BODY: u64 = 40;

const WORDS: [&str; 8] = ["shoe ", "hat ", "order ", "large ", "blue ", "delivery ", "tomorrow ", "paid "];

/// Numbers that look random, the same at every run (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_whole_packets_of_the_shape_that_it_names() {
        let mut file = Vec::new();
        let made = write(&mut file, 2_000_000, Spoken::Http1).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file.len() as u64, made.bytes);
        let mean = made.exchange_bytes as f64 / made.exchanges as f64;
        assert!((680.0..720.0).contains(&mean), "{mean}");
        let (mut at, mut packets, mut requests) = (FILE_HEADER.len(), 0, 0);
        while at < file.len() {
            let len = u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap_or_default()) as usize;
            let packet = &file[at + 16..at + 16 + len];
            // A right header sums up to nothing.
            assert_eq!(checksum(0, &packet[14..34]), 0);
            requests += u64::from(packet.windows(14).any(|bytes| bytes == b"User-Agent: st"));
            at += 16 + len;
            packets += 1;
        }
        assert_eq!((packets, requests), (made.packets, made.exchanges));
        let mut again = Vec::new();
        write(&mut again, 2_000_000, Spoken::Http1).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file, again);
    }
}
