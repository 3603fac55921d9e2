//! What users get wrong, and what the machine refuses: one clear line that says what, the right exit code, nothing
//! half-done.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use tapwire_tests::live::{Agent, Dir, Process, needs_root, tapwire};

const FAILED: Option<i32> = Some(1);
const WRONG_USAGE: Option<i32> = Some(2);

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One line on stderr that holds these words, nothing on stdout.
fn assert_refused(output: &Output, code: Option<i32>, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), code, "{text}");
    assert!(output.stdout.is_empty(), "stdout: {}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(text.lines().count(), 1, "more than one line: {text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[test]
fn a_port_in_use() {
    if needs_root("a_port_in_use") {
        return;
    }
    let dir = Dir::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("{error}"));
    let address = taken.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let mut agent = Command::new(tapwire());
    let output = run(agent.args(["agent", "--listen", &address, "--token-file"]).arg(dir.file("token")));
    assert_refused(&output, FAILED, &[&address, "in use"]);
}

#[test]
fn no_cgroup2() {
    if needs_root("no_cgroup2") {
        return;
    }
    let dir = Dir::new();
    for cgroup in ["/nonexistent", "/tmp"] {
        let mut agent = Command::new(tapwire());
        agent.args(["agent", "--listen", "127.0.0.1:0", "--cgroup", cgroup, "--token-file"]);
        assert_refused(&run(agent.arg(dir.file("token"))), FAILED, &[cgroup, "cgroup"]);
    }
}

#[test]
fn no_root() {
    if needs_root("no_root") {
        return;
    }
    let dir = Dir::new();
    let binary = dir.file("tapwire");
    fs::copy(tapwire(), &binary).unwrap_or_else(|error| panic!("{error}"));
    let _ = fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777));
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(binary);
    let output = run(nobody.args(["agent", "--listen", "127.0.0.1:0", "--token-file"]).arg(dir.file("token")));
    assert_refused(&output, FAILED, &["root"]);
}

#[test]
fn unknown_flags_and_absurd_limits() {
    for args in [
        &["agent", "--kubernetes", "on"][..],
        &["agent", "--packets", "64MiB"],
        &["agent", "--memory", "0"],
        &["agent", "--memory", "9000TiB"],
        &["agent", "--memory", "lots"],
        &["agent", "--max-body", "-1"],
        &["agent", "--listen", "nowhere"],
        &["calls", "--limit", "0"],
        &["calls", "--limit", "99999999999999999999"],
        &["calls", "--since", "yesterday"],
        &["calls", "-o", "xml"],
        &["flows"],
        &["export", "-w", "x"],
        &["read"],
        &["frobnicate"],
    ] {
        let output = run(Command::new(tapwire()).args(args));
        assert_refused(&output, WRONG_USAGE, &["tapwire: "]);
        let text = stderr(&output);
        let named = args.iter().any(|arg| text.contains(arg)) || text.contains("<FILE>");
        assert!(named, "{args:?}: {text}");
    }
}

#[test]
fn no_agent_to_ask() {
    let dir = Dir::new();
    let token = dir.write("token", "secret-token\n");
    let ask = |args: &[&str]| {
        let mut command = Command::new(tapwire());
        run(command.args(args).args(["--agent", "http://127.0.0.1:1", "--token-file"]).arg(&token))
    };
    for args in [&["calls"][..], &["call", "1-1"], &["stats"], &["status"]] {
        let output = ask(args);
        assert_refused(&output, FAILED, &["127.0.0.1:1"]);
        assert!(!stderr(&output).contains("secret-token"));
    }
}

#[test]
fn tokens_and_filters() {
    if needs_root("tokens_and_filters") {
        return;
    }
    let agent = Agent::start(&[]);
    let url = format!("http://{}", agent.address);
    let calls = |token: &Path, kfl: &str| {
        let mut command = Command::new(tapwire());
        run(command.args(["calls", "--kfl", kfl, "--agent", &url, "--token-file"]).arg(token))
    };
    let missing = agent.dir.file("none");
    assert_refused(&calls(&missing, "http"), FAILED, &["none"]);
    let wrong = agent.dir.write("wrong", "0000\n");
    assert_refused(&calls(&wrong, "http"), FAILED, &["token"]);
    let empty = agent.dir.write("empty", "\n");
    assert_refused(&calls(&empty, "http"), FAILED, &["empty"]);
    // The nearest name is named.
    assert_refused(&calls(&agent.token_file, "http && status_cod == 200"), WRONG_USAGE, &["status_cod", "status_code"]);
    assert_refused(&calls(&agent.token_file, "http &&"), WRONG_USAGE, &[]);
    assert_refused(&calls(&agent.token_file, "status_code == \"200\""), WRONG_USAGE, &["status_code"]);
    let absurd = format!("path == \"{}\"", "x".repeat(9000));
    assert_refused(&calls(&agent.token_file, &absurd), WRONG_USAGE, &["8"]);
    assert_refused(&agent.ask(&["call", "no-such-id"]), WRONG_USAGE, &["no-such-id"]);
    assert_refused(&agent.ask(&["call", "7-7"]), FAILED, &["7-7"]);

    // The token file is its owner's alone.
    let mode = fs::metadata(&agent.token_file).map(|file| file.permissions().mode() & 0o777);
    assert_eq!(mode.ok(), Some(0o600));
    assert!(!agent.log().contains(&agent.token()), "the token is in the log");
}

#[test]
fn http_without_rights() {
    if needs_root("http_without_rights") {
        return;
    }
    let agent = Agent::start(&[]);
    let bearer = format!("Authorization: Bearer {}", agent.token());
    let status = |headers: &[&str], path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}"]);
        for header in headers {
            curl.args(["-H", header]);
        }
        let output = run(curl.arg(format!("http://{}{path}", agent.address)));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(status(&[], "/healthz"), "200");
    assert_eq!(status(&[], "/readyz"), "200");
    assert_eq!(status(&[], "/metrics"), "200");
    assert_eq!(status(&[], "/mcp"), "401");
    assert_eq!(status(&["Authorization: Bearer wrong"], "/mcp"), "401");
    // DNS rebinding: a page of another name that reaches this address.
    assert_eq!(status(&[&bearer, "Host: evil.example"], "/mcp"), "403");
    assert_eq!(status(&[&bearer, "Origin: http://evil.example"], "/mcp"), "403");
    assert_ne!(status(&[&bearer, "Accept: text/event-stream"], "/mcp"), "401");
}

#[test]
fn files_that_are_no_captures() {
    let dir = Dir::new();
    let empty = dir.write("empty.pcap", "");
    let text = dir.write("text.pcap", "this is no capture file, but longer than a header of one\n".repeat(9));
    let missing = dir.file("missing.pcap");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/http1/zeek-get.pcap");
    let whole = fs::read(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let cut = dir.write("cut.pcap", &whole[..whole.len() - 10]);
    let read = |files: &[&Path]| run(Command::new(tapwire()).arg("read").args(files));
    for (file, name) in [(&empty, "empty.pcap"), (&text, "text.pcap"), (&missing, "missing.pcap")] {
        let output = read(&[file]);
        assert_eq!(output.status.code(), FAILED, "{name}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
        assert!(stderr(&output).lines().any(|line| line.contains(name)), "{}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"));
    }
    // What can be read is answered, and what cannot is named: partly.
    for files in [&[cut.as_path()][..], &[&corpus, &text]] {
        let output = read(files);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(!output.stdout.is_empty());
        let named = ["cut.pcap", "text.pcap"].iter().any(|name| stderr(&output).contains(name));
        assert!(named, "{}", stderr(&output));
    }
}

#[test]
fn descriptors_that_are_none() {
    let dir = Dir::new();
    let source = dir.write("shop.proto", "syntax = \"proto3\";\npackage shop.v1;\n");
    let empty = dir.write("empty.pb", "");
    // A FileDescriptorSet with one file: its name, and what it imports (google/protobuf/descriptor.proto).
    let imports = dir.write("imports.pb", b"\x0a\x12\x0a\x07a.proto\x1a\x07b.proto");
    for (file, why) in [
        (dir.file("missing.pb").as_path(), "No such file"),
        (dir.path(), "directory"),
        (&source, "descriptor set"),
        (&empty, "descriptor set"),
        (&imports, "b.proto"),
    ] {
        let flag = ["--descriptor-set".as_ref(), file.as_os_str()];
        for command in [&["agent"][..], &["read", "no.pcap"]] {
            let output = run(Command::new(tapwire()).args(command).args(flag));
            assert_refused(&output, WRONG_USAGE, &["tapwire: ", &file.display().to_string(), why]);
        }
    }
}

#[test]
fn a_follower_that_goes_away_harms_nobody() {
    if needs_root("a_follower_that_goes_away_harms_nobody") {
        return;
    }
    let agent = Agent::start(&[]);
    for _ in 0..3 {
        let mut follow = Command::new(tapwire());
        follow.args(["calls", "--follow", "--agent", &format!("http://{}", agent.address), "--token-file"]);
        let mut follower = Process::start(follow.arg(&agent.token_file), &agent.dir, "follow");
        std::thread::sleep(Duration::from_millis(200));
        assert!(follower.0.try_wait().is_ok_and(|ended| ended.is_none()), "it follows until it is ended");
        let _ = follower.0.kill();
    }
    assert!(agent.get("/healthz").starts_with("200"));
}
