//! Strings in the Huffman code (RFC 7541 section 5.2).
//!
//! The bits stand in a 64-bit word that is filled eight bytes at a time. One look-up takes one symbol or two; four of
//! them, without a branch, make one write of up to eight bytes. Codes longer than a look-up are rare, and found by
//! their length.
//!
//! The word holds the bits inverted. So the zeros that come in behind the last one read as ones, which is as if the
//! padding went on for ever: no symbol is found in it, and how long it really was is looked at in the end.

use super::{
    Error,
    huffman_table::{EOS, LONGEST, PAIRS, Pair, ROWS, SYMBOLS, WINDOW},
};

/// Look-ups in one round, which all find their bits in a full word.
const ROUND: usize = 4;
const _: () = assert!(ROUND * WINDOW <= 56 && LONGEST <= 56);

/// Symbols are written as whole words: so many bytes may be written behind the last one.
const SLACK: usize = 8;

/// How long the output must be for so many bytes in the code: a symbol has five bits or more.
pub(super) fn room(coded: usize) -> usize {
    coded * 8 / 5 + SLACK
}

/// Bits that are read and not decoded, and the bytes behind them.
struct Bits<'a> {
    /// The next bit is the highest one. Behind the last valid bit it may hold some of the next byte.
    inverted: u64,
    /// How many are valid.
    count: u32,
    rest: &'a [u8],
}

impl Bits<'_> {
    /// Makes it 56 bits or more, as long as there are bytes.
    fn fill(&mut self) {
        let eight = self.rest.first_chunk().copied().unwrap_or_else(|| {
            let mut eight = [0xff; 8];
            for (slot, byte) in eight.iter_mut().zip(self.rest) {
                *slot = *byte;
            }
            eight
        });
        self.inverted |= !u64::from_be_bytes(eight) >> self.count;
        let bytes = self.rest.len().min((63 - self.count) as usize >> 3);
        self.rest = self.rest.get(bytes..).unwrap_or_default();
        self.count += bytes as u32 * 8;
    }

    /// Only padding is left: less than eight bits, all of them ones.
    fn at_end(&self) -> bool {
        self.inverted == 0 && self.count < 8
    }

    /// What the next bits hold.
    fn next(&mut self) -> Pair {
        let pair = PAIRS[(self.inverted >> (64 - WINDOW)) as usize];
        self.inverted <<= pair.bits();
        pair
    }

    /// Counts bits that were taken. More than there are: the string ends inside a code.
    fn count_taken(&mut self, bits: u32) -> Result<(), Error> {
        self.count = self.count.checked_sub(bits).ok_or(Error::Huffman)?;
        Ok(())
    }

    /// The next symbol by its length, for codes that are longer than the window.
    fn next_long(&mut self) -> Result<u8, Error> {
        let window = !self.inverted >> 32;
        let length = (WINDOW + 1..LONGEST).find(|&length| window < ROWS[length].end).unwrap_or(LONGEST);
        let row = ROWS[length];
        let code = (window >> (32 - length)) as usize - row.first as usize;
        self.inverted <<= length;
        self.count_taken(length as u32)?;
        match SYMBOLS.get(row.at + code) {
            // "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a decoding error."
            Some(&EOS) | None => Err(Error::Huffman),
            Some(&symbol) => Ok(symbol as u8),
        }
    }
}

/// Decodes `coded` into `output`, which has the `room` for it. Returns the length.
pub(super) fn decode(coded: &[u8], output: &mut [u8]) -> Result<usize, Error> {
    let mut bits = Bits { inverted: 0, count: 0, rest: coded };
    let mut length = 0;
    loop {
        bits.fill();
        if bits.at_end() {
            return Ok(length);
        }
        let first = bits.next();
        let (mut symbols, mut count, mut taken) = (first.symbols(), first.count(), first.bits());
        if count == 0 {
            (symbols, count) = (u64::from(bits.next_long()?), 1);
        } else {
            // One that finds a long code, or padding, changes nothing: the next round begins there.
            for _ in 1..ROUND {
                let pair = bits.next();
                symbols |= pair.symbols() << (8 * count);
                count += pair.count();
                taken += pair.bits();
            }
            bits.count_taken(taken)?;
        }
        let slot = output.get_mut(length..).and_then(<[u8]>::first_chunk_mut).ok_or(Error::Huffman)?;
        *slot = symbols.to_le_bytes();
        length += count as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::huffman_table::code, *};

    /// The symbol's code and length, as appendix B lists them.
    fn listed(symbol: u16) -> (u32, usize) {
        code(SYMBOLS.iter().position(|&other| other == symbol).unwrap())
    }

    fn encode(text: &[u8]) -> Vec<u8> {
        let (mut word, mut count, mut coded) = (0u64, 0, Vec::new());
        for &byte in text {
            let (code, length) = listed(u16::from(byte));
            word = word << length | u64::from(code);
            count += length;
            while count >= 8 {
                count -= 8;
                coded.push((word >> count) as u8);
            }
        }
        if count > 0 {
            coded.push((word << (8 - count)) as u8 | 0xff >> count);
        }
        coded
    }

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Error> {
        let mut output = vec![b'#'; room(coded.len())];
        let length = decode(coded, &mut output)?;
        output.truncate(length);
        Ok(output)
    }

    #[test]
    fn codes_are_those_of_appendix_b() {
        for (symbol, code) in [
            (0, (0x1ff8, 13)),
            (1, (0x7fffd8, 23)),
            (10, (0x3ffffffc, 30)),
            (b' ', (0x14, 6)),
            (b'0', (0x0, 5)),
            (b'X', (0xfc, 8)),
            (b'\\', (0x7fff0, 19)),
            (b't', (0x9, 5)),
            (127, (0xffffffc, 28)),
            (199, (0x1ffffec, 25)),
            (255, (0x3ffffee, 26)),
        ] {
            assert_eq!(listed(u16::from(symbol)), code, "{symbol}");
        }
        assert_eq!(listed(EOS), (0x3fffffff, 30));
    }

    #[test]
    fn all_pairs_and_triples_of_symbols_at_each_offset() {
        for first in 0..=255 {
            for second in 0..=255 {
                for before in 0..4 {
                    let text = [&b"0X?"[..before], &[first, second], &b"0?8a\0"[before..]].concat();
                    assert_eq!(decoded(&encode(&text)).unwrap(), text);
                    assert_eq!(decoded(&encode(&text[..before + 2])).unwrap(), text[..before + 2]);
                }
            }
        }
    }

    #[test]
    fn lengths() {
        for length in 0..100 {
            for symbol in [b'0', b'a', b'-', b'X', b'#', 0, 10, 0xff] {
                let text = vec![symbol; length];
                assert_eq!(decoded(&encode(&text)).unwrap(), text);
            }
        }
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones() {
        assert_eq!(decoded(&[]).unwrap(), b"");
        // `a` is 00011: the last three bits are padding, of which each must be one.
        assert_eq!(decoded(&[0b0001_1111]).unwrap(), b"a");
        for bad in [0b0001_1110, 0b0001_1101, 0b0001_1011, 0b0001_1000] {
            assert_eq!(decoded(&[bad]), Err(Error::Huffman), "{bad:#b}");
        }
        // Whole bytes of padding, at the beginning, behind a symbol and far behind.
        assert_eq!(decoded(&[0xff]), Err(Error::Huffman));
        assert_eq!(decoded(&[0b0001_1111, 0xff]), Err(Error::Huffman));
        assert_eq!(decoded(&[&encode(&[b'0'; 64])[..], &[0xff]].concat()), Err(Error::Huffman));
        assert_eq!(decoded(&[0xff; 3]), Err(Error::Huffman));
    }

    #[test]
    fn the_end_symbol_is_an_error() {
        assert_eq!(decoded(&[0xff; 4]), Err(Error::Huffman));
        assert_eq!(decoded(&[0xff; 64]), Err(Error::Huffman));
        let late = [&encode(&[b'0'; 64])[..], &[0xff, 0xff, 0xff, 0xff], &encode(&[b'0'; 64])].concat();
        assert_eq!(decoded(&late), Err(Error::Huffman));
    }
}
