//! Where the next page begins: one URL-safe word that holds all that is needed, since no session is kept.
//!
//! Pages go by (timestamp, id), downwards. The first page's end of the store is kept, so that records published later
//! don't come in between, and its `now()` and time range, so that all pages answer the same question. Rows keep their
//! numbers when segments are merged or evicted, so a cursor is good for as long as the agent runs.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Question;
use crate::{record::RecordId, store::Key, time::Time};

/// Of the layout: another one is refused.
const VERSION: u8 = 1;

/// Version, flags, 6 words of 8 bytes, the last record's time of 8 and id of 4 + 8 + 4, and a check sum of 4.
const LENGTH: usize = 2 + 6 * 8 + 8 + 16 + 4;

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The store that gave the first page.
    pub store: u64,
    /// Hash of the filter.
    pub question: u64,
    /// Rows from here on were published after the first page.
    pub until: u64,
    /// `now()` of the first page.
    pub now: Time,
    pub from: Option<Time>,
    pub to: Option<Time>,
    /// The last record that was looked at: the next page begins below it.
    pub after: Key,
}

/// Why a cursor cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    #[error("the cursor is not one that was given here, or was cut: pass the whole word from the last answer, or none")]
    Malformed,
    #[error("the cursor belongs to an earlier run of the agent: ask again without it")]
    OtherRun,
    #[error("the cursor belongs to another filter: repeat the same one with it, or ask again without the cursor")]
    OtherFilter,
    #[error("the cursor belongs to another time range: leave the range out with it, or ask again without the cursor")]
    OtherRange,
}

/// Those who ask show it as it is.
impl From<CursorError> for String {
    fn from(error: CursorError) -> Self {
        error.to_string()
    }
}

impl Cursor {
    /// Whether it goes on with `question` in `store`.
    pub(super) fn check(&self, store: u64, question: &Question) -> Result<(), CursorError> {
        if self.store != store {
            return Err(CursorError::OtherRun);
        }
        if self.question != fingerprint(question) {
            return Err(CursorError::OtherFilter);
        }
        let differs = |asked: Option<Time>, mine| asked.is_some() && asked != mine;
        if differs(question.from, self.from) || differs(question.to, self.to) {
            return Err(CursorError::OtherRange);
        }
        Ok(())
    }
}

/// FNV-1a: the same in every build, and nobody gains by a collision.
fn hash(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// What a cursor keeps of the filter.
pub(super) fn fingerprint(question: &Question) -> u64 {
    question.filter.as_ref().map_or(0, |filter| hash(filter.source().as_bytes()))
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, question, until, now, from, to, after: (time, RecordId { epoch, conn, number }) } = self;
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend([VERSION, u8::from(from.is_some()) | u8::from(to.is_some()) << 1]);
        for word in [*store, *question, *until, now.0, from.unwrap_or_default().0, to.unwrap_or_default().0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(time.0.to_le_bytes());
        bytes.extend(epoch.to_le_bytes());
        bytes.extend(conn.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(check_sum(&bytes));
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        // Base64 of LENGTH bytes; anything else isn't decoded at all.
        if text.len() != LENGTH.div_ceil(3) * 4 - (3 - LENGTH % 3) % 3 {
            return Err(CursorError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Malformed)?;
        let (body, sum) = bytes.split_last_chunk().ok_or(CursorError::Malformed)?;
        let (&[version, flags], mut rest) = body.split_first_chunk().ok_or(CursorError::Malformed)?;
        if version != VERSION || flags > 3 || *sum != check_sum(body) {
            return Err(CursorError::Malformed);
        }
        let [store, question, until, now, from, to] = [(); 6].map(|()| word(&mut rest));
        let time = Time(word(&mut rest)?);
        let id = RecordId { epoch: half(&mut rest)?, conn: word(&mut rest)?, number: half(&mut rest)? };
        if !rest.is_empty() {
            return Err(CursorError::Malformed);
        }
        let (from, to) = (Time(from?), Time(to?));
        Ok(Self {
            store: store?,
            question: question?,
            until: until?,
            now: Time(now?),
            from: (flags & 1 != 0).then_some(from),
            to: (flags & 2 != 0).then_some(to),
            after: (time, id),
        })
    }
}

/// Against words that were cut or mistyped, not against malice: a made-up cursor only shows what a question may.
fn check_sum(bytes: &[u8]) -> [u8; 4] {
    let hash = hash(bytes);
    ((hash ^ (hash >> 32)) as u32).to_le_bytes()
}

fn word(rest: &mut &[u8]) -> Result<u64, CursorError> {
    let (bytes, later) = rest.split_first_chunk().ok_or(CursorError::Malformed)?;
    *rest = later;
    Ok(u64::from_le_bytes(*bytes))
}

fn half(rest: &mut &[u8]) -> Result<u32, CursorError> {
    let (bytes, later) = rest.split_first_chunk().ok_or(CursorError::Malformed)?;
    *rest = later;
    Ok(u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        Cursor {
            store: u64::MAX,
            question: 7,
            until: 1 << 40,
            now: Time(5),
            from: None,
            to: Some(Time(9)),
            after: (Time(8), RecordId { epoch: 1, conn: 2, number: 3 }),
        }
    }

    #[test]
    fn a_printed_cursor_reads_back() {
        let text = cursor().to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{text}");
        assert_eq!(text.parse(), Ok(cursor()));
        let all = Cursor { from: Some(Time(1)), to: None, ..cursor() };
        assert_eq!(all.to_string().parse(), Ok(all));
    }

    #[test]
    fn anything_else_is_refused() {
        let text = cursor().to_string();
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap_or_default();
            assert_eq!(other.parse::<Cursor>(), Err(CursorError::Malformed), "{other}");
            assert_eq!(text[..at].parse::<Cursor>(), Err(CursorError::Malformed));
        }
        assert_eq!(format!("{text}=").parse::<Cursor>(), Err(CursorError::Malformed));
        assert_eq!("é".parse::<Cursor>(), Err(CursorError::Malformed));
    }
}
