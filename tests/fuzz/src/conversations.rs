//! What targets share that feed whole conversations: every byte is counted once, memory stays bounded, and nothing is left
//! open at the end. Where nothing is missing, it makes no difference how the bytes are cut into chunks.

use tapwire::{
    coverage::{Counters, Reason},
    dissect::{Conversation, Exchange, Settings},
    flow::{Direction, Ending, Piece, Protocol4},
    time::Time,
};

/// Undecided input of both directions, header blocks, tables and the open messages.
const HELD: usize = 16 << 20;

pub enum Said {
    Bytes(Direction, Vec<u8>),
    Gap(Direction, u64),
}

/// Feeds what was said, in parts of at most `part` bytes.
fn run(said: &[Said], settings: &Settings, part: usize) -> (Vec<Exchange>, Counters) {
    // Each run learns for itself.
    let settings = Settings { topic_names: Default::default(), ..settings.clone() };
    let mut conversation = Conversation::new(&settings, Protocol4::Tcp, false);
    let (mut counters, mut done, mut fed) = (Counters::default(), Vec::new(), 0);
    let mut feed = |conversation: &mut Conversation, from, piece: Piece<'_>| {
        fed += piece.len();
        conversation.feed(from, piece, &mut counters, &mut done);
        assert_eq!(counters.bytes, fed);
        assert_eq!(fed, counters.captured_bytes + counters.skipped.total() + counters.lost.total());
        assert!(counters.undecoded.total() <= counters.captured_bytes);
        assert!(conversation.held_bytes() < HELD);
    };
    for (millis, said) in (1..).zip(said) {
        let time = Time::from_millis(millis);
        match said {
            Said::Bytes(from, bytes) => {
                for bytes in bytes.chunks(part) {
                    feed(&mut conversation, *from, Piece::Chunk { bytes, time });
                }
            }
            Said::Gap(from, bytes) => {
                let gap = Piece::Gap { bytes: *bytes, reason: Reason::RingFull, time: Some(time) };
                feed(&mut conversation, *from, gap);
            }
        }
    }
    for from in Direction::BOTH {
        feed(&mut conversation, from, Piece::End { how: Ending::Fin, time: Time::from_millis(1 << 20) });
    }
    assert_eq!(conversation.held_bytes(), 0);
    assert!(conversation.oldest_open().is_none());
    (done, counters)
}

/// `missing`: not all was said. After something malformed, where reading goes on depends on where a segment ends.
pub fn check(said: &[Said], settings: &Settings, missing: bool) {
    let (whole, counters) = run(said, settings, usize::MAX);
    for exchange in &whole {
        assert!(exchange.request.is_some() || exchange.response.is_some());
        for message in [&exchange.request, &exchange.response].into_iter().flatten() {
            assert!(message.body.kept.len() <= settings.max_body);
            assert!(message.started <= message.ended);
        }
        for field in exchange.protocol.fields() {
            let _ = (field.get)(exchange);
        }
    }
    let (cut, cut_counters) = run(said, settings, 1);
    assert_eq!(counters.captured_bytes, cut_counters.captured_bytes);
    if !missing && counters.malformed.is_empty() {
        assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    }
}
