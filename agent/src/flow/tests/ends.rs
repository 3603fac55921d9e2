//! How connections end, and how their addresses are used again.

use super::*;

#[test]
fn fins_end_each_direction_after_its_last_byte() {
    let mut rig = Rig::open();
    rig.send(client(0).ack(of_server(0)).data(b"ask").fin());
    rig.expect(ToServer, &[bytes(b"ask"), Got::End(Ending::Fin)]);
    rig.send(server(0).ack(of_client(4)).data(b"answer"));
    assert_eq!(rig.table.len(), 1);
    rig.send(server(6).ack(of_client(4)).fin());
    rig.expect(ToClient, &[bytes(b"answer"), Got::End(Ending::Fin)]);
    assert_eq!(rig.table.len(), 0);
    rig.send(client(4).ack(of_server(7)));
    rig.expire_after(rig.limits.closed_nanos);
    rig.finish();
    assert_eq!(rig.counters.flows, 1);
    assert_eq!(rig.counters.lost.total(), 0);
    assert_eq!(rig.table.dropped(), Dropped::default());
}

#[test]
fn an_early_fin_waits_for_the_bytes_before_it() {
    let mut rig = Rig::open();
    rig.send(client(2).data(b"cd").fin());
    rig.expect(ToServer, &[]);
    rig.send(client(0).data(b"ab"));
    rig.expect(ToServer, &[bytes(b"abcd"), Got::End(Ending::Fin)]);
}

#[test]
fn a_waiting_fin_that_bytes_in_order_pass_is_dropped() {
    let mut rig = Rig::open();
    rig.send(client(2).fin());
    rig.send(client(0).data(b"abcd"));
    rig.send(client(4).data(b"ef"));
    rig.expect(ToServer, &[bytes(b"abcdef")]);
    rig.send(server(0).ack(of_client(9)));
    rig.finish();
    rig.expect(ToServer, &[bytes(b"abcdef"), lost(3), Got::End(Ending::Expired)]);
}

#[test]
fn bytes_behind_a_fin_or_a_reset_are_ignored_and_counted() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"ab").fin());
    rig.send(client(3).data(b"more"));
    rig.send(client(0).data(b"ab").fin());
    rig.expect(ToServer, &[bytes(b"ab"), Got::End(Ending::Fin)]);
    assert_eq!(rig.table.dropped().after_end, 1);
    assert_eq!(rig.counters.retransmitted_bytes, 2);
    rig.send(server(0).rst());
    rig.send(server(0).data(b"late"));
    rig.expect(ToClient, &[Got::End(Ending::Reset)]);
    assert_eq!(rig.table.dropped().after_end, 2);
}

#[test]
fn a_reset_counts_only_with_the_expected_number() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"abc"));
    rig.send(client(4).rst());
    rig.send(client(2).rst());
    assert_eq!(rig.table.dropped().resets, 2);
    rig.expect(ToServer, &[bytes(b"abc")]);
    rig.send(client(3).rst());
    rig.expect(ToServer, &[bytes(b"abc"), Got::End(Ending::Reset)]);
    rig.expect(ToClient, &[Got::End(Ending::Reset)]);
}

#[test]
fn a_reset_counts_where_the_receiver_acknowledged_more_than_was_captured() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"abc"));
    rig.send(server(0).ack(of_client(9)));
    rig.send(client(9).rst());
    rig.expect(ToServer, &[bytes(b"abc"), lost(6), Got::End(Ending::Reset)]);
}

#[test]
fn a_reset_counts_anywhere_in_the_window_where_the_capture_lacks_bytes() {
    let mut rig = Rig::open();
    rig.send(client(5).data(b"fgh"));
    rig.send(client(12).rst());
    rig.expect(ToServer, &[lost(5), bytes(b"fgh"), Got::End(Ending::Reset)]);
}

#[test]
fn a_refused_connection_is_reset() {
    let mut rig = Rig::new();
    rig.send(Make::new(ToServer, CLIENT).syn());
    rig.send(Make::new(ToClient, 0).rst().ack(of_client(7)));
    assert_eq!(rig.table.len(), 1);
    rig.send(Make::new(ToClient, 0).rst().ack(of_client(0)));
    rig.expect(ToServer, &[Got::End(Ending::Reset)]);
    rig.expect(ToClient, &[Got::End(Ending::Reset)]);
}

#[test]
fn a_retransmitted_syn_begins_nothing() {
    let mut rig = Rig::open();
    rig.send(Make::new(ToServer, CLIENT).syn());
    rig.send(Make::new(ToClient, SERVER).syn().ack(of_client(0)));
    rig.send(client(0).data(b"abc"));
    rig.send(Make::new(ToServer, CLIENT).syn());
    rig.expect(ToServer, &[bytes(b"abc")]);
    assert_eq!(rig.counters.flows, 1);
}

#[test]
fn a_new_syn_after_the_end_begins_a_new_flow() {
    let mut rig = Rig::open();
    rig.send(client(0).ack(of_server(0)).fin());
    rig.send(server(0).ack(of_client(1)).fin());
    rig.send(Make::new(ToServer, CLIENT.wrapping_add(5000)).syn());
    rig.send(Make::new(ToServer, CLIENT.wrapping_add(5001)).data(b"new"));
    assert_eq!(rig.counters.flows, 2);
    assert_eq!(rig.got(2, ToServer), [bytes(b"new")]);
}

#[test]
fn a_new_syn_outside_the_window_ends_the_old_flow() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"old"));
    rig.send(Make::new(ToServer, 1 << 30).syn());
    rig.expect(ToServer, &[bytes(b"old"), Got::End(Ending::Expired)]);
    rig.expect(ToClient, &[Got::End(Ending::Expired)]);
    assert_eq!((rig.counters.flows, rig.table.len()), (2, 1));
}

#[test]
fn a_new_syn_inside_the_window_is_refused() {
    let mut rig = Rig::open();
    rig.send(client(0).data(b"abc"));
    rig.send(client(1000).syn());
    rig.send(client(3).data(b"def"));
    rig.expect(ToServer, &[bytes(b"abcdef")]);
    assert_eq!((rig.counters.flows, rig.table.dropped().outside_window), (1, 1));
}

#[test]
fn a_second_try_to_connect_is_a_new_flow() {
    let mut rig = Rig::new();
    rig.send(Make::new(ToServer, 100).syn());
    rig.send(Make::new(ToServer, 200).syn());
    assert_eq!(rig.counters.flows, 2);
    rig.expect(ToServer, &[Got::End(Ending::Expired)]);
}

#[test]
fn an_answer_to_another_syn_is_of_a_new_flow() {
    let mut rig = Rig::new();
    rig.send(Make::new(ToServer, 100).syn());
    rig.send(Make::new(ToClient, 900).syn().ack(50_000));
    assert_eq!(rig.counters.flows, 2);
}

#[test]
fn silence_ends_a_flow_with_all_it_held() {
    let mut rig = Rig::open();
    rig.send(client(2).data(b"cd"));
    rig.expire_after(rig.limits.idle_nanos);
    rig.expect(ToServer, &[lost(2), bytes(b"cd"), Got::End(Ending::Expired)]);
    rig.expect(ToClient, &[Got::End(Ending::Expired)]);
    assert!(rig.table.is_empty());
}

#[test]
fn the_end_of_the_capture_ends_all_flows() {
    let mut rig = Rig::open();
    rig.send(client(2).data(b"cd"));
    rig.send(Make::new(ToServer, 7).ends("10.0.0.3:5000", "10.0.0.2:80").data(b"other"));
    rig.finish();
    rig.expect(ToServer, &[lost(2), bytes(b"cd"), Got::End(Ending::Expired)]);
    assert_eq!(rig.got(2, ToServer), [bytes(b"other"), Got::End(Ending::Expired)]);
    assert_eq!(rig.got(2, ToClient), [Got::End(Ending::Expired)]);
}
