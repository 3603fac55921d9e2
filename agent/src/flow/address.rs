//! A tuple as a map's key: the same for both directions, small, and quick to hash.

use std::{
    hash::{Hash, Hasher},
    net::{IpAddr, SocketAddr},
};

use crate::capture::Tuple;

/// Keys of different domains never meet: the same addresses may be in use in a file and on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Domain {
    FileTcp,
    FileUdp,
    /// Headers and sockets' own addresses of connections on this node, for handing over from listener to child.
    NodeTcp,
    NodeUdp,
}

/// Small, since each packet's look-up reads one, mostly from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    low: [u64; 2],
    high: [u64; 2],
    /// The lower end's port, the higher one's, and the domain.
    rest: u64,
}

impl Key {
    /// The key, and whether the packet's sender is the lower end.
    #[inline]
    pub(super) fn new(domain: Domain, tuple: &Tuple) -> (Self, bool) {
        let (src, dst) = (address(&tuple.src), address(&tuple.dst));
        let (src_port, dst_port) = (tuple.src.port(), tuple.dst.port());
        let sender_low = (src, src_port) <= (dst, dst_port);
        let (low, high, low_port, high_port) =
            if sender_low { (src, dst, src_port, dst_port) } else { (dst, src, dst_port, src_port) };
        let rest = u64::from(low_port) | u64::from(high_port) << 16 | (domain as u64) << 32;
        (Self { low, high, rest }, sender_low)
    }
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.rest);
        state.write_u64(self.low[1]);
        state.write_u64(self.high[1]);
        // IPv4 has nothing here; equal keys agree on whether they do.
        if self.low[0] | self.high[0] != 0 {
            state.write_u64(self.low[0]);
            state.write_u64(self.high[0]);
        }
    }
}

/// IPv4 as ::ffff:a.b.c.d: a socket for both families has IPv4 peers under such an address.
#[inline]
fn address(address: &SocketAddr) -> [u64; 2] {
    match address {
        SocketAddr::V4(v4) => [0, 0xffff_0000_0000 | u64::from(u32::from(*v4.ip()))],
        SocketAddr::V6(v6) => {
            let bits = u128::from(*v6.ip());
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

/// IPv4 addresses in IPv6 form as what they are, and no scope or flow label: names of an end, to compare and to show.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => SocketAddr::new(v6.to_canonical(), address.port()),
    }
}

pub(super) fn canonical_tuple(tuple: &Tuple) -> Tuple {
    Tuple { src: canonical(tuple.src), dst: canonical(tuple.dst) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(src: &str, dst: &str) -> Tuple {
        Tuple { src: src.parse().unwrap(), dst: dst.parse().unwrap() }
    }

    #[test]
    fn both_directions_and_both_forms_of_an_address_have_one_key() {
        let there = tuple("10.0.0.1:4000", "10.0.0.2:80");
        let (key, low) = Key::new(Domain::FileTcp, &there);
        let (back, low_back) = Key::new(Domain::FileTcp, &there.reversed());
        assert_eq!(key, back);
        assert!(low && !low_back);
        assert_eq!(key, Key::new(Domain::FileTcp, &tuple("[::ffff:10.0.0.1]:4000", "[::ffff:10.0.0.2]:80")).0);
        assert_ne!(key, Key::new(Domain::NodeTcp, &there).0);
        assert_ne!(key, Key::new(Domain::FileTcp, &tuple("10.0.0.1:80", "10.0.0.2:4000")).0);
    }
}
