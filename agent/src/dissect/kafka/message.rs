//! The heads of Kafka's messages, and what is said about them.

use super::{facts::Facts, schema};

/// What stands at the front of a request, and what is picked out of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaRequest {
    /// `None`: a token of SASL, which has no header.
    pub header: Option<Header>,
    /// Without its length prefix.
    pub size: u32,
    pub facts: Facts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub key: i16,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<Box<str>>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaResponse {
    /// `None`: to a token of SASL.
    pub correlation_id: Option<i32>,
    /// Without its length prefix.
    pub size: u32,
    pub facts: Facts,
}

impl Header {
    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.client_id.as_ref().map_or(0, |id| id.len())
    }

    pub fn name(&self) -> Option<&'static str> {
        schema::table().api(self.key).map(|api| api.name.as_str())
    }
}

/// What a request's header can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    /// And the bytes that it takes.
    Header(Header, usize),
    More,
    /// No header begins like this.
    No(&'static str),
}

/// Up to the client id, which all versions but the first have in the same place.
const UP_TO_CLIENT_ID: u8 = 1;

/// Reads the header of a request of this size; of an unknown version or API as far as all are the same.
pub fn request_header(bytes: &[u8], size: u32) -> Front {
    let mut rest = bytes;
    let Some(front) = rest.split_off(..8) else { return Front::More };
    let key = i16::from_be_bytes([front[0], front[1]]);
    let version = i16::from_be_bytes([front[2], front[3]]);
    let correlation_id = i32::from_be_bytes([front[4], front[5], front[6], front[7]]);
    if key < 0 {
        return Front::No("api_key");
    }
    if version < 0 {
        return Front::No("api_version");
    }
    let layout = schema::table().api(key).and_then(|api| api.request(version));
    let shape = layout.map_or(UP_TO_CLIENT_ID, |layout| layout.header);
    let mut client_id = None;
    if shape > 0 {
        let Some(length) = rest.split_off(..2) else {
            return if size < 10 { Front::No("header") } else { Front::More };
        };
        let length = i16::from_be_bytes([length[0], length[1]]);
        if let Ok(length) = usize::try_from(length) {
            if 10 + length > size as usize {
                return Front::No("client_id");
            }
            let Some(text) = rest.split_off(..length) else { return Front::More };
            match std::str::from_utf8(text) {
                Ok(text) => client_id = Some(text.into()),
                Err(_) => return Front::No("client_id"),
            }
        } else if length != -1 {
            return Front::No("client_id");
        }
    }
    if shape > 1 {
        match tags(&mut rest) {
            Some(true) => {}
            Some(false) => return Front::More,
            None => return Front::No("header_tags"),
        }
    }
    let taken = bytes.len() - rest.len();
    if taken > size as usize {
        return Front::No("header");
    }
    Front::Header(Header { key, version, correlation_id, client_id }, taken)
}

/// Tagged fields of a header, of which none is known. `Some(false)`: there is more to come.
pub fn tags(rest: &mut &[u8]) -> Option<bool> {
    let number = |rest: &mut &[u8]| -> Option<Option<u32>> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let Some((&byte, after)) = rest.split_first() else { return Some(None) };
            *rest = after;
            if shift == 28 && byte & 0x70 != 0 {
                return None;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(Some(value));
            }
        }
        None
    };
    let Some(count) = number(rest)? else { return Some(false) };
    for _ in 0..count {
        let Some(_tag) = number(rest)? else { return Some(false) };
        let Some(size) = number(rest)? else { return Some(false) };
        let Some((_, after)) = rest.split_at_checked(size as usize) else { return Some(false) };
        *rest = after;
    }
    Some(true)
}
