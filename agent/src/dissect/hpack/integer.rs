//! Integers that begin in the low bits of a byte (RFC 7541 section 5.1).

use super::Error;

/// Bytes after the first one. Five carry 35 bits, which is more than any length or size that HTTP/2 can mean
/// (section 5.1: "integer encodings that exceed implementation limits MUST be treated as decoding errors").
const MORE_LIMIT: u32 = 5;

/// Takes one integer from the front of `rest`; `prefix` is the count of its bits in the first byte, 4 to 7.
pub(super) fn read(rest: &mut &[u8], prefix: u32) -> Result<u32, Error> {
    let (&first, mut tail) = rest.split_first().ok_or(Error::Truncated)?;
    let mask = 0xff >> (8 - prefix);
    let mut value = u64::from(first & mask);
    if first & mask == mask {
        let mut shift = 0;
        loop {
            let (&byte, after) = tail.split_first().ok_or(Error::Truncated)?;
            tail = after;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift == 7 * MORE_LIMIT {
                return Err(Error::Integer);
            }
        }
    }
    *rest = tail;
    u32::try_from(value).map_err(|_| Error::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8], prefix: u32) -> Result<(u32, usize), Error> {
        read(&mut bytes, prefix).map(|value| (value, bytes.len()))
    }

    #[test]
    fn examples_of_appendix_c_1() {
        assert_eq!(all(&[0b1110_1010], 5), Ok((10, 0)));
        assert_eq!(all(&[0b1111_1111, 0b1001_1010, 0b0000_1010], 5), Ok((1337, 0)));
        assert_eq!(all(&[42, 7], 7), Ok((42, 1)));
    }

    #[test]
    fn the_largest_and_beyond() {
        assert_eq!(all(&[0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f], 7), Ok((u32::MAX, 0)));
        assert_eq!(all(&[0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f], 7), Err(Error::Integer));
        assert_eq!(all(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f], 7), Err(Error::Integer));
        // Zeros behind the value are a waste, and legal up to the limit.
        assert_eq!(all(&[0x0f, 0x80, 0x80, 0x80, 0x80, 0x00], 4), Ok((15, 0)));
        assert_eq!(all(&[0x0f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 4), Err(Error::Integer));
    }

    #[test]
    fn an_integer_that_goes_on_is_truncated() {
        assert_eq!(all(&[], 5), Err(Error::Truncated));
        assert_eq!(all(&[0x1f], 5), Err(Error::Truncated));
        assert_eq!(all(&[0x1f, 0x80, 0x80], 5), Err(Error::Truncated));
    }
}
