//! The agent on the real kernel: traffic of nginx, curl and Python on loopback and in network namespaces, each call
//! compared with what its client says that it did. Needs root's rights; says so and passes without them.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tapwire_tests::live::{
    Agent, Dir, Netns, Nginx, PATIENCE, Process, Server, calls_by, is_root, run_script, script, skip, wait_until,
};

const PYTHON: &str = "/usr/bin/python3";

/// Short answers of every kind that `client.py short` asks for.
const PLACES: &str = r#"location /ok/ { return 200 "hello $uri\n"; } location /missing/ { return 404 "nothing\n"; }
    location /made/ { return 201 "made\n"; } location /broken/ { return 500 "broken\n"; }"#;

/// What is kept of a message by default.
const MAX_BODY: u64 = 64 << 10;

/// Whether the test cannot run here, which it says.
fn skipped(test: &str) -> bool {
    if !is_root() {
        skip(test, "needs root");
    }
    !is_root()
}

/// The client's own log.
fn client(args: &[&str]) -> Vec<Value> {
    lines(&run_script(Command::new(PYTHON), "client.py", args))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

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
    if skipped("two_thousand_short_requests_are_two_thousand_records") {
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
    let ids: std::collections::BTreeSet<String> = calls.iter().map(|call| call["id"].to_string()).collect();
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
    if skipped("pipelined_requests_meet_their_answers") {
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
    if skipped("chunked_answers_have_their_size_or_none") {
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
            assert_eq!(response["body_size"].is_null(), call.get("incomplete").is_some(), "{}", without_bodies(&call));
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
    if skipped("chunked_requests_have_their_size") {
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
    if skipped("a_file_by_sendfile_has_its_size_and_its_front") {
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
fn two_hundred_connections_at_once() {
    if skipped("two_hundred_connections_at_once") {
        return;
    }
    let nginx = Nginx::start(PLACES, &[]);
    let agent = Agent::start(&[]);
    let said = client(&["many", "127.0.0.1", &nginx.port.to_string(), "200", "many"]);
    let calls = agent.wait_for(&format!("dst.port == {}", nginx.port), 200);
    for said in &said {
        assert_same(calls_by(&calls, said["path"].as_str().unwrap_or("")), said);
    }
    let connections: std::collections::BTreeSet<_> = calls.iter().map(|call| call["conn_id"].to_string()).collect();
    assert_eq!(connections.len(), 200);
}

#[test]
fn ipv6() {
    if skipped("ipv6") {
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
    if skipped("a_client_that_goes_away_in_mid_body") {
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
    if skipped("a_redirect_shows_what_was_dialed_and_what_was_reached") {
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
        output.status.success().then(|| lines(&String::from_utf8_lossy(&output.stdout)))
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
    if skipped("two_namespaces_are_one_connection") {
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
        output.status.success().then(|| lines(&String::from_utf8_lossy(&output.stdout)))
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
    if skipped("connections_from_before_the_agent_are_joined") {
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
    let said = lines(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(said.len(), 21);
    let calls = agent.wait_for(&format!("dst.port == {port}"), 20);
    for said in &said[1..] {
        let call = calls_by(&calls, said["path"].as_str().unwrap_or(""));
        assert_same(call, said);
        // The handshake was not seen.
        assert!(call.get("join_key").is_none(), "{call}");
    }
}

#[test]
fn the_agents_own_connections_are_absent_at_both_ends() {
    if skipped("the_agents_own_connections_are_absent_at_both_ends") {
        return;
    }
    let agent = Agent::start(&[]);
    let port = agent.address.rsplit(':').next().unwrap_or("").to_owned();
    for path in ["/healthz", "/metrics", "/mcp", "/own-connection"] {
        agent.get(path);
    }
    agent.status();
    for _ in 0..5 {
        let own = agent.calls(&format!("dst.port == {port} || src.port == {port} || path == \"/own-connection\""));
        assert!(own.is_empty(), "{own:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Not in the list of unread flows either.
    let status = agent.status();
    assert!(!status["undecoded_flows"].to_string().contains(&format!(":{port}\"")), "{status}");
}

#[test]
fn kill_9_leaves_nothing_attached_and_disturbs_nobody() {
    if skipped("kill_9_leaves_nothing_attached_and_disturbs_nobody") {
        return;
    }
    let nginx = Nginx::start(PLACES, &[]);
    let mut agent = Agent::start(&[]);
    let programs = agent.programs();
    assert!(programs.len() >= 2, "programs {programs:?}");
    assert!(programs.iter().all(|&program| loaded(program)));
    // Requests go on while the agent dies.
    let port = nginx.port;
    let client = std::thread::spawn(move || client(&["short", "127.0.0.1", &port.to_string(), "3000", "4", "kill"]));
    std::thread::sleep(Duration::from_millis(200));
    agent.process.0.kill().unwrap_or_else(|error| panic!("{error}"));
    let said = client.join().unwrap_or_else(|_| panic!("the client failed"));
    assert_eq!(said.len(), 3000);
    let gone = wait_until(Duration::from_secs(5), || (!programs.iter().any(|&program| loaded(program))).then_some(()));
    assert!(gone.is_some(), "still loaded: {programs:?}");
    let pinned = std::fs::read_dir("/sys/fs/bpf")
        .map_or(0, |dir| dir.flatten().filter(|f| f.file_name().to_string_lossy().contains("tapwire")).count());
    assert_eq!(pinned, 0);
}

#[test]
fn both_signals_close_cleanly_within_two_seconds() {
    if skipped("both_signals_close_cleanly_within_two_seconds") {
        return;
    }
    for signal in ["TERM", "INT"] {
        let nginx = Nginx::start(PLACES, &[]);
        let mut agent = Agent::start(&[]);
        let programs = agent.programs();
        client(&["short", "127.0.0.1", &nginx.port.to_string(), "50", "2", "term"]);
        // A follower holds a connection open meanwhile.
        let mut follow = Command::new(tapwire_tests::live::tapwire());
        follow.args(["calls", "--follow", "--agent", &format!("http://{}", agent.address), "--token-file"]);
        let _follower = Process::start(follow.arg(&agent.token_file), &agent.dir, "follow");
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        agent.process.signal(signal);
        let status =
            agent.process.ended(Duration::from_secs(5)).unwrap_or_else(|| panic!("it goes on after SIG{signal}"));
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(status.code(), Some(0), "{}", agent.log());
        assert!(!programs.iter().any(|&program| loaded(program)), "still loaded: {programs:?}");
    }
}

/// Whether the kernel has this program.
fn loaded(program: u32) -> bool {
    let mut show = Command::new("/usr/sbin/bpftool");
    show.args(["prog", "show", "id", &program.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    show.status().unwrap_or_else(|error| panic!("bpftool: {error}")).success()
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
