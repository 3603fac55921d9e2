//! Cuts each stream: at every byte up to 16 KiB a direction and around each message's edges, then at seeded places; and
//! once everywhere, one byte a segment. The records must be the same, byte for byte. All packets get the same time, so
//! that a cut does not change the times of what is cut.

use std::collections::BTreeSet;

use tapwire::{
    capture::{Transport, Tuple},
    time::Time,
};

use super::{Connection, Report, work};
use crate::{corpus::Owned, pipeline::Pipeline};

/// Every byte of a direction is a place to cut, up to here.
const EVERY: usize = 16 << 10;
/// And so many bytes before and after a message's edge, where a segment begins after the other side's data.
const AROUND: usize = 64;
/// Beyond that, so many places a direction.
const SEEDED: usize = 500;
/// Any number will do, as long as it stays the same.
const SEED: u64 = 0x7461_7077_6972_6531;
const TIME: Time = Time(1_767_323_045_000_000_000);

/// Tries all cuts of the connections.
pub fn check(connections: &[Connection], pipeline: &Pipeline<'_>) -> Report {
    work::each(connections, |connection| one(connection, pipeline))
}

fn one(connection: &Connection, pipeline: &Pipeline<'_>) -> Report {
    let packets: Vec<Owned> = connection.packets.iter().map(|packet| Owned { time: TIME, ..packet.clone() }).collect();
    let expected = pipeline(&packets);
    let mut report = Report { connections: 1, ..Report::default() };
    let mut compare = |cut: &[Owned], place: &dyn Fn() -> String| {
        let mut found = pipeline(cut);
        // A cut makes one packet more. And a byte repeated on its own is a keep-alive probe, not a retransmission.
        found.counters.packets = expected.counters.packets;
        found.counters.retransmitted_bytes = expected.counters.retransmitted_bytes;
        report.tried += 1;
        report.compared += expected.records.len();
        if found == expected || report.wrong.len() > 3 {
            return;
        }
        let differs = found.records.iter().zip(&expected.records).find(|(found, expected)| found != expected);
        let shown = match differs {
            Some((found, expected)) => {
                format!("{}\n  instead of\n  {}", String::from_utf8_lossy(found), String::from_utf8_lossy(expected))
            }
            None if found.records.len() != expected.records.len() => {
                format!("{} records instead of {}", found.records.len(), expected.records.len())
            }
            None => format!("{:?}\n  instead of\n  {:?}", found.counters, expected.counters),
        };
        report.wrong.push(format!("{}, {}: {shown}", connection.name, place()));
    };
    for (at, packet) in packets.iter().enumerate() {
        for &place in &places(&packets, at) {
            let (front, back) = split(packet, place);
            let mut cut = packets[..at].to_vec();
            cut.extend([front, back]);
            cut.extend_from_slice(&packets[at + 1..]);
            compare(&cut, &|| format!("packet {} cut at {place}", packet.number));
        }
    }
    // How long a gap is waited for counts in packets too, so that many more of them may tell more.
    if expected.counters.lost.total() == 0 {
        compare(&bytewise(&packets), &|| "one byte a segment".to_owned());
    }
    report
}

/// Where the payload of a packet is cut: offsets inside it, neither its beginning nor its end.
fn places(packets: &[Owned], at: usize) -> BTreeSet<usize> {
    let packet = &packets[at];
    let len = packet.payload.len();
    if len < 2 {
        return BTreeSet::new();
    }
    let same = |other: &&Owned| other.header == packet.header;
    let before: usize = packets[..at].iter().filter(same).map(|other| other.payload.len()).sum();
    let mut places: BTreeSet<usize> = (1..len).take_while(|place| before + place <= EVERY).collect();
    // A message begins where a side speaks after the other one, and the one before it ends there.
    let turns = |header: Tuple, at: usize| {
        packets[..at].iter().rev().find(|other| !other.payload.is_empty()).is_none_or(|other| other.header != header)
    };
    let last = packets[at + 1..].iter().find(|other| !other.payload.is_empty());
    if turns(packet.header, at) {
        places.extend(1..len.min(AROUND));
    }
    if last.is_none_or(|other| other.header != packet.header) {
        places.extend(len.saturating_sub(AROUND).max(1)..len);
    }
    // The seeded places of the direction, shared out by length.
    let total: usize = packets.iter().filter(same).map(|other| other.payload.len()).sum();
    let share = (SEEDED * len).div_ceil(total.max(1));
    let mut random = SEED ^ packet.number;
    for _ in 0..share {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        places.insert(1 + (random >> 33) as usize % (len - 1));
    }
    places
}

/// One packet as two. What ends a connection stays with the second, what opens one with the first.
pub fn split(packet: &Owned, place: usize) -> (Owned, Owned) {
    let (mut front, mut back) = (packet.clone(), packet.clone());
    front.payload.truncate(place);
    front.wire_len = place as u32;
    front.cut = None;
    back.payload.drain(..place);
    back.wire_len -= place as u32;
    if let (Transport::Tcp(front), Transport::Tcp(back)) = (&mut front.transport, &mut back.transport) {
        use tapwire::capture::TcpFlags;
        front.flags.0 &= !(TcpFlags::FIN | TcpFlags::PSH | TcpFlags::RST);
        // A SYN takes a number of its own.
        back.seq = back.seq.wrapping_add(place as u32 + u32::from(back.flags.syn()));
        back.flags.0 &= !TcpFlags::SYN;
    }
    (front, back)
}

fn bytewise(packets: &[Owned]) -> Vec<Owned> {
    let mut all = Vec::new();
    for packet in packets {
        let mut rest = packet.clone();
        while rest.payload.len() > 1 {
            let (front, back) = split(&rest, 1);
            all.push(front);
            rest = back;
        }
        all.push(rest);
    }
    all
}
