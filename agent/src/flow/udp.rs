//! Datagrams: no order, no ends, no views. A flow is the datagrams between two addresses.
//!
//! On a node a datagram between two of its sockets passes twice, with the same header unless NAT changed it. So a
//! direction in which datagrams were seen as they were sent takes no received ones. The limits of this rule: a datagram
//! whose sending the kernel could not report is not counted though its receipt was, one that NAT changed between two
//! sockets of this node counts as two flows, and two pods that talk over the same addresses, each on its own loopback,
//! are one flow.

use super::{Direction, Flow, Piece};
use crate::{
    capture::Packet,
    coverage::{Counters, Reason},
};

/// Whether a datagram is news, not the receipt of one that was seen as it was sent.
pub(super) fn counts(packet: &Packet<'_>, direction: Direction, sent: &mut [bool; 2]) -> bool {
    let Some(view) = packet.view else { return true };
    sent[direction as usize] |= view.egress;
    view.egress || !sent[direction as usize]
}

pub(super) fn datagram<T>(
    flow: &mut Flow<T>,
    direction: Direction,
    packet: &Packet<'_>,
    missing: &mut u64,
    counters: &mut Counters,
    each: &mut impl FnMut(&mut Flow<T>, Direction, Piece<'_>, &mut Counters),
) {
    flow.bytes[direction as usize] += u64::from(packet.wire_len);
    if !packet.payload.is_empty() {
        each(flow, direction, Piece::Chunk { bytes: packet.payload, time: packet.time }, counters);
    }
    let cut = u64::from(packet.wire_len).saturating_sub(packet.payload.len() as u64);
    if cut > 0 {
        *missing += cut;
        let reason = packet.cut.unwrap_or(Reason::NotCaptured);
        each(flow, direction, Piece::missing(cut, reason, Some(packet.time)), counters);
    }
}
