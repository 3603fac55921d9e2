//! Heads, pairing, and what ends a message.

use super::*;

#[test]
fn a_call_with_its_fields() {
    let got = exchanges(&[
        client(
            "POST /a/b?x=1&y=%C3%A9+z&x=2 HTTP/1.1\r\nHost: shop:8080\r\nCookie: a=1; b=2\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 4\r\n\r\nbody",
        ),
        server("HTTP/1.0 201 Created\r\nSet-Cookie: s=t; Path=/\r\nContent-Length: 2\r\n\r\nok"),
    ]);
    assert_eq!(brief(&got), ["POST /a/b 4 201 2"]);
    let value = |name: &str| {
        let field = http1::HTTP.fields().find(|field| field.name == name).unwrap();
        match (field.get)(&got[0]) {
            Value::Text(text) => text.into_owned(),
            Value::TextMap(map) => map.iter().map(|(name, value)| format!("{name}={value};")).collect(),
            Value::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(value("url"), "http://shop:8080/a/b?x=1&y=%C3%A9+z&x=2");
    assert_eq!(value("query_string"), "x=1, 2;y=é z;");
    assert_eq!(value("request.headers"), "host=shop:8080;cookie=a=1; b=2;x-a=1, 2;content-length=4;");
    assert_eq!(value("request.cookies"), "a=1;b=2;");
    assert_eq!(value("response.cookies"), "s=t;");
    assert_eq!(value("http_version"), "1.1");
    assert_eq!(value("request_headers_size"), "111");
    assert_eq!(value("request_body"), "body");
    assert_eq!(value("response_body"), "ok");
    let (request, response) = (got[0].request.as_ref().unwrap(), got[0].response.as_ref().unwrap());
    assert_eq!((request.started, request.ended), (Time::from_millis(1), Time::from_millis(1)));
    assert_eq!((response.started, response.ended), (Time::from_millis(2), Time::from_millis(2)));
    assert_eq!(request.headers.get("cookie"), Some(&b"a=1; b=2"[..]));
    assert!(!got[0].open && got[0].revision == 0 && got[0].incomplete.is_empty());
}

#[test]
fn targets_of_all_forms() {
    let heads = [
        ("GET http://proxied/x?y HTTP/1.1\r\nHost: other\r\n\r\n", "/x", "http://proxied/x?y", "proxied"),
        ("GET http://proxied HTTP/1.1\r\n\r\n", "/", "http://proxied", "proxied"),
        ("GET /no-host#f HTTP/1.0\r\n\r\n", "/no-host", "/no-host#f", ""),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", "*", "a"),
        ("GET /q?to=http://x HTTP/1.1\r\nHost: a:81\r\n\r\n", "/q", "http://a:81/q?to=http://x", "a:81"),
    ];
    for (head, path, url, authority) in heads {
        let got = exchanges(&[client(head), ok("")]);
        let field = |name: &str| (http1::HTTP.fields().find(|field| field.name == name).unwrap().get)(&got[0]);
        assert_eq!(field("path"), Value::Text(path.into()));
        assert_eq!(field("url"), Value::Text(url.into()));
        let expected = if authority.is_empty() { Value::Absent } else { Value::Text(authority.into()) };
        assert_eq!(field("authority"), expected);
    }
}

#[test]
fn keep_alive_and_pipelining_answer_in_order() {
    let got = exchanges(&[get("/1"), ok("a"), get("/2"), ok("bb")]);
    assert_eq!(brief(&got), ["GET /1 0 200 1", "GET /2 0 200 2"]);
    let three = "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n\r\nHEAD /3 HTTP/1.1\r\n\r\n";
    let got = exchanges(&[
        client(three),
        server("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nbb"),
        server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
    ]);
    assert_eq!(brief(&got), ["GET /1 0 200 1", "GET /2 0 404 2:pipelined", "HEAD /3 0 200 0:pipelined"]);
    assert_eq!(got.iter().map(|exchange| exchange.number).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn interim_answers_are_not_final() {
    let got = exchanges(&[
        client("PUT /u HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
        server("HTTP/1.1 100 Continue\r\n\r\n"),
        client("abc"),
        server("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
    ]);
    assert_eq!(brief(&got), ["PUT /u 3 204 0:continue,early_hints"]);
    assert_eq!(got[0].request.as_ref().unwrap().ended, Time::from_millis(3));
    assert_eq!(got[0].response.as_ref().unwrap().started, Time::from_millis(4));
}

#[test]
fn a_refused_expectation_needs_no_body() {
    let put = "PUT /u HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 300\r\n\r\n";
    let refused = server("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    let got = exchanges(&[client(put), refused.clone(), get("/next"), ok("x")]);
    assert_eq!(brief(&got), ["PUT /u ? 417 0:body_not_sent", "GET /next 0 200 1"]);
    let got = exchanges(&[client(put), refused.clone()]);
    assert_eq!(brief(&got), ["PUT /u ? 417 0:cut_short"]);
    let got = exchanges(&[client(put), refused, client("x".repeat(300)), get("/next"), ok("x")]);
    assert_eq!(brief(&got), ["PUT /u 300 417 0", "GET /next 0 200 1"]);
}

#[test]
fn answers_without_a_body() {
    let got = exchanges(&[
        client("HEAD /h HTTP/1.1\r\n\r\n"),
        server("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        get("/n"),
        server("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
        get("/d"),
        server("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
        get("/last"),
        ok("z"),
    ]);
    assert_eq!(brief(&got), ["HEAD /h 0 200 0", "GET /n 0 304 0", "GET /d 0 204 0", "GET /last 0 200 1"]);
}

#[test]
fn upgrade_and_connect_end_http() {
    let mut steps = vec![
        client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        server("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x05hello"),
        client("\u{1}GET / HTTP/1.1\r\n\r\n"),
    ];
    assert_eq!(brief(&exchanges(&steps)), ["GET /ws 0 101 0:upgraded"]);
    let run_ = run(&steps);
    assert_eq!(run_.counters.undecoded.get(Reason::Upgraded), 8 + 19 - 1);
    assert!(matches!(run_.conversation.reads(), Reads::Undecoded(Reason::Upgraded)));

    steps = vec![
        client("CONNECT db:443 HTTP/1.1\r\nHost: db:443\r\n\r\n"),
        server("HTTP/1.1 200 Connection established\r\n\r\n"),
        client("GET /inside HTTP/1.1\r\n\r\n"),
        ok("not ours"),
    ];
    assert_eq!(brief(&exchanges(&steps)), ["CONNECT - 0 200 0:upgraded"]);

    steps[1] = server("HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(brief(&exchanges(&steps)), ["CONNECT - 0 407 2", "GET /inside 0 200 8"]);

    // What comes before the answer waits for it.
    let got =
        exchanges(&[client("CONNECT db:1 HTTP/1.1\r\n\r\nGET /early HTTP/1.1\r\n\r\n"), steps[1].clone(), ok("!")]);
    assert_eq!(brief(&got), ["CONNECT - 0 407 2", "GET /early 0 200 1:pipelined"]);
}

#[test]
fn an_upgrade_that_is_refused_stays_http() {
    let got = exchanges(&[client("GET /ws HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"), ok("no"), get("/2"), ok("")]);
    assert_eq!(brief(&got), ["GET /ws 0 200 2", "GET /2 0 200 0"]);
}

#[test]
fn a_client_that_goes_away_has_no_size() {
    let got = run(&[
        client("POST /u HTTP/1.1\r\nContent-Length: 100\r\n\r\nonly this"),
        Step::End(ToServer, Ending::Reset),
        Step::End(ToClient, Ending::Reset),
    ]);
    assert_eq!(brief(&got.exchanges), ["POST /u ? ? ?:cut_short"]);
    assert!(got.exchanges[0].request.as_ref().unwrap().body.truncated);
    let got = run(&[
        get("/"),
        server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly"),
        Step::End(ToClient, Ending::Reset),
    ]);
    assert_eq!(brief(&got.exchanges), ["GET / 0 200 ?:cut_short"]);
}

#[test]
fn an_answer_to_nothing_is_half_a_call() {
    let timeout = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(brief(&exchanges(&[server(timeout)])), ["? ? ? 408 0"]);
    // Who answers before being asked can't be paired afterwards.
    let got = exchanges(&[server(timeout), get("/a"), ok("a"), get("/b"), ok("b")]);
    assert_eq!(got.len(), 5);
    assert!(got.iter().all(|exchange| exchange.request.is_none() || exchange.response.is_none()));
}

#[test]
fn an_early_answer_closes_when_the_request_does() {
    let got = exchanges(&[
        client("POST /u HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"),
        server("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"),
        client("def"),
        get("/2"),
        ok(""),
    ]);
    assert_eq!(brief(&got), ["POST /u 6 413 0", "GET /2 0 200 0"]);
}

#[test]
fn garbage_is_counted_and_reading_goes_on_at_a_turn() {
    let steps = [get("/1"), server("<html>no head at all</html>"), get("/2"), ok("x")];
    assert_eq!(brief(&exchanges(&steps)), ["GET /1 0 ? ?", "GET /2 0 200 1"]);
    let run_ = run(&steps);
    assert_eq!(run_.counters.malformed, [("http", "start_line", 1)]);
    assert_eq!(run_.counters.undecoded.get(Reason::Malformed), 27);

    let steps = [get("/1"), ok("x"), client("GET /bad HTTP/1.1\r\nno colon\r\n\r\n"), ok("y"), get("/2"), ok("z")];
    let got = exchanges(&steps);
    assert_eq!(brief(&got), ["GET /1 0 200 1", "? ? ? 200 1", "GET /2 0 200 1"]);
}

#[test]
fn heads_have_bounds() {
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    for pieces in [1, 2, 1000] {
        let mut steps: Vec<Step> = long.as_bytes().chunks(long.len().div_ceil(pieces)).map(client).collect();
        steps.insert(0, ok("?"));
        steps.insert(0, get("/first"));
        steps.extend([server("HTTP/1.1 414 Long\r\nContent-Length: 0\r\n\r\n"), get("/2"), ok("x")]);
        let run = run(&steps);
        assert_eq!(run.counters.malformed, [("http", "input_limit", 1)], "in {pieces} pieces");
        assert_eq!(run.counters.undecoded.total(), long.len() as u64);
        assert_eq!(brief(&run.exchanges), ["GET /first 0 200 1", "? ? ? 414 0", "GET /2 0 200 1"]);
    }
}

#[test]
fn framing_that_peers_read_differently_is_a_finding() {
    for (headers, size, finding) in [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "3", "transfer_encoding_and_content_length"),
        ("Transfer-Encoding: xchunked\r\n", "?", "transfer_encoding"),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", "?", "content_length"),
        ("Content-Length : 3\r\n", "?", "space_before_colon,framing_header"),
    ] {
        let got = exchanges(&[
            client(format!("POST / HTTP/1.1\r\n{headers}\r\n3\r\nabc\r\n0\r\n\r\n")),
            ok("x"),
            get("/2"),
            ok("y"),
        ]);
        assert_eq!(brief(&got), [format!("POST / {size} 200 1:{finding}"), "GET /2 0 200 1".to_owned()]);
    }
}

#[test]
fn open_exchanges_are_published_while_they_run() {
    let mut conversation = Conversation::new(&Settings { max_body: 100, ..Settings::default() }, Protocol4::Tcp, false);
    let (mut counters, mut done) = (Counters::default(), Vec::new());
    let mut feed = |conversation: &mut Conversation, step: Step, millis| {
        let time = Time::from_millis(millis);
        let (from, bytes) = match &step {
            Step::Client(bytes) => (ToServer, bytes),
            Step::Server(bytes) => (ToClient, bytes),
            other => panic!("{other:?}"),
        };
        conversation.feed(from, Piece::Chunk { bytes, time }, &mut counters, &mut done);
        std::mem::take(&mut done)
    };
    assert!(feed(&mut conversation, get("/slow"), 10).is_empty());
    let mut open = Vec::new();
    conversation.publish_open(Time::from_millis(10), &mut open);
    assert!(open.is_empty(), "not before it is old enough");
    conversation.publish_open(Time::from_millis(11), &mut open);
    conversation.publish_open(Time::from_millis(12), &mut open);
    assert_eq!(open.len(), 1, "once, while nothing changes");
    assert!(open[0].open && open[0].response.is_none() && open[0].revision == 0);
    assert_eq!(conversation.oldest_open(), Some(Time::from_millis(10)));

    feed(&mut conversation, server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), 20);
    open.clear();
    conversation.publish_open(Time::from_millis(21), &mut open);
    assert_eq!((open[0].revision, body(&open[0])), (1, "abc"));
    assert_eq!(open[0].response.as_ref().unwrap().body.size, None);
    feed(&mut conversation, server("3\r\ndef\r\n"), 30);
    open.clear();
    conversation.publish_open(Time::from_millis(31), &mut open);
    assert!(open.is_empty(), "growth is published seldom");
    conversation.publish_open(Time::from_millis(1021), &mut open);
    assert_eq!((open[0].revision, body(&open[0])), (2, "abcdef"));
    let last = feed(&mut conversation, server("0\r\n\r\n"), 2000);
    assert_eq!((last[0].revision, last[0].open, body(&last[0])), (3, false, "abcdef"));
    assert_eq!(conversation.oldest_open(), None);
}
