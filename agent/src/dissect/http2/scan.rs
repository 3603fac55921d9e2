//! Finding HTTP/2 among bytes: at the start of a connection by the preface or the server's first SETTINGS, in mid-stream
//! by several frames in a row that fit together.

use super::frame::{self, Frame, HEADER, Kind, PREFACE, flags};
use crate::dissect::{Direction, Match, Scan, conversation::INPUT_LIMIT, hpack};

/// Frames in a row that are believed. A random header passes for an ordinary one about once in a thousand times, and has
/// to point at the next one.
const BELIEVED: usize = 3;

/// What the frames of a chain must weigh together: see `weight`. When the connection is known to be HTTP/2 and the last
/// frame ends where the bytes end, this is enough, however few they are.
const BELIEVED_WEIGHT: usize = 2;

/// A header block up to this size is decoded to see who sent it: those of ordinary calls are a tenth of it. Larger ones
/// are no evidence, so that looking again costs little.
const EVIDENCE: usize = 4 << 10;

/// Of the types of RFC 9113.
const LAST_KIND: u8 = 9;

/// What is longer can't be verified: several must be held.
const LONGEST: usize = INPUT_LIMIT / 2;

/// Settings in a server's first frame. Real ones have three to eight; there are ten registered ones.
const FIRST_SETTINGS: u32 = 32;

/// Whether a connection begins with `bytes`.
pub(super) fn probe(role: Direction, bytes: &[u8]) -> Match {
    match role {
        Direction::ToServer => match bytes.len() < PREFACE.len() {
            _ if !bytes.iter().zip(PREFACE).all(|(a, b)| a == b) => Match::No,
            true => Match::NeedMore,
            false => Match::Yes,
        },
        Direction::ToClient => first_settings(bytes),
    }
}

/// RFC 9113 section 3.4: the server's first frame is SETTINGS.
fn first_settings(bytes: &[u8]) -> Match {
    let known = bytes.iter().take(HEADER);
    let begins = known.enumerate().all(|(at, &byte)| match at {
        0 => byte == 0,
        1 => byte == 0,
        2 => byte % 6 == 0 && u32::from(byte) <= FIRST_SETTINGS * 6,
        3 => byte == 4,
        _ => byte == 0,
    });
    if !begins {
        return Match::No;
    }
    let Some(frame) = Frame::parse(bytes) else {
        return Match::NeedMore;
    };
    let payload = &bytes[HEADER..];
    let payload = payload.get(..frame.length as usize).unwrap_or(payload);
    // IANA's registry goes up to 9; besides them there are the reserved ones that test whether others are ignored
    // (0x?a?a).
    let ordinary = payload.as_chunks::<6>().0.iter().all(|entry| match u16::from_be_bytes([entry[0], entry[1]]) {
        1..=9 => true,
        other => other & 0x0f0f == 0x0a0a || other >= 0xf000,
    });
    match payload.len() < frame.length as usize {
        _ if !ordinary => Match::No,
        true => Match::NeedMore,
        false => Match::Yes,
    }
}

/// Looks for the first frame in mid-stream. `sender`: who sends, when that is known; else a header block must tell.
pub(super) fn scan(sender: Option<Direction>, bytes: &[u8]) -> Scan {
    // Where chains of frames lead to what is none: no place is looked at twice.
    let mut refuted = Vec::new();
    for at in 0..bytes.len() {
        if !begins_ordinary(&bytes[at..]) || refuted.get(at).copied().unwrap_or(false) {
            continue;
        }
        match walk(sender, bytes, at, &mut refuted) {
            Walk::Refuted => {}
            Walk::Undecided { from } => return Scan::Undecided(from),
            Walk::Believed(sender) => return Scan::Found { at, sender },
        }
    }
    Scan::Undecided(bytes.len())
}

enum Walk {
    Refuted,
    /// What stands before `from` can't tell more.
    Undecided {
        from: usize,
    },
    Believed(Direction),
}

fn walk(known: Option<Direction>, bytes: &[u8], start: usize, refuted: &mut Vec<bool>) -> Walk {
    let (mut frames, mut weight) = (0, 0);
    let mut at = start;
    let mut trail = Vec::new();
    // Where the last frames began, so that a stream of data without header blocks is not held for ever.
    let mut last = [start; BELIEVED];
    let mut continues: Option<u32> = None;
    let mut evidence = Evidence { sender: known, decoder: hpack::Decoder::new(false) };
    loop {
        if frames >= BELIEVED
            && weight >= BELIEVED_WEIGHT
            && let Some(sender) = evidence.sender
        {
            return Walk::Believed(sender);
        }
        let rest = &bytes[at..];
        if let Some(sender) = known.filter(|_| rest.is_empty() && weight >= BELIEVED_WEIGHT) {
            return Walk::Believed(sender);
        }
        let Some(frame) = Frame::parse(rest) else {
            if begins_ordinary(rest) {
                return Walk::Undecided { from: last[0] };
            }
            return refute(refuted, trail, bytes.len());
        };
        let plausible = frame.is_ordinary() && frame.length as usize <= LONGEST;
        // RFC 9113 section 6.10: nothing may come between the parts of a header block. Clients' streams are odd, and
        // servers rarely open any (section 5.1.1).
        let in_order = match (continues, frame.kind) {
            (Some(stream), Kind::Continuation) => stream == frame.stream,
            // Nor can one begin with a part: what it goes on from is not known.
            (Some(_), _) | (None, Kind::Continuation) => false,
            (None, _) => true,
        };
        let odd = frame.stream % 2 == 1 || !matches!(frame.kind, Kind::Data | Kind::Headers | Kind::Continuation);
        if !plausible || !odd || refuted.get(at).copied().unwrap_or(false) {
            return refute(refuted, trail, bytes.len());
        }
        if !in_order {
            return Walk::Refuted;
        }
        let Some(payload) = rest.get(HEADER..HEADER + frame.length as usize) else {
            return Walk::Undecided { from: last[0] };
        };
        if !fits(frame, payload) {
            return refute(refuted, trail, bytes.len());
        }
        if !evidence.take(frame, payload) {
            return Walk::Refuted;
        }
        trail.push(at);
        let block = matches!(frame.kind, Kind::Headers | Kind::Continuation | Kind::PushPromise);
        continues = (block && !frame.has(flags::END_HEADERS)).then_some(frame.stream);
        if frames >= BELIEVED {
            last.rotate_left(1);
        }
        last[frames.min(BELIEVED - 1)] = at;
        frames += 1;
        weight += self::weight(frame);
        at += HEADER + frame.length as usize;
    }
}

/// How much a frame tells. The header of a DATA frame is mostly zeros when it is short, and so are many other bytes; of an
/// empty one all are but two, so any number of them tells nothing. Of random bytes, one place in some ten thousand millions
/// looks like one of the other types that ends where they end.
fn weight(frame: Frame) -> usize {
    match frame.kind {
        Kind::Data if frame.length == 0 => 0,
        Kind::Data => 1,
        Kind::Headers
        | Kind::Priority
        | Kind::RstStream
        | Kind::Settings
        | Kind::PushPromise
        | Kind::Ping
        | Kind::Goaway
        | Kind::WindowUpdate
        | Kind::Continuation
        | Kind::Unknown => 2,
    }
}

/// No frame follows at the end of this chain, whoever begins it.
fn refute(refuted: &mut Vec<bool>, trail: Vec<usize>, length: usize) -> Walk {
    if trail.len() > 1 {
        refuted.resize(length, false);
        for at in trail {
            refuted[at] = true;
        }
    }
    Walk::Refuted
}

/// As far as a header's first bytes go: nearly all bytes are refuted here.
fn begins_ordinary(bytes: &[u8]) -> bool {
    let at = |at: usize| bytes.get(at).copied().unwrap_or_default();
    at(0) == 0 && usize::from(at(1)) << 8 <= LONGEST && at(3) <= LAST_KIND && at(5) & 0x80 == 0
}

/// What a payload must look like beyond its length.
pub(super) fn fits(frame: Frame, payload: &[u8]) -> bool {
    match frame.kind {
        Kind::Data | Kind::Headers => frame::content(frame, payload).is_some(),
        // Section 8.4: a stream that the server may open.
        Kind::PushPromise => frame::content(frame, payload)
            .and_then(|content| frame::number(content, 0))
            .is_some_and(|promised| promised > 0 && promised.is_multiple_of(2)),
        // RFC 9113 section 6.5.2: settings that are numbers below 2^16, mostly 1 to 9.
        Kind::Settings => payload.as_chunks::<6>().0.iter().all(|entry| entry[0] == 0 || entry[0] & 0x0f == 0x0a),
        // Section 6.9: 0 is an error.
        Kind::WindowUpdate => frame::number(payload, 0).is_some_and(|increment| (1..1 << 31).contains(&increment)),
        Kind::RstStream => frame::number(payload, 0).is_some_and(|code| code < 0x100),
        Kind::Goaway => frame::number(payload, 4).is_some_and(|code| code < 0x100),
        Kind::Ping | Kind::Priority | Kind::Continuation | Kind::Unknown => true,
    }
}

struct Evidence {
    sender: Option<Direction>,
    decoder: hpack::Decoder,
}

impl Evidence {
    /// Whether a frame's payload is what the sender sends.
    fn take(&mut self, frame: Frame, payload: &[u8]) -> bool {
        if frame.kind != Kind::Headers || !frame.has(flags::END_HEADERS) || payload.len() > EVIDENCE {
            self.decoder.lose();
            return true;
        }
        let Some(block) = frame::content(frame, payload) else {
            return false;
        };
        let mut sender = None;
        let decoded = self.decoder.decode(block, |field| {
            sender = sender.or(match field.name {
                Some(b":status") => Some(Direction::ToClient),
                Some(b":method" | b":path" | b":scheme" | b":authority") => Some(Direction::ToServer),
                _ => None,
            });
        });
        if decoded.is_err() || sender.is_some_and(|sender| self.sender.is_some_and(|known| known != sender)) {
            return false;
        }
        self.sender = self.sender.or(sender);
        true
    }
}
