//! HTTP/2 and gRPC on the real kernel, between the implementations that people use: each call compared with what its
//! client says that it did. Every pair of peers meets an agent that was there first, and one that comes when the
//! connection is already in use. Needs root's rights and the peers, which `cargo xtask test` installs; says so and passes
//! without them.

#[path = "live_http2/hostile.rs"]
mod hostile;
#[path = "live_http2/tools.rs"]
mod tools;

use tapwire_tests::live::{Agent, Client, Known, Nginx, Peer, assert_said, needs_peers};

/// Calls whose messages are short enough to be copied whole.
const GRPC: [&str; 13] = [
    "unary",
    "empty",
    "gzip",
    "metadata",
    "error",
    "error_text",
    "unimplemented",
    "client_stream",
    "server_stream",
    "bidi",
    "deadline",
    "cancel",
    "many",
];

/// The paths that every server has, and what some clients and servers do beyond.
const HTTP: [&str; 3] = ["get", "post", "status"];
const HTTP_MORE: [&str; 3] = ["trailers", "gzip", "hints"];
const HTTP_RESETS: [&str; 2] = ["cancel", "abort"];
const MANY: [&str; 1] = ["many"];
const PUSH: [&str; 1] = ["push"];

/// Bodies of 1 MB, of which a front is copied.
const LARGE: [&str; 4] = ["large", "upload", "large", "get"];
const LARGE_GRPC: [&str; 4] = ["unary", "large", "large", "unary"];

/// After the join. Those that run at once, and so in no known order, are left out.
const GRPC_LATER: [&str; 9] =
    ["unary", "unary", "metadata", "error", "client_stream", "server_stream", "bidi", "cancel", "unary"];
const HTTP_LATER: [&str; 5] = ["get", "get", "post", "status", "get"];
/// The calls that `unary`, or `get`, and `metadata`, or `post`, are before it.
const BEFORE: usize = 2;

fn of(port: u16) -> String {
    format!("dst.port == {port}")
}

/// nginx with the files that the scenarios ask for.
fn nginx() -> Nginx {
    let sizes = (0..100).map(|at| at * 17).chain([1, 1000, 1 << 20]);
    let files: Vec<_> = sizes.map(|size| (format!("size-{size}"), vec![b'n'; size])).collect();
    let files: Vec<_> = files.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    Nginx::http2(&files)
}

/// A connection that the agent sees from its first byte.
fn agent_first(port: u16, client: Client, id: &str, scenarios: &[&[&str]]) {
    let agent = Agent::start(&[]);
    let said = client.run(port, id, &scenarios.concat());
    assert_said(&agent, &of(port), &said, Known::All);
}

/// Bodies that are cut, on a connection of their own.
fn large(port: u16, client: Client, id: &str, scenarios: &[&str]) {
    let agent = Agent::start(&[]);
    let said = client.run(port, id, scenarios);
    assert_said(&agent, &of(port), &said, Known::Cut);
}

/// A connection with `BEFORE` calls on it before the agent starts.
fn connection_first(port: u16, client: Client, id: &str, before: [&str; BEFORE], later: &[&str]) {
    let scenarios = [&before[..], &["hold"], later].concat();
    let (agent, said) = client.hold(port, id, &scenarios, BEFORE, || Agent::start(&[]));
    assert_said(&agent, &of(port), &said, Known::Joined);
}

fn grpc_pair(server: &Peer, client: Client, id: &str) {
    agent_first(server.port, client, id, &[&GRPC]);
    large(server.port, client, &format!("{id}-large"), &LARGE_GRPC);
    connection_first(server.port, client, &format!("{id}-late"), ["unary", "metadata"], &GRPC_LATER);
}

fn http_pair(port: u16, client: Client, id: &str, scenarios: &[&[&str]]) {
    agent_first(port, client, id, scenarios);
    large(port, client, &format!("{id}-large"), &LARGE);
    connection_first(port, client, &format!("{id}-late"), ["get", "post"], &HTTP_LATER);
}

#[test]
fn grpc_go_calls_grpc_go() {
    if needs_peers("grpc_go_calls_grpc_go") {
        return;
    }
    let server = Peer::grpc_go();
    grpc_pair(&server, Client::GrpcGo, "gogo");
    agent_first(server.port, Client::GrpcGo, "gogo-reflection", &[&["reflection", "unary"]]);
}

#[test]
fn grpc_go_calls_grpcio() {
    if needs_peers("grpc_go_calls_grpcio") {
        return;
    }
    grpc_pair(&Peer::grpc_python(), Client::GrpcGo, "gopy");
}

#[test]
fn grpcio_calls_grpc_go() {
    if needs_peers("grpcio_calls_grpc_go") {
        return;
    }
    grpc_pair(&Peer::grpc_go(), Client::GrpcPython, "pygo");
}

#[test]
fn grpcio_calls_grpcio() {
    if needs_peers("grpcio_calls_grpcio") {
        return;
    }
    grpc_pair(&Peer::grpc_python(), Client::GrpcPython, "pypy");
}

#[test]
fn http_clients_call_go() {
    if needs_peers("http_clients_call_go") {
        return;
    }
    let server = Peer::http_go();
    http_pair(server.port, Client::HttpGo, "go", &[&HTTP, &HTTP_MORE, &HTTP_RESETS, &MANY]);
    http_pair(server.port, Client::HttpNode, "node", &[&HTTP, &HTTP_MORE, &HTTP_RESETS, &MANY]);
    http_pair(server.port, Client::HttpPython, "httpx", &[&HTTP, &HTTP_MORE]);
}

#[test]
fn http_clients_call_node() {
    if needs_peers("http_clients_call_node") {
        return;
    }
    let server = Peer::http_node();
    http_pair(server.port, Client::HttpGo, "go", &[&HTTP, &HTTP_MORE, &HTTP_RESETS, &MANY]);
    http_pair(server.port, Client::HttpNode, "node", &[&HTTP, &HTTP_MORE, &HTTP_RESETS, &MANY, &PUSH]);
    http_pair(server.port, Client::HttpPython, "httpx", &[&HTTP, &HTTP_MORE]);
}

#[test]
fn http_clients_call_nginx() {
    if needs_peers("http_clients_call_nginx") {
        return;
    }
    let server = nginx();
    http_pair(server.port, Client::HttpGo, "go", &[&HTTP, &MANY]);
    http_pair(server.port, Client::HttpNode, "node", &[&HTTP, &MANY]);
    http_pair(server.port, Client::HttpPython, "httpx", &[&HTTP]);
}
