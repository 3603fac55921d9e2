//! How connections begin, seen or not.

use super::*;

fn only(rig: &Rig) -> &Flow<u32> {
    let mut flows = rig.table.iter();
    let flow = flows.next().unwrap();
    assert!(flows.next().is_none());
    flow
}

#[test]
fn a_handshake_gives_the_join_key() {
    let rig = Rig::open();
    let flow = only(&rig);
    assert_eq!(flow.join_key, Some(JoinKey { client: CLIENT, server: SERVER }));
    assert!(!flow.mid_stream);
    assert_eq!(flow.id, FlowId(1));
    assert_eq!(flow.ends.dst, "10.0.0.2:80".parse().unwrap());
    assert_eq!(flow.packets, 3);
}

#[test]
fn a_syn_may_carry_data() {
    let mut rig = Rig::new();
    rig.send(Make::new(ToServer, CLIENT).syn().data(b"fast"));
    rig.send(Make::new(ToClient, SERVER).syn().ack(of_client(4)).data(b"answer"));
    rig.send(client(0).data(b"fast open"));
    rig.expect(ToServer, &[bytes(b"fast open")]);
    rig.expect(ToClient, &[bytes(b"answer")]);
}

#[test]
fn the_servers_number_comes_from_the_clients_first_acknowledgement_when_its_syn_is_missing() {
    let mut rig = Rig::new();
    rig.send(Make::new(ToServer, CLIENT).syn());
    rig.send(client(0).ack(of_server(0)));
    rig.send(server(3).ack(of_client(0)).data(b"def"));
    rig.send(server(0).ack(of_client(0)).data(b"abc"));
    rig.expect(ToClient, &[bytes(b"abcdef")]);
    assert_eq!(only(&rig).join_key, Some(JoinKey { client: CLIENT, server: SERVER }));
}

#[test]
fn what_was_acknowledged_before_its_first_bytes_were_seen_still_counts() {
    let mut rig = Rig::new();
    rig.send(Make::new(ToServer, CLIENT).syn());
    rig.send(client(0).ack(of_server(10)));
    rig.send(server(0).ack(of_client(0)).data(b"abc"));
    rig.finish();
    rig.expect(ToClient, &[bytes(b"abc"), lost(7), Got::End(Ending::Expired)]);
}

#[test]
fn a_syn_that_comes_late_names_the_beginning() {
    let mut rig = Rig::new();
    rig.send(client(0).ack(of_server(0)).data(b"abc"));
    rig.send(Make::new(ToServer, CLIENT).syn());
    rig.send(Make::new(ToClient, SERVER).syn().ack(of_client(0)));
    assert!(!only(&rig).mid_stream);
    assert_eq!(only(&rig).join_key, Some(JoinKey { client: CLIENT, server: SERVER }));
    assert_eq!(rig.counters.flows, 1);
}

#[test]
fn a_syn_that_is_missing_leaves_its_answer_to_tell_the_direction() {
    let mut rig = Rig::new();
    rig.send(Make::new(ToClient, SERVER).ends("10.0.0.1:80", "10.0.0.2:4000").syn().ack(of_client(0)));
    rig.send(client(0).ends("10.0.0.1:80", "10.0.0.2:4000").ack(of_server(0)).data(b"ask"));
    rig.expect(ToServer, &[bytes(b"ask")]);
    assert!(!only(&rig).mid_stream);
    assert_eq!(only(&rig).ends.dst, "10.0.0.2:4000".parse().unwrap());
}

#[test]
fn a_flow_joined_late_begins_at_the_first_byte_seen() {
    let mut rig = Rig::new();
    rig.send(server(100).ack(of_client(50)).data(b"answer"));
    rig.send(client(50).ack(of_server(106)).data(b"ask"));
    rig.expect(ToClient, &[bytes(b"answer")]);
    rig.expect(ToServer, &[bytes(b"ask")]);
    let flow = only(&rig);
    assert!(flow.mid_stream);
    assert_eq!((flow.ends.dst.port(), flow.join_key), (80, None));
    assert_eq!(rig.counters.bytes, 9);
}

#[test]
fn what_stands_before_the_first_byte_seen_is_not_read() {
    let mut rig = Rig::new();
    rig.send(client(50).data(b"seen"));
    rig.send(client(40).data(b"older bytes"));
    rig.expect(ToServer, &[bytes(b"seen")]);
    assert_eq!((rig.counters.retransmitted_bytes, rig.counters.lost.get(Reason::ReassemblyLimit)), (1, 10));
}

#[test]
fn acknowledgements_alone_begin_no_stream() {
    let mut rig = Rig::new();
    rig.send(client(50).ack(of_server(10)));
    rig.send(client(51).ack(of_server(20)).data(b"a"));
    rig.send(server(19).ack(of_client(52)));
    rig.send(server(20).ack(of_client(52)).data(b"b"));
    rig.finish();
    assert_eq!((rig.counters.bytes, rig.counters.lost.total()), (2, 0));
}

#[test]
fn one_direction_alone_is_read() {
    let mut rig = Rig::new();
    for offset in 0..10 {
        rig.send(server(offset * 3).ack(of_client(100 * offset)).data(b"abc"));
    }
    rig.finish();
    assert_eq!((rig.counters.bytes, rig.counters.lost.total()), (30, 0));
}

#[test]
fn both_sides_may_open_at_once() {
    let mut rig = Rig::new();
    rig.send(Make::new(ToServer, CLIENT).syn());
    rig.send(Make::new(ToClient, SERVER).syn());
    rig.send(client(0).ack(of_server(0)).data(b"abc"));
    rig.send(server(0).ack(of_client(3)).data(b"def"));
    assert_eq!(rig.counters.flows, 1);
    rig.expect(ToServer, &[bytes(b"abc")]);
    rig.expect(ToClient, &[bytes(b"def")]);
}

#[test]
fn datagrams_between_two_addresses_are_one_flow() {
    let mut rig = Rig::new();
    let dns = |direction| Make { udp: true, ..Make::new(direction, 0).ends("10.0.0.1:5353", "10.0.0.9:53") };
    rig.send(dns(ToServer).data(b"ask"));
    rig.send(dns(ToClient).data(b"answer").cut(4, Reason::Snaplen));
    rig.send(dns(ToServer).data(b"ask"));
    assert_eq!(rig.counters.flows, 1);
    assert_eq!(only(&rig).bytes, [6, 10]);
    rig.expect(ToServer, &[bytes(b"askask")]);
    rig.expire_after(rig.limits.datagrams_idle_nanos);
    rig.expect(ToClient, &[bytes(b"answer"), Got::Gap(4, Reason::Snaplen), Got::End(Ending::Expired)]);
    assert!(rig.table.is_empty());
}

#[test]
fn an_answer_from_a_servers_port_comes_from_the_server() {
    let mut rig = Rig::new();
    rig.send(Make { udp: true, ..Make::new(ToClient, 0).ends("10.0.0.1:5353", "10.0.0.9:53") }.data(b"answer"));
    rig.expect(ToClient, &[bytes(b"answer")]);
}
