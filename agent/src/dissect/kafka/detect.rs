//! Finding Kafka among bytes. A request says enough of itself: a size, an API and version of the table, a readable client
//! id, and a body that is what its schema says. An answer says too little, and is known only by the request before it.

use super::{
    connection::{Asked, FRAME_LIMIT},
    facts::Topic,
    keys::{API_VERSIONS, METADATA, SASL_HANDSHAKE},
    message::{self, Front},
    reading::Reading,
    schema,
    walk::{Progress, Walk},
};
use crate::dissect::{Direction, Match, Scan};

/// What clients begin a connection with, and need no name for: Metadata, SaslHandshake and ApiVersions. Of other APIs a
/// request of a client without a name must name a topic: an answer with a small correlation id looks like a Produce.
const OPENING: [i16; 3] = [METADATA, SASL_HANDSHAKE, API_VERSIONS];

/// Bytes of a body that must fit its schema when not all of it is there: names of topics are among them.
const CONVINCING: usize = 32;

/// The same where nothing else says that a message begins there.
const CONVINCING_ANYWHERE: usize = 64;

/// A request that names no topic is waited for to its end, where nothing else says that one begins: what groups and
/// transactions ask for has some hundred bytes. Larger ones are not found there, and stay undecoded (`mid_stream`).
const VAGUE: usize = 16 << 10;

/// Whether a connection begins with `bytes`. Servers never speak first.
pub fn probe(role: Direction, bytes: &[u8]) -> Match {
    match role {
        Direction::ToServer => match request(bytes, CONVINCING, &mut { usize::MAX }) {
            Look::Whole(_) | Look::Front => Match::Yes,
            Look::More => Match::NeedMore,
            Look::No => Match::No,
        },
        Direction::ToClient => Match::No,
    }
}

/// A request of a client without a name, which numbers of other kinds look like.
fn nameless(bytes: &[u8]) -> bool {
    // Behind size, API, version and correlation id.
    matches!(bytes.get(12..14), Some([0, 0] | [0xff, _]))
}

enum Look {
    /// A message of this many bytes, and all of it is there.
    Whole(usize),
    /// What is there fits.
    Front,
    More,
    No,
}

/// Whether a request begins here; `convincing`: so much of its body must fit.
fn request(bytes: &[u8], convincing: usize, budget: &mut usize) -> Look {
    // Nearly all bytes are refuted by their first few: of a size below 16 MiB (clients send 1 MB at most unless told
    // otherwise), of an API and a version below 256, of a correlation id that is not negative.
    let at = |at: usize| bytes.get(at).copied().unwrap_or_default();
    if at(0) != 0 || at(4) != 0 || at(6) != 0 || at(8) & 0x80 != 0 {
        return Look::No;
    }
    let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return Look::More };
    let size = u32::from_be_bytes(*size);
    if !(8..=FRAME_LIMIT).contains(&size) {
        return Look::No;
    }
    if !readable(rest) {
        return Look::No;
    }
    let (header, taken) = match message::request_header(rest, size) {
        Front::Header(header, taken) => (header, taken),
        Front::More => return if rest.len() >= size as usize { Look::No } else { Look::More },
        Front::No(_) => return Look::No,
    };
    let Some(api) = schema::table().api(header.key) else { return Look::No };
    let body = &rest[taken..];
    let whole = rest.len() >= size as usize;
    let Some(layout) = api.request(header.version) else {
        // Who speaks what nobody knows yet asks for the versions first.
        return match header.key {
            API_VERSIONS if whole => Look::Whole(4 + size as usize),
            API_VERSIONS => Look::More,
            _ => Look::No,
        };
    };
    let size = size as usize;
    let body = &body[..body.len().min(size - taken)];
    let Some(left) = budget.checked_sub(body.len()) else { return Look::No };
    *budget = left;
    let (fits, reading) = read(&layout.body, body, (size - taken) as u64);
    let opening = OPENING.contains(&header.key);
    let plain = nameless(bytes) && !opening && !names_a_topic(&reading);
    let anywhere = convincing >= CONVINCING_ANYWHERE;
    // Where nothing else says that a message begins there, a front must say more than that its lengths may be right.
    let vague = anywhere && !opening && !names_a_topic(&reading);
    match fits {
        Fits::Whole | Fits::Front if anywhere && !names_legal_topics(&reading) => Look::No,
        Fits::Front if vague && !whole && size > VAGUE => Look::No,
        Fits::Front if vague && !whole => Look::More,
        Fits::Whole | Fits::Front if plain && (whole || body.len() >= convincing) => Look::No,
        Fits::Whole if whole => Look::Whole(4 + size),
        Fits::Front if body.len() >= convincing => Look::Front,
        Fits::Front if !whole => Look::More,
        Fits::Whole | Fits::Front | Fits::No => Look::No,
    }
}

/// Whether a client may call itself so, as far as it is there.
fn readable(header: &[u8]) -> bool {
    /// Of a client's name: people choose them.
    const LONGEST: i16 = 1024;
    let Some(([high, low], name)) = header.get(8..).and_then(<[u8]>::split_first_chunk::<2>) else { return true };
    let length = i16::from_be_bytes([*high, *low]);
    let name = &name[..name.len().min(usize::try_from(length).unwrap_or(0))];
    length <= LONGEST && !name.iter().any(u8::is_ascii_control)
}

enum Fits {
    Whole,
    Front,
    No,
}

/// Whether `bytes` are a body of this size, or its front.
fn fits(shape: &'static schema::Shape, bytes: &[u8], size: u64) -> Fits {
    read(shape, bytes, size).0
}

fn read(shape: &'static schema::Shape, bytes: &[u8], size: u64) -> (Fits, Reading) {
    let mut walk = Walk::new(shape, size);
    let mut reading = Reading::new(0, Default::default(), false);
    let mut rest = bytes;
    let fits = match walk.feed(&mut rest, &mut reading) {
        Ok(Progress::Done) if walk.left() == 0 && reading.finding.is_none() => Fits::Whole,
        Ok(Progress::More | Progress::Pass(_))
            if rest.is_empty() && (bytes.len() as u64) < size && reading.finding.is_none() =>
        {
            Fits::Front
        }
        Ok(_) | Err(_) => Fits::No,
    };
    (fits, reading)
}

/// It names a topic as Kafka lets them be named.
fn names_a_topic(reading: &Reading) -> bool {
    reading.facts.topics.iter().any(legal)
}

/// It names no other.
fn names_legal_topics(reading: &Reading) -> bool {
    reading.facts.topics.iter().all(legal)
}

fn legal(topic: &Topic) -> bool {
    match topic {
        Topic::Name(name) => {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        }
        // RFC 9562: version 4, of the variant that all have. Brokers' own metadata has the number 1.
        Topic::Id(id) => id[6] >> 4 == 4 && id[8] >> 6 == 2 || u128::from_be_bytes(*id) == 1,
    }
}

/// How often a byte may be walked over in one search: real ones are walked once or twice. Beyond it nothing is found in
/// these bytes, which stay undecoded (`mid_stream`).
const WALKED: usize = 8;

/// Looks for a request in mid-stream: one that ends where the bytes end or where another begins, or one of which enough is
/// there. Zeros make a request of no client with nothing in it, so the client must have a name.
pub fn scan(sender: Option<Direction>, bytes: &[u8]) -> Scan {
    if sender == Some(Direction::ToClient) {
        return Scan::Undecided(bytes.len());
    }
    // Requests inside of requests would each be walked to the end.
    let mut budget = WALKED * bytes.len();
    for at in 0..bytes.len() {
        let here = &bytes[at..];
        if nameless(here) {
            continue;
        }
        match request(here, CONVINCING_ANYWHERE, &mut budget) {
            Look::No => {}
            Look::More => return Scan::Undecided(at),
            Look::Front => return Scan::Found { at, sender: Direction::ToServer },
            Look::Whole(size) => {
                match request(here.get(size..).unwrap_or_default(), CONVINCING_ANYWHERE, &mut budget) {
                    Look::No if here.len() > size => {}
                    Look::No | Look::More | Look::Front | Look::Whole(_) => {
                        return Scan::Found { at, sender: Direction::ToServer };
                    }
                }
            }
        }
    }
    Scan::Undecided(bytes.len())
}

/// Looks for the answer to a request that waits, at the first byte of a segment that follows a request. Anywhere else
/// lists of small numbers look like answers.
pub fn scan_answers(waiting: impl Fn(i32) -> Option<Asked>, turn: bool, bytes: &[u8]) -> Scan {
    match answer(waiting, bytes) {
        Match::Yes if turn => Scan::Found { at: 0, sender: Direction::ToClient },
        Match::NeedMore if turn => Scan::Undecided(0),
        _ => Scan::Undecided(bytes.len()),
    }
}

/// Of an answer: its size, and the correlation id.
const FRONT: usize = 8;

fn answer(waiting: impl Fn(i32) -> Option<Asked>, bytes: &[u8]) -> Match {
    let Some(([a, b, c, d, id @ ..], rest)) = bytes.split_first_chunk::<FRONT>() else { return Match::NeedMore };
    let size = u32::from_be_bytes([*a, *b, *c, *d]);
    if !(4..=FRAME_LIMIT).contains(&size) {
        return Match::No;
    }
    let asked = waiting(i32::from_be_bytes(*id));
    let layout = asked.and_then(|request| schema::table().api(request.key)?.response(request.version));
    let Some(layout) = layout else { return Match::No };
    let left = size as usize - 4;
    let whole = rest.len() >= left;
    let mut body = &rest[..rest.len().min(left)];
    let there = body.len();
    if layout.header > 0 {
        match message::tags(&mut body) {
            Some(true) => {}
            Some(false) if !whole => return Match::NeedMore,
            Some(false) | None => return Match::No,
        }
    }
    let taken = there - body.len();
    match fits(&layout.body, body, (left - taken) as u64) {
        Fits::Whole => Match::Yes,
        Fits::Front if body.len() >= CONVINCING => Match::Yes,
        Fits::Front if !whole => Match::NeedMore,
        Fits::Front | Fits::No => Match::No,
    }
}
