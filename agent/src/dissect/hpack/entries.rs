//! Where the entries of a dynamic table lie: one run of bytes, the newest at its end.
//!
//! Eviction only moves the front on. Bytes in front of it are dropped when the next entry would make the run grow, and
//! only when they are a quarter of it or more, so each byte is moved a few times at most.

use std::{collections::VecDeque, fmt, ops::Range};

/// The entries that are kept, the newest at position 0.
#[derive(Default)]
pub(super) struct Entries {
    /// What evicted entries left, then the name and the value of each entry, oldest first.
    bytes: Vec<u8>,
    /// Bytes that evicted entries left.
    gone: usize,
    /// Oldest first.
    places: VecDeque<Place>,
    /// Bytes dropped in front of `bytes` so far, modulo 2^32.
    dropped: u32,
}

#[derive(Debug)]
struct Place {
    /// Bytes pushed before the entry, modulo 2^32: the run itself is much shorter.
    start: u32,
    /// Length of the name; `None` when it isn't known.
    name: Option<u32>,
    /// Length of the value.
    value: u32,
}

impl Place {
    /// What RFC 7541 section 4.1 counts without the overhead; not more than that when the name isn't known.
    fn size(&self) -> usize {
        self.name.unwrap_or(0) as usize + self.value as usize
    }
}

/// Where a new entry's name is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Bytes(&'a [u8]),
    /// The name of the entry at this position.
    Position(usize),
    Unknown,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Every name is known.
    pub(super) fn named(&self) -> bool {
        self.places.iter().all(|place| place.name.is_some())
    }

    /// Length of the name at `position`, if there is such an entry and its name is known.
    pub(super) fn name_len(&self, position: usize) -> Option<usize> {
        self.place(position)?.name.map(|name| name as usize)
    }

    /// Name and value of the entry at `position`.
    pub(super) fn get(&self, position: usize) -> Option<(Option<&[u8]>, &[u8])> {
        let place = self.place(position)?;
        let (name, value) = self.bytes.get(self.range(place))?.split_at_checked(place.name.unwrap_or(0) as usize)?;
        Some((place.name.map(|_| name), value))
    }

    /// Adds the newest entry. The caller bounds its size.
    pub(super) fn push(&mut self, name: Source<'_>, value: &[u8]) {
        let name_len = match name {
            Source::Bytes(name) => Some(name.len()),
            Source::Position(position) => self.name_len(position),
            Source::Unknown => None,
        };
        self.make_room(name_len.unwrap_or(0) + value.len());
        let start = self.dropped.wrapping_add(self.bytes.len() as u32);
        match name {
            Source::Bytes(name) => self.bytes.extend_from_slice(name),
            Source::Position(position) => {
                if let (Some(place), Some(len)) = (self.place(position), name_len) {
                    let from = self.range(place).start;
                    self.bytes.extend_from_within(from..from + len);
                }
            }
            Source::Unknown => {}
        }
        self.bytes.extend_from_slice(value);
        self.places.push_back(Place { start, name: name_len.map(|len| len as u32), value: value.len() as u32 });
    }

    /// Drops the oldest entry; returns its name's and value's size.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let size = self.places.pop_front()?.size();
        self.gone += size;
        Some(size)
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<Place>()
    }

    fn place(&self, position: usize) -> Option<&Place> {
        self.places.get(self.places.len().checked_sub(position + 1)?)
    }

    fn range(&self, place: &Place) -> Range<usize> {
        let start = place.start.wrapping_sub(self.dropped) as usize;
        start..start + place.size()
    }

    fn make_room(&mut self, more: usize) {
        if self.bytes.len() + more > self.bytes.capacity() && self.gone * 4 >= self.bytes.len() {
            self.bytes.drain(..self.gone);
            self.dropped = self.dropped.wrapping_add(self.gone as u32);
            self.gone = 0;
        }
    }
}

/// Without the bytes: there are cookies and tokens in them.
impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("len", &self.len()).field("heap", &self.heap()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_comes_first_and_the_oldest_goes_first() {
        let mut entries = Entries::default();
        entries.push(Source::Bytes(b"a"), b"1");
        entries.push(Source::Unknown, b"22");
        entries.push(Source::Position(1), b"");
        assert_eq!(entries.get(0), Some((Some(&b"a"[..]), &b""[..])));
        assert_eq!(entries.get(1), Some((None, &b"22"[..])));
        assert_eq!(entries.get(2), Some((Some(&b"a"[..]), &b"1"[..])));
        assert_eq!(entries.get(3), None);
        assert!(!entries.named());
        assert_eq!([entries.pop(), entries.pop(), entries.pop(), entries.pop()], [Some(2), Some(2), Some(1), None]);
    }

    #[test]
    fn the_run_stays_short_and_right_at_any_offset() {
        let mut entries = Entries { dropped: u32::MAX - 5000, ..Entries::default() };
        for n in 0..20_000u32 {
            let text = n.to_string().repeat(n as usize % 9);
            if n % 3 == 0 && entries.len() > 0 {
                let name = entries.get(0).and_then(|(name, _)| name).map(<[u8]>::to_vec);
                entries.push(Source::Position(0), text.as_bytes());
                assert_eq!(entries.get(0), Some((name.as_deref(), text.as_bytes())));
            } else {
                entries.push(Source::Bytes(b"name"), text.as_bytes());
            }
            if entries.len() > 50 {
                entries.pop();
            }
            for position in 0..entries.len() as u32 {
                let n = n - position;
                let value = n.to_string().repeat(n as usize % 9);
                assert_eq!(entries.get(position as usize), Some((Some(&b"name"[..]), value.as_bytes())));
            }
        }
        assert!(entries.heap() < 8 << 10, "{}", entries.heap());
    }
}
