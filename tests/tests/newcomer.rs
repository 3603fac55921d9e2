//! A newcomer's way: a user of this machine clones the repository, types `cargo xtask run`, pastes what it prints into a
//! second terminal, and asks through an MCP client. Makes that user, and removes it. Needs root's rights and the client,
//! which `cargo xtask test` installs.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use tapwire_tests::live::{Dir, free_port, mcp, needs_root, script, skip, wait_until};

/// A release build on two cores, where none of its parts is there yet.
const BUILD: Duration = Duration::from_secs(25 * 60);

fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap_or_else(|error| panic!("sh: {error}"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap_or_else(|error| panic!("{error}"))
}

/// A user with a clone, a Rust toolchain, and rights by sudo without a password, or none.
struct User {
    name: String,
    home: PathBuf,
    sudoers: PathBuf,
    /// Read-only views of folders that root keeps for itself.
    mounts: Vec<PathBuf>,
    dir: Dir,
}

impl User {
    fn new() -> Self {
        let name = format!("tapwire{}", std::process::id());
        let dir = Dir::new();
        sh(&format!("useradd --create-home --shell /bin/bash {name}"));
        let home = PathBuf::from(format!("/home/{name}"));
        let user = Self { sudoers: format!("/etc/sudoers.d/{name}").into(), name, home, mounts: Vec::new(), dir };
        user.with_toolchain()
    }

    /// rustup as root has it, where the newcomer can read it; what cargo downloaded, as a copy of its own.
    fn with_toolchain(mut self) -> Self {
        let seen = self.dir.file("rustup");
        let seen_at = seen.display();
        sh(&format!("mkdir {seen_at} && mount --bind {0} {seen_at}", rustup_home().display()));
        sh(&format!("mount -o remount,bind,ro {seen_at}"));
        self.mounts.push(seen);
        let (home, cargo) = (self.home.display(), cargo_home());
        sh(&format!("mkdir -p {home}/.cargo && cp -a {0}/bin {home}/.cargo/bin", cargo.display()));
        for part in ["registry", "config.toml"] {
            sh(&format!("[ ! -e {0}/{part} ] || cp -a {0}/{part} {home}/.cargo/", cargo.display()));
        }
        self.own();
        self
    }

    fn own(&self) {
        sh(&format!("chown -R {0}:{0} {1}", self.name, self.home.display()));
    }

    /// Clones as they would, from a copy that they can read; what was built already comes along, to save its time.
    fn clone_repository(&self) -> PathBuf {
        let (origin, clone) = (self.dir.file("tapwire.git"), self.home.join("tapwire"));
        sh(&format!("git clone --quiet --bare --depth 1 file://{} {}", root().display(), origin.display()));
        sh(&format!("chown -R {0}:{0} {1}", self.name, origin.display()));
        let done = self.command("git").args(["clone", "--quiet"]).args([&origin, &clone]).status();
        assert!(done.is_ok_and(|status| status.success()), "git clone");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir));
        let at = clone.display();
        for part in ["release/deps", "release/build", "release/.fingerprint", "kernel", "tools"] {
            let from = target.join(part);
            if from.exists() {
                let into = clone.join("target").join(part);
                let into = into.parent().unwrap_or(&into).display();
                sh(&format!("mkdir -p {into} && cp -a {} {into}/", from.display()));
            }
        }
        sh(&format!("[ ! -d {at}/target ] || chown -R {0}:{0} {at}/target", self.name));
        clone
    }

    fn may_use_sudo(&self) {
        fs::write(&self.sudoers, format!("{} ALL=(ALL:ALL) NOPASSWD: ALL\n", self.name))
            .unwrap_or_else(|e| panic!("{e}"));
        let _ = fs::set_permissions(&self.sudoers, fs::Permissions::from_mode(0o440));
    }

    /// A command of the user, as after a fresh login. It sees its own cargo folder, and rustup's, in the places where
    /// root has them: cargo takes what was built already for its own only while these paths are the same. The view is a
    /// mount namespace of the command's own.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let (rustup, cargo) = (rustup_home(), cargo_home());
        let mut view = String::from("set -e; ");
        for folder in [&rustup, &cargo] {
            if let Some(private) = private_part(folder) {
                view.push_str(&format!(
                    "mountpoint -q {0} || mount -t tmpfs -o mode=755 none {0}; ",
                    private.display()
                ));
            }
            view.push_str(&format!("mkdir -p {}; ", folder.display()));
        }
        view.push_str(&format!("mount --bind {} {}; ", self.dir.file("rustup").display(), rustup.display()));
        view.push_str(&format!("mount --bind {}/.cargo {}; exec \"$@\"", self.home.display(), cargo.display()));
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &view, "sh"]);
        command.args(["setpriv", "--reuid", &self.name, "--regid", &self.name, "--init-groups", "--reset-env", "--"]);
        command.arg("env").arg(format!("PATH={}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", cargo.display()));
        command.arg(format!("RUSTUP_HOME={}", rustup.display())).arg(format!("CARGO_HOME={}", cargo.display()));
        // How this machine reaches the registries is not the newcomer's doing.
        for (name, value) in std::env::vars().filter(|(name, _)| NETWORK.iter().any(|part| name.contains(part))) {
            command.arg(format!("{name}={value}"));
        }
        command.arg(program).current_dir(&self.home);
        command
    }
}

/// Parts of the names of variables that say how a machine reaches the network, and whether it fetches toolchains.
const NETWORK: [&str; 9] = [
    "SSL_CERT",
    "_PROXY",
    "_proxy",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "RUSTUP_AUTO_INSTALL",
    "RUSTUP_DIST_",
];

fn home_of(variable: &str, folder: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(folder);
    std::env::var_os(variable).map_or_else(home, PathBuf::from)
}

fn rustup_home() -> PathBuf {
    home_of("RUSTUP_HOME", ".rustup")
}

fn cargo_home() -> PathBuf {
    home_of("CARGO_HOME", ".cargo")
}

/// The folder on the way that others may not enter, such as /root.
fn private_part(path: &Path) -> Option<&Path> {
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    parts.into_iter().find(|part| fs::metadata(part).is_ok_and(|part| part.permissions().mode() & 0o001 == 0))
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.sudoers);
        for mount in &self.mounts {
            let _ = Command::new("umount").arg(mount).status();
            let _ = fs::remove_dir(mount);
        }
        // Only of this user, whom nobody else is.
        let _ = Command::new("userdel").args(["--force", "--remove", &self.name]).stderr(Stdio::null()).status();
    }
}

/// `cargo xtask run` while it runs; ended by the signal that a service manager sends.
struct Run {
    child: Child,
    lines: mpsc::Receiver<String>,
    said: String,
}

impl Run {
    fn start(user: &User, clone: &Path, flags: &[&str]) -> Self {
        let mut command = user.command("cargo");
        command.args(["xtask", "run", "--"]).args(flags).current_dir(clone);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{e}"));
        let (sender, lines) = mpsc::channel();
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>),
            child.stderr.take().map(|out| Box::new(out) as Box<dyn Read + Send>),
        ];
        for output in outputs.into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines, said: String::new() }
    }

    /// What it said, up to a line that holds `word`.
    fn until(&mut self, word: &str, patience: Duration) -> &str {
        let end = Instant::now() + patience;
        while !self.said.contains(word) {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push_str(&(line + "\n")),
                Err(_) => panic!("never said {word:?}: {}", self.said),
            }
        }
        &self.said
    }

    fn end(&mut self) -> Option<i32> {
        sh(&format!("kill -TERM {}", self.child.id()));
        let ended = wait_until(Duration::from_secs(10), || self.child.try_wait().ok().flatten());
        ended.and_then(|status| status.code())
    }
}

impl Drop for Run {
    /// Also when the test fails: no agent stays behind.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.end();
        }
    }
}

/// The block below a numbered heading, as one would paste it.
fn block(text: &str, heading: &str) -> String {
    let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("no {heading:?} in {text}"));
    let lines = rest.lines().skip(1).skip_while(|line| line.trim().is_empty());
    lines
        .take_while(|line| line.starts_with("   "))
        .map(|line| line.strip_prefix("   ").unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_newcomer_clones_runs_and_asks() {
    const TEST: &str = "a_newcomer_clones_runs_and_asks";
    if needs_root(TEST) {
        return;
    }
    let Some(python) = mcp() else {
        return skip(TEST, "the Python package mcp is not installed; cargo xtask test installs it");
    };
    let user = User::new();
    let clone = user.clone_repository();

    // Without sudo's permission: one line, before anything is built.
    let refused = user.command("cargo").args(["xtask", "run"]).current_dir(&clone).stdin(Stdio::null()).output();
    let refused = refused.unwrap_or_else(|error| panic!("{error}"));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(refused.stdout.is_empty());
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("root") && text.contains("sudo"), "{text}");
    assert!(!clone.join("target/release/tapwire").exists());

    user.may_use_sudo();
    // The default port may be taken by somebody else's agent on this machine.
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut run = Run::start(&user, &clone, &["--listen", &listen]);
    let said = run.until("Ctrl-C ends", BUILD).to_owned();

    let token_file = user.home.join(".local/state/tapwire/token");
    let token = fs::metadata(&token_file).unwrap_or_else(|error| panic!("{}: {error}", token_file.display()));
    assert_eq!(token.permissions().mode() & 0o777, 0o600);
    assert!(said.contains(&*token_file.to_string_lossy()));
    let secret = fs::read_to_string(&token_file).unwrap_or_default();
    assert!(!said.contains(secret.trim()), "the token goes to a terminal only");

    // 1 and 2: pasted as they are.
    let second_terminal = |line: &str| {
        let output =
            user.command("bash").args(["-c", line]).stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{e}"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let status = second_terminal(&block(&said, "1. make a plain HTTP call"));
    assert_eq!(status.trim(), "200");
    let calls = block(&said, "2. see it");
    let shown = wait_until(Duration::from_secs(10), || {
        let shown = second_terminal(&calls);
        shown.contains("/").then_some(shown)
    });
    let shown = shown.unwrap_or_else(|| panic!("nothing to see"));
    let call: serde_json::Value =
        serde_json::from_str(shown.lines().next().unwrap_or("")).unwrap_or_else(|e| panic!("{e}: {shown}"));
    assert_eq!((&call["method"], &call["status_code"]), (&"GET".into(), &200.into()), "{call}");
    assert!(call["url"].as_str().is_some_and(|url| url.ends_with("/?hello=tapwire")), "{call}");

    // 3: the JSON for an assistant, used by the official client as that user.
    let stdio = block(&said, "3. add it to an assistant, by stdio");
    let stdio: serde_json::Value =
        serde_json::from_str(stdio.trim()).unwrap_or_else(|error| panic!("{error}: {stdio}"));
    let server = &stdio["mcpServers"]["tapwire"];
    let venv = user.home.join("venv");
    let from = python.parent().and_then(Path::parent).unwrap_or(&python);
    sh(&format!(
        "cp -a {} {} && cp {} {}/",
        from.display(),
        venv.display(),
        script("ask.py").display(),
        venv.display()
    ));
    user.own();
    let ask = |args: &[String]| {
        let output = user.command(venv.join("bin/python")).arg(venv.join("ask.py")).args(args).output();
        let output = output.unwrap_or_else(|error| panic!("{error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        let answers: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
        let calls = answers["calls"]["structured"]["calls"].as_array().cloned().unwrap_or_default();
        assert_eq!(calls.len(), 1, "{answers}");
        assert_eq!(calls[0]["status"], 200);
    };
    let kfl = format!("dst.port == {}", call["dst"]["port"]);
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut by_stdio = vec!["stdio".to_owned(), kfl.clone(), "auto".to_owned(), word(&server["command"])];
    by_stdio.extend(server["args"].as_array().into_iter().flatten().map(word));
    ask(&by_stdio);
    let http: serde_json::Value =
        serde_json::from_str(block(&said, "or by HTTP (").trim()).unwrap_or_else(|error| panic!("{error}"));
    let url = word(&http["mcpServers"]["tapwire"]["url"]);
    ask(&["http".to_owned(), url, token_file.to_string_lossy().into_owned(), kfl]);

    // SIGTERM to `cargo xtask run` reaches the agent, which belongs to root.
    assert_eq!(run.end(), Some(0));
    let gone = wait_until(Duration::from_secs(5), || std::net::TcpListener::bind(&listen).ok());
    assert!(gone.is_some(), "the agent runs on");
}
