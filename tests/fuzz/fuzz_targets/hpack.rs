//! Any header blocks: nothing panics, who joins late, or misses a block, never says otherwise than who saw all, and who
//! saw all says what an ordinary decoder says, where both read the block.
//!
//! Input: the place to join, the block to miss, then blocks, each behind a byte of length.

#![no_main]

use std::panic::{self, AssertUnwindSafe};

use fluke_hpack::Decoder as Ordinary;
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

/// What the ordinary decoder reads; it panics on some damage, which is none of ours.
fn ordinary(decoder: &mut Ordinary<'_>, block: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = panic::catch_unwind(AssertUnwindSafe(|| {
        decoder.decode_with_cb(block, |name, value| fields.push((Some(name.into_owned()), Some(value.into_owned()))))
    }));
    panic::set_hook(hook);
    matches!(done, Ok(Ok(()))).then_some(fields)
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
    let mut reference = Some(Ordinary::new());
    for (at, block) in blocks.iter().enumerate() {
        let truth = decode(&mut whole, block);
        let expected = reference.as_mut().and_then(|decoder| ordinary(decoder, block));
        match (&truth, &expected) {
            (Some(truth), Some(expected)) => assert_eq!(truth, expected),
            // From here on the two have different tables.
            _ => reference = None,
        }
        let Some(truth) = truth else {
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
