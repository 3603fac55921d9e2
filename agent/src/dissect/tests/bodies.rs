//! Bodies: how they end, and what is kept of them.

use std::io::Write;

use super::*;

fn answered(answer: impl AsRef<[u8]>) -> Exchange {
    let mut got = exchanges(&[get("/"), server(answer)]);
    assert_eq!(got.len(), 1);
    got.remove(0)
}

fn size(exchange: &Exchange) -> Option<u64> {
    exchange.response.as_ref().unwrap().body.size
}

#[test]
fn chunked_with_extensions_and_trailers() {
    let got = answered(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
         5;a=b\r\nhello\r\n6 \r\n world\r\n000;last\r\nX-Sum: 9\r\nX-Two: a\r\n\r\n",
    );
    assert_eq!((body(&got), size(&got)), ("hello world", Some(11)));
    let trailers: Vec<_> =
        got.response.as_ref().unwrap().trailers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(trailers, [(b"X-Sum".to_vec(), b"9".to_vec()), (b"X-Two".to_vec(), b"a".to_vec())]);
}

#[test]
fn a_bad_chunk_leaves_the_size_unknown() {
    for (chunks, kept, finding) in [
        ("5\r\nhelloX\r\n", "hello", "chunk_end"),
        ("10000000000000000\r\nhello", "", "chunk_size"),
        ("5\r\nhello\r\nxyz\r\n", "hello", "chunk_size"),
        ("ffffffffffffffff\r\nhello", "hello", "cut_short"),
        ("0\r\nno colon\r\n\r\n", "", "header"),
    ] {
        let got = answered(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"));
        assert_eq!((body(&got), size(&got), got.findings.as_slice()), (kept, None, &[finding][..]), "{chunks:?}");
        assert!(got.response.unwrap().body.truncated);
    }
}

#[test]
fn sizes_that_overflow_add_up_to_nothing_known() {
    let got = answered("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nabc");
    assert_eq!((body(&got), size(&got)), ("abc", None));
}

#[test]
fn only_a_clean_end_gives_a_size() {
    let head = "HTTP/1.0 200 OK\r\n\r\nuntil the end";
    let got = answered(head);
    assert_eq!((body(&got), size(&got)), ("until the end", Some(13)));
    for how in [Ending::Reset, Ending::Expired, Ending::Evicted] {
        let run = run(&[get("/"), server(head), Step::End(ToServer, how), Step::End(ToClient, how)]);
        assert_eq!(brief(&run.exchanges), ["GET / 0 200 ?:cut_short"]);
    }
}

#[test]
fn only_the_front_is_kept_and_the_size_stays_exact() {
    let long = "0123456789".repeat(1000);
    let answers = [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n{long}"),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n{}\r\n1388\r\n{}\r\n0\r\n\r\n",
            &long[..5000],
            &long[5000..]
        ),
        format!("HTTP/1.1 200 OK\r\n\r\n{long}"),
    ];
    for (answer, max_body) in
        answers.iter().flat_map(|answer| [(answer, 0), (answer, 15), (answer, 5000), (answer, 10_000)])
    {
        let mut steps = vec![(1, get("/"))];
        // In segments, of which those beyond the limit could be missing.
        for (at, part) in answer.as_bytes().chunks(1460).enumerate() {
            steps.push((2 + at as u64, server(part)));
        }
        let last = steps.len() as u64;
        steps.push((100, Step::End(ToClient, Ending::Fin)));
        let got = run_with(&steps, false, max_body).exchanges;
        let message = got[0].response.as_ref().unwrap();
        assert_eq!((message.body.size, message.body.kept.len()), (Some(10_000), max_body));
        assert_eq!(message.body.truncated, max_body < 10_000);
        assert_eq!(message.ended, Time::from_millis(last));
        assert!(got[0].incomplete.is_empty());
    }
}

#[test]
fn what_is_skipped_may_be_missing() {
    for (answer, after) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_owned(), String::new()),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n".to_owned(), "\r\n0\r\n\r\n".to_owned()),
    ] {
        let steps = [
            get("/"),
            server(format!("{answer}{}", "a".repeat(100))),
            Step::Gap(ToClient, 500, Reason::Budget),
            Step::Skip(ToClient, 300),
            server(format!("{}{after}", "b".repeat(100))),
            get("/2"),
            ok("x"),
        ];
        let run = run_with(&timed(&steps), false, 50);
        assert_eq!(brief(&run.exchanges), ["GET / 0 200 1000", "GET /2 0 200 1"]);
        assert_eq!((run.counters.skipped.get(Reason::Budget), run.counters.skipped.get(Reason::BodyRate)), (500, 300));
        assert_eq!(run.counters.lost.total(), 0);
        assert_eq!(run.exchanges[0].incomplete.skipped.total(), 800);
        assert_eq!(run.exchanges[0].response.as_ref().unwrap().body.kept, b"a".repeat(50));
    }
}

#[test]
fn content_codings_are_undone() {
    let text = "compressible ".repeat(100);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let raw = gzip.finish().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", raw.len());
    let got = answered([head.as_bytes(), &raw].concat());
    assert_eq!((body(&got), size(&got)), (text.as_str(), Some(raw.len() as u64)));
    assert_eq!(got.response.as_ref().unwrap().body.decoded, Some("gzip"));
    assert!(got.findings.is_empty());

    // Cut at what is kept, and by the connection's end.
    let steps = timed(&[get("/"), server([head.as_bytes(), &raw].concat())]);
    let got = run_with(&steps, false, 100).exchanges.remove(0).response.unwrap().body;
    assert_eq!((got.kept.as_slice(), got.truncated), (&text.as_bytes()[..100], true));
    let cut = answered([head.as_bytes(), &raw[..raw.len() - 12]].concat());
    let kept = &cut.response.as_ref().unwrap().body;
    assert!(text.as_bytes().starts_with(&kept.kept) && kept.truncated && !kept.kept.is_empty());
    assert_eq!((kept.size, cut.findings), (None, vec!["cut_short"]));

    let plain = answered("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain");
    assert_eq!((body(&plain), plain.findings.as_slice()), ("plain", &["content_encoding"][..]));
    assert_eq!(plain.response.unwrap().body.decoded, None);
}

#[test]
fn a_gzip_transfer_coding_has_no_known_content_size() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"inner").unwrap();
    let raw = gzip.finish().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{:x}\r\n", raw.len());
    let got = answered([head.as_bytes(), &raw, b"\r\n0\r\n\r\n"].concat());
    assert_eq!((body(&got), size(&got)), ("inner", None));
}

#[test]
fn a_cut_never_splits_a_character() {
    let text = "é".repeat(20);
    let steps = timed(&[get("/"), ok(&text)]);
    let got = run_with(&steps, false, 5).exchanges.remove(0).response.unwrap().body;
    assert_eq!((got.kept.as_slice(), got.truncated, got.size), ("éé".as_bytes(), true, Some(40)));
}
