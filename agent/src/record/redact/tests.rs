use hmac::{Hmac, KeyInit, Mac};

use super::*;
use crate::{
    dissect::{Body, Carried, Headers, Messages, StreamMessage},
    record::sample::{self, MAX_BODY, redactor},
};

/// What stands for a secret under the tests' key, computed apart from the code.
fn mark(secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"test key").expect("a key");
    mac.update(secret.as_bytes());
    let hash = mac.finalize().into_bytes();
    let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[redacted {} B #{hash}]", secret.len())
}

/// `«secret»` in an expected text stands for its mark; how many there are.
fn expected(text: &str) -> (String, u32) {
    let mut out = String::new();
    let mut rest = text;
    let mut count = 0;
    while let Some((before, after)) = rest.split_once('«') {
        let (secret, after) = after.split_once('»').expect("closed");
        out += before;
        out += &mark(secret);
        rest = after;
        count += 1;
    }
    (out + rest, count)
}

fn body(text: &str, content_type: Option<&str>) -> (String, u32) {
    let headers = content_type.map_or_else(Headers::default, |value| sample::headers(&[("Content-Type", value)]));
    let mut body = sample::body(text.as_bytes());
    let count = super::body::redact(&redactor(), &headers, &mut body);
    (String::from_utf8(body.kept).expect("UTF-8"), count)
}

fn target(text: &str) -> (String, u32) {
    let mut target = text.as_bytes().to_vec();
    let count = url::target(&redactor(), &mut target);
    (String::from_utf8(target).expect("UTF-8"), count)
}

fn header(name: &str, value: &str) -> (String, u32) {
    let mut headers = sample::headers(&[("first", "1"), (name, value), ("last", "9")]);
    let count = headers::redact(&redactor(), &mut headers);
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(pairs.len(), 3);
    assert_eq!((&pairs[0], &pairs[2]), (&(b"first".to_vec(), b"1".to_vec()), &(b"last".to_vec(), b"9".to_vec())));
    assert_eq!(pairs[1].0, name.as_bytes());
    (String::from_utf8(pairs[1].1.clone()).expect("UTF-8"), count)
}

/// Each text, and what becomes of it.
fn check(cases: &[(&str, &str)], redact: impl Fn(&str) -> (String, u32)) {
    for (text, wanted) in cases {
        assert_eq!(redact(text), expected(wanted), "{text}");
    }
}

/// Texts that stay as they are.
fn check_same(cases: &[&str], redact: impl Fn(&str) -> (String, u32)) {
    for text in cases {
        assert_eq!(redact(text), ((*text).to_owned(), 0), "{text}");
    }
}

#[test]
fn the_mark_is_length_and_hash() {
    // RFC 4231, test case 2.
    let mut out = Vec::new();
    Redactor::new(b"Jefe", MAX_BODY).mark(b"what do ya want for nothing?", &mut out);
    assert_eq!(out, b"[redacted 28 B #5bdcc146bf60754e]");
    // RFC 4231, test case 6: a key longer than the block.
    out.clear();
    Redactor::new(&[0xaa; 131], MAX_BODY).mark(b"Test Using Larger Than Block-Size Key - Hash Key First", &mut out);
    assert_eq!(out, b"[redacted 54 B #60e431591ee0b67f]");
}

#[test]
fn a_random_key_is_random() {
    let mark = |redactor: &Redactor| {
        let mut out = Vec::new();
        redactor.mark(b"secret", &mut out);
        out
    };
    let (one, two) = (Redactor::random(1).expect("random"), Redactor::random(1).expect("random"));
    assert_eq!(mark(&one), mark(&one.clone()));
    assert_ne!(mark(&one), mark(&two));
    assert!(!format!("{one:?}").contains("keyed"));
}

#[test]
fn headers_by_name() {
    for (name, value, wanted) in [
        ("Authorization", "Bearer abc.def", "«Bearer abc.def»"),
        ("proxy-authorization", "Basic dTpw", "«Basic dTpw»"),
        ("X-API-Key", "k-1", "«k-1»"),
        ("X-Auth-Token", "t", "«t»"),
        ("X-Debug", "{\"user\":\"u\",\"token\":\"t\"}", "{\"user\":\"u\",\"token\":\"«t»\"}"),
        ("x-vault-token", "s.1", "«s.1»"),
        ("x-hub-signature-256", "sha256=00ff", "«sha256=00ff»"),
        ("Cookie", "a=1; session=xyz;b=\"q\"; flag=", "a=«1»; session=«xyz»;b=«\"q\"»; flag="),
        ("cookie", "justavalue", "«justavalue»"),
        ("COOKIE", "a=b=c; d", "a=«b=c»; «d»"),
        (
            "Set-Cookie",
            "sid=abc; Path=/; Domain=x.org; Expires=Wed, 09 Jun 2027 10:18:14 GMT; Max-Age=1; Secure; HttpOnly; SameSite=Lax",
            "sid=«abc»; Path=/; Domain=x.org; Expires=Wed, 09 Jun 2027 10:18:14 GMT; Max-Age=1; Secure; HttpOnly; SameSite=Lax",
        ),
        ("Set-Cookie", "a=1; Path=/, b=2; x=3", "a=«1»; Path=«/, b=2»; x=«3»"),
        ("Set-Cookie", "path=/secret", "path=«/secret»"),
        (
            "Sec-WebSocket-Protocol",
            "base64url.bearer.authorization.k8s.io.c2VjcmV0, v4.channel.k8s.io",
            "base64url.bearer.authorization.k8s.io.«c2VjcmV0», v4.channel.k8s.io",
        ),
    ] {
        assert_eq!(header(name, value), expected(wanted), "{name}: {value}");
    }
}

#[test]
fn urls_in_headers() {
    check(
        &[
            ("https://u:p@h/x", "https://«u:p»@h/x"),
            ("https://h/cb?code=abc&state=1", "https://h/cb?code=«abc»&state=1"),
            ("/cb?access_token=abc#frag", "/cb?access_token=«abc»#frag"),
            ("/cb#access_token=abc&x=1", "/cb#access_token=«abc»&x=1"),
            ("https://u:p@h/?sig=a%2Bb&x=1", "https://«u:p»@h/?sig=«a+b»&x=1"),
            ("<https://h/?page=2&api_key=k>; rel=\"next\"", "<https://h/?page=2&api_key=«k»>; rel=\"next\""),
            ("5; url=https://h/?token=t", "5; url=https://h/?token=«t»"),
            ("//u:p@h/x", "//«u:p»@h/x"),
            ("for=1.2.3.4;secret=abc", "for=1.2.3.4;secret=«abc»"),
            ("x=1, token=\"a b\", y=2", "x=1, token=\"«a b»\", y=2"),
            ("http://u:a/b@h/x", "http://«u:a/b»@h/x"),
            (
                "https://login/?next=https%3A%2F%2Fh%2F%3Ftoken%3Dabc&y=1",
                "https://login/?next=https://h/?token%3D«abc»&y=1",
            ),
        ],
        |value| header("Location", value),
    );
    check_same(
        &[
            "https://h/@user/x",
            "https://h:8080/@user",
            "text/html; charset=utf-8",
            "max-age=3600, public",
            "a@b.org",
            "/a//b@c",
            "https://h/?a=b&c=%20d",
            "https://h/?token=&x=1",
        ],
        |value| header("Location", value),
    );
    assert_eq!(header("Host", "u:p@h:80"), expected("«u:p»@h:80"));
    assert_eq!(header("From", "me@example.org"), ("me@example.org".to_owned(), 0));
}

#[test]
fn request_targets() {
    check(
        &[
            ("/a?access_token=abc&x=1", "/a?access_token=«abc»&x=1"),
            ("/a?x=1&api_key=k#y", "/a?x=1&api_key=«k#y»"),
            ("/a?pass%77ord=abc", "/a?pass%77ord=«abc»"),
            ("/a?user%5Bpassword%5D=abc&user[secret]=d", "/a?user%5Bpassword%5D=«abc»&user[secret]=«d»"),
            ("/a?x=1;token=a;b", "/a?x=1;token=«a;b»"),
            ("/a?key=AIza&code=1&sig=s&signature=t", "/a?key=«AIza»&code=«1»&sig=«s»&signature=«t»"),
            ("/a;jsessionid=0F/b;x=1?y=2", "/a;jsessionid=«0F»/b;x=1?y=2"),
            ("http://u:p@h/a?token=t", "http://«u:p»@h/a?token=«t»"),
            ("u:p@h:443", "«u:p»@h:443"),
            ("/proxy?u=http://u:p@h/", "/proxy?u=http://«u:p»@h/"),
            ("/a?token=a=b==", "/a?token=«a=b==»"),
            ("/a?q={\"password\":\"x&y", "/a?q={\"password\":\"«x»&y"),
            ("/a?q=%7B%22password%22%3A%22x%26y%22%7D&z=1", "/a?q={\"password\":\"«x&y»\"}&z=1"),
            ("/a?TOKEN=%zz%41", "/a?TOKEN=«%zzA»"),
        ],
        target,
    );
    check_same(
        &[
            "/",
            "*",
            "/a?x=1&y=2",
            "/a?token",
            "/a?token=",
            "/a?=x",
            "/a?monkey=1&keyword=2",
            "h:443",
            "/@scope/pkg",
            "/a//b@c?x",
        ],
        target,
    );
}

#[test]
fn json_bodies() {
    check(
        &[
            (r#"{"password":"hunter2"}"#, r#"{"password":"«hunter2»"}"#),
            (r#"{"a":1, "Token" : "x" , "b":2}"#, r#"{"a":1, "Token" : "«x»" , "b":2}"#),
            ("{\"token\"\n\t:\r\n \"x\"}", "{\"token\"\n\t:\r\n \"«x»\"}"),
            (r#"{"pass\u0077ord":"x"}"#, r#"{"pass\u0077ord":"«x»"}"#),
            (
                r#"{"\u0070\u0061\u0073\u0073\u0077\u006f\u0072\u0064":"x"}"#,
                r#"{"\u0070\u0061\u0073\u0073\u0077\u006f\u0072\u0064":"«x»"}"#,
            ),
            (r#"{"secret":"a\"b\\","c":"d"}"#, "{\"secret\":\"«a\"b\\»\",\"c\":\"d\"}"),
            (r#"{"secret":"\u00e4\ud83d\ude00\n"}"#, "{\"secret\":\"«ä😀\n»\"}"),
            (r#"{"secret":123,"api_key":-1.5e3}"#, r#"{"secret":"«123»","api_key":"«-1.5e3»"}"#),
            (r#"{"secret":{"a":["}",{"b":"\"]"}]},"c":1}"#, r#"{"secret":"«{"a":["}",{"b":"\"]"}]}»","c":1}"#),
            (r#"{"credentials":["a","b"],"c":1}"#, r#"{"credentials":"«["a","b"]»","c":1}"#),
            (r#"[{"token":"a"},{"token":"a"}]"#, r#"[{"token":"«a»"},{"token":"«a»"}]"#),
            (
                "{\"token\":\"a\"}\n{\"token\":1}\n{\"token\":2",
                "{\"token\":\"«a»\"}\n{\"token\":\"«1»\"}\n{\"token\":\"«2»\"",
            ),
            // Cut.
            (r#"{"password":"hunt"#, r#"{"password":"«hunt»"#),
            (r#"{"password":"hunt\"#, r#"{"password":"«hunt\»"#),
            (r#"{"password":"hunt\u00"#, r#"{"password":"«hunt\u00»"#),
            (r#"{"password":12"#, r#"{"password":"«12»""#),
            (r#"{"password":{"a":"b"#, r#"{"password":"«{"a":"b»""#),
            // A string in a string.
            (r#"{"body":"{\"password\":\"x\",\"n\":1}"}"#, r#"{"body":"{\"password\":\"«x»\",\"n\":1}"}"#),
            (r#"{"body":"{\"pin\":\"1\",\"token\": 12}"}"#, r#"{"body":"{\"pin\":\"1\",\"token\": \"«12»\"}"}"#),
            (
                r#"{"b":"{\"c\":\"{\\\"token\\\":\\\"x\\\\\\\"y\\\"}\"}"}"#,
                r#"{"b":"{\"c\":\"{\\\"token\\\":\\\"«x"y»\\\"}\"}"}"#,
            ),
            (r#"{"b":"{\"token\":\"cut"}"#, r#"{"b":"{\"token\":\"«cut»"}"#),
            (r#"{"b":"{\"token\":","password":"x"}"#, r#"{"b":"{\"token\":","password":"«x»"}"#),
            (r#"{"b":"\\","password":"x"}"#, r#"{"b":"\\","password":"«x»"}"#),
            // Written by people, or broken.
            (r"{'password': 'it\'s', 'a': 'b'}", "{'password': '«it's»', 'a': 'b'}"),
            (r#"{password: "x", a: "b"}"#, r#"{password: "«x»", a: "b"}"#),
            (r#"{"query":"{ login(password: \"x\") { id } }"}"#, r#"{"query":"{ login(password: \"«x»\") { id } }"}"#),
            (r#"{"password":hunter2,"b":1}"#, r#"{"password":"«hunter2»","b":1}"#),
            (r#"{"a":"x" "token":"y"}"#, r#"{"a":"x" "token":"«y»"}"#),
            // What it stands behind.
            ("\u{feff}{\"token\":\"x\"}", "\u{feff}{\"token\":\"«x»\"}"),
            (")]}',\n{\"token\":\"x\"}", ")]}',\n{\"token\":\"«x»\"}"),
            ("event: m\ndata: {\"token\":\"x\"}\n\n", "event: m\ndata: {\"token\":\"«x»\"}\n\n"),
            ("callback({\"token\":\"x\"})", "callback({\"token\":\"«x»\"})"),
            ("it's 5\" wide {\"token\":\"x\"}", "it's 5\" wide {\"token\":\"«x»\"}"),
            // URLs.
            (r#"{"dsn":"postgres://u:p@h/db"}"#, r#"{"dsn":"postgres://«u:p»@h/db"}"#),
            (
                r#"{"next":"https:\/\/h\/?a=1\u0026sig=x\u0026b=2"}"#,
                r#"{"next":"https:\/\/h\/?a=1\u0026sig=«x»\u0026b=2"}"#,
            ),
            (r"{'u':'http://h/','password':'x'}", "{'u':'http://h/','password':'«x»'}"),
        ],
        |text| body(text, Some("application/json")),
    );
    check_same(
        &[
            "{}",
            "[]",
            "{",
            r#"{"password""#,
            r#"{"password":"#,
            r#"{"password": "#,
            r#"{"password":""#,
            r#"{"password":""}"#,
            r#"{"password":null,"token":true,"secret":false,"api_key":{}}"#,
            r#"{"key":"a","code":404,"max_tokens":5,"monkey":"b"}"#,
            r#"{"a":"the password: unknown"}"#,
            r#"{"error":"bad token:","next":"v"}"#,
            r#"{"time":"12:34:56","url":"http://h/x"}"#,
            "::::\":\":\"\":",
            "\":",
            "\\\":",
        ],
        |text| body(text, Some("application/json")),
    );
}

#[test]
fn json_under_any_content_type() {
    for content_type in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/octet-stream")]
    {
        let (text, wanted) = (r#"{"a":"b&c=d","password":"p&q=1"}"#, r#"{"a":"b&c=d","password":"«p&q=1»"}"#);
        assert_eq!(body(text, content_type), expected(wanted), "{content_type:?}");
    }
}

#[test]
fn form_bodies() {
    const FORM: Option<&str> = Some("Application/X-WWW-Form-Urlencoded; charset=utf-8");
    let cases = [
        ("user=u&password=a%26b&x=1", "user=u&password=«a&b»&x=1"),
        (
            "grant_type=authorization_code&code=c&client_secret=s",
            "grant_type=authorization_code&code=«c»&client_secret=«s»",
        ),
        ("pass%77ord=x", "pass%77ord=«x»"),
        ("password=cut%2", "password=«cut%2»"),
        ("&&password=x", "&&password=«x»"),
        ("payload={\"token\":\"x\"}&y=1", "payload={\"token\":\"«x»\"}&y=1"),
        ("payload=%7B%22token%22%3A%22x%22%7D", "payload={\"token\":\"«x»\"}"),
    ];
    check(&cases, |text| body(text, FORM));
    check(&cases, |text| body(text, None));
    // A form's line end belongs to its value; in other texts the next line is another matter.
    assert_eq!(body("password=a\r\nb&c=d", FORM), expected("password=«a\r\nb»&c=d"));
    assert_eq!(body("USER=u\nPASSWORD=p\nX=1\n", None), expected("USER=u\nPASSWORD=«p»\nX=1\n"));
    check_same(&["a=b&c=d", "token", "token=", "a b token=x", "<a href=\"?x=1\">"], |text| body(text, None));
}

#[test]
fn multipart_bodies() {
    let form = |value: &str| {
        format!(
            "--XyZ\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nu\r\n\
             --XyZ\r\nContent-Disposition: form-data; filename=\"token\"; name=\"password\"\r\nContent-Type: text/plain\r\n\r\n{value}\r\n\
             --XyZ\r\nContent-Disposition: form-data; name=meta\r\n\r\n{{\"token\":\"«t»\"}}\r\n--XyZ--\r\n"
        )
    };
    let plain = |text: &str| text.replace(['«', '»'], "");
    for value in ["«p\r\n-w»", "«1»"] {
        assert_eq!(body(&plain(&form(value)), None), expected(&form(value)));
    }
    let cut = "--XyZ\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhal";
    assert_eq!(body(cut, None), expected(&cut.replace("hal", "«hal»")));
    for end in 0..cut.len() - 3 {
        assert_eq!(body(&cut[..end], None), (cut[..end].to_owned(), 0));
    }
    // RFC 2046, 5.1.1: empty lines, or a preamble, may stand before the first boundary.
    for before in ["\r\n", "\r\n\r\n", "\n"] {
        let text = format!("{before}{cut}");
        assert_eq!(body(&text, None), expected(&text.replace("hal", "«hal»")));
    }
    let preamble = "For old readers: token=a --XyZ, \"key\": \"k\"\r\n";
    for content_type in ["multipart/form-data; boundary=XyZ", "Multipart/Mixed; a=b; BOUNDARY=\"XyZ\" ; c=d"] {
        let whole = format!("{preamble}{}", form("«p»"));
        assert_eq!(body(&plain(&whole), Some(content_type)), expected(&whole), "{content_type}");
    }
    assert_eq!(body(cut, Some("multipart/form-data; boundary=other")), expected(&cut.replace("hal", "«hal»")));
    // A first line of hyphens alone makes no form.
    assert_eq!(body("---\n{\"token\":\"x\"}", None), expected("---\n{\"token\":\"«x»\"}"));
}

#[test]
fn a_redacted_body_keeps_to_the_limit() {
    let text = r#"{"token":"a","token":"b","x":"ää"}"#;
    let whole = body(text, None).0;
    for limit in 0..whole.len() + 2 {
        let mut body = sample::body(text.as_bytes());
        let count = super::body::redact(&Redactor::new(b"test key", limit), &Headers::default(), &mut body);
        assert!(body.kept.len() <= limit && whole.as_bytes().starts_with(&body.kept), "{limit}");
        assert_eq!(body.truncated, body.kept.len() < whole.len(), "{limit}");
        assert_eq!(body.size, Some(text.len() as u64));
        let kept = String::from_utf8(body.kept).expect("no character is split");
        assert_eq!(kept.matches("[redacted ").count(), kept.matches(']').count(), "{limit}");
        assert_eq!(kept.matches(']').count(), count as usize, "{limit}");
    }
}

#[test]
fn a_redacted_message_stays_json() {
    let json = format!("{{{}}}", (0..100).map(|n| format!("\"token{n}\":{n}1")).collect::<Vec<_>>().join(","));
    let carried = Carried::Fields { json: json.into_bytes(), type_name: None, learned: false, cut: false };
    let list = vec![StreamMessage { size: 9, carried, encoding: None }];
    let messages = Messages { list, ..Messages::default() };
    let mut body = Body { messages: Some(Box::new(messages)), ..Body::default() };
    // Marks are longer than what they stand for, so that the object outgrows the limit.
    assert_eq!(super::body::redact(&Redactor::new(b"test key", 1 << 10), &Headers::default(), &mut body), 100);
    let Some(Carried::Fields { json, .. }) = body.messages.as_ref().map(|messages| &messages.list[0].carried) else {
        panic!("{body:?}")
    };
    let fields: serde_json::Value = serde_json::from_slice(json).expect("an object");
    assert_eq!(fields.as_object().map(serde_json::Map::len), Some(100));
}

#[test]
fn every_place_of_an_exchange() {
    let mut request =
        sample::request("POST", "/?token=s3cr3t", &[("Authorization", "s3cr3t")], b"{\"token\":\"s3cr3t\"}");
    request.trailers = sample::headers(&[("X-Secret", "s3cr3t")]);
    let response = sample::response(200, &[("Set-Cookie", "a=s3cr3t")], b"password=s3cr3t");
    let line = sample::line(sample::exchange(Some(request), Some(response)));
    assert!(!line.contains("s3cr3t"), "{line}");
    // The sample protocol shows no query.
    assert_eq!(line.matches(&mark("s3cr3t")).count(), 5, "equal secrets show as equal");
    assert!(line.ends_with("\"redacted\":6}"), "{line}");
}

#[test]
fn binary_bodies_stay() {
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let mut body = Body { kept: bytes.clone(), ..Body::default() };
    assert_eq!(super::body::redact(&redactor(), &Headers::default(), &mut body), 0);
    assert_eq!(body.kept, bytes);
}

/// A body made to be slow: each colon's key search is bounded, each value is passed once.
#[test]
fn hostile_bodies_take_linear_time() {
    for pattern in
        ["\":", "\\\":", "\"token\":[", "\"token\":{\"", ":", "\\\\\\\":", "token:\"", "%25", "a=%7B", "://@", "=;"]
    {
        let text = pattern.repeat(64 * 1024 / pattern.len());
        let start = std::time::Instant::now();
        let _ = body(&text, None);
        let _ = target(&text);
        let _ = header("x", &text);
        assert!(start.elapsed().as_secs() < 5, "{pattern}");
    }
}

/// A mark holds a `#`, which would end a path or query: the protocol's fields must see past it.
#[test]
fn marks_in_a_target_leave_its_parts_whole() {
    use crate::dissect::{PROTOCOLS, Value};
    let http = PROTOCOLS.iter().find(|protocol| protocol.name == "http").expect("HTTP");
    for (target, path, query) in [
        ("/a?token=abc&x=1", "/a", &[("token", "«abc»"), ("x", "1")][..]),
        ("/a;jsessionid=0F/b?x=1", "/a;jsessionid=«0F»/b", &[("x", "1")]),
        ("http://u:p@h/a?x=1&sig=s", "/a", &[("x", "1"), ("sig", "«s»")]),
        ("http://u:p@h?x=1", "/", &[("x", "1")]),
        ("/a?x=1#f", "/a", &[("x", "1")]),
    ] {
        let mut exchange = sample::exchange(Some(sample::request("GET", target, &[], b"")), None);
        exchange.protocol = http;
        redactor().exchange(&mut exchange);
        let get = |name: &str| {
            let field = http.fields().find(|field| field.name == name).expect("a field");
            (field.get)(&exchange)
        };
        assert_eq!(get("path"), Value::Text(expected(path).0.into()), "{target}");
        let query = query.iter().map(|(name, value)| ((*name).into(), expected(value).0.into())).collect();
        assert_eq!(get("query_string"), Value::TextMap(query), "{target}");
    }
}

#[test]
fn what_grpc_codes_is_searched_as_what_it_stands_for() {
    use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
    // google.rpc.Status with a message that is JSON.
    let details = b"\x08\x10\x12\x15{\"password\":\"S3CRET\"}";
    let coded = |plain: &[u8]| STANDARD_NO_PAD.encode(plain);
    for (name, value) in [
        ("authorization-bin", coded(b"S3CRET")),
        ("x-token-bin", coded(b"S3CRET")),
        ("x-json-bin", coded(b"{\"password\":\"S3CRET\"}")),
        ("grpc-status-details-bin", coded(details)),
        ("grpc-message", "%7B%22password%22:%22S3CRET%22%7D".to_owned()),
        ("grpc-message", "token%3DS3CRET http://u:%53%33CRET@h/".to_owned()),
    ] {
        let mut headers = Headers::default();
        headers.push(name.as_bytes(), value.as_bytes());
        assert!(headers::redact(&Redactor::new(b"key", 1 << 16), &mut headers) > 0, "{name}");
        let kept = String::from_utf8_lossy(headers.get(name).unwrap_or_default()).into_owned();
        assert!(kept.contains("[redacted ") && !kept.contains("S3CRET") && kept != value, "{name}: {kept}");
    }
    for (name, value) in [("x-trace-bin", coded(b"\0\x01\x02")), ("grpc-message", "100%25 full".to_owned())] {
        let mut headers = Headers::default();
        headers.push(name.as_bytes(), value.as_bytes());
        assert_eq!(headers::redact(&Redactor::new(b"key", 1 << 16), &mut headers), 0, "{name}");
    }
}

#[test]
fn requests_that_kafkas_brokers_pass_on_are_replaced_whole() {
    let json = r#"{"request_data":{"base64":"AHNlY3JldA=="},"request_principal":null}"#;
    let (kept, count) = message("ENVELOPE v0", json);
    assert!(count == 1 && kept.contains("[redacted ") && !kept.contains("AHNl"), "{kept}");
    assert!(serde_json::from_str::<serde_json::Value>(&kept).is_ok(), "{kept}");
    assert_eq!(message("ORDER v0", json), (json.to_owned(), 0));
}

#[test]
fn the_session_of_a_fetch_is_a_number() {
    let json = r#"{"session_id":7,"headers":{"session_id":"s3cret"}}"#;
    let expected = json.replace("s3cret", &mark("s3cret"));
    assert_eq!(message("FETCH v12", json), (expected, 1));
    assert_eq!(message("ORDER v0", json).1, 2);
}

/// The fields of a message of this type, redacted.
fn message(type_name: &str, text: &str) -> (String, u32) {
    let (json, type_name) = (text.as_bytes().to_vec(), Some(type_name.into()));
    let carried = Carried::Fields { json, type_name, learned: false, cut: false };
    let list = vec![StreamMessage { size: 1, carried, encoding: None }];
    let messages = Messages { list, count: Some(1), bytes: Some(1) };
    let mut body = Body { messages: Some(Box::new(messages)), ..Body::default() };
    let count = super::body::redact(&redactor(), &Headers::default(), &mut body);
    match body.messages.as_ref().map(|messages| &messages.list[0].carried) {
        Some(Carried::Fields { json, .. }) => (String::from_utf8(json.clone()).expect("UTF-8"), count),
        _ => panic!("no fields: {body:?}"),
    }
}

#[test]
fn settings_beside_secret_names_are_replaced_in_messages() {
    let message = |text: &str| message("CREATE_TOPICS v7", text);
    check(
        &[
            (
                r#"{"name":"ssl.key.password","value":"x\"y","a":1}"#,
                r#"{"name":"ssl.key.password","value":"«x\"y»","a":1}"#,
            ),
            (
                r#"{"name":"sasl.password","config_operation":0,"value":"abc"}"#,
                r#"{"name":"sasl.password","config_operation":0,"value":"«abc»"}"#,
            ),
            (r#"{"name":{"base64":"AAEC"},"value":"abc"}"#, r#"{"name":{"base64":"AAEC"},"value":"«abc»"}"#),
            (
                r#"{"name":"sasl.jaas.config","value":{"base64":"AAEC"}}"#,
                r#"{"name":"sasl.jaas.config","value":{"base64":"«AAEC»"}}"#,
            ),
            (r#"{"name":"retention.ms","value":"abc"}"#, r#"{"name":"retention.ms","value":"abc"}"#),
            (r#"{"name":"password","value":null}"#, r#"{"name":"password","value":null}"#),
            (r#"{"auth_bytes":{"base64":"AHRl"}}"#, r#"{"auth_bytes":"«{"base64":"AHRl"}»"}"#),
        ],
        message,
    );
}
