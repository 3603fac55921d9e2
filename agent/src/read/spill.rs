//! Lines that wait too long for memory: sorted runs in a temporary file without a name, which the system removes with
//! the process, whatever ends it. Runs are read back side by side, in order.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
};

use super::order::Key;

/// Read of each run at a time: a run is about `HELD_MAX`, so all runs together cost a fraction of what was held.
const CHUNK: usize = 64 * 1024;
const WRITE_BUFFER: usize = 1024 * 1024;
/// Key (three numbers) and length before each line.
const FRONT: usize = 8 + 8 + 4 + 4;

/// Runs of lines on disk.
pub(super) struct Spill {
    file: File,
    end: u64,
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Key, usize)>>,
}

struct Run {
    next: u64,
    end: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl Spill {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: nameless()?, end: 0, runs: Vec::new(), heads: BinaryHeap::new() })
    }

    /// Writes lines that are in order.
    pub(super) fn write<'a>(&mut self, lines: impl Iterator<Item = (Key, &'a [u8])>) -> io::Result<()> {
        let start = self.end;
        let mut out = BufWriter::with_capacity(WRITE_BUFFER, At { file: &self.file, at: start });
        for (key, line) in lines {
            let mut front = [0; FRONT];
            front[..8].copy_from_slice(&key.micros.to_le_bytes());
            front[8..16].copy_from_slice(&key.conn.to_le_bytes());
            front[16..20].copy_from_slice(&key.number.to_le_bytes());
            front[20..].copy_from_slice(&(line.len() as u32).to_le_bytes());
            out.write_all(&front)?;
            out.write_all(line)?;
        }
        self.end = out.into_inner().map_err(io::IntoInnerError::into_error)?.at;
        self.runs.push(Run { next: start, end: self.end, buffer: Vec::new(), at: 0 });
        self.head(self.runs.len() - 1)
    }

    /// The key of the first line of all runs.
    pub(super) fn first(&self) -> Option<Key> {
        self.heads.peek().map(|Reverse((key, _))| *key)
    }

    /// Hands over the first line of all runs.
    pub(super) fn pop(&mut self, take: impl FnOnce(&[u8])) -> io::Result<()> {
        let Some(Reverse((_, at))) = self.heads.pop() else { return Ok(()) };
        let run = &mut self.runs[at];
        let len = run.length();
        run.fill(&self.file, FRONT + len)?;
        take(&run.buffer[run.at + FRONT..][..len]);
        run.at += FRONT + len;
        self.head(at)
    }

    /// Looks at a run's next line.
    fn head(&mut self, at: usize) -> io::Result<()> {
        let run = &mut self.runs[at];
        if run.next == run.end && run.at == run.buffer.len() {
            run.buffer = Vec::new();
            run.at = 0;
            return Ok(());
        }
        run.fill(&self.file, FRONT)?;
        let key = Key { micros: run.u64(0), conn: run.u64(8), number: run.u32(16) };
        self.heads.push(Reverse((key, at)));
        Ok(())
    }
}

impl Run {
    fn u64(&self, at: usize) -> u64 {
        self.buffer[self.at + at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn u32(&self, at: usize) -> u32 {
        self.buffer[self.at + at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// Of the line whose front is at hand.
    fn length(&self) -> usize {
        self.u32(20) as usize
    }

    /// Makes sure that so many bytes are at hand from `at` on.
    fn fill(&mut self, file: &File, needed: usize) -> io::Result<()> {
        let have = self.buffer.len() - self.at;
        if have >= needed {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
        let more = CHUNK.max(needed - have).min(left);
        self.buffer.resize(have + more, 0);
        file.read_exact_at(&mut self.buffer[have..], self.next)?;
        self.next += more as u64;
        if self.buffer.len() < needed { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// Writes at a position of its own.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Write for At<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.file.write_at(bytes, self.at)?;
        self.at += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file for this process alone: its name is gone before anything is in it.
fn nameless() -> io::Result<File> {
    let folder = std::env::temp_dir();
    let mut number = 0;
    loop {
        let path = folder.join(format!(".tapwire-read-{}-{number}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            // Somebody's leftover, or a trap: never opened.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
            Err(error) => return Err(error),
        }
    }
}
