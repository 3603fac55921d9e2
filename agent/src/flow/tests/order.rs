//! Order within a stream.

use super::*;

#[test]
fn in_order_segments_are_handed_on_as_they_are_across_the_wrap() {
    let mut rig = Rig::open();
    for offset in 0..8 {
        rig.send(client(offset * 10).ack(of_server(0)).data(b"0123456789"));
    }
    rig.expect(ToServer, &[bytes(&b"0123456789".repeat(8))]);
    assert_eq!(rig.counters.captured_bytes, 80);
    assert_eq!(rig.table.iter().next().unwrap().bytes, [80, 0]);
}

#[test]
fn out_of_order_segments_wait() {
    let mut rig = Rig::open();
    rig.send(client(20).data(b"klm"));
    rig.send(client(10).data(b"0123456789"));
    rig.expect(ToServer, &[]);
    assert!(rig.table.held_bytes() > 13);
    rig.send(client(0).data(b"abcdefghij"));
    rig.expect(ToServer, &[bytes(b"abcdefghij0123456789klm")]);
    assert_eq!((rig.table.held_bytes(), rig.counters.retransmitted_bytes), (0, 0));
}

#[test]
fn retransmitted_bytes_are_counted_apart_and_delivered_ones_never_change() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"abcdef"));
    rig.send(client(0).data(b"ABCDEF"));
    rig.send(client(2).data(b"CDEFgh"));
    rig.expect(ToServer, &[bytes(b"abcdefgh")]);
    assert_eq!(rig.counters.retransmitted_bytes, 6 + 4);
    assert_eq!(rig.counters.bytes, 8);
}

#[test]
fn the_first_copy_of_a_waiting_byte_stays() {
    let mut rig = Rig::open();
    rig.send(client(4).data(b"efgh"));
    rig.send(client(4).data(b"EFGH"));
    rig.send(client(5).data(b"FG"));
    rig.send(client(6).data(b"GHij"));
    rig.send(client(0).data(b"abcd"));
    rig.expect(ToServer, &[bytes(b"abcdefghij")]);
    assert_eq!(rig.counters.retransmitted_bytes, 4 + 2 + 2);
}

#[test]
fn a_segment_that_covers_waiting_ones_whole_replaces_them() {
    let mut rig = Rig::open();
    rig.send(client(4).data(b"ef"));
    rig.send(client(6).data(b"gh"));
    rig.send(client(9).data(b"jk"));
    rig.send(client(4).data(b"EFGHIJ"));
    rig.send(client(0).data(b"abcd"));
    // What it covers in part is passed over where both have bytes: the one that begins earlier is read first.
    rig.expect(ToServer, &[bytes(b"abcdEFGHIJk")]);
    assert_eq!(rig.counters.retransmitted_bytes, 2 + 2 + 1);
}

#[test]
fn what_arrives_in_order_wins_over_what_waits() {
    let mut rig = Rig::open();
    rig.send(client(4).data(b"efgh"));
    rig.send(client(0).data(b"ABCDEF"));
    rig.expect(ToServer, &[bytes(b"ABCDEFgh")]);
    assert_eq!(rig.counters.retransmitted_bytes, 2);
}

#[test]
fn keep_alive_probes_are_no_data() {
    let mut rig = Rig::open();
    rig.send(client(0).ack(of_server(0)).data(b"abc"));
    rig.send(client(2).ack(of_server(0)));
    rig.send(client(2).ack(of_server(0)).data(b"\0"));
    rig.send(client(3).ack(of_server(0)).data(b"d"));
    rig.expect(ToServer, &[bytes(b"abcd")]);
    assert_eq!(rig.counters.retransmitted_bytes, 0);
}

#[test]
fn a_cut_segment_is_its_front_and_a_gap_at_once() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"abc").cut(5, Reason::Snaplen));
    rig.send(client(8).data(b"ij"));
    rig.expect(ToServer, &[bytes(b"abc"), Got::Gap(5, Reason::Snaplen), bytes(b"ij")]);
    assert_eq!(rig.counters.bytes, 10);
}

#[test]
fn bodies_left_out_by_policy_are_skipped() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"abc").cut(5, Reason::BodyRate));
    rig.send(client(8).cut(1000, Reason::BodyRate));
    rig.expect(ToServer, &[bytes(b"abc"), Got::Skip(5, Reason::BodyRate), Got::Skip(1000, Reason::BodyRate)]);
    assert_eq!(rig.counters.skipped.total(), 1005);
}

#[test]
fn a_waiting_full_copy_beats_a_cut_one() {
    let mut rig = Rig::open();
    rig.send(client(4).data(b"efgh"));
    rig.send(client(0).data(b"ab").cut(8, Reason::Snaplen));
    rig.expect(ToServer, &[bytes(b"ab"), Got::Gap(2, Reason::Snaplen), bytes(b"efgh"), Got::Gap(2, Reason::Snaplen)]);
    let mut rig = Rig::open();
    rig.send(client(4).data(b"ef").cut(2, Reason::Snaplen));
    rig.send(client(4).data(b"efgh"));
    rig.send(client(0).data(b"abcd"));
    rig.expect(ToServer, &[bytes(b"abcdefgh")]);
    assert_eq!(rig.counters.bytes, 8);
    assert_eq!(rig.counters.retransmitted_bytes, 4);
}

#[test]
fn bytes_declared_missing_are_not_brought_back() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"ab").cut(2, Reason::Snaplen));
    rig.send(client(0).data(b"abcd"));
    rig.send(client(4).data(b"ef"));
    rig.expect(ToServer, &[bytes(b"ab"), Got::Gap(2, Reason::Snaplen), bytes(b"ef")]);
    assert_eq!(rig.counters.retransmitted_bytes, 4);
}

#[test]
fn chunks_carry_the_time_of_their_own_packet() {
    let mut table = FlowTable::new(Limits::default());
    let mut times = Vec::new();
    for (time, seq, payload) in [(10, 1, &b"a"[..]), (20, 3, b"c"), (30, 2, b"b")] {
        let packet = Packet {
            time: Time(time),
            source: CaptureSource::Pcap,
            number: time,
            view: None,
            header: Tuple { src: "1.1.1.1:5000".parse().unwrap(), dst: "1.1.1.2:80".parse().unwrap() },
            transport: crate::capture::Transport::Tcp(TcpHeader {
                seq,
                ack: 0,
                flags: TcpFlags(0),
                window: 0,
                window_scale: None,
            }),
            payload,
            wire_len: 1,
            cut: None,
        };
        table.packet(&packet, &mut Counters::default(), &mut |_| (), &mut |_, _, piece, _| {
            if let Piece::Chunk { time, .. } = piece {
                times.push(time.0);
            }
        });
    }
    assert_eq!(times, [10, 30, 20]);
}

#[test]
fn an_answer_comes_after_what_it_acknowledges() {
    let mut rig = Rig::open();
    rig.send(server(0).ack(of_client(4)).data(b"pong"));
    assert_eq!(rig.both(), []);
    rig.send(client(0).ack(of_server(0)).data(b"ping"));
    assert_eq!(rig.both(), [(ToServer, bytes(b"ping")), (ToClient, bytes(b"pong"))]);
}

#[test]
fn an_answer_comes_after_what_it_acknowledges_and_is_missing() {
    let mut rig = Rig::open();
    rig.send(client(4).ack(of_server(0)).data(b"tail"));
    rig.send(server(0).ack(of_client(8)).data(b"one"));
    rig.send(client(8).ack(of_server(3)).data(b"more"));
    assert_eq!(rig.both(), []);
    rig.expire_after(rig.limits.reorder_nanos);
    let expected =
        [(ToServer, lost(4)), (ToServer, bytes(b"tail")), (ToClient, bytes(b"one")), (ToServer, bytes(b"more"))];
    assert_eq!(rig.both(), expected);
}

#[test]
fn directions_that_claim_to_wait_for_each_other_wait_no_longer_than_for_a_gap() {
    let mut rig = Rig::open();
    rig.send(client(0).ack(of_server(9)).data(b"first"));
    rig.send(server(0).ack(of_client(9)).data(b"second"));
    rig.expire_after(rig.limits.reorder_nanos);
    rig.finish();
    let [to_server, to_client] = [ToServer, ToClient].map(|direction| rig.got(1, direction));
    assert_eq!(to_server, [bytes(b"first"), lost(4), Got::End(Ending::Expired)]);
    assert_eq!(to_client, [bytes(b"second"), lost(3), Got::End(Ending::Expired)]);
}

#[test]
fn a_gap_lets_pass_what_waited_for_it_in_turns() {
    let mut rig = Rig::open();
    rig.send(client(0).ack(of_server(0)).data(b"q1"));
    // The front of the first answer is missing.
    rig.send(server(2).ack(of_client(2)).data(b"a1"));
    rig.send(client(2).ack(of_server(4)).data(b"q2"));
    rig.send(server(4).ack(of_client(4)).data(b"a2"));
    rig.send(client(4).ack(of_server(6)).data(b"q3"));
    rig.expire_after(rig.limits.reorder_nanos);
    let expected = [
        (ToServer, bytes(b"q1")),
        (ToClient, lost(2)),
        (ToClient, bytes(b"a1")),
        (ToServer, bytes(b"q2")),
        (ToClient, bytes(b"a2")),
        (ToServer, bytes(b"q3")),
    ];
    assert_eq!(rig.both(), expected);
}

#[test]
fn a_segment_without_a_copy_waits_like_any_other_and_not_for_ever() {
    for expire in [false, true] {
        let mut rig = Rig::open();
        rig.send(server(0).ack(of_client(4)).cut(50, Reason::Snaplen));
        if expire {
            rig.expire_after(rig.limits.reorder_nanos);
        }
        rig.finish();
        let expected = [
            (ToServer, lost(4)),
            (ToClient, Got::Gap(50, Reason::Snaplen)),
            (ToServer, Got::End(Ending::Expired)),
            (ToClient, Got::End(Ending::Expired)),
        ];
        let mut both = rig.both();
        both.sort_by_key(|(direction, got)| (matches!(got, Got::End(_)), *direction as u8));
        assert_eq!(both, expected);
    }
}

#[test]
fn bytes_from_before_the_first_one_seen_are_lost_and_not_again() {
    // A capture in reversed order: the stream begins with its last segment.
    let mut rig = Rig::new();
    rig.send(client(300).data(b"last"));
    rig.send(client(200).data(&[b'b'; 100]));
    rig.send(client(100).data(&[b'a'; 100]));
    assert_eq!((rig.counters.retransmitted_bytes, rig.counters.lost.get(Reason::ReassemblyLimit)), (0, 200));
}
