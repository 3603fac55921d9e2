//! Link layers: where the IP packet begins in a captured frame. Numbers are those of tcpdump.org's list of link types.

use crate::capture::headers::Unreadable;

/// A link type as capture files number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback: address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    /// Raw IP, by the number that OpenBSD and others gave DLT_RAW, which ended up in files.
    pub const RAW_BSD: Self = Self(12);
    pub const RAW_OPENBSD: Self = Self(14);
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: address family in network byte order.
    pub const LOOP: Self = Self(108);
    pub const LINUX_SLL: Self = Self(113);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    pub const LINUX_SLL2: Self = Self(276);

    /// Whether packets of this type can be read at all.
    pub fn known(self) -> bool {
        matches!(
            self,
            Self::NULL
                | Self::ETHERNET
                | Self::RAW_BSD
                | Self::RAW_OPENBSD
                | Self::RAW
                | Self::LOOP
                | Self::LINUX_SLL
                | Self::IPV4
                | Self::IPV6
                | Self::LINUX_SLL2
        )
    }
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad and the number that QinQ had before it.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Bytes before the payload, the EtherType being the last two.
const ETHERNET_LEN: usize = 14;
/// A tag has two bytes of VLAN before the next EtherType.
const VLAN_LEN: usize = 4;
/// The protocol is the last two bytes of version 1, and the first two of version 2.
const SLL_LEN: usize = 16;
const SLL2_LEN: usize = 20;
const LOOPBACK_LEN: usize = 4;
/// AF_INET everywhere; AF_INET6 of NetBSD and OpenBSD, FreeBSD, macOS, Linux.
const FAMILY_IPV4: u32 = 2;
const FAMILIES_IPV6: [u32; 4] = [24, 28, 30, 10];

/// Bytes of the frame before its IP packet.
pub fn ip_packet(link: LinkType, frame: &[u8]) -> Result<usize, Unreadable> {
    let ip_at = match link {
        LinkType::ETHERNET => after_ethertype(frame, ETHERNET_LEN - 2)?,
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => 0,
        LinkType::IPV4 => versioned(frame, 4)?,
        LinkType::IPV6 => versioned(frame, 6)?,
        LinkType::LINUX_SLL => after_ethertype(frame, SLL_LEN - 2)?,
        LinkType::LINUX_SLL2 => match frame.first_chunk() {
            Some(&kind) if ETHERTYPES_VLAN.contains(&u16::from_be_bytes(kind)) => after_ethertype(frame, SLL2_LEN + 2)?,
            _ => after_ethertype(frame, 0).map(|_| SLL2_LEN)?,
        },
        LinkType::NULL | LinkType::LOOP => family(frame)?,
        _ => return Err(Unreadable::NotIp),
    };
    if ip_at < frame.len() { Ok(ip_at) } else { Err(Unreadable::Cut) }
}

/// Where the IP packet begins, if the EtherType at `at` or the one behind its VLAN tags says that there is one.
fn after_ethertype(frame: &[u8], mut at: usize) -> Result<usize, Unreadable> {
    loop {
        let (high, low) = match frame.get(at..at + 2) {
            Some(&[high, low]) => (high, low),
            _ => return Err(Unreadable::Cut),
        };
        match u16::from_be_bytes([high, low]) {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Ok(at + 2),
            vlan if ETHERTYPES_VLAN.contains(&vlan) => at += VLAN_LEN,
            _ => return Err(Unreadable::NotIp),
        }
    }
}

fn versioned(frame: &[u8], version: u8) -> Result<usize, Unreadable> {
    match frame.first() {
        Some(first) if first >> 4 == version => Ok(0),
        Some(_) => Err(Unreadable::NotIp),
        None => Err(Unreadable::Cut),
    }
}

/// The family is a small number in one byte order or the other.
fn family(frame: &[u8]) -> Result<usize, Unreadable> {
    let bytes = *frame.first_chunk::<LOOPBACK_LEN>().ok_or(Unreadable::Cut)?;
    let family = u32::from_le_bytes(bytes).min(u32::from_be_bytes(bytes));
    let ip = family == FAMILY_IPV4 || FAMILIES_IPV6.contains(&family);
    if ip { Ok(LOOPBACK_LEN) } else { Err(Unreadable::NotIp) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_ip_packet() {
        let ethernet = |types: &[u8]| [&[0u8; 12][..], types, &[0x45; 30]].concat();
        let at = |link, frame: &[u8]| ip_packet(link, frame);
        assert_eq!(at(LinkType::ETHERNET, &ethernet(&[8, 0])), Ok(14));
        assert_eq!(at(LinkType::ETHERNET, &ethernet(&[0x81, 0, 0, 7, 0x86, 0xdd])), Ok(18));
        assert_eq!(at(LinkType::ETHERNET, &ethernet(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 7, 8, 0])), Ok(22));
        assert_eq!(at(LinkType::ETHERNET, &ethernet(&[8, 6])), Err(Unreadable::NotIp));
        assert_eq!(at(LinkType::ETHERNET, &ethernet(&[8, 0])[..14]), Err(Unreadable::Cut));
        assert_eq!(at(LinkType::ETHERNET, &[0x81; 13]), Err(Unreadable::Cut));
        assert_eq!(at(LinkType::RAW, &[0x45; 20]), Ok(0));
        assert_eq!(at(LinkType::IPV6, &[0x45; 20]), Err(Unreadable::NotIp));
        assert_eq!(at(LinkType::LINUX_SLL, &[&[0; 14][..], &[8, 0], &[0x45; 20]].concat()), Ok(16));
        assert_eq!(at(LinkType::LINUX_SLL2, &[&[0x86, 0xdd][..], &[0; 18], &[0x60; 40]].concat()), Ok(20));
        assert_eq!(at(LinkType::LINUX_SLL2, &[&[0x81, 0][..], &[0; 20], &[8, 0], &[0x45; 20]].concat()), Ok(24));
        assert_eq!(at(LinkType::NULL, &[2, 0, 0, 0, 0x45, 0]), Ok(4));
        assert_eq!(at(LinkType::LOOP, &[0, 0, 0, 30, 0x60, 0]), Ok(4));
        assert_eq!(at(LinkType::LOOP, &[0, 0, 0, 7, 0x60, 0]), Err(Unreadable::NotIp));
        assert_eq!(at(LinkType(147), &[0x45; 20]), Err(Unreadable::NotIp));
    }
}
