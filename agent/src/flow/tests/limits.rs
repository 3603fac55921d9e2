//! Bounds.

use super::*;

const FEW: Limits = Limits {
    flows: 8,
    held_per_flow: 4000,
    held: 8000,
    idle_nanos: 60 * SECOND,
    datagrams_idle_nanos: 10 * SECOND,
    closed_nanos: SECOND,
    gap_nanos: 5 * SECOND,
    reorder_nanos: 100 * MS,
    reorder_packets: 8,
};

fn address(port: u32) -> String {
    format!("10.0.0.1:{}", 40_000 + port)
}

fn data_from(rig: &mut Rig, port: u32, payload: &[u8]) {
    rig.send(Make::new(ToServer, 1).ends(&address(port), "10.0.0.2:80").data(payload));
    rig.now += SECOND / 2;
}

#[test]
fn the_flow_that_was_idle_longest_makes_room() {
    let mut rig = Rig::with(FEW);
    for port in 0..8 {
        data_from(&mut rig, port, b"first");
    }
    data_from(&mut rig, 0, b"first and more");
    data_from(&mut rig, 8, b"new");
    assert_eq!(rig.got(1, ToServer), [bytes(b"first and more")]);
    assert_eq!(rig.got(2, ToServer), [bytes(b"first"), Got::End(Ending::Evicted)]);
    assert_eq!(rig.got(2, ToClient), [Got::End(Ending::Evicted)]);
    assert_eq!((rig.table.len(), rig.table.evicted(), rig.counters.flows), (8, 1, 9));
}

#[test]
fn an_evicted_flow_delivers_what_it_held() {
    let mut rig = Rig::with(FEW);
    data_from(&mut rig, 0, b"a");
    rig.send(Make::new(ToServer, 4).ends(&address(0), "10.0.0.2:80").data(b"d"));
    for port in 1..9 {
        data_from(&mut rig, port, b"x");
    }
    let gap = Got::Gap(2, Reason::FlowLimit);
    assert_eq!(rig.got(1, ToServer), [bytes(b"a"), gap, bytes(b"d"), Got::End(Ending::Evicted)]);
    assert_eq!(rig.table.held_bytes(), 0);
}

#[test]
fn ended_flows_make_room_first() {
    let mut rig = Rig::with(FEW);
    for port in 0..8 {
        data_from(&mut rig, port, b"x");
    }
    rig.send(Make::new(ToServer, 2).ends(&address(5), "10.0.0.2:80").rst());
    data_from(&mut rig, 9, b"x");
    assert_eq!((rig.table.len(), rig.table.evicted()), (8, 0));
}

#[test]
fn a_syn_flood_costs_no_more_than_the_limit_and_drives_nothing_out() {
    let mut rig = Rig::with(FEW);
    for port in 0..4 {
        data_from(&mut rig, port, b"alive");
    }
    for flood in 0..1000 {
        rig.send(Make::new(ToServer, flood).ends(&format!("10.9.0.1:{}", 1024 + flood), "10.0.0.2:80").syn());
    }
    assert_eq!(rig.table.len(), 8);
    for flow in 1..=4 {
        assert_eq!(rig.got(flow, ToServer), [bytes(b"alive")]);
    }
    rig.finish();
}

#[test]
fn a_flow_that_holds_too_much_gives_up_its_gap() {
    let mut rig = Rig::with(FEW);
    rig.handshake();
    rig.send(client(100).data(&[7; 2000]));
    rig.expect(ToServer, &[]);
    rig.send(client(2200).data(&[8; 2000]));
    rig.expect(ToServer, &[Got::Gap(100, Reason::ReassemblyLimit), Got::Bytes(vec![7; 2000])]);
    assert!(rig.table.held_bytes() <= FEW.held_per_flow);
}

#[test]
fn when_all_hold_too_much_the_largest_gives_up_first() {
    let mut rig = Rig::with(Limits { held: 7000, ..FEW });
    for port in 0..3 {
        let client = address(port);
        rig.send(Make::new(ToServer, 0).ends(&client, "10.0.0.2:80").syn());
        let size = if port == 1 { 2500 } else { 100 };
        rig.send(Make::new(ToServer, 11).ends(&client, "10.0.0.2:80").data(&vec![port as u8; size]));
    }
    assert!(rig.got(1, ToServer).is_empty());
    assert!(rig.got(2, ToServer).is_empty());
    let client = address(3);
    rig.send(Make::new(ToServer, 0).ends(&client, "10.0.0.2:80").syn());
    rig.send(Make::new(ToServer, 11).ends(&client, "10.0.0.2:80").data(b"one more"));
    assert!(rig.got(1, ToServer).is_empty());
    assert_eq!(rig.got(2, ToServer)[0], Got::Gap(10, Reason::ReassemblyLimit));
    rig.finish();
}

#[test]
fn tiny_segments_count_with_what_they_cost() {
    let mut rig = Rig::with(Limits { held_per_flow: 1 << 20, held: 100_000, ..FEW });
    rig.handshake();
    for offset in 0..10_000 {
        rig.send(client(2 + offset * 2).data(b"x"));
    }
    assert!(rig.counters.lost.get(Reason::ReassemblyLimit) > 0);
    rig.finish();
    assert_eq!(rig.counters.captured_bytes, 10_000);
}

#[test]
fn a_closed_flow_lingers_only_so_long() {
    let mut rig = Rig::with(FEW);
    rig.handshake();
    rig.send(client(0).rst());
    rig.expire_after(FEW.closed_nanos - MS);
    rig.send(server(0).data(b"late"));
    assert_eq!(rig.counters.flows, 1);
    rig.expire_after(FEW.closed_nanos);
    rig.send(server(0).data(b"new"));
    assert_eq!(rig.counters.flows, 2);
}

#[test]
fn expiring_looks_at_flows_by_their_own_silence() {
    let mut rig = Rig::with(FEW);
    for port in 0..4 {
        data_from(&mut rig, port, b"x");
    }
    for _ in 0..100 {
        rig.expire_after(SECOND);
        rig.send(Make::new(ToServer, 2).ends(&address(2), "10.0.0.2:80").ack(1));
    }
    assert_eq!(rig.table.len(), 1);
    assert!(!rig.got(3, ToServer).contains(&Got::End(Ending::Expired)));
}
