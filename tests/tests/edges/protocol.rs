//! MCP in all its versions: by the official client, and message by message.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use tapwire_tests::live::{mcp, skip, tapwire};

use crate::served::{CALLS, Served};

/// Runs `mcp/client.py`; what it prints is the protocol's version.
fn official_client(test: &str, arguments: &[&str]) -> Option<String> {
    let Some(python) = mcp() else {
        skip(test, "the Python package mcp is not installed; cargo xtask test installs it");
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/mcp/client.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}", stderr);
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn the_official_client_asks_by_http() {
    let served = Served::full();
    let url = format!("{}/mcp", served.url());
    for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let spoken = official_client("by http", &["http", &url, &served.token, mode]);
        assert!(spoken.is_none_or(|spoken| spoken == version));
    }
}

#[test]
fn the_official_client_asks_by_stdio() {
    let served = Served::full();
    let tapwire = tapwire();
    let tapwire = tapwire.to_str().unwrap();
    let (url, file) = (served.url(), served.token_file.to_str().unwrap().to_owned());
    for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let arguments = ["stdio", mode, tapwire, "mcp", "--agent", &url, "--token-file", &file];
        let spoken = official_client("by stdio", &arguments);
        assert!(spoken.is_none_or(|spoken| spoken == version));
    }
}

fn initialize(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": version, "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}}})
}

fn list(id: u64, limit: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "list_api_calls", "arguments": {"limit": limit}}})
}

#[test]
fn each_version_is_spoken_by_http() {
    let served = Served::full();
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let answer = served.rpc(None, &[], &initialize(version));
        assert_eq!(answer.json()["result"]["protocolVersion"], version);
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(served.rpc(Some(version), &[], &initialized).status, 202);
        // A session of an agent that was since replaced is no reason to fail.
        let answer = served.rpc(Some(version), &[("Mcp-Session-Id", "of-an-earlier-agent")], &list(7, 5)).json();
        assert_eq!(answer["id"], 7);
        assert_eq!(answer["result"]["structuredContent"]["calls"].as_array().unwrap().len(), 5);
        assert!(answer["result"]["content"][0]["text"].as_str().unwrap().starts_with(&format!("5 of {CALLS} calls")));
    }
    // Clients of the oldest of these versions send no version.
    assert_eq!(served.rpc(None, &[], &list(8, 1)).json()["id"], 8);
    // The newest has no handshake: each request carries what the handshake told.
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}});
    let mut newest = list(9, 2);
    newest["params"]["_meta"] = meta;
    let named = [("Mcp-Method", "tools/call"), ("Mcp-Name", "list_api_calls")];
    let answer = served.rpc(Some("2026-07-28"), &named, &newest);
    assert_eq!(answer.json()["result"]["structuredContent"]["calls"].as_array().unwrap().len(), 2, "{}", answer.body);
    assert_eq!(served.rpc(Some("1999-01-01"), &[], &list(1, 1)).status, 400);
    let answer = served.rpc(Some("2025-06-18"), &[], &json!({"jsonrpc": "2.0", "id": 3, "method": "no/such"}));
    assert_eq!(answer.json()["error"]["code"], -32601, "{}", answer.body);
}

/// JSON-RPC 2.0 section 5.1: the codes; MCP, Streamable HTTP: a body that cannot be accepted gets an HTTP error.
#[test]
fn what_is_no_call_gets_the_codes_of_the_specification() {
    let served = Served::empty(1 << 20);
    for (body, status, code) in [
        ("{\"jsonrpc\": ", 400, -32700),
        ("", 400, -32700),
        ("caf\u{e9}", 400, -32700),
        ("{}", 400, -32600),
        ("[]", 400, -32600),
        (r#"{"jsonrpc": "1.0", "id": 1, "method": "ping"}"#, 400, -32600),
        (r#"{"jsonrpc": "2.0", "id": 1, "method": "no/such", "params": {}}"#, 200, -32601),
        (r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 5}}"#, 200, -32602),
        (
            r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_api_calls", "arguments": []}}"#,
            200,
            -32602,
        ),
        (r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "no_such"}}"#, 200, -32602),
        (r#"{"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {}}"#, 200, -32602),
    ] {
        let answer = served.post(Some("2025-06-18"), &[], body);
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["code"]), (status, &json!(code)), "{body}: {}", answer.body);
        assert!(error["message"].as_str().is_some_and(|line| !line.contains('\n')), "{body}: {}", answer.body);
    }
    let token = format!("Bearer {}", served.token);
    let headers =
        [("Host", "localhost"), ("Authorization", &*token), ("Accept", "application/json, text/event-stream")];
    assert_eq!(served.request("POST", "/mcp", &headers, "{}").status, 415);
}

#[test]
fn an_answer_counts_all_its_bytes() {
    let served = Served::full();
    for arguments in [json!({"limit": 1000}), json!({"limit": 1000, "format": "raw"}), json!({"format": "full"})] {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_api_calls", "arguments": arguments}});
        let answer = served.rpc(Some("2025-06-18"), &[], &call);
        assert!(answer.body.len() <= 24 << 10 && answer.body.len() > 16 << 10, "{}", answer.body.len());
        assert!(!answer.body.contains("hush"), "a secret");
    }
}

/// `tapwire mcp` as an assistant would hold it.
struct Bridge {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Bridge {
    fn start(url: &str, file: &str) -> Self {
        let mut command = Command::new(tapwire());
        command.args(["mcp", "--agent", url, "--token-file", file]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn ask(&mut self, message: &Value) -> Value {
        self.send(message);
        self.receive()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_first_version_is_spoken_by_stdio_and_agents_come_and_go() {
    let served = Served::full();
    let file = served.token_file.to_str().unwrap().to_owned();
    let mut stdio = Bridge::start(&served.url(), &file);
    assert_eq!(stdio.ask(&initialize("2024-11-05"))["result"]["protocolVersion"], "2024-11-05");
    stdio.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let tools = stdio.ask(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
    assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 4);
    assert_eq!(stdio.ask(&list(3, 2))["result"]["structuredContent"]["calls"].as_array().unwrap().len(), 2);

    let (_, address, dir) = served.stop();
    let answer = stdio.ask(&list(4, 2));
    assert_eq!(answer["result"]["isError"], true);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("no agent at") && text.contains("tapwire agent") && !text.contains('\n'), "{text}");

    // Another agent, with another token.
    std::fs::remove_file(dir.file("run/token")).unwrap();
    let again = Served::at(address, dir, 1 << 20);
    let answer = stdio.ask(&list(5, 2));
    assert_eq!(answer["result"]["structuredContent"]["calls"].as_array().unwrap().len(), 0, "{answer}");
    std::fs::write(&again.token_file, "another").unwrap();
    let text = stdio.ask(&list(6, 2)).to_string();
    assert!(text.contains("token") && text.contains(&file), "{text}");
}

#[test]
fn what_was_asked_is_answered_before_the_end() {
    let served = Served::full();
    let mut stdio = Bridge::start(&served.url(), served.token_file.to_str().unwrap());
    stdio.send(&initialize("2025-06-18"));
    stdio.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    (10..15).for_each(|id| stdio.send(&list(id, 3)));
    stdio.input = None;
    let mut answered: Vec<_> = (0..6).map(|_| stdio.receive()["id"].as_u64().unwrap()).collect();
    answered.sort_unstable();
    assert_eq!(answered, [1, 10, 11, 12, 13, 14]);
    assert!(stdio.child.wait().unwrap().success());
}

#[test]
fn an_assistant_can_be_set_up_before_any_agent_runs() {
    let mut stdio = Bridge::start("http://127.0.0.1:9", "/nonexistent/token");
    assert_eq!(stdio.ask(&initialize("2025-11-25"))["result"]["serverInfo"]["name"], "tapwire");
    let prompt = json!({"jsonrpc": "2.0", "id": 2, "method": "prompts/get", "params": {"name": "analyze_traffic", "arguments": {}}});
    assert!(stdio.ask(&prompt)["result"]["messages"][0]["content"]["text"].as_str().unwrap().contains("15 minutes"));
    assert!(stdio.ask(&list(3, 1)).to_string().contains("no agent at http://127.0.0.1:9"));
    let resource =
        json!({"jsonrpc": "2.0", "id": 4, "method": "resources/read", "params": {"uri": "tapwire://status"}});
    assert!(stdio.ask(&resource)["error"]["message"].as_str().unwrap().contains("no agent at"));
    // Nonsense on the line is answered or ignored, never the end.
    writeln!(stdio.input.as_mut().unwrap(), "this is not JSON").unwrap();
    let ping = stdio.ask(&json!({"jsonrpc": "2.0", "id": 5, "method": "ping"}));
    assert!(ping["id"] == 5 || ping["error"].is_object(), "{ping}");
}
