//! One file, block by block: a block is a large read with the packets that lie whole in it. The tail that a block cuts
//! off begins the next one.

use std::{
    io::{self, Read},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
};

use super::{
    Frame, ReadError, Step,
    classic::{Classic, FILE_HEADER},
    ng::Ng,
    source::{self, Source},
};

/// Large enough that a read costs its copying only, small enough that a block stays in a core's cache until its packets
/// were dissected. A larger packet gets a larger block.
pub(super) const BLOCK: usize = 256 * 1024;
/// Bytes of a foreign file's front that are shown.
const SHOWN: usize = 4;

/// Bytes of a file and the packets in them. When the last reference goes, the memory goes back to its pool.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    home: Sender<Vec<u8>>,
}

impl Block {
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        &self.bytes[frame.start as usize..frame.start as usize + frame.len as usize]
    }

    /// All of the block, for who keeps positions in it.
    pub fn whole(&self) -> &[u8] {
        &self.bytes
    }

    /// Where a frame's bytes begin in `whole`.
    pub fn position(&self, frame: &Frame) -> usize {
        frame.start as usize
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // Without a reader there is nobody to take it.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

/// Memory for blocks, used again and again: at most so many blocks exist, and who wants one more waits for one to come
/// back.
#[derive(Debug)]
pub struct Pool {
    limit: usize,
    born: usize,
    home: Sender<Vec<u8>>,
    back: Receiver<Vec<u8>>,
}

impl Pool {
    pub fn new(limit: usize) -> Self {
        let (home, back) = channel();
        Self { limit, born: 0, home, back }
    }

    pub(super) fn grow(&mut self) {
        self.limit += 1;
    }

    pub(super) fn shrink(&mut self) {
        self.limit = self.limit.saturating_sub(1);
    }

    fn take(&mut self) -> Vec<u8> {
        while let Ok(used) = self.back.try_recv() {
            if self.born <= self.limit {
                return used;
            }
            self.born -= 1;
        }
        if self.born < self.limit {
            self.born += 1;
            return Vec::new();
        }
        // The pool itself holds a sender, so this only ever waits.
        self.back.recv().unwrap_or_default()
    }
}

enum Format {
    /// Nothing was read yet.
    Unknown,
    Classic(Classic),
    Ng(Ng),
}

/// Reads one capture file.
pub struct Reader {
    source: Source,
    format: Format,
    /// What the last block cut off: the next one begins with it.
    tail: Vec<u8>,
    /// Bytes of no interest that are still to come.
    skip: u64,
    /// Position in the (decompressed) file of the next byte that is looked at.
    at: u64,
    /// What the format said it needs at least.
    wanted: usize,
    /// Nothing more can be read: told once the packets before it are out.
    ended: Option<Result<(), ReadError>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file, or standard input for `-`.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Ok(Self::over(source::open(path)?))
    }

    /// A reader of bytes that are at hand, for tests.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self::over(Source { bytes: Box::new(io::Cursor::new(bytes)), again: false, live: false })
    }

    fn over(source: Source) -> Self {
        Self { source, format: Format::Unknown, tail: Vec::new(), skip: 0, at: 0, wanted: FILE_HEADER, ended: None }
    }

    /// The file can be opened again and read from the start.
    pub fn again(&self) -> bool {
        self.source.again
    }

    /// The next block with at least one packet. `None` at the end; a fault comes after the packets before it, and ends
    /// the file as well.
    pub fn next_block(&mut self, pool: &mut Pool) -> Result<Option<Block>, ReadError> {
        if self.ended.is_none() {
            let mut block = Block { bytes: pool.take(), frames: Vec::new(), home: pool.home.clone() };
            self.fill(&mut block);
            if !block.frames.is_empty() {
                return Ok(Some(block));
            }
        }
        match self.ended.replace(Ok(())) {
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(None),
        }
    }

    /// Reads until the block is full, a live source paused with packets at hand, or the file ended. The bytes behind
    /// the last packet move to `tail`.
    fn fill(&mut self, block: &mut Block) {
        let mut end = self.tail.len();
        if block.bytes.len() < BLOCK.max(end) {
            block.bytes.resize(BLOCK.max(end), 0);
        }
        block.bytes[..end].copy_from_slice(&self.tail);
        self.tail.clear();
        let mut used = 0;
        while self.ended.is_none() {
            if end == block.bytes.len() && !block.frames.is_empty() {
                break;
            }
            if used > 0 && block.frames.is_empty() {
                // Only blocks of no interest so far.
                block.bytes.copy_within(used..end, 0);
                (used, end) = (0, end - used);
            }
            let needed = used + self.wanted;
            if block.bytes.len() < needed {
                // Bounded: no format wants more than a packet of MAX_FRAME, or a smaller block, at once.
                block.bytes.resize(needed.next_multiple_of(4096), 0);
            }
            match self.source.bytes.read(&mut block.bytes[end..]) {
                Ok(0) => self.at_end(&block.bytes[used..end]),
                Ok(more) => {
                    end += more;
                    used += self.parse(used, end, block);
                    if self.source.live && !block.frames.is_empty() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.ended = Some(Err(self.broken(error))),
            }
        }
        if self.ended.is_none() {
            self.tail.extend_from_slice(&block.bytes[used..end]);
        }
    }

    /// A compressed file that is cut or damaged reads as an error of the decoder.
    fn broken(&self, error: io::Error) -> ReadError {
        match (error.kind(), &self.format) {
            (io::ErrorKind::UnexpectedEof, _) => ReadError::Truncated(self.at),
            (_, Format::Unknown) => error.into(),
            (io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other, _) => {
                ReadError::Malformed { at: self.at, what: "the compressed data is damaged" }
            }
            _ => error.into(),
        }
    }

    fn at_end(&mut self, rest: &[u8]) {
        self.ended = Some(match self.format {
            _ if self.skip > 0 => Err(ReadError::Truncated(self.at)),
            Format::Unknown if rest.is_empty() => Err(ReadError::Empty),
            Format::Unknown if Classic::recognises(rest) || Ng::recognises(rest) => Err(ReadError::Truncated(self.at)),
            Format::Unknown => Err(foreign(rest)),
            Format::Classic(_) | Format::Ng(_) if rest.is_empty() => Ok(()),
            Format::Classic(_) | Format::Ng(_) => Err(ReadError::Truncated(self.at)),
        });
    }

    /// Takes the packets from `block.bytes[from..end]`, and says how many of these bytes are done with.
    fn parse(&mut self, from: usize, end: usize, block: &mut Block) -> usize {
        let mut used = from;
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(end - used);
            used += skipped;
            self.skip -= skipped as u64;
            self.at += skipped as u64;
            let rest = &block.bytes[used..end];
            if self.skip > 0 || rest.is_empty() {
                self.wanted = 1;
                break;
            }
            let step = match &mut self.format {
                Format::Classic(classic) => classic.step(rest),
                Format::Ng(ng) => ng.step(rest),
                Format::Unknown => self.recognise(rest),
            };
            match step {
                Ok(Step::Frame { frame, used: len }) => {
                    block.frames.push(Frame { start: used as u32 + frame.start, ..frame });
                    self.skip = len as u64;
                }
                Ok(Step::Skip(len)) => self.skip = len,
                Ok(Step::More(wanted)) => {
                    self.wanted = wanted;
                    break;
                }
                Err(what) => {
                    let at = self.at;
                    self.ended.get_or_insert(Err(ReadError::Malformed { at, what }));
                    break;
                }
            }
        }
        used - from
    }

    fn recognise(&mut self, front: &[u8]) -> Result<Step, &'static str> {
        if Ng::recognises(front) {
            self.format = Format::Ng(Ng::new());
            return Ok(Step::Skip(0));
        }
        let Some(header) = front.first_chunk::<FILE_HEADER>() else {
            return Ok(Step::More(FILE_HEADER));
        };
        if !Classic::recognises(front) {
            self.ended = Some(Err(foreign(front)));
            return Ok(Step::More(FILE_HEADER));
        }
        self.format = Format::Classic(Classic::new(header)?);
        Ok(Step::Skip(FILE_HEADER as u64))
    }
}

fn foreign(front: &[u8]) -> ReadError {
    let shown: Vec<String> = front.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    ReadError::Foreign(shown.join(" "))
}
