//! Whole connections, by bytes made here; bodies of all versions are held to Kafka's own classes in `tests/`.

use super::keys::{CONSUMER_GROUP_HEARTBEAT, JOIN_GROUP, METADATA, SASL_HANDSHAKE, SYNC_GROUP};
use crate::{
    coverage::Reason,
    dissect::{
        Carried, Direction, Exchange, Relief, Value,
        tests::{Step, client, run_with, server, timed},
    },
    flow::Ending,
};

const MAX_BODY: usize = 64 << 10;

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn request(key: i16, version: i16, id: i32, body: &[u8]) -> Vec<u8> {
    framed(&[&key.to_be_bytes(), &version.to_be_bytes(), &id.to_be_bytes(), &text("app"), body])
}

fn answer(id: i32, body: &[u8]) -> Vec<u8> {
    framed(&[&id.to_be_bytes(), body])
}

/// A batch of magic 2 with one record, whose value has this size.
fn batch(value: usize) -> Vec<u8> {
    let zigzag = |value: usize| -> Vec<u8> {
        let mut rest = value << 1;
        let mut out = Vec::new();
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
        out
    };
    let record = [&[0, 0, 0, 1][..], &zigzag(value), &vec![b'v'; value], &[0]].concat();
    let records = [zigzag(record.len()), record].concat();
    let mut out = vec![0; 8];
    out.extend((49 + records.len() as i32).to_be_bytes());
    out.extend([0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
    out.extend([0, 0, 0, 0]);
    out.extend([0; 16]);
    out.extend([0xff; 14]);
    out.extend(1_i32.to_be_bytes());
    out.extend(records);
    out
}

/// Version 3: to partition 0 of `orders`.
fn produce(id: i32, acks: i16, records: &[u8]) -> Vec<u8> {
    let body = [
        &[0xff, 0xff][..],
        &acks.to_be_bytes(),
        &1000_i32.to_be_bytes(),
        &1_i32.to_be_bytes(),
        &text("orders"),
        &1_i32.to_be_bytes(),
        &0_i32.to_be_bytes(),
        &(records.len() as i32).to_be_bytes(),
        records,
    ]
    .concat();
    request(0, 3, id, &body)
}

fn produced(id: i32, error: i16) -> Vec<u8> {
    let body = [
        &1_i32.to_be_bytes()[..],
        &text("orders"),
        &1_i32.to_be_bytes(),
        &0_i32.to_be_bytes(),
        &error.to_be_bytes(),
        &[0; 16],
        &7_i32.to_be_bytes(),
    ]
    .concat();
    answer(id, &body)
}

fn run(steps: &[Step]) -> Vec<Exchange> {
    run_with(&timed(steps), false, MAX_BODY).exchanges
}

fn field<'a>(exchange: &'a Exchange, name: &str) -> Value<'a> {
    let field = exchange.protocol.fields().find(|field| field.name == name).expect("a field");
    (field.get)(exchange)
}

fn int(exchange: &Exchange, name: &str) -> Option<i64> {
    match field(exchange, name) {
        Value::Int(value) => Some(value),
        _ => None,
    }
}

fn shown(exchange: &Exchange, name: &str) -> String {
    match field(exchange, name) {
        Value::Text(text) => text.into_owned(),
        Value::TextList(list) => list.join(","),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_call_is_told_with_its_topic_and_error() {
    let calls = run(&[client(produce(1, -1, &batch(3))), server(produced(1, 6))]);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(call.protocol.name, "kafka");
    assert_eq!([int(call, "kafka_api_key"), int(call, "kafka_error_code")], [Some(0), Some(6)]);
    assert_eq!([int(call, "kafka_record_count"), int(call, "kafka_throttle_time_ms")], [Some(1), Some(7)]);
    assert_eq!(shown(call, "kafka_topics"), "orders");
    assert_eq!(shown(call, "kafka_partitions"), "orders-0");
    assert_eq!(shown(call, "kafka_error"), "NOT_LEADER_OR_FOLLOWER");
    assert_eq!(shown(call, "kafka_request_summary"), "PRODUCE v3 orders[0] records=1 acks=-1");
}

#[test]
fn pipelined_calls_are_paired_by_their_ids() {
    let mut steps: Vec<Step> = (0..1000).map(|id| client(produce(id, 1, &batch(3)))).collect();
    steps.extend((0..1000).map(|id| server(produced(id, (id % 7) as i16))));
    let calls = run(&steps);
    assert_eq!(calls.len(), 1000);
    for (id, call) in (0..).zip(&calls) {
        assert_eq!([int(call, "kafka_correlation_id"), int(call, "kafka_error_code")], [Some(id), Some(id % 7)]);
    }
}

#[test]
fn a_produce_without_acknowledgement_is_over_at_once() {
    let calls = run(&[client(produce(1, 0, &batch(3))), client(produce(2, 1, &batch(3))), server(produced(2, 0))]);
    let over: Vec<_> = calls.iter().map(|call| (call.response.is_some(), call.findings.clone())).collect();
    assert_eq!(over, [(false, vec!["no_answer_wanted"]), (true, vec![])]);
}

#[test]
fn large_records_are_passed_over_and_counted() {
    let bytes = produce(1, 1, &batch(5 << 20));
    let mut steps: Vec<Step> = bytes.chunks(1 << 16).map(client).collect();
    steps.push(server(produced(1, 0)));
    let run = run_with(&timed(&steps), false, MAX_BODY);
    let call = &run.exchanges[0];
    assert_eq!(int(call, "kafka_record_count"), Some(1));
    assert_eq!(int(call, "kafka_request_size"), Some(bytes.len() as i64 - 4));
    assert!(run.conversation.held_bytes() < 4096);
}

#[test]
fn bytes_missing_in_records_harm_only_those() {
    let bytes = produce(1, 1, &batch(1000));
    let lost = Step::Gap(Direction::ToServer, 300, Reason::RingFull);
    let calls = run(&[client(&bytes[..500]), lost, client(&bytes[800..]), server(produced(1, 0))]);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(shown(call, "kafka_topics"), "orders");
    assert_eq!([int(call, "kafka_record_count"), int(call, "kafka_error_code")], [Some(1), Some(0)]);
    assert_eq!(call.incomplete.lost.total(), 300);
}

#[test]
fn an_answer_to_what_was_not_seen_stays_closed() {
    // The first request is lost, so its answer is known by its id only.
    let first = produce(1, 1, &batch(3));
    let lost = Step::Gap(Direction::ToServer, first.len() as u64, Reason::RingFull);
    let opening = client(request(18, 0, 0, b""));
    let opened = server(answer(0, &[0; 6]));
    let second = client(produce(2, 1, &batch(3)));
    let calls = run(&[opening, opened, lost, server(produced(1, 3)), second, server(produced(2, 0))]);
    let unseen: Vec<_> = calls
        .iter()
        .map(|call| (int(call, "kafka_correlation_id"), call.request.is_some(), int(call, "kafka_error_code")))
        .collect();
    assert_eq!(unseen, [(Some(0), true, Some(0)), (Some(1), false, None), (Some(2), true, Some(0))]);
    assert_eq!(calls[1].findings, ["request_not_seen"]);
}

#[test]
fn ids_that_repeat_are_not_paired_after_a_loss() {
    let opening = [client(request(18, 0, 9, b"")), server(answer(9, &[0; 6]))];
    let lost = Step::Gap(Direction::ToClient, produced(5, 0).len() as u64, Reason::RingFull);
    let twice = [client(produce(5, 1, &batch(3))), lost, client(produce(5, 1, &batch(3))), server(produced(5, 3))];
    let calls = run(&[&opening[..], &twice].concat());
    assert!(calls.iter().all(|call| int(call, "kafka_error_code") != Some(3)), "{calls:?}");
}

#[test]
fn an_unknown_version_leaves_the_body_closed() {
    let newer = client(request(3, 99, 1, b"anything"));
    let opening = [client(request(18, 0, 0, b"")), server(answer(0, &[0; 6]))];
    let known = [client(produce(2, 1, &batch(3))), server(produced(2, 0))];
    let calls = run(&[&opening[..], &[newer, server(answer(1, b"something"))], &known].concat());
    assert_eq!(int(&calls[1], "kafka_api_version"), Some(99));
    assert_eq!(
        (shown(&calls[1], "kafka_api_key_name").as_str(), &calls[1].findings[..]),
        ("METADATA", &["unknown_version"][..])
    );
    assert_eq!(int(&calls[1], "kafka_error_code"), None);
    assert_eq!(int(&calls[2], "kafka_error_code"), Some(0), "the connection goes on");
}

#[test]
fn api_versions_that_is_refused_is_answered_as_version_0() {
    let refused = answer(1, &[&35_i16.to_be_bytes()[..], &1_i32.to_be_bytes(), &[0, 18, 0, 0, 0, 4]].concat());
    let asked = framed(&[&[0, 18, 0, 4, 0, 0, 0, 1], &text("app"), &[0], b"\x05name\x020\0"]);
    let calls = run(&[client(asked), server(refused)]);
    assert_eq!(shown(&calls[0], "kafka_error"), "UNSUPPORTED_VERSION");
    assert!(calls[0].findings.is_empty(), "{:?}", calls[0].findings);
}

#[test]
fn tokens_after_an_old_handshake_are_no_requests() {
    let handshake = client(request(17, 0, 1, &text("PLAIN")));
    let accepted = server(answer(1, &[0, 0, 0, 0, 0, 1, 0, 5, b'P', b'L', b'A', b'I', b'N']));
    let token = client(framed(&[b"\0user\0secret"]));
    let done = server(framed(&[]));
    let known = [client(produce(2, 1, &batch(3))), server(produced(2, 0))];
    let calls = run(&[&[handshake, accepted, token, done][..], &known].concat());
    assert_eq!(calls.len(), 3);
    assert_eq!(
        (shown(&calls[1], "kafka_request_summary").as_str(), &calls[1].findings[..]),
        ("SASL token", &["sasl_token"][..])
    );
    assert!(!format!("{:?}", calls[1]).contains("secret"));
    assert_eq!(int(&calls[2], "kafka_error_code"), Some(0));
}

#[test]
fn who_answers_something_else_is_not_kafka() {
    let run = run_with(&timed(&[client(request(18, 0, 1, b"")), server(answer(77, b"what is that"))]), false, MAX_BODY);
    assert!(run.exchanges.is_empty(), "{:?}", run.exchanges);
    assert!(run.counters.undecoded.get(Reason::UnknownProtocol) > 0);
}

#[test]
fn hostile_numbers_cost_nothing_and_the_next_call_is_read() {
    // 2^31 - 1 topics; a text of 32 KiB in a body of 20 bytes; a batch of 2^31 - 1 records.
    let topics = request(3, 1, 1, &i32::MAX.to_be_bytes());
    let long = request(3, 1, 2, &[0, 0, 0, 1, 0x7f, 0xff]);
    let mut claims = batch(3);
    claims[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    let steps = [
        client(topics),
        server(answer(1, b"")),
        client(long),
        server(answer(2, b"")),
        client(produce(3, 1, &claims)),
        server(produced(3, 0)),
        client(produce(4, 1, &batch(3))),
        server(produced(4, 0)),
        Step::End(Direction::ToClient, Ending::Fin),
    ];
    let opening = [client(request(18, 0, 0, b"")), server(answer(0, &[0; 6]))];
    let run = run_with(&timed(&[&opening[..], &steps].concat()), false, MAX_BODY);
    let findings: Vec<_> = run.exchanges.iter().map(|call| call.findings.first().copied()).collect();
    assert_eq!(findings, [None, Some("array_length"), Some("length"), Some("records_count"), None]);
    assert_eq!(int(&run.exchanges[3], "kafka_record_count"), None);
    assert!(!run.counters.malformed.is_empty());
}

#[test]
fn requests_that_wait_hold_no_more_than_the_limit() {
    // Each keeps some 60 kB of text.
    let steps: Vec<Step> = (0..200).map(|id| client(produce(id, 1, &batch(60_000)))).collect();
    let mut run = run_with(&timed(&steps), false, MAX_BODY);
    assert!(run.conversation.held_bytes() < 5 << 20, "{}", run.conversation.held_bytes());
    let [("memory_limit", 100..200)] = run.counters.limits[..] else { panic!("{:?}", run.counters.limits) };
    assert!(run.exchanges.is_empty(), "their answers may still come");
    run.conversation.relieve(Relief::Messages, &mut run.counters, &mut run.exchanges);
    assert!(run.conversation.held_bytes() < 256 << 10, "{}", run.conversation.held_bytes());
}

#[test]
fn calls_are_paired_though_what_they_carry_is_too_much() {
    let mut steps: Vec<Step> = (0..200).map(|id| client(produce(id, 1, &batch(60_000)))).collect();
    steps.extend((0..200).map(|id| server(produced(id, 6))));
    let calls = run(&steps);
    let right = |call: &&Exchange| shown(call, "kafka_topics") == "orders" && int(call, "kafka_error_code") == Some(6);
    assert_eq!((calls.len(), calls.iter().filter(right).count()), (200, 200));
    assert!(calls.iter().filter(|call| call.findings == ["memory_limit"]).count() > 100);
}

#[test]
fn answers_to_what_was_given_up_leave_the_others_readable() {
    let flood = 5000;
    let mut steps: Vec<Step> = (0..flood).map(|id| client(produce(id, 1, &batch(1)))).collect();
    // All in one turn: nothing is found again in between.
    steps.extend((0..flood).map(|id| server(produced(id, 6))));
    let calls = run_with(&timed(&steps), false, 0).exchanges;
    let count = |which: &dyn Fn(&Exchange) -> bool| calls.iter().filter(|call| which(call)).count();
    let answered = count(&|call| call.request.is_some() && int(call, "kafka_error_code") == Some(6));
    let given_up = count(&|call| call.findings.contains(&"outstanding_limit"));
    assert_eq!((answered, given_up), (4096, flood as usize - 4096));
    assert_eq!(count(&|call| call.findings == ["request_not_seen"]), given_up);
}

#[test]
fn a_token_is_none_of_our_business_though_the_handshakes_answer_was_not_seen() {
    // Read as a request, the user's name would be an API, and the password the client's name.
    let token = framed(&[b"\0service\0", &[b'1'; 65]]);
    let handshake = client(request(SASL_HANDSHAKE, 0, 1, &text("PLAIN")));
    for steps in [
        vec![handshake.clone(), client(token.clone())],
        vec![
            handshake.clone(),
            Step::Gap(Direction::ToClient, 21, Reason::RingFull),
            client(token.clone()),
            server(framed(&[b""])),
        ],
    ] {
        let all = [&[client(request(18, 0, 0, b"")), server(answer(0, &[0; 6]))][..], &steps].concat();
        let end = [Step::End(Direction::ToServer, Ending::Fin), Step::End(Direction::ToClient, Ending::Fin)];
        let calls = run(&[&all[..], &end].concat());
        assert!(!format!("{calls:?}").contains("1111"), "{calls:?}");
        assert!(calls.iter().any(|call| call.findings.contains(&"sasl_token")), "{calls:?}");
    }
}

#[test]
fn a_token_that_looks_like_a_header_is_none() {
    let handshake = client(request(17, 0, 1, &text("PLAIN")));
    let accepted = server(answer(1, &[0, 0, 0, 0, 0, 1, 0, 5, b'P', b'L', b'A', b'I', b'N']));
    let token = client(framed(&[b"\0Tapwire\0", b"0", &[b'p'; 48]]));
    let calls = run(&[
        handshake,
        accepted,
        token,
        server(framed(&[])),
        client(produce(2, 1, &batch(3))),
        server(produced(2, 0)),
    ]);
    assert_eq!(calls[1].findings, ["sasl_token"]);
    assert!(!format!("{:?}", calls[1]).contains("ppp"));
    assert_eq!(int(&calls[2], "kafka_error_code"), Some(0));
}

#[test]
fn partitions_of_a_topic_whose_name_is_lost_are_no_others() {
    // Metadata version 1: the name of the second topic is lost.
    let topic = |name: &str, partition: i32| {
        [
            &[0, 0][..],
            &text(name),
            &[0, 0, 0, 0, 1, 0, 0],
            &partition.to_be_bytes(),
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat()
    };
    let front = [&0_i32.to_be_bytes()[..], &1_i32.to_be_bytes(), &2_i32.to_be_bytes(), &topic("orders", 0)].concat();
    let body = [&front[..], &topic("payments", 7)].concat();
    let bytes = answer(1, &body);
    let cut = 8 + front.len() + 6;
    let lost = Step::Gap(Direction::ToClient, 2, Reason::RingFull);
    let asked = client(request(3, 1, 1, &(-1_i32).to_be_bytes()));
    let calls = run(&[asked, server(&bytes[..cut]), lost, server(&bytes[cut + 2..])]);
    assert_eq!(shown(&calls[0], "kafka_partitions"), "orders-0", "{calls:?}");
}

const OFFSET_FETCH: i16 = 9;

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as i32).to_be_bytes()[..], bytes].concat()
}

/// Version 0: the topic that a consumer wants.
fn subscription(topic: &str) -> Vec<u8> {
    [&[0, 0][..], &1_i32.to_be_bytes(), &text(topic), &(-1_i32).to_be_bytes()].concat()
}

fn join(id: i32, protocol: &str, metadata: &[u8]) -> Vec<u8> {
    let session = 10_000_i32.to_be_bytes();
    let protocols = [&1_i32.to_be_bytes()[..], &text("range"), &bytes(metadata)].concat();
    request(JOIN_GROUP, 0, id, &[&text("billing")[..], &session, &text(""), &text(protocol), &protocols].concat())
}

/// To a member who does not lead.
fn joined(id: i32) -> Vec<u8> {
    let names = [text("range"), text("m-1"), text("m-2")].concat();
    answer(id, &[&[0; 2][..], &3_i32.to_be_bytes(), &names, &0_i32.to_be_bytes()].concat())
}

fn fields(exchange: &Exchange) -> String {
    let messages = exchange.request.as_ref().and_then(|message| message.body.messages.as_ref()).expect("a message");
    match &messages.list[0].carried {
        Carried::Fields { json, .. } => String::from_utf8(json.clone()).expect("JSON"),
        Carried::Raw { .. } => panic!("no fields"),
    }
}

#[test]
fn what_members_of_a_group_tell_in_bytes_is_read() {
    let calls = run(&[client(join(1, "consumer", &subscription("orders"))), server(joined(1))]);
    assert_eq!(int(&calls[0], "kafka_generation"), Some(3));
    assert_eq!(shown(&calls[0], "kafka_topics"), "orders");
    assert_eq!(field(&calls[0], "kafka_rebalance"), Value::Bool(true));
    let expected = r#""metadata":{"version":0,"topics":["orders"],"user_data":null}"#;
    assert!(fields(&calls[0]).contains(expected), "{}", fields(&calls[0]));

    let assignment =
        [&[0, 0][..], &1_i32.to_be_bytes(), &text("orders"), &1_i32.to_be_bytes(), &5_i32.to_be_bytes(), &[0xff; 4]];
    let assignments = [&1_i32.to_be_bytes()[..], &text("m-1"), &bytes(&assignment.concat())].concat();
    let body = [&text("billing")[..], &3_i32.to_be_bytes(), &text("m-1"), &assignments].concat();
    let answer = answer(2, &[&27_i16.to_be_bytes()[..], &bytes(b"")].concat());
    let calls = run(&[client(request(SYNC_GROUP, 0, 2, &body)), server(answer)]);
    assert_eq!(shown(&calls[0], "kafka_partitions"), "orders-5");
    assert_eq!(int(&calls[0], "kafka_generation"), Some(3));
    assert_eq!(field(&calls[0], "kafka_rebalance"), Value::Bool(true));
}

#[test]
fn bytes_of_other_groups_stay_bytes() {
    let mut longer = subscription("orders");
    longer.push(0);
    let newer = [&[0, 9], &subscription("orders")[2..]].concat();
    for (protocol, metadata) in [("connect", &subscription("orders")), ("consumer", &longer), ("consumer", &newer)] {
        let calls = run(&[client(join(1, protocol, metadata)), server(joined(1))]);
        assert_eq!(field(&calls[0], "kafka_topics"), Value::Absent);
        assert!(fields(&calls[0]).contains(r#""metadata":{"base64":""#), "{}", fields(&calls[0]));
    }
}

#[test]
fn offsets_are_told_with_their_partitions() {
    let calls = run(&[client(produce(1, -1, &batch(3))), server(produced(1, 0))]);
    assert_eq!(shown(&calls[0], "kafka_offsets"), "orders-0@0");
    assert_eq!(field(&calls[0], "kafka_rebalance"), Value::Absent);
}

#[test]
fn a_heartbeat_with_another_epoch_is_a_rebalance() {
    for (epoch, error, expected) in [
        (4, 0, Value::Bool(false)),
        (5, 0, Value::Bool(true)),
        (0, 110, Value::Bool(false)),
        (0, 27, Value::Bool(true)),
    ] {
        // Group, member, epoch, no instance, rack, time-out, topics, assignor, partitions; no tags.
        let body = [b"\0\x02g\x02m".as_slice(), &4_i32.to_be_bytes(), &[0, 0], &[0; 4], &[0, 0, 0, 0]].concat();
        let asked = request(CONSUMER_GROUP_HEARTBEAT, 0, 1, &body);
        // Tags of the header, throttle time, error, no message, member, epoch, interval, no assignment, no tags.
        let said =
            [&[0][..], &[0; 4], &i16::to_be_bytes(error), b"\0\x02m", &i32::to_be_bytes(epoch), &[0; 4], &[0xff, 0]];
        let calls = run(&[client(asked), server(answer(1, &said.concat()))]);
        assert_eq!(field(&calls[0], "kafka_rebalance"), expected, "{calls:?}");
    }
}

#[test]
fn a_long_assignment_is_not_said_to_be_none() {
    let partitions: Vec<u8> = (0..20_000_i32).flat_map(i32::to_be_bytes).collect();
    let assignment =
        [&[0, 0][..], &1_i32.to_be_bytes(), &text("orders"), &20_000_i32.to_be_bytes(), &partitions, &[0xff; 4]];
    let assignments = [&1_i32.to_be_bytes()[..], &text("m-1"), &bytes(&assignment.concat())].concat();
    let body = [&text("billing")[..], &3_i32.to_be_bytes(), &text("m-1"), &assignments].concat();
    let answer = answer(2, &[&[0; 2][..], &bytes(b"")].concat());
    let calls = run(&[client(request(SYNC_GROUP, 0, 2, &body)), server(answer)]);
    assert_eq!(
        [field(&calls[0], "kafka_topics"), field(&calls[0], "kafka_partitions")],
        [Value::Unknown, Value::Unknown]
    );
}

#[test]
fn bytes_behind_the_last_batch_of_a_produce_are_wrong() {
    let calls = run(&[
        client(produce(1, -1, &batch(3))),
        server(produced(1, 0)),
        client(produce(2, -1, &[&batch(3)[..], b"stray"].concat())),
        server(produced(2, 0)),
    ]);
    assert_eq!(calls[1].findings, ["records_length"]);
    assert_eq!(field(&calls[1], "kafka_record_count"), Value::Unknown);
}

#[test]
fn limits_that_are_hit_are_counted() {
    let topics = |count: i32| -> Vec<u8> {
        let names: Vec<u8> = (0..count).flat_map(|number| text(&format!("t-{number}"))).collect();
        request(METADATA, 1, 1, &[&count.to_be_bytes()[..], &names].concat())
    };
    let partitions = |count: i32| -> Vec<u8> {
        let numbers: Vec<u8> = (0..count).flat_map(i32::to_be_bytes).collect();
        let all = [&text("g")[..], &1_i32.to_be_bytes(), &text("orders"), &count.to_be_bytes(), &numbers].concat();
        request(OFFSET_FETCH, 1, 1, &all)
    };
    let mut snappy = batch(3);
    // 32 MiB of zeros, as its length says first.
    let block = [&[0x80, 0x80, 0x80, 0x10][..], &vec![0xfe; 2 << 20]].concat();
    snappy.truncate(61);
    snappy.extend_from_slice(&block);
    snappy[8..12].copy_from_slice(&(49 + block.len() as i32).to_be_bytes());
    snappy[22] = 2;
    let flood: Vec<Step> = (0..=4096).map(|id| client(produce(id, 1, &batch(1)))).collect();
    for (limit, steps, max_body) in [
        ("topic_limit", vec![client(topics(257))], MAX_BODY),
        ("partition_limit", vec![client(partitions(1025))], MAX_BODY),
        ("records_compression_limit", vec![client(produce(1, 1, &snappy))], 8 << 20),
        ("outstanding_limit", flood, 0),
    ] {
        let run = run_with(&timed(&steps), false, max_body);
        assert_eq!(run.counters.limits, [(limit, 1)]);
    }
}
