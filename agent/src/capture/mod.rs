//! What every source yields: one packet of one view, borrowed from where the source keeps it, so that in-order bytes
//! are read where they lie. Sources: the kernel's ring (`ring`) and capture files (`pcap`).

pub mod headers;
pub mod pcap;
pub mod ring;

use std::net::SocketAddr;

use crate::{coverage::Reason, time::Time};

/// Where a record's bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureSource {
    Ebpf,
    Pcap,
}

impl CaptureSource {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Pcap => "pcap",
        }
    }
}

/// Sender and receiver of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    pub src: SocketAddr,
    pub dst: SocketAddr,
}

impl Tuple {
    pub fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src }
    }
}

/// Client and server initial sequence numbers: the same at both ends of a connection, also through NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JoinKey {
    pub client: u32,
    pub server: u32,
}

/// The socket at which the kernel saw a packet. Absent for capture files, whose packets are known by their tuple alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub cookie: u64,
    /// The packet was sent by this socket; else it was received.
    pub egress: bool,
    /// The socket's own addresses in the packet's direction: with NAT they differ from the header's. Absent while the
    /// connection belongs to a listening socket, whose cookie says nothing about it either.
    pub own: Option<Tuple>,
    /// Known to the kernel from the handshake.
    pub join: Option<JoinKey>,
    /// The peer's socket is on this node and its sent bytes are captured there: nothing is copied at ingress here.
    pub twin: bool,
    pub cgroup: u64,
    pub interface: u32,
}

/// Flags of a TCP header, as they stand in its 14th byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;

    pub fn fin(self) -> bool {
        self.0 & Self::FIN != 0
    }
    pub fn syn(self) -> bool {
        self.0 & Self::SYN != 0
    }
    pub fn rst(self) -> bool {
        self.0 & Self::RST != 0
    }
    pub fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    pub seq: u32,
    pub ack: u32,
    pub flags: TcpFlags,
    /// As in the header: not scaled.
    pub window: u16,
    /// The shift of the window scale option (RFC 7323), on SYN and SYN-ACK only.
    pub window_scale: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp(TcpHeader),
    Udp,
}

/// One packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub time: Time,
    pub source: CaptureSource,
    /// The packet's ordinal in its source, from 1. A flow is named after its first packet, so that names do not depend
    /// on the number of threads.
    pub number: u64,
    pub view: Option<View>,
    /// The addresses in the packet's own header.
    pub header: Tuple,
    pub transport: Transport,
    /// The front of the payload, as far as it was copied.
    pub payload: &'a [u8],
    /// Payload bytes on the wire, never less than `payload.len()`.
    pub wire_len: u32,
    /// Why `payload` is shorter than `wire_len`.
    pub cut: Option<Reason>,
}
