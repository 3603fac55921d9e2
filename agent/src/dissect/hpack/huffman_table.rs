//! The Huffman code of RFC 7541 appendix B, and the tables made from it when this is compiled.
//!
//! The code is canonical: of two symbols the one with the shorter code comes first, of two with the same length the
//! smaller symbol, and the codes count up in that order. So the lengths say all of it.

/// The symbol that ends no string: it only lends its first bits to the padding (section 5.2).
pub(super) const EOS: u16 = 256;

/// No code is longer.
pub(super) const LONGEST: usize = 30;

/// Bits of one look-up in `PAIRS`: enough for two of the usual symbols (5 or 6 bits each), or for one of all but the
/// rarest. The table has 16 KiB, of which header text uses a small part; with eleven bits, decoding takes a tenth
/// longer.
pub(super) const WINDOW: usize = 12;

/// The length of each symbol's code, in bits.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 16
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //         32 space to /
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //              48 0 to ?
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //                64 @ to O
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //             80 P to _
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //                96 ` to o
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //            112 p to DEL
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 128
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 144
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 160
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 176
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 192
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 208
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 224
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 240
    30, // EOS
];

/// The codes of one length.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The first code that is longer, at the left of 32 bits: a window below it holds a code of this length, or less.
    pub(super) end: u64,
    /// The first code of this length.
    pub(super) first: u32,
    /// Where its symbol stands in `SYMBOLS`.
    pub(super) at: usize,
}

/// For each length its codes.
pub(super) const ROWS: [Row; LONGEST + 1] = rows();

/// All symbols in the order of their codes.
pub(super) const SYMBOLS: [u16; 257] = symbols();

/// What the next `WINDOW` bits hold, by these bits inverted: one symbol or two, whole ones only.
pub(super) static PAIRS: [Pair; 1 << WINDOW] = pairs();

/// An entry of `PAIRS`. All zero: the window begins with a code that is longer than it.
#[derive(Clone, Copy)]
pub(super) struct Pair(u32);

impl Pair {
    /// The symbols, the first one in the low byte; zero where there is none.
    pub(super) fn symbols(self) -> u64 {
        u64::from(self.0 & 0xffff)
    }

    /// How many symbols.
    pub(super) fn count(self) -> u32 {
        self.0 >> 24
    }

    /// How many bits they take together.
    pub(super) fn bits(self) -> u32 {
        self.0 >> 16 & 0xff
    }
}

const fn rows() -> [Row; LONGEST + 1] {
    let mut rows = [Row { end: 0, first: 0, at: 0 }; LONGEST + 1];
    let (mut length, mut code, mut at) = (1, 0, 0);
    while length <= LONGEST {
        code <<= 1;
        rows[length].first = code;
        rows[length].at = at;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                code += 1;
                at += 1;
            }
            symbol += 1;
        }
        rows[length].end = (code as u64) << (32 - length);
        length += 1;
    }
    // Every pattern of bits begins with a code: a mistake in a length would leave some over, or too few.
    assert!(at == LENGTHS.len() && code == 1 << LONGEST);
    rows
}

const fn symbols() -> [u16; 257] {
    let mut next = [0; LONGEST + 1];
    let mut length = 0;
    while length <= LONGEST {
        next[length] = ROWS[length].at;
        length += 1;
    }
    let mut symbols = [0; 257];
    let mut symbol = 0;
    while symbol < LENGTHS.len() {
        let length = LENGTHS[symbol] as usize;
        symbols[next[length]] = symbol as u16;
        next[length] += 1;
        symbol += 1;
    }
    symbols
}

/// The code of the symbol at `at` of `SYMBOLS`, and its length.
pub(super) const fn code(at: usize) -> (u32, usize) {
    let length = LENGTHS[SYMBOLS[at] as usize] as usize;
    (ROWS[length].first + (at - ROWS[length].at) as u32, length)
}

const fn pairs() -> [Pair; 1 << WINDOW] {
    let mut pairs = [Pair(0); 1 << WINDOW];
    let mut first = 0;
    while code(first).1 <= WINDOW {
        let (bits, length) = code(first);
        let left = WINDOW - length;
        let symbol = SYMBOLS[first] as u32;
        fill(&mut pairs, bits << left, left, symbol | (length as u32) << 16 | 1 << 24);
        let mut second = 0;
        while code(second).1 <= left {
            let (more, length) = (code(second).0, length + code(second).1);
            let left = WINDOW - length;
            let two = symbol | (SYMBOLS[second] as u32) << 8 | (length as u32) << 16 | 2 << 24;
            fill(&mut pairs, (bits << code(second).1 | more) << left, left, two);
            second += 1;
        }
        first += 1;
    }
    pairs
}

/// Sets the entries of all windows that begin like `from`, whose last `left` bits are open.
const fn fill(pairs: &mut [Pair; 1 << WINDOW], from: u32, left: usize, entry: u32) {
    let mut at = from as usize;
    while at < from as usize + (1 << left) {
        pairs[(1 << WINDOW) - 1 - at] = Pair(entry);
        at += 1;
    }
}
