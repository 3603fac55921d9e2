//! Bodies, as far as they were kept: they may be cut anywhere, malformed, or not what their content type says.

use super::{Redactor, form, json, multipart, pairs, rewrite::Rewriter, url};
use crate::dissect::{Body, Carried, Headers};

/// Replaces the secrets of a body; how many. Afterwards it has at most `max_body` bytes, if any were replaced.
pub(super) fn redact(redactor: &Redactor, headers: &Headers, body: &mut Body) -> u32 {
    if let Some(messages) = &mut body.messages {
        return messages.list.iter_mut().map(|message| of_message(redactor, &mut message.carried)).sum();
    }
    if body.kept.is_empty() {
        return 0;
    }
    let first_boundary = multipart::first_boundary(headers, &body.kept);
    let multipart = first_boundary.is_some();
    let json = !multipart && json::looks_like(&body.kept);
    let mut count = pass(redactor, body, |rewriter| match first_boundary {
        Some(first) => multipart::redact(rewriter, first),
        None => json::redact(rewriter, 0..rewriter.source.len(), json),
    });
    if memchr::memchr(b'=', &body.kept).is_none() {
        return count;
    }
    count += pass(redactor, body, url::in_text);
    // After the JSON: a form would take the values of two keys for one of its own. Here too the bytes count before the
    // content type, which clients get wrong: JSON is often sent as a form.
    let typed = !multipart && is_form(headers);
    if typed || (!multipart && !json && form::looks_like(&body.kept)) {
        count += pass(redactor, body, |rewriter| form::redact(rewriter, typed));
    }
    count
}

/// Kafka's ApiVersions lists the APIs under `api_keys`, which elsewhere are secrets.
const NO_SECRETS: &str = "API_VERSIONS v";

/// Kafka's brokers pass requests on inside others, whose bytes are not looked into: passwords may be among them.
const PASSED_ON: &str = "ENVELOPE v";
const PASSED_ON_IN: &[&str] = &["request_data", "response_data"];

/// A session of Kafka's Fetch is a number that opens nothing.
const FETCH: &str = "FETCH v";
const FETCH_NUMBERS: &[&str] = &["session_id"];

/// The fields of a message are JSON by now; what could not be decoded may be.
fn of_message(redactor: &Redactor, carried: &mut Carried) -> u32 {
    let type_name = if let Carried::Fields { type_name: Some(name), .. } = &*carried { &**name } else { "" };
    if type_name.starts_with(NO_SECRETS) {
        return 0;
    }
    let secrets: &[&str] = if type_name.starts_with(PASSED_ON) { PASSED_ON_IN } else { &[] };
    let numbers: &[&str] = if type_name.starts_with(FETCH) { FETCH_NUMBERS } else { &[] };
    let text = match carried {
        Carried::Fields { json, .. } => json,
        Carried::Raw { bytes, .. } => bytes,
    };
    let mut body = Body { kept: std::mem::take(text), ..Body::default() };
    // Without a limit, because a front of an object is no JSON: a mark is some fifty bytes for a value of one at least, so
    // that what a limit on the message has let through grows by a known factor.
    let unlimited = usize::MAX;
    let mut count = pass_within(unlimited, redactor, &mut body, |rewriter| {
        (rewriter.secrets, rewriter.numbers) = (secrets, numbers);
        json::redact(rewriter, 0..rewriter.source.len(), true);
    });
    count += pass_within(unlimited, redactor, &mut body, pairs::redact);
    if memchr::memchr(b'=', &body.kept).is_some() {
        count += pass_within(unlimited, redactor, &mut body, url::in_text);
    }
    *text = body.kept;
    count
}

fn is_form(headers: &Headers) -> bool {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    headers.get("content-type").is_some_and(|value| {
        let value = value.trim_ascii_start();
        value.len() >= FORM.len() && value[..FORM.len()].eq_ignore_ascii_case(FORM)
    })
}

fn pass(redactor: &Redactor, body: &mut Body, scan: impl FnOnce(&mut Rewriter<'_>)) -> u32 {
    pass_within(redactor.max_body, redactor, body, scan)
}

fn pass_within(limit: usize, redactor: &Redactor, body: &mut Body, scan: impl FnOnce(&mut Rewriter<'_>)) -> u32 {
    let mut rewriter = Rewriter::new(redactor, &body.kept, limit);
    scan(&mut rewriter);
    let Some(rewritten) = rewriter.finish() else { return 0 };
    body.kept = rewritten.text;
    body.truncated |= rewritten.cut;
    rewritten.count
}
