//! The ring and the maps beside it, as the shard's thread reads them. Plain blocking code: the byte path has no runtime.

use std::{
    collections::{HashMap, hash_map::Entry},
    os::fd::AsFd,
    time::Duration,
};

use agent_common::{Count, names};
use aya::{
    Ebpf,
    maps::{HashMap as KernelMap, MapData, PerCpuArray, RingBuf},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::hooks::one_line;
use crate::{status::KernelCounters, time::Time};

#[derive(Debug, thiserror::Error)]
pub enum RingError {
    #[error("the object lacks the map {0}")]
    Missing(&'static str),
    #[error("cannot read the kernel's {what}: {error}")]
    Read { what: &'static str, error: String },
}

/// Packets of one direction of a view for which the ring had no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostView {
    pub cookie: u64,
    pub egress: bool,
    pub packets: u64,
    pub bytes: u64,
    /// Sequence number after the last byte lost.
    pub end: u32,
}

/// One shard's ring.
pub struct Ring {
    events: RingBuf<MapData>,
    counts: PerCpuArray<MapData, u64>,
    lost: KernelMap<MapData, LostKey, Lost>,
    taken: Taken,
}

impl Ring {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, RingError> {
        let mut take = |name: &'static str| ebpf.take_map(name).ok_or(RingError::Missing(name));
        let events = RingBuf::try_from(take(names::RING)?).map_err(|error| read("ring", &error))?;
        let counts = PerCpuArray::try_from(take(names::COUNTS)?).map_err(|error| read("counts", &error))?;
        let lost = KernelMap::try_from(take(names::LOST)?).map_err(|error| read("losses", &error))?;
        Ok(Self { events, counts, lost, taken: Taken::default() })
    }

    /// Hands over what is in the ring, oldest first, at most `limit` events. Returns how many there were.
    pub fn drain(&mut self, limit: usize, mut each: impl FnMut(&[u8])) -> usize {
        let mut seen = 0;
        while seen < limit
            && let Some(event) = self.events.next()
        {
            each(&event);
            seen += 1;
        }
        seen
    }

    /// Sleeps until the kernel side wakes the reader, or the time is over.
    pub fn wait(&self, at_most: Duration) {
        let timeout = Timespec { tv_sec: at_most.as_secs().cast_signed(), tv_nsec: i64::from(at_most.subsec_nanos()) };
        let mut fds = [PollFd::from_borrowed_fd(self.events.as_fd(), PollFlags::IN)];
        // An interrupted or failed wait is a short one.
        let _ = poll(&mut fds, Some(&timeout));
    }

    /// What the kernel side counted since it was loaded.
    pub fn counters(&self) -> Result<KernelCounters, RingError> {
        let sum = |what: Count| -> Result<u64, RingError> {
            let values = self.counts.get(&(what as u32), 0).map_err(|error| read("counts", &error))?;
            Ok(values.iter().sum())
        };
        Ok(KernelCounters {
            events: sum(Count::Events)?,
            ring_full: sum(Count::RingFull)?,
            unreadable: sum(Count::Unreadable)?,
            twins: sum(Count::Twins)?,
            own: sum(Count::Own)?,
            lost_unnoted: sum(Count::LostUnnoted)?,
            malformed_events: 0,
        })
    }

    /// Takes the losses noted since the last call; an empty map costs one system call.
    pub fn take_lost(&mut self) -> Vec<LostView> {
        let keys: Vec<LostKey> = self.lost.keys().filter_map(Result::ok).collect();
        let mut views = Vec::with_capacity(keys.len());
        for key in keys {
            let Ok(noted) = self.lost.get(&key, 0) else { continue };
            match self.taken.news(key, noted) {
                Some(view) => views.push(view),
                None if self.lost.remove(&key).is_ok() => self.taken.forget(key),
                None => {}
            }
        }
        views
    }
}

/// `agent_common::LostKey` in words: cookie, 1 at egress.
type LostKey = [u64; 2];
/// `agent_common::Lost` in words: packets, bytes, end.
type Lost = [u64; 3];

/// What was taken of the kernel's entries. The kernel side adds to an entry at any moment, and only 5.14 and later look
/// up and delete in one step: so an entry stays, and is removed when nothing came to it between two sweeps.
#[derive(Debug, Default)]
struct Taken(HashMap<LostKey, [u64; 2]>);

impl Taken {
    /// What came to an entry since it was last seen.
    fn news(&mut self, key: LostKey, [packets, bytes, end]: Lost) -> Option<LostView> {
        let before = match self.0.entry(key) {
            Entry::Occupied(mut known) => known.insert([packets, bytes]),
            Entry::Vacant(new) => {
                new.insert([packets, bytes]);
                [0; 2]
            }
        };
        let view = LostView {
            cookie: key[0],
            egress: key[1] != 0,
            packets: packets.saturating_sub(before[0]),
            bytes: bytes.saturating_sub(before[1]),
            end: end as u32,
        };
        (view.packets > 0).then_some(view)
    }

    fn forget(&mut self, key: LostKey) {
        self.0.remove(&key);
    }
}

fn read(what: &'static str, error: &dyn std::error::Error) -> RingError {
    RingError::Read { what, error: one_line(error) }
}

/// Turns the kernel's monotonic times into those of the calendar.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Calendar time at monotonic 0.
    offset: u64,
}

/// The calendar clock may be set or slewed: smaller differences are the noise of reading two clocks.
const CLOCK_STEP_NANOS: u64 = 1_000_000;

impl Clock {
    pub fn new() -> Self {
        Self { offset: Self::measure() }
    }

    /// Follows the calendar clock when it was set. Call it now and then.
    pub fn refresh(&mut self) {
        let offset = Self::measure();
        if offset.abs_diff(self.offset) > CLOCK_STEP_NANOS {
            self.offset = offset;
        }
    }

    pub fn time(&self, monotonic: u64) -> Time {
        Time(self.offset.wrapping_add(monotonic))
    }

    fn measure() -> u64 {
        let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let monotonic = monotonic.tv_sec.cast_unsigned() * 1_000_000_000 + monotonic.tv_nsec.cast_unsigned();
        Time::now().0.saturating_sub(monotonic)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_taken_once_however_often_its_entry_is_seen() {
        let (key, other) = ([7, 1], [7, 0]);
        let view = |packets, bytes, end| Some(LostView { cookie: 7, egress: true, packets, bytes, end });
        let mut taken = Taken::default();
        assert_eq!(taken.news(key, [2, 300, 1000]), view(2, 300, 1000));
        // The kernel side added while the entry was looked at: the next sweep has it.
        assert_eq!(taken.news(key, [3, 340, 1040]), view(1, 40, 1040));
        assert_eq!(taken.news(other, [1, 5, 9]).map(|view| (view.egress, view.bytes)), Some((false, 5)));
        assert_eq!(taken.news(key, [3, 340, 1040]), None, "to be removed");
        taken.forget(key);
        assert_eq!(taken.news(key, [1, 10, 1050]), view(1, 10, 1050), "a new entry");
    }
}
