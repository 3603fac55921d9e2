//! Reads a message's body by its schema, in pieces of any size: an explicit stack instead of recursion, and nothing is
//! kept but what a value needs. Long values are passed over beyond what is shown of them.

use super::{
    meaning::Meaning,
    records::Batches,
    schema::{Field, Kind, Shape, Struct},
};

/// Bytes kept of a text or of bytes: names have up to 249 (Kafka's limit for topics), and what is longer is content.
const KEPT: usize = 4 << 10;

/// The same of what consumers tell each other when they join a group: topics and partitions by the hundred.
const KEPT_OF_GROUPS: usize = 64 << 10;

fn kept_of(field: &Field) -> usize {
    match field.meaning {
        Meaning::Subscription | Meaning::Assignment => KEPT_OF_GROUPS,
        _ => KEPT,
    }
}

/// Takes what is read.
pub trait Sink {
    fn open(&mut self, field: &'static Field, list: bool);
    fn close(&mut self);
    fn null(&mut self, field: &'static Field);
    fn bool(&mut self, field: &'static Field, value: bool);
    fn int(&mut self, field: &'static Field, value: i64);
    fn float(&mut self, field: &'static Field, value: f64);
    fn uuid(&mut self, field: &'static Field, value: [u8; 16]);
    /// A text or bytes: what was kept of it.
    fn text(&mut self, field: &'static Field, kept: &[u8], extent: Extent);
    /// Records begin.
    fn records(&mut self, field: &'static Field, size: u64) -> Batches;
    /// Takes bytes of records.
    fn batch(&mut self, batches: &mut Batches, bytes: &[u8]);
    /// Bytes of records are not there, because nobody needs them (`missing` false) or because they are missing.
    fn pass(&mut self, batches: &mut Batches, bytes: u64, missing: bool);
    fn end_records(&mut self, batches: Batches);
}

/// How much of a value is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Whole,
    /// Its front.
    Front,
    /// Some of it is missing.
    Lost,
}

/// How reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All fields are read.
    Done,
    /// With the next bytes.
    More,
    /// With the next bytes, of which so many need not be seen.
    Pass(u64),
}

/// Why a body is not what its schema says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad(pub &'static str);

#[derive(Debug)]
enum Level {
    Struct {
        of: &'static Struct,
        next: usize,
    },
    /// Tagged fields: how many are still to come, once that is known.
    Tags {
        of: &'static Struct,
        left: Option<u32>,
    },
    /// The size of a tagged field.
    Tag {
        of: &'static Struct,
        tag: u32,
    },
    /// A tagged field, which ends when so many bytes of the body are left.
    Tagged {
        field: &'static Field,
        end: u64,
        begun: bool,
    },
    Array {
        element: &'static Field,
        left: u32,
    },
}

/// A long value.
#[derive(Debug)]
enum Long {
    Text {
        field: &'static Field,
        left: u64,
        kept: Vec<u8>,
        extent: Extent,
    },
    Records {
        batches: Batches,
        left: u64,
    },
    /// A tagged field that nobody knows.
    Unknown {
        left: u64,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Walk {
    flexible: bool,
    stack: Vec<Level>,
    long: Option<Long>,
    /// The front of a number that goes on in the next piece.
    carry: Vec<u8>,
    /// Bytes of the body that are still to come.
    left: u64,
}

/// The bytes of a number: those carried over, and those of this piece.
struct Source<'a, 'b> {
    carry: &'a mut Vec<u8>,
    rest: &'a mut &'b [u8],
    left: &'a mut u64,
}

impl Source<'_, '_> {
    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.carry.is_empty()
            && let Some((front, rest)) = self.rest.split_first_chunk::<N>()
        {
            (*self.rest, *self.left) = (rest, *self.left - N as u64);
            return Some(*front);
        }
        while self.carry.len() < N {
            self.carry_one()?;
        }
        let bytes = self.carry.first_chunk::<N>().copied();
        self.carry.clear();
        bytes
    }

    fn carry_one(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        (*self.rest, *self.left) = (rest, *self.left - 1);
        self.carry.push(byte);
        Some(byte)
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Result<Option<u32>, Bad> {
        loop {
            if let Some(last) = self.carry.last()
                && last & 0x80 == 0
            {
                let value = self.carry.iter().rev().fold(0_u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
                self.carry.clear();
                return u32::try_from(value).map(Some).map_err(|_| Bad("varint"));
            }
            if self.carry.len() >= 5 {
                return Err(Bad("varint"));
            }
            if self.carry_one().is_none() {
                return Ok(None);
            }
        }
    }
}

impl Walk {
    /// Through a body of so many bytes.
    pub fn new(shape: &'static Shape, size: u64) -> Self {
        let stack = vec![Level::Struct { of: &shape.fields, next: 0 }];
        Self { flexible: shape.flexible, stack, long: None, carry: Vec::new(), left: size }
    }

    /// Bytes of the body that are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// All fields are read.
    pub fn done(&self) -> bool {
        self.stack.is_empty() && self.long.is_none()
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        let long = match &self.long {
            Some(Long::Text { kept, .. }) => kept.capacity(),
            Some(Long::Records { batches, .. }) => batches.heap(),
            Some(Long::Unknown { .. }) | None => 0,
        };
        self.stack.capacity() * size_of::<Level>() + self.carry.capacity() + long
    }

    /// Takes from the front of `bytes` what it can.
    pub fn feed(&mut self, bytes: &mut &[u8], sink: &mut dyn Sink) -> Result<Progress, Bad> {
        loop {
            if self.long.is_some() {
                match self.feed_long(bytes, sink) {
                    Progress::Done => continue,
                    waiting => return Ok(waiting),
                }
            }
            let Some(level) = self.stack.last_mut() else { return Ok(Progress::Done) };
            let mut source = Source { carry: &mut self.carry, rest: bytes, left: &mut self.left };
            match level {
                Level::Struct { of, next } => {
                    let of: &'static Struct = of;
                    let Some(field) = of.fields.get(*next) else {
                        let tags = Level::Tags { of, left: None };
                        if self.flexible {
                            *level = tags;
                        } else {
                            self.pop(sink);
                        }
                        continue;
                    };
                    // Counted first, since reading may push a level on top.
                    *next += 1;
                    if !self.value(field, bytes, sink)? {
                        if let Some(Level::Struct { next, .. }) = self.stack.last_mut() {
                            *next -= 1;
                        }
                        return Ok(Progress::More);
                    }
                }
                Level::Array { left: 0, .. } => self.pop(sink),
                Level::Array { element, left } => {
                    let element = *element;
                    *left -= 1;
                    if !self.value(element, bytes, sink)? {
                        if let Some(Level::Array { left, .. }) = self.stack.last_mut() {
                            *left += 1;
                        }
                        return Ok(Progress::More);
                    }
                }
                Level::Tags { left: left @ None, .. } => {
                    let Some(count) = source.varint()? else { return Ok(Progress::More) };
                    // Each has a tag and a size.
                    if u64::from(count) * 2 > self.left {
                        return Err(Bad("tag_count"));
                    }
                    *left = Some(count);
                }
                Level::Tags { left: Some(0), .. } => self.pop(sink),
                Level::Tags { of, left: Some(left) } => {
                    let Some(tag) = source.varint()? else { return Ok(Progress::More) };
                    *left -= 1;
                    let of = *of;
                    self.stack.push(Level::Tag { of, tag });
                }
                Level::Tag { of, tag } => {
                    let of: &'static Struct = of;
                    let Some(size) = source.varint()? else { return Ok(Progress::More) };
                    let end = self.left.checked_sub(u64::from(size)).ok_or(Bad("tag_size"))?;
                    match of.tagged.iter().find(|(known, _)| known == tag) {
                        Some((_, field)) => *level = Level::Tagged { field, end, begun: false },
                        None => {
                            self.stack.pop();
                            self.long = Some(Long::Unknown { left: u64::from(size) });
                        }
                    }
                }
                Level::Tagged { end, begun: true, .. } => {
                    if *end != self.left {
                        return Err(Bad("tag_size"));
                    }
                    self.stack.pop();
                }
                Level::Tagged { field, begun, .. } => {
                    let field: &'static Field = field;
                    *begun = true;
                    if !self.value(field, bytes, sink)? {
                        if let Some(Level::Tagged { begun, .. }) = self.stack.last_mut() {
                            *begun = false;
                        }
                        return Ok(Progress::More);
                    }
                }
            }
        }
    }

    fn pop(&mut self, sink: &mut dyn Sink) {
        self.stack.pop();
        // The body itself was not opened.
        if !self.stack.is_empty() {
            sink.close();
        }
    }

    /// Reads a value, or begins to: false when its first number is not all there.
    fn value(&mut self, field: &'static Field, bytes: &mut &[u8], sink: &mut dyn Sink) -> Result<bool, Bad> {
        let mut source = Source { carry: &mut self.carry, rest: bytes, left: &mut self.left };
        macro_rules! int {
            ($type:ty) => {{
                let Some(bytes) = source.fixed() else { return Ok(false) };
                sink.int(field, i64::from(<$type>::from_be_bytes(bytes)));
            }};
        }
        match &field.kind {
            Kind::I8 => int!(i8),
            Kind::I16 => int!(i16),
            Kind::U16 => int!(u16),
            Kind::I32 => int!(i32),
            Kind::U32 => int!(u32),
            Kind::I64 => int!(i64),
            Kind::Bool => {
                let Some([byte]) = source.fixed() else { return Ok(false) };
                sink.bool(field, byte != 0);
            }
            Kind::F64 => {
                let Some(bytes) = source.fixed() else { return Ok(false) };
                sink.float(field, f64::from_be_bytes(bytes));
            }
            Kind::Uuid => {
                let Some(bytes) = source.fixed() else { return Ok(false) };
                sink.uuid(field, bytes);
            }
            Kind::Struct(of) => {
                if field.nullable {
                    let Some([present]) = source.fixed() else { return Ok(false) };
                    if (present as i8) < 0 {
                        sink.null(field);
                        return Ok(true);
                    }
                }
                sink.open(field, false);
                self.stack.push(Level::Struct { of, next: 0 });
            }
            Kind::Array(element) => {
                let count = match self.flexible {
                    true => source.varint()?.map(|count| count.checked_sub(1)),
                    false => source.fixed().map(i32::from_be_bytes).map(|count| u32::try_from(count).ok()),
                };
                let Some(count) = count else { return Ok(false) };
                let Some(count) = count else {
                    sink.null(field);
                    return Ok(true);
                };
                // Nothing takes less than a byte.
                if u64::from(count) > self.left {
                    return Err(Bad("array_length"));
                }
                sink.open(field, true);
                self.stack.push(Level::Array { element, left: count });
            }
            Kind::Text | Kind::Bytes | Kind::Records => {
                let short = matches!(field.kind, Kind::Text);
                let size = match (self.flexible, short) {
                    (true, _) => source.varint()?.map(|size| size.checked_sub(1)),
                    (false, true) => source.fixed().map(i16::from_be_bytes).map(|size| u32::try_from(size).ok()),
                    (false, false) => source.fixed().map(i32::from_be_bytes).map(|size| u32::try_from(size).ok()),
                };
                let Some(size) = size else { return Ok(false) };
                let Some(size) = size.map(u64::from) else {
                    sink.null(field);
                    return Ok(true);
                };
                if size > self.left {
                    return Err(Bad("length"));
                }
                self.long = Some(match &field.kind {
                    Kind::Records => Long::Records { batches: sink.records(field, size), left: size },
                    _ => Long::Text { field, left: size, kept: Vec::new(), extent: Extent::Whole },
                });
            }
        }
        Ok(true)
    }

    /// `Done` when the value is over.
    fn feed_long(&mut self, bytes: &mut &[u8], sink: &mut dyn Sink) -> Progress {
        let Some(long) = &mut self.long else { return Progress::Done };
        let left = match long {
            Long::Text { left, .. } | Long::Records { left, .. } | Long::Unknown { left } => left,
        };
        let here = (*left).min(bytes.len() as u64);
        let (front, rest) = bytes.split_at(here as usize);
        *bytes = rest;
        *left -= here;
        self.left -= here;
        let after = *left;
        let unneeded = match long {
            Long::Text { field, kept, extent, .. } if after == 0 && kept.is_empty() => {
                // Where it lies, when it lies there whole.
                let most = kept_of(field);
                let shown = &front[..front.len().min(most)];
                let extent = if front.len() > most && *extent == Extent::Whole { Extent::Front } else { *extent };
                sink.text(field, shown, extent);
                0
            }
            Long::Text { field, kept, extent, .. } => {
                let most = kept_of(field);
                let room = most - kept.len();
                kept.extend_from_slice(&front[..front.len().min(room)]);
                if front.len() > room && *extent == Extent::Whole {
                    *extent = Extent::Front;
                }
                if after == 0 {
                    sink.text(field, kept, *extent);
                }
                if kept.len() == most { after } else { 0 }
            }
            Long::Records { batches, .. } => {
                sink.batch(batches, front);
                if after == 0 { 0 } else { batches.unneeded().min(after) }
            }
            Long::Unknown { .. } => after,
        };
        match (after, unneeded) {
            (0, _) => {
                if let Some(Long::Records { batches, .. }) = self.long.take() {
                    sink.end_records(batches);
                }
                Progress::Done
            }
            (_, 0) => Progress::More,
            (_, unneeded) => Progress::Pass(unneeded),
        }
    }

    /// So many bytes are not seen: all of them inside a long value, or false. `missing`: they were needed.
    pub fn pass(&mut self, count: u64, missing: bool, sink: &mut dyn Sink) -> bool {
        let Some(long) = &mut self.long else { return false };
        let left = match long {
            Long::Text { left, .. } | Long::Records { left, .. } | Long::Unknown { left } => left,
        };
        if count > *left {
            return false;
        }
        *left -= count;
        self.left -= count;
        match long {
            Long::Text { extent, .. } if missing => *extent = Extent::Lost,
            Long::Text { extent, .. } if *extent == Extent::Whole => *extent = Extent::Front,
            Long::Records { batches, .. } => sink.pass(batches, count, missing),
            Long::Text { .. } | Long::Unknown { .. } => {}
        }
        true
    }
}
