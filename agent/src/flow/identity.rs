//! By what a packet's flow is found. In files and for datagrams that is the tuple of the header. On a live node a TCP
//! connection is its sockets: by cookie; and until the accepting socket shows up, by the header's tuple and the initial
//! sequence numbers. The maps point at slots; a later flow under the same key takes it over.

use std::collections::VecDeque;

use super::{
    Direction,
    address::Key,
    hash::{Map, Seeded},
    recent::Recent,
    slot::Slot,
};
use crate::capture::JoinKey;

/// Sockets of the agent's own connections that are remembered: their last events may still be in the ring.
const FORGOTTEN: usize = 1024;

/// A flow, and which way a packet goes in it: by a yes or no that the map's key leaves open (is the sender the lower
/// end of the tuple, was it sent by this socket).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: u32,
    /// The answer for packets to the server.
    pub(super) to_server: bool,
}

impl Place {
    pub(super) fn direction(self, answer: bool) -> Direction {
        if answer == self.to_server { Direction::ToServer } else { Direction::ToClient }
    }
}

#[derive(Debug)]
pub(super) struct Index {
    pub(super) tuples: Map<Key, Place>,
    pub(super) cookies: Map<u64, Place>,
    pub(super) joins: Map<JoinKey, u32>,
    /// Connections on this node by the client's initial sequence number.
    pub(super) opening: Map<u32, u32>,
    pub(super) recent: Recent,
    forgotten: Map<u64, ()>,
    forgotten_order: VecDeque<u64>,
}

impl Index {
    pub(super) fn new() -> Self {
        let hash = Seeded::new();
        Self {
            tuples: Map::with_hasher(hash.clone()),
            cookies: Map::with_hasher(hash.clone()),
            joins: Map::with_hasher(hash.clone()),
            opening: Map::with_hasher(hash.clone()),
            recent: Recent::new(&hash),
            forgotten: Map::with_hasher(hash),
            forgotten_order: VecDeque::new(),
        }
    }

    /// Lets a flow be found by a tuple. Two are enough: a header's and a socket's own.
    pub(super) fn add_tuple<T>(&mut self, slot: u32, entry: &mut Slot<T>, key: Key, to_server: bool) {
        if entry.keys.contains(&Some(key)) {
            return;
        }
        if let Some(free) = entry.keys.iter_mut().find(|key| key.is_none()) {
            *free = Some(key);
            self.tuples.insert(key, Place { slot, to_server });
        }
    }

    /// Takes a flow out of all maps.
    pub(super) fn remove<T>(&mut self, slot: u32, entry: &Slot<T>, client_isn: Option<u32>) {
        for key in entry.keys.iter().flatten() {
            if self.tuples.get(key).is_some_and(|place| place.slot == slot) {
                self.tuples.remove(key);
            }
        }
        for cookie in entry.views.cookies {
            if self.cookies.get(&cookie).is_some_and(|place| place.slot == slot) {
                self.cookies.remove(&cookie);
            }
        }
        if let Some(key) = entry.flow.join_key
            && self.joins.get(&key) == Some(&slot)
        {
            self.joins.remove(&key);
        }
        if let Some(isn) = client_isn
            && self.opening.get(&isn) == Some(&slot)
        {
            self.opening.remove(&isn);
        }
    }

    pub(super) fn forget(&mut self, cookie: u64) {
        if self.forgotten.insert(cookie, ()).is_none() {
            self.forgotten_order.push_back(cookie);
        }
        if self.forgotten_order.len() > FORGOTTEN
            && let Some(oldest) = self.forgotten_order.pop_front()
        {
            self.forgotten.remove(&oldest);
        }
    }

    pub(super) fn is_forgotten(&self, cookie: u64) -> bool {
        self.forgotten.contains_key(&cookie)
    }
}
