//! Late joins and lost blocks: what is given is right, and most is given.

use tapwire::dissect::hpack::Decoder;

use super::stories::{Block, FOLDERS, Found, Story, read, stories};

/// A story is joined behind each of its blocks, or behind so many of them when it is longer.
pub const JOINS: usize = 40;

/// What came of the blocks that were read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub joins: usize,
    pub blocks: usize,
    /// Blocks of which every field is known.
    pub exact: usize,
    /// Blocks that ended in an error.
    pub errors: usize,
    /// Blocks with a wrong field, or with one too many.
    pub wrong: usize,
    pub fields: usize,
    /// Fields with their name and value.
    pub known: usize,
}

impl Count {
    /// Counts one block by its fields.
    pub fn add(&mut self, block: &Block, found: &[Found], error: bool) {
        let right = |(expected, found): (&(Vec<u8>, Vec<u8>), &Found)| {
            found.0.as_ref().is_none_or(|name| *name == expected.0)
                && found.1.as_ref().is_none_or(|value| *value == expected.1)
        };
        let known = found.iter().filter(|(name, value)| name.is_some() && value.is_some()).count();
        let wrong = found.len() > block.fields.len()
            || !error && found.len() != block.fields.len()
            || !block.fields.iter().zip(found).all(right);
        self.blocks += 1;
        self.errors += usize::from(error);
        self.wrong += usize::from(wrong);
        self.exact += usize::from(!error && !wrong && known == block.fields.len());
        self.fields += block.fields.len();
        self.known += known;
    }
}

/// The blocks behind which a story is joined: all of them, or so many spread over its length.
pub fn joins(story: &Story, most: usize) -> Vec<usize> {
    let all = story.blocks.len() - 1;
    let count = all.min(most);
    (0..count).map(|n| 1 + n * all / count).collect()
}

/// Reads on behind the first `join` blocks. Limits are those that pass from then on.
fn joined(story: &Story, join: usize, count: &mut Count) {
    let mut decoder = Decoder::new(false);
    count.joins += 1;
    for block in &story.blocks[join..] {
        if let Some(limit) = block.limit {
            decoder.set_limit(limit);
        }
        let (found, result) = read(&mut decoder, &block.wire);
        count.add(block, &found, result.is_err());
    }
}

#[test]
fn a_late_join_gives_nothing_wrong() {
    for folder in FOLDERS {
        let mut count = Count::default();
        let mut points = 0;
        for story in stories(folder) {
            points += story.blocks.len() - 1;
            for join in joins(&story, JOINS) {
                joined(&story, join, &mut count);
            }
        }
        let Count { joins, blocks, exact, errors, wrong, fields, known } = count;
        println!(
            "{folder}: {joins} of {points} joins, {blocks} blocks: {exact} exact, {errors} errors, {wrong} wrong; \
             {known} of {fields} fields known"
        );
        assert_eq!((wrong, errors), (0, 0), "{folder}");
        assert!(known * 100 > fields * 90, "{folder}");
    }
}

/// Reads a story of which one block is lost; `tell` does what is due then. Counts what follows.
fn without(story: &Story, lost: usize, tell: impl Fn(&mut Decoder), count: &mut Count) {
    let mut decoder = Decoder::new(true);
    count.joins += 1;
    for (number, block) in story.blocks.iter().enumerate() {
        if let Some(limit) = block.limit {
            decoder.set_limit(limit);
        }
        if number == lost {
            tell(&mut decoder);
            continue;
        }
        let (found, result) = read(&mut decoder, &block.wire);
        if number < lost {
            assert!(result.is_ok());
        } else {
            count.add(block, &found, result.is_err());
        }
    }
}

#[test]
fn a_lost_block_makes_nothing_wrong() {
    for folder in FOLDERS {
        let mut count = Count::default();
        for story in stories(folder) {
            for join in joins(&story, JOINS) {
                without(&story, join - 1, Decoder::lose, &mut count);
            }
        }
        println!("{folder}: {count:?}");
        assert_eq!((count.wrong, count.errors), (0, 0), "{folder}");
    }
}

#[test]
fn a_decoder_that_keeps_its_positions_is_found() {
    for folder in &FOLDERS[1..] {
        let mut count = Count::default();
        for story in stories(folder) {
            for join in joins(&story, JOINS) {
                without(&story, join - 1, |_| {}, &mut count);
            }
        }
        println!("{folder}: {count:?}");
        assert!(count.wrong * 20 > count.blocks, "{folder}");
    }
}
