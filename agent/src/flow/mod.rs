//! From packets to ordered streams: the flow table, its limits and expiry, and TCP reassembly by Linux's rules.
//! Pure: no clock, no I/O, no tokio. Time is that of the packets and of the caller's `expire`.
//!
//! - `table` is the door: a packet in, pieces out; flows begin and end there, and every limit is kept there.
//! - `identity` says whose a packet is: the connection's addresses in files, the socket (a view) on a live node.
//! - `tcp` puts one connection's segments in order; it knows nothing of tables.
//!
//! What is not done: fragments of IP datagrams are not put together (they reach no flow), and TCP checksums are not
//! looked at (offloading leaves them wrong in most captures).

mod address;
mod hash;
mod identity;
mod limits;
mod lists;
mod recent;
mod slot;
mod table;
mod tcp;
mod udp;
mod upkeep;
mod views;

#[cfg(test)]
mod tests;

pub use limits::Limits;
pub use table::{Dropped, FlowTable};

use crate::{
    capture::{CaptureSource, JoinKey, Tuple},
    coverage::Reason,
    time::Time,
};

/// Which way bytes go. The client is who sent the SYN; without one, who is guessed to be (see `Flow::mid_stream`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    ToServer,
    ToClient,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];

    pub fn other(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// What a stream yields, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The next bytes, at the time of the packet that carried them.
    Chunk { bytes: &'a [u8], time: Time },
    /// Bytes that passed and are missing. `dissect` says whether anybody needed them, and counts them then.
    Gap { bytes: u64, reason: Reason, time: Option<Time> },
    /// Bytes that policy left out (`Reason::BodyRate`), of known extent.
    Skip { bytes: u64, reason: Reason, time: Option<Time> },
    /// Nothing more will come in this direction.
    End { how: Ending, time: Time },
}

impl Piece<'_> {
    /// Payload bytes that the piece stands for.
    pub fn len(&self) -> u64 {
        match *self {
            Self::Chunk { bytes, .. } => bytes.len() as u64,
            Self::Gap { bytes, .. } | Self::Skip { bytes, .. } => bytes,
            Self::End { .. } => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Missing bytes: left out by policy, or lost. `time`: of the packet that carried the last of them, when it was seen.
    fn missing(bytes: u64, reason: Reason, time: Option<Time>) -> Self {
        match reason {
            Reason::BodyRate => Self::Skip { bytes, reason, time },
            _ => Self::Gap { bytes, reason, time },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Fin,
    Reset,
    /// Nothing came for `Limits::idle`, the capture ended, or the tuple was used again.
    Expired,
    /// Made room for other flows.
    Evicted,
}

/// What is known of a flow when it begins: enough to make the next stage's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub id: FlowId,
    pub source: CaptureSource,
    pub transport: Protocol4,
    /// As in `Flow`, as far as known by now.
    pub ends: Tuple,
    pub mid_stream: bool,
    pub time: Time,
}

/// Names a flow within one source: the number of its first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// Which ends of the connection were seen at their own socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Views {
    pub client: bool,
    pub server: bool,
}

/// One connection, or the datagrams between two addresses.
#[derive(Debug)]
pub struct Flow<T> {
    pub id: FlowId,
    pub source: CaptureSource,
    pub transport: Protocol4,
    /// Client → server. The endpoint that was reached: the server's own addresses where its view is held.
    pub ends: Tuple,
    /// What the client called, when that differs from `ends.dst`.
    pub dialed: Option<std::net::SocketAddr>,
    pub views: Views,
    pub join_key: Option<JoinKey>,
    /// No SYN was seen: the connection is older than the capture, and who is the client is a guess: the side that sends
    /// to the lower port. Each direction begins at the first byte that was seen; what arrives of earlier ones is old.
    pub mid_stream: bool,
    /// Of the client's socket where its view is held, else of the server's; 0 when there is none.
    pub cgroup: u64,
    pub started: Time,
    pub last: Time,
    pub packets: u64,
    /// Payload bytes by direction (`Direction as usize`): unique ones, missing ones too.
    pub bytes: [u64; 2],
    /// What the next stage keeps for this flow.
    pub state: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol4 {
    Tcp,
    Udp,
}
