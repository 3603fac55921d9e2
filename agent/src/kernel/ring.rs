//! The ring and the maps beside it, as the shard's thread reads them. Plain blocking code: the byte path has no runtime.

use std::{os::fd::AsFd, time::Duration};

use agent_common::{Count, names};
use aya::{
    Ebpf,
    maps::{HashMap, MapData, PerCpuArray, RingBuf},
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
    lost: HashMap<MapData, [u64; 2], [u64; 3]>,
}

impl Ring {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, RingError> {
        let mut take = |name: &'static str| ebpf.take_map(name).ok_or(RingError::Missing(name));
        let events = RingBuf::try_from(take(names::RING)?).map_err(|error| read("ring", &error))?;
        let counts = PerCpuArray::try_from(take(names::COUNTS)?).map_err(|error| read("counts", &error))?;
        let lost = HashMap::try_from(take(names::LOST)?).map_err(|error| read("losses", &error))?;
        Ok(Self { events, counts, lost })
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

    /// Takes the losses noted since the last call.
    pub fn take_lost(&mut self) -> Vec<LostView> {
        let keys: Vec<[u64; 2]> = self.lost.keys().filter_map(Result::ok).collect();
        let mut taken = Vec::with_capacity(keys.len());
        for key in keys {
            if let Ok([packets, bytes, end]) = self.lost.get(&key, 0) {
                // Between the two calls the kernel may add to it: that is then noted under a new entry or lost from
                // this count, never from `Count::RingFull`.
                let _ = self.lost.remove(&key);
                let end = end as u32;
                taken.push(LostView { cookie: key[0], egress: key[1] != 0, packets, bytes, end });
            }
        }
        taken
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
