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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    address: u128,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    low: End,
    high: End,
    domain: Domain,
}

impl Key {
    /// The key, and whether the packet's sender is the lower end.
    pub(super) fn new(domain: Domain, tuple: &Tuple) -> (Self, bool) {
        let (src, dst) = (End::new(&tuple.src), End::new(&tuple.dst));
        if src <= dst {
            (Self { low: src, high: dst, domain }, true)
        } else {
            (Self { low: dst, high: src, domain }, false)
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u64::from(self.low.port) | u64::from(self.high.port) << 16 | (self.domain as u64) << 32;
        state.write_u64(ports);
        state.write_u64(self.low.address as u64);
        state.write_u64(self.high.address as u64);
        let (low, high) = ((self.low.address >> 64) as u64, (self.high.address >> 64) as u64);
        // IPv4 has nothing here; equal keys agree on whether they do.
        if low | high != 0 {
            state.write_u64(low);
            state.write_u64(high);
        }
    }
}

impl End {
    fn new(address: &SocketAddr) -> Self {
        let bits = match address {
            // As ::ffff:a.b.c.d: a socket for both families has IPv4 peers under such an address.
            SocketAddr::V4(v4) => 0xffff_0000_0000 | u128::from(u32::from(*v4.ip())),
            SocketAddr::V6(v6) => u128::from(*v6.ip()),
        };
        Self { address: bits, port: address.port() }
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
