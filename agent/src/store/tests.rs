//! Publishing, revisions, merging, evicting, following.

use std::sync::Arc;

use super::*;
use crate::{
    capture::CaptureSource,
    dissect::{Body, Exchange, Head, Headers, HttpRequest, HttpResponse, Incomplete, Message, PROTOCOLS, Protocol},
    flow::Views,
    record::RecordId,
};

fn http() -> &'static Protocol {
    PROTOCOLS.iter().find(|protocol| protocol.name == "http").expect("HTTP")
}

pub(crate) const SECOND: u64 = 1_000_000_000;

/// `GET /items/{number}` at `start` seconds, answered with `status` after `number` milliseconds.
pub(crate) fn record(number: u32, start: u64, status: Option<u16>) -> Record {
    let started = Time(start * SECOND);
    let ended = Time(start * SECOND + u64::from(number) * 1_000_000);
    let mut headers = Headers::default();
    headers.push(b"Host", b"shop");
    headers.push(b"Accept", b"a");
    headers.push(b"accept", b"b");
    let message = |head, headers: &Headers, body: &[u8], started| Message {
        started,
        ended,
        head,
        headers: headers.clone(),
        headers_size: Some(90),
        trailers: Headers::default(),
        body: Body {
            size: Some(body.len() as u64),
            kept: body.to_vec(),
            decoded: None,
            truncated: false,
            end_lost: false,
            messages: None,
        },
    };
    let request = HttpRequest::new("GET", format!("/items/{number}").into_bytes(), "1.1");
    let answer = |status| Head::HttpResponse(HttpResponse { status: Some(status), version: "1.1" });
    Record {
        id: RecordId { epoch: 1, conn: 7, number },
        source: CaptureSource::Ebpf,
        timestamp: started,
        client: ([10, 0, 0, 1], 50_000).into(),
        server: ([93, 184, 216, 34], 80).into(),
        dialed: None,
        views: Views { client: true, server: false },
        join_key: None,
        exchange: Exchange {
            number,
            revision: 0,
            open: false,
            protocol: http(),
            stream_id: None,
            request: Some(message(Head::HttpRequest(request), &headers, b"", started)),
            response: status.map(|status| message(answer(status), &headers, b"hello", ended)),
            reset: None,
            incomplete: Incomplete::default(),
            findings: Vec::new(),
        },
        redacted: 0,
    }
}

pub(crate) fn revision(mut record: Record, revision: u32) -> Record {
    record.exchange.revision = revision;
    record
}

/// One publication of records that began at its second.
pub(crate) fn publish(store: &Store, second: u64, records: Vec<Record>) {
    let mut counters = Counters { packets: 1, records: records.len() as u64, ..Counters::default() };
    counters.captured(100);
    store.publish(records, counters, Time(second * SECOND), Time((second + 1) * SECOND));
}

fn numbers(since: &Since) -> Vec<u32> {
    since.found.iter().map(|found| found.record().id.number).collect()
}

#[test]
fn a_snapshot_is_not_changed_by_what_comes_later() {
    let store = Store::new(1 << 20);
    publish(&store, 1, vec![record(1, 1, None)]);
    let snapshot = store.snapshot();
    publish(&store, 2, vec![record(2, 2, None), revision(record(1, 1, Some(200)), 1)]);
    assert_eq!((snapshot.end, snapshot.count(None, None)), (1, 1));
    assert!(!snapshot.is_stale(0, u64::MAX));
    assert_eq!((store.snapshot().end, store.snapshot().count(None, None)), (3, 2));
    assert!(store.snapshot().is_stale(0, u64::MAX));
    assert!(!store.snapshot().is_stale(0, 2), "what came later doesn't count for those who don't see it");
}

#[test]
fn a_later_revision_outlives_the_earlier_one() {
    let store = Store::new(1 << 20);
    publish(&store, 1, vec![record(1, 1, None)]);
    for second in 2..5 {
        publish(&store, second, vec![revision(record(1, 1, Some(200)), second as u32)]);
    }
    let snapshot = store.snapshot();
    let fresh: Vec<u64> = (0..4).filter(|&row| !snapshot.is_stale(row, u64::MAX)).collect();
    assert_eq!(fresh, [3]);
    assert_eq!(snapshot.count(None, None), 1);
}

#[test]
fn rows_keep_their_numbers_when_segments_are_merged() {
    let store = Store::new(1 << 30);
    for second in 0..200 {
        publish(&store, second, vec![record(second as u32, 1000 - second, None)]);
    }
    let snapshot = store.snapshot();
    assert!((15..=40).contains(&snapshot.segments.len()), "{}", snapshot.segments.len());
    for row in 0..200 {
        let (segment, within) = snapshot.locate(row).expect("held");
        assert_eq!(u64::from(segment.records[within].id.number), row);
    }
    let counters = snapshot.segments.iter().fold(Counters::default(), |mut sum, segment| {
        sum.merge(&segment.counters);
        sum
    });
    assert_eq!((counters.records, counters.captured_bytes), (200, 20_000));
    assert_eq!(snapshot.segments.iter().map(|segment| segment.bytes).sum::<usize>(), store.bytes());
}

#[test]
fn a_quiet_node_keeps_a_short_list() {
    let store = Store::new(1 << 30);
    for minute in 0..40_000 {
        publish(&store, minute * 60, Vec::new());
    }
    let snapshot = store.snapshot();
    assert!(snapshot.segments.len() <= 8193, "{}", snapshot.segments.len());
    assert_eq!(snapshot.segments.iter().map(|segment| segment.counters.packets).sum::<u64>(), 40_000);
    assert!(snapshot.segments.is_sorted_by_key(|segment| segment.from));
}

#[test]
fn the_oldest_go_and_the_bound_holds() {
    let limit = 200_000;
    let store = Store::new(limit);
    for second in 0..2000 {
        publish(&store, second, vec![record(second as u32, second, Some(200))]);
        assert!(store.bytes() <= limit);
    }
    let snapshot = store.snapshot();
    assert!(store.bytes() > limit / 2, "no more is freed than needed: {}", store.bytes());
    let first = snapshot.first();
    assert!(first > 0);
    assert_eq!(snapshot.evicted.counters.records, first);
    // All that is held began at or after the last second that is gone.
    let before = snapshot.evicted.before.expect("evicted");
    assert!(before <= Time((first + 1) * SECOND + 1), "{before:?} {first}");
    assert!(snapshot.locate(first - 1).is_none() && snapshot.locate(first).is_some());
}

#[test]
fn a_publication_larger_than_the_store_leaves_its_end() {
    let store = Store::new(100_000);
    publish(&store, 1, (0..1000).map(|number| record(number, 1, None)).collect());
    let snapshot = store.snapshot();
    assert!(store.bytes() <= 100_000 && store.bytes() > 50_000);
    assert_eq!((snapshot.end, snapshot.segments.last().map(|segment| segment.counters.records)), (1000, Some(1000)));
    let tiny = Store::new(10);
    publish(&tiny, 1, vec![record(1, 1, None)]);
    assert_eq!((tiny.bytes(), tiny.snapshot().end, tiny.since(0, 10).missed), (0, 1, 1));
}

#[test]
fn following_goes_in_order_and_tells_what_it_missed() {
    let store = Store::new(60_000);
    for second in 0..4 {
        publish(&store, second, vec![record(second as u32, 100 - second, None)]);
    }
    let first = store.since(0, 3);
    assert_eq!((numbers(&first), first.next, first.missed), (vec![0, 1, 2], 3, 0));
    publish(&store, 4, vec![revision(record(3, 97, Some(200)), 1)]);
    let second = store.since(first.next, 10);
    assert_eq!((numbers(&second), second.next, second.missed), (vec![3], 5, 0));
    assert_eq!(second.found[0].record().exchange.revision, 1);
    for second in 5..300 {
        publish(&store, second * 20, vec![record(second as u32, second, None)]);
    }
    let third = store.since(second.next, 1000);
    assert!(third.missed > 0);
    assert_eq!(third.missed + third.found.len() as u64, 295);
    assert_eq!(store.since(third.next, 10).found.len(), 0);
    assert_eq!(store.since(u64::MAX, 10).next, 300, "a position of an earlier run");
}

#[tokio::test]
async fn those_who_wait_are_woken() {
    let store = Arc::new(Store::new(1 << 20));
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.wait_newer(0).await }
    });
    tokio::task::yield_now().await;
    store.publish(Vec::new(), Counters::default(), Time(0), Time(1));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "an empty publication is nothing");
    publish(&store, 1, vec![record(1, 1, None)]);
    assert_eq!(waiting.await.ok(), Some(1));
    assert_eq!(store.wait_newer(0).await, 1);
}

#[test]
fn several_threads_publish() {
    let store = Store::new(300_000);
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..500 {
                    publish(store, u64::from(number), vec![record(thread * 500 + number, 1, None)]);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..200 {
                let snapshot = store.snapshot();
                let mut row = snapshot.first();
                for segment in snapshot.segments.iter() {
                    assert_eq!(segment.first, row);
                    row = segment.end();
                }
                assert_eq!(row, snapshot.end);
            }
        });
    });
    assert_eq!(store.position(), 2000);
    let snapshot = store.snapshot();
    assert_eq!(snapshot.count(None, None) + snapshot.first(), 2000);
}
