//! Connections of a live node: sockets, listeners, twins, NAT.

use super::*;

/// A socket: its cookie, and its own addresses as it sees them.
#[derive(Clone, Copy)]
struct Socket {
    cookie: u64,
    local: &'static str,
    peer: &'static str,
    /// Sends to the server.
    client: bool,
    join: Option<JoinKey>,
    twin: bool,
    /// A listener's or nobody's: without addresses.
    bare: bool,
}

const HERE: &str = "127.0.0.1:40000";
const THERE: &str = "127.0.0.1:8080";
const KEY: JoinKey = JoinKey { client: CLIENT, server: SERVER };

const CALLER: Socket =
    Socket { cookie: 11, local: HERE, peer: THERE, client: true, join: None, twin: false, bare: false };
const TAKER: Socket =
    Socket { cookie: 22, local: THERE, peer: HERE, client: false, join: None, twin: false, bare: false };
const LISTENER: Socket = Socket { cookie: 33, bare: true, ..TAKER };

impl Socket {
    fn at(self, egress: bool, make: Make<'_>) -> Make<'_> {
        let parse = |text: &str| text.parse().unwrap();
        let out = Tuple { src: parse(self.local), dst: parse(self.peer) };
        let own = if egress { out } else { out.reversed() };
        let view = View {
            cookie: self.cookie,
            egress,
            own: (!self.bare).then_some(own),
            join: self.join,
            twin: self.twin,
            cgroup: self.cookie * 100,
            interface: 1,
        };
        // The header's addresses are the socket's, unless a test says otherwise.
        let (client, server) = if self.client { (self.local, self.peer) } else { (self.peer, self.local) };
        Make {
            view: Some(view),
            direction: if egress == self.client { ToServer } else { ToClient },
            client,
            server,
            ..make
        }
    }

    fn sends(self, make: Make<'_>) -> Make<'_> {
        self.at(true, make)
    }

    fn receives(self, make: Make<'_>) -> Make<'_> {
        self.at(false, make)
    }
}

/// A packet passes: out at one socket, in at the other.
fn pass(rig: &mut Rig, from: Socket, to: Socket, make: Make<'_>) {
    rig.send(from.sends(make));
    rig.send(to.receives(make));
}

fn handshake(rig: &mut Rig) {
    pass(rig, CALLER, LISTENER, Make::new(ToServer, CLIENT).syn());
    pass(rig, LISTENER, CALLER, Make::new(ToClient, SERVER).syn().ack(of_client(0)));
}

fn only(rig: &Rig) -> &Flow<u32> {
    let mut flows = rig.table.iter();
    let flow = flows.next().unwrap();
    assert!(flows.next().is_none());
    flow
}

#[track_caller]
fn ask_and_answer_once(rig: &Rig) {
    assert_eq!(rig.counters.flows, 1);
    rig.expect(ToServer, &[bytes(b"ask")]);
    rig.expect(ToClient, &[bytes(b"answer")]);
    assert_eq!((rig.counters.bytes, rig.counters.captured_bytes, rig.counters.retransmitted_bytes), (9, 9, 0));
    let flow = only(rig);
    assert_eq!((flow.views.client, flow.views.server), (true, true));
    assert_eq!(flow.ends.src, HERE.parse().unwrap());
}

#[test]
fn a_connection_within_the_node_counts_once() {
    let mut rig = Rig::new();
    handshake(&mut rig);
    let (caller, taker) = (Socket { join: Some(KEY), ..CALLER }, Socket { join: Some(KEY), ..TAKER });
    pass(&mut rig, caller, taker, client(0).ack(of_server(0)).data(b"ask"));
    pass(&mut rig, taker, caller, server(0).ack(of_client(3)).data(b"answer"));
    ask_and_answer_once(&rig);
    assert_eq!(rig.counters.packets, 8);
    let flow = only(&rig);
    assert_eq!((flow.join_key, flow.dialed, flow.cgroup), (Some(KEY), None, 1100));
}

#[test]
fn without_the_kernels_help_it_counts_once_as_well() {
    let mut rig = Rig::new();
    handshake(&mut rig);
    pass(&mut rig, CALLER, TAKER, client(0).ack(of_server(0)).data(b"ask"));
    pass(&mut rig, TAKER, CALLER, server(0).ack(of_client(3)).data(b"answer"));
    ask_and_answer_once(&rig);
}

#[test]
fn whichever_packet_of_the_handshake_is_lost_it_counts_once() {
    for lost in 0..16 {
        let mut rig = Rig::new();
        let packets = [
            CALLER.sends(Make::new(ToServer, CLIENT).syn()),
            LISTENER.receives(Make::new(ToServer, CLIENT).syn()),
            LISTENER.sends(Make::new(ToClient, SERVER).syn().ack(of_client(0))),
            CALLER.receives(Make::new(ToClient, SERVER).syn().ack(of_client(0))),
        ];
        for (bit, packet) in packets.into_iter().enumerate() {
            if lost >> bit & 1 == 0 {
                rig.send(packet);
            }
        }
        pass(&mut rig, CALLER, TAKER, client(0).ack(of_server(0)).data(b"ask"));
        pass(&mut rig, TAKER, CALLER, server(0).ack(of_client(3)).data(b"answer"));
        ask_and_answer_once(&rig);
    }
}

#[test]
fn the_listener_hands_over_to_the_accepting_socket() {
    let mut rig = Rig::new();
    rig.send(LISTENER.receives(Make::new(ToServer, CLIENT).syn()));
    rig.send(LISTENER.sends(Make::new(ToClient, SERVER).syn().ack(of_client(0))));
    // With TCP_DEFER_ACCEPT the first request is the listener's, too.
    rig.send(LISTENER.receives(client(0).ack(of_server(0)).data(b"ask")));
    rig.send(TAKER.sends(server(0).ack(of_client(3)).data(b"answer")));
    rig.send(TAKER.receives(client(3).ack(of_server(6)).data(b" more")));
    rig.expect(ToServer, &[bytes(b"ask more")]);
    rig.expect(ToClient, &[bytes(b"answer")]);
    let flow = only(&rig);
    assert_eq!((flow.views.client, flow.views.server, flow.cgroup), (false, true, 2200));
    assert_eq!(flow.join_key, Some(KEY));
}

#[test]
fn what_the_listener_receives_from_this_node_counts_once() {
    let mut rig = Rig::new();
    handshake(&mut rig);
    pass(&mut rig, CALLER, LISTENER, client(0).ack(of_server(0)).data(b"ask"));
    pass(&mut rig, TAKER, CALLER, server(0).ack(of_client(3)).data(b"answer"));
    ask_and_answer_once(&rig);
}

#[test]
fn a_third_socket_takes_no_part() {
    let mut rig = Rig::new();
    handshake(&mut rig);
    pass(&mut rig, CALLER, TAKER, client(0).ack(of_server(0)).data(b"ask"));
    let third = Socket { cookie: 77, join: Some(KEY), ..CALLER };
    rig.send(third.sends(client(3).ack(of_server(0)).data(b"foreign")));
    pass(&mut rig, CALLER, TAKER, client(3).ack(of_server(0)).data(b" more"));
    assert_eq!(rig.got(1, ToServer), [bytes(b"ask more")]);
    assert_eq!(rig.got(2, ToServer), [bytes(b"foreign")]);
}

#[test]
fn equal_initial_numbers_of_strangers_join_nothing() {
    let mut rig = Rig::new();
    let stranger = Socket { local: "10.5.0.1:9000", peer: "10.5.0.2:5555", ..LISTENER };
    rig.send(CALLER.sends(Make::new(ToServer, CLIENT).syn()));
    rig.send(stranger.receives(Make::new(ToServer, CLIENT).syn()));
    assert_eq!(rig.counters.flows, 2);
}

#[test]
fn connections_that_share_a_listener_are_kept_apart() {
    let mut rig = Rig::new();
    for port in [40_001, 40_002] {
        let client = format!("10.0.0.7:{port}");
        let isn = port << 8;
        rig.send(Make { client: &client, ..LISTENER.receives(Make::new(ToServer, isn).syn()) });
        let answer = Make::new(ToClient, isn + 77).syn().ack(isn + 1);
        rig.send(Make { client: &client, ..LISTENER.sends(answer) });
        rig.send(Make { client: &client, ..LISTENER.receives(Make::new(ToServer, isn + 1).ack(isn + 78).data(b"hi")) });
    }
    assert_eq!(rig.counters.flows, 2);
    assert_eq!(rig.got(1, ToServer), [bytes(b"hi")]);
    assert_eq!(rig.got(2, ToServer), [bytes(b"hi")]);
}

#[test]
fn a_redirected_client_names_whom_it_dialed() {
    let mut rig = Rig::new();
    // OUTPUT redirect: the client's socket keeps the service's address, its packets leave for the real one.
    let caller = Socket { peer: "10.98.0.9:80", ..CALLER };
    rig.send(Make { server: THERE, ..caller.sends(Make::new(ToServer, CLIENT).syn()) });
    let flow = only(&rig);
    assert_eq!((flow.ends.dst, flow.dialed), (THERE.parse().unwrap(), Some("10.98.0.9:80".parse().unwrap())));
    rig.send(LISTENER.receives(Make::new(ToServer, CLIENT).syn()));
    rig.send(LISTENER.sends(Make::new(ToClient, SERVER).syn().ack(of_client(0))));
    rig.send(caller.receives(Make::new(ToClient, SERVER).syn().ack(of_client(0))));
    rig.send(Make { server: THERE, ..caller.sends(client(0).ack(of_server(0)).data(b"ask")) });
    rig.send(TAKER.receives(client(0).ack(of_server(0)).data(b"ask")));
    rig.send(TAKER.sends(server(0).ack(of_client(3)).data(b"answer")));
    rig.send(caller.receives(server(0).ack(of_client(3)).data(b"answer")));
    ask_and_answer_once(&rig);
    let flow = only(&rig);
    assert_eq!((flow.ends.dst, flow.dialed), (THERE.parse().unwrap(), Some("10.98.0.9:80".parse().unwrap())));
}

#[test]
fn sockets_older_than_the_capture_are_joined_by_their_addresses() {
    for first in [true, false] {
        let mut rig = Rig::new();
        if first {
            rig.send(CALLER.sends(client(0).ack(of_server(0)).data(b"ask")));
        }
        rig.send(TAKER.receives(client(0).ack(of_server(0)).data(b"ask")));
        pass(&mut rig, TAKER, CALLER, server(0).ack(of_client(3)).data(b"answer"));
        ask_and_answer_once(&rig);
        assert!(only(&rig).mid_stream);
    }
}

#[test]
fn behind_nat_they_are_joined_by_a_packet_that_passed_both() {
    let mut rig = Rig::new();
    let caller = Socket { peer: "10.96.0.1:80", ..CALLER };
    pass(&mut rig, caller, TAKER, client(0).ack(of_server(0)).data(b"ask"));
    pass(&mut rig, TAKER, caller, server(0).ack(of_client(3)).data(b"answer"));
    ask_and_answer_once(&rig);
    assert_eq!(only(&rig).dialed, Some("10.96.0.1:80".parse().unwrap()));
}

#[test]
fn two_flows_that_turn_out_to_be_one_count_once() {
    let mut rig = Rig::new();
    let caller = Socket { peer: "10.96.0.1:80", ..CALLER };
    rig.send(TAKER.receives(client(0).ack(of_server(0)).data(b"ask")));
    pass(&mut rig, caller, TAKER, client(3).ack(of_server(0)).data(b" more"));
    pass(&mut rig, TAKER, caller, server(0).ack(of_client(8)).data(b"answer"));
    pass(&mut rig, caller, TAKER, client(8).ack(of_server(6)).data(b" and more"));
    assert_eq!(rig.got(1, ToServer), [bytes(b"ask more and more")]);
    assert_eq!(rig.got(1, ToClient), [bytes(b"answer")]);
    assert_eq!((rig.counters.flows, rig.counters.bytes, rig.table.len()), (1, 23, 1));
    let flow = only(&rig);
    assert_eq!((flow.ends.src, flow.ends.dst), (HERE.parse().unwrap(), THERE.parse().unwrap()));
}

#[test]
fn equal_numbers_of_strangers_join_nothing() {
    let mut rig = Rig::new();
    let stranger = Socket { local: "10.5.0.1:9000", peer: "10.5.0.2:5555", ..TAKER };
    rig.send(CALLER.sends(client(0).ack(of_server(0)).data(b"ask")));
    rig.send(stranger.receives(client(0).ack(of_server(0)).data(b"ask")));
    assert_eq!(rig.counters.flows, 2);
}

#[test]
fn pods_with_the_same_loopback_addresses_are_kept_apart() {
    let mut rig = Rig::new();
    let other_caller = Socket { cookie: 44, ..CALLER };
    let other_taker = Socket { cookie: 55, ..TAKER };
    let far =
        |make: Make<'static>| Make { seq: make.seq ^ 0x5a5a_0000, ack: make.ack.map(|ack| ack ^ 0x3c3c_0000), ..make };
    rig.send(TAKER.receives(client(100).ack(of_server(0)).data(b"ask")));
    pass(&mut rig, other_caller, other_taker, far(client(100).ack(of_server(0)).data(b"foreign")));
    pass(&mut rig, CALLER, TAKER, client(103).ack(of_server(0)).data(b" more"));
    assert_eq!(rig.counters.flows, 2);
    assert_eq!(rig.got(1, ToServer), [bytes(b"ask more")]);
    assert_eq!(rig.got(2, ToServer), [bytes(b"foreign")]);
}

#[test]
fn a_refusal_without_a_socket_ends_the_connection() {
    let mut rig = Rig::new();
    let nobody = Socket { cookie: 66, ..LISTENER };
    rig.send(CALLER.sends(Make::new(ToServer, CLIENT).syn()));
    rig.send(nobody.sends(Make::new(ToClient, 0).rst().ack(of_client(0))));
    rig.expect(ToServer, &[Got::End(Ending::Reset)]);
    rig.expect(ToClient, &[Got::End(Ending::Reset)]);
    assert_eq!(rig.counters.flows, 1);
}

#[test]
fn a_reset_counts_where_it_is_received() {
    let mut rig = Rig::new();
    handshake(&mut rig);
    pass(&mut rig, CALLER, TAKER, client(0).ack(of_server(0)).data(b"ask"));
    rig.send(Socket { twin: true, ..CALLER }.receives(server(0).rst()));
    rig.expect(ToServer, &[bytes(b"ask"), Got::End(Ending::Reset)]);
}

#[test]
fn what_a_twin_receives_begins_no_flow() {
    let mut rig = Rig::new();
    rig.send(Socket { twin: true, ..TAKER }.receives(client(0).ack(of_server(0)).data(b"ask")));
    assert_eq!((rig.counters.flows, rig.counters.packets), (0, 1));
}

#[test]
fn in_mid_stream_only_a_byte_begins_a_flow() {
    let mut rig = Rig::new();
    rig.send(CALLER.sends(client(0).ack(of_server(0))));
    rig.send(CALLER.sends(client(0).ack(of_server(0)).fin()));
    rig.send(CALLER.receives(server(0).rst()));
    assert_eq!((rig.counters.flows, rig.counters.packets), (0, 3));
}

#[test]
fn a_socket_may_be_connected_again() {
    let mut rig = Rig::new();
    rig.send(CALLER.sends(Make::new(ToServer, CLIENT).syn()));
    rig.send(CALLER.receives(Make::new(ToClient, 0).rst().ack(of_client(0))));
    rig.send(CALLER.sends(Make::new(ToServer, 7777).syn()));
    rig.send(CALLER.sends(Make::new(ToServer, 7778).data(b"again")));
    assert_eq!(rig.counters.flows, 2);
    assert_eq!(rig.got(2, ToServer), [bytes(b"again")]);
}

#[test]
fn what_a_socket_sends_is_believed_beyond_any_window() {
    for jump in [20 << 20, 1_u32 << 31, 3_u32 << 30] {
        let mut rig = Rig::new();
        handshake(&mut rig);
        rig.send(CALLER.sends(client(0).ack(of_server(0)).data(b"ask")));
        rig.send(CALLER.sends(client(3_u32.wrapping_add(jump)).ack(of_server(0)).data(b"x")));
        rig.expire_after(rig.limits.gap_nanos);
        rig.expect(ToServer, &[bytes(b"ask"), Got::Gap(jump.into(), Reason::RingFull), bytes(b"x")]);
    }
}

#[test]
fn what_the_kernel_could_not_report_is_lost_for_that_reason() {
    let mut rig = Rig::new();
    rig.send(TAKER.receives(client(0).ack(of_server(0)).data(b"ask")));
    assert!(rig.table.lost(TAKER.cookie, false, of_client(10)));
    assert!(!rig.table.lost(77, false, of_client(10)));
    rig.expire_after(rig.limits.reorder_nanos);
    rig.expire_after(rig.limits.reorder_nanos);
    rig.expect(ToServer, &[bytes(b"ask"), Got::Gap(7, Reason::RingFull)]);
}

#[test]
fn what_never_arrived_at_this_node_was_not_captured() {
    let mut rig = Rig::new();
    rig.send(TAKER.receives(client(0).ack(of_server(0)).data(b"ask")));
    rig.send(TAKER.receives(client(5).ack(of_server(0)).data(b"more")));
    rig.send(TAKER.receives(client(5).ack(of_server(0)).data(b"more")));
    rig.finish();
    rig.expect(ToServer, &[bytes(b"ask"), lost(2), bytes(b"more"), Got::End(Ending::Expired)]);
}

#[test]
fn the_agents_own_connection_is_forgotten() {
    let mut rig = Rig::new();
    pass(&mut rig, CALLER, TAKER, client(0).ack(of_server(0)).data(b"ask"));
    rig.table.forget(TAKER.cookie, &mut rig.counters);
    pass(&mut rig, CALLER, TAKER, client(3).ack(of_server(0)).data(b" more"));
    assert_eq!((rig.counters.flows, rig.counters.bytes, rig.table.len()), (0, 0, 0));
    rig.finish();
    rig.expect(ToServer, &[bytes(b"ask")]);
}

#[test]
fn a_datagram_within_the_node_counts_once() {
    let mut rig = Rig::new();
    let udp = |make: Make<'static>| Make { udp: true, ..make };
    let (asks, answers) = (Socket { bare: true, ..CALLER }, LISTENER);
    pass(&mut rig, asks, answers, udp(Make::new(ToServer, 0).data(b"ask")));
    pass(&mut rig, answers, asks, udp(Make::new(ToClient, 0).data(b"answer")));
    rig.expect(ToServer, &[bytes(b"ask")]);
    rig.expect(ToClient, &[bytes(b"answer")]);
    assert_eq!((rig.counters.flows, rig.counters.bytes), (1, 9));
}

#[test]
fn datagrams_from_elsewhere_count_where_they_are_received() {
    let mut rig = Rig::new();
    let udp = Make { udp: true, ..Make::new(ToServer, 0).data(b"ask") };
    rig.send(LISTENER.receives(udp));
    rig.send(LISTENER.receives(udp));
    rig.expect(ToServer, &[bytes(b"askask")]);
}

#[test]
fn a_file_and_the_node_may_use_the_same_addresses() {
    let mut rig = Rig::new();
    rig.send(CALLER.sends(client(0).ack(of_server(0)).data(b"ask")));
    rig.send(client(0).ends(HERE, THERE).ack(of_server(0)).data(b"ask"));
    assert_eq!((rig.counters.flows, rig.counters.bytes), (2, 6));
}
