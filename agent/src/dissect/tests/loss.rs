//! Missing bytes, and connections joined late: what can't be known is not said.

use super::*;

const TRAP: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrap";
const TRAP_REQUEST: &str = "GET /trap HTTP/1.1\r\nHost: trap\r\n\r\n";

#[test]
fn keep_alive_survives_each_loss_and_each_join() {
    let steps: Vec<Step> = (0..6).flat_map(|n| [get(&format!("/{n}")), ok(&format!("answer {n}"))]).collect();
    let [lost, joined] = harm(&steps);
    // One loss costs one call; a join at an answer, or at a request, that call.
    assert_eq!(lost, (12 * 5, 12 * 6));
    assert_eq!(joined, (2 * (5 + 4 + 3 + 2 + 1), 12 * 6));
}

#[test]
fn pipelined_calls_are_never_shifted() {
    let steps = [
        client("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"),
        client("GET /3 HTTP/1.1\r\n\r\n"),
        ok("one"),
        ok("two"),
        ok("three"),
        get("/4"),
        ok("four"),
        client("GET /5 HTTP/1.1\r\n\r\nGET /6 HTTP/1.1\r\n\r\n"),
        server("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfiveHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsix"),
        get("/7"),
        ok("seven"),
    ];
    let [lost, joined] = harm(&steps);
    assert!(lost.0 >= 11 * 4 && joined.0 > 11, "{lost:?} {joined:?}");
}

#[test]
fn bodies_in_segments_survive_each_loss() {
    let big = "0123456789abcdef".repeat(100);
    let post = format!("POST /u HTTP/1.1\r\nContent-Length: {}\r\n\r\n", big.len());
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let steps = [
        client(&post),
        client(&big[..800]),
        client(&big[800..]),
        server(chunked),
        server(format!("640\r\n{}", &big[..700])),
        server(format!("{}\r\n5\r\nhel", &big[700..])),
        server("lo\r\n0\r\n\r\n"),
        get("/2"),
        ok("x"),
    ];
    harm(&steps);
    // The loss inside a chunk is of known extent.
    let mut steps = timed(&steps);
    steps[4].1 = Step::Gap(ToClient, 705, Reason::RingFull);
    let run = run_with(&steps, false, MAX_BODY);
    assert_eq!(brief(&run.exchanges), ["POST /u 1600 200 ?", "GET /2 0 200 1"]);
    steps[4].1 = server(format!("640\r\n{}", &big[..700]));
    steps[5].1 = Step::Gap(ToClient, 900, Reason::RingFull);
    steps.insert(6, (6, server("\r\n5\r\nhel")));
    let run = run_with(&steps, false, MAX_BODY);
    assert_eq!(brief(&run.exchanges), ["POST /u 1600 200 1605", "GET /2 0 200 1"]);
    let response = run.exchanges[0].response.as_ref().unwrap();
    assert_eq!((response.body.kept.len(), response.body.truncated), (700, true));
    assert_eq!(run.exchanges[0].incomplete.lost.get(Reason::RingFull), 900);
}

#[test]
fn a_gap_in_a_body_of_known_size_is_marked() {
    let steps = [
        get("/"),
        server("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n0123456789"),
        Step::Gap(ToClient, 10, Reason::RingFull),
        server("abcdefghijHTTP"),
        server("/1.1 "),
        get("/2"),
        ok("x"),
    ];
    let run = run(&steps[..4]);
    assert_eq!(brief(&run.exchanges), ["GET / 0 200 30"]);
    let body = &run.exchanges[0].response.as_ref().unwrap().body;
    assert_eq!((body.kept.as_slice(), body.truncated), (&b"0123456789"[..], true));
    assert_eq!(run.exchanges[0].incomplete.lost.get(Reason::RingFull), 10);
    assert_eq!(run.counters.lost.get(Reason::RingFull), 10);
}

#[test]
fn a_gap_over_the_end_of_a_body_leaves_the_next_message_unknown() {
    let steps = [
        get("/"),
        server("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n0123456789"),
        Step::Gap(ToClient, 25, Reason::NotCaptured),
        server("tail of something"),
        get("/2"),
        ok("x"),
    ];
    let run = run(&steps);
    assert_eq!(brief(&run.exchanges), ["GET / 0 200 30", "GET /2 0 200 1"]);
    assert_eq!(run.exchanges[0].incomplete.lost.total(), 20);
    assert_eq!(run.counters.undecoded.get(Reason::NotCaptured), 17);
}

#[test]
fn a_gap_in_a_head_loses_that_half() {
    let head = "GET /lost HTTP/1.1\r\nHo";
    let run = run(&[
        get("/1"),
        ok("1"),
        client(head),
        Step::Gap(ToServer, 9, Reason::RingFull),
        client("x\r\n\r\n"),
        ok("2"),
        get("/3"),
        ok("3"),
    ]);
    assert_eq!(brief(&run.exchanges), ["GET /1 0 200 1", "? ? ? 200 1", "GET /3 0 200 1"]);
    assert_eq!(run.exchanges[1].incomplete.lost.total(), 9);
    assert!(run.exchanges[2].incomplete.is_empty());
    assert_eq!(run.counters.undecoded.get(Reason::RingFull), head.len() as u64 + 5);
}

#[test]
fn a_gap_that_is_known_late_explains_the_answer_before_it() {
    let run = run(&[
        get("/1"),
        ok("1"),
        ok("2"),
        Step::Gap(ToServer, 50, Reason::NotCaptured),
        get("/3"),
        ok("3"),
        get("/4"),
        ok("4"),
    ]);
    // The segment behind the gap may be the middle of what was lost: the call after it is read again.
    assert_eq!(brief(&run.exchanges), ["GET /1 0 200 1", "? ? ? 200 1", "? ? ? 200 1", "GET /4 0 200 1"]);
}

#[test]
fn segments_handed_on_late_are_no_pipelining() {
    // What came behind a hole is handed on when the hole is given up: with its own time, after the next request.
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789";
    let steps = [
        (1, get("/1")),
        (2, server(head)),
        (5, get("/2")),
        (3, Step::Gap(ToClient, 5, Reason::NotCaptured)),
        (4, server("abcde")),
        (6, ok("two")),
        (7, get("/3")),
        (8, ok("three")),
    ];
    let run = run_with(&steps, false, MAX_BODY);
    assert_eq!(brief(&run.exchanges), ["GET /1 0 200 20", "GET /2 0 200 3", "GET /3 0 200 5"]);
}

#[test]
fn with_two_outstanding_a_lost_answer_is_nobodys() {
    let two = "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n";
    let run = run(&[client(two), Step::Gap(ToClient, 50, Reason::RingFull), ok("one or two"), get("/3"), ok("three")]);
    assert_eq!(brief(&run.exchanges), ["GET /1 0 ? ?", "GET /2 0 ? ?", "GET /3 0 200 5"]);
    assert!(run.exchanges[..2].iter().all(|exchange| exchange.incomplete.lost.total() == 50));
}

#[test]
fn heads_only_keeps_the_calls() {
    let steps = [
        client("POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\n"),
        Step::Skip(ToServer, 50),
        server("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        Step::Skip(ToClient, 500),
        get("/2"),
        ok("x"),
    ];
    let run = run(&steps);
    assert_eq!(brief(&run.exchanges), ["POST / 50 200 500", "GET /2 0 200 1"]);
    // A body ends with the packet that was left out, not with the head before it.
    let response = run.exchanges[0].response.as_ref().unwrap();
    assert_eq!(response.ended.0 - response.started.0, 1_000_000);
    assert_eq!(
        (run.exchanges[0].incomplete.skipped.total(), run.counters.skipped.total(), run.counters.lost.total()),
        (550, 550, 0)
    );
}

#[test]
fn a_body_that_holds_a_message_is_a_body() {
    let upload = format!("POST /u HTTP/1.1\r\nContent-Length: {}\r\n\r\n", TRAP_REQUEST.len());
    let expect = upload.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let download = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", TRAP.len());
    let steps = [
        get("/0"),
        ok("zero"),
        client(upload),
        client(TRAP_REQUEST),
        server(&download),
        server(TRAP),
        get("/between"),
        ok("between"),
        client(expect),
        server("HTTP/1.1 100 Continue\r\n\r\n"),
        client(TRAP_REQUEST),
        server(format!("{download}{TRAP}")),
        get("/2"),
        ok("two"),
    ];
    assert_eq!(brief(&exchanges(&steps)).len(), 5);
    harm(&steps);
    // The same without the calls before, so that each trap is where reading begins.
    for from in [2, 6, 8, 12] {
        harm(&steps[from..]);
    }
}

#[test]
fn the_first_segment_of_an_older_connection_proves_nothing() {
    let steps = timed(&[client(TRAP_REQUEST), ok("x"), get("/2"), ok("y")]);
    let run = run_with(&steps, true, MAX_BODY);
    assert_eq!(brief(&run.exchanges), ["? ? ? 200 1", "GET /2 0 200 1"]);
    assert_eq!(run.counters.undecoded.get(Reason::MidStream), TRAP_REQUEST.len() as u64);
}

#[test]
fn an_answer_to_an_unseen_request_may_be_one_to_head() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n";
    let steps = timed(&[client("tail"), server(head), get("/2"), ok("y"), Step::End(ToClient, Ending::Fin)]);
    let run = run_with(&steps, true, MAX_BODY);
    assert_eq!(brief(&run.exchanges), ["? ? ? 200 ?:body_unclear", "GET /2 0 200 1"]);
    // A body that is really there is read.
    let steps = timed(&[client("tail"), server(head), server("x".repeat(30)), get("/2"), ok("y")]);
    assert_eq!(brief(&run_with(&steps, true, MAX_BODY).exchanges), ["? ? ? 200 30", "GET /2 0 200 1"]);
}

#[test]
fn roles_are_found_when_the_guess_was_wrong() {
    let swap = |step: &Step| match step {
        Step::Client(bytes) => Step::Server(bytes.clone()),
        Step::Server(bytes) => Step::Client(bytes.clone()),
        other => other.clone(),
    };
    let steps = [get("/0"), ok("0"), get("/1"), ok("1"), get("/2"), ok("2")];
    let swapped: Vec<Step> = steps.iter().map(swap).collect();
    for from in 0..4 {
        let straight = run_with(&timed(&steps[from..]), true, MAX_BODY);
        let swapped = run_with(&timed(&swapped[from..]), true, MAX_BODY);
        assert_eq!(brief(&straight.exchanges), brief(&swapped.exchanges));
        assert!(!straight.conversation.reversed() && swapped.conversation.reversed());
    }
}
