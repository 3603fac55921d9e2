//! The commands that ask an agent: what goes to which stream, formats, exit codes, following.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tapwire::time::Time;
use tapwire_tests::live::{tapwire, wait_until};

use crate::served::{Served, call};

fn command(served: &Served, arguments: &[&str]) -> Command {
    let mut command = Command::new(tapwire());
    command.args(arguments).args(["--agent", &served.url()]).arg("--token-file").arg(&served.token_file);
    command.stdin(Stdio::null());
    command
}

fn run(served: &Served, arguments: &[&str]) -> (i32, String, String) {
    ended(command(served, arguments).output().unwrap())
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn calls_are_printed_in_each_format() {
    let served = Served::full();
    let (code, out, err) = run(&served, &["calls"]);
    let lines: Vec<_> = out.lines().map(json).collect();
    assert_eq!((code, lines.len()), (0, 100));
    assert!(lines.is_sorted_by_key(|call| call["timestamp"].as_str().unwrap().to_owned()), "the newest last");
    assert_eq!(lines[99]["id"], "3f9a1c2b-100-2499");
    let coverage = err.lines().find_map(|line| line.strip_prefix("coverage ")).unwrap();
    assert_eq!(json(coverage)["nodes"][0], "edge");
    assert!(err.contains("--limit"), "{err}");

    let (code, out, _) = run(&served, &["calls", "--limit", "5000", "--kfl", "status_code == 404"]);
    assert_eq!((code, out.lines().count()), (0, 250));
    let (_, out, _) = run(&served, &["calls", "--limit", "3", "-o", "json"]);
    assert_eq!(json(&out).as_array().unwrap().len(), 3);
    let (_, out, err) = run(&served, &["calls", "--limit", "3", "-o", "table"]);
    assert_eq!(out.lines().count(), 4);
    assert!(out.contains("POST") && err.contains("coverage: complete"), "{out}{err}");
    let (_, out, _) = run(&served, &["calls", "--since", "1ms"]);
    assert_eq!(out, "");
    let (_, out, _) = run(&served, &["calls", "--since", "1h", "--limit", "1000000", "-o", "jsonl"]);
    assert_eq!(out.lines().count(), 2500);
}

#[test]
fn one_call_stats_and_status() {
    let served = Served::full();
    let (code, out, _) = run(&served, &["call", "3f9a1c2b-81-2002"]);
    let record = json(&out);
    assert_eq!((code, &record["path"]), (0, &Value::from("/large")));
    assert_eq!(record["response"]["body_kept"], record["response"]["body"].as_str().unwrap().len());
    let (_, out, _) = run(&served, &["call", "3f9a1c2b-1-1", "-o", "table"]);
    assert!(out.contains("status_code: 500") && !out.contains('\u{1b}'), "{out}");

    let (_, out, err) = run(&served, &["stats", "--group-by", "status_code"]);
    let groups: Vec<_> = out.lines().map(json).collect();
    assert_eq!(groups.len(), 3);
    assert_eq!(groups[0]["key"]["status_code"], "200");
    assert!(err.contains("coverage {"), "{err}");
    let (_, out, _) = run(&served, &["stats", "--group-by", "", "-o", "jsonl"]);
    assert_eq!(json(&out)["count"], 2500);
    let (code, out, _) = run(&served, &["stats", "-o", "table", "--kfl", "path == \"/large\""]);
    assert!(code == 0 && out.contains("GET  /large") && out.contains("(total)"), "{out}");

    let (code, out, _) = run(&served, &["status"]);
    assert_eq!((code, out.lines().count()), (0, 1));
    assert_eq!(json(&out)["store"]["rows"], 2500);
    let (_, out, _) = run(&served, &["status", "-o", "table"]);
    assert!(out.contains("node         edge") && out.contains("coverage: complete"), "{out}");
}

#[test]
fn failures_are_one_line_with_the_right_code() {
    let served = Served::full();
    let agent = ["--agent", "http://127.0.0.1:9"];
    for (arguments, expected, named) in [
        (&["calls", agent[0], agent[1]][..], 1, "no agent at http://127.0.0.1:9"),
        (&["status", agent[0], agent[1]], 1, "tapwire agent"),
        (&["stats", agent[0], agent[1], "--group-by", "path"], 1, "connection refused"),
        (&["calls", "--nonsense"], 2, "--nonsense"),
        (&["calls", "--kfl", "status_cod == 1"], 2, "status_code"),
        (&["stats", "--group-by", "statuscode"], 2, "status_code"),
        (&["read", "-", "-"], 2, "once"),
        (&["flows"], 2, "flows"),
        (&["call", "nonsense"], 2, "id"),
    ] {
        let (code, out, err) = ended(Command::new(tapwire()).args(arguments).output().unwrap());
        assert_eq!((code, out.as_str(), err.lines().count()), (expected, "", 1), "{arguments:?}: {err}");
        assert!(err.contains(named), "{arguments:?}: {err}");
    }
    let (code, out, err) = run(&served, &["call", "99999999-1-1"]);
    assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
    assert!(err.contains("99999999-1-1"), "{err}");
    let wrong = served.dir.file("wrong");
    std::fs::write(&wrong, "wrong").unwrap();
    for file in [wrong.as_path(), std::path::Path::new("/nonexistent/token")] {
        let mut status = Command::new(tapwire());
        status.args(["status", "--agent", &served.url()]).arg("--token-file").arg(file);
        let (code, _, err) = ended(status.output().unwrap());
        assert!(code == 1 && err.lines().count() == 1 && err.contains(&*file.to_string_lossy()), "{err}");
    }
}

#[test]
fn the_token_is_found_where_it_may_be() {
    let served = Served::full();
    let home = served.dir.file("home");
    let place = home.join(".local/state/tapwire");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::create_dir_all(home.join("runtime/tapwire")).unwrap();
    // An old token is passed over.
    std::fs::write(home.join("runtime/tapwire/token"), "of-an-earlier-day\n").unwrap();
    std::fs::write(place.join("token"), &served.token).unwrap();
    let mut status = Command::new(tapwire());
    status.args(["status", "--agent", &served.url()]).env("HOME", &home).env("XDG_RUNTIME_DIR", home.join("runtime"));
    let (code, _, err) = ended(status.env("http_proxy", "http://127.0.0.1:9").output().unwrap());
    assert_eq!(code, 0, "{err}");
}

#[test]
fn followers_see_each_call_once_as_it_ends() {
    let served = Served::full();
    let start = Time::now();
    let mut follow = command(&served, &["calls", "--follow", "--kfl", "status_code == 200"]);
    let mut follow = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let mut open = call(start, 30_003);
    open.exchange.open = true;
    served.publish(vec![open, call(start, 30_004), call(start, 30_010)]);
    std::thread::sleep(Duration::from_millis(50));
    let mut closed = call(start, 30_003);
    closed.exchange.revision = 1;
    served.publish(vec![closed]);
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = || json(&lines.next().unwrap().unwrap())["path"].clone();
    assert_eq!(next(), "/item/30004");
    assert_eq!(next(), "/item/30003");
    let kill = Command::new("kill").args(["-INT", &follow.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let ended = wait_until(Duration::from_secs(5), || follow.try_wait().ok().flatten());
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    let mut err = String::new();
    follow.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(err, "");
}

#[test]
fn followers_are_told_what_they_missed() {
    // Room for few calls: a burst is evicted before anybody could read it.
    let served = Served::empty(1 << 20);
    let mut follow =
        command(&served, &["calls", "--follow"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let start = Time::now();
    served.publish((0..20_000).filter(|number| number % 1000 > 2).map(|number| call(start, number)).collect());
    let mut err = BufReader::new(follow.stderr.take().unwrap()).lines();
    let line = err.next().unwrap().unwrap();
    assert!(line.contains("evicted"), "{line}");
    let out = follow.stdout.take();
    drop(out);
    // Nobody reads: the next call ends it, quietly.
    served.publish(vec![call(start, 50_000)]);
    let ended = wait_until(Duration::from_secs(5), || follow.try_wait().ok().flatten());
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    assert!(err.next().is_none());
}

#[test]
fn a_reader_that_goes_is_no_failure() {
    let served = Served::full();
    let mut calls =
        command(&served, &["calls", "--limit", "2500"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(calls.stdout.take());
    let mut err = String::new();
    calls.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((calls.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}
