//! TLS by its first bytes: enough to say that a flow is encrypted and which name the client asked for. Records of the
//! handshake are not there yet.

use super::{Direction, Match};

/// A record's header: type, version, length (RFC 8446 section 5.1).
const RECORD_HEADER: usize = 5;

/// The largest ciphertext record: 2^14 bytes and what TLS 1.2 allows for expansion (RFC 5246 section 6.2.3).
const LARGEST_RECORD: usize = (1 << 14) + 2048;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// Whether these are the first bytes of a TLS connection, and who sends them. Waits for the whole first record, so that
/// the name in a ClientHello can be read.
pub(super) fn begins(bytes: &[u8]) -> (Match, Option<Direction>) {
    let kind = match record(bytes) {
        Match::Yes => bytes[0],
        other => return (other, None),
    };
    if kind != HANDSHAKE {
        return (Match::No, None);
    }
    let sender = match bytes.get(RECORD_HEADER) {
        None => return (Match::NeedMore, None),
        Some(&CLIENT_HELLO) => Direction::ToServer,
        Some(&SERVER_HELLO) => Direction::ToClient,
        Some(_) => return (Match::No, None),
    };
    let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    let complete = bytes.len() >= RECORD_HEADER + length;
    (if complete { Match::Yes } else { Match::NeedMore }, Some(sender))
}

/// Whether these are records of a connection that is under way: one record, and the header of a second one behind it.
pub(super) fn continues(bytes: &[u8]) -> Match {
    let first = record(bytes);
    if first != Match::Yes || !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&bytes[0]) {
        return if first == Match::NeedMore { Match::NeedMore } else { Match::No };
    }
    let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    match bytes.get(RECORD_HEADER + length..) {
        None => Match::NeedMore,
        Some(next) => record(next),
    }
}

/// A plausible record header: a type of TLS 1.0–1.3, a version 3.x, a length that fits.
fn record(bytes: &[u8]) -> Match {
    let plausible = |at: usize, is: fn(u8) -> bool| bytes.get(at).is_none_or(|&byte| is(byte));
    if !plausible(0, |kind| (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind))
        || !plausible(1, |major| major == 3)
        || !plausible(2, |minor| minor <= 4)
    {
        return Match::No;
    }
    match bytes.get(3..RECORD_HEADER) {
        None => Match::NeedMore,
        Some(length) => {
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if (1..=LARGEST_RECORD).contains(&length) { Match::Yes } else { Match::No }
        }
    }
}

/// The host name of a ClientHello's server_name extension (RFC 6066 section 3), from a whole first record.
pub(super) fn server_name(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes.get(RECORD_HEADER..)?;
    let (kind, _length) = (take(&mut rest, 1)?[0], take(&mut rest, 3)?);
    if kind != CLIENT_HELLO {
        return None;
    }
    let (_version, _random) = (take(&mut rest, 2)?, take(&mut rest, 32)?);
    vector(&mut rest, 1)?; // session id
    vector(&mut rest, 2)?; // cipher suites
    vector(&mut rest, 1)?; // compression methods
    // The list of extensions may go on in the next record: what is here is enough for the name, which clients send early.
    take(&mut rest, 2)?;
    loop {
        let kind = take(&mut rest, 2)?;
        let mut body = vector(&mut rest, 2)?;
        if kind == [0, 0] {
            let mut names = vector(&mut body, 2)?;
            let host_name = take(&mut names, 1)?[0] == 0;
            let name = vector(&mut names, 2)?;
            // A DNS name in ASCII, without a final dot; at most 255 bytes (RFC 1035 section 3.1).
            let valid = host_name && !name.is_empty() && name.len() <= 255 && name.iter().all(u8::is_ascii_graphic);
            return valid.then(|| name.iter().map(|&byte| char::from(byte)).collect());
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

/// A vector with its length in `width` bytes before it.
fn vector<'a>(rest: &mut &'a [u8], width: usize) -> Option<&'a [u8]> {
    let length = take(rest, width)?.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
    take(rest, length)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A ClientHello as a client sends it, with or without a name.
    pub(in crate::dissect) fn client_hello(name: Option<&str>) -> Vec<u8> {
        let mut extensions = vec![0x00, 0x17, 0x00, 0x00]; // extended_master_secret
        if let Some(name) = name {
            let length = name.len() as u16;
            extensions.extend([0, 0]);
            extensions.extend((length + 5).to_be_bytes());
            extensions.extend((length + 3).to_be_bytes());
            extensions.push(0);
            extensions.extend(length.to_be_bytes());
            extensions.extend(name.as_bytes());
        }
        let mut hello = vec![3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0, 4, 0x13, 0x01, 0x13, 0x02, 1, 0]);
        hello.extend((extensions.len() as u16).to_be_bytes());
        hello.extend(extensions);
        let mut record = vec![22, 3, 1];
        record.extend((hello.len() as u16 + 4).to_be_bytes());
        record.extend([1, 0]);
        record.extend((hello.len() as u16).to_be_bytes());
        record.extend(hello);
        record
    }

    #[test]
    fn a_client_hello_gives_its_name() {
        let hello = client_hello(Some("shop.example"));
        assert_eq!(begins(&hello), (Match::Yes, Some(Direction::ToServer)));
        assert_eq!(server_name(&hello).as_deref(), Some("shop.example"));
        assert_eq!(server_name(&client_hello(None)), None);
        for cut in 0..hello.len() {
            assert_eq!(begins(&hello[..cut]).0, Match::NeedMore, "cut at {cut}");
            assert_eq!(server_name(&hello[..cut]).filter(|name| name != "shop.example"), None);
        }
    }

    #[test]
    fn other_bytes_are_not_tls() {
        assert_eq!(begins(b"GET / HTTP/1.1\r\n").0, Match::No);
        assert_eq!(begins(&[22, 3, 1, 0, 0]).0, Match::No);
        assert_eq!(begins(&[22, 3, 1, 0xff, 0xff, 1]).0, Match::No);
        assert_eq!(begins(&[22, 3, 1, 0, 4, 9]).0, Match::No);
    }

    #[test]
    fn records_under_way_are_told_by_their_lengths() {
        let mut records = vec![23, 3, 3, 0, 3, 1, 2, 3, 23, 3, 3, 0, 9];
        assert_eq!(continues(&records), Match::Yes);
        for cut in 0..records.len() {
            assert_eq!(continues(&records[..cut]), Match::NeedMore);
        }
        records[8] = 99;
        assert_eq!(continues(&records), Match::No);
        assert_eq!(continues(b"\x17\x03\x03\xff\xff"), Match::No);
    }
}
