//! Lines in the order of their calls' times. Lanes finish calls when they are answered, and independently of one
//! another; printed they are by timestamp, then id.
//!
//! A line is printed when no lane can make an earlier one any more. Until then it is held, at most `HELD_MAX` bytes of
//! them; what is beyond goes to a temporary file (a call that stays open for the whole capture holds back all that began
//! after it). Files are given `HELD_MIN` of lines before anything is printed, so that packets that are a little, or in a
//! small file anyhow, out of order in time don't show; a live source's lines go out as soon as they may.

use std::{
    cmp::Ordering,
    io::{self, IoSlice, Write},
    sync::{Mutex, PoisonError},
};

use super::{LANES, spill::Spill};
use crate::{record::RecordId, time::Time};

/// Text that a lane gathers before it hands it on.
pub const HANDED_ON: usize = 128 << 10;
/// Room for the line that fills a text: what is longer moves it.
const LAST_LINE: usize = 16 << 10;
/// Buffers of lines that are held before printing starts.
const HELD_MIN: usize = 16 << 20;
/// Buffers of lines that are held at most.
pub const HELD_MAX: usize = 128 << 20;
/// Spilled lines are written together, up to so many bytes.
const TOGETHER: usize = 256 * 1024;
/// Slices of one write: Linux takes 1024 (UIO_MAXIOV).
const SLICES: usize = 1024;

/// What lines are sorted by: the printed time, then the printed id, which people and scripts compare as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub micros: u64,
    pub conn: u64,
    pub number: u32,
}

impl Key {
    pub fn new(timestamp: Time, id: RecordId) -> Self {
        Self { micros: timestamp.micros(), conn: id.conn, number: id.number }
    }

    fn id(self) -> String {
        RecordId { epoch: 0, conn: self.conn, number: self.number }.to_string()
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.micros.cmp(&other.micros).then_with(|| {
            let same = (self.conn, self.number) == (other.conn, other.number);
            if same { Ordering::Equal } else { self.id().cmp(&other.id()) }
        })
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Lines that a lane made, in any order.
#[derive(Debug)]
pub struct Lines {
    pub lane: usize,
    pub text: Vec<u8>,
    /// Where each line begins and ends in `text`.
    pub lines: Vec<(Key, u32, u32)>,
    /// No line that the lane is yet to make is older.
    pub settled: Time,
}

/// Memory for lines, used again and again.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Kept for reuse at most: what is held before printing starts.
    const KEPT: usize = HELD_MIN / HANDED_ON;

    pub fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Vec::with_capacity(HANDED_ON + LAST_LINE))
    }

    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < Self::KEPT {
            kept.push(buffer);
        }
    }
}

/// Puts lines in order and prints them.
pub struct Order<'a, W> {
    out: W,
    buffers: &'a Buffers,
    settled: [Time; LANES],
    /// The texts of held lines, with the number of those; empty ones are free.
    texts: Vec<(Vec<u8>, usize)>,
    free: Vec<usize>,
    held: Vec<Held>,
    held_bytes: usize,
    spill: Option<Spill>,
    /// The latest line that was printed.
    printed: Option<Key>,
    /// Lines that came after a later one was printed.
    pub late: u64,
    /// Lines that may still be printed.
    left: u64,
    /// More bytes than this are held before the next look at what may be printed.
    hold: usize,
    live: bool,
    /// Bytes of the first line that are not printed.
    cut: usize,
}

#[derive(Clone, Copy)]
struct Held {
    key: Key,
    text: u32,
    start: u32,
    end: u32,
}

impl<'a, W: Write> Order<'a, W> {
    /// Prints at most `limit` lines to `out`; at once when the source is `live`.
    pub fn new(out: W, buffers: &'a Buffers, limit: Option<u64>, live: bool) -> Self {
        Self {
            out,
            buffers,
            settled: [Time::default(); LANES],
            texts: Vec::new(),
            free: Vec::new(),
            held: Vec::new(),
            held_bytes: 0,
            spill: None,
            printed: None,
            late: 0,
            left: limit.unwrap_or(u64::MAX),
            hold: if live { 0 } else { HELD_MIN },
            live,
            cut: 0,
        }
    }

    /// The first byte that is printed separates lines: it is left out.
    pub fn without_first_byte(&mut self) {
        self.cut = 1;
    }

    pub fn add(&mut self, lines: Lines) -> io::Result<()> {
        let Lines { lane, text, lines, settled } = lines;
        self.settled[lane] = settled.max(self.settled[lane]);
        if lines.is_empty() {
            self.buffers.give(text);
        } else {
            self.held_bytes += text.capacity();
            let at = self.free.pop().unwrap_or(self.texts.len());
            let count = lines.len();
            match self.texts.get_mut(at) {
                Some(place) => *place = (text, count),
                None => self.texts.push((text, count)),
            }
            self.held.extend(lines.into_iter().map(|(key, start, end)| Held { key, text: at as u32, start, end }));
        }
        if self.held_bytes > self.hold {
            self.print_settled()?;
        }
        if self.held_bytes > HELD_MAX {
            self.spill()?;
        }
        Ok(())
    }

    /// All lanes have ended: prints what is left.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.settled = [Time(u64::MAX); LANES];
        self.print_settled()?;
        self.out.flush()?;
        Ok((self.out, self.late))
    }

    fn print_settled(&mut self) -> io::Result<()> {
        let until = self.settled.iter().min().map_or(0, |time| time.micros());
        // Lines come in runs that are nearly in order, which a stable sort makes use of.
        self.held.sort_by_key(|held| held.key);
        let count = self.held.partition_point(|held| held.key.micros < until);
        let held = std::mem::take(&mut self.held);
        let (ready, rest) = held.split_at(count);
        if self.spill.is_some() {
            self.print_with_spilled(ready, until)?;
        } else {
            self.print(ready)?;
        }
        for held in ready {
            self.release(*held);
        }
        self.held = rest.to_vec();
        // What could not be printed is not sorted again for every handful of lines.
        self.hold = if self.live { 0 } else { self.held_bytes + HELD_MIN };
        Ok(())
    }

    /// Prints lines that are in order, without copying them.
    fn print(&mut self, lines: &[Held]) -> io::Result<()> {
        if let (Some(first), Some(printed)) = (lines.first(), self.printed)
            && first.key < printed
        {
            self.late += lines.iter().take_while(|line| line.key < printed).count() as u64;
        }
        self.printed = lines.last().map(|line| line.key).max(self.printed);
        let lines = &lines[..lines.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))];
        self.left -= lines.len() as u64;
        let mut cut = if lines.is_empty() { 0 } else { std::mem::take(&mut self.cut) as u32 };
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(SLICES);
        let mut lines = lines.iter().peekable();
        while let Some(line) = lines.next() {
            let mut end = line.end;
            // Neighbours are one slice.
            while let Some(next) = lines.next_if(|next| next.text == line.text && next.start == end) {
                end = next.end;
            }
            let start = line.start + std::mem::take(&mut cut);
            slices.push(IoSlice::new(&self.texts[line.text as usize].0[start as usize..end as usize]));
            if slices.len() == SLICES {
                write_all(&mut self.out, &mut slices)?;
                slices.clear();
            }
        }
        write_all(&mut self.out, &mut slices)
    }

    fn print_with_spilled(&mut self, lines: &[Held], until: u64) -> io::Result<()> {
        let Some(mut spill) = self.spill.take() else { return Ok(()) };
        let mut lines = lines;
        let mut together = Vec::new();
        while let Some(first) = spill.first().filter(|first| first.micros < until) {
            let (now, later) = lines.split_at(lines.partition_point(|line| line.key < first));
            if !now.is_empty() || together.len() >= TOGETHER {
                self.out.write_all(&together)?;
                together.clear();
                self.print(now)?;
            }
            lines = later;
            self.late += u64::from(self.printed.is_some_and(|printed| first < printed));
            self.printed = self.printed.max(Some(first));
            let wanted = self.left > 0;
            self.left = self.left.saturating_sub(1);
            let cut = if wanted { std::mem::take(&mut self.cut) } else { 0 };
            spill.pop(|line| {
                if wanted {
                    together.extend_from_slice(&line[cut..]);
                }
            })?;
        }
        self.out.write_all(&together)?;
        if spill.first().is_some() {
            self.spill = Some(spill);
        }
        self.print(lines)
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut spill = match self.spill.take() {
            Some(spill) => spill,
            None => Spill::new()?,
        };
        let mut held = std::mem::take(&mut self.held);
        held.sort_by_key(|held| held.key);
        spill.write(held.iter().map(|line| {
            let text = &self.texts[line.text as usize].0;
            (line.key, &text[line.start as usize..line.end as usize])
        }))?;
        self.spill = Some(spill);
        for line in held {
            self.release(line);
        }
        self.hold = HELD_MIN;
        Ok(())
    }

    fn release(&mut self, line: Held) {
        let at = line.text as usize;
        let (text, count) = &mut self.texts[at];
        *count -= 1;
        if *count == 0 {
            let text = std::mem::take(text);
            self.held_bytes -= text.capacity();
            self.free.push(at);
            self.buffers.give(text);
        }
    }
}

fn write_all(out: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match out.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => IoSlice::advance_slices(&mut slices, len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: usize = 20;

    /// A lane's lines with these times, `settled` behind them.
    fn lines(lane: usize, times: &[u64], settled: u64) -> Lines {
        let mut text = Vec::new();
        let lines = times.iter().map(|&micros| {
            let start = text.len() as u32;
            text.extend_from_slice(format!("{micros:>18}\n").as_bytes());
            text.resize(start as usize + LINE, b'.');
            (Key { micros, conn: lane as u64, number: micros as u32 }, start, text.len() as u32)
        });
        let lines = lines.collect();
        Lines { lane, text, lines, settled: Time(settled * 1000) }
    }

    fn times(out: &[u8]) -> Vec<u64> {
        out.chunks(LINE).map(|line| String::from_utf8_lossy(&line[..18]).trim().parse().expect("a time")).collect()
    }

    #[test]
    fn a_live_line_is_printed_when_no_lane_can_make_an_earlier_one() {
        let buffers = Buffers::default();
        let mut order = Order::new(Vec::new(), &buffers, None, true);
        order.add(lines(0, &[5, 3], 6)).expect("memory");
        for lane in 1..LANES {
            assert!(order.out.is_empty());
            order.add(lines(lane, &[], 4)).expect("memory");
        }
        assert_eq!(times(&order.out), [3]);
        order.add(lines(1, &[4], 9)).expect("memory");
        let (out, late) = order.finish().expect("memory");
        assert_eq!((times(&out), late), (vec![3, 4, 5], 0));
    }

    #[test]
    fn files_are_held_so_that_small_ones_are_in_order_whatever_their_clock_does() {
        let buffers = Buffers::default();
        let mut order = Order::new(Vec::new(), &buffers, Some(3), false);
        for lane in 0..LANES {
            order.add(lines(lane, &[100 + lane as u64, 50 - lane as u64], 1000)).expect("memory");
        }
        let (out, late) = order.finish().expect("memory");
        assert_eq!((times(&out), late), (vec![43, 44, 45], 0));
    }

    #[test]
    fn equal_times_go_by_the_printed_id() {
        let key = |conn, number| Key { micros: 1, conn, number };
        let mut keys = [key(9, 0), key(10, 2), key(10, 10), key(2, 0)];
        keys.sort();
        assert_eq!(keys.map(Key::id), ["10-10", "10-2", "2-0", "9-0"]);
    }

    #[test]
    fn what_waits_too_long_goes_to_disk_and_comes_back_in_order() {
        let buffers = Buffers::default();
        let mut order = Order::new(Vec::new(), &buffers, None, false);
        // A lane that has come no further than 10 holds back everything.
        let mut all = vec![10];
        for turn in 0..40_u64 {
            let times: Vec<u64> = (0..1000).map(|at| 11 + (at * 7919 + turn * 13) % 50_000).collect();
            let mut wide = lines(1, &times, 60_000);
            // As much as long lines would take.
            wide.text.reserve_exact(8 << 20);
            order.add(wide).expect("a temporary file");
            all.extend(times);
        }
        assert!(order.spill.is_some() && order.held_bytes <= HELD_MAX && order.out.is_empty());
        order.add(lines(0, &[10], 20_000)).expect("a temporary file");
        for lane in 2..LANES {
            order.add(lines(lane, &[], 60_000)).expect("a temporary file");
        }
        let (out, late) = order.finish().expect("a temporary file");
        all.sort_unstable();
        assert_eq!(late, 0);
        assert!(times(&out) == all);
    }

    #[test]
    fn late_lines_are_counted() {
        let buffers = Buffers::default();
        let mut order = Order::new(Vec::new(), &buffers, None, true);
        for lane in 0..LANES {
            order.add(lines(lane, &[20 + lane as u64], 100)).expect("memory");
        }
        order.add(lines(0, &[7, 8, 120], 200)).expect("memory");
        let (out, late) = order.finish().expect("memory");
        assert_eq!((times(&out).len(), late), (LANES + 3, 2));
    }
}
