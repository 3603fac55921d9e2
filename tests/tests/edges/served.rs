//! An agent's edges around a store that the test fills.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tapwire::{
    capture::CaptureSource,
    coverage::Counters,
    dissect::{Body, Exchange, Head, Headers, HttpRequest, HttpResponse, Incomplete, Message, PROTOCOLS},
    flow::Views,
    record::{Origin, Record, Redactor},
    status::{Shared, Status},
    store::Store,
    time::Time,
    web::{self, App, Token},
};
use tapwire_tests::live::Dir;
use tokio_util::sync::CancellationToken;

pub const CALLS: u32 = 2500;

pub struct Served {
    pub store: Arc<Store>,
    pub status: Arc<Shared>,
    pub address: SocketAddr,
    pub token: String,
    pub token_file: PathBuf,
    pub dir: Dir,
    stop: CancellationToken,
    server: Option<JoinHandle<()>>,
}

impl Served {
    /// With `CALLS` calls of the last minute.
    pub fn full() -> Self {
        let served = Self::empty(64 << 20);
        let start = Time(Time::now().0 - 60_000_000_000);
        for first in (0..CALLS).step_by(100) {
            served.publish((first..first + 100).map(|number| call(start, number)).collect());
        }
        served
    }

    pub fn empty(memory: usize) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), Dir::new(), memory)
    }

    pub fn at(address: SocketAddr, dir: Dir, memory: usize) -> Self {
        let store = Arc::new(Store::new(memory));
        let mut status = Status::new("edge".to_owned());
        status.redaction = true;
        let status = Arc::new(Shared::new(status));
        let token_file = dir.file("run/token");
        let token = Token::load_or_create(&token_file).unwrap();
        let secret = token.secret().to_owned();
        let app = App {
            store: store.clone(),
            status: status.clone(),
            node: "edge".to_owned(),
            token,
            allow_hosts: vec!["agent.example".to_owned()],
        };
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                web::serve(listener, app, shutdown).await;
            });
        });
        Self { store, status, address, token: secret, token_file, dir, stop, server: Some(server) }
    }

    pub fn publish(&self, records: Vec<Record>) {
        let counters = Counters { records: records.len() as u64, flows: 1, ..Counters::default() };
        self.status.count(&counters);
        let now = Time::now();
        self.store.publish(records, counters, Time(now.0 - 100_000_000), now);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it, and returns how long that took and what another one can go on with.
    pub fn stop(mut self) -> (Duration, SocketAddr, Dir) {
        let started = std::time::Instant::now();
        self.stop.cancel();
        self.server.take().unwrap().join().unwrap();
        (started.elapsed(), self.address, std::mem::replace(&mut self.dir, Dir::new()))
    }

    /// One request on a connection of its own.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// With the right Host and token.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[("Host", "localhost"), ("Authorization", &format!("Bearer {}", self.token))], "")
    }

    /// One JSON-RPC message to `/mcp`, of a protocol version.
    pub fn rpc(&self, version: Option<&str>, extra: &[(&str, &str)], message: &serde_json::Value) -> Answer {
        self.post(version, extra, &message.to_string())
    }

    /// Any body to `/mcp`, said to be JSON.
    pub fn post(&self, version: Option<&str>, extra: &[(&str, &str)], body: &str) -> Answer {
        let token = format!("Bearer {}", self.token);
        let mut headers = vec![
            ("Host", "localhost"),
            ("Authorization", token.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        headers.extend(version.map(|version| ("MCP-Protocol-Version", version)));
        headers.extend(extra);
        self.request("POST", "/mcp", &headers, body)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }
}

/// Call `number`: of 10 one is not found, of 100 one fails; four have a large body.
pub fn call(start: Time, number: u32) -> Record {
    let at = |micros: u64| Time(start.0 + (u64::from(number) * 10_000 + micros) * 1000);
    let (path, status, answer) = match number {
        number if number % 10 == 0 => (format!("/missing/{number}"), 404, "not found".to_owned()),
        number if number % 100 == 1 => {
            (format!("/broken/{number}"), 500, "{\"error\": \"out of \\u001b luck\"}".to_owned())
        }
        2 | 1002 | 2002 | 2202 => {
            ("/large".to_owned(), 200, (0..4000).map(|i| format!("{{\"line\": {i}}}\n")).collect())
        }
        number => (format!("/item/{number}?token=hush&n={number}"), 200, format!("item {number}")),
    };
    let headers = |pairs: &[(&str, &str)]| {
        let mut headers = Headers::with_capacity(pairs.len(), 64);
        pairs.iter().for_each(|(name, value)| headers.push(name.as_bytes(), value.as_bytes()));
        headers
    };
    let message = |from: Time, to: Time, head: Head, pairs: &[(&str, &str)], body: &str| Message {
        started: from,
        ended: to,
        head,
        headers: headers(pairs),
        headers_size: Some(90),
        trailers: Headers::default(),
        body: Body {
            size: Some(body.len() as u64),
            kept: body.as_bytes().to_vec(),
            decoded: None,
            truncated: false,
            end_lost: false,
            messages: None,
        },
    };
    let (method, sent) = if number.is_multiple_of(3) { ("POST", "{\"a\": 1}") } else { ("GET", "") };
    let request = HttpRequest::new(method, path.into_bytes(), "1.1");
    let response = HttpResponse { status: Some(status), version: "1.1" };
    let protocol = PROTOCOLS.iter().find(|protocol| protocol.name == "http").unwrap();
    let exchange = Exchange {
        number,
        revision: 0,
        open: false,
        protocol,
        stream_id: None,
        request: Some(message(
            at(0),
            at(100),
            Head::HttpRequest(request),
            &[("Host", "shop"), ("Authorization", "Bearer hush")],
            sent,
        )),
        response: Some(message(
            at(500),
            at(500 + u64::from(number % 50) * 100),
            Head::HttpResponse(response),
            &[("Content-Type", "text/plain")],
            &answer,
        )),
        reset: None,
        incomplete: Incomplete::default(),
        findings: Vec::new(),
    };
    let origin = Origin {
        epoch: 0x3f9a_1c2b,
        conn: u64::from(number / 25) + 1,
        source: CaptureSource::Ebpf,
        client: ([10, 0, 0, 1], 50_000 + (number % 1000) as u16).into(),
        server: ([10, 0, 0, 2], 8080).into(),
        dialed: None,
        views: Views { client: true, server: true },
        join_key: None,
    };
    Record::new(&origin, exchange, Some(&Redactor::new(b"key", 64 << 10)))
}
