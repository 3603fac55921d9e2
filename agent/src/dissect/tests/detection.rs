//! Which protocol a flow speaks, and what is said of those that none reads.

use super::*;
use crate::dissect::tls::tests::client_hello;

fn undecoded(steps: &[Step], mid_stream: bool) -> (Reason, Run) {
    let run = run_with(&timed(steps), mid_stream, MAX_BODY);
    assert!(run.exchanges.is_empty());
    match run.conversation.reads() {
        Reads::Undecoded(reason) => (reason, run),
        other => panic!("read as {other:?}"),
    }
}

#[test]
fn a_client_hello_is_encrypted_and_named() {
    let hello = client_hello(Some("shop.example"));
    for cut in [1, 5, 6, 60, hello.len()] {
        let steps = [
            client(&hello[..cut]),
            client(&hello[cut..]),
            server([22, 3, 3, 0, 5, 2, 0, 0, 1, 0]),
            client([23, 3, 3, 0, 1, 9]),
        ];
        let (reason, run) = undecoded(&steps, false);
        assert_eq!((reason, run.conversation.server_name()), (Reason::Encrypted, Some("shop.example")));
        assert_eq!(run.counters.undecoded.get(Reason::Encrypted), hello.len() as u64 + 16);
    }
    // Cut off by the end.
    let (reason, _) = undecoded(&[client(&hello[..40]), Step::End(ToServer, Ending::Fin)], false);
    assert_eq!(reason, Reason::Encrypted);
}

#[test]
fn tls_under_way_is_encrypted() {
    let records = [23, 3, 3, 0, 3, 1, 2, 3];
    let (reason, _) = undecoded(&[client([1, 2, 3]), server(records), client([9]), server(records)], true);
    assert_eq!(reason, Reason::Encrypted);
}

#[test]
fn unknown_protocols_are_counted() {
    let steps = [server("220 mail ESMTP\r\n"), client("EHLO x\r\n"), server("250 ok\r\n")];
    let (reason, run) = undecoded(&steps, false);
    assert_eq!(reason, Reason::UnknownProtocol);
    assert_eq!(run.counters.undecoded.get(Reason::UnknownProtocol), run.counters.captured_bytes);
    let amqp = [client("AMQP\0\0\x09\x01"), server([1, 0, 0, 0, 0, 1, 0xce])];
    assert_eq!(undecoded(&amqp, false).0, Reason::UnknownProtocol);
    let binary: Vec<Step> =
        (0..20).map(|n| if n % 2 == 0 { client([n, 0xff, 7]) } else { server([n, 0xfe]) }).collect();
    assert_eq!(undecoded(&binary, true).0, Reason::UnknownProtocol);
}

#[test]
fn one_side_alone_proves_nothing() {
    // The server speaks first, and not HTTP; then both do.
    let steps = [server("hello there\r\n"), get("/"), ok("x"), get("/2"), ok("y")];
    let run_ = run(&steps);
    assert_eq!(brief(&run_.exchanges), ["GET / 0 200 1", "GET /2 0 200 1"]);
    assert!(matches!(run(&steps[..1]).conversation.reads(), Reads::Detecting));
    // A request to a server that speaks something else.
    let run_ = run(&[get("/"), server("SSH-2.0-OpenSSH_9.2\r\n"), Step::End(ToClient, Ending::Fin)]);
    assert_eq!(brief(&run_.exchanges), ["GET / 0 ? ?"]);
}

#[test]
fn http_without_a_version_is_not_http() {
    assert_eq!(undecoded(&[client("GET /\r\n"), server("<html>")], false).0, Reason::UnknownProtocol);
}

#[test]
fn a_connection_joined_late_is_recognised_at_the_next_request() {
    let mut steps = vec![server("tail of a body")];
    steps.extend((0..10).flat_map(|n| [client([0, n]), server([1, n])]));
    steps.extend([get("/late"), ok("x")]);
    let run = run_with(&timed(&steps), true, MAX_BODY);
    assert_eq!(brief(&run.exchanges), ["GET /late 0 200 1"]);
    assert!(matches!(run.conversation.reads(), Reads::Protocol(protocol) if protocol.name == "http"));
    assert!(run.counters.undecoded.get(Reason::MidStream) > 0);
}

#[test]
fn datagrams_are_counted() {
    let mut conversation = Conversation::new(&Settings { max_body: 9, ..Settings::default() }, Protocol4::Udp, false);
    let (mut counters, mut done) = (Counters::default(), Vec::new());
    conversation.feed(
        ToServer,
        Piece::Chunk { bytes: b"GET / HTTP/1.1\r\n\r\n", time: Time(1) },
        &mut counters,
        &mut done,
    );
    assert!(done.is_empty());
    assert_eq!(counters.undecoded.get(Reason::UnknownProtocol), 18);
}
