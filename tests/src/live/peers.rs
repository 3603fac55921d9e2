//! The peers in `tests/peers`: servers and clients of HTTP/2 and gRPC in Go, Python and Node, and nghttpd. The clients
//! make the same scenarios, each on one connection in order, and print what they did (`said`).

use std::{
    io::Write,
    path::PathBuf,
    process::{ChildStdin, Command, Stdio},
};

use super::{Dir, PYTHON, Process, Said, free_port, needs_root, python, servers::wait_for_port, skip};

/// The time that any client gets, by `timeout`: one that waits for an answer that never comes is a failure, not a stop.
pub const TWO_MINUTES: &str = "120";

/// A server with one port on loopback.
#[derive(Debug)]
pub struct Peer {
    pub process: Process,
    pub dir: Dir,
    pub port: u16,
}

impl Peer {
    /// grpc-go's server of `tapwire.test.Peer`.
    pub fn grpc_go() -> Self {
        Self::start(Dir::new(), |port, _| command(go(), &["grpc-server", port]))
    }

    /// grpcio's.
    pub fn grpc_python() -> Self {
        Self::start(Dir::new(), |port, _| command(grpc_python(), &[&path("python/grpc_server.py"), port]))
    }

    /// Go's HTTP/2 server, which takes the upgrade from HTTP/1.1 too.
    pub fn http_go() -> Self {
        Self::start(Dir::new(), |port, _| command(go(), &["http-server", port]))
    }

    /// Node's.
    pub fn http_node() -> Self {
        Self::start(Dir::new(), |port, _| command("node".into(), &[&path("node/peer.js"), "server", port]))
    }

    /// nghttpd, which serves these files.
    pub fn nghttpd(flags: &[&str], files: &[(String, Vec<u8>)]) -> Self {
        let dir = Dir::new();
        for (name, content) in files {
            if let Some((folder, _)) = name.rsplit_once('/') {
                let folder = dir.file(folder);
                std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            }
            dir.write(name, content);
        }
        Self::start(dir, |port, dir| {
            let mut nghttpd = command("nghttpd".into(), &["--no-tls", "--address=127.0.0.1", "--htdocs"]);
            nghttpd.arg(dir.path()).args(flags).arg(port);
            nghttpd
        })
    }

    fn start(dir: Dir, make: impl Fn(&str, &Dir) -> Command) -> Self {
        let port = free_port();
        let process = Process::start(&mut make(&port.to_string(), &dir), &dir, "peer");
        wait_for_port(port);
        Self { process, dir, port }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Client {
    GrpcGo,
    GrpcPython,
    HttpGo,
    HttpNode,
    HttpPython,
    /// Breaks every rule, each on a connection of its own after one good call.
    Hostile,
}

impl Client {
    /// What it says after it has made these scenarios; the ids of its calls begin with `id`.
    pub fn run(self, port: u16, id: &str, scenarios: &[&str]) -> Vec<Said> {
        let output = self.command(port, id, scenarios).stdin(Stdio::null()).output();
        Said::of_output(id, output)
    }

    /// As `run`, with `meanwhile` while it waits in the scenario `hold`, for as long as `first` calls were made before.
    pub fn hold<T>(
        self,
        port: u16,
        id: &str,
        scenarios: &[&str],
        first: usize,
        meanwhile: impl FnOnce() -> T,
    ) -> (T, Vec<Said>) {
        let mut command = self.command(port, id, scenarios);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{id}: {error}"));
        let stdin: Option<ChildStdin> = child.stdin.take();
        // Its calls before the hold are over when it has said so.
        let mut lines = String::new();
        if let Some(stdout) = child.stdout.as_mut() {
            let mut stdout = std::io::BufReader::with_capacity(1, stdout);
            for _ in 0..first {
                let read = std::io::BufRead::read_line(&mut stdout, &mut lines);
                assert!(read.is_ok_and(|size| size > 0), "{id} ended before its hold: {lines}");
            }
        }
        let value = meanwhile();
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(b"go on\n");
        }
        let said = Said::of_output(id, child.wait_with_output());
        (value, said)
    }

    fn command(self, port: u16, id: &str, scenarios: &[&str]) -> Command {
        let script = |python: PathBuf, name: &str| (python, vec![path(name)]);
        let (program, first) = match self {
            Self::GrpcGo => (go(), vec!["grpc".to_owned()]),
            Self::HttpGo => (go(), vec!["http".to_owned()]),
            Self::GrpcPython => script(grpc_python(), "python/grpc_client.py"),
            Self::HttpPython => script(grpc_python(), "python/http_client.py"),
            Self::HttpNode => ("node".into(), vec![path("node/peer.js"), "client".to_owned()]),
            Self::Hostile => script(PYTHON.into(), "python/hostile.py"),
        };
        let mut command = Command::new("timeout");
        command.arg(TWO_MINUTES).arg(program).args(first).arg(format!("127.0.0.1:{port}")).arg(id).args(scenarios);
        command
    }
}

fn command(program: PathBuf, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

fn path(name: &str) -> String {
    format!("{}/peers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The program that is built from `peers/go`.
fn go() -> PathBuf {
    python::installed("TAPWIRE_TEST_GO_PEER", "peers/go-peer").unwrap_or_default()
}

/// The Python that has grpcio and httpx.
fn grpc_python() -> PathBuf {
    python::mcp().unwrap_or_default()
}

/// Whether a test with peers cannot run here, which it then says.
pub fn needs_peers(test: &str) -> bool {
    if needs_root(test) {
        return true;
    }
    let succeeds = |mut command: Command| command.output().is_ok_and(|output| output.status.success());
    let missing = [
        ("the Go peer", go().exists()),
        ("grpcio", succeeds(command(grpc_python(), &["-c", "import grpc, httpx, h2"]))),
        ("node", succeeds(command("node".into(), &["--version"]))),
        ("nghttp2", succeeds(command("nghttpd".into(), &["--version"]))),
    ];
    for (what, is_there) in missing {
        if !is_there {
            skip(test, &format!("{what} is missing; cargo xtask test installs it"));
            return true;
        }
    }
    false
}
