//! Several files as one capture: their packets by time, as `mergecap` would put them. Each file keeps its own order, so a
//! file whose clock steps back is read as it was written; at equal times the file that was named first goes first.
//!
//! Names don't tell the order (`*.pcap` puts part 10 before part 2), so each file's first packet is looked at before the
//! reading begins. A file is then opened when the others have come to its first packet: a day in a thousand parts needs
//! one or two open files. Standard input and pipes can't be opened twice and stay open from the start.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Block, ReadError,
    reader::{Pool, Reader},
};
use crate::time::Time;

/// Packets in a row from one block.
#[derive(Clone, Debug)]
pub struct Run {
    pub block: Arc<Block>,
    /// Into `block.frames()`.
    pub frames: Range<usize>,
    /// Of the first one: packets are numbered from 1 through all files.
    pub number: u64,
    /// Into the paths that were given.
    pub file: usize,
}

/// A file that could not be read, or not to its end.
#[derive(Debug)]
pub struct Note {
    pub file: usize,
    pub error: ReadError,
}

/// Reads several files as one.
#[derive(Debug)]
pub struct Merge {
    paths: Vec<PathBuf>,
    pool: Pool,
    /// By time of their first packet and then by name order, the next one last.
    waiting: Vec<(Time, usize)>,
    open: Vec<Open>,
    next_number: u64,
    notes: Vec<Note>,
}

#[derive(Debug)]
struct Open {
    file: usize,
    reader: Reader,
    block: Arc<Block>,
    /// The next frame of `block`.
    next: usize,
}

impl Open {
    /// Files whose block is used up have no head; `next_run` asks none of them.
    fn head(&self) -> (Time, usize) {
        (self.block.frames().get(self.next).map_or(Time::default(), |frame| frame.time), self.file)
    }

    fn used_up(&self) -> bool {
        self.next >= self.block.frames().len()
    }
}

impl Merge {
    /// Looks at all files. At most `blocks` blocks are in use beside the one of each open file.
    pub fn open(paths: Vec<PathBuf>, blocks: usize) -> Self {
        let mut merge = Self {
            pool: Pool::new(blocks),
            waiting: Vec::new(),
            open: Vec::new(),
            next_number: 1,
            notes: Vec::new(),
            paths: Vec::new(),
        };
        for (file, path) in paths.iter().enumerate() {
            let Some(opened) = merge.start(file, path) else { continue };
            if paths.len() > 1 && opened.reader.again() {
                merge.waiting.push(opened.head());
                merge.pool.shrink();
            } else {
                merge.open.push(opened);
            }
        }
        merge.waiting.sort_unstable_by(|a, b| b.cmp(a));
        merge.paths = paths;
        merge
    }

    /// The next packets; `None` at the end of all files.
    pub fn next_run(&mut self) -> Option<Run> {
        loop {
            // Not before the next packets are asked for: a live source makes this wait.
            while let Some(at) = self.open.iter().position(Open::used_up) {
                self.advance(at);
            }
            let at = (0..self.open.len()).min_by_key(|&at| self.open[at].head());
            let Some(at) = at.filter(|&at| self.waiting.last().is_none_or(|first| self.open[at].head() <= *first))
            else {
                let (_, file) = self.waiting.pop()?;
                let path = self.paths[file].clone();
                let opened = self.start(file, &path);
                self.open.extend(opened);
                continue;
            };
            return Some(self.run(at));
        }
    }

    /// What went wrong since the last call.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Packets may come as somebody writes them: who reads should not wait for more before it goes on.
    pub fn live(&self) -> bool {
        self.open.iter().any(|open| !open.reader.again())
    }

    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    fn start(&mut self, file: usize, path: &Path) -> Option<Open> {
        self.pool.grow();
        let first = Reader::open(path).and_then(|mut reader| Ok((reader.next_block(&mut self.pool)?, reader)));
        match first {
            Ok((Some(block), reader)) => return Some(Open { file, reader, block: Arc::new(block), next: 0 }),
            Ok((None, _)) => {}
            Err(error) => self.notes.push(Note { file, error }),
        }
        self.pool.shrink();
        None
    }

    /// The packets of an open file up to the first one of another file: at least one, because its head is the first.
    fn run(&mut self, at: usize) -> Run {
        let others = self.open.iter().enumerate().filter(|&(other, _)| other != at).map(|(_, open)| open.head());
        let limit = others.chain(self.waiting.last().copied()).min();
        let open = &mut self.open[at];
        let rest = &open.block.frames()[open.next..];
        let len = match limit {
            None => rest.len(),
            Some(limit) => rest.iter().take_while(|frame| (frame.time, open.file) <= limit).count(),
        };
        let (block, file) = (Arc::clone(&open.block), open.file);
        let run = Run { block, frames: open.next..open.next + len, number: self.next_number, file };
        self.next_number += len as u64;
        open.next = run.frames.end;
        run
    }

    /// The next block of an open file, or the end of it.
    fn advance(&mut self, at: usize) {
        let open = &mut self.open[at];
        match open.reader.next_block(&mut self.pool) {
            Ok(Some(block)) => {
                open.block = Arc::new(block);
                open.next = 0;
                return;
            }
            Ok(None) => {}
            Err(error) => self.notes.push(Note { file: open.file, error }),
        }
        self.open.swap_remove(at);
        self.pool.shrink();
    }
}
