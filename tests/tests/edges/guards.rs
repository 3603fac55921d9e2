//! Who is let in, and what is refused: the token, Host and Origin, sizes, wrong questions; probes and metrics.

use std::{io::Read, net::TcpStream, time::Duration};

use serde_json::json;

use crate::served::Served;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

#[test]
fn nothing_is_told_without_the_token() {
    let served = Served::empty(1 << 20);
    let wrong = format!("Bearer {}x", served.token);
    for path in ["/mcp", "/api/calls", "/api/call/1-1", "/api/stats", "/api/status"] {
        for authorization in
            [None, Some("Bearer"), Some("Bearer "), Some("Basic eDp5"), Some(&*wrong), Some(&*served.token)]
        {
            let mut headers = vec![("Host", "localhost")];
            headers.extend(authorization.map(|value| ("Authorization", value)));
            let answer = served.request(if path == "/mcp" { "POST" } else { "GET" }, path, &headers, "");
            assert_eq!(answer.status, 401, "{path} {authorization:?}");
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
            assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
        }
    }
    assert_eq!(served.get("/api/status").status, 200);
    let lower = format!("bearer {}", served.token);
    assert_eq!(
        served.request("GET", "/api/status", &[("Host", "[::1]:80"), ("Authorization", &lower)], "").status,
        200
    );
}

#[test]
fn other_names_are_refused_even_with_the_token() {
    let served = Served::empty(1 << 20);
    let token = format!("Bearer {}", served.token);
    for (host, origin, status) in [
        ("evil.example", None, 403),
        ("127.0.0.1.evil.example:7330", None, 403),
        ("localhost", Some("http://evil.example"), 403),
        ("localhost", Some("null"), 403),
        ("localhost:7330", Some("http://localhost:3000"), 200),
        ("agent.example", Some("https://agent.example"), 200),
    ] {
        let mut headers = vec![("Host", host), ("Authorization", token.as_str())];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        for path in ["/api/status", "/metrics"] {
            let answer = served.request("GET", path, &headers, "");
            assert_eq!(answer.status, status, "{path} {host} {origin:?}: {}", answer.body);
            assert!(status == 200 || answer.body.lines().count() == 1, "{}", answer.body);
        }
        headers.extend([("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]);
        assert_eq!(served.request("POST", "/mcp", &headers, INITIALIZE).status, status, "/mcp {host} {origin:?}");
    }
    assert_eq!(served.request("GET", "/metrics", &[], "").status, 400);
}

#[test]
fn probes_and_metrics_need_no_token() {
    let served = Served::full();
    assert_eq!(served.request("GET", "/healthz", &[("Host", "10.1.2.3:7330")], "").status, 200);
    let not_ready = served.request("GET", "/readyz", &[("Host", "10.1.2.3:7330")], "");
    assert_eq!((not_ready.status, not_ready.body.lines().count()), (503, 1));
    served.status.update(|status| {
        let hook = |name, attached, reason: Option<&str>| tapwire::status::Hook {
            name,
            attached,
            reason: reason.map(str::to_owned),
        };
        status.capture = vec![hook("ingress", false, Some("no \"BTF\"")), hook("egress", true, None)];
    });
    assert_eq!(served.request("GET", "/readyz", &[("Host", "10.1.2.3:7330")], "").status, 200);
    let metrics = served.request("GET", "/metrics", &[("Host", "localhost")], "").body;
    for line in [
        "tapwire_records_total 2500",
        "tapwire_hook_attached{hook=\"egress\"} 1",
        "tapwire_hook_attached{hook=\"ingress\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("tapwire_") && value.parse::<u64>().is_ok(), "{line}");
    }
    assert_eq!(served.get("/").status, 404);
}

#[test]
fn wrong_questions_are_named() {
    let served = Served::full();
    for (path, status, named) in [
        ("/api/calls?kfl=status_cod%3D%3D200", 400, "status_code"),
        ("/api/calls?pods=x", 400, "pods"),
        ("/api/calls?limit=many", 400, "limit"),
        ("/api/stats?group_by=statuscode", 400, "statuscode"),
        ("/api/call/nonsense", 404, "id"),
        ("/api/call/99999999-7-1", 404, "99999999-7-1"),
    ] {
        let answer = served.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.contains(named) && answer.body.lines().count() == 1, "{path}: {}", answer.body);
    }
    let large = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_api_calls",
        "arguments": {"kfl": "x".repeat(1 << 20)}}});
    assert_eq!(served.rpc(Some("2025-06-18"), &[], &large).status, 413);
    // Beyond the language's own limit, within the body's.
    let long = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_api_calls",
        "arguments": {"kfl": format!("http{}", " ".repeat(9 << 10))}}});
    let refused = served.rpc(Some("2025-06-18"), &[], &long).json();
    assert_eq!(refused["result"]["isError"], true);
    assert!(refused.to_string().contains("at most 8192"), "{refused}");
}

#[test]
fn it_ends_at_once_though_clients_wait() {
    let served = Served::full();
    let mut idle = TcpStream::connect(served.address).unwrap();
    let follower = {
        let (address, token) = (served.address, served.token.clone());
        std::thread::spawn(move || {
            use std::io::Write;
            let mut stream = TcpStream::connect(address).unwrap();
            write!(
                stream,
                "GET /api/calls?follow=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
            )
            .unwrap();
            let mut all = String::new();
            let _ = stream.read_to_string(&mut all);
            all
        })
    };
    std::thread::sleep(Duration::from_millis(300));
    let (took, ..) = served.stop();
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert!(follower.join().unwrap().contains("\"end\""));
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
}
