//! The agent on the real kernel: traffic of nginx, curl and Python on loopback and in network namespaces, each call
//! compared with what its client says that it did. Needs root's rights; says so and passes without them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tapwire_tests::live::{
    Agent, Dir, Netns, Nginx, PATIENCE, PLACES, PYTHON, Process, Server, calls_by, client, json_lines, needs_root,
    script, wait_until,
};

/// What is kept of a message by default.
const MAX_BODY: u64 = 64 << 10;

/// A record against what the client said: method, path, status, sizes, and the client's port.
fn assert_same(call: &Value, said: &Value) {
    let path = &said["path"];
    assert_eq!(call["protocol"], "http", "{path}");
    assert_eq!(call["status_code"], said["status"], "{path}");
    assert_eq!(call["src"]["port"], said["port"], "{path}");
    if let Some(method) = said.get("method") {
        assert_eq!(&call["method"], method, "{path}");
    }
    if let Some(size) = said.get("request_size") {
        assert_eq!(&call["request"]["body_size"], size, "{path}: request");
    }
    if let Some(size) = said.get("response_size") {
        assert_eq!(&call["response"]["body_size"], size, "{path}: response");
    }
    assert!(call.get("incomplete").is_none(), "{path}: {call}");
}

#[test]
fn two_thousand_short_requests_are_two_thousand_records() {
    if needs_root("two_thousand_short_requests_are_two_thousand_records") {
        return;
    }
    let nginx = Nginx::start(PLACES, &[]);
    let agent = Agent::start(&[]);
    let port = nginx.port.to_string();
    let said = client(&["short", "127.0.0.1", &port, "2000", "8", "short"]);
    assert_eq!(said.len(), 2000);
    let calls = agent.wait_for(&format!("dst.port == {port}"), 2000);
    let by_path: BTreeMap<&str, &Value> =
        calls.iter().map(|call| (call["path"].as_str().unwrap_or(""), call)).collect();
    assert_eq!(by_path.len(), 2000, "no path comes twice");
    let ids: BTreeSet<String> = calls.iter().map(|call| call["id"].to_string()).collect();
    assert_eq!(ids.len(), 2000, "no id comes twice");
    for said in &said {
        let call = by_path.get(said["path"].as_str().unwrap_or("")).unwrap_or_else(|| panic!("no record of {said}"));
        assert_same(call, said);
        assert_eq!((&call["src"]["ip"], &call["dst"]["ip"]), (&said["ip"], &Value::from("127.0.0.1")));
        assert_eq!(call["dst"]["port"], nginx.port);
        assert_eq!(call["http_version"], "1.1");
        assert_eq!(call["capture_source"], "ebpf");
        assert_eq!(call["url"], format!("http://127.0.0.1:{port}{}", said["path"].as_str().unwrap_or("")));
        assert!(call["elapsed_time"].as_u64().is_some_and(|micros| micros < 30_000_000), "{call}");
    }
    let coverage = &agent.status()["coverage"];
    let sum = |object: &Value| object.as_object().map_or(0, |o| o.values().filter_map(Value::as_u64).sum::<u64>());
    let bytes = coverage["captured_bytes"].as_u64().unwrap_or(0) + sum(&coverage["skipped"]) + sum(&coverage["lost"]);
    assert_eq!(coverage["bytes"].as_u64(), Some(bytes), "{coverage}");
}

#[test]
fn pipelined_requests_meet_their_answers() {
    if needs_root("pipelined_requests_meet_their_answers") {
        return;
    }
    let nginx = Nginx::start(PLACES, &[]);
    let agent = Agent::start(&[]);
    let said = client(&["pipeline", "127.0.0.1", &nginx.port.to_string(), "40", "pipe"]);
    let calls = agent.wait_for(&format!("dst.port == {}", nginx.port), 40);
    for said in &said {
        assert_same(calls_by(&calls, said["path"].as_str().unwrap_or("")), said);
    }
}

#[test]
fn chunked_answers_have_their_size_or_none() {
    if needs_root("chunked_answers_have_their_size_or_none") {
        return;
    }
    let server = Server::new();
    let agent = Agent::start(&[]);
    let sizes = [1_000_u64, 100_000, 5_000_000];
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);
    // All on one connection: the call after the long one is read again.
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-m", "60"]);
    for size in sizes {
        curl.args(["-o", "/dev/null", &url(&format!("/chunked/{size}/answer"))]);
    }
    curl.args(["-o", "/dev/null", &url("/ok/after")]);
    assert!(curl.status().is_ok_and(|status| status.success()));
    let calls = agent.wait_for(&format!("dst.port == {}", server.port), 4);
    for size in sizes {
        let call = agent.call(calls_by(&calls, &format!("/chunked/{size}/answer")));
        let response = &call["response"];
        assert_eq!(call["status_code"], 200);
        if size <= MAX_BODY + (64 << 10) {
            assert_eq!(response["body_size"], size, "{}", without_bodies(&call));
            assert_eq!(response["trailers"], serde_json::json!([["x-end", "yes"]]));
        } else {
            // The kernel's budget cuts the framing: unknown is right, a wrong number is not.
            assert!(response["body_size"].is_null() || response["body_size"] == size, "{}", without_bodies(&call));
            assert!(!response["body_size"].is_null() || call.get("incomplete").is_some(), "{}", without_bodies(&call));
        }
        assert_eq!(response["body_kept"], size.min(MAX_BODY));
        assert_eq!(response["body"].as_str().map(str::len), Some(size.min(MAX_BODY) as usize));
        let expected: String = (0..size.min(MAX_BODY) / 16).map(|at| format!("{:015}\n", at * 16)).collect();
        assert!(response["body"].as_str().is_some_and(|body| body.starts_with(&expected)), "the body of {size}");
    }
    let after = calls_by(&calls, "/ok/after");
    assert_eq!((&after["status_code"], &after["response"]["body_size"]), (&200.into(), &16.into()));
}

#[test]
fn chunked_requests_have_their_size() {
    if needs_root("chunked_requests_have_their_size") {
        return;
    }
    let server = Server::new();
    let agent = Agent::start(&[]);
    let port = server.port.to_string();
    for size in ["1000", "100000"] {
        let said = client(&["upload", "127.0.0.1", &port, size, &format!("up-{size}")]);
        assert_eq!(said[0]["received"], said[0]["request_size"]);
    }
    let calls = agent.wait_for(&format!("dst.port == {port}"), 2);
    for size in [1_000, 100_000] {
        let call = calls_by(&calls, &format!("/length/up-{size}"));
        assert_eq!((&call["method"], &call["request"]["body_size"]), (&"POST".into(), &size.into()), "{call}");
    }
}

#[test]
fn a_file_by_sendfile_has_its_size_and_its_front() {
    if needs_root("a_file_by_sendfile_has_its_size_and_its_front") {
        return;
    }
    let content: Vec<u8> = (0..5_u32 << 20).map(|at| b"0123456789abcdef"[(at / 7 % 16) as usize]).collect();
    let nginx = Nginx::start(PLACES, &[("big", content.clone())]);
    let agent = Agent::start(&[]);
    let url = nginx.url("/big");
    let curl = |path: &str| Command::new("curl").args(["-sS", "-m", "60", "-o", "/dev/null", path]).status();
    for _ in 0..3 {
        assert!(curl(&url).is_ok_and(|status| status.success()));
    }
    let calls = agent.wait_for(&format!("dst.port == {}", nginx.port), 3);
    for call in &calls {
        let call = agent.call(call);
        let response = &call["response"];
        assert_eq!((&call["path"], &call["status_code"]), (&"/big".into(), &200.into()));
        assert_eq!(response["body_size"], content.len(), "{}", without_bodies(&call));
        assert_eq!(response["body_kept"], MAX_BODY);
        assert_eq!(response["body"].as_str().map(str::as_bytes), content.get(..MAX_BODY as usize));
        let skipped = call["incomplete"]["skipped_bytes"].as_u64().unwrap_or(0);
        assert_eq!(call["incomplete"]["lost_bytes"].as_u64().unwrap_or(0), 0, "{}", without_bodies(&call));
        assert!(skipped <= content.len() as u64 - MAX_BODY, "{skipped}");
    }
}

#[test]
fn heads_only_leaves_bodies_out_and_says_so() {
    if needs_root("heads_only_leaves_bodies_out_and_says_so") {
        return;
    }
    let nginx = Nginx::start(PLACES, &[("body", vec![b'y'; 300_000])]);
    let agent = Agent::start(&["--body-rate", "0"]);
    let port = nginx.port.to_string();
    for path in ["/body", "/ok/heads"] {
        let curl = Command::new("curl").args(["-sS", "-m", "60", "-o", "/dev/null", &nginx.url(path)]).status();
        assert!(curl.is_ok_and(|status| status.success()));
    }
    let calls = agent.wait_for(&format!("dst.port == {port}"), 2);
    let body = calls_by(&calls, "/body");
    assert_eq!((&body["status_code"], &body["response"]["body_size"]), (&200.into(), &300_000.into()), "{body}");
    assert_eq!(body["incomplete"]["reasons"], serde_json::json!(["body_rate"]), "{body}");
    assert!(body["incomplete"]["skipped_bytes"].as_u64().is_some_and(|bytes| bytes > 200_000), "{body}");
    assert_eq!(body["incomplete"]["lost_bytes"], 0, "{body}");
    // Short ones stand in the front of the turn, which is always copied.
    assert!(calls_by(&calls, "/ok/heads").get("incomplete").is_none());
}

#[test]
fn two_hundred_connections_at_once() {
    if needs_root("two_hundred_connections_at_once") {
        return;
    }
    let nginx = Nginx::start(PLACES, &[]);
    let agent = Agent::start(&[]);
    let said = client(&["many", "127.0.0.1", &nginx.port.to_string(), "200", "many"]);
    let calls = agent.wait_for(&format!("dst.port == {}", nginx.port), 200);
    for said in &said {
        assert_same(calls_by(&calls, said["path"].as_str().unwrap_or("")), said);
    }
    let connections: BTreeSet<_> = calls.iter().map(|call| call["conn_id"].to_string()).collect();
    assert_eq!(connections.len(), 200);
}

#[test]
fn ipv6() {
    if needs_root("ipv6") {
        return;
    }
    let nginx = Nginx::start(PLACES, &[]);
    let agent = Agent::start(&[]);
    let said = client(&["short", "::1", &nginx.port.to_string(), "60", "2", "six"]);
    let calls = agent.wait_for(&format!("dst.port == {}", nginx.port), 60);
    for said in &said {
        let call = calls_by(&calls, said["path"].as_str().unwrap_or(""));
        assert_same(call, said);
        assert_eq!((&call["src"]["ip"], &call["dst"]["ip"]), (&"::1".into(), &"::1".into()));
    }
}

#[test]
fn a_client_that_goes_away_in_mid_body() {
    if needs_root("a_client_that_goes_away_in_mid_body") {
        return;
    }
    let nginx = Nginx::start(PLACES, &[("big", vec![b'x'; 20 << 20])]);
    let agent = Agent::start(&[]);
    let port = nginx.port.to_string();
    client(&["abort", "127.0.0.1", &port, "/big", "100000"]);
    client(&["pipeline", "127.0.0.1", &port, "1", "after"]);
    let calls = agent.wait_for(&format!("dst.port == {port}"), 2);
    let call = calls_by(&calls, "/big");
    assert_eq!((&call["method"], &call["status_code"]), (&"GET".into(), &200.into()));
    // It never ended, and what it would have been is not what was sent.
    assert!(call["response"]["body_size"].is_null(), "{call}");
    assert_eq!(calls_by(&calls, "/ok/after-0")["status_code"], 200);
}

#[test]
fn a_redirect_shows_what_was_dialed_and_what_was_reached() {
    if needs_root("a_redirect_shows_what_was_dialed_and_what_was_reached") {
        return;
    }
    let netns = Netns::new();
    netns.run("ip addr add 10.98.0.9/32 dev lo");
    netns.run("iptables -t nat -A OUTPUT -p tcp -d 10.98.0.9 --dport 80 -j REDIRECT --to-ports 18080");
    let dir = Dir::new();
    let mut server = netns.command(PYTHON);
    let _server = Process::start(server.arg(script("server.py")).args(["0.0.0.0", "18080"]), &dir, "server");
    let agent = Agent::start(&[]);
    let said = wait_until(PATIENCE, || {
        let mut client = netns.command(PYTHON);
        let output = client.arg(script("client.py")).args(["pipeline", "10.98.0.9", "80", "5", "nat"]).output().ok()?;
        output.status.success().then(|| json_lines(&String::from_utf8_lossy(&output.stdout)))
    });
    let said = said.unwrap_or_else(|| panic!("the redirect does not work here"));
    let calls = agent.wait_for("path.startsWith(\"/ok/nat-\")", 5);
    for said in &said {
        let call = calls_by(&calls, said["path"].as_str().unwrap_or(""));
        assert_same(call, said);
        assert_eq!(call["dst"]["port"], 18080, "{call}");
        assert_eq!(call["dst"]["dialed"], serde_json::json!({"ip": "10.98.0.9", "port": 80}), "{call}");
    }
}

#[test]
fn two_namespaces_are_one_connection() {
    if needs_root("two_namespaces_are_one_connection") {
        return;
    }
    let (client_side, server_side) = (Netns::new(), Netns::new());
    let (near, far) = (client_side.name(), server_side.name());
    client_side.run(&format!("ip link add v0 type veth peer name v1 netns {far}"));
    client_side.run("ip addr add 10.97.0.1/24 dev v0 && ip link set v0 up");
    server_side.run("ip addr add 10.97.0.2/24 dev v1 && ip link set v1 up");
    assert_ne!(near, far);
    let dir = Dir::new();
    let mut server = server_side.command(PYTHON);
    let _server = Process::start(server.arg(script("server.py")).args(["10.97.0.2", "8080"]), &dir, "server");
    let agent = Agent::start(&[]);
    let said = wait_until(PATIENCE, || {
        let mut client = client_side.command(PYTHON);
        let output =
            client.arg(script("client.py")).args(["pipeline", "10.97.0.2", "8080", "20", "veth"]).output().ok()?;
        output.status.success().then(|| json_lines(&String::from_utf8_lossy(&output.stdout)))
    });
    let said = said.unwrap_or_else(|| panic!("no way between the namespaces"));
    let calls = agent.wait_for("path.startsWith(\"/ok/veth-\")", 20);
    for said in &said {
        let call = calls_by(&calls, said["path"].as_str().unwrap_or(""));
        assert_same(call, said);
        assert_eq!((&call["src"]["ip"], &call["dst"]["ip"]), (&"10.97.0.1".into(), &"10.97.0.2".into()));
        assert!(call["dst"].get("dialed").is_none(), "{call}");
    }
}

#[test]
fn connections_from_before_the_agent_are_joined() {
    if needs_root("connections_from_before_the_agent_are_joined") {
        return;
    }
    let nginx = Nginx::start(PLACES, &[]);
    let mut command = Command::new(PYTHON);
    let port = nginx.port.to_string();
    let command = command.arg(script("client.py")).args(["hold", "127.0.0.1", &port, "20", "late"]);
    let mut held = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{e}"));
    // Its first call is over, the connection is open.
    std::thread::sleep(Duration::from_secs(1));
    let agent = Agent::start(&[]);
    if let Some(mut stdin) = held.stdin.take() {
        let _ = stdin.write_all(b"go on\n");
    }
    let output = held.wait_with_output().unwrap_or_else(|error| panic!("{error}"));
    let said = json_lines(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(said.len(), 21);
    let calls = agent.wait_for(&format!("dst.port == {port}"), 20);
    // The first segment after the join may stand inside a body, as far as anybody can know: its call is a half.
    let halves: Vec<&Value> = calls.iter().filter(|call| call["request"].is_null()).collect();
    assert_eq!(halves.len(), 1, "{halves:?}");
    assert_eq!(halves[0]["status_code"], said[1]["status"]);
    for said in &said[2..] {
        let call = calls_by(&calls, said["path"].as_str().unwrap_or(""));
        assert_same(call, said);
        // The handshake was not seen.
        assert!(call.get("join_key").is_none(), "{call}");
    }
    assert_eq!(calls.len(), 20, "both views are one connection");
}

/// For messages: bodies are long.
fn without_bodies(call: &Value) -> Value {
    let mut call = call.clone();
    for message in ["request", "response"] {
        if let Some(message) = call.get_mut(message).and_then(Value::as_object_mut) {
            message.remove("body");
        }
    }
    call
}
