//! The kernel's events as packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use agent_common::{Cut, Event, EventKind, flags};

use super::{CaptureSource, JoinKey, Packet, Tuple, View, headers};
use crate::{coverage::Reason, kernel::Clock};

/// What one event says.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are packets, and none is kept")]
pub enum Heard<'a> {
    Packet(Packet<'a>),
    /// A socket turned out to be the peer of one of the agent's own.
    Own {
        cookie: u64,
    },
    /// Not what the kernel side writes.
    Malformed,
    /// A packet whose headers user space cannot read: a fragment, or cut.
    Unreadable,
}

/// Reads one event of the ring. `number` is its ordinal, from 1.
pub fn hear<'a>(sample: &'a [u8], number: u64, clock: &Clock) -> Heard<'a> {
    let Some((event, bytes)) = Event::decode(sample) else { return Heard::Malformed };
    match event.kind {
        EventKind::Own => Heard::Own { cookie: event.cookie },
        EventKind::Packet => {
            let Ok(parsed) = headers::parse_ip(bytes, event.packet_len as usize) else { return Heard::Unreadable };
            Heard::Packet(Packet {
                time: clock.time(event.time),
                source: CaptureSource::Ebpf,
                number,
                view: Some(view(event)),
                header: parsed.tuple,
                transport: parsed.transport,
                payload: parsed.payload,
                wire_len: parsed.wire_len,
                cut: reason(event.cut),
            })
        }
    }
}

fn view(event: &Event) -> View {
    let has = |flag: u8| event.flags & flag != 0;
    let egress = has(flags::EGRESS);
    let own = has(flags::OWN_ADDRESSES).then(|| {
        let v6 = has(flags::IPV6);
        let sent = Tuple {
            src: SocketAddr::new(address(&event.local, v6), event.local_port),
            dst: SocketAddr::new(address(&event.remote, v6), event.remote_port),
        };
        if egress { sent } else { sent.reversed() }
    });
    View {
        cookie: event.cookie,
        egress,
        own,
        join: has(flags::JOIN).then_some(JoinKey { client: event.client_isn, server: event.server_isn }),
        twin: has(flags::TWIN),
        cgroup: event.cgroup,
        interface: event.interface,
    }
}

fn address(bytes: &[u8; 16], v6: bool) -> IpAddr {
    if v6 { Ipv6Addr::from(*bytes).into() } else { Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into() }
}

fn reason(cut: Cut) -> Option<Reason> {
    match cut {
        Cut::Whole => None,
        Cut::Budget => Some(Reason::Budget),
        Cut::BodyRate => Some(Reason::BodyRate),
        Cut::RingFull => Some(Reason::RingFull),
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;
    use crate::capture::Transport;

    /// A SYN of 10.0.0.1:40000 to 10.0.0.2:80, received by a redirected socket at 10.0.0.2:8080.
    fn event() -> (Event, Vec<u8>) {
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend_from_slice(&[0x9c, 0x40, 0, 80, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
        let mut local = [0; 16];
        local[..4].copy_from_slice(&[10, 0, 0, 2]);
        let mut remote = [0; 16];
        remote[..4].copy_from_slice(&[10, 0, 0, 1]);
        let event = Event {
            time: 5,
            cookie: 9,
            cgroup: 1,
            local,
            remote,
            local_port: 8080,
            remote_port: 40_000,
            client_isn: 7,
            server_isn: 8,
            interface: 1,
            packet_len: 40,
            copied: 40,
            kind: EventKind::Packet,
            flags: flags::OWN_ADDRESSES | flags::JOIN,
            cut: Cut::Whole,
            reserved: 0,
            padding: 0,
        };
        (event, packet)
    }

    fn sample(event: &Event, packet: &[u8]) -> Vec<u8> {
        [event.as_bytes(), packet].concat()
    }

    #[test]
    fn an_event_is_a_packet_with_its_socket() {
        let (event, packet) = event();
        let sample = sample(&event, &packet);
        let Heard::Packet(packet) = hear(&sample, 3, &Clock::new()) else { panic!("no packet") };
        assert_eq!(packet.header.dst, "10.0.0.2:80".parse().unwrap());
        assert!(matches!(packet.transport, Transport::Tcp(tcp) if tcp.flags.syn() && tcp.seq == 7));
        let view = packet.view.unwrap();
        assert_eq!(view.own.unwrap().dst, "10.0.0.2:8080".parse().unwrap());
        assert_eq!(view.join, Some(JoinKey { client: 7, server: 8 }));
        assert!(!view.egress && !view.twin);
    }

    #[test]
    fn events_that_cannot_be_are_malformed() {
        let (event, packet) = event();
        let whole = sample(&event, &packet);
        for len in 0..whole.len() {
            assert!(matches!(hear(&whole[..len], 1, &Clock::new()), Heard::Malformed), "cut at {len}");
        }
        let wrong = |change: fn(&mut Event)| {
            let mut event = event;
            change(&mut event);
            sample(&event, &packet)
        };
        for sample in [
            wrong(|event| event.copied = 41),
            wrong(|event| event.packet_len = 39),
            wrong(|event| event.flags = 64),
            wrong(|event| event.cut = Cut::Budget),
        ] {
            assert!(matches!(hear(&sample, 1, &Clock::new()), Heard::Malformed));
        }
        for (at, value) in [(agent_common::EVENT_LEN - 8, 9), (agent_common::EVENT_LEN - 6, 200)] {
            let mut sample = whole.clone();
            sample[at] = value;
            assert!(matches!(hear(&sample, 1, &Clock::new()), Heard::Malformed), "byte {at}");
        }
    }
}
