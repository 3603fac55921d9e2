//! An ordinary decoder beside ours: what it reads on whole and damaged connections, and what it makes of late joins.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use fluke_hpack::Decoder as Ordinary;
use tapwire::dissect::hpack::Decoder;

use super::{
    joins::{Count, joins},
    stories::{FOLDERS, Found, read, stories},
};

/// Fewer than in the other tests: the ordinary decoder makes its Huffman table anew for each string.
const JOINS: usize = 4;

fn read_ordinary(decoder: &mut Ordinary<'_>, wire: &[u8]) -> (Vec<Found>, bool) {
    let mut found = Vec::new();
    // It panics on some damage.
    let result = catch_unwind(AssertUnwindSafe(|| {
        decoder.decode_with_cb(wire, |name, value| found.push((Some(name.into_owned()), Some(value.into_owned()))))
    }));
    (found, !matches!(result, Ok(Ok(()))))
}

#[test]
fn late_joins_of_an_ordinary_decoder() {
    for folder in FOLDERS {
        let (mut ordinary, mut ours, mut behind) = (Count::default(), Count::default(), 0);
        for story in stories(folder) {
            for join in joins(&story, JOINS) {
                (ordinary.joins, ours.joins) = (ordinary.joins + 1, ours.joins + 1);
                let (mut decoder, mut ordinary_decoder) = (Decoder::new(false), Ordinary::new());
                for block in &story.blocks[join..] {
                    let before = (ours.exact, ordinary.exact);
                    let (found, result) = read(&mut decoder, &block.wire);
                    ours.add(block, &found, result.is_err());
                    let (found, error) = read_ordinary(&mut ordinary_decoder, &block.wire);
                    ordinary.add(block, &found, error);
                    behind += usize::from(ordinary.exact - before.1 > ours.exact - before.0);
                }
            }
        }
        println!("{folder}: ordinary {ordinary:?}");
        println!("{folder}: ours {ours:?}; {behind} blocks exact by luck of the ordinary one");
        assert!(ours.exact >= ordinary.exact && ours.wrong == 0);
    }
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

    /// Changes, drops or adds some bytes.
    fn damage(&mut self, wire: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(wire.len() + 1);
            match self.below(4) {
                0 if at < wire.len() => wire[at] ^= 1 << self.below(8),
                1 if at < wire.len() => wire[at] = self.below(256) as u8,
                2 if at < wire.len() => drop(wire.drain(at..(at + 1 + self.below(4)).min(wire.len()))),
                _ => wire.insert(at, self.below(256) as u8),
            }
        }
    }
}

#[test]
fn damaged_connections_are_read_the_same_or_not_at_all() {
    let (mut both, mut ours_alone, mut ordinary_alone, mut none, mut different) = (0, 0, 0, 0, Vec::new());
    let mut random = Random(11);
    for folder in FOLDERS {
        for story in stories(folder) {
            for round in 0..20 {
                let damaged = random.below(story.blocks.len().min(30));
                let (mut decoder, mut ordinary) = (Decoder::new(true), Ordinary::new());
                for (number, block) in story.blocks.iter().take(damaged + 20).enumerate() {
                    let mut wire = block.wire.clone();
                    if number == damaged || number > damaged && random.below(4) == 0 {
                        random.damage(&mut wire);
                    }
                    let (found, result) = read(&mut decoder, &wire);
                    let (expected, error) = read_ordinary(&mut ordinary, &wire);
                    match (result.is_err(), error) {
                        (false, false) if found == expected => both += 1,
                        (false, false) => different.push(format!("{} round {round} block {number}", story.name)),
                        (false, true) => ours_alone += 1,
                        (true, false) => ordinary_alone += 1,
                        (true, true) => none += 1,
                    }
                    if result.is_err() || error {
                        break;
                    }
                }
            }
        }
    }
    println!(
        "{both} blocks read by both, {none} by none, {ours_alone} by ours alone, {ordinary_alone} by the other alone"
    );
    assert_eq!(different, Vec::<String>::new());
}

/// `cargo test --release --test hpack ordinary_speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn ordinary_speed() {
    for folder in FOLDERS {
        let stories = stories(folder);
        let (mut bytes, mut decoded, start) = (0, 0, Instant::now());
        for story in &stories {
            let mut decoder = Ordinary::new();
            for block in &story.blocks {
                let result = decoder.decode_with_cb(&block.wire, |name, value| decoded += name.len() + value.len());
                assert!(result.is_ok());
                bytes += block.wire.len();
            }
        }
        let [wire, decoded] = [bytes, decoded].map(|bytes| bytes as f64 / start.elapsed().as_secs_f64() / 1e6);
        println!("{folder}: {wire:.2} MB/s of wire, {decoded:.2} MB/s of fields");
    }
}
