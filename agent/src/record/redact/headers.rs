//! Headers and trailers: the value under a secret name, and URLs in the values of the others.

use memchr::{memchr, memchr2};

use super::{
    Redactor, cookies, json,
    names::{self, Place},
    rewrite::Rewriter,
    url,
};
use crate::dissect::{Headers, grpc};

/// Kubernetes clients that can set no other header put their token here, as one of the subprotocols.
const SUBPROTOCOL: &[u8] = b"sec-websocket-protocol";
const SUBPROTOCOL_TOKEN: &[u8] = b"base64url.bearer.authorization.k8s.io.";

/// Replaces the secrets among the headers; how many. Headers without any are left as they lie.
pub(super) fn redact(redactor: &Redactor, headers: &mut Headers) -> u32 {
    let mut replaced = Vec::new();
    let mut count = 0;
    for (index, (name, value)) in headers.all().enumerate() {
        let Some(value) = value else { continue };
        let Some(name) = name else {
            // Under a name that is not known any value may be a secret.
            let mut rewriter = Rewriter::new(redactor, value, usize::MAX);
            rewriter.replace(0..value.len(), value);
            replaced.extend(rewriter.finish().map(|rewritten| (index, rewritten.text)));
            count += 1;
            continue;
        };
        let verdict = names::is_secret(name, Place::Header);
        if let Some(text) = coded(redactor, name, value).filter(|_| !verdict) {
            replaced.push((index, text));
            count += 1;
            continue;
        }
        if (verdict || worth_a_look(name, value))
            && let Some((text, values)) = value_of(redactor, name, value, verdict)
        {
            replaced.push((index, text));
            count += values;
        }
    }
    if replaced.is_empty() {
        return 0;
    }
    let more: usize = replaced.iter().map(|(_, text)| text.len()).sum();
    let mut rebuilt = Headers::with_capacity(0, headers.heap() + more);
    let mut replaced = replaced.into_iter().peekable();
    for (index, (name, value)) in headers.all().enumerate() {
        match replaced.next_if(|(at, _)| *at == index) {
            Some((_, text)) => rebuilt.push_known(name, Some(&text)),
            None => rebuilt.push_known(name, value),
        }
    }
    *headers = rebuilt;
    count
}

/// Values of gRPC that are coded: what is found in the text that they stand for is replaced in it, or all of a binary one.
fn coded(redactor: &Redactor, name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let message = name.eq_ignore_ascii_case(b"grpc-message") && memchr(b'%', value).is_some();
    let binary = name.len() > 4 && name[name.len() - 4..].eq_ignore_ascii_case(b"-bin");
    if !message && !binary {
        return None;
    }
    let text = if message { grpc::message_text(value) } else { grpc::binary_text(name, value) };
    let (redacted, _) = value_of(redactor, b"", &text, false)?;
    if message {
        // As the protocol codes it, so that it reads the same.
        return Some(String::from_utf8_lossy(&redacted).replace('%', "%25").into_bytes());
    }
    let mut rewriter = Rewriter::new(redactor, value, usize::MAX);
    rewriter.replace(0..value.len(), value);
    rewriter.finish().map(|rewritten| rewritten.text)
}

/// Whether a header that is no secret by its name may hold one: `=` for parameters, `@` for userinfo, or JSON. Every
/// header of every call is asked.
fn worth_a_look(name: &[u8], value: &[u8]) -> bool {
    name.len() == SUBPROTOCOL.len() || matches!(value, [b'{' | b'[', ..]) || memchr2(b'=', b'@', value).is_some()
}

/// The value as it may be stored and what was replaced in it; `None` when it may stay.
fn value_of(redactor: &Redactor, name: &[u8], value: &[u8], secret: bool) -> Option<(Vec<u8>, u32)> {
    if !secret {
        if name.eq_ignore_ascii_case(SUBPROTOCOL) {
            return subprotocols(redactor, value);
        }

        return match value {
            _ if json::looks_like(value) => {
                let mut rewriter = Rewriter::new(redactor, value, usize::MAX);
                json::redact(&mut rewriter, 0..value.len(), true);
                rewriter.finish().map(|rewritten| (rewritten.text, rewritten.count))
            }
            _ => url::in_header(redactor, name, value),
        };
    }
    let mut rewriter = Rewriter::new(redactor, value, usize::MAX);
    match cookies::kind(name) {
        Some(cookies::Kind::Cookie) => cookies::cookie(&mut rewriter),
        Some(cookies::Kind::SetCookie) => cookies::set_cookie(&mut rewriter),
        None => rewriter.replace(0..value.len(), value),
    }
    rewriter.finish().map(|rewritten| (rewritten.text, rewritten.count))
}

fn subprotocols(redactor: &Redactor, value: &[u8]) -> Option<(Vec<u8>, u32)> {
    let mut rewriter = Rewriter::new(redactor, value, usize::MAX);
    let mut at = 0;
    while at < value.len() {
        let end = memchr(b',', &value[at..]).map_or(value.len(), |comma| at + comma);
        let item = &value[at..end];
        let spaces = item.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if item[spaces..].len() > SUBPROTOCOL_TOKEN.len()
            && item[spaces..][..SUBPROTOCOL_TOKEN.len()].eq_ignore_ascii_case(SUBPROTOCOL_TOKEN)
        {
            let token = at + spaces + SUBPROTOCOL_TOKEN.len()..end;
            rewriter.replace(token.clone(), &value[token]);
        }
        at = end + 1;
    }
    rewriter.finish().map(|rewritten| (rewritten.text, rewritten.count))
}
