//! curl, nghttp and h2load. They say less than the other clients; what they asked for is known, and each id is in the path.

use std::{fmt::Write as _, process::Command};

use serde_json::{Value, json};
use tapwire_tests::live::{Agent, Dir, Known, Peer, Said, TWO_MINUTES, assert_said, needs_peers};

use super::{nginx, of};

/// Runs a tool to its end, which must be a good one; what it prints.
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new("timeout").args([TWO_MINUTES, program]).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program}: {}{stdout}", String::from_utf8_lossy(&output.stderr));
    stdout
}

fn base(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A call of `path`, which ends with its id; both bodies in bytes.
fn said(method: &str, path: &str, request: usize, response: usize) -> Said {
    Said {
        id: path.rsplit('/').next().unwrap_or_default().to_owned(),
        kind: method.to_owned(),
        outcome: String::new(),
        reset: Value::Null,
        record: json!({
            "protocol": "http", "http_version": "2", "method": method, "path": path, "status_code": 200,
            "request": {"body_size": request}, "response": {"body_size": response},
        }),
    }
}

/// What curl says of each transfer: status, version, size of the answer, own port.
fn curl(args: &[&str], said: &mut [Said]) {
    let format = "%{http_code} %{http_version} %{size_download} %{local_port}\\n";
    let outputs = said.iter().flat_map(|_| ["-o", "/dev/null"]);
    let args: Vec<&str> = ["-sS", "-w", format].into_iter().chain(outputs).chain(args.iter().copied()).collect();
    let lines = run("curl", &args);
    assert_eq!(lines.lines().count(), said.len(), "{lines}");
    for (line, said) in lines.lines().zip(said) {
        let [status, version, size, port] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!((status, version), ("200", "2"), "{}", said.id);
        assert_eq!(size, said.record["response"]["body_size"].to_string(), "{}", said.id);
        said.record["src"] = json!({"port": port.parse::<u16>().unwrap_or(0)});
    }
}

#[test]
fn curl_with_prior_knowledge() {
    if needs_peers("curl_with_prior_knowledge") {
        return;
    }
    for (server, peer) in [("go", Peer::http_go()), ("node", Peer::http_node())] {
        curl_calls(server, peer.port);
    }
    let nginx = nginx();
    curl_calls("nginx", nginx.port);
}

/// One call a connection: curl 7.88 writes the preface again when it takes one a second time.
fn curl_calls(server: &str, port: u16) {
    let agent = Agent::start(&[]);
    let mut all = Vec::new();
    let get = format!("/size/1000/curl-{server}-get");
    let mut one = [said("GET", &get, 0, 1000)];
    curl(&["--http2-prior-knowledge", &format!("{}{get}", base(port))], &mut one);
    all.extend(one);
    if server != "nginx" {
        let post = format!("/length/curl-{server}-post");
        let mut one = [said("POST", &post, 11, 2)];
        curl(&["--http2-prior-knowledge", "-d", "eleven byte", &format!("{}{post}", base(port))], &mut one);
        all.extend(one);
    }
    assert_said(&agent, &of(port), &all, Known::All);
}

/// The request goes as HTTP/1.1, the answer comes as stream 1: one call.
fn upgraded(mut said: Said) -> Said {
    said.record["http_version"] = json!({"any": ["1.1", "2"]});
    said
}

#[test]
fn curl_by_upgrade() {
    if needs_peers("curl_by_upgrade") {
        return;
    }
    let server = Peer::http_go();
    let agent = Agent::start(&[]);
    let paths = ["/size/10/upgrade-1", "/size/2000/upgrade-2", "/size/30/upgrade-3"];
    let urls = paths.map(|path| format!("{}{path}", base(server.port)));
    let mut first =
        [upgraded(said("GET", paths[0], 0, 10)), said("GET", paths[1], 0, 2000), said("GET", paths[2], 0, 30)];
    let args: Vec<&str> = ["--http2"].into_iter().chain(urls.iter().map(String::as_str)).collect();
    curl(&args, &mut first);
    let mut post = [upgraded(said("POST", "/length/upgrade-post", 11, 2))];
    curl(&["--http2", "-d", "eleven byte", &format!("{}/length/upgrade-post", base(server.port))], &mut post);
    let all = [&first[..], &post].concat();
    assert_said(&agent, &of(server.port), &all, Known::All);
}

/// nghttp says each stream's number, path and status.
fn nghttp(flags: &[&str], port: u16, mut said: Vec<Said>) -> Vec<Said> {
    let urls: Vec<String> =
        said.iter().map(|said| format!("{}{}", base(port), said.record["path"].as_str().unwrap_or(""))).collect();
    let args: Vec<&str> = ["-nv"].iter().chain(flags).copied().chain(urls.iter().map(String::as_str)).collect();
    let log = run("nghttp", &args);
    let number = |line: &str| line.split_once("stream_id=")?.1.split(['>', ')']).next()?.parse::<u64>().ok();
    let mut stream = None;
    for line in log.lines() {
        if line.contains("send HEADERS frame") {
            stream = number(line);
        } else if let Some((_, path)) = line.split_once(" :path: ") {
            let call = said.iter_mut().find(|said| said.record["path"] == path);
            call.unwrap_or_else(|| panic!("{line}")).record["stream_id"] = stream.into();
        } else if let Some((_, status)) = line.split_once(" :status: ") {
            assert_eq!(status, "200", "{log}");
        }
    }
    assert_eq!(log.matches(" :status: ").count(), said.len(), "{log}");
    said
}

/// Two calls at once of each way to write frames that nghttp has.
fn nghttp_calls(server: &str, port: u16) -> Vec<Said> {
    let ways: [(&str, &[&str]); 6] = [
        ("plain", &[]),
        ("padded", &["--padding=100"]),
        ("continuation", &["--continuation"]),
        ("no-table", &["--header-table-size=0", "--encoder-header-table-size=0"]),
        ("small-table", &["--header-table-size=100"]),
        ("no-priority", &["--no-dep"]),
    ];
    let mut all = Vec::new();
    for (way, flags) in ways {
        let one = |at| said("GET", &format!("/size/1000/nghttp-{server}-{way}-{at}"), 0, 1000);
        all.extend(nghttp(flags, port, vec![one(1), one(2)]));
    }
    all
}

#[test]
fn nghttp_calls_go() {
    if needs_peers("nghttp_calls_go") {
        return;
    }
    let server = Peer::http_go();
    let agent = Agent::start(&[]);
    let dir = Dir::new();
    let file = dir.write("body", [b'b'; 3000]).to_string_lossy().into_owned();
    let mut all = nghttp_calls("go", server.port);
    let mut post = said("POST", "/length/nghttp-go-post", 3000, 4);
    post.record["request"]["trailers"] = json!([["x-checked", "yes"]]);
    let flags = ["--padding=50", "--data", &file, "--trailer", "x-checked: yes"];
    all.extend(nghttp(&flags, server.port, vec![post]));
    all.extend(nghttp(&["--upgrade"], server.port, vec![upgraded(said("GET", "/size/10/nghttp-go-upgrade", 0, 10))]));
    assert_said(&agent, &of(server.port), &all, Known::All);
}

#[test]
fn nghttp_calls_nginx() {
    if needs_peers("nghttp_calls_nginx") {
        return;
    }
    let server = nginx();
    let agent = Agent::start(&[]);
    // nginx refuses headers as long as those of `--continuation`.
    let ways: [(&str, &[&str]); 3] = [("plain", &[]), ("padded", &["--padding=100"]), ("no-priority", &["--no-dep"])];
    let mut all = Vec::new();
    for (way, flags) in ways {
        let one = |at| said("GET", &format!("/size/1000/nghttp-nginx-{way}-{at}"), 0, 1000);
        all.extend(nghttp(flags, server.port, vec![one(1), one(2)]));
    }
    assert_said(&agent, &of(server.port), &all, Known::All);
}

#[test]
fn nghttpd_pads_and_sends_trailers() {
    if needs_peers("nghttpd_pads_and_sends_trailers") {
        return;
    }
    let ways = ["plain", "padded", "continuation", "no-table", "small-table", "no-priority"];
    let names = ways.iter().flat_map(|way| [1, 2].map(|at| format!("size/1000/nghttp-nghttpd-{way}-{at}")));
    let files: Vec<_> = names.map(|name| (name, vec![b'n'; 1000])).collect();
    let server = Peer::nghttpd(&["--padding=200", "--trailer", "x-end: yes"], &files);
    let agent = Agent::start(&[]);
    let mut all = nghttp_calls("nghttpd", server.port);
    for said in &mut all {
        said.record["response"]["trailers"] = json!([["x-end", "yes"]]);
    }
    assert_said(&agent, &of(server.port), &all, Known::All);
}

/// A hundred streams at once, each with a path of its own, and then many more of them.
fn h2load(server: &str, port: u16) {
    let agent = Agent::start(&[]);
    let dir = Dir::new();
    let all: Vec<Said> = (0..100).map(|at| said("GET", &format!("/size/1000/h2load-{server}-{at}"), 0, 1000)).collect();
    let list = all.iter().fold(String::new(), |mut list, said| {
        let _ = writeln!(list, "{}{}", base(port), said.record["path"].as_str().unwrap_or(""));
        list
    });
    let file = dir.write("urls", list).to_string_lossy().into_owned();
    let log = run("h2load", &["-n", "100", "-c", "1", "-m", "100", "-i", &file]);
    assert!(log.contains("100 succeeded"), "{log}");
    assert_said(&agent, &of(port), &all, Known::All);

    let url = format!("{}/size/1000/h2load-{server}-load", base(port));
    let log = run("h2load", &["-n", "4000", "-c", "4", "-m", "100", &url]);
    assert!(log.contains("4000 succeeded"), "{log}");
    let calls = agent.wait_for(&format!("{} && path.endsWith(\"-load\")", of(port)), 4000);
    let wrong = calls.iter().find(|call| {
        call["status_code"] != 200 || call["response"]["body_size"] != 1000 || call["http_version"] != "2"
    });
    assert!(wrong.is_none(), "{wrong:?}");
}

#[test]
fn h2load_with_a_hundred_streams() {
    if needs_peers("h2load_with_a_hundred_streams") {
        return;
    }
    let go = Peer::http_go();
    h2load("go", go.port);
    let nginx = nginx();
    h2load("nginx", nginx.port);
}
