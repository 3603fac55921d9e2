//! Who carries which lane on: batches wait at their lane, and any free thread takes a lane that has some. A lane is with
//! one thread at a time, so its batches are worked off in order.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::LANES;
use crate::{capture::pcap::Block, time::Time};

/// One packet of a batch, at its IP header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) time: Time,
    /// 0 for a tick: time passes, without a packet.
    pub(super) number: u64,
    /// Into the batch's blocks.
    pub(super) block: u32,
    pub(super) start: u32,
    pub(super) len: u32,
    /// On the wire, from the IP header on.
    pub(super) wire_len: u32,
}

/// Packets for one lane.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) blocks: Arc<[Arc<Block>]>,
    pub(super) entries: Vec<Entry>,
    /// Of the last packet that was read, for whichever lane.
    pub(super) now: Time,
    /// Nothing follows.
    pub(super) last: bool,
}

#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: [VecDeque<Batch>; LANES],
    /// Lanes with batches that no thread has taken.
    ready: VecDeque<usize>,
    /// With a thread, or in `ready`.
    taken: [bool; LANES],
    idle: usize,
    finished: bool,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out one batch a lane.
    pub(super) fn put(&self, batches: impl Iterator<Item = (usize, Batch)>) {
        let mut state = self.state();
        for (lane, batch) in batches {
            state.waiting[lane].push_back(batch);
            if !state.taken[lane] {
                state.taken[lane] = true;
                state.ready.push_back(lane);
            }
        }
        if state.idle > 0 {
            self.work.notify_all();
        }
    }

    /// No batch follows: threads go home when all is done.
    pub(super) fn finish(&self) {
        self.state().finished = true;
        self.work.notify_all();
    }

    /// A lane and its batches, to be given back by `done`; `None` when there is nothing left to do.
    pub(super) fn take(&self) -> Option<(usize, VecDeque<Batch>)> {
        let mut state = self.state();
        loop {
            if let Some(lane) = state.ready.pop_front() {
                return Some((lane, std::mem::take(&mut state.waiting[lane])));
            }
            if state.finished {
                return None;
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    pub(super) fn done(&self, lane: usize) {
        let mut state = self.state();
        if state.waiting[lane].is_empty() {
            state.taken[lane] = false;
        } else {
            // The thread that gave it back is about to ask for work.
            state.ready.push_back(lane);
        }
    }
}
