//! Gaps, and what lies outside the window.

use super::*;

#[test]
fn segments_outside_the_window_are_dropped_and_counted() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"abc"));
    rig.send(client(3 + (0xffff << 7) + 1).data(b"forged"));
    rig.send(client((1_u32 << 31) + 5).data(b"forged"));
    assert_eq!(rig.table.dropped().outside_window, 2);
    assert_eq!(rig.table.held_bytes(), 0);
    rig.send(client(3 + (0xffff << 7)).data(b"far"));
    assert_eq!(rig.table.dropped().outside_window, 2);
    rig.finish();
    rig.expect(ToServer, &[bytes(b"abc"), lost(0xffff << 7), bytes(b"far"), Got::End(Ending::Expired)]);
}

#[test]
fn without_the_option_in_both_syns_the_window_is_not_scaled() {
    for client_scales in [true, false] {
        let mut rig = Rig::new();
        let (syn, answer) = (Make::new(ToServer, CLIENT).syn(), Make::new(ToClient, SERVER).syn().ack(of_client(0)));
        rig.send(if client_scales { syn.scale(7) } else { syn });
        rig.send(if client_scales { answer } else { answer.scale(7) });
        rig.send(client(0xffff + 1).ack(of_server(0)).data(b"forged"));
        rig.send(server(0xffff + 1).ack(of_client(0)).data(b"forged"));
        assert_eq!(rig.table.dropped().outside_window, 2);
    }
}

#[test]
fn the_window_moves_on_with_acknowledgements() {
    let mut rig = Rig::open();
    rig.send(server(0).ack(of_client(1000)));
    rig.send(client(1000 + (0xffff << 7)).data(b"far"));
    assert_eq!(rig.table.dropped().outside_window, 0);
}

#[test]
fn without_acknowledgements_a_segment_beyond_the_window_ends_the_wait() {
    let mut rig = Rig::open();
    rig.send(client(100).data(b"later"));
    rig.send(client(100 + (0xffff << 7)).data(b"far"));
    rig.expect(ToServer, &[lost(100), bytes(b"later")]);
    assert_eq!(rig.table.dropped().outside_window, 0);
}

/// A capture that lacks more than a window: both sides must say so, in either order.
#[test]
fn beyond_the_window_two_sides_that_agree_are_believed() {
    let far = (0xffff << 7) + 1000;
    let mut rig = Rig::open();
    rig.send(client(far).data(b"lost"));
    rig.send(server(0).ack(of_client(far + 4)));
    rig.send(client(far + 4).data(b"next"));
    rig.expire_after(rig.limits.reorder_nanos);
    rig.expect(ToServer, &[lost(u64::from(far) + 4), bytes(b"next")]);

    let mut rig = Rig::open();
    rig.send(server(0).ack(of_client(far)));
    rig.send(client(far).data(b"next"));
    rig.expire_after(rig.limits.reorder_nanos);
    rig.expect(ToServer, &[lost(far.into()), bytes(b"next")]);

    let mut rig = Rig::open();
    rig.send(client(far).fin());
    rig.send(server(0).ack(of_client(far + 1)));
    rig.finish();
    rig.expect(ToServer, &[lost(far.into()), Got::End(Ending::Fin)]);
}

#[test]
fn missing_bytes_that_were_acknowledged_are_given_up_after_some_packets() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"ab"));
    rig.send(client(4).data(b"ef"));
    rig.send(server(0).ack(of_client(6)).data(b"x"));
    rig.expect(ToServer, &[bytes(b"ab")]);
    for offset in 0..rig.limits.reorder_packets {
        rig.expect(ToServer, &[bytes(b"ab")]);
        rig.send(server(offset + 1).ack(of_client(6)).data(b"y"));
    }
    rig.expect(ToServer, &[bytes(b"ab"), lost(2), bytes(b"ef")]);
}

#[test]
fn missing_bytes_that_were_acknowledged_are_given_up_after_some_time() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"ab"));
    rig.send(server(0).ack(of_client(9)).data(b"answer"));
    rig.expire_after(rig.limits.reorder_nanos - 2000);
    rig.expect(ToServer, &[bytes(b"ab")]);
    rig.expire_after(4000);
    rig.expect(ToServer, &[bytes(b"ab"), lost(7)]);
    rig.expect(ToClient, &[bytes(b"answer")]);
}

#[test]
fn an_acknowledgement_that_overtakes_its_bytes_costs_nothing() {
    let mut rig = Rig::open();
    rig.send(server(0).ack(of_client(300)).data(b"x"));
    for offset in 0..300 {
        rig.send(client(offset).ack(of_server(0)).data(b"a"));
    }
    rig.finish();
    assert_eq!(rig.counters.lost.total(), 0);
    assert_eq!(rig.counters.captured_bytes, 301);
}

#[test]
fn an_acknowledgement_of_a_part_gives_up_that_part_only() {
    let mut rig = Rig::open();
    rig.send(client(10).data(b"k"));
    rig.send(server(0).ack(of_client(4)).data(b"x"));
    rig.expire_after(rig.limits.reorder_nanos);
    rig.expect(ToServer, &[lost(4)]);
    rig.send(client(4).data(b"efghij"));
    rig.expect(ToServer, &[lost(4), bytes(b"efghijk")]);
}

#[test]
fn an_acknowledgement_beyond_the_window_says_nothing() {
    let mut rig = Rig::open();
    rig.send(server(0).ack(of_client((0xffff << 7) + 1)).data(b"x"));
    rig.expire_after(SECOND);
    rig.expect(ToServer, &[]);
}

#[test]
fn missing_bytes_nobody_acknowledged_are_waited_for_longer() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"ab"));
    rig.expire_after(100 * SECOND);
    rig.send(client(4).data(b"ef"));
    rig.expire_after(rig.limits.gap_nanos - SECOND);
    rig.expect(ToServer, &[bytes(b"ab")]);
    rig.expire_after(SECOND);
    rig.expect(ToServer, &[bytes(b"ab"), lost(2), bytes(b"ef")]);
}

#[test]
fn a_lost_tail_that_was_acknowledged_is_a_gap_at_the_end() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"ab"));
    rig.send(server(0).ack(of_client(5)));
    rig.send(server(0).ack(of_client(1)));
    rig.finish();
    rig.expect(ToServer, &[bytes(b"ab"), lost(3), Got::End(Ending::Expired)]);
}

#[test]
fn a_lost_tail_before_a_fin_is_a_gap() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"ab"));
    rig.send(client(5).fin());
    rig.send(server(0).ack(of_client(6)));
    rig.expire_after(rig.limits.reorder_nanos);
    rig.expect(ToServer, &[bytes(b"ab"), lost(3), Got::End(Ending::Fin)]);
}

#[test]
fn the_acknowledgement_of_a_fin_that_is_not_in_the_capture_is_no_byte() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"ab"));
    rig.send(server(0).ack(of_client(3)));
    rig.expire_after(SECOND);
    rig.finish();
    rig.expect(ToServer, &[bytes(b"ab"), Got::End(Ending::Expired)]);
}

#[test]
fn what_the_kernel_had_no_room_for_says_so() {
    let mut rig = Rig::open();
    rig.send(client(2).cut(4, Reason::RingFull));
    rig.send(client(0).data(b"ab"));
    rig.expect(ToServer, &[bytes(b"ab"), Got::Gap(4, Reason::RingFull)]);
}
