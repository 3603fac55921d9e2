//! Any bytes in any order: never a panic, and every byte is counted once.

use proptest::prelude::*;

use super::*;

const PARTS: &[&str] = &[
    "GET /a HTTP/1.1\r\n",
    "POST /b HTTP/1.1\r\nContent-Length: 10\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 101 X\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\n\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 5\r\n",
    "Content-Encoding: gzip\r\n",
    "Expect: 100-continue\r\n",
    "\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "hello",
    "\n",
    ": ",
    "\u{16}\u{3}\u{1}",
];

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![
        5 => prop::collection::vec(prop::sample::select(PARTS), 1..5).prop_map(|parts| parts.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    let from = prop_oneof![Just(ToServer), Just(ToClient)];
    let how = prop_oneof![Just(Ending::Fin), Just(Ending::Reset), Just(Ending::Expired), Just(Ending::Evicted)];
    let reason = prop_oneof![Just(Reason::RingFull), Just(Reason::Budget), Just(Reason::BodyRate)];
    prop_oneof![
        5 => bytes.clone().prop_map(Step::Client),
        5 => bytes.prop_map(Step::Server),
        1 => (from.clone(), 0u64..50, reason).prop_map(|(from, bytes, reason)| Step::Gap(from, bytes, reason)),
        1 => (from.clone(), 0u64..50).prop_map(|(from, bytes)| Step::Skip(from, bytes)),
        1 => (from, how).prop_map(|(from, how)| Step::End(from, how)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_counted(steps in prop::collection::vec(step(), 1..30), mid_stream: bool, max_body in 0usize..20) {
        let mut steps = timed(&steps);
        for from in Direction::BOTH {
            steps.push((100, Step::End(from, Ending::Expired)));
        }
        let run = run_with(&steps, mid_stream, max_body);
        prop_assert_eq!(run.conversation.held_bytes(), 0);
        prop_assert!(run.conversation.oldest_open().is_none());
        for exchange in &run.exchanges {
            for message in [&exchange.request, &exchange.response].into_iter().flatten() {
                prop_assert!(message.body.kept.len() <= max_body);
                prop_assert!(message.body.truncated || message.body.decoded.is_some() || message.body.size == Some(message.body.kept.len() as u64));
                prop_assert!(message.started <= message.ended);
            }
        }
        // It makes no difference how the bytes are cut into chunks.
        let mut bytewise = Vec::new();
        for (millis, step) in &steps {
            match step {
                Step::Client(bytes) => bytewise.extend(bytes.chunks(1).map(|byte| (*millis, client(byte)))),
                Step::Server(bytes) => bytewise.extend(bytes.chunks(1).map(|byte| (*millis, server(byte)))),
                other => bytewise.push((*millis, other.clone())),
            }
        }
        let cut = run_with(&bytewise, mid_stream, max_body);
        prop_assert_eq!(format!("{:#?}", run.exchanges), format!("{:#?}", cut.exchanges));
        prop_assert_eq!(run.counters.lost, cut.counters.lost);
        let mut numbers: Vec<_> = run.exchanges.iter().map(|exchange| exchange.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        prop_assert_eq!(numbers.len(), run.exchanges.len());
    }
}
