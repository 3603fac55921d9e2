//! What the flow stage may hold and how long it waits. All times are the capture's, in nanoseconds.

/// Bounds of a `FlowTable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows at most, those that linger after their end included.
    pub flows: usize,
    /// Out-of-order bytes of one flow, with what it costs to keep them.
    pub held_per_flow: usize,
    /// The same for all flows together.
    pub held: usize,
    /// A TCP flow without packets for so long is over.
    pub idle_nanos: u64,
    /// The same for datagrams.
    pub datagrams_idle_nanos: u64,
    /// A flow lingers for so long after both directions ended, to absorb what is retransmitted.
    pub closed_nanos: u64,
    /// Missing bytes that nobody acknowledged are waited for so long.
    pub gap_nanos: u64,
    /// Missing bytes that the receiver acknowledged are waited for so long, or for `reorder_packets` packets.
    pub reorder_nanos: u64,
    pub reorder_packets: u32,
}

const SECOND: u64 = 1_000_000_000;

/// Twice the ephemeral ports of one address: more than a busy node has open, and some 50 MB at the very most.
const FLOWS: usize = 65_536;
/// A receive window as most connections have it grown to.
const HELD_PER_FLOW: usize = 1 << 20;
/// Sixteen such flows at once. Loss on a live node is short-lived, and the agent's whole allowance is 40 MB.
const HELD: usize = 16 << 20;
/// Pools and long polls are silent for minutes; to end a flow early costs its dissector the thread of the conversation.
const IDLE: u64 = 600 * SECOND;
/// Longer than any resolver's retries. Each DNS question is a flow of its own, so they must not pile up.
const DATAGRAMS_IDLE: u64 = 30 * SECOND;
/// Beyond some retransmissions of a FIN (RFC 6298: 200 ms doubled each time on Linux: 0.2, 0.6, 1.4, 3.0 s).
const CLOSED: u64 = 5 * SECOND;
/// Beyond five retransmissions that were lost in the network, after which such a segment still comes (6.2 s).
const GAP: u64 = 10 * SECOND;
/// Several interfaces or queues written into one capture differ by less.
const REORDER: u64 = SECOND / 10;
/// Packets that a receive queue hands on at once are at most 64 (NAPI's budget), half of them the other direction's.
const REORDER_PACKETS: u32 = 32;

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: FLOWS,
            held_per_flow: HELD_PER_FLOW,
            held: HELD,
            idle_nanos: IDLE,
            datagrams_idle_nanos: DATAGRAMS_IDLE,
            closed_nanos: CLOSED,
            gap_nanos: GAP,
            reorder_nanos: REORDER,
            reorder_packets: REORDER_PACKETS,
        }
    }
}
