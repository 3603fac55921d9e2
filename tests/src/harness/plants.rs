//! Mistakes, planted into the real byte path: each is one that decoders really make, and each must be found by the part
//! of the harness that is there for it. A harness that finds none of them proves nothing.

use std::collections::HashMap;

use serde_json::{Value, json};
use tapwire::{
    capture::{TcpFlags, TcpHeader, Transport, Tuple},
    coverage::ByReason,
};

use crate::{
    corpus::Owned,
    pipeline::{Outcome, real},
};

fn tcp(packet: &Owned) -> Option<TcpHeader> {
    match packet.transport {
        Transport::Tcp(tcp) => Some(tcp),
        Transport::Udp => None,
    }
}

/// Changes the records of an outcome.
fn changed(mut outcome: Outcome, change: impl FnOnce(&mut Vec<Value>)) -> Outcome {
    let mut values = outcome.values();
    change(&mut values);
    outcome.records = values.iter().map(|value| value.to_string().into_bytes()).collect();
    outcome
}

/// A segment boundary inside a message costs it its last header: what a parser does that forgets its place.
pub fn drops_a_header_when_split(packets: &[Owned]) -> Outcome {
    let split = packets.windows(2).any(|pair| pair[0].number == pair[1].number);
    changed(real(packets), |records| {
        let headers = records.iter_mut().find_map(|record| record["request"]["headers"].as_array_mut());
        if let Some(headers) = headers.filter(|_| split) {
            headers.pop();
        }
    })
}

/// The first byte of a segment that continues a message is lost: what an off-by-one in the kept rest does.
pub fn loses_a_byte_when_split(packets: &[Owned]) -> Outcome {
    let mut packets = packets.to_vec();
    for at in 1..packets.len() {
        if packets[at - 1].number == packets[at].number && packets[at].payload.len() > 1 {
            packets[at].payload[0] = b'?';
        }
    }
    real(&packets)
}

/// Behind a gap every answer goes to the request after its own.
pub fn shifts_pairs_after_a_gap(packets: &[Owned]) -> Outcome {
    let outcome = real(packets);
    let gap = outcome.counters.lost.total() > 0;
    changed(outcome, |records| {
        for at in (1..records.len()).rev().filter(|_| gap) {
            for key in ["response", "status_code"] {
                records[at][key] = records[at - 1][key].clone();
            }
        }
    })
}

/// What is missing reads as zeros: what a buffer does that is sized by the gap.
pub fn fills_gaps_with_zeros(packets: &[Owned]) -> Outcome {
    let mut whole: Vec<Owned> = Vec::new();
    let mut next: HashMap<Tuple, u32> = HashMap::new();
    for packet in packets {
        let Some(header) = tcp(packet) else { continue };
        let first = header.seq.wrapping_add(u32::from(header.flags.syn()));
        if let Some(&expected) = next.get(&packet.header) {
            let missing = first.wrapping_sub(expected);
            if missing > 0 && missing < 100_000 {
                let transport = Transport::Tcp(TcpHeader { seq: expected, flags: TcpFlags(TcpFlags::ACK), ..header });
                let payload = vec![0; missing as usize];
                whole.push(Owned { transport, payload, wire_len: missing, ..packet.clone() });
            }
        }
        next.insert(packet.header, first.wrapping_add(packet.wire_len).wrapping_add(u32::from(header.flags.fin())));
        whole.push(packet.clone());
    }
    real(&whole)
}

/// Loss is not told.
pub fn hides_loss(packets: &[Owned]) -> Outcome {
    let mut outcome = real(packets);
    outcome.counters.lost = ByReason::default();
    changed(outcome, |records| {
        for record in records.iter_mut().filter_map(Value::as_object_mut) {
            record.remove("incomplete");
        }
    })
}

/// A body that was cut counts as whole.
pub fn takes_a_front_for_the_body(packets: &[Owned]) -> Outcome {
    changed(real(packets), |records| {
        for record in records {
            for half in ["request", "response"] {
                if record[half]["body_size"].is_null() && record[half].is_object() {
                    record[half]["body_size"] = json!(record[half]["body_kept"].as_u64().unwrap_or_default());
                }
            }
        }
    })
}

/// Whatever comes first is taken for the beginning of a message: what decoders do that only know whole connections.
pub fn trusts_a_late_join(packets: &[Owned]) -> Outcome {
    let Some(first) = packets.first().filter(|first| tcp(first).is_some_and(|tcp| !tcp.flags.syn())) else {
        return real(packets);
    };
    // Servers have the lower port.
    let to_server =
        if first.header.src.port() > first.header.dst.port() { first.header } else { first.header.reversed() };
    let start = |tuple: Tuple| {
        packets.iter().find_map(|packet| {
            let tcp = tcp(packet)?;
            if packet.header == tuple { Some(tcp.seq) } else { tcp.flags.ack().then_some(tcp.ack) }
        })
    };
    let (client, server) = (start(to_server).unwrap_or(1), start(to_server.reversed()).unwrap_or(1));
    let hello = |header, seq: u32, ack, flags| {
        let transport = Transport::Tcp(TcpHeader {
            seq: seq.wrapping_sub(1),
            ack,
            flags: TcpFlags(flags),
            window: 65_000,
            window_scale: None,
        });
        Owned { header, transport, payload: Vec::new(), wire_len: 0, cut: None, ..first.clone() }
    };
    let mut whole = vec![
        hello(to_server, client, 0, TcpFlags::SYN),
        hello(to_server.reversed(), server, client, TcpFlags::SYN | TcpFlags::ACK),
    ];
    whole.extend_from_slice(packets);
    real(&whole)
}
