//! The stories of `tests/corpus/hpack`: the blocks of one connection each, with the fields that they mean.

use std::{path::Path, time::Instant};

use serde_json::Value;
use tapwire::dissect::hpack::{Decoder, Error, Outcome};

/// The folders, each made by one encoder: without a dynamic table, with one, with one whose size changes.
pub const FOLDERS: [&str; 3] = ["go-hpack", "nghttp2", "nghttp2-change-table-size"];

/// The blocks of one connection.
pub struct Story {
    pub name: String,
    pub blocks: Vec<Block>,
}

/// One header block.
pub struct Block {
    /// The decoding peer sets this table size in front of the block.
    pub limit: Option<u32>,
    pub wire: Vec<u8>,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A field as the decoder gives it.
pub type Found = (Option<Vec<u8>>, Option<Vec<u8>>);

/// All stories of one folder, by name.
pub fn stories(folder: &str) -> Vec<Story> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/hpack").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    assert!(paths.len() > 30);
    paths
        .iter()
        .map(|path| {
            let story: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let name = format!("{folder}/{}", path.file_stem().unwrap().display());
            Story { name, blocks: story["cases"].as_array().unwrap().iter().map(block).collect() }
        })
        .collect()
}

fn block(case: &Value) -> Block {
    let digits = case["wire"].as_str().unwrap();
    let wire = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    let fields = case["headers"].as_array().unwrap().iter().flat_map(|field| field.as_object().unwrap());
    Block {
        limit: case["header_table_size"].as_u64().map(|bytes| bytes as u32),
        wire,
        fields: fields.map(|(name, value)| (name.clone().into_bytes(), value.as_str().unwrap().into())).collect(),
    }
}

/// The fields of one block, and how it ended.
pub fn read(decoder: &mut Decoder, wire: &[u8]) -> (Vec<Found>, Result<Outcome, Error>) {
    let mut found = Vec::new();
    let result =
        decoder.decode(wire, |field| found.push((field.name.map(<[u8]>::to_vec), field.value.map(<[u8]>::to_vec))));
    (found, result)
}

#[test]
fn whole_connections_are_read_exactly() {
    for folder in FOLDERS {
        let (mut blocks, mut fields) = (0, 0);
        for story in stories(folder) {
            let mut decoder = Decoder::new(true);
            for (number, block) in story.blocks.iter().enumerate() {
                if let Some(limit) = block.limit {
                    decoder.set_limit(limit);
                }
                let (found, result) = read(&mut decoder, &block.wire);
                assert_eq!(result, Ok(Outcome { over_limit: false }), "{} block {number}", story.name);
                let known: Vec<_> = found.into_iter().filter_map(|(name, value)| name.zip(value)).collect();
                assert_eq!(known, block.fields, "{} block {number}", story.name);
                assert!(decoder.complete());
                blocks += 1;
                fields += known.len();
            }
        }
        println!("{folder}: {blocks} blocks, {fields} fields, all exact");
    }
}

/// `cargo test --release --test hpack speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn speed() {
    for folder in FOLDERS {
        let stories = stories(folder);
        let (mut best, mut bytes, mut decoded) = (f64::MAX, 0, 0);
        for _ in 0..100 {
            (bytes, decoded) = (0, 0);
            let start = Instant::now();
            for story in &stories {
                let mut decoder = Decoder::new(true);
                for block in &story.blocks {
                    let result = decoder.decode(&block.wire, |field| {
                        decoded += field.name.map_or(0, <[u8]>::len) + field.value.map_or(0, <[u8]>::len);
                    });
                    assert!(result.is_ok());
                    bytes += block.wire.len();
                }
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        let blocks: usize = stories.iter().map(|story| story.blocks.len()).sum();
        let nanoseconds = best * 1e9 / blocks as f64;
        let [wire, decoded] = [bytes, decoded].map(|bytes| bytes as f64 / best / 1e6);
        println!("{folder}: {wire:.0} MB/s of wire, {decoded:.0} MB/s of fields, {nanoseconds:.0} ns a block");
    }
}
