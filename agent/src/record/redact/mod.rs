//! Secrets are replaced before a record is stored, so that no answer can show them.
//!
//! A replaced value reads `[redacted 32 B #1f3a9c0d7e22b104]`: its length and the first 8 bytes of its HMAC-SHA-256
//! under a key that is random in each process, so that equal secrets show as equal and nothing can be tried out against
//! them from outside. `TAPWIRE_REDACT_KEY` fixes the key, to compare across nodes and runs.
//!
//! What counts as a secret is said by names, in one table (`names`):
//! - a header's value is replaced whole (`Bearer xyz` too). Of `cookie` and `set-cookie` names and attributes stay
//! - of a query, path parameter or form field the value, its percent-escapes undone before it is hashed
//! - in JSON the string (its escapes undone), number, object or array under the key; `true`, `false`, `null` and empty
//!   values hold no secret. Multipart form fields likewise
//! - in messages that list settings, the `value` beside a `name` that says so
//! - the userinfo of URLs, in targets, headers and bodies
//!
//! A value that a limit cut is replaced as far as it goes: length and hash are then those of its front. Limits: XML is not
//! searched, nor is a body whose content encoding could not be undone, nor JSON in UTF-16; a secret under a name that is
//! not in the table is not known to be one.

mod body;
mod cookies;
mod form;
mod headers;
mod json;
mod multipart;
mod names;
mod pairs;
mod rewrite;
mod url;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::{fs::File, io, io::Read};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::dissect::{Exchange, Head, HttpRequest, Message};

/// Fixes the key; its value's bytes are the key. Empty is as good as unset: a key that everybody knows hides nothing.
pub const KEY_VARIABLE: &str = "TAPWIRE_REDACT_KEY";

/// Of a random key: as long as the hash's output, beyond which a longer key adds nothing (RFC 2104, 3).
const KEY_BYTES: usize = 32;

/// Bytes of the hash that are shown: collisions among a node's secrets are out of reach, and it stays short to read.
const SHOWN_BYTES: usize = 8;

/// Replaces secrets. One for the process, shared by its threads.
#[derive(Clone)]
pub struct Redactor {
    /// With the key already taken in.
    keyed: Hmac<Sha256>,
    max_body: usize,
}

impl std::fmt::Debug for Redactor {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("max_body", &self.max_body).finish_non_exhaustive()
    }
}

impl Redactor {
    /// `max_body` bounds a body also after redaction, which can make it longer.
    pub fn new(key: &[u8], max_body: usize) -> Self {
        // RFC 2104, 2: a key longer than the block is hashed first, a shorter one is padded, so none is refused; were
        // one refused all the same, a key of zeros would still hide the values from who does not look for it.
        let keyed = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self { keyed, max_body }
    }

    /// With the key of `TAPWIRE_REDACT_KEY`, else a random one. Fails only when the system gives no random bytes.
    pub fn from_environment(max_body: usize) -> io::Result<Self> {
        match std::env::var_os(KEY_VARIABLE) {
            Some(key) if !key.is_empty() => Ok(Self::new(key.as_encoded_bytes(), max_body)),
            _ => Self::random(max_body),
        }
    }

    fn random(max_body: usize) -> io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Self::new(&key, max_body))
    }

    /// Replaces the secrets of an exchange; how many.
    pub(super) fn exchange(&self, exchange: &mut Exchange) -> u32 {
        let messages = [&mut exchange.request, &mut exchange.response];
        messages.into_iter().flatten().map(|message| self.message(message)).sum()
    }

    fn message(&self, message: &mut Message) -> u32 {
        let Message { started: _, ended: _, head, headers, headers_size: _, trailers, body } = message;
        let target = match head {
            Head::HttpRequest(HttpRequest { method: _, target, site, version: _ }) => {
                let authority = site.as_mut().and_then(|site| site.authority.as_mut());
                [target.as_mut(), authority].into_iter().flatten().map(|text| url::target(self, text)).sum()
            }
            Head::HttpResponse(_) | Head::KafkaRequest(_) | Head::KafkaResponse(_) => 0,
        };
        // The body first: what kind it is stands in the headers as they were sent.
        target + body::redact(self, headers, body) + headers::redact(self, headers) + headers::redact(self, trailers)
    }

    /// Appends what stands for a secret.
    fn mark(&self, secret: &[u8], out: &mut Vec<u8>) {
        let hash = self.keyed.clone().chain_update(secret).finalize().into_bytes();
        out.extend_from_slice(b"[redacted ");
        super::json::number(out, secret.len() as u64);
        out.extend_from_slice(b" B #");
        for byte in &hash[..SHOWN_BYTES] {
            out.extend_from_slice(&[hexadecimal(byte >> 4), hexadecimal(byte & 15)]);
        }
        out.push(b']');
    }
}

fn hexadecimal(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}
