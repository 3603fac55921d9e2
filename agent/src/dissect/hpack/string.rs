//! String literals (RFC 7541 section 5.2): as they are, or in the Huffman code.

use super::{Error, huffman, integer};

/// Where a string lies that had to be decoded. Nothing of it stays behind the block: connections are many.
#[derive(Debug)]
pub(super) struct Scratch {
    /// For nearly all of them.
    short: [u8; 256],
    /// For those that are longer, as long as the longest of the block.
    long: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { short: [0; 256], long: Vec::new() }
    }

    fn decode(&mut self, coded: &[u8]) -> Result<&[u8], Error> {
        let room = huffman::room(coded.len());
        let output = if room <= self.short.len() {
            &mut self.short[..]
        } else {
            self.long.resize(room.max(self.long.len()), 0);
            &mut self.long[..]
        };
        let length = huffman::decode(coded, output)?;
        output.get(..length).ok_or(Error::Huffman)
    }
}

/// Takes one string from the front of `rest`. Memory follows the bytes that are there, never a length that is claimed.
pub(super) fn read<'a, 'block: 'a>(rest: &mut &'block [u8], scratch: &'a mut Scratch) -> Result<&'a [u8], Error> {
    let coded = rest.first().ok_or(Error::Truncated)? & 0x80 != 0;
    let length = integer::read(rest, 7)?;
    let (bytes, behind) = rest.split_at_checked(length as usize).ok_or(Error::Truncated)?;
    *rest = behind;
    if coded { scratch.decode(bytes) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let mut scratch = Scratch::new();
        let mut rest: &[u8] = b"\x03abc\x82\x1c\x64\x00d";
        assert_eq!(read(&mut rest, &mut scratch), Ok(&b"abc"[..]));
        assert_eq!(read(&mut rest, &mut scratch), Ok(&b"abc"[..]));
        assert_eq!(read(&mut rest, &mut scratch), Ok(&b""[..]));
        assert_eq!(rest, b"d");
    }

    #[test]
    fn a_length_beyond_the_block_allocates_nothing() {
        let mut scratch = Scratch::new();
        for short in
            [&b""[..], b"\x01", b"\x7f\xff\xff\xff\xff\x07abc", b"\xff\xff\xff\xff\xff\x07abc", b"\x84\x1c\x64\x5f"]
        {
            assert_eq!(read(&mut { short }, &mut scratch), Err(Error::Truncated), "{short:?}");
        }
        assert_eq!(scratch.long.capacity(), 0);
    }

    #[test]
    fn long_strings_and_short_ones_in_turn() {
        let mut scratch = Scratch::new();
        // Five bytes of zeros are eight times `0`.
        for (claim, zeros) in [(&[0x85][..], 5), (&[0xff, 0xe9, 0x06], 1000), (&[0xff, 0x49], 200), (&[0x85], 5)] {
            let block = [claim, &vec![0; zeros]].concat();
            assert_eq!(read(&mut &block[..], &mut scratch), Ok(&vec![b'0'; zeros / 5 * 8][..]));
        }
    }
}
