//! Frames (RFC 9113 section 4): their nine bytes of header, and what each type may look like.

use crate::dissect::Malformed;

/// Bytes of a frame's header.
pub(super) const HEADER: usize = 9;

/// Section 3.4: what a client sends first.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    Goaway,
    WindowUpdate,
    Continuation,
    /// Section 5.5: to be ignored.
    Unknown,
}

const KINDS: [Kind; 10] = [
    Kind::Data,
    Kind::Headers,
    Kind::Priority,
    Kind::RstStream,
    Kind::Settings,
    Kind::PushPromise,
    Kind::Ping,
    Kind::Goaway,
    Kind::WindowUpdate,
    Kind::Continuation,
];

/// Flags of section 6. A bit has different names in different types.
pub(super) mod flags {
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// 0: the connection.
    pub(super) stream: u32,
    /// Of the payload.
    pub(super) length: u32,
    /// Section 4.1: the bit before the stream's number, which means nothing.
    reserved: bool,
}

impl Frame {
    /// `None`: fewer than nine bytes.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, d, e, f, g] = bytes.first_chunk::<HEADER>()?;
        Some(Self {
            kind: KINDS.get(usize::from(kind)).copied().unwrap_or(Kind::Unknown),
            flags,
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
            length: u32::from_be_bytes([0, a, b, c]),
            reserved: d & 0x80 != 0,
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What section 6 demands of each type, as far as the header shows it.
    pub(super) fn check(&self) -> Result<(), Malformed> {
        let on_stream = match self.kind {
            Kind::Data | Kind::Headers | Kind::Priority | Kind::RstStream | Kind::PushPromise | Kind::Continuation => {
                Some(true)
            }
            Kind::Settings | Kind::Ping | Kind::Goaway => Some(false),
            Kind::WindowUpdate | Kind::Unknown => None,
        };
        if on_stream.is_some_and(|on_stream| on_stream != (self.stream != 0)) {
            return Err(Malformed("frame_stream"));
        }
        let padding = u32::from(self.has(flags::PADDED));
        let fits = match self.kind {
            Kind::Data => self.length >= padding,
            Kind::Headers => self.length >= padding + if self.has(flags::PRIORITY) { 5 } else { 0 },
            Kind::Priority => self.length == 5,
            Kind::RstStream | Kind::WindowUpdate => self.length == 4,
            Kind::Settings if self.has(flags::ACK) => self.length == 0,
            Kind::Settings => self.length.is_multiple_of(6),
            Kind::PushPromise => self.length >= padding + 4,
            Kind::Ping => self.length == 8,
            Kind::Goaway => self.length >= 8,
            Kind::Continuation | Kind::Unknown => true,
        };
        if fits { Ok(()) } else { Err(Malformed("frame_size")) }
    }

    /// As `check`, and what senders never do though receivers must ignore it: bits that mean nothing are 0, types are
    /// known ones. For finding frames among other bytes.
    pub(super) fn is_ordinary(&self) -> bool {
        let defined = match self.kind {
            Kind::Data => flags::END_STREAM | flags::PADDED,
            Kind::Headers => flags::END_STREAM | flags::END_HEADERS | flags::PADDED | flags::PRIORITY,
            Kind::Settings | Kind::Ping => flags::ACK,
            Kind::PushPromise => flags::END_HEADERS | flags::PADDED,
            Kind::Continuation => flags::END_HEADERS,
            Kind::Priority | Kind::RstStream | Kind::Goaway | Kind::WindowUpdate => 0,
            Kind::Unknown => return false,
        };
        !self.reserved && self.flags & !defined == 0 && self.check().is_ok()
    }
}

/// The part of a payload that is neither padding (sections 6.1 and 6.2) nor the old priority fields; `None` when they
/// don't fit.
pub(super) fn content(frame: Frame, payload: &[u8]) -> Option<&[u8]> {
    let mut payload = payload;
    if frame.has(flags::PADDED) {
        let (&padding, rest) = payload.split_first()?;
        payload = rest.get(..rest.len().checked_sub(usize::from(padding))?)?;
    }
    if frame.kind == Kind::Headers && frame.has(flags::PRIORITY) {
        payload = payload.get(5..)?;
    }
    Some(payload)
}

/// The four bytes at `at`, as a number; a reserved bit is its highest.
pub(super) fn number(payload: &[u8], at: usize) -> Option<u32> {
    let bytes = payload.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u32, kind: u8, flags: u8, stream: u32) -> Frame {
        let mut bytes = vec![(length >> 16) as u8, (length >> 8) as u8, length as u8, kind, flags];
        bytes.extend_from_slice(&stream.to_be_bytes());
        assert_eq!(Frame::parse(&bytes[..8]), None);
        Frame::parse(&bytes).unwrap()
    }

    #[test]
    fn headers_are_read() {
        let read = frame(0x01_02_03, 1, 0x25, 7);
        assert_eq!((read.kind, read.length, read.stream), (Kind::Headers, 0x01_02_03, 7));
        assert!(read.has(flags::END_STREAM) && read.has(flags::END_HEADERS) && !read.has(flags::PADDED));
        assert_eq!(frame(0, 99, 0, 0).kind, Kind::Unknown);
        assert_eq!(frame(0, 0, 0, 0x8000_0001).stream, 1);
    }

    #[test]
    fn each_type_has_its_rules() {
        for (length, kind, flags, stream, result) in [
            (5, 0, 0, 1, Ok(())),
            (5, 0, 0, 0, Err("frame_stream")),
            (0, 0, flags::PADDED, 1, Err("frame_size")),
            (4, 1, flags::PRIORITY, 1, Err("frame_size")),
            (5, 2, 0, 1, Ok(())),
            (4, 3, 0, 0, Err("frame_stream")),
            (5, 3, 0, 1, Err("frame_size")),
            (12, 4, 0, 0, Ok(())),
            (7, 4, 0, 0, Err("frame_size")),
            (6, 4, flags::ACK, 0, Err("frame_size")),
            (6, 4, 0, 1, Err("frame_stream")),
            (8, 6, 0, 0, Ok(())),
            (7, 7, 0, 0, Err("frame_size")),
            (4, 8, 0, 5, Ok(())),
            (3, 99, 0xff, 5, Ok(())),
        ] {
            let checked = frame(length, kind, flags, stream).check().map_err(|Malformed(why)| why);
            assert_eq!(checked, result, "type {kind} of {length} bytes");
        }
    }

    #[test]
    fn content_is_between_padding_and_priority() {
        let padded = frame(6, 0, flags::PADDED, 1);
        assert_eq!(content(padded, b"\x02abc..").unwrap(), b"abc");
        assert_eq!(content(padded, b"\x06abc..").map(<[u8]>::len), None);
        assert_eq!(content(padded, b"\x05abc..").unwrap(), b"");
        let both = frame(9, 1, flags::PADDED | flags::PRIORITY, 1);
        assert_eq!(content(both, b"\x01\0\0\0\0\0ab.").unwrap(), b"ab");
        assert_eq!(content(both, b"\x05\0\0\0\0\0ab").map(<[u8]>::len), None);
    }
}
