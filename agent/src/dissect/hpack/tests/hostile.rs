//! Bytes that no encoder makes: nothing panics, grows or takes long.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn random_bytes() {
    let mut random = Random(7);
    let (mut right, mut heap) = (0, 0);
    for round in 0..100_000 {
        let mut decoder = Decoder::new(round % 2 == 0);
        for _ in 0..3 {
            let block: Vec<u8> = (0..random.below(60)).map(|_| random.below(256) as u8).collect();
            right += usize::from(read(&mut decoder, &block).1.is_ok());
            heap = heap.max(decoder.heap());
        }
    }
    assert!(right > 1000, "{right}");
    assert!(heap < 4096, "{heap}");
}

#[test]
fn a_block_is_right_only_as_a_whole() {
    let block = [&insert("name", "value")[..], b"\x04\x82\x1c\x64\x10\x01a\x01b\x7e\x01c\xbe"].concat();
    assert_eq!(text(&mut Decoder::new(true), &block).len(), 5);
    let mut whole = 0;
    for end in 0..block.len() {
        match read(&mut Decoder::new(true), &block[..end]).1 {
            Ok(_) => whole += 1,
            Err(error) => assert_eq!(error, Error::Truncated),
        }
    }
    assert_eq!(whole, 5);
}

#[test]
fn many_references_to_a_large_entry() {
    let mut decoder = Decoder::new(true);
    let value = "v".repeat(3900);
    let mut block = vec![0x40, 1, b'n', 0x7f];
    block.extend([(3900 - 127) as u8 | 0x80, ((3900 - 127) >> 7) as u8]);
    block.extend_from_slice(value.as_bytes());
    block.extend([0xbe; 1000]);
    block.extend(insert("last", "1"));
    let (fields, result) = read(&mut decoder, &block);
    assert_eq!(result, Ok(Outcome { over_limit: true }));
    assert_eq!(fields.len() as u64, LIST_LIMIT / (3901 + 32));
    // The table went on.
    assert_eq!(text(&mut decoder, &[0xbe]), ["last: 1"]);
    // Far more than that is not read at all.
    assert_eq!(text(&mut decoder, &block[..3906]).len(), 1);
    let (fields, result) = read(&mut decoder, &[0xbe; 60_000]);
    assert_eq!((fields.len() as u64, result), (LIST_LIMIT / (3901 + 32), Err(Error::TooLarge)));
    assert_eq!(text(&mut decoder, &[0xbe]), ["?: ?"]);
}

#[test]
fn entries_that_copy_a_large_name() {
    let mut decoder = Decoder::new(true);
    decoder.set_limit(u32::MAX);
    let mut block = resize(u32::MAX);
    block.push(0x40);
    model::integer(&mut block, 0, 7, 60_000);
    block.extend([b'n'; 60_000]);
    block.push(0);
    block.extend([0x7e, 0].repeat(500_000));
    let start = Instant::now();
    let (fields, result) = read(&mut decoder, &block);
    assert_eq!((fields.len(), result), (4, Err(Error::TooLarge)));
    assert!(start.elapsed() < Duration::from_secs(1));
}
