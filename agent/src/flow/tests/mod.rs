//! Tests of the stage as a whole, one file a subject, one test a rule. `Rig` stands for the stages on both sides: it
//! makes packets, and counts pieces as the dissectors do, checking what must hold at any moment.

mod ends;
mod limits;
mod order;
mod properties;
mod speed;
mod starts;
mod views;
mod windows;

use super::*;
use crate::{
    capture::{Packet, TcpFlags, TcpHeader, Transport, View},
    coverage::Counters,
};

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1000 * MS;

/// Initial sequence numbers of most tests, chosen so that the client's bytes wrap around soon.
pub(super) const CLIENT: u32 = u32::MAX - 20;
pub(super) const SERVER: u32 = 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Got {
    Bytes(Vec<u8>),
    Gap(u64, Reason),
    Skip(u64, Reason),
    End(Ending),
}

pub(super) use Direction::{ToClient, ToServer};

/// A packet to be made, with the addresses of a client and a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Make<'a> {
    pub(super) direction: Direction,
    pub(super) client: &'a str,
    pub(super) server: &'a str,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) flags: u8,
    pub(super) scale: Option<u8>,
    pub(super) payload: &'a [u8],
    /// Bytes on the wire beyond the payload.
    pub(super) cut: u32,
    pub(super) why: Reason,
    pub(super) view: Option<View>,
    pub(super) udp: bool,
}

impl<'a> Make<'a> {
    pub(super) fn new(direction: Direction, seq: u32) -> Self {
        Self {
            direction,
            client: "10.0.0.1:40000",
            server: "10.0.0.2:80",
            seq,
            ack: None,
            flags: 0,
            scale: None,
            payload: b"",
            cut: 0,
            why: Reason::Snaplen,
            view: None,
            udp: false,
        }
    }

    pub(super) fn ends(self, client: &'a str, server: &'a str) -> Self {
        Self { client, server, ..self }
    }
    pub(super) fn data(self, payload: &'a [u8]) -> Self {
        Self { payload, ..self }
    }
    pub(super) fn ack(self, ack: u32) -> Self {
        Self { ack: Some(ack), ..self }
    }
    pub(super) fn flags(self, flags: u8) -> Self {
        Self { flags: self.flags | flags, ..self }
    }
    pub(super) fn syn(self) -> Self {
        self.flags(TcpFlags::SYN)
    }
    pub(super) fn fin(self) -> Self {
        self.flags(TcpFlags::FIN)
    }
    pub(super) fn rst(self) -> Self {
        self.flags(TcpFlags::RST)
    }
    pub(super) fn cut(self, cut: u32, why: Reason) -> Self {
        Self { cut, why, ..self }
    }
    pub(super) fn scale(self, shift: u8) -> Self {
        Self { scale: Some(shift), ..self }
    }
}

/// A client's segment: by its offset in the client's stream.
pub(super) fn client(offset: u32) -> Make<'static> {
    Make::new(ToServer, CLIENT.wrapping_add(1).wrapping_add(offset))
}

pub(super) fn server(offset: u32) -> Make<'static> {
    Make::new(ToClient, SERVER.wrapping_add(1).wrapping_add(offset))
}

/// What acknowledges so many bytes of the client's or server's.
pub(super) fn of_client(offset: u32) -> u32 {
    CLIENT.wrapping_add(1).wrapping_add(offset)
}

pub(super) fn of_server(offset: u32) -> u32 {
    SERVER.wrapping_add(1).wrapping_add(offset)
}

pub(super) struct Rig {
    pub(super) table: FlowTable<u32>,
    pub(super) counters: Counters,
    pub(super) limits: Limits,
    pub(super) now: u64,
    number: u64,
    opened: u32,
    /// By flow, as numbered by `open`, and direction.
    pieces: Pieces,
}

#[derive(Default)]
struct Pieces {
    list: Vec<(u32, Direction, Got)>,
    ended: std::collections::HashSet<(u32, Direction)>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        Self {
            table: FlowTable::new(limits),
            counters: Counters::default(),
            limits,
            now: 1000 * SECOND,
            number: 0,
            opened: 0,
            pieces: Pieces::default(),
        }
    }

    /// With a handshake.
    pub(super) fn open() -> Self {
        let mut rig = Self::new();
        rig.handshake();
        rig
    }

    pub(super) fn handshake(&mut self) {
        self.send(Make::new(ToServer, CLIENT).syn().scale(7));
        self.send(Make::new(ToClient, SERVER).syn().scale(7).ack(of_client(0)));
        self.send(client(0).ack(of_server(0)));
    }

    pub(super) fn send(&mut self, make: Make<'_>) {
        let Make { direction, client, server, seq, ack, flags, scale, payload, cut, why, view, udp } = make;
        self.now += 1000;
        self.number += 1;
        let to_server = Tuple { src: client.parse().unwrap(), dst: server.parse().unwrap() };
        let ack_flag = if ack.is_some() { TcpFlags::ACK } else { 0 };
        let tcp = TcpHeader {
            seq,
            ack: ack.unwrap_or(0),
            flags: TcpFlags(flags | ack_flag),
            window: 0xffff,
            window_scale: scale,
        };
        let packet = Packet {
            time: Time(self.now),
            source: if view.is_some() { CaptureSource::Ebpf } else { CaptureSource::Pcap },
            number: self.number,
            view,
            header: if direction == ToServer { to_server } else { to_server.reversed() },
            transport: if udp { Transport::Udp } else { Transport::Tcp(tcp) },
            payload,
            wire_len: payload.len() as u32 + cut,
            cut: (cut > 0).then_some(why),
        };
        self.packet(&packet);
    }

    pub(super) fn packet(&mut self, packet: &Packet<'_>) {
        let Self { table, counters, opened, pieces, .. } = self;
        let mut open = |_: &Start| {
            *opened += 1;
            *opened
        };
        table.packet(packet, counters, &mut open, &mut |flow, direction, piece, counters| {
            note(pieces, flow, direction, piece, counters);
        });
        self.check();
    }

    pub(super) fn expire_after(&mut self, nanos: u64) {
        self.now += nanos;
        let Self { table, counters, pieces, now, .. } = self;
        table.expire(Time(*now), counters, &mut |flow, direction, piece, counters| {
            note(pieces, flow, direction, piece, counters);
        });
        self.check();
    }

    pub(super) fn finish(&mut self) {
        let Self { table, counters, pieces, .. } = self;
        table.finish(counters, &mut |flow, direction, piece, counters| note(pieces, flow, direction, piece, counters));
        self.check();
        assert!(self.table.is_empty());
        assert_eq!(self.table.held_bytes(), 0);
    }

    fn check(&self) {
        let Counters { bytes, captured_bytes, skipped, lost, .. } = &self.counters;
        assert_eq!(*bytes, captured_bytes + skipped.total() + lost.total());
        assert!(self.table.held_bytes() <= self.limits.held);
    }

    /// What came in one direction of a flow, chunks that follow one another as one.
    pub(super) fn got(&self, flow: u32, direction: Direction) -> Vec<Got> {
        let mut joined: Vec<Got> = Vec::new();
        for (_, _, got) in self.pieces.list.iter().filter(|(f, d, _)| *f == flow && *d == direction) {
            match (joined.last_mut(), got) {
                (Some(Got::Bytes(bytes)), Got::Bytes(more)) => bytes.extend_from_slice(more),
                (_, got) => joined.push(got.clone()),
            }
        }
        joined
    }

    /// What came in both directions of the only flow, in its order.
    pub(super) fn both(&self) -> Vec<(Direction, Got)> {
        self.pieces.list.iter().map(|(_, direction, got)| (*direction, got.clone())).collect()
    }

    #[track_caller]
    pub(super) fn expect(&self, direction: Direction, wanted: &[Got]) {
        assert_eq!(self.got(1, direction), wanted);
    }
}

fn note(pieces: &mut Pieces, flow: &mut Flow<u32>, direction: Direction, piece: Piece<'_>, counters: &mut Counters) {
    assert!(!pieces.ended.contains(&(flow.state, direction)), "{piece:?} after the end");
    let got = match piece {
        Piece::Chunk { bytes, .. } => {
            assert!(!bytes.is_empty());
            counters.captured(bytes.len() as u64);
            Got::Bytes(bytes.to_vec())
        }
        Piece::Gap { bytes, reason, .. } => {
            assert!(bytes > 0);
            counters.lost(bytes, reason);
            Got::Gap(bytes, reason)
        }
        Piece::Skip { bytes, reason, .. } => {
            assert!(bytes > 0);
            counters.skipped(bytes, reason);
            Got::Skip(bytes, reason)
        }
        Piece::End { how, .. } => {
            pieces.ended.insert((flow.state, direction));
            Got::End(how)
        }
    };
    pieces.list.push((flow.state, direction, got));
}

pub(super) fn bytes(text: &[u8]) -> Got {
    Got::Bytes(text.to_vec())
}

pub(super) fn lost(count: u64) -> Got {
    Got::Gap(count, Reason::NotCaptured)
}
