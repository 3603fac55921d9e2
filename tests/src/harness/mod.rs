//! What every protocol gets for free, over every capture of its corpus, one connection at a time:
//!
//! - `cuts`: however the bytes fall into segments, the records are the same.
//! - `loss`: whichever segment is missing, no value is wrong, and what is missing is told.
//! - `late`: wherever the capture begins, no value is wrong.
//! - `probes`: no protocol takes another's bytes for its own.
//!
//! Nothing here knows HTTP. The byte path under test is a function from packets to records, so that `plants` can put
//! mistakes into it, which must be found.

pub mod compare;
pub mod cuts;
pub mod late;
pub mod loss;
pub mod plants;
pub mod probes;
mod work;

use std::{collections::HashMap, path::Path};

use tapwire::capture::{Transport, Tuple};

use crate::corpus::{self, Owned};

/// What was tried, and what was wrong.
#[derive(Debug, Default)]
pub struct Report {
    pub connections: usize,
    /// Runs of the byte path.
    pub tried: usize,
    /// Records held against what they should be.
    pub compared: usize,
    /// What was found wrong, with capture and place.
    pub wrong: Vec<String>,
}

/// Findings that are kept: the first ones tell enough.
const WRONG_KEPT: usize = 50;

impl Report {
    pub fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.tried += other.tried;
        self.compared += other.compared;
        self.wrong.extend(other.wrong);
        self.wrong.truncate(WRONG_KEPT);
    }

    /// Prints the numbers and panics with what was wrong.
    pub fn settle(self, what: &str) {
        let Self { connections, tried, compared, wrong } = self;
        println!("{what}: {tried} tried on {connections} connections, {compared} records compared");
        assert!(wrong.is_empty(), "{what}: {} wrong, among them:\n{}", wrong.len(), wrong.join("\n"));
        assert!(tried > 0 && compared > 0, "{what}: nothing was tried");
    }
}

/// The TCP packets of one connection, by its addresses.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The capture and the first packet.
    pub name: String,
    pub packets: Vec<Owned>,
}

/// The connections of a capture that carry data. Addresses that are used again belong to one of them.
pub fn connections(path: &Path) -> Vec<Connection> {
    let packets = corpus::packets(path).unwrap_or_else(|error| panic!("{} {error}", corpus::name(path)));
    let mut found: Vec<Connection> = Vec::new();
    let mut places: HashMap<Tuple, usize> = HashMap::new();
    for packet in packets {
        if packet.transport == Transport::Udp {
            continue;
        }
        let known = places.get(&packet.header).or_else(|| places.get(&packet.header.reversed())).copied();
        let place = known.unwrap_or_else(|| {
            let name = format!("{} from packet {}", corpus::name(path), packet.number);
            found.push(Connection { name, packets: Vec::new() });
            places.insert(packet.header, found.len() - 1);
            found.len() - 1
        });
        found[place].packets.push(packet);
    }
    found.retain(|connection| connection.packets.iter().any(|packet| packet.wire_len > 0));
    found
}

/// The connections of all captures of some folders.
pub fn connections_of(folders: &[&str]) -> Vec<Connection> {
    folders.iter().flat_map(|folder| corpus::captures(folder)).flat_map(|path| connections(&path)).collect()
}
