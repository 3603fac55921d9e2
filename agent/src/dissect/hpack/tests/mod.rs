//! Tests of the whole decoder.

mod appendix_c;
mod hostile;
mod knowledge;
mod model;

use super::*;

/// A field that owns its parts.
type Owned = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The fields of a block, and how it ended.
fn read(decoder: &mut Decoder, block: &[u8]) -> (Vec<Owned>, Result<Outcome, Error>) {
    let mut fields = Vec::new();
    let result =
        decoder.decode(block, |field| fields.push((field.name.map(<[u8]>::to_vec), field.value.map(<[u8]>::to_vec))));
    (fields, result)
}

/// The fields of a block that is right, as text; `?` is unknown.
fn text(decoder: &mut Decoder, block: &[u8]) -> Vec<String> {
    let (fields, result) = read(decoder, block);
    assert_eq!(result, Ok(Outcome { over_limit: false }));
    let part = |part: Option<Vec<u8>>| part.map_or("?".to_owned(), |part| String::from_utf8(part).unwrap());
    fields.into_iter().map(|(name, value)| format!("{}: {}", part(name), part(value))).collect()
}

/// A literal with incremental indexing and a new name, short enough for lengths of one byte.
fn insert(name: &str, value: &str) -> Vec<u8> {
    [&[0x40, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// A table size update.
fn resize(bytes: u32) -> Vec<u8> {
    let mut block = Vec::new();
    model::integer(&mut block, 0x20, 5, bytes);
    block
}

/// Numbers that look random and are the same in each run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}
