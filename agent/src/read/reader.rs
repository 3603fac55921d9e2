//! The reading end: takes packets from the files, finds each one's lane, and deals them out in batches. It looks at no
//! more of a packet than its addresses: everything else is the lanes' work.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{
    LANES,
    board::{Batch, Board, Entry},
    lane::{Lane, Turn},
};
use crate::{
    capture::{
        headers::{Unreadable, parse_ip},
        pcap::{Block, LinkType, Merge, Run, ip_packet},
    },
    coverage::Counters,
    shard::{Shard, ShardOptions},
    time::Time,
};

/// Blocks in use beside one for each open file: enough to keep the lanes busy while the reader waits for the disk.
const BLOCKS: usize = 32;
/// Packets dealt out at once, to make the dealing cheap; whole runs, so it may be more.
const BATCH: usize = 2048;
/// Blocks dealt out at once at most, since a batch keeps them all: of many files read as one, each run is a block.
const BATCH_BLOCKS: usize = 8;
/// Every lane is told that so much time has passed, whether or not it had packets.
const TICK: u64 = 1_000_000_000;

/// What was read in all.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub counters: Counters,
    pub from: Option<Time>,
    pub to: Option<Time>,
    pub files: Vec<FileState>,
}

/// How the reading of one file went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileState {
    /// It is a capture, and what came before a fault was read.
    pub readable: bool,
    /// Something could not be read.
    pub fault: bool,
}

/// A file that could not be read, or not all of it.
#[derive(Clone, Debug)]
pub struct Fault {
    pub path: PathBuf,
    pub what: String,
}

/// Opens files, to be read as one capture.
pub fn open(files: Vec<PathBuf>) -> Merge {
    Merge::open(files, BLOCKS)
}

/// Reads files on `threads` threads beside this one, until their end or until `stop`. Each lane hands what it made to
/// its own `sink`. Faults are told as they are met.
pub fn run<S: FnMut(Turn<'_>) + Send>(
    files: Merge,
    options: &ShardOptions,
    threads: usize,
    stop: &AtomicBool,
    mut fault: impl FnMut(Fault),
    mut sink: impl FnMut(usize) -> S,
) -> Totals {
    let lanes: [Mutex<Lane<S>>; LANES] =
        std::array::from_fn(|at| Mutex::new(Lane::new(Shard::new(options.clone()), sink(at))));
    let board = Board::default();
    let mut totals = Totals { files: vec![FileState::default(); files.paths().len()], ..Totals::default() };
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, LANES) {
            scope.spawn(|| {
                let _guard = EndOnPanic;
                work(&board, &lanes);
            });
        }
        let mut dealer = Dealer::new(&board, files, &mut totals, &mut fault);
        dealer.deal_all(stop);
        board.finish();
    });
    for lane in lanes {
        totals.counters.merge(&lane.into_inner().unwrap_or_else(PoisonError::into_inner).into_counters());
    }
    totals
}

fn work<S: FnMut(Turn<'_>)>(board: &Board, lanes: &[Mutex<Lane<S>>; LANES]) {
    while let Some((at, batches)) = board.take() {
        let mut lane = lanes[at].lock().unwrap_or_else(PoisonError::into_inner);
        for batch in batches {
            lane.batch(&batch);
        }
        drop(lane);
        board.done(at);
    }
}

/// The others would wait for a thread that panicked: a bug ends the program, as it does on the main thread.
struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::exit(101);
        }
    }
}

struct Dealer<'a, F> {
    board: &'a Board,
    merge: Merge,
    live: bool,
    totals: &'a mut Totals,
    tell: F,
    hands: [Vec<Entry>; LANES],
    blocks: Vec<Arc<Block>>,
    dealt: usize,
    now: Time,
    next_tick: u64,
    /// Link types that were complained about, by file.
    unknown: Vec<(usize, LinkType)>,
}

impl<'a, F: FnMut(Fault)> Dealer<'a, F> {
    fn new(board: &'a Board, merge: Merge, totals: &'a mut Totals, tell: F) -> Self {
        Self {
            board,
            live: merge.live(),
            merge,
            totals,
            tell,
            hands: Default::default(),
            blocks: Vec::new(),
            dealt: 0,
            now: Time::default(),
            next_tick: 0,
            unknown: Vec::new(),
        }
    }

    fn deal_all(&mut self, stop: &AtomicBool) {
        self.notes();
        while let Some(run) = self.merge.next_run() {
            self.run(&run);
            self.notes();
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if self.live || self.dealt >= BATCH || self.blocks.len() >= BATCH_BLOCKS {
                self.flush(false);
            }
        }
        self.notes();
        self.flush(true);
    }

    fn run(&mut self, run: &Run) {
        let at = match self.blocks.iter().rposition(|block| Arc::ptr_eq(block, &run.block)) {
            Some(at) => at,
            None => {
                self.blocks.push(Arc::clone(&run.block));
                self.blocks.len() - 1
            }
        };
        let mut readable = false;
        for (number, frame) in (run.number..).zip(&run.block.frames()[run.frames.clone()]) {
            self.time(frame.time);
            let bytes = run.block.bytes(frame);
            match ip_packet(frame.link, bytes) {
                Ok(ip) => {
                    let entry = Entry {
                        time: frame.time,
                        number,
                        block: at as u32,
                        start: (run.block.position(frame) + ip) as u32,
                        len: (bytes.len() - ip) as u32,
                        wire_len: frame.wire_len.saturating_sub(ip as u32),
                    };
                    self.hands[lane_of(&bytes[ip..])].push(entry);
                    readable = true;
                }
                Err(why) => self.unreadable(run.file, frame.link, why),
            }
        }
        self.totals.files[run.file].readable |= readable;
        self.dealt += run.frames.len();
    }

    fn time(&mut self, time: Time) {
        self.totals.from = Some(self.totals.from.map_or(time, |from| from.min(time)));
        self.totals.to = Some(self.totals.to.map_or(time, |to| to.max(time)));
        self.now = time;
        if time.0 >= self.next_tick {
            self.next_tick = time.0.saturating_add(TICK);
            let tick = Entry { time, number: 0, block: 0, start: 0, len: 0, wire_len: 0 };
            for hand in &mut self.hands {
                hand.push(tick);
            }
        }
    }

    fn unreadable(&mut self, file: usize, link: LinkType, why: Unreadable) {
        match why {
            Unreadable::OtherTransport => self.totals.counters.packets += 1,
            Unreadable::NotIp | Unreadable::Cut | Unreadable::Fragment | Unreadable::Malformed => {
                self.totals.counters.unreadable(why == Unreadable::Cut);
            }
        }
        if !link.known() && !self.unknown.contains(&(file, link)) {
            self.unknown.push((file, link));
            self.fault(file, format!("has packets of link type {}, which cannot be read here", link.0));
        }
    }

    fn notes(&mut self) {
        for note in self.merge.take_notes() {
            self.totals.files[note.file].readable |= note.error.partly();
            self.fault(note.file, note.error.to_string());
        }
    }

    fn fault(&mut self, file: usize, what: String) {
        self.totals.files[file].fault = true;
        (self.tell)(Fault { path: self.merge.paths()[file].clone(), what });
    }

    /// Every lane gets a batch, if only to know what time it is: what it holds back may be older than all that comes.
    fn flush(&mut self, last: bool) {
        let blocks: Arc<[Arc<Block>]> = self.blocks.drain(..).collect();
        self.dealt = 0;
        let now = self.now;
        let hands = self.hands.iter_mut().map(|hand| {
            let room = hand.len();
            std::mem::replace(hand, Vec::with_capacity(if last { 0 } else { room }))
        });
        let batches = hands.map(|entries| Batch { blocks: Arc::clone(&blocks), entries, now, last });
        self.board.put(batches.enumerate());
    }
}

/// The lane of a packet: the same for both directions of a flow.
fn lane_of(ip: &[u8]) -> usize {
    let sum = plain_ipv4(ip).unwrap_or_else(|| {
        // IPv6 may have any number of headers before the ports.
        parse_ip(ip, ip.len()).map_or(0, |headers| address(headers.tuple.src).wrapping_add(address(headers.tuple.dst)))
    });
    // Fibonacci hashing: the upper bits depend on all bits of the sum.
    (sum.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - LANES.ilog2())) as usize
}

/// Address and port of both ends of an IPv4 packet, added up.
fn plain_ipv4(ip: &[u8]) -> Option<u64> {
    let header = ip.first_chunk::<20>().filter(|header| header[0] >> 4 == 4)?;
    let ports = ip.get(usize::from(header[0] & 0x0f) * 4..)?.first_chunk::<4>()?;
    let end = |at: usize, port: [u8; 2]| {
        u64::from(u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])) << 16
            | u64::from(u16::from_be_bytes(port))
    };
    Some(end(12, [ports[0], ports[1]]).wrapping_add(end(16, [ports[2], ports[3]])))
}

fn address(end: SocketAddr) -> u64 {
    let bits = match end.ip() {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64 ^ u128::from(ip) as u64,
    };
    bits << 16 ^ bits >> 48 ^ u64::from(end.port())
}
