//! Classic pcap: a 24-byte header, then packets, each behind a 16-byte header of its own (draft-ietf-opsawg-pcap).
//! Both byte orders, microseconds and nanoseconds, and the older versions that swapped the two lengths.

use super::{Frame, LinkType, MAX_FRAME, Order, Step};
use crate::time::Time;

pub(super) const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// The format that Alexey Kuznetsov's libpcap patch wrote has 8 more bytes before each packet.
const PATCHED_RECORD_HEADER: usize = 24;

const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
const MAGIC_PATCHED: u32 = 0xa1b2_cd34;

/// The link type shares its field with FCS details in the upper bits (libpcap: LT_LINKTYPE).
const LINK_TYPE_BITS: u32 = 0x03ff_ffff;

#[derive(Debug)]
pub(super) struct Classic {
    order: Order,
    nanos_per_tick: u64,
    record_header: usize,
    /// Before 2.3 the lengths were swapped, and in 2.3 by some writers (libpcap: sf-pcap.c).
    maybe_swapped: bool,
    link: LinkType,
}

impl Classic {
    pub(super) fn recognises(front: &[u8]) -> bool {
        magic(front).is_some()
    }

    /// Reads the file's header, which must be there whole.
    pub(super) fn new(header: &[u8; FILE_HEADER]) -> Result<Self, &'static str> {
        let (order, magic) = magic(header).ok_or("no pcap header")?;
        let (Some(major), Some(minor), Some(link)) =
            (order.u16(header, 4), order.u16(header, 6), order.u32(header, 20))
        else {
            return Err("no pcap header");
        };
        if major != 2 {
            return Err("only version 2 of pcap is known");
        }
        Ok(Self {
            order,
            nanos_per_tick: if magic == MAGIC_NANOS { 1 } else { 1000 },
            record_header: if magic == MAGIC_PATCHED { PATCHED_RECORD_HEADER } else { RECORD_HEADER },
            maybe_swapped: minor <= 3,
            link: LinkType(link & LINK_TYPE_BITS),
        })
    }

    #[inline]
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<Step, &'static str> {
        let Some(header) = bytes.first_chunk::<RECORD_HEADER>() else {
            return Ok(Step::More(self.record_header));
        };
        let field = |at: usize| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            match self.order {
                Order::Big => u32::from_be_bytes(bytes),
                Order::Little => u32::from_le_bytes(bytes),
            }
        };
        let (mut len, mut wire_len) = (field(8), field(12));
        if self.maybe_swapped && len > wire_len {
            (len, wire_len) = (wire_len, len);
        }
        if len as usize > MAX_FRAME {
            return Err("a packet's length cannot be true");
        }
        let used = self.record_header + len as usize;
        if bytes.len() < used {
            return Ok(Step::More(used));
        }
        let time = u64::from(field(0)) * 1_000_000_000 + u64::from(field(4)) * self.nanos_per_tick;
        let start = self.record_header as u32;
        let frame = Frame { time: Time(time), link: self.link, start, len, wire_len: wire_len.max(len) };
        Ok(Step::Frame { frame, used })
    }
}

fn magic(front: &[u8]) -> Option<(Order, u32)> {
    [Order::Little, Order::Big].into_iter().find_map(|order| {
        let magic = order.u32(front, 0)?;
        matches!(magic, MAGIC_MICROS | MAGIC_NANOS | MAGIC_PATCHED).then_some((order, magic))
    })
}
