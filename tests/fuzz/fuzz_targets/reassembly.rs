//! Any sequence of packets, from files and from sockets: nothing panics, memory stays within the limits, each direction
//! ends at most once and yields nothing after that, and each byte stands where it belongs. To see the last, a payload
//! byte is made from its sequence number, so that bytes and gaps must count on without a jump.

#![no_main]

use std::{collections::HashMap, net::SocketAddr};

use libfuzzer_sys::fuzz_target;
use tapwire::{
    capture::{CaptureSource, JoinKey, Packet, TcpFlags, TcpHeader, Transport, Tuple, View},
    coverage::{Counters, Reason},
    flow::{Direction, Flow, FlowTable, Limits, Piece},
    time::Time,
};

const LIMITS: Limits = Limits {
    flows: 6,
    held_per_flow: 4000,
    held: 6000,
    idle_nanos: 1000,
    datagrams_idle_nanos: 300,
    closed_nanos: 100,
    gap_nanos: 50,
    reorder_nanos: 20,
    reorder_packets: 4,
};

/// Bytes of the input for each packet.
const STEP: usize = 10;

/// What was seen of the directions of each flow: the byte that must come next, once one has come, and the end.
#[derive(Default)]
struct Seen(HashMap<(u32, Direction), (Option<u8>, bool)>);

impl Seen {
    fn piece(&mut self, flow: &mut Flow<u32>, direction: Direction, piece: Piece<'_>, counters: &mut Counters) {
        let (next, ended) = self.0.entry((flow.state, direction)).or_default();
        assert!(!*ended, "{piece:?} after the end");
        match piece {
            Piece::Chunk { bytes, .. } => {
                assert!(!bytes.is_empty());
                for &byte in bytes {
                    assert_eq!(byte, next.unwrap_or(byte), "out of order");
                    *next = Some(byte.wrapping_add(1));
                }
                counters.captured(bytes.len() as u64);
            }
            Piece::Gap { bytes, reason, .. } => {
                assert!(bytes > 0);
                *next = next.map(|next| next.wrapping_add(bytes as u8));
                counters.lost(bytes, reason);
            }
            Piece::Skip { bytes, reason, .. } => {
                assert!(bytes > 0);
                *next = next.map(|next| next.wrapping_add(bytes as u8));
                counters.skipped(bytes, reason);
            }
            Piece::End { .. } => *ended = true,
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut table: FlowTable<u32> = FlowTable::new(LIMITS);
    let (mut counters, mut seen, mut opened, mut now) = (Counters::default(), Seen::default(), 0, 1_000_000);
    for (number, step) in (1..).zip(input.chunks_exact(STEP)) {
        let &[what, who, flags, seq_low, seq_high, ack_low, ack_high, len, cut, wait] = step else { continue };
        now += u64::from(wait);
        let to_server = what & 1 == 0;
        // Steps of one byte near the start, and steps as large as windows.
        let scale = if what & 2 == 0 { 1 } else { 1 << 14 };
        let seq = u32::from(u16::from_le_bytes([seq_low, seq_high])).wrapping_mul(scale).wrapping_sub(200);
        let ack = u32::from(u16::from_le_bytes([ack_low, ack_high])).wrapping_mul(scale).wrapping_sub(200);
        let client = SocketAddr::from(([10, 0, 0, 1], 4000 + u16::from(who & 3)));
        let server = SocketAddr::from(([10, 0, 0, 2], if what & 4 == 0 { 80 } else { 4001 }));
        let there = Tuple { src: client, dst: server };
        let header = if to_server { there } else { there.reversed() };
        let udp = who & 0xc0 == 0xc0;
        // A TCP byte is its sequence number (SYN takes one, too); a datagram counts on from no other, so it is empty.
        let len = if udp { 0 } else { u32::from(len) };
        let cut = if udp { 0 } else { u32::from(cut >> 4) * 7 };
        let first = seq.wrapping_add(u32::from(flags >> 1 & 1));
        let payload: Vec<u8> = (0..len).map(|at| first.wrapping_add(at) as u8).collect();
        let egress = to_server == (who & 4 == 0);
        let view = View {
            cookie: u64::from(who & 7),
            egress,
            own: (who & 8 == 0).then_some(if what & 8 == 0 { header } else { Tuple { dst: server, ..header } }),
            join: (what & 16 == 0).then_some(JoinKey { client: u32::from(who & 3), server: 0 }),
            twin: what & 32 == 0 && who & 16 == 0,
            cgroup: 1,
            interface: 1,
        };
        let tcp = TcpHeader {
            seq,
            ack,
            flags: TcpFlags(flags & 0x1f),
            window: 0xffff,
            window_scale: (flags & 0x20 != 0).then_some(flags >> 4),
        };
        let packet = Packet {
            time: Time(now),
            source: CaptureSource::Pcap,
            number,
            view: (who & 32 != 0).then_some(view),
            header,
            transport: if udp { Transport::Udp } else { Transport::Tcp(tcp) },
            payload: &payload,
            wire_len: len + cut,
            cut: (cut > 0).then_some(if what & 64 == 0 { Reason::Snaplen } else { Reason::BodyRate }),
        };
        let mut open = |_: &_| {
            opened += 1;
            opened
        };
        table.packet(&packet, &mut counters, &mut open, &mut |flow, direction, piece, counters| {
            seen.piece(flow, direction, piece, counters);
        });
        if what & 128 != 0 {
            table.expire(Time(now), &mut counters, &mut |flow, direction, piece, counters| {
                seen.piece(flow, direction, piece, counters);
            });
        }
        if wait == 255 {
            table.forget(u64::from(who & 7), &mut counters);
        }
        assert!(table.len() <= LIMITS.flows);
        assert!(table.held_bytes() <= LIMITS.held);
        let Counters { bytes, captured_bytes, skipped, lost, .. } = &counters;
        assert_eq!(*bytes, captured_bytes + skipped.total() + lost.total());
    }
    table.finish(&mut counters, &mut |flow, direction, piece, counters| seen.piece(flow, direction, piece, counters));
    assert_eq!((table.len(), table.held_bytes()), (0, 0));
});
