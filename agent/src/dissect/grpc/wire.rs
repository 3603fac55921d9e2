//! Protobuf's wire format, one level of it (protobuf.dev/programming-guides/encoding): fields as number and value, in
//! order. No schema, no nesting, nothing allocated.
//!
//! Groups (wire types 3 and 4) count as malformed: they were deprecated before gRPC came, and to allow them would make
//! more of what is no message look like one.

/// Field numbers end at 2^29 - 1, as a tag is a 32-bit varint with three bits of wire type.
const NUMBERS: u32 = 1 << 29;

/// A 64-bit varint has at most ten bytes.
const VARINT: usize = 10;

/// What is no protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A field's value as far as its wire type tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Fields of one message. Ends behind the first error.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), Malformed> {
        let tag = u32::try_from(varint(&mut self.rest)?).map_err(|_| Malformed)?;
        let number = tag >> 3;
        if number == 0 || number >= NUMBERS {
            return Err(Malformed);
        }
        let value = match tag & 7 {
            0 => Wire::Varint(varint(&mut self.rest)?),
            1 => Wire::Fixed64(fixed64(&mut self.rest)?),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
                self.rest = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(fixed32(&mut self.rest)?),
            _ => return Err(Malformed),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Whether all of it parses, at this level.
pub(super) fn well_formed(message: &[u8]) -> bool {
    Fields::of(message).all(|field| field.is_ok())
}

/// Takes a varint from the front.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for (at, &byte) in rest.iter().enumerate().take(VARINT) {
        // Bits beyond the 64th are no part of any number; nobody writes them.
        if at == VARINT - 1 && byte > 1 {
            return Err(Malformed);
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *rest = rest.get(at + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(Malformed)
}

pub(super) fn fixed64(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let (bytes, behind) = rest.split_first_chunk().ok_or(Malformed)?;
    *rest = behind;
    Ok(u64::from_le_bytes(*bytes))
}

pub(super) fn fixed32(rest: &mut &[u8]) -> Result<u32, Malformed> {
    let (bytes, behind) = rest.split_first_chunk().ok_or(Malformed)?;
    *rest = behind;
    Ok(u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, Malformed> {
        Fields::of(bytes).collect()
    }

    #[test]
    fn each_wire_type_is_read() {
        assert_eq!(read(&[0x08, 0x96, 0x01]), Ok(vec![(1, Wire::Varint(150))]));
        assert_eq!(read(b"\x12\x07testing"), Ok(vec![(2, Wire::Bytes(b"testing"))]));
        assert_eq!(read(&[0x19, 1, 0, 0, 0, 0, 0, 0, 0x80]), Ok(vec![(3, Wire::Fixed64(1 << 63 | 1))]));
        assert_eq!(read(&[0x25, 1, 0, 0, 0, 0x28, 0]), Ok(vec![(4, Wire::Fixed32(1)), (5, Wire::Varint(0))]));
        let last = [0xf8, 0xff, 0xff, 0xff, 0x0f, 1];
        assert_eq!(read(&last), Ok(vec![((1 << 29) - 1, Wire::Varint(1))]));
        let minus_one = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(read(&minus_one), Ok(vec![(1, Wire::Varint(u64::MAX))]));
        assert_eq!(read(&[]), Ok(vec![]));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [
            &[0x00][..],
            &[0x07, 1],
            &[0x0b, 0x0c],
            &[0x08],
            &[0x08, 0x80],
            &[0x0a, 2, 1],
            &[0x0d, 1, 2, 3],
            &[0x09, 1, 2, 3, 4, 5, 6, 7],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            &[0xf8, 0xff, 0xff, 0xff, 0x1f, 1],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(read(bytes), Err(Malformed), "{bytes:?}");
            assert!(!well_formed(bytes));
        }
    }
}
