//! What is in a batch: records, and the older messages, which may stand in one another.

use super::{Bad, COMMON, Head, head, head_size};
use crate::dissect::kafka::{
    compression::{self, Codec},
    tree::Tree,
};

/// A record of magic 2 with nothing in it: seven numbers of one byte.
const LEAST_RECORD: u64 = 7;

/// Of records to what they are compressed to: empty ones, one like the other, reach it.
const HIGHEST_RATIO: u64 = 1024;

impl Head {
    /// Marks of transactions, which are not for users.
    fn control(self) -> bool {
        self.magic == 2 && self.attributes & 0x20 != 0
    }

    /// The broker's time stands for all.
    fn appended(self) -> bool {
        self.attributes & 8 != 0
    }

    /// Writes what is known of a batch; how many records for users it has, if that is known.
    pub(super) fn write(
        self,
        kept: &[u8],
        size: u64,
        whole: bool,
        partial: bool,
        tree: &mut Tree,
    ) -> Result<Option<u64>, Bad> {
        let codec = Codec::of(self.attributes).map_err(Bad)?;
        tree.int("magic", i64::from(self.magic));
        tree.int("base_offset", self.base_offset);
        if let Some(codec) = codec {
            tree.text("compression", codec.name());
        }
        if self.magic == 2 {
            tree.int("count", i64::from(self.count));
        }
        if self.producer_id >= 0 {
            tree.int("producer_id", self.producer_id);
            tree.int("producer_epoch", i64::from(self.producer_epoch));
            tree.int("base_sequence", i64::from(self.base_sequence));
            tree.bool("transactional", self.attributes & 0x10 != 0);
        }
        if codec.is_none() && self.magic == 2 && u64::from(self.count) * LEAST_RECORD > size && !partial {
            return Err(Bad("records_count"));
        }
        let undone;
        let (bytes, whole) = match codec.filter(|_| self.magic == 2) {
            None => (kept, whole),
            Some(codec) => {
                undone = compression::undo(codec, kept, whole, tree.room());
                if let Some(why) = undone.refused {
                    return Err(Bad(why));
                }
                (&undone.bytes[..], undone.whole)
            }
        };
        if !whole {
            tree.set_cut();
        }
        // What the rest holds is what it claims, unless nothing could be compressed so.
        let claimed = u64::from(self.count) * LEAST_RECORD;
        if codec.is_some() && !whole && claimed > size.saturating_mul(HIGHEST_RATIO) && !partial {
            return Err(Bad("records_count"));
        }
        tree.list("records");
        let result = match (self.magic, codec) {
            (2, _) => self.records(bytes, whole, tree).map(Some),
            (_, None) => self.message(bytes, Some(self.base_offset), whole, tree).map(|()| Some(1)),
            (_, Some(codec)) => self.wrapper(codec, bytes, whole, tree),
        };
        tree.end();
        result
    }

    /// Of magic 2.
    fn records(self, bytes: &[u8], whole: bool, tree: &mut Tree) -> Result<u64, Bad> {
        let mut rest = bytes;
        let mut read = 0;
        while read < self.count && !tree.full() {
            match self.record(&mut rest, tree) {
                Some(()) => read += 1,
                None if whole => return Err(Bad("record")),
                None => break,
            }
        }
        if read < self.count {
            tree.set_cut();
        } else if whole && !rest.is_empty() {
            return Err(Bad("records_count"));
        }
        Ok(if self.control() { 0 } else { u64::from(self.count) })
    }

    fn record(self, rest: &mut &[u8], tree: &mut Tree) -> Option<()> {
        let length = usize::try_from(varint(rest)?).ok()?;
        let (mut record, after) = rest.split_at_checked(length)?;
        let (_attributes, fields) = record.split_first()?;
        record = fields;
        let timestamp = varint(&mut record)?;
        let offset = varint(&mut record)?;
        let key = nullable(&mut record)?;
        let value = nullable(&mut record)?;
        let headers = varint(&mut record)?;
        *rest = after;
        tree.object("");
        tree.int("offset", self.base_offset.wrapping_add(offset));
        tree.int(
            "timestamp",
            if self.appended() { self.max_timestamp } else { self.timestamp.wrapping_add(timestamp) },
        );
        match key {
            Some([_, _, 0, kind @ (0 | 1)]) if self.control() => {
                tree.text("control", if *kind == 1 { "COMMIT" } else { "ABORT" });
            }
            _ => write_bytes("key", key, tree),
        }
        write_bytes("value", value, tree);
        let mut complete = Some(());
        if headers > 0 {
            tree.list("headers");
            for _ in 0..headers {
                let Some((name, value)) = header(&mut record) else {
                    complete = None;
                    break;
                };
                tree.object("");
                write_bytes(&String::from_utf8_lossy(name), value, tree);
                tree.end();
            }
            tree.end();
        }
        tree.end();
        complete.filter(|()| headers >= 0 && record.is_empty())
    }

    /// A message that holds compressed ones. How many, when all were seen.
    fn wrapper(self, codec: Codec, bytes: &[u8], whole: bool, tree: &mut Tree) -> Result<Option<u64>, Bad> {
        let mut rest = bytes;
        let Some((_key, value)) = sized(&mut rest, whole).zip(sized(&mut rest, whole)) else {
            return if whole { Err(Bad("record")) } else { Ok(None) };
        };
        let Some(value) = value else { return Err(Bad("record")) };
        let mended;
        let value = match (self.magic, codec) {
            (0, Codec::Lz4) => {
                mended = compression::with_right_checksum(value);
                &mended
            }
            _ => value,
        };
        let undone = compression::undo(codec, value, whole, tree.room());
        if let Some(why) = undone.refused {
            return Err(Bad(why));
        }
        let mut messages = Vec::new();
        let mut rest = undone.bytes.as_slice();
        while let Some(head_size) = rest.get(COMMON - 1).and_then(|magic| head_size(*magic))
            && let Some((front, after)) = rest.split_at_checked(head_size)
        {
            let (head, size) = head(front).filter(|(head, _)| head.magic < 2).ok_or(Bad("record"))?;
            // A wrapper inside a wrapper is nothing that anybody writes.
            if Codec::of(head.attributes).map_err(Bad)?.is_some() {
                return Err(Bad("record"));
            }
            let Some((payload, after)) = after.split_at_checked(usize::try_from(size).unwrap_or(usize::MAX)) else {
                break;
            };
            messages.push((head, payload));
            rest = after;
        }
        let all = undone.whole && rest.is_empty();
        if undone.whole && !rest.is_empty() {
            return Err(Bad("record"));
        }
        // The wrapper has the last one's offset; inside, magic 1 counts from 0. Some clients leave the wrapper's at 0, too.
        let last = messages.last().map_or(0, |(head, _)| head.base_offset);
        let first = if self.base_offset == 0 { 0 } else { self.base_offset.wrapping_sub(last) };
        for (head, payload) in &messages {
            let offset = match self.magic {
                0 => Some(head.base_offset),
                _ if all => Some(first.wrapping_add(head.base_offset)),
                _ => None,
            };
            let timestamp = if self.appended() { self.timestamp } else { head.timestamp };
            Head { timestamp, ..*head }.message(payload, offset, true, tree)?;
        }
        if !all {
            tree.set_cut();
        }
        Ok(all.then_some(messages.len() as u64))
    }

    /// A message of magic 0 or 1.
    fn message(self, bytes: &[u8], offset: Option<i64>, whole: bool, tree: &mut Tree) -> Result<(), Bad> {
        let mut rest = bytes;
        tree.object("");
        match offset {
            Some(offset) => tree.int("offset", offset),
            None => tree.null("offset"),
        }
        if self.magic == 1 {
            tree.int("timestamp", self.timestamp);
        }
        let key = sized(&mut rest, whole);
        if let Some(key) = key {
            write_bytes("key", key, tree);
        }
        let value = key.and_then(|_| sized(&mut rest, whole));
        match value {
            Some(Some(value)) => tree.content("value", value, whole),
            Some(None) => tree.null("value"),
            None => {}
        }
        tree.end();
        if whole && (value.is_none() || !rest.is_empty()) { Err(Bad("record")) } else { Ok(()) }
    }
}

fn write_bytes(name: &str, bytes: Option<&[u8]>, tree: &mut Tree) {
    match bytes {
        Some(bytes) => tree.content(name, bytes, true),
        None => tree.null(name),
    }
}

/// Zigzag, seven bits a byte.
fn varint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Bytes behind their length; -1 is null.
fn nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint(rest)?;
    if length < 0 {
        return Some(None);
    }
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(Some(bytes))
}

fn header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    Some((nullable(rest)??, nullable(rest)?))
}

/// Bytes behind a length of four bytes; -1 is null. Of a front, what is there of them.
fn sized<'a>(rest: &mut &'a [u8], whole: bool) -> Option<Option<&'a [u8]>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = i32::from_be_bytes(*length);
    let Ok(length) = usize::try_from(length) else {
        *rest = after;
        return Some(None);
    };
    if length > after.len() && whole {
        return None;
    }
    let (bytes, after) = after.split_at(length.min(after.len()));
    *rest = after;
    Some(Some(bytes))
}
