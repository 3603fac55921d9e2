//! The official Python MCP client asks a capturing agent: by HTTP and by stdio, with the newest protocol and with the
//! handshake of the older ones. Needs root's rights and the client, which `cargo xtask test` installs.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tapwire_tests::live::{Agent, Nginx, PLACES, mcp, needs_root, run_script, skip, tapwire};

/// The most that an answer may hold: 24 KiB.
const BUDGET: usize = 24 << 10;

fn python(test: &str) -> Option<PathBuf> {
    if needs_root(test) {
        return None;
    }
    let python = mcp();
    if python.is_none() {
        skip(test, "the Python package mcp is not installed; cargo xtask test installs it");
    }
    python
}

/// Six calls, one of them with secrets, and the filter that finds them.
fn traffic(nginx: &Nginx) -> String {
    for path in ["/ok/1?token=hush-query", "/ok/2", "/ok/3", "/missing/4", "/missing/5", "/ok/6"] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-m", "10", "-H", "Authorization: Bearer hush-header", &nginx.url(path)]);
        assert!(curl.stdout(Stdio::null()).status().is_ok_and(|status| status.success()));
    }
    format!("dst.port == {}", nginx.port)
}

fn check(text: &str, kfl: &str) -> Value {
    let answers: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(!text.contains("hush-"), "a secret in an answer");

    let tools = answers["tools"].as_object().unwrap_or_else(|| panic!("no tools"));
    for name in ["list_api_calls", "get_api_call", "get_api_stats", "get_capture_status"] {
        let tool = tools.get(name).unwrap_or_else(|| panic!("no tool {name}"));
        assert!(tool["description"].as_str().is_some_and(|text| text.len() > 60), "{name} says when to use it");
        assert!(tool["output"].is_object(), "{name} has typed results");
    }

    for question in ["calls", "full", "call", "stats", "status", "empty"] {
        let answer = &answers[question];
        assert_eq!(answer["error"], false, "{question}: {answer}");
        let coverage = &answer["structured"]["coverage"];
        assert!(coverage["complete"].is_boolean(), "{question} has no coverage: {answer}");
        assert!(answer["text"].as_str().is_some_and(|text| !text.is_empty()));
        let size = answer["text"].to_string().len() + answer["structured"].to_string().len();
        assert!(size <= BUDGET + 1024, "{question} is {size} bytes long");
    }

    let calls = answers["calls"]["structured"]["calls"].as_array().cloned().unwrap_or_default();
    let seen: Vec<_> =
        calls.iter().map(|call| (call["path"].as_str().unwrap_or(""), call["status"].as_u64())).collect();
    let made =
        [("/ok/6", 200), ("/missing/5", 404), ("/missing/4", 404), ("/ok/3", 200), ("/ok/2", 200), ("/ok/1", 200)];
    assert_eq!(seen, made.map(|(path, status)| (path, Some(status))), "newest first, for {kfl}");
    for key in ["id", "ts", "src", "dst", "proto", "method", "latency_ms"] {
        assert!(calls.iter().all(|call| call.get(key).is_some()), "no {key}: {:?}", calls[0]);
    }
    // Two at a time, by cursors: the same ones, each once.
    let ids: Vec<_> = calls.iter().map(|call| call["id"].clone()).collect();
    assert_eq!(answers["paged"], Value::from(ids));

    let call = answers["call"]["structured"].to_string();
    assert!(call.contains("/ok/6") && call.contains("authorization") || call.contains("Authorization"), "{call}");
    assert!(call.contains("[redacted 18 B #"), "{call}");
    assert!(call.contains("hello /ok/6"), "the body is there: {call}");

    let stats = &answers["stats"]["structured"];
    assert_eq!(stats["total"]["count"], 6, "{stats}");
    let groups = stats["groups"].as_array().map(Vec::len);
    assert_eq!(groups, Some(2), "{stats}");

    assert_eq!(answers["empty"]["structured"]["calls"], serde_json::json!([]));
    let why = answers["empty"]["structured"]["notes"].as_array().map_or(0, Vec::len);
    assert!(why > 0, "an empty answer says why: {}", answers["empty"]);
    assert_eq!(answers["wrong"]["error"], true);
    assert!(answers["wrong"]["text"].as_str().is_some_and(|text| text.contains("status_code")), "{}", answers["wrong"]);

    assert!(answers["resources"].as_array().is_some_and(|list| !list.is_empty()));
    assert!(answers["resource"].as_str().is_some_and(|text| text.contains("coverage")));
    assert!(answers["prompts"].as_array().is_some_and(|list| list.contains(&"analyze_traffic".into())));
    assert!(
        answers["prompt"]
            .as_str()
            .is_some_and(|text| text.contains("list_api_calls") || text.contains("get_api_stats"))
    );
    answers
}

#[test]
fn an_assistant_asks_by_http() {
    let Some(python) = python("an_assistant_asks_by_http") else { return };
    let nginx = Nginx::start(PLACES, &[]);
    let agent = Agent::start(&[]);
    let kfl = traffic(&nginx);
    agent.wait_for(&kfl, 6);
    let url = format!("http://{}/mcp", agent.address);
    let file = agent.token_file.to_string_lossy().into_owned();
    let mut spoken = Vec::new();
    for mode in ["auto", "legacy"] {
        let text = run_script(Command::new(&python), "ask.py", &["http", &url, &file, &kfl, mode]);
        spoken.push(check(&text, &kfl)["protocol"].clone());
    }
    // The newest one was taken, and the older ones are served.
    assert_eq!(spoken[0], "2026-07-28");
    assert!(spoken[1].as_str().is_some_and(|version| version < "2026"), "{spoken:?}");
    // Each call leaves its line: who asked what, how large, how long.
    let log = agent.log();
    for tool in ["list_api_calls", "get_api_call", "get_api_stats", "get_capture_status"] {
        assert!(log.contains(tool), "no audit line of {tool}: {log}");
    }
    assert!(!log.contains("hush-") && !log.contains(&agent.token()));
}

#[test]
fn an_assistant_asks_by_stdio() {
    let Some(python) = python("an_assistant_asks_by_stdio") else { return };
    let nginx = Nginx::start(PLACES, &[]);
    let agent = Agent::start(&[]);
    let kfl = traffic(&nginx);
    agent.wait_for(&kfl, 6);
    let (url, file) = (format!("http://{}", agent.address), agent.token_file.to_string_lossy().into_owned());
    let binary = tapwire().to_string_lossy().into_owned();
    for mode in ["auto", "legacy"] {
        let args = ["stdio", &kfl, mode, &binary, "mcp", "--agent", &url, "--token-file", &file];
        check(&run_script(Command::new(&python), "ask.py", &args), &kfl);
    }
}
