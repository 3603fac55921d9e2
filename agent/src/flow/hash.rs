//! The hash of the flow table's maps: one multiplication a word, folded to 64 bits, under a seed that each table draws
//! at random. Peers choose their ports and IPv6 addresses, so without a seed they could make all flows collide; std's
//! SipHash would cost more than the rest of the look-up. Nothing depends on the order of a map.

use std::hash::{BuildHasher, Hasher, RandomState};

pub(super) type Map<K, V> = std::collections::HashMap<K, V, Seeded>;

/// Makes hashers of one seed.
#[derive(Clone, Debug)]
pub(super) struct Seeded {
    start: u64,
    factor: u64,
}

impl Seeded {
    pub(super) fn new() -> Self {
        let random = RandomState::new();
        // An even factor would lose the top bit of each word.
        Self { start: random.hash_one(0_u64), factor: random.hash_one(1_u64) | 1 }
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folded;

    #[inline]
    fn build_hasher(&self) -> Folded {
        Folded { state: self.start, factor: self.factor }
    }
}

#[derive(Debug)]
pub(super) struct Folded {
    state: u64,
    factor: u64,
}

impl Hasher for Folded {
    #[inline]
    fn finish(&self) -> u64 {
        // Once more: the last word's low bits must reach the top ones, which hashbrown looks at.
        fold(self.state, self.factor)
    }

    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut full = [0; 8];
            full[..word.len()].copy_from_slice(word);
            self.write_u64(u64::from_le_bytes(full));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.state = fold(self.state ^ word, self.factor).wrapping_add(self.state.rotate_left(23));
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_and_low_bits_spread() {
        let (one, two) = (Seeded::new(), Seeded::new());
        assert_ne!(one.hash_one(7_u64), two.hash_one(7_u64));
        let mut buckets = [0_u32; 64];
        for port in 0..6400_u64 {
            buckets[(one.hash_one(port << 48) % 64) as usize] += 1;
        }
        assert!(buckets.iter().all(|&count| (40..180).contains(&count)), "{buckets:?}");
    }
}
