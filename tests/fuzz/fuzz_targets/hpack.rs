//! Any header blocks: nothing panics, and who joins late, or misses a block, never says otherwise than who saw all.
//!
//! Input: the place to join, the block to miss, then blocks, each behind a byte of length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapwire::dissect::hpack::Decoder;

type Fields = Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    let done = decoder.decode(block, |field| {
        fields.push((field.name.map(<[u8]>::to_vec), field.value.map(<[u8]>::to_vec)));
    });
    done.is_ok().then_some(fields)
}

fuzz_target!(|data: &[u8]| {
    let [join, miss, rest @ ..] = data else { return };
    let mut blocks = Vec::new();
    let mut rest = rest;
    while let [length, tail @ ..] = rest {
        let (block, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        blocks.push(block);
        rest = tail;
    }
    let (mut whole, mut late, mut lossy) = (Decoder::new(true), Decoder::new(false), Decoder::new(true));
    for (at, block) in blocks.iter().enumerate() {
        let Some(truth) = decode(&mut whole, block) else {
            // No encoder says this: from here on nothing is true.
            return;
        };
        assert!(truth.iter().all(|(name, value)| name.is_some() && value.is_some()));
        let mut others = Vec::new();
        if at >= usize::from(*join) {
            others.push(decode(&mut late, block));
        }
        if at == usize::from(*miss) {
            lossy.lose();
        } else {
            others.push(decode(&mut lossy, block));
        }
        for other in others {
            let other = other.expect("what is right for who saw all is no error for who did not");
            assert_eq!(other.len(), truth.len());
            for ((name, value), (true_name, true_value)) in other.iter().zip(&truth) {
                assert!(name.is_none() || name == true_name);
                assert!(value.is_none() || value == true_value);
            }
        }
    }
});
