//! What holds for any order, loss and repetition of segments.

use proptest::prelude::*;

use super::*;

/// A segment to be sent, of a stream that is known: where it begins, how long it is, how much of it was copied.
#[derive(Clone, Copy, Debug)]
struct Cut {
    start: usize,
    len: usize,
    copied: usize,
}

fn stream(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// A whole stream in segments, then repeated and overlapping ones, all in any order.
fn segments(len: usize) -> impl Strategy<Value = Vec<Cut>> {
    let whole = prop::collection::vec(1_usize..200, 1..60).prop_map(move |lens| {
        let mut cuts = Vec::new();
        let mut start = 0;
        for size in lens.into_iter().cycle() {
            let size = size.min(len - start);
            if size == 0 {
                break;
            }
            cuts.push(Cut { start, len: size, copied: size });
            start += size;
        }
        cuts
    });
    let again = prop::collection::vec((0..len, 1_usize..400), 0..30).prop_map(move |cuts| {
        let cut = |(start, size): (usize, usize)| {
            let size = size.min(len - start);
            Cut { start, len: size, copied: size }
        };
        cuts.into_iter().map(cut).collect::<Vec<_>>()
    });
    (whole, again)
        .prop_map(|(mut whole, again)| {
            whole.extend(again);
            whole
        })
        .prop_shuffle()
}

fn send(rig: &mut Rig, isn: u32, stream: &[u8], cut: Cut) {
    let Cut { start, len, copied } = cut;
    let seq = isn.wrapping_add(1).wrapping_add(start as u32);
    let missing = (len - copied) as u32;
    rig.send(Make::new(ToServer, seq).data(&stream[start..start + copied]).cut(missing, Reason::Snaplen));
}

fn begin(limits: Limits, isn: u32) -> Rig {
    let mut rig = Rig::with(limits);
    rig.send(Make::new(ToServer, isn).syn().scale(7));
    rig.send(Make::new(ToClient, SERVER).syn().scale(7).ack(isn.wrapping_add(1)));
    rig
}

/// Walks through the pieces: bytes are those of the stream at their place. Returns how far it went, and what was lost.
fn walk(rig: &Rig, stream: &[u8]) -> (usize, u64) {
    let (mut at, mut lost) = (0, 0);
    for got in rig.got(1, ToServer) {
        match got {
            Got::Bytes(bytes) => {
                assert_eq!(&stream[at..at + bytes.len()], bytes, "at {at}");
                at += bytes.len();
            }
            Got::Gap(count, _) | Got::Skip(count, _) => {
                at += count as usize;
                lost += count;
            }
            Got::End(_) => {}
        }
    }
    (at, lost)
}

const TIGHT: Limits = Limits {
    flows: 4,
    held_per_flow: 3000,
    held: 4000,
    idle_nanos: 60 * SECOND,
    datagrams_idle_nanos: 10 * SECOND,
    closed_nanos: SECOND,
    gap_nanos: 5 * SECOND,
    reorder_nanos: 100 * MS,
    reorder_packets: 8,
};

/// Where the sequence numbers start: often just before they wrap around.
fn isn() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), (0_u32..5000).prop_map(|back| u32::MAX - back)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_order_with_repetitions_gives_the_stream(isn in isn(), cuts in segments(4000)) {
        let stream = stream(4000);
        let mut rig = begin(Limits::default(), isn);
        let mut sent = 0;
        for cut in cuts {
            sent += cut.len as u64;
            send(&mut rig, isn, &stream, cut);
        }
        prop_assert_eq!(rig.got(1, ToServer), vec![Got::Bytes(stream)]);
        prop_assert_eq!(rig.counters.lost.total(), 0);
        prop_assert_eq!(rig.table.held_bytes(), 0);
        // A keep-alive probe looks like a repeated byte: those are not counted.
        let again = rig.counters.retransmitted_bytes;
        prop_assert!(again <= sent - 4000 && again + 30 >= sent - 4000, "{} of {}", again, sent - 4000);
    }

    #[test]
    fn what_is_missing_has_its_exact_size(
        isn in isn(),
        cuts in segments(4000),
        keep in prop::collection::vec(0_u8..10, 100),
        acks in prop::collection::vec((0_usize..8, 0_u32..4001, 0_u64..200 * MS), 100),
        tight in any::<bool>(),
    ) {
        let stream = stream(4000);
        let mut rig = begin(if tight { TIGHT } else { Limits::default() }, isn);
        let mut end = 0;
        for ((cut, keep), (ack, acked, wait)) in cuts.into_iter().zip(keep).zip(acks) {
            match keep {
                0 | 1 => continue,
                2 | 3 => send(&mut rig, isn, &stream, Cut { copied: cut.len / 2, ..cut }),
                4 => send(&mut rig, isn, &stream, Cut { copied: 0, ..cut }),
                _ => send(&mut rig, isn, &stream, cut),
            }
            end = end.max(cut.start + cut.len);
            // A probe of one byte at the very front is not taken for data; nothing else is exempt.
            if ack == 0 && acked as usize <= end {
                rig.send(Make::new(ToClient, SERVER.wrapping_add(1)).ack(isn.wrapping_add(1).wrapping_add(acked)));
            }
            if ack == 1 {
                rig.expire_after(wait);
            }
        }
        rig.finish();
        let (at, missing) = walk(&rig, &stream);
        prop_assert_eq!(at, end);
        prop_assert_eq!(rig.counters.lost.total(), missing);
        prop_assert_eq!(rig.counters.bytes, end as u64);
    }

    #[test]
    fn joined_late_the_stream_is_right_from_the_first_byte_on(isn in isn(), cuts in segments(2000)) {
        let stream = stream(2000);
        let mut rig = Rig::new();
        let first = cuts[0].start;
        for cut in cuts {
            send(&mut rig, isn, &stream, cut);
        }
        rig.finish();
        let mut got = rig.got(1, ToServer);
        got.retain(|got| !matches!(got, Got::End(_)));
        prop_assert_eq!(got, vec![Got::Bytes(stream[first..].to_vec())]);
    }

    #[test]
    fn no_sequence_of_packets_breaks_the_bounds(
        packets in prop::collection::vec((any::<bool>(), 0_u32..6, 0_u32..5000, 0_u32..5000, 0_u8..32, 0_usize..600, 0_u32..3), 1..300),
    ) {
        let stream = stream(600);
        let mut rig = Rig::with(TIGHT);
        for (to_server, port, seq, ack, flags, len, wait) in packets {
            let client = format!("10.0.0.1:{}", 4000 + port);
            let direction = if to_server { ToServer } else { ToClient };
            let seq = seq.wrapping_sub(2500);
            let make = Make::new(direction, seq).ends(&client, "10.0.0.2:80").ack(ack).data(&stream[..len]);
            rig.send(Make { ack: make.ack.filter(|_| flags & TcpFlags::ACK != 0), ..make.flags(flags & 7) });
            if wait == 0 {
                rig.expire_after(50 * MS);
            }
            prop_assert!(rig.table.len() <= TIGHT.flows);
        }
        rig.finish();
    }
}
