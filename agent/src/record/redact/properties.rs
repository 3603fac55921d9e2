//! A random secret, wherever its name says that it is one, is in no line, however the body was cut.

use proptest::{prelude::*, sample::select};
use serde_json::{Map, Value, json};

use crate::record::sample::{self, exchange, request, response};

/// Hexadecimal digits can't come up by chance in a text that has none of this length, but for hashes.
fn secret() -> impl Strategy<Value = String> {
    "[A-Za-z0-9+/]{24,40}"
}

fn secret_name() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "password",
        "token",
        "api_key",
        "client-secret",
        "Authorization",
        "X-Auth-Token",
        "sig",
        "accessToken",
        "cookie",
    ];
    select(NAMES).prop_flat_map(|name| {
        let cased = prop::collection::vec(any::<bool>(), name.len());
        cased.prop_map(move |upper| {
            name.chars()
                .zip(upper)
                .map(|(letter, upper)| if upper { letter.to_ascii_uppercase() } else { letter })
                .collect()
        })
    })
}

/// Any JSON, with strings that look like trouble.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\:{}\\[\\],'ä \n]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z\"\\\\: ]{0,8}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// JSON that holds the secret under its name, as a string, in an array or in an object, somewhere inside.
fn json_with(name: String, secret: String) -> impl Strategy<Value = Value> {
    let shape = prop_oneof![
        Just(json!(secret)),
        Just(json!([secret, 1])),
        Just(json!({"a": {"b": secret}})),
        Just(json!(format!("\"{secret}\\"))),
    ];
    let around = (any_json(), any_json(), prop::collection::vec(any::<bool>(), 0..3));
    (shape, around).prop_map(move |(value, (before, after, wraps))| {
        let mut object = Map::new();
        object.insert("a".to_owned(), before);
        object.insert(name.clone(), value);
        object.insert("z".to_owned(), after);
        wraps.into_iter().fold(Value::Object(object), |inner, list| match list {
            true => json!([1, inner, "x"]),
            // JSON inside a string of JSON.
            false => json!({"inner": inner.to_string()}),
        })
    })
}

/// Some characters of a name, percent-encoded.
fn encoded(name: &str, which: &[bool]) -> String {
    name.bytes()
        .zip(which.iter().cycle())
        .map(|(byte, &encode)| if encode { format!("%{byte:02x}") } else { char::from(byte).to_string() })
        .collect()
}

/// No part of the secret that is long enough to be of use is in the line. Hashes are hexadecimal and short.
fn assert_hidden(line: &str, secret: &str) -> Result<(), TestCaseError> {
    const PART: usize = 6;
    // Percent-encoded, each character is three: two of them also stand in a name that is encoded.
    let part = if secret.starts_with('%') { 3 * PART } else { PART };
    for part in secret.as_bytes().windows(part) {
        let part = std::str::from_utf8(part).unwrap_or_default();
        let by_chance = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        prop_assert!(by_chance || !line.contains(part), "{part} of {secret} in {line}");
    }
    Ok(())
}

fn with_body(body: &[u8], content_type: Option<&'static str>) -> String {
    let pairs: &[_] = &content_type.map(|value| ("content-type", value)).into_iter().collect::<Vec<_>>();
    sample::line(exchange(Some(request("POST", "/", pairs, body)), Some(response(200, pairs, body))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_json((secret, body) in (secret(), secret_name()).prop_flat_map(|(secret, name)| {
        (Just(secret.clone()), json_with(name, secret))
    }), pretty: bool, typed: bool) {
        let text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.expect("JSON");
        let content_type = if typed { Some("application/json") } else { None };
        for end in 0..=text.len() {
            assert_hidden(&with_body(&text.as_bytes()[..end], content_type), &secret)?;
        }
        // Redacted, it is still JSON, but for what the limit cuts.
        let line: Value = serde_json::from_str(&with_body(text.as_bytes(), content_type)).expect("a line is JSON");
        let kept = line["request"]["body"].as_str().expect("text");
        prop_assert!(serde_json::from_str::<Value>(kept).is_ok(), "{kept}");
    }

    #[test]
    fn in_a_form_or_query(
        secret in secret(), name in secret_name(), escapes in prop::collection::vec(any::<bool>(), 1..8),
        before in "[a-z]{1,5}=[a-z%;\"{:]{0,9}", after in "[a-z]{1,5}=[a-z%=;]{0,9}", typed: bool, escape_all: bool,
    ) {
        let value = if escape_all { encoded(&secret, &[true]) } else { secret.clone() };
        let text = format!("{before}&{}={value}&{after}", encoded(&name, &escapes));
        for end in 0..=text.len() {
            let body = &text.as_bytes()[..end];
            assert_hidden(&with_body(body, if typed { Some("application/x-www-form-urlencoded") } else { None }), &secret)?;
        }
        let line = sample::line(exchange(Some(request("GET", &format!("/a?{text}"), &[
            ("Referer", &format!("https://h/?{text}")), ("Location", &format!("/x#{text}")),
        ], b"")), None));
        assert_hidden(&line, &secret)?;
        if escape_all {
            assert_hidden(&line, &value)?;
        }
    }

    #[test]
    fn in_headers_cookies_and_userinfo(secret in secret(), name in secret_name(), junk in "[ -~]{0,12}") {
        let cookie = format!("a=b; {name}={secret}; c=d");
        let url = format!("https://user:{}@host/{}", secret.replace('/', "%2F"), junk.replace('"', ""));
        let hidden = secret.replace('/', "%2F");
        let line = sample::line(exchange(
            Some(request("GET", &url, &[(&name, &secret), ("Cookie", &cookie), ("Referer", &url)], b"")),
            Some(response(302, &[("Set-Cookie", &format!("{junk}={secret}; Path=/")), ("Location", &url)], b"")),
        ));
        assert_hidden(&line, &secret)?;
        assert_hidden(&line, &hidden)?;
    }

    #[test]
    fn no_bytes_are_too_wild(bytes in prop::collection::vec(select(&b"\"\\':,{}[]%=&;@/#?\ntoken\xc3\xa4\xff"[..]), 0..200)) {
        let line = with_body(&bytes, None);
        serde_json::from_str::<Value>(&line).expect("a line is JSON");
        let mut request = request("GET", "", &[], b"");
        request.headers.push(b"location", &bytes);
        request.headers.push(b"cookie", &bytes);
        request.headers.push(b"set-cookie", &bytes);
        let head = crate::dissect::HttpRequest::new("GET", bytes.clone(), "1.1");
        request.head = crate::dissect::Head::HttpRequest(head);
        serde_json::from_str::<Value>(&sample::line(exchange(Some(request), None))).expect("a line is JSON");
    }
}
