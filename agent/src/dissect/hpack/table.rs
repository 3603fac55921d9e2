//! The dynamic table as somebody knows it who may have missed its past.
//!
//! An index counts from the newest entry (RFC 7541 section 2.3.3), and eviction takes the oldest (section 4.4). So the
//! position of an entry whose insertion was seen is known, whatever lies below it and however large the table is; sizes
//! only tell what can't be there any more. They are taken on the safe side: an entry counts with what is known of it, a
//! table with the largest size that it may have. What is evicted by these is evicted for sure, and in a table that is
//! known whole they are exact.

use super::{
    Error,
    entries::{Entries, Source},
    static_table::STATIC_TABLE,
};

/// Section 4.1: what each entry counts besides its name and value.
pub(super) const OVERHEAD: usize = 32;

/// RFC 9113 section 6.5.2: the size of a table until settings and updates change it.
const DEFAULT_SIZE: u32 = 4096;

/// What is kept of one table, by its own measure: browsers and the largest sites offer 64 KiB. Older entries count as
/// unknown.
const KEPT: usize = 64 << 10;

/// The same for a table whose size nobody saw: when the agent starts, that is every connection there is, and most
/// encoders keep to the default size even where they may use more.
const KEPT_UNSIZED: usize = 16 << 10;

/// What is known of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub(super) name: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

/// Where the name of a literal is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name<'a> {
    Literal(&'a [u8]),
    Index(u32),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest entries, all of those since some moment.
    entries: Entries,
    /// What `entries` count together, at least.
    size: usize,
    /// So many entries that are not known may lie below them, at most.
    below: u32,
    /// The maximum size that the encoder uses, if known: the initial one, or that of the last update.
    maximum: Option<u32>,
    /// What the decoding peer allows, if known.
    limit: Option<u32>,
}

impl Table {
    pub(super) fn new(whole: bool) -> Self {
        let initial = whole.then_some(DEFAULT_SIZE);
        let below = if whole { 0 } else { u32::MAX };
        Self { entries: Entries::default(), size: 0, below, maximum: initial, limit: initial }
    }

    /// The decoding peer allows so much. The encoder's maximum stays until it says so: RFC 7541 section 4.2 has it send
    /// an update when it must use less. One that doesn't is still read right, for positions don't depend on sizes.
    pub(super) fn set_limit(&mut self, bytes: u32) {
        self.limit = Some(bytes);
        self.trim();
    }

    pub(super) fn forget_limit(&mut self) {
        self.limit = None;
    }

    /// Insertions and updates may have been missed. The entries are still there, at positions that nobody knows.
    pub(super) fn lose(&mut self) {
        self.entries = Entries::default();
        self.size = 0;
        self.below = u32::MAX;
        self.maximum = None;
        self.trim();
    }

    /// An update (section 6.3): it "MUST be lower than or equal to the limit".
    pub(super) fn resize(&mut self, bytes: u32) -> Result<(), Error> {
        if self.limit.is_some_and(|limit| bytes > limit) {
            return Err(Error::SizeUpdate);
        }
        self.maximum = Some(bytes);
        self.trim();
        Ok(())
    }

    /// What an index means, in both tables (section 2.3.3). An error when there is surely no such entry.
    pub(super) fn get(&self, index: u32) -> Result<Pair<'_>, Error> {
        // Section 6.1: "the index value of 0 is not used".
        let at = index.checked_sub(1).ok_or(Error::Index)? as usize;
        if let Some((name, value)) = STATIC_TABLE.get(at) {
            return Ok(Pair { name: Some(name.as_bytes()), value: Some(value.as_bytes()) });
        }
        let position = at - STATIC_TABLE.len();
        match self.entries.get(position) {
            Some((name, value)) => Ok(Pair { name, value: Some(value) }),
            None if position - self.entries.len() < self.below as usize => Ok(Pair { name: None, value: None }),
            None => Err(Error::Index),
        }
    }

    /// Adds an entry; `get` has found its name.
    pub(super) fn insert(&mut self, name: Name<'_>, value: &[u8]) {
        let (source, length) = match name {
            Name::Literal(name) => (Source::Bytes(name), name.len()),
            Name::Index(index) => match STATIC_TABLE.get((index as usize).wrapping_sub(1)) {
                Some((name, _)) => (Source::Bytes(name.as_bytes()), name.len()),
                None => {
                    let position = (index as usize).saturating_sub(STATIC_TABLE.len() + 1);
                    self.entries
                        .name_len(position)
                        .map_or((Source::Unknown, 0), |len| (Source::Position(position), len))
                }
            },
        };
        let size = OVERHEAD + length + value.len();
        if self.bound().is_some_and(|bound| size > bound) {
            // Section 4.4: an entry that is too large empties the table, and isn't in it.
            self.empty(0);
        } else if size > self.kept() {
            // It may be there, with all others below it.
            self.empty(self.below.saturating_add(self.entries.len() as u32).saturating_add(1));
        } else {
            // Section 4.4: the name may be that of an entry that is evicted now, so it is copied first.
            self.entries.push(source, value);
            self.size += size;
        }
        self.trim();
    }

    /// The table has no entry that is not known.
    pub(super) fn complete(&self) -> bool {
        self.below == 0 && self.entries.named()
    }

    pub(super) fn heap(&self) -> usize {
        self.entries.heap()
    }

    /// The largest size that the table may have.
    fn bound(&self) -> Option<usize> {
        self.maximum.or(self.limit).map(|bytes| bytes as usize)
    }

    /// How much of it is kept here.
    fn kept(&self) -> usize {
        self.bound().map_or(KEPT_UNSIZED, |bound| bound.min(KEPT))
    }

    fn empty(&mut self, below: u32) {
        self.entries = Entries::default();
        self.size = 0;
        self.below = below;
    }

    /// Brings the entries, and what may lie below them, within the bounds.
    fn trim(&mut self) {
        let (bound, kept) = (self.bound(), self.kept());
        while self.size > kept {
            let Some(size) = self.entries.pop() else { break };
            // Below an entry that doesn't fit into the table is nothing; below one that we don't keep is that one.
            self.below = match bound {
                Some(bound) if self.size > bound => 0,
                Some(_) | None => self.below.saturating_add(1),
            };
            self.size -= OVERHEAD + size;
        }
        if let Some(bound) = bound {
            let room = bound.saturating_sub(self.size) / OVERHEAD;
            self.below = self.below.min(u32::try_from(room).unwrap_or(u32::MAX));
        }
    }
}

#[cfg(test)]
impl Table {
    /// All entries, the newest first, and their size.
    pub(super) fn listed(&self) -> (Vec<(Option<&[u8]>, &[u8])>, usize) {
        ((0..self.entries.len()).filter_map(|position| self.entries.get(position)).collect(), self.size)
    }
}
