//! Asking an agent over HTTP. Finds the token where it may be, and turns what can go wrong into one line that says
//! what to do.

use std::{
    io::{BufRead, BufReader, Read},
    time::Duration,
};

use axum::http::uri::Authority;

use crate::web::token::{Token, client_files};

use super::Target;

/// Where an agent listens unless told otherwise.
pub const DEFAULT_AGENT: &str = "http://127.0.0.1:7330";

/// To a host of one's own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole answer: a little more than the agent allows itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two pieces of a stream: the agent sends at least every 10 s.
const SILENCE: Duration = Duration::from_secs(35);
/// Answers that are not streamed: one record with its bodies, or a summary.
const ANSWER_MAX: u64 = 256 << 20;
/// One line of a stream: a record with two bodies of the largest `--max-body`, escaped.
const LINE_MAX: u64 = 256 << 20;

/// An agent to ask.
#[derive(Clone, Debug)]
pub struct Client {
    target: Target,
    http: ureq::Agent,
}

/// Checks `--agent`, without the slash at its end.
pub fn url(text: &str) -> Result<String, String> {
    let wrong = || "must be like http://127.0.0.1:7330".to_owned();
    let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let parsed: Authority = authority.parse().map_err(|_| wrong())?;
    // `Authority` lets a port through that is none.
    let port = authority.get(parsed.host().len()..).unwrap_or_default();
    let port_is_one = port.is_empty() || parsed.port_u16().is_some();
    if parsed.host().is_empty() || authority.contains('@') || !port_is_one {
        return Err(wrong());
    }
    Ok(format!("http://{authority}"))
}

impl Client {
    pub fn new(target: &Target) -> Self {
        let config = ureq::Agent::config_builder()
            // The agent is asked directly, whatever proxy the environment names.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("tapwire/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { target: target.clone(), http: config.into() }
    }

    /// A whole answer.
    ///
    /// # Errors
    /// One line: no agent, no entry, or what the agent says is wrong.
    pub fn get(&self, path: &str, query: &[(&str, String)]) -> Result<String, String> {
        let mut response = self.with_token(|token| self.request(path, query, token, Some(ANSWER_TIMEOUT)))?;
        response.body_mut().with_config().limit(ANSWER_MAX).read_to_string().map_err(|error| self.broke(&error))
    }

    /// An answer that comes line by line.
    ///
    /// # Errors
    /// As `get`.
    pub fn stream(&self, path: &str, query: &[(&str, String)]) -> Result<Lines, String> {
        let response = self.with_token(|token| self.request(path, query, token, None))?;
        let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(Lines { reader: BufReader::new(Box::new(reader)), agent: self.target.agent.clone() })
    }

    /// Posts a JSON-RPC request to `/mcp` and returns the answer's text.
    ///
    /// # Errors
    /// As `get`.
    pub fn mcp(&self, request: &serde_json::Value) -> Result<String, String> {
        let url = format!("{}/mcp", self.target.agent);
        let mut response = self.with_token(|token| {
            let post = self.http.post(&url).config().timeout_global(Some(ANSWER_TIMEOUT)).build();
            let post = post
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream")
                .header("mcp-protocol-version", MCP_VERSION);
            authorized(post, token).send(request.to_string())
        })?;
        response.body_mut().with_config().limit(ANSWER_MAX).read_to_string().map_err(|error| self.broke(&error))
    }

    fn request(
        &self,
        path: &str,
        query: &[(&str, String)],
        token: Option<&Token>,
        timeout: Option<Duration>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let get = self.http.get(format!("{}{path}", self.target.agent));
        let get = get.query_pairs(query.iter().map(|(name, value)| (*name, value.as_str())));
        let get = get.config().timeout_global(timeout).timeout_per_read(Some(SILENCE)).build();
        authorized(get, token).call()
    }

    /// Asks with each token that may be the right one, until one is let in. The files are read each time: an agent that
    /// was started anew may have a new one.
    fn with_token(
        &self,
        ask: impl Fn(Option<&Token>) -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<ureq::http::Response<ureq::Body>, String> {
        // Tokens that lie on this host are for agents on this host; another would only learn them.
        let files = match &self.target.token_file {
            Some(file) => vec![file.clone()],
            None if self.is_local() => client_files(),
            None => {
                return Err(format!(
                    "name the token file of {} with --token-file: it is not on this host",
                    self.target.agent
                ));
            }
        };
        let mut tried: Vec<String> = Vec::new();
        for file in &files {
            match Token::read(file) {
                Ok(token) => match self.checked(ask(Some(&token)))? {
                    Some(response) => return Ok(response),
                    None => tried.push(format!("{} (refused)", file.display())),
                },
                Err(error) => tried.push(format!("{} ({error})", file.display())),
            }
        }
        // Asked once without, so that an agent that is not there is named before a token that is not there.
        if !tried.iter().any(|tried| tried.ends_with("(refused)"))
            && let Some(response) = self.checked(ask(None))?
        {
            return Ok(response);
        }
        Err(format!(
            "the agent at {} asks for its token, and none fits; tried {}; name the right one with --token-file, or use sudo",
            self.target.agent,
            tried.join(", ")
        ))
    }

    fn is_local(&self) -> bool {
        let host = self.target.agent.strip_prefix("http://").and_then(|authority| authority.parse::<Authority>().ok());
        host.is_some_and(|authority| {
            let host = authority.host().trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        })
    }

    /// `None` when the token was refused.
    fn checked(
        &self,
        answered: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Option<ureq::http::Response<ureq::Body>>, String> {
        let mut response = answered.map_err(|error| self.unreachable(&error))?;
        match response.status().as_u16() {
            200..=299 => Ok(Some(response)),
            401 => Ok(None),
            status => {
                let body = response.body_mut().with_config().limit(64 << 10).lossy_utf8(true).read_to_string();
                let body = body.unwrap_or_default();
                let line: String = body.lines().next().unwrap_or_default().chars().take(1000).collect();
                Err(if line.is_empty() {
                    format!("{} answers with status {status}: is it an agent?", self.target.agent)
                } else {
                    line
                })
            }
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> String {
        let agent = &self.target.agent;
        let reason = match error {
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                "connection refused".to_owned()
            }
            ureq::Error::Timeout(ureq::Timeout::Connect) => "no connection".to_owned(),
            ureq::Error::Timeout(_) => return format!("the agent at {agent} does not answer: ask again, or for less"),
            ureq::Error::Protocol(_) => return format!("{agent} does not speak HTTP: is it an agent?"),
            other => other.to_string(),
        };
        format!("no agent at {agent}: {reason}; start one with `sudo tapwire agent`, or name another with --agent URL")
    }

    fn broke(&self, error: &ureq::Error) -> String {
        format!("the answer of the agent at {} broke off: {error}", self.target.agent)
    }
}

/// What this side speaks to `/mcp`: any version without per-request metadata will do.
const MCP_VERSION: &str = "2025-11-25";

fn authorized<B>(request: ureq::RequestBuilder<B>, token: Option<&Token>) -> ureq::RequestBuilder<B> {
    match token {
        Some(token) => request.header("authorization", format!("Bearer {}", token.secret())),
        None => request,
    }
}

/// A streamed answer.
pub struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    agent: String,
}

impl Lines {
    /// The next line, without its end; false when there is none.
    ///
    /// # Errors
    /// The connection broke.
    pub fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, String> {
        line.clear();
        let read = (&mut self.reader).take(LINE_MAX).read_until(b'\n', line);
        let read = read.map_err(|error| format!("the connection to the agent at {} broke: {error}", self.agent))?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!(url("http://127.0.0.1:7330/"), Ok(DEFAULT_AGENT.to_owned()));
        assert_eq!(url("http://[::1]:7330"), Ok("http://[::1]:7330".to_owned()));
        assert_eq!(url("http://node-7"), Ok("http://node-7".to_owned()));
        for wrong in
            ["", "127.0.0.1:7330", "https://a", "http://", "http://a/mcp", "http://a b", "http://u:p@a", "http://a:x"]
        {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_of_this_host_stay_here() {
        let target = Target { agent: "http://192.0.2.1:7330".to_owned(), token_file: None };
        let error = Client::new(&target).get("/api/status", &[]).unwrap_err();
        assert!(error.contains("--token-file"), "{error}");
        for agent in ["http://localhost:1", "http://127.3.2.1", "http://[::1]:7330"] {
            assert!(Client::new(&Target { agent: agent.to_owned(), token_file: None }).is_local());
        }
    }

    #[test]
    fn no_agent_is_said_in_one_line() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let target = Target { agent: format!("http://{free}"), token_file: Some("/nonexistent/token".into()) };
        let error = Client::new(&target).get("/api/status", &[]).unwrap_err();
        assert!(
            error.starts_with(&format!("no agent at http://{free}: connection refused; start one with")),
            "{error}"
        );
    }
}
