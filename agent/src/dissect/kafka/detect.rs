//! Finding Kafka among bytes. A request says enough of itself: a size, an API and version of the table, a readable client
//! id, and a body that is what its schema says. An answer says too little, and is known only by the request before it.

use super::{
    connection::FRAME_LIMIT,
    message::{self, Front, Header},
    reading::Reading,
    schema,
    walk::{Progress, Walk},
};
use crate::dissect::{Direction, Match, Scan};

/// Bytes of a body that must fit its schema when not all of it is there: names of topics are among them.
const CONVINCING: usize = 32;

/// The same where nothing else says that a message begins there.
const CONVINCING_ANYWHERE: usize = 64;

/// How a client asks what the broker understands, in whatever version it has.
const API_VERSIONS: i16 = 18;

/// Versions beyond the table's that are still taken for the API: clients newer than the table.
const NEWER: i16 = 8;

/// Whether a connection begins with `bytes`. Servers never speak first.
pub fn probe(role: Direction, bytes: &[u8]) -> Match {
    match role {
        Direction::ToServer => match request(bytes, CONVINCING) {
            Look::Whole(_) | Look::Front => Match::Yes,
            Look::More => Match::NeedMore,
            Look::No => Match::No,
        },
        Direction::ToClient => Match::No,
    }
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
fn request(bytes: &[u8], convincing: usize) -> Look {
    // Nearly all bytes are refuted by their first few.
    let at = |at: usize| bytes.get(at).copied().unwrap_or_default();
    if at(0) > (FRAME_LIMIT >> 24) as u8 || at(4) != 0 || at(6) != 0 || at(8) & 0x80 != 0 {
        return Look::No;
    }
    let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return Look::More };
    let size = u32::from_be_bytes(*size);
    if !(8..=FRAME_LIMIT).contains(&size) {
        return Look::No;
    }
    let (header, taken) = match message::request_header(rest, size) {
        Front::Header(header, taken) => (header, taken),
        Front::More => return if rest.len() >= size as usize { Look::No } else { Look::More },
        Front::No(_) => return Look::No,
    };
    let Some(api) = schema::table().api(header.key) else { return Look::No };
    let newest = api.requests.last().map_or(0, |layout| *layout.versions.end());
    let readable = |text: &str| !text.chars().any(char::is_control);
    // ApiVersions is how a client finds out.
    let newer = header.version > newest + NEWER && header.key != API_VERSIONS;
    if newer || !header.client_id.as_deref().is_none_or(readable) {
        return Look::No;
    }
    let body = &rest[taken..];
    let whole = rest.len() >= size as usize;
    let Some(layout) = api.request(header.version) else {
        return if whole { Look::Whole(4 + size as usize) } else { Look::More };
    };
    let size = size as usize;
    let body = &body[..body.len().min(size - taken)];
    match fits(&layout.body, body, (size - taken) as u64) {
        Fits::Whole if whole => Look::Whole(4 + size),
        Fits::Front if body.len() >= convincing => Look::Front,
        Fits::Front if !whole => Look::More,
        Fits::Whole | Fits::Front | Fits::No => Look::No,
    }
}

enum Fits {
    Whole,
    Front,
    No,
}

/// Whether `bytes` are a body of this size, or its front.
fn fits(shape: &'static schema::Shape, bytes: &[u8], size: u64) -> Fits {
    let mut walk = Walk::new(shape, size);
    let mut reading = Reading::new(0, Default::default(), false);
    let mut rest = bytes;
    match walk.feed(&mut rest, &mut reading) {
        Ok(Progress::Done) if walk.left() == 0 && reading.finding.is_none() => Fits::Whole,
        Ok(Progress::More | Progress::Pass(_)) if rest.is_empty() && (bytes.len() as u64) < size => Fits::Front,
        Ok(_) | Err(_) => Fits::No,
    }
}

/// Looks for a request in mid-stream: one that ends where the bytes end or where another begins, or one of which enough is
/// there.
pub fn scan(sender: Option<Direction>, bytes: &[u8]) -> Scan {
    if sender == Some(Direction::ToClient) {
        return Scan::Undecided(bytes.len());
    }
    for at in 0..bytes.len() {
        let here = &bytes[at..];
        match request(here, CONVINCING_ANYWHERE) {
            Look::No => {}
            Look::More => return Scan::Undecided(at),
            Look::Front => return Scan::Found { at, sender: Direction::ToServer },
            Look::Whole(size) => match request(here.get(size..).unwrap_or_default(), CONVINCING_ANYWHERE) {
                Look::No if here.len() > size => {}
                Look::No | Look::More | Look::Front | Look::Whole(_) => {
                    return Scan::Found { at, sender: Direction::ToServer };
                }
            },
        }
    }
    Scan::Undecided(bytes.len())
}

/// Looks for the answer to one of these. `turn`: the first byte is the first of a segment that follows a request.
pub fn scan_answers<'a>(waiting: impl Fn(i32) -> Option<&'a Header>, turn: bool, bytes: &[u8]) -> Scan {
    const FRONT: usize = 8;
    for at in 0..bytes.len().saturating_sub(FRONT - 1) {
        let here = &bytes[at..];
        let size = u32::from_be_bytes([here[0], here[1], here[2], here[3]]);
        if !(4..=FRAME_LIMIT).contains(&size) {
            continue;
        }
        let id = i32::from_be_bytes([here[4], here[5], here[6], here[7]]);
        let Some(request) = waiting(id) else { continue };
        let Some(api) = schema::table().api(request.key) else { continue };
        let Some(layout) = api.response(request.version) else { continue };
        let mut body = &here[FRONT..here.len().min(4 + size as usize)];
        let before = body.len();
        if layout.header > 0 && message::tags(&mut body) != Some(true) {
            continue;
        }
        let taken = before - body.len();
        let Some(rest) = (size as usize).checked_sub(4 + taken) else { continue };
        let believed = match fits(&layout.body, body, rest as u64) {
            // Small numbers look alike: what ends with the segment is a message, what does not is none.
            Fits::Whole => turn && at == 0 || here.len() == 4 + size as usize,
            Fits::Front => turn && at == 0 && body.len() >= CONVINCING || body.len() >= CONVINCING_ANYWHERE,
            Fits::No => false,
        };
        if believed {
            return Scan::Found { at, sender: Direction::ToClient };
        }
    }
    Scan::Undecided(bytes.len().saturating_sub(FRONT - 1))
}
