//! Record batches (magic 2) and the message sets before them (magic 0 and 1), inside Produce requests and Fetch answers.
//!
//! Headers of batches are read wherever they are, so that counts are right however much there is; of their records so
//! much is kept as is shown.

mod content;

use super::tree::Tree;

/// Up to the magic byte, which all formats have in the same place.
const COMMON: usize = 17;

/// What a batch's length does not count: its base offset, and itself.
const BEFORE_LENGTH: u64 = 12;

/// Raw bytes kept beyond what is shown: compression's own framing, and content that didn't shrink.
const SLACK: usize = 1 << 10;

/// What stands at the front of a batch.
#[derive(Clone, Copy, Debug)]
struct Head {
    magic: u8,
    base_offset: i64,
    attributes: i16,
    /// Of the first record, and of all where the broker sets it.
    timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    /// As it claims; 1 for a message.
    count: u32,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    Payload {
        head: Head,
        size: u64,
        left: u64,
        kept: Vec<u8>,
        keep: usize,
        partial: bool,
    },
    /// Nothing more can be read.
    Broken,
}

/// Reads the batches of one partition.
#[derive(Debug)]
pub struct Batches {
    state: State,
    left: u64,
    may_end: bool,
    /// Records for users; `None` when some could not be counted.
    count: Option<u64>,
    finding: Option<&'static str>,
}

/// Something about a batch is not what the format says.
#[derive(Clone, Copy, Debug)]
struct Bad(&'static str);

impl Batches {
    /// Of so many bytes. `may_end`: in the middle of a batch. Opens its object in the tree.
    pub fn new(name: &str, size: u64, may_end: bool, tree: &mut Tree) -> Self {
        tree.object(name);
        tree.int("size", i64::try_from(size).unwrap_or(i64::MAX));
        tree.list("batches");
        Self { state: State::Head(Vec::new()), left: size, may_end, count: Some(0), finding: None }
    }

    pub fn heap(&self) -> usize {
        match &self.state {
            State::Head(bytes) => bytes.capacity(),
            State::Payload { kept, .. } => kept.capacity(),
            State::Broken => 0,
        }
    }

    /// Bytes from here on that need not be seen.
    pub fn unneeded(&self) -> u64 {
        match &self.state {
            State::Head(_) => 0,
            State::Payload { left, kept, keep, .. } if kept.len() >= *keep => *left,
            State::Payload { .. } => 0,
            State::Broken => self.left,
        }
    }

    /// Closes its object; how many records there are, and what was wrong with them.
    pub fn finish(mut self, tree: &mut Tree) -> (Option<u64>, Option<&'static str>) {
        match &self.state {
            State::Head(bytes) if !bytes.is_empty() && self.finding.is_none() => {
                // Brokers cut the last batch of an answer at the size that was asked for.
                if self.may_end { tree.set_cut() } else { self.broken("records_length") }
            }
            State::Payload { .. } => self.close_batch(tree),
            State::Head(_) | State::Broken => {}
        }
        tree.end();
        tree.end();
        (self.count, self.finding)
    }

    pub fn feed(&mut self, mut bytes: &[u8], tree: &mut Tree) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Head(head) => {
                    let wanted = if head.len() < COMMON { COMMON } else { head_size(head[COMMON - 1]).unwrap_or(0) };
                    let here = bytes.len().min(wanted - head.len());
                    head.extend_from_slice(&bytes[..here]);
                    bytes = &bytes[here..];
                    self.left -= here as u64;
                    if head.len() < wanted {
                        return;
                    }
                    let whole = match head_size(head[COMMON - 1]) {
                        Some(size) => head.len() == size,
                        None => return self.broken("records_magic"),
                    };
                    if whole {
                        let head = std::mem::take(head);
                        self.open_batch(&head, tree);
                    }
                }
                State::Payload { left, kept, keep, .. } => {
                    let here = (*left).min(bytes.len() as u64) as usize;
                    let room = keep.saturating_sub(kept.len()).min(here);
                    kept.extend_from_slice(&bytes[..room]);
                    *left -= here as u64;
                    self.left -= here as u64;
                    bytes = &bytes[here..];
                    if *left == 0 {
                        self.close_batch(tree);
                    }
                }
                State::Broken => {
                    self.left -= bytes.len() as u64;
                    return;
                }
            }
        }
    }

    /// So many bytes are not seen.
    pub fn pass(&mut self, count: u64, missing: bool, tree: &mut Tree) {
        self.left -= count.min(self.left);
        match &mut self.state {
            State::Payload { left, kept, keep, .. } if count <= *left => {
                *left -= count;
                // What is behind a gap does not join on to what is before it.
                *keep = if missing { kept.len() } else { *keep };
                if *left == 0 {
                    self.close_batch(tree);
                }
            }
            State::Broken => {}
            State::Head(_) | State::Payload { .. } => {
                if matches!(self.state, State::Payload { .. }) {
                    self.close_batch(tree);
                }
                self.count = None;
                tree.set_cut();
                self.state = State::Broken;
            }
        }
    }

    fn broken(&mut self, why: &'static str) {
        (self.state, self.count) = (State::Broken, None);
        self.finding = self.finding.or(Some(why));
    }

    fn open_batch(&mut self, bytes: &[u8], tree: &mut Tree) {
        let Some((head, size)) = head(bytes) else { return self.broken("records_length") };
        let partial = size > self.left;
        if partial && !self.may_end {
            return self.broken("records_length");
        }
        let size = size.min(self.left);
        let keep = if tree.full() { 0 } else { tree.room() + SLACK };
        self.state = State::Payload { head, size, left: size, kept: Vec::new(), keep, partial };
        if size == 0 {
            self.close_batch(tree);
        }
    }

    fn close_batch(&mut self, tree: &mut Tree) {
        let State::Payload { head, size, left, kept, partial, .. } =
            std::mem::replace(&mut self.state, State::Head(Vec::new()))
        else {
            return;
        };
        let whole = !partial && left == 0 && kept.len() as u64 == size;
        tree.object("");
        let count = head.write(&kept, size, whole, partial, tree);
        tree.end();
        match count {
            // Cut by the broker: the next answer has it whole.
            _ if partial => tree.set_cut(),
            Ok(count) => self.count = self.count.zip(count).map(|(all, count)| all + count),
            Err(Bad(why)) => {
                self.count = None;
                self.finding = self.finding.or(Some(why));
                tree.set_cut();
            }
        }
    }
}

fn head_size(magic: u8) -> Option<usize> {
    match magic {
        0 => Some(18),
        1 => Some(26),
        2 => Some(61),
        _ => None,
    }
}

fn int<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// The head of a batch or message, and the size of what follows.
fn head(bytes: &[u8]) -> Option<(Head, u64)> {
    let length = u64::try_from(i32::from_be_bytes(int(bytes, 8))).ok()?;
    let size = (BEFORE_LENGTH + length).checked_sub(bytes.len() as u64)?;
    let magic = *bytes.get(COMMON - 1)?;
    let base_offset = i64::from_be_bytes(int(bytes, 0));
    let head = if magic == 2 {
        Head {
            magic,
            base_offset,
            attributes: i16::from_be_bytes(int(bytes, 21)),
            timestamp: i64::from_be_bytes(int(bytes, 27)),
            max_timestamp: i64::from_be_bytes(int(bytes, 35)),
            producer_id: i64::from_be_bytes(int(bytes, 43)),
            producer_epoch: i16::from_be_bytes(int(bytes, 51)),
            base_sequence: i32::from_be_bytes(int(bytes, 53)),
            count: u32::try_from(i32::from_be_bytes(int(bytes, 57))).ok()?,
        }
    } else {
        let timestamp = if magic == 1 { i64::from_be_bytes(int(bytes, 18)) } else { -1 };
        Head {
            magic,
            base_offset,
            attributes: i16::from(*bytes.get(COMMON)?),
            timestamp,
            max_timestamp: timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: 1,
        }
    };
    Some((head, size))
}
