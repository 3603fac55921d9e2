use super::*;
use crate::{
    coverage::Reason,
    record::sample::{self, exchange, headers, record, request, response},
};

fn line(record: &Record, detail: Detail) -> String {
    let mut out = Vec::new();
    write(record, detail, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn parsed(record: &Record) -> serde_json::Value {
    serde_json::from_str(&line(record, Detail::Full)).expect("JSON")
}

#[test]
fn a_whole_record() {
    let mut request = request("POST", "/a?x=1", &[("Host", "shop"), ("X-Two", "1"), ("X-Two", "2")], b"{\"a\": 1}");
    request.trailers = headers(&[("Checksum", "1a2b")]);
    let mut response = response(200, &[("Content-Type", "text/html")], b"<p>\"hi\"</p>\n");
    response.body.size = Some(4096);
    response.body.decoded = Some("gzip");
    response.body.truncated = true;
    let mut exchange = exchange(Some(request), Some(response));
    exchange.stream_id = Some(3);
    exchange.findings = vec!["upgraded", "bad_chunk"];
    exchange.incomplete.lost.add(Reason::RingFull, 1448);
    exchange.incomplete.skipped.add(Reason::BodyRate, 10);
    let mut record = record(exchange);
    record.redacted = 2;
    let expected = r#"{"id":"3f9a1c2b-17-3","timestamp":"2026-11-22T01:02:03.456789Z","protocol":"http","capture_source":"ebpf",
"conn_id":17,"stream_id":3,"view":"both","join_key":"9a0c11d2-77e01b3c",
"src":{"ip":"10.244.1.7","port":50312,"name":"10.244.1.7","namespace":"internal"},
"dst":{"ip":"10.244.2.9","port":8080,"name":"10.244.2.9","namespace":"internal","dialed":{"ip":"10.96.0.9","port":80}},
"method":"POST","path":"/a","status_code":200,"elapsed_time":1834,"time_to_first_byte":1200,
"request":{"headers":[["Host","shop"],["X-Two","1"],["X-Two","2"]],"headers_size":90,"body_size":8,
"body":"{\"a\": 1}","body_encoding":"utf8","body_kept":8,"trailers":[["Checksum","1a2b"]]},
"response":{"headers":[["Content-Type","text/html"]],"headers_size":60,"body_size":4096,
"body":"<p>\"hi\"</p>\n","body_encoding":"utf8","body_kept":12,"body_truncated":true,"content_encoding":"gzip","trailers":[]},
"incomplete":{"lost_bytes":1448,"skipped_bytes":10,"reasons":["ring_full","body_rate"]},
"findings":["upgraded","bad_chunk"],"redacted":2}"#;
    assert_eq!(line(&record, Detail::Full), expected.replace('\n', ""));
    let without = line(&record, Detail::WithoutBodies);
    assert!(!without.contains("\"body\"") && !without.contains("body_encoding"), "{without}");
    assert!(without.contains(r#""body_size":8,"body_kept":8,"#), "{without}");
}

#[test]
fn what_is_absent_is_left_out() {
    let mut record = record(exchange(Some(request("GET", "/", &[], b"")), None));
    record.id.epoch = 0;
    record.source = crate::capture::CaptureSource::Pcap;
    (record.dialed, record.join_key) = (None, None);
    record.views = crate::flow::Views::default();
    record.client = "[2001:db8::7]:1234".parse().expect("an address");
    record.server = "[::ffff:192.0.2.1]:80".parse().expect("an address");
    let expected = r#"{"id":"17-3","timestamp":"2026-11-22T01:02:03.456789Z","protocol":"http","capture_source":"pcap",
"conn_id":17,"src":{"ip":"2001:db8::7","port":1234,"name":"2001:db8::7","namespace":"public"},
"dst":{"ip":"192.0.2.1","port":80,"name":"192.0.2.1","namespace":"public"},"method":"GET","path":"/",
"request":{"headers":[],"headers_size":90,"body_size":0,"body":"","body_encoding":"utf8","body_kept":0,"trailers":[]},
"response":null,"redacted":0}"#;
    assert_eq!(line(&record, Detail::Full), expected.replace('\n', ""));
}

#[test]
fn what_is_unknown_is_null() {
    let mut response = response(200, &[], b"x");
    response.body.size = None;
    let mut record = record(exchange(None, Some(response)));
    record.exchange.open = true;
    record.exchange.revision = 2;
    let value = parsed(&record);
    for name in ["request", "method", "path", "elapsed_time", "time_to_first_byte"] {
        assert!(value.get(name).is_some_and(serde_json::Value::is_null), "{name}");
    }
    assert!(value["response"]["body_size"].is_null());
    assert_eq!((&value["open"], &value["revision"]), (&true.into(), &2.into()));
}

#[test]
fn a_body_that_is_not_text_is_base64() {
    for (body, encoded) in [(&b"\xff"[..], "/w=="), (b"\xff\x00", "/wA="), (b"\xff\x00\x01", "/wAB")] {
        let record = record(exchange(Some(request("POST", "/", &[], body)), None));
        let value = parsed(&record);
        assert_eq!(value["request"]["body"], encoded);
        assert_eq!(value["request"]["body_encoding"], "base64");
        assert_eq!(value["request"]["body_kept"], body.len());
    }
}

#[test]
fn hostile_texts_come_back() {
    let hostile = "\u{0}\u{1f}\"\\/\u{7f}\u{2028}\u{2029}ä😀</script>\r\n\t";
    let record = record(exchange(
        Some(request("POST", "/\"\\", &[(hostile, hostile)], hostile.as_bytes())),
        Some(response(200, &[], b"\x80\"")),
    ));
    let text = line(&record, Detail::Full);
    assert!(!text.bytes().any(|byte| byte < 0x20), "one line");
    let value = parsed(&record);
    assert_eq!(value["path"], "/\"\\");
    assert_eq!(value["request"]["headers"][0][0], hostile);
    assert_eq!(value["request"]["headers"][0][1], hostile);
    assert_eq!(value["request"]["body"], hostile);
    assert_eq!(value["response"]["body_encoding"], "base64");
}

#[test]
fn header_bytes_that_are_not_utf_8_are_latin_1() {
    let mut request = request("GET", "/", &[], b"");
    request.headers.push(b"X-Name", b"caf\xe9 \"\x80\"");
    let value = parsed(&record(exchange(Some(request), None)));
    assert_eq!(value["request"]["headers"][0][1], "café \"\u{80}\"");
}

#[test]
fn values_of_every_type() {
    let written = |value: Value<'_>| {
        let mut out = Vec::new();
        super::value(&mut out, &value);
        String::from_utf8(out).expect("UTF-8")
    };
    assert_eq!(written(Value::Absent), "null");
    assert_eq!(written(Value::Unknown), "null");
    assert_eq!(written(Value::Int(-3)), "-3");
    assert_eq!(written(Value::Float(1.5)), "1.5");
    assert_eq!(written(Value::Float(f64::NAN)), "null");
    assert_eq!(written(Value::Float(1e300)), "1e300");
    assert_eq!(written(Value::Duration(1_500_999)), "1500");
    assert_eq!(written(Value::Bytes(b"a\xff".as_slice().into())), "\"aÿ\"");
    assert_eq!(written(Value::TextList(vec!["a".into(), "\"".into()])), r#"["a","\""]"#);
    assert_eq!(written(Value::TextMap(vec![("a".into(), "b".into()), ("c".into(), "".into())])), r#"{"a":"b","c":""}"#);
    assert_eq!(written(Value::Timestamp(crate::time::Time(0))), "\"1970-01-01T00:00:00.000000Z\"");
}

#[test]
fn a_compact_record() {
    let compact = |record: &Record| {
        let mut out = Vec::new();
        write_compact(record, &mut out);
        String::from_utf8(out).expect("UTF-8")
    };
    let mut record = sample::record(exchange(Some(request("GET", "/a", &[], b"")), Some(response(404, &[], b""))));
    assert_eq!(
        compact(&record),
        r#"{"id":"3f9a1c2b-17-3","ts":1795309323456,"src":{"ip":"10.244.1.7","port":50312,"ns":"internal"},"#
            .to_owned()
            + r#""dst":{"ip":"10.244.2.9","port":8080,"ns":"internal"},"proto":"http","method":"GET","path":"/a","#
            + r#""status":404,"latency_ms":1.834}"#
    );
    record.exchange.response = None;
    assert!(compact(&record).ends_with(r#""method":"GET","path":"/a"}"#));
}

#[test]
fn the_id_is_that_of_display() {
    let mut record = record(exchange(None, None));
    for epoch in [0, 1, 0x3f9a_1c2b, u32::MAX] {
        record.id.epoch = epoch;
        let mut out = Vec::new();
        id(&mut out, &record);
        assert_eq!(out, record.id.to_string().into_bytes());
    }
}
