//! A broker, and the clients of `tests/peers/kafka`.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use tapwire_tests::{
    kafka,
    live::{Dir, PATIENCE, PYTHON, Process, TWO_MINUTES, free_port, json_lines, needs_root, skip, wait_until},
};

use super::said::Log;

/// A broker on loopback.
#[derive(Debug)]
pub struct Broker {
    pub port: u16,
    pub sasl_port: u16,
    controller_port: u16,
}

/// A broker that runs. It ends with this process, however that ends: broker.sh waits for the end of the pipe.
pub type Running = (Broker, Process, Dir);

/// The one of all tests that need no more.
pub fn broker() -> &'static Broker {
    static BROKER: OnceLock<Running> = OnceLock::new();
    &BROKER.get_or_init(|| start(None)).0
}

/// Alone, or as the second of a cluster.
pub fn start(first: Option<&Broker>) -> Running {
    let dir = Dir::new();
    let ports = [free_port(), free_port(), first.map_or_else(free_port, |first| first.controller_port)];
    let node = if first.is_none() { "1" } else { "2" };
    let out = |name: &str| fs::File::create(dir.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut command = Command::new("sh");
    command
        .arg(source("broker.sh"))
        .arg(kafka::libs())
        .arg(dir.path())
        .args(ports.map(|port| port.to_string()))
        .arg(node);
    command.stdin(Stdio::piped()).stdout(out("out")).stderr(out("err"));
    let mut process = Process(command.spawn().unwrap_or_else(|error| panic!("broker.sh: {error}")));
    let said = || ["out", "err"].map(|name| fs::read_to_string(dir.file(name)).unwrap_or_default());
    // It listens before it serves, and answers when it does.
    let up = wait_until(2 * PATIENCE, || {
        assert!(process.0.try_wait().is_ok_and(|ended| ended.is_none()), "the broker ended: {:?}", said());
        TcpStream::connect(("127.0.0.1", ports[0])).ok()
    });
    assert!(up.is_some(), "the broker is not up: {:?}", said());
    let [port, sasl_port, controller_port] = ports;
    (Broker { port, sasl_port, controller_port }, process, dir)
}

/// Whether a test with a broker cannot run here, which it then says.
pub fn needs_kafka(test: &str) -> bool {
    if needs_root(test) {
        return true;
    }
    let there = |program: &str, version: &str| Command::new(program).arg(version).output().is_ok();
    let missing = [
        ("the Kafka broker", kafka::libs().exists()),
        ("the Kafka client in Go", kafka::go_peer().exists()),
        ("java", there("java", "-version")),
        ("kcat", there("kcat", "-V")),
    ];
    for (what, is_there) in missing {
        if !is_there {
            skip(test, &format!("{what} is missing; cargo xtask test installs it"));
            return true;
        }
    }
    false
}

fn source(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/kafka")).join(name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Java,
    Go,
    Raw,
    Kcat,
}

impl Client {
    /// What it says after it has made these scenarios; the ids of its clients begin with `id`.
    pub fn run(self, broker: &Broker, id: &str, scenarios: &[&str]) -> Log {
        let output = self.command(broker, id, scenarios).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{id}: {error}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{id}: {}: {stderr}", output.status);
        let log = if self == Self::Kcat { &output.stderr } else { &output.stdout };
        self.said(log)
    }

    /// What it says, with `meanwhile` after its first calls, while its connection is open and at rest.
    pub fn hold<T>(self, broker: &Broker, id: &str, meanwhile: impl FnOnce() -> T) -> (T, Log) {
        let mut command = self.command(broker, id, &["hold"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{id}: {error}"));
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            panic!("{id}: no pipes");
        };
        let mut stdout = BufReader::new(stdout);
        let mut log = String::new();
        while !log.ends_with("# held\n") && !log.ends_with("{\"held\": true}\n") {
            let read = stdout.read_line(&mut log);
            assert!(read.is_ok_and(|size| size > 0), "{id} ended before its hold: {log}");
        }
        let value = meanwhile();
        stdin.write_all(b"\n").unwrap_or_else(|error| panic!("{id}: {error}"));
        drop(stdin);
        stdout.read_to_string(&mut log).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(child.wait().is_ok_and(|status| status.success()), "{id}: {log}");
        (value, self.said(log.as_bytes()))
    }

    fn command(self, broker: &Broker, id: &str, scenarios: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.arg(TWO_MINUTES);
        match self {
            Self::Java => {
                let config = source("log4j2.client.properties");
                command.args(["java", "-XX:TieredStopAtLevel=1", "-Xmx256m"]);
                command.arg(format!("-Dlog4j2.configurationFile={}", config.display()));
                command.arg("-cp").arg(kafka::libs().join("*")).arg(source("KafkaClient.java"));
            }
            Self::Go => {
                command.arg(kafka::go_peer());
            }
            Self::Raw => {
                command.arg(PYTHON).arg(source("raw.py"));
            }
            Self::Kcat => {
                command.arg("sh").arg(source("kcat.sh"));
            }
        }
        command.arg(format!("127.0.0.1:{}", broker.port));
        if matches!(self, Self::Java | Self::Raw) {
            command.arg(format!("127.0.0.1:{}", broker.sasl_port));
        }
        command.arg(id).args(scenarios);
        command
    }

    /// What `said.py` reads out of a log.
    fn said(self, log: &[u8]) -> Log {
        let kind = format!("{self:?}").to_lowercase();
        let dir = Dir::new();
        let file = fs::File::open(dir.write("log", log)).unwrap_or_else(|error| panic!("log: {error}"));
        let output = Command::new(PYTHON).arg(source("said.py")).arg(&kind).stdin(file).output();
        let output = output.unwrap_or_else(|error| panic!("said.py: {error}"));
        assert!(output.status.success(), "said.py {kind}: {}", String::from_utf8_lossy(&output.stderr));
        Log::of(&json_lines(&String::from_utf8_lossy(&output.stdout)))
    }
}
