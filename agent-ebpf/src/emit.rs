//! The only writer of events: reserves a record of the smallest class that holds the packet's bytes and copies them
//! straight into the ring.

use agent_common::{Count, Cut, EVENT_LEN, Event, EventKind, Lost, LostKey, SocketState, flags, socket};
use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{
        bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve,
        bpf_ringbuf_submit, bpf_skb_cgroup_id, bpf_skb_load_bytes,
    },
    programs::SkBuffContext,
};

use crate::{
    maps::{LOST, RING, count, settings},
    socket::{Socket, skb},
};

/// `BPF_RB_NO_WAKEUP`: the reader looks by itself every few milliseconds. A wake-up for each event costs the
/// applications 2 to 3 times their CPU.
const NO_WAKEUP: u64 = 1;
/// `BPF_RB_FORCE_WAKEUP`.
const FORCE_WAKEUP: u64 = 2;
/// `BPF_RB_AVAIL_DATA`.
const AVAIL_DATA: u64 = 0;

/// The most that is copied of one packet, headers included. On loopback, where a segment has 65,483 bytes, packets of two
/// of them were seen.
pub const MAX_COPY: u32 = 131_072;

/// A packet on its way into the ring.
pub struct Sample {
    pub packet_len: u32,
    /// Bytes to copy, from the IP header on.
    pub copy: u32,
    /// Bytes up to the payload.
    pub headers: u32,
    pub cut: Cut,
    pub egress: bool,
    pub v6: bool,
    /// Sequence number after the packet's last byte.
    pub end: u32,
}

#[inline(always)]
fn ring() -> *mut core::ffi::c_void {
    (&raw const RING).cast_mut().cast()
}

/// Bytes in the ring that the reader has not taken yet.
#[inline(always)]
pub fn waiting() -> u64 {
    // SAFETY: a query of a static map.
    unsafe { bpf_ringbuf_query(ring(), AVAIL_DATA) }
}

#[inline(always)]
pub fn cookie(ctx: &SkBuffContext) -> u64 {
    // SAFETY: the context is the kernel's.
    unsafe { bpf_get_socket_cookie(ctx.as_ptr()) }
}

/// Copies a packet into the ring. `socket` is given when its addresses are the connection's.
#[inline(always)]
pub fn packet(ctx: &SkBuffContext, sample: &Sample, socket: Option<Socket>, state: Option<&SocketState>) {
    // The smallest class holds the headers of nearly all packets: IPv4's and TCP's have 120 bytes with all options, and
    // only IPv6 with long extension headers needs more.
    #[expect(clippy::match_overlapping_arm, reason = "the first class that holds it is meant")]
    let done = match sample.copy {
        ..=168 => copy::<168>(ctx, sample, socket, state),
        ..=424 => copy::<424>(ctx, sample, socket, state),
        ..=936 => copy::<936>(ctx, sample, socket, state),
        ..=1960 => copy::<1960>(ctx, sample, socket, state),
        ..=4264 => copy::<4264>(ctx, sample, socket, state),
        ..=12_288 => copy::<12_288>(ctx, sample, socket, state),
        ..=32_768 => copy::<32_768>(ctx, sample, socket, state),
        ..=65_536 => copy::<65_536>(ctx, sample, socket, state),
        _ => copy::<131_072>(ctx, sample, socket, state),
    };
    if done {
        return;
    }
    count(Count::RingFull);
    // The headers alone often still fit: then the extent is known at once.
    let bare = Sample { copy: sample.headers, cut: Cut::RingFull, ..*sample };
    if sample.copy > 168 && sample.headers <= 168 && copy::<168>(ctx, &bare, socket, state) {
        return;
    }
    note_lost(ctx, sample);
}

/// Tells user space that a socket's connection is the agent's own.
#[inline(always)]
pub fn own(ctx: &SkBuffContext) {
    // SAFETY: the reservation is checked, written whole and submitted.
    unsafe {
        let record = bpf_ringbuf_reserve(ring(), EVENT_LEN as u64, 0).cast::<Event>();
        if record.is_null() {
            count(Count::RingFull);
            return;
        }
        write(
            record,
            ctx,
            EventKind::Own,
            None,
            None,
            &Sample { packet_len: 0, copy: 0, headers: 0, cut: Cut::Whole, egress: false, v6: false, end: 0 },
        );
        bpf_ringbuf_submit(record.cast(), NO_WAKEUP);
    }
}

/// One record of `EVENT_LEN + CAP` bytes. False when the ring has no room.
#[inline(always)]
fn copy<const CAP: u32>(
    ctx: &SkBuffContext,
    sample: &Sample,
    socket: Option<Socket>,
    state: Option<&SocketState>,
) -> bool {
    // SAFETY: the reservation is checked; the copy is bounded by CAP in a way that the verifier follows; the record is
    // submitted or discarded on every path.
    unsafe {
        let record = bpf_ringbuf_reserve(ring(), EVENT_LEN as u64 + u64::from(CAP), 0).cast::<u8>();
        if record.is_null() {
            return false;
        }
        write(record.cast(), ctx, EventKind::Packet, socket, state, sample);
        // The compiler knows the range from the class, and would drop a bound that the verifier needs; before 6.8 the
        // verifier learns nothing from a comparison with 0, but follows the mask.
        let mut bytes = (opaque(sample.copy).wrapping_sub(1) & (MAX_COPY - 1)) + 1;
        if bytes > CAP {
            bytes = CAP;
        }
        if bpf_skb_load_bytes(ctx.as_ptr(), 0, record.add(EVENT_LEN).cast(), bytes) != 0 {
            bpf_ringbuf_discard(record.cast(), NO_WAKEUP);
            count(Count::Unreadable);
            return true;
        }
        let wake = waiting() >= u64::from(settings().wake_at);
        bpf_ringbuf_submit(record.cast(), if wake { FORCE_WAKEUP } else { NO_WAKEUP });
    }
    count(Count::Events);
    true
}

/// A volatile round trip: the compiler forgets what it knows of the value.
#[inline(always)]
fn opaque(value: u32) -> u32 {
    // SAFETY: a local.
    unsafe { core::ptr::read_volatile(&raw const value) }
}

/// Fills in an event's fields, each one: the ring's memory is not cleared.
///
/// # Safety
/// `event` is a reservation of at least `EVENT_LEN` bytes.
#[inline(always)]
unsafe fn write(
    event: *mut Event,
    ctx: &SkBuffContext,
    kind: EventKind,
    socket: Option<Socket>,
    state: Option<&SocketState>,
    sample: &Sample,
) {
    // SAFETY: as the caller promises; the socket was checked when it was found. Its fields are read one by one: the
    // kernel's checks know no wider loads.
    unsafe {
        (*event).time = bpf_ktime_get_ns();
        (*event).cookie = bpf_get_socket_cookie(ctx.as_ptr());
        (*event).cgroup = bpf_skb_cgroup_id(skb(ctx));
        (*event).interface = core::ptr::read_volatile(&raw const (*skb(ctx)).ifindex);
        (*event).packet_len = sample.packet_len;
        (*event).copied = sample.copy;
        (*event).kind = kind;
        (*event).cut = sample.cut;
        (*event).reserved = 0;
        (*event).padding = 0;
        let mut bits = if sample.egress { flags::EGRESS } else { 0 };
        let local = (&raw mut (*event).local).cast::<u32>();
        let remote = (&raw mut (*event).remote).cast::<u32>();
        let (mut local_port, mut remote_port) = (0, 0);
        for word in 0..4 {
            *local.add(word) = 0;
            *remote.add(word) = 0;
        }
        if let Some(Socket(sk)) = socket {
            bits |= flags::OWN_ADDRESSES;
            if sample.v6 {
                bits |= flags::IPV6;
                for word in 0..4 {
                    *local.add(word) = core::ptr::read_volatile(&raw const (*sk).src_ip6[word]);
                    *remote.add(word) = core::ptr::read_volatile(&raw const (*sk).dst_ip6[word]);
                }
            } else {
                *local = core::ptr::read_volatile(&raw const (*sk).src_ip4);
                *remote = core::ptr::read_volatile(&raw const (*sk).dst_ip4);
            }
            local_port = core::ptr::read_volatile(&raw const (*sk).src_port) as u16;
            remote_port = u16::from_be(core::ptr::read_volatile(&raw const (*sk).dst_port));
        }
        (*event).local_port = local_port;
        (*event).remote_port = remote_port;
        let (mut client_isn, mut server_isn) = (0, 0);
        if let Some(state) = state {
            if state.flags & socket::JOIN != 0 {
                bits |= flags::JOIN;
                client_isn = state.client_isn;
                server_isn = state.server_isn;
            }
            if state.flags & socket::TWIN != 0 {
                bits |= flags::TWIN;
            }
        }
        (*event).client_isn = client_isn;
        (*event).server_isn = server_isn;
        (*event).flags = bits;
    }
}

/// Keeps the extent of what the ring had no room for, until user space asks.
#[inline(always)]
fn note_lost(ctx: &SkBuffContext, sample: &Sample) {
    let key = LostKey { cookie: cookie(ctx), egress: u64::from(sample.egress) };
    let bytes = u64::from(sample.packet_len - sample.headers);
    if let Some(lost) = LOST.get_ptr_mut(&key) {
        // SAFETY: a valid element; two CPUs at a time would need two packets of one direction of one socket.
        unsafe {
            (*lost).packets += 1;
            (*lost).bytes += bytes;
            if sample.end.wrapping_sub((*lost).end) < 1 << 31 {
                (*lost).end = sample.end;
            }
        }
    } else if LOST.insert(&key, &Lost { packets: 1, bytes, end: sample.end, padding: 0 }, 0).is_err() {
        count(Count::LostUnnoted);
    }
}
