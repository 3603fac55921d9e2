//! Frames that break the rules, and floods: the agent stays small, counts what it could not read, and reads on.

use std::fs;

use serde_json::Value;
use tapwire_tests::live::{Agent, Client, Known, Peer, Said, assert_said, needs_peers};

use super::{HTTP, of};

/// For the records; what the process holds beyond is measured below.
const STORE: &str = "32MiB";
/// More than an agent with such a store ever had resident while it was attacked.
const RESIDENT_MAX: u64 = 256 << 20;
/// The streams of a rapid reset.
const RAPID: usize = 10_000;

fn resident(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.process.pid())).unwrap_or_default();
    // VmHWM:    12345 kB
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    peak.map_or(u64::MAX, |kilobytes: u64| kilobytes << 10)
}

/// The messages of a protocol that were counted as malformed, for whatever reason.
fn malformed(agent: &Agent) -> u64 {
    let status = agent.status();
    let reasons = status["coverage"]["malformed"].as_object().cloned().unwrap_or_default();
    let http = reasons.iter().filter(|(protocol, _)| protocol.starts_with("http"));
    http.filter_map(|(_, reasons)| reasons.as_object()).flat_map(|r| r.values()).filter_map(Value::as_u64).sum()
}

fn attack(port: u16, id: &str) {
    let agent = Agent::start(&["--memory", STORE]);
    // The good call before each attack is told, whatever came after it.
    let said: Vec<Said> = Client::Hostile.run(port, id, &[]);
    assert_said(&agent, &format!("{} && path.startsWith(\"/size/1/\")", of(port)), &said, Known::All);
    assert!(resident(&agent) < RESIDENT_MAX, "{} bytes were resident", resident(&agent));
    assert!(malformed(&agent) > 0, "nothing was counted: {}", agent.status()["coverage"]);
    // No other call was made up than those that an attack asks for.
    for call in agent.calls(&of(port)) {
        let path = call["path"].as_str().unwrap_or("/attack/");
        assert!(path.starts_with("/size/1/") || path.starts_with("/attack/"), "{call}");
    }
}

#[test]
fn frames_that_break_the_rules() {
    if needs_peers("frames_that_break_the_rules") {
        return;
    }
    let go = Peer::http_go();
    attack(go.port, "hostile-go");
    // And the next client is read as ever.
    let agent = Agent::start(&[]);
    let said = Client::HttpGo.run(go.port, "after", &HTTP);
    assert_said(&agent, &format!("{} && !path.startsWith(\"/attack/\")", of(go.port)), &said, Known::All);

    let names = (0..100).map(|at| (format!("size/1/hostile-nghttpd-{at}"), vec![b'x']));
    let nghttpd = Peer::nghttpd(&[], &names.collect::<Vec<_>>());
    attack(nghttpd.port, "hostile-nghttpd");
}

#[test]
fn a_rapid_reset() {
    if needs_peers("a_rapid_reset") {
        return;
    }
    let go = Peer::http_go();
    let agent = Agent::start(&["--memory", STORE]);
    let said = Client::Hostile.run(go.port, "rapid", &["rapid_reset"]);
    assert_said(&agent, &format!("{} && path.startsWith(\"/size/1/\")", of(go.port)), &said, Known::All);
    let calls = agent.calls(&format!("{} && path == \"/attack/rapid_reset\"", of(go.port)));
    assert!(!calls.is_empty() && calls.len() <= RAPID, "{} records of {RAPID}", calls.len());
    let mut streams: Vec<_> = calls.iter().map(|call| call["stream_id"].as_u64()).collect();
    streams.sort_unstable();
    assert!(streams.windows(2).all(|pair| pair[0] < pair[1]), "a stream is there twice");
    let wrong = calls.iter().find(|call| call["method"] != "GET" || call["stream_error"] != "CANCEL");
    assert!(wrong.is_none(), "{wrong:?}");
    assert!(resident(&agent) < RESIDENT_MAX, "{} bytes were resident", resident(&agent));
}
