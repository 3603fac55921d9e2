//! Any pieces of a conversation: nothing panics, every byte is counted once, memory stays bounded, nothing is left open
//! at the end, and it makes no difference how the bytes are cut into chunks.
//!
//! Input: a byte of settings, then pieces: a byte that says what, a byte of length, and the bytes of a chunk.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapwire::{
    coverage::{Counters, Reason},
    dissect::{Conversation, Exchange, Settings},
    flow::{Direction, Ending, Piece, Protocol4},
    time::Time,
};

/// Undecided input of both directions and the open messages: the constants of `dissect`, and room for growth.
const HELD: usize = 16 << 20;

struct Script<'a> {
    pieces: Vec<(Direction, Piece<'a>)>,
    mid_stream: bool,
    max_body: usize,
}

fn script(data: &[u8]) -> Option<Script<'_>> {
    let (&settings, mut rest) = data.split_first()?;
    let mut pieces = Vec::new();
    let mut millis = 0;
    while let [what, length, tail @ ..] = rest {
        rest = tail;
        millis += 1;
        let time = Time::from_millis(millis);
        let from = if what & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let reason =
            [Reason::RingFull, Reason::Budget, Reason::BodyRate, Reason::NotCaptured][usize::from(what >> 4 & 3)];
        let bytes = u64::from(*length);
        let piece = match what >> 1 & 7 {
            0 => Piece::Gap { bytes, reason, time: Some(time) },
            1 => Piece::Skip { bytes, reason: Reason::BodyRate, time: None },
            2 => {
                let how = [Ending::Fin, Ending::Reset, Ending::Expired, Ending::Evicted][usize::from(what >> 4 & 3)];
                Piece::End { how, time }
            }
            _ => {
                let (bytes, tail) = rest.split_at(rest.len().min(usize::from(*length)));
                rest = tail;
                Piece::Chunk { bytes, time }
            }
        };
        pieces.push((from, piece));
    }
    for from in Direction::BOTH {
        pieces.push((from, Piece::End { how: Ending::Expired, time: Time::from_millis(millis + 1) }));
    }
    Some(Script { pieces, mid_stream: settings & 1 == 1, max_body: usize::from(settings >> 1) })
}

/// Feeds the pieces, chunks in parts of at most `part` bytes.
fn run(script: &Script<'_>, part: usize) -> (Vec<Exchange>, Counters) {
    let settings = Settings { max_body: script.max_body, ..Settings::default() };
    let mut conversation = Conversation::new(&settings, Protocol4::Tcp, script.mid_stream);
    let (mut counters, mut done, mut fed) = (Counters::default(), Vec::new(), 0);
    let mut feed = |conversation: &mut Conversation, from, piece: Piece<'_>| {
        fed += piece.len();
        conversation.feed(from, piece, &mut counters, &mut done);
        assert_eq!(counters.bytes, fed);
        assert_eq!(fed, counters.captured_bytes + counters.skipped.total() + counters.lost.total());
        assert!(counters.undecoded.total() <= counters.captured_bytes);
        assert!(conversation.held_bytes() < HELD);
    };
    for &(from, piece) in &script.pieces {
        match piece {
            Piece::Chunk { bytes, time } => {
                for bytes in bytes.chunks(part) {
                    feed(&mut conversation, from, Piece::Chunk { bytes, time });
                }
            }
            piece => feed(&mut conversation, from, piece),
        }
    }
    assert_eq!(conversation.held_bytes(), 0);
    assert!(conversation.oldest_open().is_none());
    (done, counters)
}

fuzz_target!(|data: &[u8]| {
    let Some(script) = script(data) else {
        return;
    };
    let (whole, counters) = run(&script, usize::MAX);
    for exchange in &whole {
        assert!(exchange.request.is_some() || exchange.response.is_some());
        for message in [&exchange.request, &exchange.response].into_iter().flatten() {
            assert!(message.body.kept.len() <= script.max_body);
            assert!(message.started <= message.ended);
        }
        for field in exchange.protocol.fields() {
            let _ = (field.get)(exchange);
        }
    }
    let (cut, cut_counters) = run(&script, 1);
    // Where HTTP/2 is found in mid-stream depends on where segments end; it has a target of its own.
    if whole.iter().chain(&cut).any(|exchange| exchange.stream_id.is_some()) {
        return;
    }
    assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    assert_eq!(counters.captured_bytes, cut_counters.captured_bytes);
    assert_eq!(counters.lost, cut_counters.lost);
});
