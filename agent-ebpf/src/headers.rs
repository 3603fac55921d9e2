//! Where a packet's parts are. Only offsets and the few fields that decide something here: user space reads the rest
//! from the copied headers.

use aya_ebpf::programs::SkBuffContext;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// IPv6 extension headers followed before giving up: hop-by-hop, routing, destination options twice.
const MAX_EXTENSIONS: usize = 4;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION: u8 = 60;

pub struct Ip {
    pub v6: bool,
    pub protocol: u8,
    /// Offset of what follows.
    pub next: u32,
}

/// `None`: not IP, a fragment without the transport header, or cut.
#[inline(always)]
pub fn ip(ctx: &SkBuffContext) -> Option<Ip> {
    let first: u8 = ctx.load(0).ok()?;
    if first >> 4 == 4 {
        let fragment = u16::from_be(ctx.load::<u16>(6).ok()?);
        // A later fragment has no transport header (RFC 791: 13 bits of offset).
        if fragment & 0x1fff != 0 {
            return None;
        }
        return Some(Ip { v6: false, protocol: ctx.load(9).ok()?, next: u32::from(first & 15) * 4 });
    }
    if first >> 4 != 6 {
        return None;
    }
    let mut protocol: u8 = ctx.load(6).ok()?;
    let mut next = 40u32;
    for _ in 0..MAX_EXTENSIONS {
        if protocol != HOP_BY_HOP && protocol != ROUTING && protocol != DESTINATION {
            break;
        }
        let head: [u8; 2] = ctx.load(next as usize).ok()?;
        protocol = head[0];
        next += (u32::from(head[1]) + 1) * 8;
    }
    Some(Ip { v6: true, protocol, next })
}

pub struct Tcp {
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    /// Offset of the payload.
    pub payload: u32,
}

impl Tcp {
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const ACK: u8 = 16;
}

#[inline(always)]
pub fn tcp(ctx: &SkBuffContext, at: u32) -> Option<Tcp> {
    let head: [u8; 16] = ctx.load(at as usize).ok()?;
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    Some(Tcp { seq: word(4), ack: word(8), flags: head[13], payload: at + u32::from(head[12] >> 4) * 4 })
}
