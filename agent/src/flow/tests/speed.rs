//! What a packet costs. Not a check, since machines differ: run it by hand, optimised, with
//! `cargo test --release -p tapwire --lib flow::tests::speed -- --ignored --nocapture`.

use std::net::SocketAddr;

use super::*;

const PACKETS: u32 = 4_000_000;
const PAYLOAD: [u8; 300] = [b'x'; 300];

/// Nanoseconds a packet of PACKETS in turn over so many connections, in order, both ways; on a node when `live`.
fn in_order(flows: u32, live: bool) -> f64 {
    let mut table: FlowTable<u64> = FlowTable::new(Limits::default());
    let mut counters = Counters::default();
    let mut seqs = vec![[1_u32; 2]; flows as usize];
    let (mut number, mut seen) = (0, 0_u64);
    let mut run = |packets: u32| {
        for packet in 0..packets {
            number += 1;
            // Exchanges: a question, an answer, the next connection.
            let flow = packet / 2 % flows;
            let direction = if packet % 2 == 0 { ToServer } else { ToClient };
            let client = SocketAddr::from(([10, 0, (flow >> 8) as u8, flow as u8], 40_000));
            let there = Tuple { src: client, dst: SocketAddr::from(([10, 1, 0, 1], 80)) };
            let header = if direction == ToServer { there } else { there.reversed() };
            let seq = &mut seqs[flow as usize];
            let (at, ack) = (seq[direction as usize], seq[direction.other() as usize]);
            seq[direction as usize] = at.wrapping_add(PAYLOAD.len() as u32);
            let view = live.then(|| View {
                cookie: u64::from(flow) + 1,
                egress: direction == ToClient,
                own: Some(header),
                join: Some(JoinKey { client: flow, server: flow }),
                twin: false,
                cgroup: 7,
                interface: 1,
            });
            let tcp = TcpHeader { seq: at, ack, flags: TcpFlags(TcpFlags::ACK), window: 0xffff, window_scale: None };
            let packet = Packet {
                time: Time(number * 1000),
                source: CaptureSource::Pcap,
                number,
                view,
                header,
                transport: Transport::Tcp(tcp),
                payload: &PAYLOAD,
                wire_len: PAYLOAD.len() as u32,
                cut: None,
            };
            table.packet(&packet, &mut counters, &mut |_| 0, &mut |flow, _, piece, _| {
                flow.state += 1;
                seen += piece.len();
            });
        }
    };
    run(flows * 4);
    let begun = cpu_nanos();
    run(PACKETS);
    let nanos = (cpu_nanos() - begun) as f64 / f64::from(PACKETS);
    assert_eq!(seen, (u64::from(PACKETS) + u64::from(flows) * 4) * PAYLOAD.len() as u64);
    nanos
}

/// Time that this thread really ran (proc(5), schedstat): others' load must not count.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "a measurement, for people"]
fn nanoseconds_per_packet_in_order() {
    for flows in [1, 100, 10_000, 50_000] {
        let (file, node) = (in_order(flows, false), in_order(flows, true));
        println!("{flows:>6} connections: {file:.0} ns from a file, {node:.0} ns on a node");
    }
}
