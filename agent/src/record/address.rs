//! What an address says by itself, where no pod is known behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The namespace of addresses outside any pod that only a private network knows.
pub const INTERNAL: &str = "internal";
/// The namespace of all other addresses outside any pod.
pub const PUBLIC: &str = "public";

/// `internal` for private, loopback, link-local, carrier-shared and unspecified addresses, else `public`.
pub fn namespace(ip: IpAddr) -> &'static str {
    let internal = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || shared(ip)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local() || unique_local(ip),
    };
    if internal { INTERNAL } else { PUBLIC }
}

/// RFC 6598, 100.64.0.0/10: never routed publicly, and what some clouds number pods with.
fn shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0xc0 == 64
}

/// RFC 4193, fc00::/7.
fn unique_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xfe00 == 0xfc00
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_internal() {
        for ip in [
            "10.244.1.7",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "::1",
            "::",
            "fe80::1",
            "febf::1",
            "fc00::1",
            "fdff::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(namespace(ip.parse().expect(ip)), INTERNAL, "{ip}");
        }
    }

    #[test]
    fn the_rest_is_public() {
        for ip in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "169.253.0.1",
            "2001:db8::1",
            "2606:4700::1111",
            "fec0::1",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(namespace(ip.parse().expect(ip)), PUBLIC, "{ip}");
        }
    }
}
