//! No probe takes another protocol's bytes for its own: neither at the beginning of a connection nor at the beginning of
//! a turn, in neither role, however few of the bytes are there.

use tapwire::dissect::{Direction, Match, Protocol};

use super::{Connection, Report};

/// Lengths up to here are all tried: longer fronts only tell more of the same.
const FRONTS: usize = 128;

/// Asks a protocol about connections that are not its own.
pub fn check(protocol: &Protocol, others: &[Connection]) -> Report {
    let mut report = Report { connections: others.len(), ..Report::default() };
    for connection in others {
        let mut sender = None;
        for packet in connection.packets.iter().filter(|packet| !packet.payload.is_empty()) {
            if sender.replace(packet.header) == Some(packet.header) {
                continue;
            }
            let bytes = &packet.payload;
            report.compared += 1;
            let lengths = (1..bytes.len().min(FRONTS)).chain([bytes.len()]);
            let taken = lengths.flat_map(|len| Direction::BOTH.map(|role| (len, role))).find(|&(len, role)| {
                report.tried += 1;
                (protocol.probe)(role, &bytes[..len]) == Match::Yes
            });
            if let Some((len, _)) = taken {
                let name = protocol.name;
                report.wrong.push(format!("{}, packet {}: {name} by {len} bytes", connection.name, packet.number));
            }
        }
    }
    report
}
