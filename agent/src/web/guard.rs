//! Who may ask: the token, and the Host and Origin headers against DNS rebinding. A web page that a browser here has
//! open can reach loopback, under a name of its own that it points there; such a request carries that name as Host
//! and the page as Origin, so both must be names that this agent is known by.

use std::net::IpAddr;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Shared,
    audit::{Caller, Question},
    connection::Ends,
};

/// Refuses requests that came by a name that is not ours.
pub(super) async fn host(
    State(shared): State<Shared>,
    Extension(ends): Extension<Ends>,
    request: Request,
    next: Next,
) -> Response {
    match check(request.headers(), request.uri(), ends.local.ip(), &shared.app.allow_hosts) {
        Ok(()) => next.run(request).await,
        Err((status, line)) => {
            Question::unread(Caller::unknown(ends.peer), request.method(), request.uri()).answered(0, &line);
            (status, format!("{line}\n")).into_response()
        }
    }
}

/// Refuses requests without the token; the others carry their `Caller` from here on.
pub(super) async fn token(
    State(shared): State<Shared>,
    Extension(ends): Extension<Ends>,
    mut request: Request,
    next: Next,
) -> Response {
    let presented = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    // RFC 9110 section 11.1: the scheme's name has no case. RFC 6750 section 3: what to answer.
    let bearer = presented.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let (challenge, line) = match bearer {
        Some(token) if shared.app.token.matches(token) => {
            request.extensions_mut().insert(Caller { token: shared.app.token.fingerprint(), peer: ends.peer });
            return next.run(request).await;
        }
        Some(_) => {
            ("Bearer realm=\"tapwire\", error=\"invalid_token\"", "wrong token: use the one in the agent's token file")
        }
        None => (
            "Bearer realm=\"tapwire\"",
            "token missing: send Authorization: Bearer with the content of the agent's token file",
        ),
    };
    Question::unread(Caller::unknown(ends.peer), request.method(), request.uri()).answered(0, line);
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], format!("{line}\n")).into_response()
}

/// RFC 9112 section 3.2: exactly one Host. One that is not ours is refused like a foreign Origin, by 403.
fn check(headers: &HeaderMap, uri: &Uri, local: IpAddr, allowed: &[String]) -> Result<(), (StatusCode, String)> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        (None, _) | (Some(_), Some(_)) => None,
    };
    let Some(host) = host else {
        return Err((StatusCode::BAD_REQUEST, "the request needs exactly one valid Host header".to_owned()));
    };
    for name in std::iter::once(host.host()).chain(uri.authority().map(Authority::host)) {
        if !known(name, local, allowed) {
            let line = format!(
                "host {name:?} is not served here: use a loopback address, or start the agent with --allow-host"
            );
            return Err((StatusCode::FORBIDDEN, line));
        }
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let authority = authority.and_then(|authority| authority.parse::<Authority>().ok());
        if !authority.is_some_and(|authority| known(authority.host(), local, allowed)) {
            let line = format!("origin {origin:?} is not allowed: name its host with --allow-host if it is yours");
            return Err((StatusCode::FORBIDDEN, line));
        }
    }
    Ok(())
}

/// Loopback, the address that the connection arrived at, or a name that the agent was started with. Ports are not
/// compared: a forwarded port is another one, and rebinding is about names.
fn known(host: &str, local: IpAddr, allowed: &[String]) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        let address = address.to_canonical();
        return address.is_loopback()
            || address == local.to_canonical()
            || allowed.iter().any(|name| name.parse::<IpAddr>().is_ok_and(|name| name.to_canonical() == address));
    }
    // RFC 6761 section 6.3: `localhost` is loopback. A final dot means the same name.
    let host = host.strip_suffix('.').unwrap_or(&host);
    host == "localhost" || allowed.iter().any(|name| name == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(headers: &[(&'static str, &str)], uri: &str, local: &str) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let allowed = ["agent.example".to_owned(), "192.0.2.9".to_owned()];
        check(&map, &uri.parse().unwrap(), local.parse().unwrap(), &allowed)
            .map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn hosts() {
        for host in [
            "localhost",
            "localhost.",
            "LocalHost:7330",
            "127.0.0.1:7330",
            "127.8.8.8",
            "[::1]:7330",
            "agent.example:443",
            "10.0.0.7",
            "192.0.2.9",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(status(&[("host", host)], "/mcp", "10.0.0.7"), 200, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.8", "agent.example.evil"]
        {
            assert_eq!(status(&[("host", host)], "/mcp", "10.0.0.7"), 403, "{host}");
        }
        assert_eq!(status(&[], "/mcp", "127.0.0.1"), 400);
        assert_eq!(status(&[("host", "localhost"), ("host", "evil.example")], "/mcp", "127.0.0.1"), 400);
        assert_eq!(status(&[("host", "localhost")], "http://evil.example/mcp", "127.0.0.1"), 403);
    }

    #[test]
    fn origins() {
        for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:80", "https://agent.example"] {
            assert_eq!(status(&[("host", "localhost"), ("origin", origin)], "/mcp", "127.0.0.1"), 200, "{origin}");
        }
        for origin in
            ["null", "", "http://evil.example", "https://localhost.evil.example", "file://", "http://", "localhost"]
        {
            assert_eq!(status(&[("host", "localhost"), ("origin", origin)], "/mcp", "127.0.0.1"), 403, "{origin}");
        }
    }
}
