//! One line in the log for each question: who asked what, and what it cost. Arguments are shortened, and printed
//! escaped, so that a caller cannot write lines of its own into the log.

use std::{net::SocketAddr, time::Instant};

use axum::http::{Method, Uri};
use serde_json::Value;

/// Of the arguments; a filter may be 8 KiB long.
const ARGUMENTS_MAX: usize = 512;

/// Who asks, as the token's guard found out.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's fingerprint; `-` where none was accepted.
    pub token: String,
    pub peer: SocketAddr,
}

impl Caller {
    /// Who has shown no right token.
    pub fn unknown(peer: SocketAddr) -> Self {
        Self { token: "-".to_owned(), peer }
    }
}

/// A question that is being answered. One that is dropped before leaves its line too: its client went away.
#[derive(Debug)]
pub struct Question {
    caller: Option<Caller>,
    tool: String,
    arguments: String,
    started: Instant,
    open: bool,
}

impl Question {
    /// `caller` is absent where no connection stands behind the call.
    pub fn new(caller: Option<Caller>, tool: &str, arguments: &Value) -> Self {
        let mut arguments = arguments.to_string();
        if arguments.len() > ARGUMENTS_MAX {
            arguments.truncate(arguments.floor_char_boundary(ARGUMENTS_MAX));
            arguments.push('…');
        }
        let tool = tool.chars().take(64).collect();
        Self { caller, tool, arguments, started: Instant::now(), open: true }
    }

    /// A request that is refused before anybody read what it asks.
    pub fn unread(caller: Caller, method: &Method, uri: &Uri) -> Self {
        Self::new(Some(caller), &format!("{method} {}", uri.path()), &uri.query().into())
    }

    /// Writes the line. `outcome` is `ok`, or what went wrong.
    pub fn answered(mut self, bytes: usize, outcome: &str) {
        self.open = false;
        self.write(bytes, outcome);
    }

    fn write(&self, bytes: usize, outcome: &str) {
        let who = self.caller.as_ref().map_or("-", |caller| caller.token.as_str());
        let peer = self.caller.as_ref().map_or_else(|| "-".to_owned(), |caller| caller.peer.to_string());
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let outcome: String = outcome.chars().take(200).collect();
        tracing::info!(
            target: "audit", who, peer, tool = ?self.tool, arguments = ?self.arguments, bytes, micros, outcome = ?outcome,
            "answered"
        );
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if self.open {
            self.write(0, "no answer: the client left, or the agent stopped");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        future::Future,
        sync::{Arc, Mutex, mpsc},
        time::Duration,
    };

    use axum::{Extension, body::Body, extract::Request, response::Response};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use serde_json::json;

    use super::*;
    use crate::{
        status,
        store::Store,
        web::{App, Queries, Shared, Token, connection::Ends, router},
    };

    /// An agent without sockets, its token, and the lines of its log.
    struct Agent {
        shared: Shared,
        log: std::path::PathBuf,
    }

    impl Agent {
        fn lines(&self) -> Vec<String> {
            let log = std::fs::read_to_string(&self.log).unwrap();
            log.lines().filter(|line| line.contains("audit")).map(str::to_owned).collect()
        }

        fn request(&self, method: &str, uri: &str, body: &str) -> Request {
            let request = Request::builder().method(method).uri(uri).header("host", "localhost");
            let request = request.header("authorization", format!("Bearer {}", self.shared.app.token.secret()));
            let request = request.header("accept", "application/json, text/event-stream");
            request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap()
        }

        fn ask(&self, request: Request) -> impl Future<Output = Response> + use<> {
            let ends = Ends { peer: "127.0.0.1:9".parse().unwrap(), local: "127.0.0.1:7330".parse().unwrap() };
            let answer = TowerToHyperService::new(router(self.shared.clone()).layer(Extension(ends))).call(request);
            async { answer.await.unwrap_or_else(|never| match never {}) }
        }
    }

    fn with_agent(name: &str, test: impl AsyncFnOnce(&Agent)) {
        let directory = std::env::temp_dir().join(format!("tapwire-audit-{name}-{}", std::process::id()));
        let app = Arc::new(App {
            store: Store::new(1 << 20).into(),
            status: status::Shared::default().into(),
            node: "n".to_owned(),
            token: Token::load_or_create(&directory.join("token")).unwrap(),
            allow_hosts: Vec::new(),
        });
        let shared = Shared { queries: Queries::new(app.clone()), app, shutdown: Default::default() };
        let agent = Agent { shared, log: directory.join("log") };
        let log = Arc::new(File::create(&agent.log).unwrap());
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log).finish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tracing::subscriber::with_default(subscriber, || runtime.block_on(test(&agent)));
        std::fs::remove_dir_all(directory).unwrap();
    }

    fn call(arguments: &Value) -> String {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "get_capture_status", "arguments": arguments}})
        .to_string()
    }

    #[test]
    fn each_question_leaves_one_line_refused_or_not() {
        with_agent("lines", async |agent| {
            let foreign = |name: &'static str, value: &'static str| {
                let mut request = agent.request("GET", "/api/calls?limit=1", "");
                request.headers_mut().insert(name, value.parse().unwrap());
                request
            };
            let known = agent.shared.app.token.fingerprint();
            for (request, status, who, parts) in [
                (agent.request("GET", "/api/status", ""), 200, &*known, ["api/status", "\"ok\""]),
                (agent.request("GET", "/api/calls?limit=many", ""), 400, &known, ["api/calls", "limit=many"]),
                (agent.request("GET", "/api/stats?no_such=1", ""), 400, &known, ["api/stats", "no_such"]),
                (foreign("authorization", "Bearer wrong"), 401, "-", ["GET /api/calls", "wrong token"]),
                (foreign("host", "evil.example"), 403, "-", ["limit=1", "evil.example"]),
                (foreign("origin", "null"), 403, "-", ["GET /api/calls", "origin"]),
                (agent.request("POST", "/mcp", &call(&json!({}))), 200, &known, ["get_capture_status", "\"ok\""]),
                (agent.request("POST", "/mcp", &call(&json!("all"))), 200, &known, ["tools/call", "wrong params"]),
                (agent.request("POST", "/mcp", "{nonsense"), 400, &known, ["POST /mcp", "not JSON"]),
                (agent.request("POST", "/mcp", "[]"), 400, &known, ["POST /mcp", "JSON-RPC"]),
            ] {
                let before = agent.lines().len();
                assert_eq!(agent.ask(request).await.status(), status, "{parts:?}");
                let lines = agent.lines();
                let [line] = &lines[before..] else { panic!("{parts:?}: {:?}", &lines[before..]) };
                assert!(parts.iter().all(|part| line.contains(part)), "{parts:?}: {line}");
                assert!(line.contains(&format!("who=\"{who}\"")) || line.contains(&format!("who={who} ")), "{line}");
            }
        });
    }

    #[test]
    fn a_client_that_leaves_before_its_answer_leaves_a_line() {
        with_agent("left", async |agent| {
            // As many questions as may run at once, none of which ends before the sender is dropped.
            let (gate, closed) = mpsc::channel::<()>();
            let closed = Arc::new(Mutex::new(closed));
            for _ in 0..8 {
                let (queries, closed) = (agent.shared.queries.clone(), closed.clone());
                tokio::spawn(
                    async move { queries.run(move |_| Ok(closed.lock().map(|gate| gate.recv()).is_ok())).await },
                );
            }
            tokio::task::yield_now().await;
            let leaves = async |request: Request| {
                let asked = tokio::time::timeout(Duration::from_millis(200), agent.ask(request)).await;
                assert!(asked.is_err(), "it was answered");
            };
            leaves(agent.request("GET", "/api/status", "")).await;
            assert!(agent.lines().iter().any(|line| line.contains("api/status") && line.contains("client left")));
            // rmcp lets a tool go on, so its line comes when its question ends.
            leaves(agent.request("POST", "/mcp", &call(&json!({})))).await;
            drop(gate);
            for _ in 0..100 {
                if agent.lines().iter().any(|line| line.contains("get_capture_status")) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("no line of the tool: {:?}", agent.lines());
        });
    }
}
