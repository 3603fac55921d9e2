//! Hook: `cgroup_skb` ingress and egress at the cgroup2 root. Why this one: it sees every path that a byte can take
//! (sendfile, splice, io_uring, zerocopy, kernel senders), with true headers, and never changes the data path.
//! Kernels: 5.8 and later. If it can't attach, nothing is captured, and the agent says so and ends.

use agent_common::{Count, Cut, SocketState, socket};
use aya_ebpf::{macros::cgroup_skb, programs::SkBuffContext};
use aya_log_ebpf::debug;

use crate::{
    emit::{self, MAX_COPY, Sample},
    headers::{self, Ip, TCP, Tcp, UDP},
    maps::{count, settings},
    socket::{Socket, Told, learn, note_syn_ack},
};

/// The packet goes on its way, always.
const PASS: i32 = 1;

#[cgroup_skb]
pub fn packet_ingress(ctx: SkBuffContext) -> i32 {
    packet(&ctx, false);
    PASS
}

#[cgroup_skb]
pub fn packet_egress(ctx: SkBuffContext) -> i32 {
    packet(&ctx, true);
    PASS
}

#[inline(always)]
fn packet(ctx: &SkBuffContext, egress: bool) {
    let Some(ip) = headers::ip(ctx) else { return count(Count::Unreadable) };
    match ip.protocol {
        TCP => tcp(ctx, &ip, egress),
        UDP => udp(ctx, &ip, egress),
        // ICMP and the like: none of ours.
        _ => {}
    }
}

#[inline(always)]
fn udp(ctx: &SkBuffContext, ip: &Ip, egress: bool) {
    let packet_len = ctx.len();
    let headers = ip.next + 8;
    if headers > packet_len {
        return count(Count::Unreadable);
    }
    let settings = settings();
    let copy = min(packet_len, min(headers.saturating_add(settings.turn_budget), MAX_COPY));
    let sample = Sample { packet_len, copy, headers, cut: cut(copy, packet_len, settings.cut), egress, v6: ip.v6, end: 0 };
    // A server's socket is one cookie for all its peers: it goes by the header's addresses.
    emit::packet(ctx, &sample, None, None);
}

#[inline(always)]
fn tcp(ctx: &SkBuffContext, ip: &Ip, egress: bool) {
    let packet_len = ctx.len();
    let Some(tcp) = headers::tcp(ctx, ip.next) else { return count(Count::Unreadable) };
    if tcp.payload > packet_len {
        return count(Count::Unreadable);
    }
    let payload = packet_len - tcp.payload;
    let marks = tcp.flags & (Tcp::SYN | Tcp::FIN | Tcp::RST) != 0;
    let settings = settings();
    let Some(socket) = Socket::of(ctx) else {
        // A reset of no socket, a time-wait socket's FIN: by the header's addresses.
        if payload > 0 || marks {
            send(ctx, ip, &tcp, packet_len, min(payload, settings.turn_budget), settings.cut, egress, None, None);
        }
        return;
    };
    if socket.listens() {
        let own = match socket.state() {
            Some(state) => state.flags & socket::OWN != 0,
            None => false,
        };
        if egress && tcp.flags & (Tcp::SYN | Tcp::ACK) == Tcp::SYN | Tcp::ACK {
            note_syn_ack(&tcp, own);
        }
        if own {
            return count(Count::Own);
        }
        if payload > 0 || marks {
            send(ctx, ip, &tcp, packet_len, min(payload, settings.turn_budget), settings.cut, egress, None, None);
        }
        return;
    }
    // Pure acknowledgements tell nothing that a later packet doesn't, and are most of a download's packets. A socket's
    // first one is looked at for its handshake all the same.
    let state = socket.state();
    if payload == 0 && !marks && state.is_some() {
        return;
    }
    let state = match state {
        Some(state) => state,
        None => match socket.state_or_new() {
            Some(state) => state,
            // No memory: captured as a socket of which nothing is known.
            None => {
                return send(ctx, ip, &tcp, packet_len, min(payload, settings.turn_budget), settings.cut, egress, Some(socket), None);
            }
        },
    };
    if learn(state, &tcp, egress) == Told::Own {
        debug!(ctx, "peer of the agent's own socket");
        emit::own(ctx);
    }
    if state.flags & socket::OWN != 0 {
        return count(Count::Own);
    }
    if payload == 0 && !marks {
        return;
    }
    let room = turn(state, egress, payload, settings.turn_budget);
    // A reset may come from no socket at all, so the receiver's copy counts.
    if !egress && state.flags & socket::TWIN != 0 && tcp.flags & Tcp::RST == 0 {
        return count(Count::Twins);
    }
    send(ctx, ip, &tcp, packet_len, room, settings.cut, egress, Some(socket), Some(state));
}

/// Counts a packet into the current turn, and says how many bytes of it the budget covers.
#[inline(always)]
fn turn(state: &mut SocketState, egress: bool, payload: u32, budget: u32) -> u32 {
    if payload == 0 {
        return 0;
    }
    let side = if egress { socket::TURN_EGRESS } else { 0 };
    if state.flags & socket::TURN_EGRESS != side {
        state.flags = (state.flags & !socket::TURN_EGRESS) | side;
        state.turn_bytes = 0;
    }
    let left = budget.saturating_sub(state.turn_bytes);
    state.turn_bytes = state.turn_bytes.saturating_add(payload);
    min(left, payload)
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "inlined; a struct would live on the 512 bytes of stack")]
fn send(
    ctx: &SkBuffContext,
    ip: &Ip,
    tcp: &Tcp,
    packet_len: u32,
    room: u32,
    policy: u32,
    egress: bool,
    socket: Option<Socket>,
    state: Option<&SocketState>,
) {
    let copy = min(tcp.payload + room, MAX_COPY);
    let end = tcp.seq.wrapping_add(packet_len - tcp.payload);
    let sample = Sample { packet_len, copy, headers: tcp.payload, cut: cut(copy, packet_len, policy), egress, v6: ip.v6, end };
    emit::packet(ctx, &sample, socket, state);
}

#[inline(always)]
fn cut(copy: u32, packet_len: u32, policy: u32) -> Cut {
    if copy == packet_len {
        Cut::Whole
    } else if policy == Cut::BodyRate as u32 {
        Cut::BodyRate
    } else {
        Cut::Budget
    }
}

#[inline(always)]
fn min(a: u32, b: u32) -> u32 {
    if a < b { a } else { b }
}
