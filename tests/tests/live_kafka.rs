//! Kafka on the real kernel, between a broker and four clients: each call compared with what the client's own log says of
//! it. Needs root's rights and the peers, which `cargo xtask test` installs; says so and passes without them.

#[path = "live_kafka/peers.rs"]
mod peers;
#[path = "live_kafka/said.rs"]
mod said;

use std::time::Duration;

use peers::{Broker, Client, broker, needs_kafka, start};
use said::{Known, assert_said};
use serde_json::Value;
use tapwire_tests::live::{Agent, PATIENCE, json_lines, wait_until};

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
const RAW: [&str; 6] = ["pipeline", "unanswered", "versions", "errors", "split", "sasl"];

/// The password of SASL's PLAIN in `server.properties`, and the whole token in base64, as bytes are shown.
const SECRETS: [&str; 2] = ["tester-password", "AHRlc3RlcgB0ZXN0ZXItcGFzc3dvcmQ="];

/// The calls between two lines on stdin of the scenario `hold`.
const HELD: usize = 10;

/// The suffix of the client that holds.
const HOLDERS: [(Client, &str); 3] =
    [(Client::Java, "-hold-producer"), (Client::Go, "-hold-producer"), (Client::Raw, "-hold")];

/// The calls of the clients whose ids begin so. The broker calls itself, too.
fn of(broker: &Broker, id: &str) -> String {
    let Broker { port, sasl_port, .. } = broker;
    format!("(dst.port == {port} || dst.port == {sasl_port}) && kafka_client_id.startsWith(\"{id}-\")")
}

/// Those of the one that holds.
fn of_holder(broker: &Broker, id: &str, suffix: &str) -> String {
    format!("{} && kafka_client_id.endsWith(\"{suffix}\")", of(broker, id))
}

/// The agent is there first.
fn agent_first(client: Client, id: &str, scenarios: &[&str]) {
    let agent = Agent::start(&[]);
    let log = client.run(broker(), id, scenarios);
    assert_said(&agent, &of(broker(), id), &log, Known::All);
    if scenarios.contains(&"sasl") {
        assert_no_password(&agent);
    }
    if scenarios.contains(&"classic") {
        assert_summaries(&agent, id);
    }
}

/// By topic and by group, as users ask.
fn assert_summaries(agent: &Agent, id: &str) {
    let groups = |kfl: &str, field: &str| -> Vec<Value> {
        let kfl = format!("{} && {kfl}", of(broker(), id));
        json_lines(&agent.answer(&["stats", "--kfl", &kfl, "--group-by", field]))
    };
    let topics = groups("kafka_api_key_name in [\"PRODUCE\", \"FETCH\"]", "kafka_topics");
    let named = topics.iter().filter(|group| group["key"]["kafka_topics"].is_string());
    let said = named.filter(|group| group["count"].as_u64() > Some(0) && group["request_bytes"].as_u64() > Some(0));
    assert!(said.count() > 1, "{topics:?}");
    // What the members of a group told each other in bytes.
    let call = |api: &str| {
        agent.calls(&format!("{} && kafka_api_key_name == \"{api}\" && kafka_error_code == 0", of(broker(), id)))
    };
    let joins = call("JOIN_GROUP");
    assert!(!joins.is_empty() && joins.iter().all(|call| call["kafka_topics"][0].is_string()), "{joins:?}");
    assert!(call("SYNC_GROUP").iter().any(|call| call["kafka_partitions"][0].is_string()));
    // Of the old protocol and of the new.
    for api in ["JOIN_GROUP", "CONSUMER_GROUP_HEARTBEAT"] {
        let rebalances = groups(&format!("kafka_rebalance && kafka_api_key_name == \"{api}\""), "kafka_group_id");
        let grouped = rebalances.iter().filter(|group| group["key"]["kafka_group_id"].is_string());
        assert!(grouped.count() > 0, "{api}: {rebalances:?}");
    }
}

/// In no call to the port of SASL, whichever client's. Tokens without a header have no client id.
fn assert_no_password(agent: &Agent) {
    let calls = agent.calls(&format!("dst.port == {}", broker().sasl_port));
    assert!(!calls.is_empty(), "nobody authenticated");
    for call in calls {
        let all = agent.call(&call).to_string();
        assert!(!SECRETS.iter().any(|secret| all.contains(secret)), "a password: {all}");
    }
}

/// The client that holds its connection, of which the agent knows nothing before its start.
fn connection_first(client: Client, id: &str, suffix: &str) {
    let (agent, log) = client.hold(broker(), id, || Agent::start(&[]));
    let (_, after) = log.of_client(suffix).split(HELD);
    assert_said(&agent, &of_holder(broker(), id, suffix), &after, Known::Joined);
}

/// One agent goes while the connection is open, another comes.
fn agent_again(client: Client, id: &str, suffix: &str) {
    let kfl = of_holder(broker(), id, suffix);
    let first = Agent::start(&[]);
    let ((calls, second), log) = client.hold(broker(), id, || {
        wait_until(PATIENCE, || (first.calls(&kfl).len() >= HELD).then_some(()));
        // The last would come within a few publishing intervals of 100 ms.
        std::thread::sleep(Duration::from_millis(500));
        let calls = first.calls(&kfl);
        drop(first);
        (calls, Agent::start(&[]))
    });
    let (before, after) = log.of_client(suffix).split(HELD);
    let differences = before.differences(&calls, Known::All);
    assert!(differences.is_empty(), "of the first agent:\n{}", differences.join("\n"));
    assert_said(&second, &kfl, &after, Known::Joined);
}

#[test]
fn the_java_client() {
    if !needs_kafka("the_java_client") {
        agent_first(Client::Java, "java", &JAVA);
    }
}

#[test]
fn franz_go() {
    if !needs_kafka("franz_go") {
        agent_first(Client::Go, "go", &GO);
    }
}

#[test]
fn a_thousand_requests_at_once() {
    if !needs_kafka("a_thousand_requests_at_once") {
        agent_first(Client::Raw, "raw", &RAW);
    }
}

#[test]
fn librdkafka() {
    if !needs_kafka("librdkafka") {
        // Its topic is the one that raw.py makes.
        Client::Raw.run(broker(), "setup", &[]);
        agent_first(Client::Kcat, "kcat", &["setup-raw"]);
    }
}

#[test]
fn a_broker_that_does_not_lead() {
    if needs_kafka("a_broker_that_does_not_lead") {
        return;
    }
    let first = start(None);
    // The topic's one partition is where there is a broker.
    Client::Raw.run(&first.0, "leader", &[]);
    let second = start(Some(&first.0));
    let agent = Agent::start(&[]);
    let log = Client::Raw.run(&second.0, "second", &["elsewhere"]);
    let kfl = of(&second.0, "second");
    assert_said(&agent, &kfl, &log, Known::All);
    let calls = agent.calls(&format!("{kfl} && kafka_error == \"NOT_LEADER_OR_FOLLOWER\""));
    assert!(!calls.is_empty() && calls.iter().all(|call| call["kafka_topics"][0] == "leader-raw"), "{calls:?}");
}

#[test]
fn connections_older_than_the_agent() {
    if !needs_kafka("connections_older_than_the_agent") {
        for (client, suffix) in HOLDERS {
            connection_first(client, &format!("{client:?}-late"), suffix);
        }
    }
}

#[test]
fn an_agent_that_starts_again() {
    if !needs_kafka("an_agent_that_starts_again") {
        for (client, suffix) in HOLDERS {
            agent_again(client, &format!("{client:?}-again"), suffix);
        }
    }
}
