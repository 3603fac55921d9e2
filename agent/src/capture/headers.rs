//! IP packet → addresses, TCP or UDP header, payload. Shared by the kernel's events, which begin at the IP header and are
//! cut where copying stopped, and by capture files, which are cut at the snap length: every length in a header may
//! exceed the bytes at hand, and no check may take a cut packet for a broken one.
//!
//! The IP layer is read by etherparse's header slices; the fixed 20 bytes of TCP are read here, because
//! `etherparse::TcpHeaderSlice` refuses a header whose options were cut (64-byte snap lengths do that), and the sequence
//! numbers of such a packet are needed to know what was lost. Fragments are not put together again: TCP avoids them
//! (path MTU discovery) and they are counted as unreadable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6ExtensionsSlice, TcpOptionElement, TcpOptionsIterator};

use super::{TcpFlags, TcpHeader, Transport, Tuple};

/// What one packet's headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    pub tuple: Tuple,
    pub transport: Transport,
    /// The front of the payload, as far as it was copied; link-layer padding is not in it.
    pub payload: &'a [u8],
    /// Payload bytes on the wire, never less than `payload.len()`.
    pub wire_len: u32,
}

/// Why a packet yields no payload. All but `OtherTransport` count as unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Neither IPv4 nor IPv6: ARP, LLDP, …
    NotIp,
    /// Whole, but neither TCP nor UDP: ICMP, SCTP, …
    OtherTransport,
    /// The copy ends inside the headers.
    Cut,
    /// A piece of an IP datagram.
    Fragment,
    /// A header contradicts itself.
    Malformed,
}

/// Bytes of a TCP header without options.
const TCP_FIXED: usize = 20;
/// Bytes of a UDP header.
const UDP_LEN: usize = 8;
/// Bytes of an IPv4 header without options.
const IPV4_FIXED: usize = 20;
/// Bytes of an IPv6 header without extensions.
const IPV6_FIXED: usize = 40;
/// RFC 7323, section 2.3: a greater shift is taken as 14.
const MAX_WINDOW_SCALE: u8 = 14;

/// Reads the packet that begins at `bytes` with its IP header. `wire_len` is its length on the wire from there on, which
/// counts only where the header leaves the length open.
pub fn parse_ip(bytes: &[u8], wire_len: usize) -> Result<Headers<'_>, Unreadable> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(bytes, wire_len),
        Some(6) => ipv6(bytes, wire_len),
        Some(_) => Err(Unreadable::NotIp),
        None => Err(Unreadable::Cut),
    }
}

fn ipv4(bytes: &[u8], wire_len: usize) -> Result<Headers<'_>, Unreadable> {
    if bytes.len() < IPV4_FIXED {
        return Err(Unreadable::Cut);
    }
    let header_len = usize::from(bytes[0] & 0x0f) * 4;
    // RFC 791, section 3.1: the minimum value of the header length is 5 words.
    if header_len < IPV4_FIXED {
        return Err(Unreadable::Malformed);
    }
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|_| Unreadable::Cut)?;
    let total_len = match usize::from(header.total_len()) {
        // Segmentation offload writes 0, and so does BIG TCP beyond 64 KiB (Linux 6.3, iph_set_totlen).
        0 => wire_len.max(bytes.len()),
        total_len => total_len,
    };
    let wire_len = total_len.checked_sub(header_len).ok_or(Unreadable::Malformed)?;
    // A first fragment has the transport header, but its payload goes on in packets without one.
    if header.is_fragmenting_payload() {
        return Err(Unreadable::Fragment);
    }
    let addresses = (IpAddr::V4(Ipv4Addr::from(header.source())), IpAddr::V4(Ipv4Addr::from(header.destination())));
    transport(addresses, header.protocol(), &bytes[header_len..], wire_len)
}

fn ipv6(bytes: &[u8], wire_len: usize) -> Result<Headers<'_>, Unreadable> {
    let header = etherparse::Ipv6HeaderSlice::from_slice(bytes).map_err(|_| Unreadable::Cut)?;
    let after = &bytes[IPV6_FIXED..];
    let wire_len = match usize::from(header.payload_length()) {
        // RFC 2675: a jumbogram says 0 here. Linux writes 0 for BIG TCP, with and without the jumbo option.
        0 => wire_len.max(bytes.len()) - IPV6_FIXED,
        payload_length => payload_length,
    };
    let addresses = (IpAddr::V6(Ipv6Addr::from(header.source())), IpAddr::V6(Ipv6Addr::from(header.destination())));
    let next = header.next_header();
    if next == IpNumber::TCP || next == IpNumber::UDP {
        return transport(addresses, next, after, wire_len);
    }
    let (extensions, next, rest, error) = Ipv6ExtensionsSlice::from_slice_lax(next, after);
    if extensions.is_fragmenting_payload() {
        return Err(Unreadable::Fragment);
    }
    match error {
        None => {}
        Some((etherparse::err::ipv6_exts::HeaderSliceError::Len(_), _)) => return Err(Unreadable::Cut),
        Some((etherparse::err::ipv6_exts::HeaderSliceError::Content(_), _)) => return Err(Unreadable::Malformed),
    }
    let wire_len = wire_len.checked_sub(after.len() - rest.len()).ok_or(Unreadable::Malformed)?;
    transport(addresses, next, rest, wire_len)
}

/// `bytes` begins with the transport header; `wire_len` is that header's and the payload's length by the IP header.
fn transport(
    addresses: (IpAddr, IpAddr),
    number: IpNumber,
    bytes: &[u8],
    wire_len: usize,
) -> Result<Headers<'_>, Unreadable> {
    // Ethernet pads frames to 60 bytes: what lies beyond the IP length is not the packet's.
    let bytes = &bytes[..bytes.len().min(wire_len)];
    let fixed = match number {
        IpNumber::TCP => TCP_FIXED,
        IpNumber::UDP => UDP_LEN,
        _ => return Err(Unreadable::OtherTransport),
    };
    if wire_len < fixed {
        return Err(Unreadable::Malformed);
    }
    if bytes.len() < fixed {
        return Err(Unreadable::Cut);
    }
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let tuple = Tuple { src: SocketAddr::new(addresses.0, port(0)), dst: SocketAddr::new(addresses.1, port(2)) };
    if number == IpNumber::TCP { tcp(tuple, bytes, wire_len) } else { udp(tuple, bytes, wire_len) }
}

/// The caller has checked that the fixed header is there.
fn tcp(tuple: Tuple, bytes: &[u8], wire_len: usize) -> Result<Headers<'_>, Unreadable> {
    let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let header_len = usize::from(bytes[12] >> 4) * 4;
    // RFC 9293, section 3.1: the data offset counts the header, which ends inside the segment (tcp_v4_rcv drops others).
    if header_len < TCP_FIXED || header_len > wire_len {
        return Err(Unreadable::Malformed);
    }
    let flags = TcpFlags(bytes[13]);
    let payload = bytes.get(header_len..).unwrap_or_default();
    let options = &bytes[TCP_FIXED..header_len.min(bytes.len())];
    let header = TcpHeader {
        seq: word(4),
        ack: word(8),
        flags,
        window: u16::from_be_bytes([bytes[14], bytes[15]]),
        window_scale: if flags.syn() { window_scale(options) } else { None },
    };
    let wire_len = u32::try_from(wire_len - header_len).map_err(|_| Unreadable::Malformed)?;
    Ok(Headers { tuple, transport: Transport::Tcp(header), payload, wire_len })
}

/// The shift of the window scale option; options after a broken one are not read.
fn window_scale(options: &[u8]) -> Option<u8> {
    TcpOptionsIterator::from_slice(options).map_while(Result::ok).find_map(|option| match option {
        TcpOptionElement::WindowScale(shift) => Some(shift.min(MAX_WINDOW_SCALE)),
        TcpOptionElement::Noop
        | TcpOptionElement::MaximumSegmentSize(_)
        | TcpOptionElement::SelectiveAcknowledgementPermitted
        | TcpOptionElement::SelectiveAcknowledgement(..)
        | TcpOptionElement::Timestamp(..) => None,
    })
}

/// The caller has checked that the header is there.
fn udp(tuple: Tuple, bytes: &[u8], wire_len: usize) -> Result<Headers<'_>, Unreadable> {
    let wire_len = match usize::from(u16::from_be_bytes([bytes[4], bytes[5]])) {
        // RFC 2675, section 4: the IP length counts; also what offload leaves behind.
        0 => wire_len,
        // RFC 768: the length includes the header; a datagram longer than its packet is dropped (__udp4_lib_rcv).
        length if length < UDP_LEN || length > wire_len => return Err(Unreadable::Malformed),
        length => length,
    };
    let payload = &bytes[UDP_LEN..bytes.len().min(wire_len)];
    let wire_len = u32::try_from(wire_len - UDP_LEN).map_err(|_| Unreadable::Malformed)?;
    Ok(Headers { tuple, transport: Transport::Udp, payload, wire_len })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(total_len: u16, protocol: u8, fragment: u16, options: &[u8], rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x40 | (5 + options.len() / 4) as u8, 0];
        bytes.extend(total_len.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(fragment.to_be_bytes());
        bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend(options);
        bytes.extend(rest);
        bytes
    }

    fn tcp(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xc3, 0x50, 0, 80];
        bytes.extend(0x0102_0304_u32.to_be_bytes());
        bytes.extend(0x0506_0708_u32.to_be_bytes());
        bytes.extend([((5 + options.len() / 4) << 4) as u8, flags, 0x12, 0x34, 0, 0, 0, 0]);
        bytes.extend(options);
        bytes.extend(payload);
        bytes
    }

    fn ipv6(payload_length: u16, next: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(payload_length.to_be_bytes());
        bytes.extend([next, 64]);
        bytes.extend(Ipv6Addr::LOCALHOST.octets());
        bytes.extend(Ipv6Addr::LOCALHOST.octets());
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn reads_tcp_with_options_and_leaves_padding() {
        let segment = tcp(TcpFlags::SYN | TcpFlags::ACK, &[2, 4, 5, 0xb4, 1, 3, 3, 7], b"hi");
        let mut bytes = ipv4(20 + 4 + segment.len() as u16, 6, 0x4000, &[1, 1, 1, 0], &segment);
        bytes.extend([0xee; 9]);
        let headers = parse_ip(&bytes, bytes.len()).unwrap();
        assert_eq!(headers.tuple.src, "10.0.0.1:50000".parse().unwrap());
        assert_eq!(headers.tuple.dst, "10.0.0.2:80".parse().unwrap());
        assert_eq!(headers.payload, b"hi");
        assert_eq!(headers.wire_len, 2);
        let Transport::Tcp(tcp) = headers.transport else { panic!("not TCP") };
        assert_eq!((tcp.seq, tcp.ack, tcp.window), (0x0102_0304, 0x0506_0708, 0x1234));
        assert_eq!(tcp.window_scale, Some(7));
        assert!(tcp.flags.syn() && tcp.flags.ack());
    }

    #[test]
    fn a_cut_packet_keeps_its_length() {
        let segment = tcp(TcpFlags::ACK, &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], &[7; 1000]);
        let bytes = ipv4(20 + segment.len() as u16, 6, 0, &[], &segment);
        let headers = parse_ip(&bytes[..100], bytes.len()).unwrap();
        assert_eq!((headers.payload.len(), headers.wire_len), (100 - 52, 1000));
        // Cut inside the options: the sequence number still counts.
        let headers = parse_ip(&bytes[..50], bytes.len()).unwrap();
        assert_eq!((headers.payload.len(), headers.wire_len), (0, 1000));
        assert_eq!(parse_ip(&bytes[..39], bytes.len()), Err(Unreadable::Cut));
        assert_eq!(parse_ip(&bytes[..10], bytes.len()), Err(Unreadable::Cut));
        assert_eq!(parse_ip(&[], 0), Err(Unreadable::Cut));
    }

    #[test]
    fn without_an_ip_length_the_wire_counts() {
        let segment = tcp(TcpFlags::ACK, &[], &[7; 200]);
        let bytes = ipv4(0, 6, 0, &[], &segment);
        assert_eq!(parse_ip(&bytes, 100_040).unwrap().wire_len, 100_000);
        let jumbo = ipv6(0, 0, &[&[6, 0, 0xc2, 4, 0, 2, 0, 0][..], &segment].concat());
        let headers = parse_ip(&jumbo, 48 + 20 + 131_000).unwrap();
        assert_eq!((headers.payload.len(), headers.wire_len), (200, 131_000));
    }

    #[test]
    fn reads_ipv6_extensions() {
        let segment = tcp(TcpFlags::ACK, &[], b"abc");
        let options = [60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0];
        let bytes = ipv6(16 + segment.len() as u16, 0, &[&options[..], &segment].concat());
        let headers = parse_ip(&bytes, bytes.len()).unwrap();
        assert_eq!((headers.payload, headers.wire_len), (&b"abc"[..], 3));
        assert_eq!(headers.tuple.src, "[::1]:50000".parse().unwrap());
        assert_eq!(parse_ip(&bytes[..50], bytes.len()), Err(Unreadable::Cut));
        // An atomic fragment (RFC 6946) is a whole packet, a first fragment is not.
        let atomic = ipv6(8 + segment.len() as u16, 44, &[&[6, 0, 0, 0, 0, 0, 0, 9][..], &segment].concat());
        assert_eq!(parse_ip(&atomic, atomic.len()).unwrap().payload, b"abc");
        let first = ipv6(8 + segment.len() as u16, 44, &[&[6, 0, 0, 1, 0, 0, 0, 9][..], &segment].concat());
        assert_eq!(parse_ip(&first, first.len()), Err(Unreadable::Fragment));
    }

    #[test]
    fn refuses_what_it_cannot_know() {
        let segment = tcp(TcpFlags::ACK, &[], b"abc");
        let len = 20 + segment.len() as u16;
        let unreadable = |bytes: &[u8]| parse_ip(bytes, bytes.len()).unwrap_err();
        assert_eq!(unreadable(&ipv4(len, 6, 0x2000, &[], &segment)), Unreadable::Fragment);
        assert_eq!(unreadable(&ipv4(len, 6, 0x0005, &[], &segment)), Unreadable::Fragment);
        assert_eq!(unreadable(&ipv4(len, 1, 0, &[], &segment)), Unreadable::OtherTransport);
        assert_eq!(unreadable(&ipv4(19, 6, 0, &[], &segment)), Unreadable::Malformed);
        assert_eq!(unreadable(&ipv4(30, 6, 0, &[], &segment)), Unreadable::Malformed);
        assert_eq!(unreadable(&[0x41; 40]), Unreadable::Malformed);
        assert_eq!(unreadable(&[0x10; 40]), Unreadable::NotIp);
        let mut short_offset = segment.clone();
        short_offset[12] = 0x40;
        assert_eq!(unreadable(&ipv4(len, 6, 0, &[], &short_offset)), Unreadable::Malformed);
    }

    #[test]
    fn reads_udp_by_its_own_length() {
        let datagram = [&[0, 53, 0x30, 0x39, 0, 11, 0, 0][..], b"abcdef"].concat();
        let bytes = ipv4(20 + datagram.len() as u16, 17, 0, &[], &datagram);
        let headers = parse_ip(&bytes, bytes.len()).unwrap();
        assert_eq!((headers.transport, headers.payload, headers.wire_len), (Transport::Udp, &b"abc"[..], 3));
        let mut long = bytes.clone();
        long[25] = 200;
        assert_eq!(parse_ip(&long, long.len()), Err(Unreadable::Malformed));
    }

    #[test]
    fn any_cut_of_any_flip_is_read_or_refused() {
        let segment = tcp(TcpFlags::SYN, &[3, 3, 9, 0], b"payload");
        for whole in [ipv4(20 + segment.len() as u16, 6, 0, &[], &segment), ipv6(segment.len() as u16, 6, &segment)] {
            for at in 0..whole.len() {
                for flip in 1..=255 {
                    let mut bytes = whole.clone();
                    bytes[at] ^= flip;
                    for end in 0..=bytes.len() {
                        if let Ok(headers) = parse_ip(&bytes[..end], whole.len()) {
                            assert!(headers.payload.len() as u64 <= u64::from(headers.wire_len));
                        }
                    }
                }
            }
        }
    }
}
