//! Loses each segment in turn. Records may be missing and incomplete, when that is told; no value may be wrong.

use tapwire::{capture::Transport, coverage::Counters};

use super::{Connection, Report, compare, work};
use crate::{corpus::Owned, pipeline::Pipeline};

/// Loses each packet with data of the connections.
pub fn check(connections: &[Connection], pipeline: &Pipeline<'_>) -> Report {
    work::each(connections, |connection| one(connection, pipeline))
}

fn one(connection: &Connection, pipeline: &Pipeline<'_>) -> Report {
    let packets = &connection.packets;
    let expected = pipeline(packets);
    let values = expected.values();
    let mut report = Report { connections: 1, ..Report::default() };
    for (at, lost) in packets.iter().enumerate().filter(|(_, packet)| packet.wire_len > 0) {
        let rest = [&packets[..at], &packets[at + 1..]].concat();
        let found = pipeline(&rest);
        report.tried += 1;
        let place = format!("{}, packet {} lost", connection.name, lost.number);
        let copied = copied(packets, at);
        let times = if copied { compare::Times::OfACopy } else { compare::Times::Exact };
        let matched = compare::all(&found.values(), &values, times, &place, &mut report);
        // Behind what is kept of a body nobody needs the bytes: they count as skipped.
        let missing = |counters: &Counters| counters.lost.total() + counters.skipped.total();
        let told = missing(&found.counters) > missing(&expected.counters);
        if !told && !copied && shows(packets, at) {
            let what = if values.len() > matched.exact { "and a record shows it" } else { "though no record shows it" };
            report.wrong.push(format!("{place}: {} bytes are not counted as lost, {what}", lost.wire_len));
        }
    }
    report
}

/// Whether the rest of the capture shows that the bytes of a packet passed: by the number of a later byte or the end of
/// its direction with something before it, or by an acknowledgement.
fn shows(packets: &[Owned], at: usize) -> bool {
    let lost = &packets[at];
    let Transport::Tcp(tcp) = lost.transport else { return false };
    let first = tcp.seq.wrapping_add(u32::from(tcp.flags.syn()));
    let end = first.wrapping_add(lost.wire_len);
    // Resets make a connection that no simple rule is right about.
    let plain = |other: &Owned| matches!(other.transport, Transport::Tcp(tcp) if !tcp.flags.rst());
    if !packets.iter().all(plain) || tcp.flags.syn() || tcp.flags.fin() {
        return false;
    }
    let begun = packets[..at].iter().any(|other| {
        matches!(other.transport, Transport::Tcp(tcp) if other.header == lost.header && (tcp.flags.syn() || other.wire_len > 0))
    });
    let gone_on = packets[at + 1..].iter().any(|other| match other.transport {
        Transport::Tcp(tcp) if other.header == lost.header => {
            (other.wire_len > 0 || tcp.flags.fin()) && !before(tcp.seq, end)
        }
        // One number more than was sent is a FIN.
        Transport::Tcp(tcp) => tcp.flags.ack() && tcp.ack == end && lost.wire_len > 1,
        Transport::Udp => false,
    });
    begun && gone_on
}

/// Whether another packet carries bytes of this one.
fn copied(packets: &[Owned], at: usize) -> bool {
    let extent = |packet: &Owned| {
        let Transport::Tcp(tcp) = packet.transport else { return None };
        let first = tcp.seq.wrapping_add(u32::from(tcp.flags.syn()));
        Some((first, first.wrapping_add(packet.wire_len)))
    };
    let Some((first, end)) = extent(&packets[at]) else { return false };
    packets.iter().enumerate().any(|(other_at, other)| {
        other_at != at
            && other.header == packets[at].header
            && other.wire_len > 0
            && extent(other).is_some_and(|(from, to)| before(from, end) && before(first, to))
    })
}

/// RFC 9293, section 3.4: numbers wrap around.
fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}
