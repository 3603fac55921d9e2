//! Kafka on the real kernel, between a broker and four clients: each call compared with what the client's own log says of
//! it. Needs root's rights and the peers, which `cargo xtask test` installs; says so and passes without them.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tapwire_tests::live::{
    Agent, Dir, PATIENCE, PYTHON, Process, TWO_MINUTES, free_port, json_lines, needs_root, skip, wait_until,
};

const JAVA: [&str; 11] = [
    "acks",
    "compression",
    "idempotent",
    "transaction",
    "classic",
    "consumer",
    "admin",
    "errors",
    "large",
    "pipeline",
    "sasl",
];
const GO: [&str; 6] = ["produce", "group", "consumer", "transaction", "admin", "versions"];
const RAW: [&str; 5] = ["pipeline", "unanswered", "versions", "errors", "split"];

/// The calls between two lines on stdin of the scenario `hold`.
const HELD: usize = 10;
/// The first calls after a join may be what the agent finds the frames by.
const LOST_BY_JOIN: usize = 1;
/// Failures show this many differences.
const SHOWN: usize = 30;

/// A broker that loses its data with the value.
struct Broker {
    _process: Process,
    _dir: Dir,
    port: u16,
    sasl_port: u16,
}

impl Broker {
    fn start() -> Self {
        let dir = Dir::new();
        let ports = [free_port(), free_port(), free_port()];
        let mut command = Command::new("sh");
        command
            .arg(source("broker.sh"))
            .arg(installed("libs"))
            .arg(dir.path())
            .args(ports.map(|port| port.to_string()));
        let process = Process::start(&mut command, &dir, "broker");
        // It listens before it serves, and answers when it does.
        let up = wait_until(2 * PATIENCE, || TcpStream::connect(("127.0.0.1", ports[0])).ok());
        assert!(up.is_some(), "the broker is not up: {:?}", std::fs::read_to_string(dir.file("broker.out")));
        Self { _process: process, _dir: dir, port: ports[0], sasl_port: ports[1] }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Java,
    Go,
    Raw,
    Kcat,
}

impl Client {
    fn command(self, broker: &Broker, id: &str, scenarios: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.arg(TWO_MINUTES);
        match self {
            Self::Java => {
                let config = source("log4j2.client.properties");
                let libs = installed("libs");
                command.args(["java", "-XX:TieredStopAtLevel=1", "-Xmx256m"]);
                command.arg(format!("-Dlog4j2.configurationFile={}", config.display()));
                command.arg("-cp").arg(format!("{}/*", libs.display())).arg(source("KafkaClient.java"));
            }
            Self::Go => {
                command.arg(installed("kafka-peer"));
            }
            Self::Raw => {
                command.arg(PYTHON).arg(source("raw.py"));
            }
            Self::Kcat => {
                command.arg("sh").arg(source("kcat.sh"));
            }
        }
        command.arg(format!("127.0.0.1:{}", broker.port));
        if self == Self::Java {
            command.arg(format!("127.0.0.1:{}", broker.sasl_port));
        }
        command.arg(id).args(scenarios);
        command
    }

    /// What it says after it has made these scenarios; the ids of its clients begin with `id`.
    fn run(self, broker: &Broker, id: &str, scenarios: &[&str]) -> Vec<Said> {
        let output = self.command(broker, id, scenarios).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{id}: {error}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{id}: {}: {stderr}", output.status);
        let log = if self == Self::Kcat { &output.stderr } else { &output.stdout };
        self.said(log)
    }

    /// What it says, with `meanwhile` after its first calls, while its connection is open and at rest.
    fn hold(self, broker: &Broker, id: &str, meanwhile: impl FnOnce()) -> Vec<Said> {
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
        meanwhile();
        stdin.write_all(b"\n").unwrap_or_else(|error| panic!("{id}: {error}"));
        drop(stdin);
        stdout.read_to_string(&mut log).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(child.wait().is_ok_and(|status| status.success()), "{id}: {log}");
        self.said(log.as_bytes())
    }

    /// What `said.py` reads out of a log.
    fn said(self, log: &[u8]) -> Vec<Said> {
        let kind = format!("{self:?}").to_lowercase();
        let dir = Dir::new();
        let file = std::fs::File::open(dir.write("log", log)).unwrap_or_else(|error| panic!("log: {error}"));
        let output = Command::new(PYTHON).arg(source("said.py")).arg(&kind).stdin(file).output();
        let output = output.unwrap_or_else(|error| panic!("said.py: {error}"));
        assert!(output.status.success(), "said.py {kind}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = json_lines(&String::from_utf8_lossy(&output.stdout));
        lines.iter().filter(|line| line["client_id"].is_string()).map(Said::of).collect()
    }
}

/// One call as its client logged it. What the log does not have is None.
#[derive(Clone, Debug)]
struct Said {
    key: Key,
    topics: Option<Vec<String>>,
    errors: Option<Vec<i64>>,
}

/// Client id, name of the API key, version, correlation id. Not unique: connections of a client may count alike.
type Key = (String, String, i64, i64);

impl Said {
    fn of(line: &Value) -> Self {
        let key = key_of(line, "client_id", "api_key_name", "api_version", "correlation_id");
        let errors = line["error_codes"].as_array().map(|codes| codes.iter().filter_map(Value::as_i64).collect());
        Self { key, topics: topics_of(&line["topics"]), errors }
    }

    fn of_client(&self, suffix: &str) -> bool {
        self.key.0.ends_with(suffix)
    }
}

fn key_of(value: &Value, client: &str, name: &str, version: &str, correlation: &str) -> Key {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let number = |field: &str| value[field].as_i64().unwrap_or(-1);
    (text(client), text(name), number(version), number(correlation))
}

fn topics_of(value: &Value) -> Option<Vec<String>> {
    let mut topics: Vec<_> = value.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    topics.sort();
    topics.dedup();
    Some(topics)
}

/// Where what `cargo xtask test` builds of `tests/peers/kafka` is: `libs`, and `kafka-peer`.
fn installed(name: &str) -> PathBuf {
    let target = || std::env::current_exe().ok()?.ancestors().nth(3).map(|target| target.join("peers/kafka"));
    std::env::var_os("TAPWIRE_TEST_KAFKA").map(PathBuf::from).or_else(target).unwrap_or_default().join(name)
}

fn source(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/kafka")).join(name)
}

/// Whether a test with a broker cannot run here, which it then says.
fn needs_kafka(test: &str) -> bool {
    if needs_root(test) {
        return true;
    }
    let missing = !installed("libs").exists() || !installed("kafka-peer").exists();
    if missing {
        skip(test, "needs the Kafka peers");
    }
    missing
}

/// The calls of the clients whose ids begin so. The broker calls itself, too.
fn of(broker: &Broker, id: &str) -> String {
    let Broker { port, sasl_port, .. } = broker;
    format!("(dst.port == {port} || dst.port == {sasl_port}) && kafka_client_id.startsWith(\"{id}-\")")
}

/// Waits until the calls are there, and holds them against what was said: all of them, none else, no value wrong.
fn assert_said(agent: &Agent, kfl: &str, said: &[Said], may_lack: usize, joined: bool) {
    assert!(!said.is_empty(), "the client made no call");
    let least = said.len() - may_lack;
    wait_until(PATIENCE, || (agent.calls(kfl).len() >= least).then_some(()));
    // One too many, or a last revision, would come within a few publishing intervals of 100 ms.
    std::thread::sleep(Duration::from_millis(500));
    let calls = agent.calls(kfl);
    let mut left: BTreeMap<Key, Vec<&Said>> = BTreeMap::new();
    for said in said {
        left.entry(said.key.clone()).or_default().push(said);
    }
    let mut differences = Vec::new();
    for call in &calls {
        let key = key_of(call, "kafka_client_id", "kafka_api_key_name", "kafka_api_version", "kafka_correlation_id");
        // Calls with one key differ in nothing that their client logs.
        match left.get_mut(&key).and_then(Vec::pop) {
            None => differences.push(format!("nobody said: {call}")),
            Some(said) => differences.extend(differs(call, said, joined)),
        }
    }
    let lacking: Vec<_> = left.into_values().flatten().collect();
    if lacking.len() > may_lack {
        differences.extend(lacking.iter().map(|said| format!("no record: {said:?}")));
    }
    let shown = differences[..differences.len().min(SHOWN)].join("\n");
    assert!(differences.is_empty(), "{} of {} differ:\n{shown}\nagent: {}", differences.len(), said.len(), agent.log());
}

fn differs(call: &Value, said: &Said, joined: bool) -> Option<String> {
    let (topics, error) = (topics_of(&call["kafka_topics"]).unwrap_or_default(), call["kafka_error_code"].as_i64());
    // As of Produce 13 and Fetch 13 a topic is a number, whose name was on the wire before the agent came.
    let unnamed = joined && topics.is_empty();
    if said.topics.as_ref().is_some_and(|said| *said != topics) && !unnamed {
        return Some(format!("topics {topics:?}, said {said:?}"));
    }
    let right = match said.errors.as_deref() {
        None => true,
        Some([]) => error.is_none_or(|error| error == 0),
        Some(codes) => error.is_some_and(|error| codes.contains(&error)),
    };
    (!right).then(|| format!("error {error:?}, said {said:?}"))
}

/// The agent is there first.
fn agent_first(broker: &Broker, client: Client, id: &str, scenarios: &[&str]) {
    let agent = Agent::start(&[]);
    let said = client.run(broker, id, scenarios);
    assert_said(&agent, &of(broker, id), &said, 0, false);
}

/// The client that holds its connection, of which the agent knows nothing before its start.
fn connection_first(broker: &Broker, client: Client, id: &str, suffix: &str) {
    let mut agent = None;
    let said = client.hold(broker, id, || agent = Some(Agent::start(&[])));
    let agent = agent.unwrap_or_else(|| panic!("not started"));
    let said: Vec<_> = said.into_iter().filter(|said| said.of_client(suffix)).collect();
    let kfl = format!("{} && kafka_client_id.endsWith(\"{suffix}\")", of(broker, id));
    assert_said(&agent, &kfl, &said[said.len() - HELD..], LOST_BY_JOIN, true);
}

/// One agent goes while the connection is open, another comes.
fn agent_again(broker: &Broker, client: Client, id: &str, suffix: &str) {
    let kfl = format!("{} && kafka_client_id.endsWith(\"{suffix}\")", of(broker, id));
    let first = Agent::start(&[]);
    let (mut second, mut seen) = (None, 0);
    let said = client.hold(broker, id, || {
        wait_until(PATIENCE, || (first.calls(&kfl).len() >= HELD).then_some(()));
        // The last would come within a few publishing intervals of 100 ms.
        std::thread::sleep(Duration::from_millis(500));
        seen = first.calls(&kfl).len();
        drop(first);
        second = Some(Agent::start(&[]));
    });
    let said: Vec<_> = said.into_iter().filter(|said| said.of_client(suffix)).collect();
    assert_eq!(seen, said.len() - HELD, "calls of the first agent");
    let second = second.unwrap_or_else(|| panic!("not started"));
    assert_said(&second, &kfl, &said[said.len() - HELD..], LOST_BY_JOIN, true);
}

/// The suffix of the client that holds.
const HOLDERS: [(Client, &str); 3] =
    [(Client::Java, "-hold-producer"), (Client::Go, "-hold-producer"), (Client::Raw, "-hold")];

#[test]
fn the_java_client() {
    if needs_kafka("the_java_client") {
        return;
    }
    agent_first(&Broker::start(), Client::Java, "java", &JAVA);
}

#[test]
fn franz_go() {
    if needs_kafka("franz_go") {
        return;
    }
    agent_first(&Broker::start(), Client::Go, "go", &GO);
}

#[test]
fn librdkafka_and_a_thousand_requests_at_once() {
    if needs_kafka("librdkafka_and_a_thousand_requests_at_once") {
        return;
    }
    let broker = Broker::start();
    agent_first(&broker, Client::Raw, "raw", &RAW);
    // Its topic is the one that raw.py makes.
    Client::Raw.run(&broker, "setup", &[]);
    agent_first(&broker, Client::Kcat, "kcat", &["setup-raw"]);
}

#[test]
fn connections_older_than_the_agent() {
    if needs_kafka("connections_older_than_the_agent") {
        return;
    }
    let broker = Broker::start();
    for (client, suffix) in HOLDERS {
        connection_first(&broker, client, &format!("{client:?}-late"), suffix);
        agent_again(&broker, client, &format!("{client:?}-again"), suffix);
    }
}
