//! pcapng: blocks of type, length, body, length again (draft-ietf-opsawg-pcapng). Sections of either byte order,
//! several interfaces with their own link types and clocks; packets in enhanced, simple and the obsolete packet blocks.
//! Other blocks (names, statistics, secrets, custom ones) are skipped unread, whatever their length. The second length
//! is not compared: the next block's header tells a broken file as well.

use super::{Frame, LinkType, MAX_FRAME, Order, Step};
use crate::time::Time;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Type, length, byte-order magic, major and minor version.
const SECTION_FRONT: usize = 16;
/// Type and length.
const BLOCK_FRONT: usize = 8;
/// Type, two lengths: the smallest block.
const BLOCK_MIN: u32 = 12;
/// Before the packet's bytes in an enhanced and in an obsolete packet block.
const PACKET_FRONT: usize = 28;
/// Before the packet's bytes in a simple packet block.
const SIMPLE_FRONT: usize = 12;
/// Before the options of an interface.
const INTERFACE_FRONT: usize = 16;
/// An interface's options are names and short texts: more is a hostile file.
const MAX_INTERFACE_BLOCK: u32 = 256 * 1024;
/// Interfaces of one section that are believed; the obsolete packet block numbers no more either.
const MAX_INTERFACES: usize = 65_536;

const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

#[derive(Debug)]
pub(super) struct Ng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Simple packets carry no time: they get that of the packet before.
    last: Time,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    ticks: Ticks,
    /// Seconds to add to each time.
    offset: i64,
}

/// Length of a clock tick, by `if_tsresol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ticks {
    /// So many nanoseconds each.
    Nanos(u64),
    /// So many ticks a nanosecond.
    PerNano(u64),
    /// 2^-n seconds each.
    Binary(u8),
}

impl Ticks {
    /// draft-ietf-opsawg-pcapng, section 4.2: a negative power of 10, or of 2 when the top bit is set.
    fn from_option(value: u8) -> Self {
        match value {
            0..=9 => Self::Nanos(10u64.pow(u32::from(9 - value))),
            10..=127 => Self::PerNano(10u64.checked_pow(u32::from(value - 9)).unwrap_or(u64::MAX)),
            128.. => Self::Binary(value & 0x7f),
        }
    }

    fn nanos(self, ticks: u64) -> u64 {
        match self {
            Self::Nanos(each) => ticks.saturating_mul(each),
            Self::PerNano(count) => ticks / count,
            Self::Binary(shift) => u64::try_from((u128::from(ticks) * 1_000_000_000) >> shift).unwrap_or(u64::MAX),
        }
    }
}

impl Interface {
    fn time(&self, high: u32, low: u32) -> Time {
        let nanos = self.ticks.nanos(u64::from(high) << 32 | u64::from(low));
        let offset = self.offset.unsigned_abs().saturating_mul(1_000_000_000);
        Time(if self.offset < 0 { nanos.saturating_sub(offset) } else { nanos.saturating_add(offset) })
    }
}

impl Ng {
    pub(super) fn recognises(front: &[u8]) -> bool {
        Order::Big.u32(front, 0) == Some(SECTION)
    }

    /// A reader at the first section's header.
    pub(super) fn new() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), last: Time(0) }
    }

    #[inline]
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<Step, &'static str> {
        let (Some(kind), Some(mut len)) = (self.order.u32(bytes, 0), self.order.u32(bytes, 4)) else {
            return Ok(Step::More(BLOCK_FRONT));
        };
        // The section's type reads the same in both orders, its length only once the order is known.
        if kind == SECTION {
            let Some(front) = bytes.first_chunk::<SECTION_FRONT>() else {
                return Ok(Step::More(SECTION_FRONT));
            };
            len = self.section(front)?;
        }
        if len < BLOCK_MIN || len % 4 != 0 {
            return Err("a block's length cannot be true");
        }
        match kind {
            INTERFACE => self.interface(bytes, len),
            ENHANCED_PACKET | OBSOLETE_PACKET => self.packet(bytes, len, kind),
            SIMPLE_PACKET => self.simple_packet(bytes, len),
            _ => Ok(Step::Skip(u64::from(len))),
        }
    }

    /// Section 4.1: everything that was said before is forgotten. The block's length.
    fn section(&mut self, front: &[u8; SECTION_FRONT]) -> Result<u32, &'static str> {
        self.order = if Order::Little.u32(front, 8) == Some(BYTE_ORDER_MAGIC) {
            Order::Little
        } else if Order::Big.u32(front, 8) == Some(BYTE_ORDER_MAGIC) {
            Order::Big
        } else {
            return Err("a section without a byte order");
        };
        // Version 1.2 was written by mistake and means 1.0; a reader takes any minor version of 1.
        if self.order.u16(front, 12) != Some(1) {
            return Err("only version 1 of pcapng is known");
        }
        self.interfaces.clear();
        self.order.u32(front, 4).ok_or("a section without a length")
    }

    fn interface(&mut self, bytes: &[u8], len: u32) -> Result<Step, &'static str> {
        if len > MAX_INTERFACE_BLOCK || self.interfaces.len() >= MAX_INTERFACES {
            return Err("too much about interfaces");
        }
        let Some(block) = bytes.get(..len as usize) else {
            return Ok(Step::More(len as usize));
        };
        let (Some(link), Some(snaplen)) = (self.order.u16(block, 8), self.order.u32(block, 12)) else {
            return Err("an interface block that is too short");
        };
        let mut interface =
            Interface { link: LinkType(u32::from(link)), snaplen, ticks: Ticks::Nanos(1000), offset: 0 };
        let mut options = block.get(INTERFACE_FRONT..block.len() - 4).unwrap_or_default();
        while let (Some(code), Some(size)) = (self.order.u16(options, 0), self.order.u16(options, 2)) {
            let (value, padded) = (options.get(4..4 + usize::from(size)), 4 + usize::from(size).next_multiple_of(4));
            let Some(value) = value else { break };
            match (code, value) {
                (OPTION_END, _) => break,
                (OPTION_TSRESOL, &[resolution]) => interface.ticks = Ticks::from_option(resolution),
                (OPTION_TSOFFSET, value) => {
                    if let Some(&bytes) = value.first_chunk::<8>() {
                        interface.offset = match self.order {
                            Order::Big => i64::from_be_bytes(bytes),
                            Order::Little => i64::from_le_bytes(bytes),
                        };
                    }
                }
                _ => {}
            }
            options = options.get(padded..).unwrap_or_default();
        }
        self.interfaces.push(interface);
        Ok(Step::Skip(u64::from(len)))
    }

    fn packet(&mut self, bytes: &[u8], len: u32, kind: u32) -> Result<Step, &'static str> {
        let Some(front) = bytes.first_chunk::<PACKET_FRONT>() else {
            return Ok(Step::More(PACKET_FRONT));
        };
        let field = |at: usize| {
            let bytes = [front[at], front[at + 1], front[at + 2], front[at + 3]];
            match self.order {
                Order::Big => u32::from_be_bytes(bytes),
                Order::Little => u32::from_le_bytes(bytes),
            }
        };
        let interface = match kind {
            ENHANCED_PACKET => field(8),
            // Appendix: interface and drop count, 16 bits each.
            _ => self.order.u16(front, 8).map_or(u32::MAX, u32::from),
        };
        let Some(interface) = self.interfaces.get(interface as usize) else {
            return Err("a packet of an interface that was not described");
        };
        let time = interface.time(field(12), field(16));
        let link = interface.link;
        self.last = time;
        frame(bytes, len, PACKET_FRONT, Frame { time, link, start: 0, len: field(20), wire_len: field(24) })
    }

    /// Section 4.4: of the first interface; the captured length is what the snap length left.
    fn simple_packet(&mut self, bytes: &[u8], len: u32) -> Result<Step, &'static str> {
        let Some(wire_len) = self.order.u32(bytes, 8) else {
            return Ok(Step::More(SIMPLE_FRONT));
        };
        let Some(&Interface { link, snaplen, .. }) = self.interfaces.first() else {
            return Err("a packet of an interface that was not described");
        };
        let room = len.saturating_sub(SIMPLE_FRONT as u32 + 4);
        let captured = wire_len.min(room).min(if snaplen == 0 { u32::MAX } else { snaplen });
        frame(bytes, len, SIMPLE_FRONT, Frame { time: self.last, link, start: 0, len: captured, wire_len })
    }
}

/// The packet at `front` in its block of `len` bytes. Options behind it are not read, but belong to the block.
fn frame(bytes: &[u8], len: u32, front: usize, frame: Frame) -> Result<Step, &'static str> {
    let end = front + frame.len as usize;
    if frame.len as usize > MAX_FRAME || end + 4 > len as usize {
        return Err("a packet's length cannot be true");
    }
    // Options may be large and are skipped unread, so only the packet must be at hand: they are part of what is used.
    if bytes.len() < end {
        return Ok(Step::More(end));
    }
    let frame = Frame { start: front as u32, wire_len: frame.wire_len.max(frame.len), ..frame };
    Ok(Step::Frame { frame, used: len as usize })
}
