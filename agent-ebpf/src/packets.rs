//! Hook: `cgroup_skb` ingress and egress at the cgroup2 root. Why this one: it sees every path that a byte can take
//! (sendfile, splice, io_uring, zerocopy, kernel senders), with true headers, and never changes the data path.
//! Kernels: 5.8 and later. If it can't attach, nothing is captured, and the agent says so and ends.

use agent_common::{ALLOWANCE_WINDOW, Count, Cut, RING_BYTES, Settings, SocketState, TURN_HEAD, socket};
use aya_ebpf::{helpers::generated::bpf_ktime_get_ns, macros::cgroup_skb, programs::SkBuffContext};
use aya_log_ebpf::debug;

use crate::{
    emit::{self, MAX_COPY, Sample},
    headers::{self, Ip, TCP, Tcp, UDP},
    maps::{ALLOWANCE, count, settings},
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
    let payload = packet_len - headers;
    let room = room(0, payload, &settings());
    let sample = sample(headers, packet_len, room, ip.v6, egress, 0);
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
    let tells = payload > 0 || tcp.flags & (Tcp::SYN | Tcp::FIN | Tcp::RST) != 0;
    let Some(socket) = Socket::of(ctx) else {
        // A reset of no socket, a time-wait socket's FIN: by the header's addresses.
        if tells {
            send(ctx, ip, &tcp, egress, room(0, payload, &settings()), None, None);
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
        if tells {
            send(ctx, ip, &tcp, egress, room(0, payload, &settings()), None, None);
        }
        return;
    }
    // Pure acknowledgements tell nothing that a later packet doesn't, and are most of a download's packets. A socket's
    // first one is looked at for its handshake all the same.
    let known = socket.state();
    if !tells && known.is_some() {
        return;
    }
    let state = match known {
        Some(state) => state,
        None => match socket.state_or_new() {
            Some(state) => state,
            // No memory: captured as a socket of which nothing is known.
            None => return send(ctx, ip, &tcp, egress, room(0, payload, &settings()), Some(socket), None),
        },
    };
    if learn(state, &tcp, egress) == Told::Own {
        debug!(ctx, "peer of the agent's own socket");
        emit::own(ctx);
    }
    if state.flags & socket::OWN != 0 {
        return count(Count::Own);
    }
    if !tells {
        return;
    }
    begin(ctx, state, &tcp, egress, payload);
    let before = turn(state, egress, payload);
    // A reset may come from no socket at all, so the receiver's copy counts.
    if !egress && state.flags & socket::TWIN != 0 && tcp.flags & Tcp::RST == 0 {
        return count(Count::Twins);
    }
    let mut settings = settings();
    if state.streams != 0 {
        settings.turn_budget = u32::MAX;
    }
    let room = room(before, payload, &settings);
    send(ctx, ip, &tcp, egress, room, Some(socket), Some(state));
}

/// Counts a packet into the current turn; returns what the turn had before.
#[inline(always)]
fn turn(state: &mut SocketState, egress: bool, payload: u32) -> u32 {
    if payload == 0 {
        return 0;
    }
    let side = if egress { socket::TURN_EGRESS } else { 0 };
    if state.flags & socket::TURN_EGRESS != side {
        state.flags = (state.flags & !socket::TURN_EGRESS) | side;
        state.turn_bytes = 0;
    }
    let before = state.turn_bytes;
    state.turn_bytes = before.saturating_add(payload);
    before
}

/// Looks at the first payload of a side: whether a protocol begins that takes no turns. Servers may speak before it is
/// here.
#[inline(always)]
fn begin(ctx: &SkBuffContext, state: &mut SocketState, tcp: &Tcp, egress: bool, payload: u32) {
    let looked_at = &mut state.looked_at[usize::from(egress)];
    if payload < 8 || *looked_at != 0 {
        return;
    }
    *looked_at = 1;
    if ctx.load::<[u8; 8]>(tcp.payload as usize).is_ok_and(takes_no_turns) {
        state.streams = 1;
    }
}

/// HTTP/2 (RFC 9113 section 3.4: `PRI * HTTP/2.0`), or a first request of Kafka: a size, then one of the APIs that clients
/// begin with, in a version that there may be. Who is taken for it by mistake has no budget, which loses nothing.
#[inline(always)]
fn takes_no_turns(front: [u8; 8]) -> bool {
    const PRODUCE: u8 = 0;
    const FETCH: u8 = 1;
    const METADATA: u8 = 3;
    const SASL_HANDSHAKE: u8 = 17;
    const API_VERSIONS: u8 = 18;
    const NEWEST: u8 = 32;
    let [0, _, _, _, 0, key, 0, version] = front else { return front == *b"PRI * HT" };
    matches!(key, PRODUCE | FETCH | METADATA | SASL_HANDSHAKE | API_VERSIONS) && version < NEWEST
}

/// Payload bytes to copy, and why not more.
struct Room {
    bytes: u32,
    cut: Cut,
}

/// The head of a turn always, what follows within the turn's budget and the node's allowance.
#[inline(always)]
fn room(before: u32, payload: u32, settings: &Settings) -> Room {
    let head = min(TURN_HEAD.saturating_sub(before), payload);
    if head == payload {
        return Room { bytes: payload, cut: Cut::Whole };
    }
    let whole = min(settings.turn_budget.saturating_sub(before), payload);
    if whole > head && !allowed(whole - head, settings) {
        return Room { bytes: head, cut: Cut::BodyRate };
    }
    let cut = if settings.allowance == 0 { Cut::BodyRate } else { Cut::Budget };
    Room { bytes: whole, cut }
}

/// Takes bytes from the node's allowance. Heads come first: nothing is taken when the ring is nearly full.
#[inline(always)]
fn allowed(bytes: u32, settings: &Settings) -> bool {
    if settings.allowance == 0 || emit::waiting() > u64::from(RING_BYTES) / 4 * 3 {
        return false;
    }
    let Some(window) = ALLOWANCE.get_ptr_mut(0) else { return false };
    // SAFETY: a valid element; both numbers are plain and checked each time.
    unsafe {
        let now = bpf_ktime_get_ns();
        if now.wrapping_sub((*window)[0]) > ALLOWANCE_WINDOW {
            *window = [now, 0];
        }
        if (*window)[1] + u64::from(bytes) > u64::from(settings.allowance) {
            return false;
        }
        (*window)[1] += u64::from(bytes);
    }
    true
}

#[inline(always)]
fn send(
    ctx: &SkBuffContext,
    ip: &Ip,
    tcp: &Tcp,
    egress: bool,
    room: Room,
    socket: Option<Socket>,
    state: Option<&SocketState>,
) {
    let packet_len = ctx.len();
    let end = tcp.seq.wrapping_add(packet_len - tcp.payload);
    let sample = sample(tcp.payload, packet_len, room, ip.v6, egress, end);
    emit::packet(ctx, &sample, socket, state);
}

#[inline(always)]
fn sample(headers: u32, packet_len: u32, room: Room, v6: bool, egress: bool, end: u32) -> Sample {
    let wanted = headers.saturating_add(room.bytes);
    let copy = min(wanted, MAX_COPY);
    // A single packet larger than a record (BIG TCP) is cut like a turn beyond its budget.
    let cut = if copy == packet_len {
        Cut::Whole
    } else if copy < wanted || room.cut == Cut::Whole {
        Cut::Budget
    } else {
        room.cut
    };
    Sample { packet_len, copy, headers, cut, egress, v6, end }
}

#[inline(always)]
fn min(a: u32, b: u32) -> u32 {
    if a < b { a } else { b }
}
