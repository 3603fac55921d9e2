//! The agent's beginning and end on the real kernel: it does not see itself, closes within two seconds, and leaves nothing
//! behind when it is killed, while the programs that it watches go on. Needs root's rights; says so and passes without.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tapwire_tests::live::{Agent, Nginx, PLACES, Process, client, needs_root, tapwire, wait_until};

#[test]
fn the_agents_own_connections_are_absent_at_both_ends() {
    if needs_root("the_agents_own_connections_are_absent_at_both_ends") {
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
    if needs_root("kill_9_leaves_nothing_attached_and_disturbs_nobody") {
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
    if needs_root("both_signals_close_cleanly_within_two_seconds") {
        return;
    }
    for signal in ["TERM", "INT"] {
        let nginx = Nginx::start(PLACES, &[]);
        let mut agent = Agent::start(&[]);
        let programs = agent.programs();
        client(&["short", "127.0.0.1", &nginx.port.to_string(), "50", "2", "term"]);
        // A follower holds a connection open meanwhile.
        let mut follow = Command::new(tapwire());
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
