//! Any bytes as a capture file: every packet that comes out is read down to its payload, nothing panics, and no packet
//! is longer than what is believed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapwire::capture::{
    headers::parse_ip,
    pcap::{MAX_FRAME, Pool, Reader, ip_packet},
};

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::from_bytes(bytes.to_vec());
    let mut pool = Pool::new(1);
    while let Ok(Some(block)) = reader.next_block(&mut pool) {
        for frame in block.frames() {
            let packet = block.bytes(frame);
            assert!(packet.len() <= MAX_FRAME && packet.len() <= bytes.len());
            let Ok(at) = ip_packet(frame.link, packet) else { continue };
            let wire_len = (frame.wire_len as usize).saturating_sub(at);
            if let Ok(headers) = parse_ip(&packet[at..], wire_len) {
                assert!(headers.payload.len() <= packet.len());
                assert!(headers.payload.len() as u64 <= u64::from(headers.wire_len));
            }
        }
    }
});
