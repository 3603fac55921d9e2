//! Keeping the table within its limits: who was silent longest, who waits for missing bytes, who holds most. Each step
//! takes constant time, so that neither a flood of connections nor one of gaps makes a packet dearer.

use super::{
    Direction, Ending, Flow, Piece,
    lists::{Kind as Order, List},
    slot::{Kind, Slot},
    table::{Each, FlowTable, deliver},
};
use crate::{
    coverage::{Counters, Reason},
    time::Time,
};

/// Lists of each order: activity as below, all that wait in one, holders by the power of two of what they hold.
pub(super) const LISTS: [usize; 3] = [4, 1, 33];

/// Connections without any byte of data: what a SYN flood leaves.
const SILENT: List = List { kind: Order::Activity, number: 0 };
const SPEAKING: List = List { kind: Order::Activity, number: 1 };
/// Both directions ended: nothing is lost when they go.
const CLOSED: List = List { kind: Order::Activity, number: 2 };
const DATAGRAMS: List = List { kind: Order::Activity, number: 3 };
const WAITING: List = List { kind: Order::Waiting, number: 0 };

/// A flow moves to the end of its list at most so often: the order is right to within this, and a busy flow costs
/// nothing.
const GRANULE: u64 = 100_000_000;
/// Flows without data may take this part of the table before they go first.
const SILENT_PART: usize = 4;

impl<T> FlowTable<T> {
    /// Ends flows that were idle, gives up on gaps that waited too long. Call it with the capture's time, now and then:
    /// it looks only at what is due.
    pub fn expire(
        &mut self,
        now: Time,
        counters: &mut Counters,
        each: &mut impl FnMut(&mut Flow<T>, Direction, Piece<'_>, &mut Counters),
    ) {
        // Each flow that waits comes up once in this time, however many of them there are.
        for _ in 0..self.lists.count(WAITING) {
            let Some(slot) = self.lists.first(WAITING) else { break };
            let Some(entry) = self.slots[slot as usize].as_mut() else { break };
            let Slot { flow, kind: Kind::Tcp(connection), missing, queued_wait, .. } = entry else { break };
            if now.0.saturating_sub(queued_wait.0) < self.limits.reorder_nanos {
                break;
            }
            connection.watch(now, false, &self.waits, &mut |direction, piece| {
                deliver(flow, missing, direction, piece, counters, each);
            });
            self.lists.remove(Order::Waiting, slot);
            self.settle(slot, now, counters, each);
        }
        let idle = self.limits.idle_nanos;
        let lists = [
            (CLOSED, self.limits.closed_nanos),
            (SILENT, idle),
            (SPEAKING, idle),
            (DATAGRAMS, self.limits.datagrams_idle_nanos),
        ];
        for (list, patience) in lists {
            while let Some(slot) = self.lists.first(list) {
                let Some(entry) = self.slots[slot as usize].as_ref() else { break };
                if now.0.saturating_sub(entry.flow.last.0) < patience {
                    break;
                }
                self.end(slot, Ending::Expired, now, counters, each);
            }
        }
    }

    /// End of the capture: everything still held is delivered, with its gaps, and every flow ends.
    pub fn finish(
        &mut self,
        counters: &mut Counters,
        each: &mut impl FnMut(&mut Flow<T>, Direction, Piece<'_>, &mut Counters),
    ) {
        let mut flows: Vec<(u64, u32)> =
            self.slots.iter().zip(0..).filter_map(|(slot, number)| Some((slot.as_ref()?.serial, number))).collect();
        flows.sort_unstable();
        for (_, slot) in flows {
            let last = self.slots[slot as usize].as_ref().map_or(Time(0), |entry| entry.flow.last);
            self.end(slot, Ending::Expired, last, counters, each);
        }
    }

    /// Brings a flow's place in the lists up to date after a packet in order.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32) {
        let Some(entry) = self.slots[slot as usize].as_mut() else { return };
        let last = entry.flow.last;
        if last.0.saturating_sub(entry.queued.0) >= GRANULE || !entry.spoke {
            entry.queued = last;
            entry.spoke = entry.flow.bytes != [0; 2];
            self.enlist(slot);
        }
    }

    pub(super) fn enlist(&mut self, slot: u32) {
        let Some(entry) = self.slots[slot as usize].as_ref() else { return };
        let list = match &entry.kind {
            Kind::Udp { .. } => DATAGRAMS,
            Kind::Tcp(connection) if connection.is_closed() => CLOSED,
            Kind::Tcp(_) if entry.spoke => SPEAKING,
            Kind::Tcp(_) => SILENT,
        };
        self.lists.push(list, slot);
    }

    /// After anything but a packet in order: counts what arrived again, notes what waits and what is held, and keeps
    /// both within the limits.
    pub(super) fn settle(&mut self, slot: u32, now: Time, counters: &mut Counters, each: &mut impl Each<T>) {
        let limit = self.limits.held_per_flow;
        let Some(entry) = self.slots[slot as usize].as_mut() else { return };
        let Slot { flow, kind: Kind::Tcp(connection), missing, .. } = entry else { return };
        while connection.held() > limit {
            connection.relieve(now, &mut |direction, piece| deliver(flow, missing, direction, piece, counters, each));
        }
        self.account(slot, now, counters);
        while self.held > self.limits.held {
            let Some(largest) = self.largest() else { break };
            let Some(entry) = self.slots[largest as usize].as_mut() else { break };
            let Slot { flow, kind: Kind::Tcp(connection), missing, .. } = entry else { break };
            connection.relieve(now, &mut |direction, piece| deliver(flow, missing, direction, piece, counters, each));
            self.account(largest, now, counters);
        }
    }

    fn account(&mut self, slot: u32, now: Time, counters: &mut Counters) {
        let Some(entry) = self.slots[slot as usize].as_mut() else { return };
        let Slot { flow, kind: Kind::Tcp(connection), .. } = entry else { return };
        counters.retransmitted_bytes += connection.take_again();
        counters.lost(connection.take_early(), Reason::ReassemblyLimit);
        let held = connection.held();
        if held != entry.held {
            self.held = self.held - entry.held + held;
            entry.held = held;
            if held == 0 {
                self.lists.remove(Order::Held, slot);
            } else if self.lists.list_of(Order::Held, slot) != Some(class(held)) {
                self.lists.push(List { kind: Order::Held, number: class(held) }, slot);
            }
        }
        if flow.join_key.is_none()
            && let Some(key) = connection.join_key()
        {
            flow.join_key = Some(key);
            if entry.views.any() {
                self.index.joins.insert(key, slot);
            }
        }
        let closed = connection.is_closed();
        self.note_waiting(slot, now);
        let is_listed = self.lists.list_of(Order::Activity, slot) == Some(CLOSED.number);
        if closed && !is_listed {
            self.enlist(slot);
        } else if !closed {
            self.touch(slot);
        }
    }

    /// Puts a flow that waits for missing bytes among those to be looked after, and one that doesn't out of them.
    pub(super) fn note_waiting(&mut self, slot: u32, now: Time) {
        let Some(entry) = self.slots[slot as usize].as_mut() else { return };
        let waits = entry.connection().is_some_and(|connection| connection.lacks());
        if !waits {
            self.lists.remove(Order::Waiting, slot);
        } else if self.lists.list_of(Order::Waiting, slot).is_none() {
            entry.queued_wait = now;
            self.lists.push(WAITING, slot);
        }
    }

    /// Flows that wait for missing bytes.
    pub(super) fn waiting(&self) -> impl Iterator<Item = u32> {
        self.lists.iter(WAITING)
    }

    /// One of those that hold most, to within a factor of two.
    fn largest(&self) -> Option<u32> {
        let numbers = (0..LISTS[Order::Held as usize] as u8).rev();
        numbers.filter_map(|number| self.lists.first(List { kind: Order::Held, number })).next()
    }

    /// Drops a flow when there is no room for another: one that ended, else the one that was silent longest. Those that
    /// never carried a byte go first when they take more than their part, so that a flood of SYNs drives nothing out.
    pub(super) fn make_room(&mut self, now: Time, counters: &mut Counters, each: &mut impl Each<T>) {
        while self.slots.len() - self.free.len() >= self.limits.flows.max(1) {
            let silent_first = self.lists.count(SILENT) > self.limits.flows / SILENT_PART;
            let ended = self.lists.first(CLOSED);
            let silent = self.lists.first(SILENT).filter(|_| silent_first);
            let Some(slot) = ended.or(silent).or_else(|| self.idle_longest()) else { return };
            if ended.is_none() {
                self.evicted += 1;
            }
            self.end(slot, Ending::Evicted, now, counters, each);
        }
    }

    fn idle_longest(&self) -> Option<u32> {
        let firsts = [SILENT, SPEAKING, DATAGRAMS].into_iter().filter_map(|list| self.lists.first(list));
        firsts.min_by_key(|&slot| self.slots[slot as usize].as_ref().map(|entry| (entry.flow.last, entry.serial)))
    }

    pub(super) fn closed(&self) -> usize {
        self.lists.count(CLOSED)
    }

    /// Takes a flow out of the table, without a word.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Slot<T>> {
        let mut entry = self.slots[slot as usize].take()?;
        let isn = entry.connection().and_then(|connection| connection.client_isn());
        self.index.remove(slot, &entry, isn);
        self.held -= entry.held;
        for order in [Order::Activity, Order::Waiting, Order::Held] {
            self.lists.remove(order, slot);
        }
        self.free.push(slot);
        Some(entry)
    }
}

impl<T> Slot<T> {
    /// Both directions ended; it lingers to absorb what still comes.
    pub(super) fn is_closed(&self) -> bool {
        match &self.kind {
            Kind::Tcp(connection) => connection.is_closed(),
            Kind::Udp { .. } => false,
        }
    }
}

/// The list of those that hold so much: the power of two above.
fn class(held: usize) -> u8 {
    (usize::BITS - held.leading_zeros()).min(32) as u8
}
