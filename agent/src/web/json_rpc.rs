//! JSON-RPC's answers to a body that is no message. rmcp refuses one like a foreign media type, by a bare HTTP 415;
//! JSON-RPC (section 5.1) has a code for each case, and MCP's HTTP transport lets it come with HTTP 400.

use axum::{
    Extension,
    body::{self, Body},
    extract::Request,
    http::{Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rmcp::{ErrorData, model::JsonRpcError};
use serde::de::IgnoredAny;
use serde_json::json;

use super::{
    REQUEST_BODY_MAX,
    audit::{Caller, Question},
};

/// Hands on what may be a message.
pub(super) async fn body(Extension(caller): Extension<Caller>, request: Request, next: Next) -> Response {
    // Of another media type, 415 is the right answer.
    if request.method() != Method::POST || !says_json(&request) {
        return next.run(request).await;
    }
    let uri = request.uri().clone();
    let (head, body) = request.into_parts();
    let Ok(bytes) = body::to_bytes(body, REQUEST_BODY_MAX).await else {
        let line = format!("the request's body has more than {REQUEST_BODY_MAX} bytes, or ends too early");
        Question::unread(caller, &Method::POST, &uri).answered(0, &line);
        return (StatusCode::PAYLOAD_TOO_LARGE, format!("{line}\n")).into_response();
    };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&bytes) {
        let error = ErrorData::parse_error(format!("the request's body is not JSON: {error}"), None);
        return refused(caller, &uri, error);
    }
    let answer = next.run(Request::from_parts(head, Body::from(bytes))).await;
    if answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        let error = ErrorData::invalid_request("the request's body is not one JSON-RPC message", None);
        return refused(caller, &uri, error);
    }
    answer
}

fn refused(caller: Caller, uri: &Uri, error: ErrorData) -> Response {
    Question::unread(caller, &Method::POST, uri).answered(0, &error.message);
    let answer = json!(JsonRpcError::new(None, error)).to_string();
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

fn says_json(request: &Request) -> bool {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // RFC 9110 section 8.3.1: parameters follow a semicolon, names have no case.
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}
