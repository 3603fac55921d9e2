//! A whole encoder with its table, against which every way to join late and to lose blocks is tried.
//!
//! The recorded stories know few sizes; this one makes updates, entries too large, names of entries that go, limits.

use std::collections::VecDeque;

use super::*;

/// Writes an integer (RFC 7541 section 5.1).
pub(super) fn integer(block: &mut Vec<u8>, pattern: u8, prefix: u32, value: u32) {
    let mask = (1u32 << prefix) - 1;
    block.push(pattern | value.min(mask) as u8);
    let Some(mut rest) = value.checked_sub(mask) else { return };
    while rest >= 0x80 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
}

fn string(block: &mut Vec<u8>, text: &[u8]) {
    integer(block, 0, 7, text.len() as u32);
    block.extend_from_slice(text);
}

type Known = (Vec<u8>, Vec<u8>);

/// What an encoder does, in the words of section 4.
struct Encoder {
    entries: VecDeque<Known>,
    maximum: u32,
    limit: u32,
    /// The least limit since the last update, when one is due.
    due: Option<u32>,
}

impl Encoder {
    fn new() -> Self {
        Self { entries: VecDeque::new(), maximum: 4096, limit: 4096, due: None }
    }

    fn size(&self) -> usize {
        self.entries.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
    }

    fn evict(&mut self, maximum: usize) {
        while self.size() > maximum {
            self.entries.pop_back();
        }
    }

    fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
        if limit < self.maximum || self.due.is_some() {
            self.due = Some(self.due.map_or(limit, |due| due.min(limit)));
        }
    }

    fn update(&mut self, block: &mut Vec<u8>, maximum: u32) {
        integer(block, 0x20, 5, maximum);
        self.maximum = maximum;
        self.evict(maximum as usize);
    }

    fn block(&mut self, random: &mut Random) -> (Vec<u8>, Vec<Known>) {
        let (mut block, mut fields) = (Vec::new(), Vec::new());
        if let Some(least) = self.due.take() {
            self.update(&mut block, least);
        }
        if random.below(20) == 0 {
            let maximum = [0, 40, 100, 300, 1000, 4096, 70_000][random.below(7)].min(self.limit);
            self.update(&mut block, maximum);
        }
        for _ in 0..random.below(8) {
            let indexes = 61 + self.entries.len();
            if random.below(2) == 0 {
                let index = random.below(indexes) + 1;
                integer(&mut block, 0x80, 7, index as u32);
                fields.push(self.entry(index));
                continue;
            }
            let (pattern, prefix) = [(0x40, 6), (0x40, 6), (0x40, 6), (0x00, 4), (0x10, 4)][random.below(5)];
            let name = if random.below(2) == 0 {
                let index = random.below(indexes) + 1;
                integer(&mut block, pattern, prefix, index as u32);
                self.entry(index).0
            } else {
                block.push(pattern);
                let name = format!("n{}", random.below(1_000_000)).repeat(random.below(3) + 1).into_bytes();
                string(&mut block, &name);
                name
            };
            let usual = if random.below(10) == 0 { 7 } else { 5 };
            let repeat = [0, 1, 2, 10, 30, 200, 4000][random.below(usual)];
            let value = format!("v{}", random.below(1_000_000)).repeat(repeat).into_bytes();
            string(&mut block, &value);
            if pattern == 0x40 {
                let size = name.len() + value.len() + 32;
                self.evict((self.maximum as usize).saturating_sub(size));
                if size <= self.maximum as usize {
                    self.entries.push_front((name.clone(), value.clone()));
                }
            }
            fields.push((name, value));
        }
        (block, fields)
    }

    fn entry(&self, index: usize) -> Known {
        match static_table::STATIC_TABLE.get(index - 1) {
            Some((name, value)) => (name.as_bytes().to_vec(), value.as_bytes().to_vec()),
            None => self.entries[index - 62].clone(),
        }
    }
}

/// What came of one decoder on one connection.
#[derive(Debug, Default)]
struct Count {
    fields: usize,
    known: usize,
    /// Fields, and entries of tables that it said to know.
    wrong: usize,
    errors: usize,
    /// Blocks after which the decoder knew the whole table, as it said.
    complete: usize,
}

/// Decodes one connection of `blocks` blocks, joined at `join`, each block lost one time in `loss` (never for 0).
fn run(seed: u64, blocks: usize, join: usize, loss: usize, says_so: bool) -> Count {
    let (mut random, mut encoder, mut count) = (Random(seed), Encoder::new(), Count::default());
    let mut losses = Random(seed ^ 0x5555);
    let mut decoder = Decoder::new(join == 0);
    for number in 0..blocks {
        if random.below(30) == 0 {
            let limit = [0, 64, 4096, 10_000, 1 << 20][random.below(5)];
            encoder.set_limit(limit);
            if number >= join {
                decoder.set_limit(limit);
            }
        }
        let (block, fields) = encoder.block(&mut random);
        if number < join {
            continue;
        }
        if loss > 0 && losses.below(loss) == 0 {
            if says_so {
                decoder.lose();
            }
            continue;
        }
        let (found, result) = read(&mut decoder, &block);
        count.errors += usize::from(result.is_err());
        count.fields += fields.len();
        for ((name, value), (found_name, found_value)) in fields.iter().zip(&found) {
            count.known += usize::from(found_name.is_some() && found_value.is_some());
            let right = found_name.as_ref().is_none_or(|found| found == name)
                && found_value.as_ref().is_none_or(|found| found == value);
            count.wrong += usize::from(!right);
        }
        if decoder.complete() {
            count.complete += 1;
            let (known, _) = decoder.table.listed();
            for (position, (name, value)) in encoder.entries.iter().enumerate() {
                count.wrong += usize::from(known.get(position) != Some(&(Some(&name[..]), &value[..])));
            }
        }
    }
    count
}

#[test]
fn whole_connections_are_read_exactly() {
    for seed in 1..=200 {
        let count = run(seed, 200, 0, 0, true);
        // Tables beyond 64 KiB aren't kept whole; nothing else may be missing.
        assert_eq!((count.wrong, count.errors), (0, 0), "seed {seed}");
        assert!(count.known * 100 >= count.fields * 99, "seed {seed}: {count:?}");
    }
}

#[test]
fn late_joins_and_losses_give_nothing_wrong() {
    let (mut fields, mut known, mut complete, mut blocks) = (0, 0, 0, 0);
    for seed in 1..=1000 {
        for (join, loss) in [(1, 0), (7, 0), (40, 0), (0, 10), (13, 20)] {
            let count = run(seed, 120, join, loss, true);
            assert_eq!((count.wrong, count.errors), (0, 0), "seed {seed}, joined at {join}, one of {loss} lost");
            fields += count.fields;
            known += count.known;
            complete += count.complete;
            blocks += 120 - join;
        }
    }
    println!("{known} of {fields} fields known, table complete after {complete} of {blocks} blocks");
    assert!(known * 10 > fields * 7 && complete * 3 > blocks);
}

#[test]
fn a_loss_that_is_not_told_is_found() {
    let wrong: usize = (1..=20).map(|seed| run(seed, 120, 0, 10, false).wrong).sum();
    assert!(wrong > 100, "{wrong}");
}
