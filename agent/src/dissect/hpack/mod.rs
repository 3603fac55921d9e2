//! Header compression of HTTP/2, read by a bystander (RFC 7541).
//!
//! An ordinary decoder that joins a connection late takes the table for empty, so indexes mean other entries to it than
//! to the peers: it fails, or worse, gives wrong fields. This one says of each name and value whether it is known. What
//! is unknown at first becomes less with each insertion, and with each size that shows what can't be there any more.
//!
//! It holds 64 KiB of a table at most, and gives 256 KiB of one block; time and memory follow the bytes that are there.

mod entries;
mod huffman;
mod huffman_table;
mod integer;
mod static_table;
mod string;
mod table;
#[cfg(test)]
mod tests;

use string::Scratch;
use table::{Name, OVERHEAD, Pair, Table};

/// Fields of one block are given up to this size, as SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113 section 6.5.2). A
/// block is a few kilobytes; Chrome takes 256 KiB.
pub const LIST_LIMIT: u64 = 256 << 10;

/// A block of this size is not read on: two bytes can add an entry of 64 KiB to the table, which is work.
const WORK_LIMIT: u64 = 16 << 20;

/// One field of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// `None`: the name of an entry that can't be known.
    pub name: Option<&'a [u8]>,
    /// `None`: the value of such an entry.
    pub value: Option<&'a [u8]>,
    /// The peers ask that nobody puts the value into a table (section 7.1.3): it is probably a secret.
    pub never_indexed: bool,
}

/// How a block was read that is right.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The block is larger than `LIST_LIMIT`: the fields behind that were read, but not given.
    pub over_limit: bool,
}

/// Why a block can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The block ends within an instruction.
    Truncated,
    /// An integer is too large, or too long.
    Integer,
    /// A string is none of the Huffman code.
    Huffman,
    /// There is surely no such entry.
    Index,
    /// A table size update above the limit, or behind a field.
    SizeUpdate,
    /// The block decodes to more than anybody would take.
    TooLarge,
}

impl Error {
    /// The name under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "hpack_truncated",
            Self::Integer => "hpack_integer",
            Self::Huffman => "hpack_huffman",
            Self::Index => "hpack_index",
            Self::SizeUpdate => "hpack_size_update",
            Self::TooLarge => "hpack_too_large",
        }
    }
}

/// Decodes the header blocks of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
}

impl Decoder {
    /// `whole`: the connection is seen since its first byte, so the table is empty. Else it holds what nobody saw.
    pub fn new(whole: bool) -> Self {
        Self { table: Table::new(whole) }
    }

    /// The peer that decodes has set SETTINGS_HEADER_TABLE_SIZE, and the one that encodes has acknowledged it.
    ///
    /// A limit may be raised before that, when it is seen first; to lower it so soon would turn fields away.
    pub fn set_limit(&mut self, bytes: u32) {
        self.table.set_limit(bytes);
    }

    /// Frames of either side were not seen, and settings or their acknowledgement may be among them. To be called
    /// besides `lose` when bytes of the stream are missing; either order will do.
    pub fn forget_limit(&mut self) {
        self.table.forget_limit();
    }

    /// A block, or part of one, was not seen or not decoded: which entries there are, and where, is unknown from here.
    pub fn lose(&mut self) {
        self.table.lose();
    }

    /// Every entry of the table is known with its name.
    pub fn complete(&self) -> bool {
        self.table.complete()
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.table.heap()
    }

    /// Decodes one whole header block, all of its fragments together, and calls `each` for every field in order.
    ///
    /// After an error the table is lost, as by `lose`; the fields that were given before it are right.
    pub fn decode(&mut self, block: &[u8], each: impl FnMut(Field<'_>)) -> Result<Outcome, Error> {
        let result = self.read(block, Meter { size: 0, each });
        if result.is_err() {
            self.lose();
        }
        result
    }

    fn read(&mut self, block: &[u8], mut meter: Meter<impl FnMut(Field<'_>)>) -> Result<Outcome, Error> {
        let (mut first_scratch, mut second_scratch) = (Scratch::new(), Scratch::new());
        let mut rest = block;
        let mut updates = true;
        while let Some(&first) = rest.first() {
            if first & 0xe0 == 0x20 {
                // Section 4.2: updates "MUST occur at the beginning" of a block. No receiver takes others, so that they
                // are read here would only hide that this is no header block.
                if !updates {
                    return Err(Error::SizeUpdate);
                }
                self.table.resize(integer::read(&mut rest, 5)?)?;
                continue;
            }
            updates = false;
            if first & 0x80 != 0 {
                // Section 6.1.
                let index = integer::read(&mut rest, 7)?;
                meter.give(self.table.get(index)?, false)?;
                continue;
            }
            // Section 6.2: with indexing, without, never.
            let indexing = first & 0x40 != 0;
            let name = match integer::read(&mut rest, if indexing { 6 } else { 4 })? {
                0 => Name::Literal(string::read(&mut rest, &mut first_scratch)?),
                index => Name::Index(index),
            };
            let value = string::read(&mut rest, &mut second_scratch)?;
            let known = match name {
                Name::Literal(name) => Some(name),
                Name::Index(index) => self.table.get(index)?.name,
            };
            meter.give(Pair { name: known, value: Some(value) }, first & 0xf0 == 0x10)?;
            if indexing {
                self.table.insert(name, value);
            }
        }
        Ok(Outcome { over_limit: meter.size > LIST_LIMIT })
    }
}

/// Gives the fields of one block, as far as its size allows.
struct Meter<F> {
    size: u64,
    each: F,
}

impl<F: FnMut(Field<'_>)> Meter<F> {
    fn give(&mut self, pair: Pair<'_>, never_indexed: bool) -> Result<(), Error> {
        let Pair { name, value } = pair;
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        self.size += (length(name) + length(value) + OVERHEAD) as u64;
        if self.size > WORK_LIMIT {
            return Err(Error::TooLarge);
        }
        if self.size <= LIST_LIMIT {
            (self.each)(Field { name, value, never_indexed });
        }
        Ok(())
    }
}
