//! From packets to ordered streams: the flow table, its limits and expiry, and TCP reassembly by Linux's rules.
//! Pure: no clock, no I/O, no tokio. Time is that of the packets and of the caller's `expire`.

use crate::{
    capture::{CaptureSource, JoinKey, Packet, Transport, Tuple},
    coverage::{Counters, Reason},
    time::Time,
};

/// Which way bytes go. The client is who sent the SYN; without one, who is guessed to be (see `Flow::guessed`).
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
    Gap { bytes: u64, reason: Reason, time: Time },
    /// Bytes that policy left out (`Reason::BodyRate`), of known extent.
    Skip { bytes: u64, reason: Reason, time: Time },
    /// Nothing more will come in this direction.
    End { how: Ending, time: Time },
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
    /// No SYN was seen: the connection is older than the capture, and who is the client is a guess.
    pub mid_stream: bool,
    pub cgroup: u64,
    pub started: Time,
    pub last: Time,
    pub packets: u64,
    /// Payload bytes by direction (`Direction as usize`), unique ones.
    pub bytes: [u64; 2],
    /// What the next stage keeps for this flow.
    pub state: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol4 {
    Tcp,
    Udp,
}
