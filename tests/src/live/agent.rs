//! An agent under test, asked as users ask it: by the command line.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;

use super::{Dir, Process, free_port, json_lines, wait_until};

/// Long enough for a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test: `TAPWIRE_BIN`, else what cargo built beside this test.
pub fn tapwire() -> PathBuf {
    if let Some(binary) = std::env::var_os("TAPWIRE_BIN") {
        return binary.into();
    }
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let beside = test.ancestors().nth(2).map(|dir| dir.join("tapwire"));
    let binary = beside.unwrap_or_default();
    assert!(binary.exists(), "{} is missing: cargo build --package tapwire", binary.display());
    binary
}

#[derive(Debug)]
pub struct Agent {
    pub process: Process,
    /// Its log, and the token.
    pub dir: Dir,
    pub address: String,
    pub token_file: PathBuf,
}

impl Agent {
    /// Starts one on a port of its own and waits until it captures.
    pub fn start(flags: &[&str]) -> Self {
        let dir = Dir::new();
        let address = format!("127.0.0.1:{}", free_port());
        let token_file = dir.file("token");
        let mut command = Command::new(tapwire());
        command.args(["agent", "--listen", &address, "--token-file"]).arg(&token_file).args(flags);
        let process = Process::start(&mut command, &dir, "agent");
        let mut agent = Self { process, dir, address, token_file };
        let ready = wait_until(PATIENCE, || {
            assert!(agent.process.0.try_wait().is_ok_and(|ended| ended.is_none()), "the agent ended: {}", agent.log());
            agent.get("/readyz").starts_with("200").then_some(())
        });
        assert!(ready.is_some(), "the agent is not ready: {}", agent.log());
        agent
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.file("agent.err")).unwrap_or_default()
    }

    pub fn token(&self) -> String {
        let token = fs::read_to_string(&self.token_file);
        token.unwrap_or_else(|error| panic!("{}: {error}", self.token_file.display())).trim().to_owned()
    }

    /// Status code and body of a GET.
    pub fn get(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.address);
        let output = Command::new("curl").args(["-sS", "-m", "5", "-w", "\n%{http_code}", &url]).output();
        let output = output.unwrap_or_else(|error| panic!("curl: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", "000"));
        format!("{status} {body}")
    }

    /// One of the commands that ask an agent.
    pub fn ask(&self, args: &[&str]) -> Output {
        let mut command = Command::new(tapwire());
        let agent = format!("http://{}", self.address);
        command.args(args).args(["--agent", &agent, "--token-file"]).arg(&self.token_file);
        command.output().unwrap_or_else(|error| panic!("cannot start tapwire: {error}"))
    }

    /// What a command prints, which must succeed.
    pub fn answer(&self, args: &[&str]) -> String {
        let output = self.ask(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tapwire {}: {}: {stderr}", args.join(" "), output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The calls that match a filter.
    pub fn calls(&self, kfl: &str) -> Vec<Value> {
        let lines = self.answer(&["calls", "--kfl", kfl, "--limit", "100000", "-o", "jsonl"]);
        json_lines(&lines)
    }

    /// The calls that match a filter once there are `count` with an answer, and no more coming.
    pub fn wait_for(&self, kfl: &str, count: usize) -> Vec<Value> {
        let mut calls = Vec::new();
        wait_until(PATIENCE, || {
            calls = self.calls(kfl);
            (calls.len() >= count).then_some(())
        });
        // One too many, or a last revision, would come within a few publishing intervals of 100 ms.
        std::thread::sleep(Duration::from_millis(500));
        calls = self.calls(kfl);
        assert_eq!(calls.len(), count, "calls that match {kfl}; agent: {}", self.log());
        calls
    }

    /// One of them in full, bodies included.
    pub fn call(&self, call: &Value) -> Value {
        let id = call["id"].as_str().unwrap_or_else(|| panic!("no id: {call}"));
        let text = self.answer(&["call", id, "-o", "json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// `tapwire status`.
    pub fn status(&self) -> Value {
        let text = self.answer(&["status", "-o", "json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The numbers of the programs and links that the agent holds in the kernel, as its open files name them.
    pub fn programs(&self) -> BTreeSet<u32> {
        let pid = self.process.pid();
        let files =
            fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap_or_else(|error| panic!("fdinfo of {pid}: {error}"));
        let infos = files.flatten().filter_map(|file| fs::read_to_string(file.path()).ok());
        infos.flat_map(|info| numbers(&info)).collect()
    }
}

fn numbers(fdinfo: &str) -> Vec<u32> {
    fdinfo.lines().filter_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok()).collect()
}

/// The calls by their path, which every test makes unique; a path that comes twice fails.
pub fn calls_by<'a>(calls: &'a [Value], path: &str) -> &'a Value {
    let mut found = calls.iter().filter(|call| call["path"] == path);
    let call = found.next().unwrap_or_else(|| panic!("no call of {path}"));
    assert!(found.next().is_none(), "{path} is there twice");
    call
}
