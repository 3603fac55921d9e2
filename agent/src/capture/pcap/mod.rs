//! Capture files as a source: classic pcap and pcapng, plain, gzip or zstd, from files or standard input, several of
//! them as one capture.
//!
//! A file is read in large blocks, and its packets stay where they were read: a `Frame` is a range of its `Block`, and
//! blocks are counted references that threads share. Nothing is allocated per packet, and nothing in a size that the
//! file names: lengths beyond `MAX_FRAME` end the reading of that file, as do contradictions. What was read before
//! that stands.
//!
//! Not here: the meaning of the packets (`headers`), and IP fragments.

mod classic;
mod link;
mod merge;
mod ng;
mod reader;
mod source;
#[cfg(test)]
mod tests;

pub use link::{LinkType, ip_packet};
pub use merge::{Merge, Note, Run};
pub use reader::{Block, Pool, Reader};

use crate::time::Time;

/// The largest packet that is believed: twice what libpcap captures at most (MAXIMUM_SNAPLEN, 262,144). A length beyond
/// it is a broken file, or a hostile one.
pub const MAX_FRAME: usize = 512 * 1024;

/// One captured packet, a range of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub time: Time,
    pub link: LinkType,
    start: u32,
    len: u32,
    /// Length on the wire, link layer included; never less than what was captured.
    pub wire_len: u32,
}

/// Why a file, or the rest of it, was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("is empty")]
    Empty,
    #[error("is not a pcap or pcapng file: it begins with {0}")]
    Foreign(String),
    #[error("ends in the middle of a packet or block, after byte {0}")]
    Truncated(u64),
    #[error("cannot be read from byte {at} on: {what}")]
    Malformed { at: u64, what: &'static str },
}

impl ReadError {
    /// The file is a capture, and what came before the fault was read.
    pub fn partly(&self) -> bool {
        match self {
            Self::Truncated(_) | Self::Malformed { .. } => true,
            Self::Io(_) | Self::Empty | Self::Foreign(_) => false,
        }
    }
}

/// What a format's reader finds at the front of the bytes that it is given.
enum Step {
    /// A packet, `start` counted from the front; `used` bytes belong to it.
    Frame { frame: Frame, used: usize },
    /// Nothing of interest for so many bytes, which may exceed those at hand.
    Skip(u64),
    /// The front cannot be understood with fewer than so many bytes.
    More(usize),
}

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        })
    }
}
