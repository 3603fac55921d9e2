//! Packets that were lately seen as they were sent, to know them again where they are received: the way to find that
//! two sockets are the ends of one connection when its handshake was not seen.

use std::collections::VecDeque;

use super::{
    Direction,
    hash::{Map, Seeded},
};
use crate::capture::{Packet, TcpHeader, Tuple};

/// A packet is received microseconds after it was sent: many more connections than can be searched for at once.
const REMEMBERED: usize = 4096;

/// What a packet's way through this node leaves alone, whatever NAT does to its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Signature {
    seq: u32,
    ack: u32,
    len: u32,
    flags: u8,
}

impl Signature {
    pub(super) fn new(tcp: &TcpHeader, packet: &Packet<'_>) -> Self {
        Self { seq: tcp.seq, ack: tcp.ack, len: packet.wire_len, flags: tcp.flags.0 }
    }
}

/// Of which flow the packet was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) slot: u32,
    pub(super) serial: u64,
    pub(super) direction: Direction,
    pub(super) header: Tuple,
}

#[derive(Debug)]
pub(super) struct Recent {
    packets: Map<Signature, Sent>,
    order: VecDeque<Signature>,
}

impl Recent {
    pub(super) fn new(hash: &Seeded) -> Self {
        Self { packets: Map::with_hasher(hash.clone()), order: VecDeque::new() }
    }

    pub(super) fn insert(&mut self, signature: Signature, sent: Sent) {
        if self.packets.insert(signature, sent).is_none() {
            self.order.push_back(signature);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.packets.remove(&oldest);
        }
    }

    /// The packet as it was sent. NAT may have changed one of its ends since, so the other must be the same, or both
    /// ports: equal numbers alone may be chance, or a peer's choice.
    pub(super) fn find(&self, signature: &Signature, header: &Tuple) -> Option<Sent> {
        self.packets.get(signature).filter(|sent| agree(&sent.header, header)).copied()
    }
}

/// Two tuples of one direction may be the same connection's on either side of a NAT.
pub(super) fn agree(one: &Tuple, two: &Tuple) -> bool {
    let ports = one.src.port() == two.src.port() && one.dst.port() == two.dst.port();
    one.src == two.src || one.dst == two.dst || ports
}
