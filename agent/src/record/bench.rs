//! What the stage costs, in nanoseconds: `cargo test --release --lib record::bench -- --ignored --nocapture`.

use std::{hint::black_box, time::Instant};

use super::{
    Record,
    json::{Detail, write, write_compact},
    sample::{exchange, origin, redactor, request, response},
};
use crate::dissect::Exchange;

const ROUNDS: u32 = 200_000;

/// 12 headers, as browsers and nginx send them; a small answer.
fn plain(body: &[u8]) -> Exchange {
    exchange(
        Some(request(
            "GET",
            "/api/v1/orders?page=2&size=50",
            &[
                ("Host", "shop.example.org"),
                ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0"),
                ("Accept", "application/json, text/plain, */*"),
                ("Accept-Encoding", "gzip, deflate, br"),
                ("Accept-Language", "en-US,en"),
                ("Connection", "keep-alive"),
                ("X-Request-Id", "7f3c9a4e-6f0e-4b1c-9d2a-1f6f6a1f0c11"),
            ],
            b"",
        )),
        Some(response(
            200,
            &[
                ("Server", "nginx/1.27.1"),
                ("Date", "Sat, 21 Nov 2026 10:00:00 GMT"),
                ("Content-Type", "application/json"),
                ("Content-Length", "120"),
                ("Vary", "Accept-Encoding"),
            ],
            body,
        )),
    )
}

const TEXT: &[u8] =
    b"This is a small body of plain text, as a health check or an error page would send it, about a hundred bytes.";
const JSON: &[u8] = br#"{"id":1234,"customer":{"name":"Ada","city":"London"},"items":[{"sku":"A-1","count":2},{"sku":"B-7","count":1}],"paid":true}"#;

fn report(name: &str, mut run: impl FnMut()) {
    for _ in 0..ROUNDS / 10 {
        run();
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        run();
    }
    println!("{name:40} {:8.1} ns", start.elapsed().as_nanos() as f64 / f64::from(ROUNDS));
}

/// `Record::new` alone: the exchanges are cloned before the clock starts.
fn report_new(name: &str, exchange: &Exchange) {
    const BATCH: usize = 2000;
    let (origin, redactor) = (origin(), redactor());
    let mut nanos = 0;
    for _ in 0..ROUNDS as usize / BATCH {
        let batch: Vec<_> = (0..BATCH).map(|_| exchange.clone()).collect();
        let mut records = Vec::with_capacity(BATCH);
        let start = Instant::now();
        for exchange in batch {
            records.push(Record::new(&origin, exchange, Some(&redactor)));
        }
        nanos += start.elapsed().as_nanos();
        black_box(records);
    }
    println!("{name:40} {:8.1} ns", nanos as f64 / f64::from(ROUNDS));
}

#[test]
#[ignore = "a measurement"]
fn costs() {
    report_new("new: 12 plain headers, text body", &plain(TEXT));
    report_new("new: 12 plain headers, JSON body", &plain(JSON));
    let mut secret = plain(br#"{"user":"ada","password":"hunter2"}"#);
    if let Some(request) = &mut secret.request {
        request.headers.push(b"Authorization", b"Bearer abc");
    }
    report_new("new: a header and a key redacted", &secret);
    let mut large = plain(&JSON.repeat(500));
    if let Some(response) = &mut large.response {
        response.body.kept.truncate(64 * 1024);
    }
    report_new("new: JSON body of 60 KB", &large);
    let record = Record::new(&origin(), plain(JSON), Some(&redactor()));
    let mut out = Vec::new();
    write(&record, Detail::Full, &mut out);
    println!("line of {} bytes, record of {} bytes ({} fixed)", out.len(), record.memory(), size_of::<Record>());
    report("write, full", || {
        out.clear();
        write(black_box(&record), Detail::Full, &mut out);
        black_box(&out);
    });
    report("write, compact", || {
        out.clear();
        write_compact(black_box(&record), &mut out);
        black_box(&out);
    });
    report("memory", || {
        black_box(black_box(&record).memory());
    });
}
