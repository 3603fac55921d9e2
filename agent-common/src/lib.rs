#![no_std]
//! The contract between the kernel side and user space: event layout, settings, map names. No logic but the
//! one decoder, which validates what arrives instead of trusting it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Names of the maps and globals in the object.
pub mod names {
    /// Ring of `Event`s, each followed by packet bytes.
    pub const RING: &str = "RING";
    /// Per-CPU `u64` for each `Count`.
    pub const COUNTS: &str = "COUNTS";
    /// `SocketState` by socket: kernel-only but for the mark on the agent's own listener.
    pub const SOCKETS: &str = "SOCKETS";
    /// `LostKey` → `Lost`: what the ring had no room for.
    pub const LOST: &str = "LOST";
    /// `Settings`, read-only.
    pub const SETTINGS: &str = "SETTINGS";
}

/// Fixed at load time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Payload bytes copied at most of each turn of a TCP connection: what one side sends before the other speaks.
    pub turn_budget: u32,
    /// Bytes beyond the turns' heads copied in each `ALLOWANCE_WINDOW` on the node; 0: heads only.
    pub allowance: u32,
    /// Bytes waiting in the ring from which the reader is woken at once.
    pub wake_at: u32,
    /// The agent's process: its connections are its own.
    pub agent: u32,
}

/// The front of a turn that is always copied: the heads of nearly all requests and answers.
pub const TURN_HEAD: u32 = 4096;
/// Nanoseconds for which an allowance is given: short, so that a burst early in a second doesn't starve the rest of it.
pub const ALLOWANCE_WINDOW: u64 = 100_000_000;
/// The ring of one shard. A 4 MiB ring lost 40 % at 50,000 requests a second, 32 MiB 0.5 %.
pub const RING_BYTES: u32 = 32 << 20;

/// What the kernel side counts, per CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Count {
    Events = 0,
    RingFull = 1,
    /// Not IP, or headers or bytes that could not be read.
    Unreadable = 2,
    Twins = 3,
    Own = 4,
    /// A packet that was lost could not even be noted in `LOST`.
    LostUnnoted = 5,
}

impl Count {
    pub const LEN: u32 = 6;
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u8)]
pub enum EventKind {
    /// A packet's bytes follow, from its IP header on.
    Packet = 1,
    /// The socket turned out to be the peer of one of the agent's own: forget it. No bytes follow.
    Own = 2,
}

/// Why fewer bytes follow than the packet had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u8)]
pub enum Cut {
    /// Nothing was cut.
    Whole = 0,
    /// The turn's budget was used up.
    Budget = 1,
    /// The node's allowance for bodies was used up, or is 0, or the ring is nearly full.
    BodyRate = 2,
    /// The ring had room for the headers only.
    RingFull = 3,
}

/// Bits of `Event::flags`.
pub mod flags {
    /// Sent by the socket; else received by it.
    pub const EGRESS: u8 = 1;
    /// `local` and `remote` are the socket's own addresses.
    pub const OWN_ADDRESSES: u8 = 2;
    /// They are IPv6.
    pub const IPV6: u8 = 4;
    /// `client_isn` and `server_isn` are known.
    pub const JOIN: u8 = 8;
    /// The peer's socket is on this node: what it sends is captured there.
    pub const TWIN: u8 = 16;
    pub const ALL: u8 = 31;
}

/// One event in the ring; packet bytes follow it.
#[repr(C)]
#[derive(Clone, Copy, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Event {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time: u64,
    /// The listener's while the connection is being made.
    pub cookie: u64,
    pub cgroup: u64,
    /// The socket's own addresses in network byte order, IPv4 in the first four bytes.
    pub local: [u8; 16],
    pub remote: [u8; 16],
    pub local_port: u16,
    pub remote_port: u16,
    pub client_isn: u32,
    pub server_isn: u32,
    pub interface: u32,
    /// Bytes of the packet from its IP header on.
    pub packet_len: u32,
    /// Bytes of it that follow.
    pub copied: u32,
    pub kind: EventKind,
    pub flags: u8,
    pub cut: Cut,
    pub reserved: u8,
    pub padding: u32,
}

/// Size of `Event`.
pub const EVENT_LEN: usize = 88;
const _: () = assert!(core::mem::size_of::<Event>() == EVENT_LEN);

impl Event {
    /// An event and the packet bytes behind it; `None` when they cannot be what the kernel side writes.
    pub fn decode(sample: &[u8]) -> Option<(&Self, &[u8])> {
        let (event, rest) = Self::try_ref_from_prefix(sample).ok()?;
        let packet = rest.get(..event.copied as usize)?;
        let sound = event.copied <= event.packet_len
            && event.flags & !flags::ALL == 0
            && (event.cut == Cut::Whole) == (event.copied == event.packet_len);
        sound.then_some((event, packet))
    }
}

/// Kept by the kernel for each TCP socket that speaks.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketState {
    pub client_isn: u32,
    pub server_isn: u32,
    /// Payload bytes of the current turn so far.
    pub turn_bytes: u32,
    /// Bits of `socket`.
    pub flags: u32,
    /// 1: the first payload that it received, and that it sent, was looked at. Bytes of their own, and not bits: both
    /// directions write at a time.
    pub looked_at: [u8; 2],
    /// 1: it carries HTTP/2 or Kafka, where both sides send when they like: there are no turns to bound.
    pub streams: u8,
    pub padding: u8,
}

/// Bits of `SocketState::flags`.
pub mod socket {
    /// One end is the agent's own: nothing is captured.
    pub const OWN: u32 = 1;
    /// The handshake was looked up, found or not.
    pub const CHECKED: u32 = 2;
    pub const JOIN: u32 = 4;
    pub const TWIN: u32 = 8;
    /// The current turn is this socket's.
    pub const TURN_EGRESS: u32 = 16;
}

/// A direction of a view.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LostKey {
    pub cookie: u64,
    pub egress: u64,
}

/// What the ring had no room for in one direction of a view, since user space last asked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Lost {
    pub packets: u64,
    /// Payload bytes, retransmitted ones too.
    pub bytes: u64,
    /// Sequence number after the last one lost.
    pub end: u32,
    pub padding: u32,
}
