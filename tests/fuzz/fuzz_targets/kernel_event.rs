//! Any bytes as an event of the kernel's ring. Half of the inputs get a front that passes the decoder, so that the
//! packet behind it is read too; nothing panics, and no payload is longer than what arrived or what was on the wire.

#![no_main]

use agent_common::{Cut, EVENT_LEN, Event, EventKind, flags};
use libfuzzer_sys::fuzz_target;
use tapwire::{
    capture::ring::{Heard, hear},
    kernel::Clock,
};
use zerocopy::IntoBytes;

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let sample = if choice & 1 == 0 { rest.to_vec() } else { sound(choice, rest) };
    // The kernel's samples stand at multiples of 8.
    let mut aligned = vec![0_u64; sample.len().div_ceil(8)];
    let place = &mut aligned.as_mut_bytes()[..sample.len()];
    place.copy_from_slice(&sample);
    let heard = hear(place, 1, &Clock::new());
    if choice & 1 == 1 {
        assert!(!matches!(heard, Heard::Malformed), "a sound event");
    }
    if let Heard::Packet(packet) = heard {
        assert!(packet.payload.len() + EVENT_LEN <= sample.len());
        assert!(packet.payload.len() as u64 <= u64::from(packet.wire_len));
    }
});

/// An event with a front as the kernel side writes it, and `packet` behind it.
fn sound(choice: u8, packet: &[u8]) -> Vec<u8> {
    let copied = u32::try_from(packet.len()).unwrap_or(u32::MAX);
    let cut = [Cut::Whole, Cut::Budget, Cut::BodyRate, Cut::RingFull][usize::from(choice >> 1 & 3)];
    let more = if cut == Cut::Whole { 0 } else { 1 + u32::from(choice) * 300 };
    let event = Event {
        time: 1,
        cookie: 2,
        cgroup: 3,
        local: [4; 16],
        remote: [5; 16],
        local_port: 6,
        remote_port: 7,
        client_isn: 8,
        server_isn: 9,
        interface: 10,
        packet_len: copied.saturating_add(more),
        copied,
        kind: if choice >> 3 & 7 == 7 { EventKind::Own } else { EventKind::Packet },
        flags: choice & flags::ALL,
        cut,
        reserved: 0,
        padding: 0,
    };
    [event.as_bytes(), packet].concat()
}
