//! Packets of a live node: a view is a socket, and a connection between two sockets of the node has two.
//!
//! The connection is looked for before a flow is made, by what is surest first: the socket, the initial sequence
//! numbers, the tuple with sequence numbers that fit, and for sockets older than the capture the very packet as the
//! other end sent it. Once both ends are known, only what they send counts: it holds each byte once. A flow that turns
//! out to be the younger half of another is dropped without a trace.
//!
//! A flow in mid-stream begins with a byte of payload: a last acknowledgement or a reset says too little.

use super::{
    Direction, Ending, Start,
    address::{Domain, Key, canonical_tuple},
    identity::Place,
    recent::{Sent, Signature, agree},
    slot::{Kind, Slot},
    table::{Each, FlowTable, first_direction},
    tcp::Connection,
};
use crate::{
    capture::{JoinKey, Packet, TcpHeader, Tuple, View},
    coverage::Counters,
};

/// Packets with payload in which the other end of a connection is looked for on this node. Both ends see the same ones,
/// so the first would do, were none ever lost.
const SEARCHES: u8 = 64;

/// Packets of a handshake, with some that were repeated.
const HANDSHAKE: u64 = 12;

impl<T> FlowTable<T> {
    /// The flow of a packet, and which way it goes; `None` when the packet yields nothing.
    pub(super) fn by_view(
        &mut self,
        packet: &Packet<'_>,
        tcp: &TcpHeader,
        view: &View,
        counters: &mut Counters,
        open: &mut impl FnMut(&Start) -> T,
        each: &mut impl Each<T>,
    ) -> Option<(u32, Direction)> {
        let Some(own) = &view.own else { return self.by_header(packet, tcp, view, counters, open, each) };
        if let Some(&place) = self.index.cookies.get(&view.cookie) {
            let direction = place.direction(view.egress);
            if !tcp.flags.syn() || !self.is_another(place.slot, direction, packet, tcp) {
                return self.known(place.slot, direction, packet, tcp, view, counters);
            }
            // A socket may be connected again after it was disconnected.
            self.end(place.slot, Ending::Expired, packet.time, counters, each);
        }
        if self.index.is_forgotten(view.cookie) {
            return None;
        }
        let own = canonical_tuple(own);
        if let Some(place) = self.find(packet, tcp, view, &own) {
            let direction = place.direction(view.egress);
            self.attach(place, packet, view, &own);
            return self.known(place.slot, direction, packet, tcp, view, counters);
        }
        let told_elsewhere = view.twin && !view.egress;
        if told_elsewhere || (packet.wire_len == 0 && !tcp.flags.syn()) {
            return None;
        }
        let direction = first_direction(tcp, &own);
        let slot = self.create(packet, direction, Kind::Tcp(Connection::new()), counters, open, each);
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            entry.views.searches = SEARCHES;
        }
        self.note_first(slot, tcp);
        let to_server = (direction == Direction::ToServer) == view.egress;
        self.attach(Place { slot, to_server }, packet, view, &own);
        self.known(slot, direction, packet, tcp, view, counters)
    }

    /// A packet of a socket whose flow is known: what it adds to that, and whether it yields anything.
    fn known(
        &mut self,
        slot: u32,
        direction: Direction,
        packet: &Packet<'_>,
        tcp: &TcpHeader,
        view: &View,
        counters: &mut Counters,
    ) -> Option<(u32, Direction)> {
        let mut place = Place { slot, to_server: (direction == Direction::ToServer) == view.egress };
        let entry = self.slots[slot as usize].as_mut()?;
        let was_joined = entry.views.joined;
        if let Some(key) = view.join.filter(|_| entry.flow.join_key.is_none()) {
            entry.flow.join_key = Some(key);
            match self.index.joins.get(&key) {
                Some(&other) if other != slot => place = self.merge(place, other, counters).unwrap_or(place),
                Some(_) | None => {
                    self.index.joins.insert(key, slot);
                }
            }
        } else if entry.views.searches > 0 && packet.wire_len > 0 {
            place = self.search(place, packet, tcp, view, counters).unwrap_or(place);
        }
        let entry = self.slots[place.slot as usize].as_mut()?;
        if view.egress && entry.views.reached.is_none() && place.to_server {
            entry.views.reached = Some(canonical_tuple(&packet.header).dst);
            entry.name_ends();
        }
        let again = !view.egress && (view.twin || entry.views.joined);
        // What the other end sent tells everything, but for a reset that no socket sent, for the server's initial
        // sequence number when its answer was not seen to leave, and for what went with a younger flow just now.
        let merged = place.slot == slot && entry.views.joined && !was_joined;
        let tells = merged || tcp.flags.rst() || (tcp.flags.syn() && entry.flow.join_key.is_none());
        (!again || tells).then(|| (place.slot, place.direction(view.egress)))
    }

    /// The flow to which a socket that shows up for the first time belongs.
    fn find(&self, packet: &Packet<'_>, tcp: &TcpHeader, view: &View, own: &Tuple) -> Option<Place> {
        let by_join = || {
            let slot = *self.index.joins.get(&view.join?)?;
            let side = self.side(slot, view.join?, tcp, view, own)?;
            Some(Place { slot, to_server: side == Direction::ToServer })
        };
        let by_syn = || {
            let (slot, direction) = self.by_isn(packet, tcp)?;
            Some(Place { slot, to_server: (direction == Direction::ToServer) == view.egress })
        };
        let by_tuple = || {
            let found = [own, &packet.header].into_iter().find_map(|tuple| self.by_near_tuple(tuple, tcp));
            let (slot, direction) = found?;
            Some(Place { slot, to_server: (direction == Direction::ToServer) == view.egress })
        };
        let by_packet = || {
            let sent = self.sent(packet, tcp, view)?;
            Some(Place { slot: sent.slot, to_server: sent.direction == Direction::ToClient })
        };
        let found = by_join().or_else(by_syn).or_else(by_tuple).or_else(by_packet)?;
        let entry = self.slots[found.slot as usize].as_ref()?;
        let side = if found.to_server { Direction::ToServer } else { Direction::ToClient };
        entry.views.is_free(side).then_some(found)
    }

    /// Which end of a connection a socket is: `ToServer` for the one that sends to the server.
    fn side(&self, slot: u32, key: JoinKey, tcp: &TcpHeader, view: &View, own: &Tuple) -> Option<Direction> {
        let entry = self.slots[slot as usize].as_ref()?;
        match (entry.views.is_free(Direction::ToServer), entry.views.is_free(Direction::ToClient)) {
            (false, false) => None,
            (false, true) => Some(Direction::ToClient),
            (true, false) => Some(Direction::ToServer),
            (true, true) => {
                let local = if view.egress { own.src } else { own.dst };
                let ends = entry.flow.ends;
                if local == ends.dst && local != ends.src {
                    return Some(Direction::ToClient);
                }
                if local == ends.src && local != ends.dst {
                    return Some(Direction::ToServer);
                }
                // Each side counts on from its own number.
                let from_client = tcp.seq.wrapping_sub(key.client) < tcp.seq.wrapping_sub(key.server);
                Some(if from_client == view.egress { Direction::ToServer } else { Direction::ToClient })
            }
        }
    }

    /// The connection that a SYN or its answer opens, when one of its packets was seen elsewhere on this node.
    fn by_isn(&self, packet: &Packet<'_>, tcp: &TcpHeader) -> Option<(u32, Direction)> {
        let (isn, direction) = match (tcp.flags.syn(), tcp.flags.ack()) {
            (true, false) => (tcp.seq, Direction::ToServer),
            (true, true) => (tcp.ack.wrapping_sub(1), Direction::ToClient),
            (false, _) => return None,
        };
        let slot = *self.index.opening.get(&isn)?;
        let entry = self.slots[slot as usize].as_ref()?;
        if entry.keys.contains(&Some(Key::new(Domain::NodeTcp, &packet.header).0)) {
            return Some((slot, direction));
        }
        let header = canonical_tuple(&packet.header);
        let header = if direction == Direction::ToServer { header } else { header.reversed() };
        // Among all open connections, some have equal numbers by chance; among those that open just now, none do.
        (entry.flow.packets <= HANDSHAKE && agree(&entry.flow.ends, &header)).then_some((slot, direction))
    }

    /// The connection under a tuple, when the packet's numbers fit it: pods may use the same addresses, each on its own
    /// loopback.
    fn by_near_tuple(&self, tuple: &Tuple, tcp: &TcpHeader) -> Option<(u32, Direction)> {
        let (key, low) = Key::new(Domain::NodeTcp, tuple);
        let place = self.index.tuples.get(&key)?;
        let direction = place.direction(low);
        match &self.slots[place.slot as usize].as_ref()?.kind {
            Kind::Tcp(connection) => connection.fits(direction, tcp).then_some((place.slot, direction)),
            Kind::Udp { .. } => None,
        }
    }

    /// The packet as another socket of this node sent it, when that still looks for its other end.
    fn sent(&self, packet: &Packet<'_>, tcp: &TcpHeader, view: &View) -> Option<Sent> {
        if view.egress || packet.wire_len == 0 {
            return None;
        }
        let sent = self.index.recent.find(&Signature::new(tcp, packet), &canonical_tuple(&packet.header))?;
        let entry = self.slots[sent.slot as usize].as_ref()?;
        (entry.serial == sent.serial && !entry.views.joined).then_some(sent)
    }

    /// Remembers what a socket sends, and looks whether another one sent what it receives.
    fn search(
        &mut self,
        place: Place,
        packet: &Packet<'_>,
        tcp: &TcpHeader,
        view: &View,
        counters: &mut Counters,
    ) -> Option<Place> {
        let entry = self.slots[place.slot as usize].as_mut()?;
        if entry.views.joined || !entry.flow.mid_stream {
            entry.views.searches = 0;
            return Some(place);
        }
        entry.views.searches -= 1;
        if view.egress {
            let header = canonical_tuple(&packet.header);
            let direction = place.direction(view.egress);
            let sent = Sent { slot: place.slot, serial: entry.serial, direction, header };
            self.index.recent.insert(Signature::new(tcp, packet), sent);
            return Some(place);
        }
        match self.sent(packet, tcp, view) {
            Some(sent) if sent.slot != place.slot => self.merge(place, sent.slot, counters),
            Some(_) | None => Some(place),
        }
    }

    /// Two flows are one connection: the older stays, the younger's socket becomes its other end. Returns where the
    /// socket of `place` is then; `None` when both ends of the older are taken, and nothing changes.
    fn merge(&mut self, place: Place, other: u32, counters: &mut Counters) -> Option<Place> {
        let serial = |slot: u32| self.slots[slot as usize].as_ref().map(|entry| entry.serial);
        let (older, younger) =
            if serial(place.slot)? < serial(other)? { (place.slot, other) } else { (other, place.slot) };
        let free = Direction::BOTH
            .into_iter()
            .find(|&side| self.slots[older as usize].as_ref().is_some_and(|entry| entry.views.is_free(side)))?;
        let gone = self.remove(younger)?;
        uncount(&gone, counters);
        let cookie = gone.views.cookies.into_iter().find(|&cookie| cookie != 0)?;
        let own = gone.views.own.into_iter().flatten().next();
        let to_server = free == Direction::ToServer;
        // Which end is the client was guessed on both sides, and by different ports when NAT changed them.
        let turned = gone.views.cookies[free as usize] == 0;
        let entry = self.slots[older as usize].as_mut()?;
        entry.views.cookies[free as usize] = cookie;
        entry.views.own[free as usize] = own.map(|own| if turned { own.reversed() } else { own });
        entry.views.listener |= gone.views.listener;
        if entry.flow.join_key.is_none() {
            entry.flow.join_key = gone.flow.join_key;
        }
        if let Some(key) = entry.flow.join_key {
            self.index.joins.insert(key, older);
        }
        entry.views.join();
        entry.name_ends();
        if let Some(connection) = entry.connection() {
            connection.note_sender(free);
        }
        self.index.cookies.insert(cookie, Place { slot: older, to_server });
        let here = if younger == place.slot { to_server } else { place.to_server };
        Some(Place { slot: older, to_server: here })
    }

    /// Makes a socket an end of a flow.
    fn attach(&mut self, place: Place, packet: &Packet<'_>, view: &View, own: &Tuple) {
        let Place { slot, to_server } = place;
        let Some(entry) = self.slots[slot as usize].as_mut() else { return };
        let side = if to_server { Direction::ToServer } else { Direction::ToClient };
        let goes_to_server = place.direction(view.egress) == Direction::ToServer;
        entry.views.cookies[side as usize] = view.cookie;
        entry.views.own[side as usize] = Some(if goes_to_server { *own } else { own.reversed() });
        if to_server || entry.flow.cgroup == 0 || entry.views.is_free(Direction::ToServer) {
            entry.flow.cgroup = view.cgroup;
        }
        entry.views.join();
        entry.name_ends();
        if let Some(connection) = entry.connection() {
            connection.note_sender(side);
        }
        self.index.cookies.insert(view.cookie, place);
        for tuple in [&packet.header, own] {
            let (key, low) = Key::new(Domain::NodeTcp, tuple);
            self.index.add_tuple(slot, entry, key, low == goes_to_server);
        }
    }

    /// A packet of a listening socket, or of none: by the header's tuple and the initial sequence numbers.
    fn by_header(
        &mut self,
        packet: &Packet<'_>,
        tcp: &TcpHeader,
        view: &View,
        counters: &mut Counters,
        open: &mut impl FnMut(&Start) -> T,
        each: &mut impl Each<T>,
    ) -> Option<(u32, Direction)> {
        let by_join = |client: u32, server: u32| {
            self.index.joins.get(&JoinKey { client: client.wrapping_sub(1), server: server.wrapping_sub(1) }).copied()
        };
        let found = self
            .by_isn(packet, tcp)
            .or_else(|| (!tcp.flags.syn()).then(|| self.by_near_tuple(&packet.header, tcp)).flatten())
            .or_else(|| by_join(tcp.seq, tcp.ack).map(|slot| (slot, Direction::ToServer)))
            .or_else(|| by_join(tcp.ack, tcp.seq).map(|slot| (slot, Direction::ToClient)));
        let (slot, direction) = match found {
            Some(found) => found,
            None if tcp.flags.syn() => {
                let direction = first_direction(tcp, &packet.header);
                let slot = self.create(packet, direction, Kind::Tcp(Connection::new()), counters, open, each);
                self.note_first(slot, tcp);
                (slot, direction)
            }
            None => return None,
        };
        let entry = self.slots[slot as usize].as_mut()?;
        let at_listener = tcp.flags.syn() && (direction == Direction::ToClient) == view.egress;
        if at_listener && !entry.views.listener && entry.views.is_free(Direction::ToClient) {
            let to_server = if view.egress { packet.header.reversed() } else { packet.header };
            entry.views.listener = true;
            entry.views.reached = Some(canonical_tuple(&to_server).dst);
            if entry.flow.cgroup == 0 {
                entry.flow.cgroup = view.cgroup;
            }
            entry.views.join();
            entry.name_ends();
            let (key, low) = Key::new(Domain::NodeTcp, &to_server);
            self.index.add_tuple(slot, entry, key, low);
        }
        let again = !view.egress && (view.twin || entry.views.joined);
        (!again || tcp.flags.rst()).then_some((slot, direction))
    }

    /// Notes what a flow's first packet on a node tells; lets those of its handshake that pass elsewhere find it.
    fn note_first(&mut self, slot: u32, tcp: &TcpHeader) {
        if let Some(connection) = self.slots[slot as usize].as_mut().and_then(Slot::connection) {
            connection.note_live();
        }
        if tcp.flags.syn() {
            let isn = if tcp.flags.ack() { tcp.ack.wrapping_sub(1) } else { tcp.seq };
            self.index.opening.insert(isn, slot);
        }
    }

    /// The kernel had no room for packets of a socket, up to the sequence number `end`: the stream went on to there,
    /// whatever else is seen of it. False: nothing is known of such a stream.
    pub fn lost(&mut self, cookie: u64, egress: bool, end: u32) -> bool {
        let Some(&place) = self.index.cookies.get(&cookie) else { return false };
        let Some(entry) = self.slots[place.slot as usize].as_mut() else { return false };
        let last = entry.flow.last;
        let told = entry.connection().is_some_and(|connection| connection.went_on_to(place.direction(egress), end));
        self.note_waiting(place.slot, last);
        told
    }

    /// The kernel says that a socket's connection is the agent's own: forgets it without a trace, and what still comes
    /// of it too.
    pub fn forget(&mut self, cookie: u64, counters: &mut Counters) {
        self.index.forget(cookie);
        let Some(&Place { slot, .. }) = self.index.cookies.get(&cookie) else { return };
        if let Some(gone) = self.remove(slot) {
            for cookie in gone.views.cookies.into_iter().filter(|&cookie| cookie != 0) {
                self.index.forget(cookie);
            }
            uncount(&gone, counters);
        }
    }
}

/// Takes back what a flow was counted for, as far as that is still in these counters. Bytes are taken back from both
/// sides of `bytes = captured + skipped + lost`.
fn uncount<T>(gone: &Slot<T>, counters: &mut Counters) {
    counters.flows = counters.flows.saturating_sub(1);
    counters.packets = counters.packets.saturating_sub(gone.flow.packets);
    let captured = gone.flow.bytes.iter().sum::<u64>().saturating_sub(gone.missing).min(counters.captured_bytes);
    counters.captured_bytes -= captured;
    counters.bytes = counters.bytes.saturating_sub(captured);
}
