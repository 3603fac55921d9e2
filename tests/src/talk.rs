//! Writes captures by hand: one TCP connection at a time, each side saying what the test wants said, segment by segment,
//! with true sequence numbers and checksums. Time is the script's own, so that a capture is the same bytes every time.

use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;

/// 2026-01-02T03:04:05Z.
const START_MICROS: u64 = 1_767_323_045_000_000;
/// Between two packets.
const STEP_MICROS: u64 = 1_000;
/// Largest payload of a segment, as over Ethernet with timestamps off.
pub const MSS: usize = 1460;

/// The packets of a capture, as they stand in a file of raw IP packets.
#[derive(Debug)]
pub struct Capture {
    micros: u64,
    packets: Vec<(u64, Vec<u8>)>,
}

impl Default for Capture {
    fn default() -> Self {
        Self { micros: START_MICROS, packets: Vec::new() }
    }
}

impl Capture {
    /// Lets time pass.
    pub fn wait(&mut self, micros: u64) {
        self.micros += micros;
    }

    /// The capture misses its latest packet.
    pub fn lose_last(&mut self) {
        self.packets.pop();
    }

    /// A classic pcap file, link type raw IP.
    pub fn to_pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend(0xa1b2_c3d4_u32.to_le_bytes());
        file.extend([2, 0, 4, 0]);
        for value in [0, 0, 262_144, 101_u32] {
            file.extend(value.to_le_bytes());
        }
        for (micros, packet) in &self.packets {
            let len = packet.len() as u32;
            for value in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, len, len] {
                file.extend(value.to_le_bytes());
            }
            file.extend(packet);
        }
        file
    }
}

/// One side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// A connection that writes itself into a capture.
#[derive(Debug)]
pub struct Talk {
    ends: [SocketAddr; 2],
    next: [u32; 2],
}

impl Talk {
    /// A connection whose handshake is not in the capture.
    pub fn joined_late(client: &str, server: &str) -> Self {
        let end = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text} is no address and port"));
        // Close to the wrap-around, so that every longer talk crosses it.
        Self { ends: [end(client), end(server)], next: [0xffff_ff00, 0x7fff_fe00] }
    }

    /// Opens a connection with its handshake.
    pub fn open(capture: &mut Capture, client: &str, server: &str) -> Self {
        let mut talk = Self::joined_late(client, server);
        talk.segment(capture, Side::Client, b"", "S");
        talk.next[0] = talk.next[0].wrapping_add(1);
        talk.segment(capture, Side::Server, b"", "SA");
        talk.next[1] = talk.next[1].wrapping_add(1);
        talk.segment(capture, Side::Client, b"", "A");
        talk
    }

    /// Sends bytes in segments of `MSS`, each acknowledged.
    pub fn say(&mut self, capture: &mut Capture, side: Side, bytes: impl AsRef<[u8]>) {
        self.say_in(capture, side, bytes, MSS);
    }

    /// Sends bytes in segments of so many.
    pub fn say_in(&mut self, capture: &mut Capture, side: Side, bytes: impl AsRef<[u8]>, size: usize) {
        for piece in bytes.as_ref().chunks(size) {
            self.segment(capture, side, piece, "PA");
            self.next[side as usize] = self.next[side as usize].wrapping_add(piece.len() as u32);
            let other = if side == Side::Client { Side::Server } else { Side::Client };
            self.segment(capture, other, b"", "A");
        }
    }

    pub fn client(&mut self, capture: &mut Capture, bytes: impl AsRef<[u8]>) {
        self.say(capture, Side::Client, bytes);
    }

    pub fn server(&mut self, capture: &mut Capture, bytes: impl AsRef<[u8]>) {
        self.say(capture, Side::Server, bytes);
    }

    /// One side has said all.
    pub fn end(&mut self, capture: &mut Capture, side: Side) {
        self.segment(capture, side, b"", "FA");
        self.next[side as usize] = self.next[side as usize].wrapping_add(1);
    }

    /// Both sides have.
    pub fn close(&mut self, capture: &mut Capture) {
        self.end(capture, Side::Client);
        self.end(capture, Side::Server);
        self.segment(capture, Side::Client, b"", "A");
    }

    pub fn reset(&mut self, capture: &mut Capture, side: Side) {
        self.segment(capture, side, b"", "RA");
    }

    /// One segment with flags out of `S`, `A`, `P`, `F`, `R`, at the side's present sequence number.
    fn segment(&self, capture: &mut Capture, side: Side, payload: &[u8], flags: &str) {
        let (from, to) = (side as usize, 1 - side as usize);
        let [source, target] = [self.ends[from], self.ends[to]];
        let step = match (source.ip(), target.ip()) {
            (IpAddr::V4(source), IpAddr::V4(target)) => PacketBuilder::ipv4(source.octets(), target.octets(), 64),
            (IpAddr::V6(source), IpAddr::V6(target)) => PacketBuilder::ipv6(source.octets(), target.octets(), 64),
            _ => panic!("both ends of a connection are of one family"),
        };
        let mut step = step.tcp(source.port(), target.port(), self.next[from], 65_000);
        for flag in flags.bytes() {
            step = match flag {
                b'S' => step.syn(),
                b'A' => step.ack(self.next[to]),
                b'P' => step.psh(),
                b'F' => step.fin(),
                b'R' => step.rst(),
                _ => panic!("unknown flag"),
            };
        }
        let mut packet = Vec::new();
        step.write(&mut packet, payload).unwrap_or_else(|error| panic!("a packet: {error}"));
        capture.packets.push((capture.micros, packet));
        capture.micros += STEP_MICROS;
    }
}
