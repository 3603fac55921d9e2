//! One TCP connection: what each segment means for the two directions, by Linux's rules (net/ipv4/tcp_input.c).
//!
//! A capture sees less than the sockets do (lost packets, no acknowledgements on their own) and more (segments that the
//! receiver refuses). So each check says what it does when it can't know: bytes are taken only inside the window, ends
//! only where the receiver would take them, and what is missing is waited for until it surely won't come.

mod half;
mod queue;

use half::{Extent, Half};

use super::{Direction, Ending, Piece};
use crate::{
    capture::{JoinKey, Packet, TcpHeader},
    coverage::Reason,
    flow::Limits,
    time::Time,
};

/// The largest shift of the window (RFC 7323, 2.3), for connections whose SYNs were not seen.
const MAX_SHIFT: u8 = 14;
/// The largest window: segments further away than that can't belong to the connection.
const MAX_WINDOW: i64 = 0xffff << MAX_SHIFT;
/// How far from the expected place a packet may be to show that a socket belongs to a connection: what is in flight on
/// ordinary connections. Two numbers must agree, so that another connection fits by chance once in four million times.
const NEAR: u64 = 1 << 20;

/// How long missing bytes are waited for: from `Limits`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    gap_nanos: u64,
    reorder_nanos: u64,
    reorder_packets: u32,
}

impl Waits {
    pub(super) fn new(limits: &Limits) -> Self {
        let Limits { gap_nanos, reorder_nanos, reorder_packets, .. } = *limits;
        Self { gap_nanos, reorder_nanos, reorder_packets }
    }
}

/// A packet of the connection, and which way it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) direction: Direction,
    /// Seen as its own socket sent it: it can't be forged, however far ahead it is.
    pub(super) trusted: bool,
    pub(super) tcp: &'a TcpHeader,
    pub(super) packet: &'a Packet<'a>,
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// Outside the window, or a SYN in the middle of a connection.
    Outside,
    /// Bytes behind the end of their direction.
    AfterEnd,
    /// A reset that the receiver would not accept.
    RefusedReset,
}

/// Takes the pieces of a connection.
pub(super) type Sink<'s> = &'s mut dyn FnMut(Direction, Piece<'_>);

#[derive(Debug)]
pub(super) struct Connection {
    halves: [Half; 2],
    /// The window scale option in each side's SYN, as far as those were seen.
    scales: [Option<Option<u8>>; 2],
    /// Not everything is in order: a direction ended or lacks bytes.
    busy: bool,
}

impl Connection {
    pub(super) fn new() -> Self {
        Self { halves: [Half::new(), Half::new()], scales: [None; 2], busy: false }
    }

    /// The ordinary case, which must be cheap: the next bytes of a direction, whole, and nothing is missing. Then
    /// nothing is to be done but to hand them on. False: `segment` has to look at it.
    #[inline]
    pub(super) fn in_order(&mut self, segment: &Segment<'_>) -> bool {
        let Segment { direction, tcp, packet, .. } = segment;
        let len = packet.payload.len();
        if self.busy {
            return false;
        }
        let [half, other] = self.sides(*direction);
        if tcp.flags.syn() || tcp.flags.fin() || tcp.flags.rst() || !tcp.flags.ack() || !half.is_known() {
            return false;
        }
        let acked = match other.is_known() {
            true => other.offset(tcp.ack),
            // The first bytes may tell where the other direction begins.
            false if half.next == 0 => return false,
            false => 0,
        };
        if tcp.seq != half.next_seq() || len == 0 || len != packet.wire_len as usize || acked > other.next as i64 {
            return false;
        }
        half.next += len as u64;
        other.acked = other.acked.max(acked.max(0).unsigned_abs());
        true
    }

    /// Whether a SYN belongs to a new connection between the same addresses, not to this one.
    pub(super) fn is_another(&self, segment: &Segment<'_>) -> bool {
        let Segment { direction, tcp, .. } = segment;
        let half = &self.halves[*direction as usize];
        let other = &self.halves[direction.other() as usize];
        let first = tcp.seq.wrapping_add(1);
        if half.isn == Some(tcp.seq) {
            return false;
        }
        if self.is_closed() {
            return true;
        }
        if !half.is_known() {
            // An answer must acknowledge what this connection sent; a SYN of the second side comes only when both
            // opened at once (RFC 9293, 3.5), and then before any data.
            return match tcp.flags.ack() {
                true => other.isn.is_some() && !(0..=other.next as i64).contains(&other.offset(tcp.ack)),
                false => other.isn.is_none() || other.next > 0,
            };
        }
        let offset = half.offset(first);
        if offset == -(half.next as i64) {
            return false;
        }
        // A second try with another number, before there was an answer.
        if !tcp.flags.ack() && !other.is_known() && half.next == 0 {
            return true;
        }
        // In the window: refused with a challenge (RFC 5961, 4.2; tcp_validate_incoming).
        offset.unsigned_abs() > self.window(*direction).unsigned_abs()
    }

    /// Whether a packet is so near to what this connection expects that it must be one of its own.
    pub(super) fn fits(&self, direction: Direction, tcp: &TcpHeader) -> bool {
        let near = |half: &Half, seq: u32| !half.is_known() || half.offset(seq).abs_diff(half.next as i64) <= NEAR;
        let [half, other] = [&self.halves[direction as usize], &self.halves[direction.other() as usize]];
        let reset_without_number = tcp.flags.rst() && tcp.seq == 0;
        (half.is_known() || other.is_known())
            && (reset_without_number || near(half, tcp.seq))
            && (!tcp.flags.ack() || near(other, tcp.ack))
    }

    /// Takes a segment that is not simply the next one.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, waits: &Waits, sink: Sink<'_>) -> Verdict {
        let now = segment.packet.time;
        let verdict = if segment.tcp.flags.rst() { self.reset(segment, sink) } else { self.take(segment, sink) };
        self.watch(now, true, waits, sink);
        verdict
    }

    fn take(&mut self, segment: &Segment<'_>, sink: Sink<'_>) -> Verdict {
        let Segment { direction, trusted, tcp, packet } = *segment;
        let window = self.window(direction);
        let [half, other] = self.sides(direction);
        let mut seq = tcp.seq;
        if tcp.flags.syn() {
            if !half.syn(seq) {
                return Verdict::Outside;
            }
            if tcp.flags.ack() {
                other.suppose(tcp.ack);
            }
            seq = seq.wrapping_add(1);
        } else if tcp.flags.ack() && half.isn.is_some() && half.next == 0 && seq == half.next_seq() {
            // The answer to the SYN was not seen (SYN cookies make none that the node's programs see).
            other.suppose(tcp.ack);
        }
        if packet.wire_len > 0 || tcp.flags.fin() {
            half.begin(seq);
        }
        if tcp.flags.syn() {
            self.scales[direction as usize] = Some(tcp.window_scale);
        }
        let [half, other] = self.sides(direction);
        if !half.is_known() {
            self.acknowledge(segment);
            return Verdict::Taken;
        }
        let passed = other.passed();
        let mut start = half.offset(seq);
        if trusted && start < half.next as i64 - MAX_WINDOW {
            // Not that old: the capture lacks more than half of the number space.
            start += 1 << 32;
        }
        // tcp_sequence: not wholly before what was received, not beyond the window.
        let end = start + i64::from(packet.wire_len);
        let right = |half: &Half| half.next.max(half.acked) as i64 + window;
        if !trusted && start > right(half) && half.holds() && half.acked <= half.next {
            // No acknowledgements are in this capture, and the sender can't be here without one of what is missing.
            while half.holds() {
                half.give_up_first(Reason::NotCaptured, packet.time, passed, &mut |piece| sink(direction, piece));
            }
        }
        let beyond = !trusted && start > right(half);
        let outside = end < half.next as i64 - MAX_WINDOW
            || (beyond && !half.segment_beyond(start, packet.wire_len, tcp.flags.fin()));
        if outside {
            return Verdict::Outside;
        }
        let acks = self.acknowledges(segment).unwrap_or(0);
        let [half, other] = self.sides(direction);
        let acks = if other.is_ahead(acks) { acks } else { 0 };
        // Keep-alive probes repeat the last number, with or without a byte of garbage (RFC 9293, 3.8.4).
        let probe = packet.wire_len <= 1 && end <= half.next as i64 && start == half.next as i64 - 1;
        let verdict = if half.ended && packet.wire_len > 0 && end > half.next as i64 {
            Verdict::AfterEnd
        } else {
            let cut = packet.cut.unwrap_or(Reason::NotCaptured);
            let Packet { payload, wire_len, time, .. } = *packet;
            let extent = Extent { start, payload, wire_len, cut, time, acks };
            let sink: half::Sink<'_> = &mut |piece| sink(direction, piece);
            if packet.wire_len > 0 && (!probe || tcp.flags.syn()) {
                half.segment(&extent, passed, sink);
            }
            if tcp.flags.fin() && !half.ended {
                half.fin(end, packet.time, passed, sink);
            }
            Verdict::Taken
        };
        self.acknowledge(segment);
        verdict
    }

    /// What a segment acknowledges, as an offset: `None` without one, and for what the other side can't have sent
    /// (tcp_ack: not after snd_nxt).
    fn acknowledges(&self, segment: &Segment<'_>) -> Option<u64> {
        let Segment { direction, trusted, tcp, .. } = *segment;
        let other = &self.halves[direction.other() as usize];
        let offset = u64::try_from(other.offset(tcp.ack)).ok().filter(|_| tcp.flags.ack() && other.is_known())?;
        let right = other.next.max(other.acked) + self.window(direction.other()).unsigned_abs();
        (offset <= right || trusted).then_some(offset)
    }

    fn acknowledge(&mut self, segment: &Segment<'_>) {
        let acks = self.acknowledges(segment);
        let [_, other] = self.sides(segment.direction);
        if let Some(acks) = acks {
            other.acknowledge(acks);
        } else if segment.tcp.flags.ack() && other.is_known() {
            let offset = other.offset(segment.tcp.ack);
            if offset > 0 {
                other.acknowledge_beyond(offset.unsigned_abs());
            }
        }
    }

    /// A reset ends both directions when the receiver would take it (RFC 5961, 3.2; tcp_validate_incoming, tcp_reset).
    fn reset(&mut self, segment: &Segment<'_>, sink: Sink<'_>) -> Verdict {
        let Segment { direction, trusted, tcp, packet } = *segment;
        let window = self.window(direction);
        let [half, other] = self.sides(direction);
        let taken = if trusted {
            true
        } else if half.is_known() {
            let offset = half.offset(tcp.seq);
            // Where the capture lacks bytes, the receiver may be anywhere in the window.
            let lacks =
                half.lacks() && (half.next as i64..=half.next.max(half.acked) as i64 + window).contains(&offset);
            half.expects(offset) || lacks
        } else if other.isn.is_some() {
            // Refuses a connection: it must acknowledge the SYN (tcp_rcv_synsent_state_process).
            tcp.flags.ack() && (0..=other.next as i64).contains(&other.offset(tcp.ack))
        } else {
            true
        };
        if !taken {
            return Verdict::RefusedReset;
        }
        self.acknowledge(segment);
        self.finish(Ending::Reset, Reason::NotCaptured, packet.time, sink);
        Verdict::Taken
    }

    /// The kernel saw the bytes up to this sequence number, whether it could report them or not. False when the numbers
    /// of the direction are not known.
    pub(super) fn went_on_to(&mut self, direction: Direction, end: u32) -> bool {
        let half = &mut self.halves[direction as usize];
        if !half.is_known() {
            return false;
        }
        let offset = half.offset(end);
        if offset > 0 {
            half.acknowledge(offset.unsigned_abs());
        }
        self.busy = true;
        true
    }

    /// Packets come from the kernel.
    pub(super) fn note_live(&mut self) {
        self.halves.iter_mut().for_each(|half| half.live = true);
    }

    /// The socket that sends in this direction is on this node.
    pub(super) fn note_sender(&mut self, direction: Direction) {
        self.halves[direction as usize].sent_here = true;
    }

    /// Gives up what was waited for long enough.
    pub(super) fn watch(&mut self, now: Time, packet: bool, waits: &Waits, sink: Sink<'_>) {
        // What is blocked waits for the other direction: that one first.
        let first = if self.halves[0].is_blocked() { Direction::ToClient } else { Direction::ToServer };
        for direction in [first, first.other()] {
            let passed = self.halves[direction.other() as usize].passed();
            self.halves[direction as usize].watch(now, packet, waits, passed, &mut |piece| sink(direction, piece));
            self.release(now, sink);
        }
        self.busy = self.halves.iter().any(|half| half.ended || half.lacks());
    }

    /// Frees memory: gives up the first gap of the direction that holds most.
    pub(super) fn relieve(&mut self, now: Time, sink: Sink<'_>) {
        let [to_server, to_client] = &self.halves;
        let direction = if to_server.held() >= to_client.held() { Direction::ToServer } else { Direction::ToClient };
        let half = &mut self.halves[direction as usize];
        half.give_up_first(Reason::ReassemblyLimit, now, u64::MAX, &mut |piece| sink(direction, piece));
        self.release(now, sink);
    }

    /// Delivers what waited for bytes of the other direction that have passed by now.
    fn release(&mut self, now: Time, sink: Sink<'_>) {
        loop {
            let before = self.halves.each_ref().map(|half| half.next);
            for direction in Direction::BOTH {
                if self.halves[direction as usize].is_blocked() {
                    let passed = self.halves[direction.other() as usize].passed();
                    self.halves[direction as usize].settle(now, passed, &mut |piece| sink(direction, piece));
                }
            }
            if self.halves.each_ref().map(|half| half.next) == before {
                return;
            }
        }
    }

    /// Delivers what is kept and ends both directions. `reason`: of what is missing before something that was kept.
    pub(super) fn finish(&mut self, how: Ending, reason: Reason, now: Time, sink: Sink<'_>) {
        // In turns, so that what waits for the other direction comes after it.
        while let Some(direction) = Direction::BOTH.into_iter().find(|&direction| {
            let half = &self.halves[direction as usize];
            !half.ended && half.holds() && !half.is_blocked()
        }) {
            let passed = self.halves[direction.other() as usize].passed();
            self.halves[direction as usize].give_up_first(reason, now, passed, &mut |piece| sink(direction, piece));
            self.release(now, sink);
        }
        for direction in Direction::BOTH {
            self.halves[direction as usize].finish(how, reason, now, &mut |piece| sink(direction, piece));
        }
        self.busy = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.halves.iter().all(|half| half.ended)
    }

    /// Waits for missing bytes, so that it has to be looked after.
    pub(super) fn lacks(&self) -> bool {
        self.halves.iter().any(Half::lacks)
    }

    /// Time of the oldest segment that waits.
    pub(super) fn oldest_held(&self) -> Option<Time> {
        self.halves.iter().filter_map(Half::oldest_held).min()
    }

    /// Memory for what waits.
    pub(super) fn held(&self) -> usize {
        self.halves.iter().map(Half::held).sum()
    }

    /// Bytes that arrived again since this was last asked.
    pub(super) fn take_again(&mut self) -> u64 {
        self.halves.iter_mut().map(|half| std::mem::take(&mut half.again)).sum()
    }

    /// Bytes from before the first one seen, since this was last asked.
    pub(super) fn take_early(&mut self) -> u64 {
        self.halves.iter_mut().map(|half| std::mem::take(&mut half.early)).sum()
    }

    pub(super) fn client_isn(&self) -> Option<u32> {
        self.halves[Direction::ToServer as usize].isn
    }

    /// Known once both SYNs were seen, or the client's and its acknowledgement of the server's.
    pub(super) fn join_key(&self) -> Option<JoinKey> {
        let [to_server, to_client] = &self.halves;
        Some(JoinKey { client: to_server.isn?, server: to_client.isn_or_supposed()? })
    }

    /// The side that sends in a direction, and the one that receives.
    fn sides(&mut self, direction: Direction) -> [&mut Half; 2] {
        let [to_server, to_client] = &mut self.halves;
        match direction {
            Direction::ToServer => [to_server, to_client],
            Direction::ToClient => [to_client, to_server],
        }
    }

    /// The largest window that the receiver of a direction can have. Scaling counts when both SYNs offer it (RFC 7323,
    /// 1.3).
    fn window(&self, direction: Direction) -> i64 {
        let receiver = self.scales[direction.other() as usize];
        let shift = match (receiver, self.scales[direction as usize]) {
            (Some(receiver), Some(sender)) => sender.and(receiver).unwrap_or(0),
            (Some(None), None) | (None, Some(None)) => 0,
            (Some(_), None) | (None, Some(_)) | (None, None) => MAX_SHIFT,
        };
        0xffff << shift.min(MAX_SHIFT)
    }
}
