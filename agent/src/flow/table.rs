//! The flow table: a packet in, the pieces of its flow out.
//!
//! An in-order segment costs one look-up and one call, and is handed on where it lies in the packet. Everything else
//! takes the longer way through `tcp`. Flows live in slots that are used again; the maps of `identity` find them, the
//! lists of `lists` keep them in order of silence, of waiting and of memory held.

use super::{
    Direction, Ending, Flow, FlowId, Limits, Piece, Protocol4, Start, Views,
    address::{Domain, Key, canonical_tuple},
    identity::{Index, Place},
    lists::Lists,
    slot::{Kind, Slot, Sockets},
    tcp::{Connection, Segment, Verdict, Waits},
    udp,
    upkeep::LISTS,
};
use crate::{
    capture::{Packet, TcpHeader, Transport, Tuple},
    coverage::{Counters, Reason},
    time::Time,
};

/// Segments that yielded nothing because the receiver refuses them too. Not part of `Counters`: their bytes are none of
/// the stream's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Outside the window, or a SYN within a connection.
    pub outside_window: u64,
    /// Bytes behind a FIN or a reset.
    pub after_end: u64,
    /// Resets whose sequence number is not the expected one.
    pub resets: u64,
}

/// All flows of one shard. `T` is what the next stage keeps for each.
#[derive(Debug)]
pub struct FlowTable<T> {
    pub(super) limits: Limits,
    pub(super) waits: Waits,
    pub(super) slots: Vec<Option<Slot<T>>>,
    pub(super) free: Vec<u32>,
    pub(super) index: Index,
    pub(super) lists: Lists,
    pub(super) serial: u64,
    pub(super) held: usize,
    pub(super) evicted: u64,
    pub(super) dropped: Dropped,
}

/// What `FlowTable` does with the pieces of a flow: the caller's `each`.
pub(super) trait Each<T>: FnMut(&mut Flow<T>, Direction, Piece<'_>, &mut Counters) {}
impl<T, F: FnMut(&mut Flow<T>, Direction, Piece<'_>, &mut Counters)> Each<T> for F {}

impl<T> FlowTable<T> {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            waits: Waits::new(&limits),
            slots: Vec::new(),
            free: Vec::new(),
            index: Index::new(),
            lists: Lists::new(LISTS),
            serial: 0,
            held: 0,
            evicted: 0,
            dropped: Dropped::default(),
        }
    }

    /// Takes a packet. `open` makes the next stage's state for a new flow; `each` gets every piece in order.
    pub fn packet(
        &mut self,
        packet: &Packet<'_>,
        counters: &mut Counters,
        open: &mut impl FnMut(&Start) -> T,
        each: &mut impl FnMut(&mut Flow<T>, Direction, Piece<'_>, &mut Counters),
    ) {
        counters.packets += 1;
        match &packet.transport {
            Transport::Tcp(tcp) => {
                let found = match &packet.view {
                    None => Some(self.by_tuple(packet, tcp, counters, open, each)),
                    Some(view) => self.by_view(packet, tcp, view, counters, open, each),
                };
                if let Some((slot, direction)) = found {
                    self.segment(slot, direction, packet, tcp, counters, each);
                }
            }
            Transport::Udp => self.datagram(packet, counters, open, each),
        }
    }

    /// Flows that did not end.
    pub fn iter(&self) -> impl Iterator<Item = &Flow<T>> {
        self.slots.iter().flatten().filter(|slot| !slot.is_closed()).map(|slot| &slot.flow)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Flow<T>> {
        self.slots.iter_mut().flatten().filter(|slot| !slot.is_closed()).map(|slot| &mut slot.flow)
    }

    /// How many flows did not end.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len() - self.closed()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory held for bytes that wait for missing ones: never more than `Limits::held` between two calls.
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// Time of the oldest segment that waits for bytes before it: what it holds may begin a message.
    pub fn oldest_held(&self) -> Option<Time> {
        let waiting = self.waiting().filter_map(|slot| self.slots[slot as usize].as_ref());
        let times = waiting.filter_map(|slot| match &slot.kind {
            Kind::Tcp(connection) => connection.oldest_held(),
            Kind::Udp { .. } => None,
        });
        times.min()
    }

    /// Flows dropped to make room for others, before they ended.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// In a file, a connection is its addresses, until they are used again.
    fn by_tuple(
        &mut self,
        packet: &Packet<'_>,
        tcp: &TcpHeader,
        counters: &mut Counters,
        open: &mut impl FnMut(&Start) -> T,
        each: &mut impl Each<T>,
    ) -> (u32, Direction) {
        let (key, low) = Key::new(Domain::FileTcp, &packet.header);
        if let Some(&place) = self.index.tuples.get(&key) {
            let direction = place.direction(low);
            if !tcp.flags.syn() || !self.is_another(place.slot, direction, packet, tcp) {
                return (place.slot, direction);
            }
            self.end(place.slot, Ending::Expired, packet.time, counters, each);
        }
        let direction = first_direction(tcp, &packet.header);
        let slot = self.create(packet, direction, Kind::Tcp(Connection::new()), counters, open, each);
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            self.index.add_tuple(slot, entry, key, low == (direction == Direction::ToServer));
        }
        (slot, direction)
    }

    /// Whether a SYN ends the flow that was there, because it opens another connection.
    pub(super) fn is_another(&self, slot: u32, direction: Direction, packet: &Packet<'_>, tcp: &TcpHeader) -> bool {
        match self.slots[slot as usize].as_ref().map(|entry| &entry.kind) {
            Some(Kind::Tcp(connection)) => connection.is_another(&Segment { direction, trusted: false, tcp, packet }),
            Some(Kind::Udp { .. }) | None => true,
        }
    }

    fn datagram(
        &mut self,
        packet: &Packet<'_>,
        counters: &mut Counters,
        open: &mut impl FnMut(&Start) -> T,
        each: &mut impl Each<T>,
    ) {
        let domain = if packet.view.is_some() { Domain::NodeUdp } else { Domain::FileUdp };
        let (key, low) = Key::new(domain, &packet.header);
        let place = match self.index.tuples.get(&key) {
            Some(&place) => place,
            None => {
                let direction = first_datagram(&packet.header);
                let slot = self.create(packet, direction, Kind::Udp { sent: [false; 2] }, counters, open, each);
                let place = Place { slot, to_server: low == (direction == Direction::ToServer) };
                if let Some(entry) = self.slots[slot as usize].as_mut() {
                    self.index.add_tuple(slot, entry, key, place.to_server);
                }
                place
            }
        };
        let direction = place.direction(low);
        let Some(Slot { flow, kind: Kind::Udp { sent }, missing, .. }) = self.slots[place.slot as usize].as_mut()
        else {
            return;
        };
        if !udp::counts(packet, direction, sent) {
            return;
        }
        if let Some(view) = packet.view.filter(|_| flow.cgroup == 0) {
            flow.cgroup = view.cgroup;
        }
        flow.packets += 1;
        flow.last = flow.last.max(packet.time);
        udp::datagram(flow, direction, packet, missing, counters, each);
        self.touch(place.slot);
    }

    fn segment(
        &mut self,
        slot: u32,
        direction: Direction,
        packet: &Packet<'_>,
        tcp: &TcpHeader,
        counters: &mut Counters,
        each: &mut impl Each<T>,
    ) {
        let Some(entry) = self.slots[slot as usize].as_mut() else { return };
        let Slot { flow, kind: Kind::Tcp(connection), missing, .. } = entry else { return };
        let trusted = packet.view.is_some_and(|view| view.egress && view.own.is_some());
        let segment = Segment { direction, trusted, tcp, packet };
        flow.packets += 1;
        flow.last = flow.last.max(packet.time);
        if connection.in_order(&segment) {
            flow.bytes[direction as usize] += packet.payload.len() as u64;
            each(flow, direction, Piece::Chunk { bytes: packet.payload, time: packet.time }, counters);
            self.touch(slot);
            return;
        }
        let verdict = connection.segment(&segment, &self.waits, &mut |direction, piece| {
            deliver(flow, missing, direction, piece, counters, each)
        });
        match verdict {
            Verdict::Taken if tcp.flags.syn() => flow.mid_stream = false,
            Verdict::Taken => {}
            Verdict::Outside => self.dropped.outside_window += 1,
            Verdict::AfterEnd => self.dropped.after_end += 1,
            Verdict::RefusedReset => self.dropped.resets += 1,
        }
        self.settle(slot, packet.time, counters, each);
    }

    /// Makes a flow of its first packet, and room for it.
    pub(super) fn create(
        &mut self,
        packet: &Packet<'_>,
        direction: Direction,
        kind: Kind,
        counters: &mut Counters,
        open: &mut impl FnMut(&Start) -> T,
        each: &mut impl Each<T>,
    ) -> u32 {
        self.make_room(packet.time, counters, each);
        let header = canonical_tuple(&packet.header);
        let (transport, mid_stream) = match (&packet.transport, &kind) {
            (Transport::Tcp(tcp), _) => (Protocol4::Tcp, !tcp.flags.syn()),
            (Transport::Udp, _) => (Protocol4::Udp, false),
        };
        let start = Start {
            id: FlowId(packet.number),
            source: packet.source,
            transport,
            ends: if direction == Direction::ToServer { header } else { header.reversed() },
            mid_stream,
            time: packet.time,
        };
        counters.flows += 1;
        self.serial += 1;
        let entry = Slot {
            flow: new_flow(&start, open(&start)),
            kind,
            serial: self.serial,
            keys: [None; 2],
            views: Sockets::default(),
            queued: packet.time,
            spoke: false,
            queued_wait: packet.time,
            held: 0,
            missing: 0,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize] = Some(entry);
        self.enlist(slot);
        slot
    }

    /// Ends a flow and forgets it.
    pub(super) fn end(&mut self, slot: u32, how: Ending, now: Time, counters: &mut Counters, each: &mut impl Each<T>) {
        let Some(Slot { flow, kind, missing, .. }) = self.slots[slot as usize].as_mut() else { return };
        match kind {
            Kind::Tcp(connection) => {
                // What was not waited for to the end for lack of room is the fault of the limit.
                let reason = if how == Ending::Evicted { Reason::FlowLimit } else { Reason::NotCaptured };
                connection.finish(how, reason, now, &mut |direction, piece| {
                    deliver(flow, missing, direction, piece, counters, each);
                });
                counters.retransmitted_bytes += connection.take_again();
                counters.lost(connection.take_early(), Reason::ReassemblyLimit);
            }
            Kind::Udp { .. } => {
                for direction in Direction::BOTH {
                    each(flow, direction, Piece::End { how, time: now }, counters);
                }
            }
        }
        self.remove(slot);
    }
}

/// Hands a piece on and counts it into its flow.
pub(super) fn deliver<T>(
    flow: &mut Flow<T>,
    missing: &mut u64,
    direction: Direction,
    piece: Piece<'_>,
    counters: &mut Counters,
    each: &mut impl Each<T>,
) {
    flow.bytes[direction as usize] += piece.len();
    if let Piece::Gap { bytes, .. } | Piece::Skip { bytes, .. } = piece {
        *missing += bytes;
    }
    each(flow, direction, piece, counters);
}

fn new_flow<T>(start: &Start, state: T) -> Flow<T> {
    let Start { id, source, transport, ends, mid_stream, time } = *start;
    Flow {
        id,
        source,
        transport,
        ends,
        dialed: None,
        views: Views::default(),
        join_key: None,
        mid_stream,
        cgroup: 0,
        started: time,
        last: time,
        packets: 0,
        bytes: [0; 2],
        state,
    }
}

/// Which way a connection's first packet goes.
pub(super) fn first_direction(tcp: &TcpHeader, tuple: &Tuple) -> Direction {
    let to_client = match (tcp.flags.syn(), tcp.flags.ack()) {
        (true, false) => false,
        (true, true) => true,
        // Servers listen on lower ports than their clients are given; equal ones tell nothing.
        (false, _) => tuple.src.port() < tuple.dst.port(),
    };
    if to_client { Direction::ToClient } else { Direction::ToServer }
}

/// Who speaks first is the client, but for an answer whose question came before the capture.
fn first_datagram(tuple: &Tuple) -> Direction {
    /// Ports that only servers have (RFC 6335, 6: system ports).
    const SYSTEM: u16 = 1024;
    let to_client = tuple.src.port() < SYSTEM && tuple.dst.port() >= SYSTEM;
    if to_client { Direction::ToClient } else { Direction::ToServer }
}
