//! Paging, summaries, coverage, and why an answer is empty.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    coverage::{Counters, Reason},
    record::RecordId,
    store::{
        Snapshot, Store,
        tests::{SECOND, publish, record, revision},
    },
};

fn question(filter: &str) -> Question {
    let filter = (!filter.is_empty()).then(|| filter::Filter::parse(filter).expect(filter));
    Question { filter, nodes: vec!["here".to_owned()], ..Question::default() }
}

fn at(second: u64) -> Option<Time> {
    Some(Time(second * SECOND))
}

fn page(store: &Store, question: &Question, limit: usize, cursor: Option<&Cursor>) -> Page {
    calls(&store.snapshot(), question, limit, cursor).expect("a page")
}

fn numbers(page: &Page) -> Vec<u32> {
    page.found.iter().map(|found| found.record().id.number).collect()
}

fn id(number: u32) -> RecordId {
    RecordId { epoch: 1, conn: 7, number }
}

/// Ten calls, one a second from second 10 on, published in reverse: as long calls are.
fn ten() -> Store {
    let store = Store::new(1 << 20);
    for number in (0..10).rev() {
        let status = if number % 2 == 0 { 200 } else { 500 };
        publish(&store, 30 - u64::from(number), vec![record(number, 10 + u64::from(number), Some(status))]);
    }
    store
}

#[test]
fn newest_first_by_start_whatever_the_order_of_publishing() {
    let store = ten();
    let all = page(&store, &question(""), 100, None);
    assert_eq!(numbers(&all), (0..10).rev().collect::<Vec<_>>());
    assert_eq!((all.next, all.notes), (None, vec![]));
    let Question { filter, .. } = question("status_code >= 500");
    let some = Question { filter, from: at(11), to: at(17), ..Question::default() };
    assert_eq!(numbers(&page(&store, &some, 100, None)), [5, 3, 1], "from is inclusive, to exclusive");
}

#[test]
fn the_last_page_has_no_cursor() {
    let store = ten();
    let question = question("status_code == 200");
    let first = page(&store, &question, 3, None);
    assert_eq!(numbers(&first), [8, 6, 4]);
    let second = page(&store, &question, 2, first.next.as_ref());
    assert_eq!((numbers(&second), second.next), (vec![2, 0], None), "no empty page follows");
    let none = page(&store, &question, 0, None);
    assert!(none.found.is_empty() && none.next.is_none(), "a limit of nothing shows nothing");
}

#[test]
fn a_cursor_is_for_its_own_question() {
    let store = ten();
    let asked = Question { from: at(11), ..question("http") };
    let next = page(&store, &asked, 2, None).next.expect("more");
    let error = |store: &Store, question: &Question| calls(&store.snapshot(), question, 2, Some(&next)).err();
    assert_eq!(error(&store, &question("method")), Some(CursorError::OtherFilter));
    assert_eq!(error(&store, &question("")), Some(CursorError::OtherFilter));
    assert_eq!(error(&store, &Question { from: at(12), ..question("http") }), Some(CursorError::OtherRange));
    assert_eq!(error(&store, &Question { to: at(50), ..question("http") }), Some(CursorError::OtherRange));
    assert_eq!(error(&ten(), &question("http")), Some(CursorError::OtherRun));
    // The range may be left out: the cursor knows it.
    let rest = page(&store, &question(" http "), 100, Some(&next));
    assert_eq!(numbers(&rest), (1..8).rev().collect::<Vec<_>>());
    assert_eq!(rest.coverage.counters.records, 9);
}

#[test]
fn a_page_does_not_move_when_more_is_published() {
    let store = ten();
    let first = page(&store, &question(""), 4, None);
    let later = [record(50, 5, None), record(51, 12, None), revision(record(2, 12, Some(404)), 1)];
    publish(&store, 40, later.to_vec());
    let second = page(&store, &question(""), 100, first.next.as_ref());
    assert_eq!(numbers(&second), (0..6).rev().collect::<Vec<_>>());
    let fresh = page(&store, &question("status_code == 404 || !status_code"), 100, None);
    assert_eq!(numbers(&fresh), [51, 2, 50]);
}

#[test]
fn the_last_revision_is_the_one_shown() {
    let store = Store::new(1 << 20);
    publish(&store, 1, vec![record(1, 1, None)]);
    publish(&store, 2, vec![revision(record(1, 1, Some(200)), 1), record(2, 2, None)]);
    let snapshot = store.snapshot();
    let status = |page: &Page| page.found.iter().map(|f| f.record().exchange.revision).collect::<Vec<_>>();
    assert_eq!(status(&page(&store, &question(""), 9, None)), [0, 1]);
    assert_eq!(numbers(&page(&store, &question("!status_code"), 9, None)), [2], "the stale one matches no longer");
    assert_eq!(call(&snapshot, id(1)).map(|found| found.record().exchange.revision), Some(1));
    assert!(call(&snapshot, id(9)).is_none());
    assert!(call(&snapshot, RecordId { epoch: 2, ..id(1) }).is_none(), "of an earlier run");
    assert_eq!(stats(&snapshot, &question(""), &[], 9).expect("stats").total.count, 2);
}

#[test]
fn a_deadline_gives_what_was_found_and_a_way_on() {
    let store = Store::new(1 << 26);
    let count = 3000;
    publish(&store, 1, (0..count).map(|number| record(number, 1 + u64::from(number), Some(200))).collect());
    let late = Question { deadline: Some(Instant::now()), ..question("path.endsWith(\"7\")") };
    let (mut seen, mut next, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = page(&store, &late, 1000, next.as_ref());
        seen.extend(numbers(&page));
        pages += 1;
        assert_eq!(page.next.is_some(), page.notes.iter().any(|note| note.contains("time limit")), "{:?}", page.notes);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..count).rev().filter(|number| number % 10 == 7).collect::<Vec<_>>());
    assert!(pages > 5);
    let stats = stats(&store.snapshot(), &late, &[], 10).expect("stats");
    assert!(stats.total.count < 300 && stats.notes[0].contains("time limit"), "{:?}", stats.notes);
}

#[test]
fn coverage_is_that_of_the_range() {
    let store = Store::new(1 << 20);
    // Too far apart to be merged.
    for second in [100, 200, 300] {
        publish(&store, second, vec![record(second as u32, second, None)]);
    }
    let covered = |from, to| coverage(&store.snapshot(), &Question { from, to, ..question("") });
    let all = covered(None, None);
    assert_eq!((all.counters.records, all.counters.bytes, all.from, all.to), (3, 300, at(100), at(301)));
    assert_eq!(all.nodes, ["here"]);
    assert!(all.complete());
    let middle = covered(at(150), at(250));
    assert_eq!((middle.counters.records, middle.counters.bytes), (1, 100));
    assert_eq!((middle.from, middle.to), (at(150), at(250)));
    let outside = covered(at(400), None);
    assert_eq!((outside.counters, outside.from, outside.to), (Counters::default(), None, None));
}

#[test]
fn what_was_evicted_shows_where_it_was_asked_for() {
    let store = Store::new(150_000);
    for second in 0..500 {
        publish(&store, second * 20, vec![record(second as u32, second * 20, Some(200))]);
    }
    let covered = |from| coverage(&store.snapshot(), &Question { from, ..question("") });
    let all = covered(None);
    let before = all.evicted_before.expect("evicted");
    assert!(all.evicted_in_range && !all.complete() && all.from == Some(before));
    let later = covered(Some(before));
    assert!(!later.evicted_in_range && later.complete() && later.evicted_before == Some(before));
    assert_eq!(later.counters.records, all.counters.records, "nothing that is held began before");
    let nothing = page(&store, &Question { to: Some(before), ..question("") }, 10, None);
    assert!(nothing.notes.iter().any(|note| note.contains("evicted")), "{:?}", nothing.notes);
}

#[test]
fn an_empty_answer_says_why() {
    let notes = |store: &Store, question: &Question| page(store, question, 10, None).notes;
    let store = Store::new(1 << 20);
    assert_eq!(notes(&store, &question("")), ["nothing has been captured yet"]);
    store.publish(Vec::new(), Counters::default(), Time(0), Time(SECOND));
    assert_eq!(notes(&store, &question("")), ["no traffic was captured in this time range"]);
    let mut counters = Counters { packets: 9, ..Counters::default() };
    counters.captured(5000);
    counters.lost(700, Reason::RingFull);
    counters.undecoded.add(Reason::Encrypted, 4000);
    counters.undecoded.add(Reason::UnknownProtocol, 900);
    store.publish(Vec::new(), counters, Time(SECOND), Time(2 * SECOND));
    assert_eq!(
        notes(&store, &question("")),
        [
            "9 packets with 5700 bytes were captured in this time range, but no call that could be read",
            "900 bytes were of protocols that this build doesn't read",
            "4000 bytes were encrypted and not read",
            "700 bytes were lost: ring_full",
        ]
    );
    publish(&store, 3, vec![record(1, 3, Some(200))]);
    assert_eq!(
        notes(&store, &question("dns && \"x\" in dns_questions"))[..1],
        ["there is 1 record in this time range, but the filter matches none"]
    );
    assert_eq!(
        notes(&store, &question("status_code / 0 == 1")).last().map(String::as_str),
        Some("the filter could not be evaluated on 1 record: division by zero; they count as not matching")
    );
    assert!(
        notes(&store, &question("redis_key == \"a\""))
            .contains(&"not collected by this build, so never present: redis_key".to_owned())
    );
    let late = Question { from: at(100), ..question("") };
    assert_eq!(
        notes(&store, &late)[0],
        "nothing is held of this time range: the capture covers 1970-01-01T00:00:00.000000Z to 1970-01-01T00:00:04.000000Z"
    );
    assert!(notes(&store, &question("http")).is_empty());
}

#[test]
fn summaries_count_by_group() {
    let store = Store::new(1 << 22);
    let calls = (1..=100).map(|number| {
        let status = match number % 10 {
            0 => None,
            1 | 2 => Some(500),
            _ => Some(200),
        };
        record(number, 10, status)
    });
    publish(&store, 10, calls.collect());
    let stats = |group: &[&str], limit| {
        let group: Vec<String> = group.iter().map(|field| (*field).to_owned()).collect();
        stats(&store.snapshot(), &question(""), &group, limit).expect("stats")
    };
    let total = stats(&[], 10).total;
    assert_eq!((total.count, total.errors, total.unknown, total.rate), (100, 20, 10, 100.0));
    assert_eq!(total.error_share, Some(20.0 / 90.0));
    // 90 calls have an answer; call n took n ms, and those that end in 0 have none.
    assert_eq!((total.p50, total.p90, total.p99), (Some(49_000), Some(89_000), Some(99_000)));
    assert_eq!((total.request_bytes, total.response_bytes), (9000, 90 * 95));

    let by_status = stats(&["status_code"], 10);
    let groups: Vec<_> = by_status.groups.iter().map(|group| (group.key[0].as_deref(), group.count)).collect();
    assert_eq!(groups, [(Some("200"), 70), (Some("500"), 20), (None, 10)]);
    assert_eq!(by_status.groups[2].error_share, None);
    assert_eq!((by_status.other_groups, by_status.others), (0, None));

    let two = stats(&["method", "status_code >= 500"], 1);
    assert_eq!(two.groups[0].key, [Some("GET".to_owned()), Some("false".to_owned())]);
    let others = two.others.expect("others");
    assert_eq!((two.other_groups, others.count, others.errors, others.p50), (1, 20, 20, Some(42_000)));

    let lists = stats(&["namespaces"], 10);
    assert_eq!(lists.groups.iter().map(|group| group.count).collect::<Vec<_>>(), [100, 100]);
    assert!(lists.notes.iter().any(|note| note.contains("exceed the total")), "{:?}", lists.notes);

    let error = |group: &str| {
        super::stats(&store.snapshot(), &question(""), &[group.to_owned()], 1).expect_err(group).to_string()
    };
    assert!(error("statuscode").contains("did you mean status_code"));
    assert!(error("request.headers").contains("one of its entries"));
    assert_eq!(stats(&["request.headers.host"], 9).groups[0].key, [Some("shop".to_owned())]);
    assert!(super::stats(&store.snapshot(), &question(""), &vec!["method".to_owned(); 5], 1).is_err());
}

#[test]
fn too_many_groups_are_summed_up() {
    let store = Store::new(1 << 26);
    publish(&store, 1, (0..12_000).map(|number| record(number, 1, Some(200))).collect());
    let stats = stats(&store.snapshot(), &question(""), &["path".to_owned()], 5).expect("stats");
    assert_eq!((stats.groups.len(), stats.other_groups), (5, 9_995));
    assert_eq!(stats.others.map(|others| others.count), Some(11_995));
    assert!(stats.notes.iter().any(|note| note.contains("more than 10000 groups")), "{:?}", stats.notes);
}

/// What happens to a store between two pages.
#[derive(Clone, Debug)]
enum Step {
    /// Records that began at these seconds.
    Publish(Vec<u64>),
    /// A later revision of one of the records so far, in parts of 256.
    Revise(u8),
    NextPage,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => proptest::collection::vec(0..60_u64, 0..12).prop_map(Step::Publish),
        1 => any::<u8>().prop_map(Step::Revise),
        2 => Just(Step::NextPage),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Numbers of the records that match now, without stale ones.
fn all(snapshot: &Snapshot, question: &Question) -> BTreeSet<(u32, u32)> {
    let page = calls(snapshot, question, usize::MAX, None).expect("a page");
    page.found.iter().map(|found| (found.record().id.number, found.record().exchange.revision)).collect()
}

proptest! {
    /// While records come and go, the pages of one question are together what matched at its begin and was not
    /// evicted before its page was asked for, in order, none twice.
    #[test]
    fn pages_are_whole(before in steps(), between in steps(), limit in 1..5_usize, small in any::<bool>()) {
        let store = Store::new(if small { 24_000 } else { 1 << 22 });
        let question = question("path.contains(\"3\") || path.contains(\"1\")");
        let mut starts: Vec<u64> = Vec::new();
        let mut clock = 0;
        let mut change = |store: &Store, step: &Step| {
            clock += 1;
            match step {
                Step::Publish(seconds) => {
                    let records = seconds.iter().map(|&second| {
                        starts.push(second);
                        record(starts.len() as u32, second, Some(200))
                    });
                    publish(store, clock * 4, records.collect());
                }
                Step::Revise(part) => {
                    let at = usize::from(*part) * starts.len() / 256;
                    if let Some(&second) = starts.get(at) {
                        let later = revision(record(at as u32 + 1, second, Some(500)), clock as u32);
                        publish(store, clock * 4, vec![later]);
                    }
                }
                Step::NextPage => {}
            }
        };
        before.iter().for_each(|step| change(&store, step));

        let begin = store.snapshot();
        let expected = all(&begin, &question);
        let first_held = |snapshot: &Snapshot| snapshot.first();
        let mut seen: Vec<(Time, u32, u32)> = Vec::new();
        let mut cursor: Option<Cursor> = None;
        let mut done = false;
        // Enough pages for all that is there, after the steps.
        for step in between.iter().chain(std::iter::repeat_n(&Step::NextPage, expected.len() + 2)) {
            change(&store, step);
            if let (Step::NextPage, false) = (step, done) {
                // The first page must be asked of the snapshot at the begin.
                let snapshot = if cursor.is_none() { begin.clone() } else { store.snapshot() };
                let page = calls(&snapshot, &question, limit, cursor.as_ref()).expect("a page");
                prop_assert!(page.found.len() <= limit);
                seen.extend(page.found.iter().map(|found| {
                    let record = found.record();
                    (record.timestamp, record.id.number, record.exchange.revision)
                }));
                done = page.next.is_none();
                // As it travels.
                cursor = page.next.map(|cursor| cursor.to_string().parse().expect("a cursor"));
            }
        }
        prop_assert!(done);
        prop_assert!(seen.is_sorted_by(|a, b| a > b), "in order, none twice: {seen:?}");
        let seen: BTreeSet<_> = seen.into_iter().map(|(_, number, revision)| (number, revision)).collect();
        prop_assert!(seen.is_subset(&expected), "{seen:?} of {expected:?}");
        // What is missing was evicted.
        let end = store.snapshot();
        for (segment, row) in (begin.first()..begin.end).filter_map(|row| begin.locate(row)) {
            let record = &segment.records[row];
            let key = (record.id.number, record.exchange.revision);
            if expected.contains(&key) && segment.first + row as u64 >= first_held(&end) {
                prop_assert!(seen.contains(&key), "{key:?} is held and not shown");
            }
        }
    }
}

/// `cargo test --release -p tapwire --lib -- --ignored --nocapture query::tests::bench`
#[test]
#[ignore = "a measurement"]
fn bench_filter() {
    let store = Store::new(1 << 30);
    let count = 200_000;
    for block in 0..count / 1000 {
        let records = (0..1000).map(|at| {
            let number = block * 1000 + at;
            record(number, u64::from(number / 100), Some(if number % 50 == 0 { 503 } else { 200 }))
        });
        publish(&store, u64::from(block) * 10, records.collect());
    }
    let snapshot = store.snapshot();
    println!("{} records, {} bytes each, {} segments", count, store.bytes() / count as usize, snapshot.segments.len());
    let time = |what: &str, run: &dyn Fn() -> u64| {
        let begun = Instant::now();
        let result = run();
        println!("{what}: {result} in {:?}", begun.elapsed());
    };
    for filter in [
        "http && status_code >= 500",
        "path.contains(\"9999\")",
        "path.matches(\"/items/[0-9]+99$\")",
        "request.headers[\"host\"] == \"nowhere\"",
        "src.ip.startsWith(\"192.\")",
    ] {
        let question = question(filter);
        time(filter, &|| calls(&snapshot, &question, 1_000_000, None).map_or(0, |page| page.found.len() as u64));
    }
    time("first page of 100", &|| {
        calls(&snapshot, &question("http"), 100, None).map_or(0, |page| page.found.len() as u64)
    });
    for group in ["status_code", "path"] {
        time(&format!("stats by {group}"), &|| {
            stats(&snapshot, &question(""), &[group.to_owned()], 10).map_or(0, |stats| stats.total.count)
        });
    }
    time("snapshots", &|| (0..1000).map(|_| store.snapshot().end).sum());
}
