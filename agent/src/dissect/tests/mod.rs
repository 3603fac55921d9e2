//! Conversations as scripts: what both sides say, in pieces, and what must come of it. Each script is also run cut at
//! every byte, with each segment lost, and joined at each segment.

mod accounting;
mod bodies;
mod detection;
mod loss;
mod messages;
mod speed;

use super::*;
use crate::{
    coverage::Counters,
    flow::{Direction::*, Piece},
    time::Time,
};

/// One segment, or what stands for it.
#[derive(Clone, Debug)]
pub(in crate::dissect) enum Step {
    Client(Vec<u8>),
    Server(Vec<u8>),
    Gap(Direction, u64, Reason),
    Skip(Direction, u64),
    End(Direction, Ending),
}

pub(in crate::dissect) fn client(bytes: impl AsRef<[u8]>) -> Step {
    Step::Client(bytes.as_ref().to_vec())
}

pub(in crate::dissect) fn server(bytes: impl AsRef<[u8]>) -> Step {
    Step::Server(bytes.as_ref().to_vec())
}

pub(super) const MAX_BODY: usize = 64 << 10;

/// What a run gave.
pub(in crate::dissect) struct Run {
    pub(in crate::dissect) exchanges: Vec<Exchange>,
    pub(in crate::dissect) counters: Counters,
    pub(in crate::dissect) conversation: Conversation,
}

/// Feeds the steps, one millisecond apart.
pub(in crate::dissect) fn run_with(steps: &[(u64, Step)], mid_stream: bool, max_body: usize) -> Run {
    let mut conversation = Conversation::new(&Settings { max_body, ..Settings::default() }, Protocol4::Tcp, mid_stream);
    let mut counters = Counters::default();
    let mut exchanges = Vec::new();
    let mut bytes = 0;
    for (millis, step) in steps {
        let time = Time::from_millis(*millis);
        let (from, piece) = match step {
            Step::Client(bytes) => (ToServer, Piece::Chunk { bytes, time }),
            Step::Server(bytes) => (ToClient, Piece::Chunk { bytes, time }),
            Step::Gap(from, bytes, reason) => (*from, Piece::Gap { bytes: *bytes, reason: *reason, time: Some(time) }),
            Step::Skip(from, bytes) => {
                (*from, Piece::Skip { bytes: *bytes, reason: Reason::BodyRate, time: Some(time) })
            }
            Step::End(from, how) => (*from, Piece::End { how: *how, time }),
        };
        bytes += match piece {
            Piece::Chunk { bytes, .. } => bytes.len() as u64,
            Piece::Gap { bytes, .. } | Piece::Skip { bytes, .. } => bytes,
            Piece::End { .. } => 0,
        };
        conversation.feed(from, piece, &mut counters, &mut exchanges);
        assert_eq!(counters.bytes, bytes);
        assert_eq!(bytes, counters.captured_bytes + counters.skipped.total() + counters.lost.total());
        assert!(counters.undecoded.total() <= counters.captured_bytes);
    }
    Run { exchanges, counters, conversation }
}

pub(in crate::dissect) fn timed(steps: &[Step]) -> Vec<(u64, Step)> {
    (1u64..).zip(steps.iter().cloned()).collect()
}

pub(super) fn run(steps: &[Step]) -> Run {
    run_with(&timed(steps), false, MAX_BODY)
}

/// With both sides closing, and checked at every cut.
pub(super) fn exchanges(steps: &[Step]) -> Vec<Exchange> {
    let mut steps = steps.to_vec();
    steps.extend([Step::End(ToServer, Ending::Fin), Step::End(ToClient, Ending::Fin)]);
    let whole = run(&steps);
    assert_eq!(whole.conversation.held_bytes(), 0, "something is still held");
    same_at_every_cut(&timed(&steps), &whole);
    whole.exchanges
}

pub(super) fn same_at_every_cut(steps: &[(u64, Step)], whole: &Run) {
    let expected = format!("{:#?}", whole.exchanges);
    let check = |cut: Vec<(u64, Step)>, what: &str| {
        let run = run_with(&cut, false, MAX_BODY);
        assert_eq!(format!("{:#?}", run.exchanges), expected, "{what}");
        assert_eq!(run.counters.undecoded, whole.counters.undecoded, "{what}");
    };
    let mut bytewise = Vec::new();
    for (at, (millis, step)) in steps.iter().enumerate() {
        let (bytes, wrap): (&[u8], fn(&[u8]) -> Step) = match step {
            Step::Client(bytes) => (bytes, |bytes| client(bytes)),
            Step::Server(bytes) => (bytes, |bytes| server(bytes)),
            other => {
                bytewise.push((*millis, other.clone()));
                continue;
            }
        };
        bytewise.extend(bytes.chunks(1).map(|byte| (*millis, wrap(byte))));
        for cut in (1..bytes.len()).filter(|cut| *cut < 2000 || *cut + 2000 > bytes.len()) {
            let mut steps = steps.to_vec();
            steps.splice(at..=at, [(*millis, wrap(&bytes[..cut])), (*millis, wrap(&bytes[cut..]))]);
            check(steps, &format!("step {at} cut at {cut}"));
        }
    }
    check(bytewise, "byte by byte");
}

/// Checks that nothing in `got` says otherwise than the truth.
pub(super) fn no_wrong_value(truth: &[Exchange], got: &[Exchange], what: &str) {
    for exchange in got {
        let find = |message: &Message, half: fn(&Exchange) -> &Option<Message>| {
            let same = |other: &&Message| {
                format!("{:?}", other.head) == format!("{:?}", message.head)
                    && other.headers == message.headers
                    && other.started == message.started
            };
            truth
                .iter()
                .find_map(|exchange| half(exchange).as_ref().filter(same).map(|message| (exchange.number, message)))
        };
        let request = exchange.request.as_ref().map(|m| (m, find(m, |exchange| &exchange.request)));
        let response = exchange.response.as_ref().map(|m| (m, find(m, |exchange| &exchange.response)));
        if let (Some((_, request)), Some((_, response))) = (&request, &response) {
            assert_eq!(request.map(|(n, _)| n), response.map(|(n, _)| n), "{what}: wrong pair {exchange:#?}");
        }
        for (message, found) in [request, response].into_iter().flatten() {
            let Some((_, true_message)) = found else {
                panic!("{what}: there is no such message: {message:#?}");
            };
            let (body, true_body) = (&message.body, &true_message.body);
            assert!(body.size.is_none() || body.size == true_body.size, "{what}: wrong size {message:#?}");
            assert!(true_body.kept.starts_with(&body.kept), "{what}: wrong body {message:#?}");
            assert!(body.truncated || body.kept == true_body.kept, "{what}: cut without a mark {message:#?}");
            if body.size.is_some() && exchange.incomplete.is_empty() {
                assert_eq!((message.ended, &message.trailers), (true_message.ended, &true_message.trailers), "{what}");
            }
        }
    }
}

/// Loses each segment in turn, and joins at each segment: no wrong value, and what is lost shows. Returns how many
/// exchanges came whole, of how many, in (losses, joins).
pub(super) fn harm(steps: &[Step]) -> [(usize, usize); 2] {
    let mut steps = steps.to_vec();
    steps.extend([Step::End(ToServer, Ending::Fin), Step::End(ToClient, Ending::Fin)]);
    let steps = timed(&steps);
    let truth = run_with(&steps, false, MAX_BODY).exchanges;
    let whole = |got: &[Exchange]| {
        got.iter().filter(|e| e.request.is_some() && e.response.is_some() && e.incomplete.is_empty()).count()
    };
    let mut score = [(0, 0); 2];
    for at in 0..steps.len() {
        let (from, length) = match &steps[at].1 {
            Step::Client(bytes) => (ToServer, bytes.len()),
            Step::Server(bytes) => (ToClient, bytes.len()),
            _ => continue,
        };
        let mut lost = steps.clone();
        lost[at].1 = Step::Gap(from, length as u64, Reason::NotCaptured);
        let run = run_with(&lost, false, MAX_BODY);
        no_wrong_value(&truth, &run.exchanges, &format!("segment {at} lost"));
        assert_eq!(run.counters.lost.total() + run.counters.skipped.total(), length as u64);
        score[0] = (score[0].0 + whole(&run.exchanges), score[0].1 + truth.len());

        let run = run_with(&steps[at..], true, MAX_BODY);
        no_wrong_value(&truth, &run.exchanges, &format!("joined at segment {at}"));
        score[1] = (score[1].0 + whole(&run.exchanges), score[1].1 + truth.len());
    }
    score
}

/// One line an exchange: what a reader looks at first.
pub(super) fn brief(exchanges: &[Exchange]) -> Vec<String> {
    let get = |exchange, name: &str| {
        let field = http1::HTTP.fields().find(|field| field.name == name).unwrap();
        match (field.get)(exchange) {
            Value::Text(text) => text.into_owned(),
            Value::Int(number) => number.to_string(),
            Value::Unknown => "?".to_owned(),
            Value::Absent => "-".to_owned(),
            other => format!("{other:?}"),
        }
    };
    let names = ["method", "path", "request_body_size", "status_code", "response_body_size"];
    let line = |exchange| names.map(|name| get(exchange, name)).join(" ");
    exchanges
        .iter()
        .map(|exchange| [&line(exchange), ":", &exchange.findings.join(",")].concat().trim_end_matches(':').to_owned())
        .collect()
}

pub(super) fn body(exchange: &Exchange) -> &str {
    let kept = exchange.response.as_ref().map_or(&[][..], |message| &message.body.kept);
    std::str::from_utf8(kept).unwrap()
}

pub(super) fn get(path: &str) -> Step {
    client(format!("GET {path} HTTP/1.1\r\nHost: shop\r\nUser-Agent: t\r\n\r\n"))
}

pub(super) fn ok(text: &str) -> Step {
    server(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
}
