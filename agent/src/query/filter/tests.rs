//! Filters against one HTTP record: `GET /items/500` with an answer 503 after 500 ms, and one without an answer.

use proptest::prelude::*;

use super::*;
use crate::store::tests::record;

const NOW: Time = Time(1_000_000_000_000);

fn test(source: &str) -> Result<bool, Failure> {
    let filter = Filter::parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    filter.evaluate(&record(500, 900, Some(503)), NOW)
}

fn matches(source: &str) -> bool {
    test(source).unwrap_or_else(|failure| panic!("{source}: {}", failure.name()))
}

fn error(source: &str) -> String {
    Filter::parse(source).expect_err(source).to_string()
}

/// Every line that `kubeshark`'s documentation shows, and what it says of the record.
const EXAMPLES: [(&str, bool); 23] = [
    ("http && method == \"GET\" && status_code >= 400", true),
    ("dst.pod.namespace == \"production\"", false),
    ("dns && \"google.com\" in dns_questions", false),
    ("http && response_body_size > 10000", false),
    ("grpc && grpc_status != 0", false),
    ("http && elapsed_time > 5000000", false),
    ("timestamp > now() - duration(\"5m\")", true),
    ("src.ip.startsWith(\"192.168.\")", false),
    ("dst.port >= 8000 && dst.port <= 9000", false),
    ("\"production\" in namespaces", false),
    ("map_get(local_labels, \"app\", \"\") == \"payments\"", false),
    ("http && \"authorization\" in request.headers", false),
    ("http && url.matches(\".*/api/v[0-9]+/.*\")", false),
    ("redis && redis_key.startsWith(\"session:\")", false),
    ("kafka && kafka_api_key_name == \"PRODUCE\" && kafka_request_summary.contains(\"orders\")", false),
    ("postgresql && !postgresql_success && postgresql_error_code == \"23505\"", false),
    ("tcp && tcp_error_type != \"\"", false),
    ("tcp_flow && flow_local_bps > 5000000", false),
    ("src.service.namespace != dst.service.namespace", false),
    ("capture_source == \"ebpf_tls\"", false),
    ("tlsx && tlsx_cipher_suites.exists(s, s.contains(\"RC4\"))", false),
    ("dns && dns_questions.exists(q, q.contains(\"minexmr\"))", false),
    ("!(src.pod.namespace == \"kube-system\")", true),
];

#[test]
fn every_documented_example_works() {
    for (source, expected) in EXAMPLES {
        assert_eq!(matches(source), expected, "{source}");
    }
}

#[test]
fn operators_functions_and_macros() {
    for (source, expected) in [
        // Logic, and its words.
        ("http", true),
        ("!http", false),
        ("not http or method == 'GET'", true),
        ("http and not (status_code == 200)", true),
        ("true || false && false", true),
        ("!!http", true),
        // Comparisons between kinds of numbers.
        ("status_code == 503 && status_code == 503u && status_code == 503.0", true),
        ("status_code > 502.9 && status_code < 0x1f8", true),
        ("status_code <= 502 || status_code >= 504", false),
        ("method < \"GEU\" && method != \"get\"", true),
        ("503 == status_code", true),
        // Arithmetic.
        ("elapsed_time / 1000 == 500 && elapsed_time % 7 == 4 && -elapsed_time < 0", true),
        ("elapsed_time / 1000.0 == 500.0", true),
        ("status_code * 2 + 1 - 3 == 1004", true),
        ("method + path == \"GET/items/500\"", true),
        ("7 / 2 == 3 && -7 / 2 == -3 && -7 % 2 == -1", true),
        ("b\"a\" + b\"b\" == b\"ab\"", true),
        // Choice.
        ("(status_code >= 500 ? \"bad\" : \"good\") == \"bad\"", true),
        ("grpc_status == 0 ? false : true", true),
        // Texts.
        ("path.contains(\"items\") && path.startsWith(\"/\") && path.endsWith(\"500\")", true),
        ("path.matches(\"^/items/[0-9]+$\") && !path.matches(r\"^\\d+$\")", true),
        ("matches(path, \"items\") && contains(path, \"item\")", true),
        ("path.matches(\"/\" + \"items\")", true),
        ("size(method) == 3 && method.size() == 3 && size(\"ж\") == 1", true),
        ("string(status_code) == \"503\" && int(\"7\") == 7 && double(\"1.5\") == 1.5 && uint(7) == 7u", true),
        ("string(status_code).startsWith(\"5\")", true),
        ("int(1.9) == 1 && int(-1.9) == -1", true),
        // Lists and maps.
        ("status_code in [500, 502, 503]", true),
        ("\"public\" in namespaces && size(namespaces) == 2", true),
        ("namespaces[1] == \"public\" && !(namespaces[7] == \"public\")", true),
        ("namespaces == [\"internal\", \"public\"]", true),
        ("namespaces + [\"x\"] != namespaces", true),
        ("{\"a\": 1}[\"a\"] == 1 && \"a\" in {\"a\": 1} && {\"a\": 1}.a == 1", true),
        // Macros.
        ("namespaces.exists(n, n.startsWith(\"pub\"))", true),
        ("namespaces.all(n, n.size() > 3)", true),
        ("namespaces.exists_one(n, n == \"public\") && namespaces.existsOne(n, n == \"public\")", true),
        ("namespaces.filter(n, n == \"public\") == [\"public\"]", true),
        ("namespaces.map(n, n + \"!\")[0] == \"internal!\"", true),
        ("namespaces.map(n, n == \"public\", size(n)) == [6]", true),
        ("[1, 2].exists(x, [3, 4].exists(y, x + y == 6))", true),
        ("request.headers.exists(name, name == \"host\")", true),
        // Times.
        ("timestamp == timestamp(\"1970-01-01T00:15:00Z\")", true),
        ("now() - timestamp == duration(\"100s\")", true),
        ("timestamp + duration(\"1m40s\") >= now() && int(timestamp) == 900", true),
        ("timestamp(900) == timestamp", true),
        ("duration(\"1h\") - duration(\"30m\") == duration(\"1800s\")", true),
        // Headers: repeated ones are joined, names are lower case.
        ("request.headers[\"host\"] == \"shop\" && request.headers.host == \"shop\"", true),
        ("request.headers[\"accept\"] == \"a, b\"", true),
        ("\"Host\" in request.headers && request.headers[\"Host\"] == \"shop\"", true),
        ("map_get(request.headers, \"host\", \"none\") == \"shop\"", true),
        ("map_get(request.headers, \"x\", \"none\") == \"none\"", true),
        // The older dialect.
        ("request.method == \"GET\" and response.status == 503", true),
        ("path == r\"/items/500\"", true),
    ] {
        assert_eq!(matches(source), expected, "{source}");
    }
}

#[test]
fn what_is_absent() {
    for (source, expected) in [
        // A comparison is false, its negation true.
        ("grpc_status == 0", false),
        ("grpc_status != 0", false),
        ("!(grpc_status == 0)", true),
        ("grpc_status < 1 || grpc_status >= 1", false),
        ("grpc_status + 1 == 1 || grpc_status + 1 != 1", false),
        ("-grpc_status < 1", false),
        // So are functions and macros.
        ("redis_key.startsWith(\"\")", false),
        ("redis_key.matches(\".*\")", false),
        ("size(redis_key) >= 0", false),
        ("dns_questions.exists(q, true)", false),
        ("dns_questions.all(q, true)", false),
        ("!dns_questions.all(q, true)", true),
        ("size(dns_questions.filter(q, true)) == 0", false),
        ("\"a\" in dns_questions || redis_key in [\"\"]", false),
        ("postgresql_success || postgresql_success == false", false),
        ("!postgresql_success", true),
        // A name alone: present?
        ("status_code", true),
        ("grpc_status", false),
        ("!grpc_status && method", true),
        ("has(status_code) && !has(grpc_status)", true),
        ("request.headers[\"host\"]", true),
        ("request.headers[\"x-none\"] || request.headers.none", false),
        ("has(request.headers.host) && !has(request.headers.none)", true),
        ("tcp_payload || dns_questions", false),
        // A missing key is empty, of a map that is there.
        ("request.headers[\"x-none\"] == \"\"", true),
        ("query_string.none == \"\"", true),
        ("local_labels[\"app\"] == \"\" || local_labels.app != \"\"", false),
        ("map_get(local_labels, \"app\", \"none\") == \"none\"", true),
        ("node[\"name\"] == \"x\"", false),
    ] {
        assert_eq!(matches(source), expected, "{source}");
    }
    let unanswered = record(1, 1, None);
    let matches = |source: &str| Filter::parse(source).expect(source).matches(&unanswered, NOW);
    assert!(!matches("status_code == 200") && !matches("status_code != 200") && matches("!(status_code == 200)"));
    assert!(!matches("response.headers[\"x\"] == \"\"") && matches("!status_code"));
}

#[test]
fn failures_are_no_match_and_have_a_name() {
    for (source, failure) in [
        ("status_code / 0 == 1", Failure::DivisionByZero),
        ("status_code % (status_code - 503) == 1", Failure::DivisionByZero),
        ("!(1 / 0 == 1)", Failure::DivisionByZero),
        ("9223372036854775807 + status_code > 0", Failure::Overflow),
        ("0u - 1u > 0u", Failure::Overflow),
        ("timestamp - duration(\"1h\") < now()", Failure::Overflow),
        ("int(1e300) > 0", Failure::Overflow),
        ("path.matches(method + \"(\")", Failure::BadPattern),
        ("int(path) == 1", Failure::BadConversion),
        ("timestamp(path) < now()", Failure::BadConversion),
        ("[1, 0].all(x, 1 / x == 1)", Failure::DivisionByZero),
    ] {
        assert_eq!(test(source), Err(failure), "{source}");
    }
    // As in CEL, what decides alone decides.
    for source in ["1 / 0 == 1 || http", "http || 1 / 0 == 1", "!(1 / 0 == 1 && false)", "[0, 1].exists(x, 1 / x == 1)"]
    {
        assert_eq!(test(source), Ok(true), "{source}");
    }
}

#[test]
fn bombs_are_stopped() {
    let row = format!("[{}]", ["1"; 100].join(","));
    let bombs = [
        format!("{row}.all(a, {row}.all(b, {row}.all(c, {row}.all(d, true))))"),
        format!(
            "size({}) > 0",
            (0..12).fold("[1]".to_owned(), |list, at| format!("{list}.map(a{at}, [a{at}, a{at}, a{at}, a{at}])"))
        ),
        format!(
            "[{row}].map(x, [{0}]).map(x, [{0}]).map(x, [{0}]).map(x, [{0}]).map(x, [{0}]).size() > 0",
            ["x"; 99].join(",")
        ),
        format!("{row}.exists(a, {row}.exists(b, path.matches(path + string(a) + string(b) + \"x\")))"),
    ];
    for bomb in bombs {
        let begun = std::time::Instant::now();
        let outcome = test(&bomb);
        assert!(
            outcome == Err(Failure::TooExpensive) || begun.elapsed().as_millis() < 500,
            "{outcome:?} {:?}",
            begun.elapsed()
        );
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }
    let large = error("path.matches(\"((((a{100}){100}){100}){100}){100}\")");
    assert!(large.contains("too large"), "{large}");
}

#[test]
fn errors_say_what_to_write() {
    let mut wrong = Vec::new();
    for (source, expected) in [
        ("", "filter: the filter is empty: leave it out to see all"),
        ("method.name == \"x\"", "filter, column 7: method has no parts"),
        (
            "status_code == \"200\"",
            "filter, column 13: status_code is a number and what is in quotes is a text: write status_code == 200 without quotes",
        ),
        (
            "\"200\" == status_code",
            "filter, column 7: status_code is a number and what is in quotes is a text: write status_code == 200 without quotes",
        ),
        (
            "http_version == 2",
            "filter, column 14: http_version is a text and what it is compared with is a number: write http_version == \"2\"",
        ),
        (
            "id == 17",
            "filter, column 4: id is a text and what it is compared with is a number: ids are texts, written as an answer shows them: id == \"17\" has the right type",
        ),
        (
            "elapsed_time > duration(\"5s\")",
            "filter, column 14: elapsed_time is a number and what it is compared with is a duration: it counts microseconds: write elapsed_time > 5000000",
        ),
        (
            "timestamp > \"2026-01-01T00:00:00Z\"",
            "filter, column 11: timestamp is a time and what is in quotes is a text: write timestamp > timestamp(\"2026-01-01T00:00:00Z\")",
        ),
        (
            "timestamp > 5",
            "filter, column 11: timestamp is a time and what it is compared with is a number: write timestamp > now() - duration(\"5m\"), or timestamp(\"2026-01-31T12:00:00Z\")",
        ),
        (
            "http == 1",
            "filter, column 6: http is yes or no and what it is compared with is a number: write http or !http alone",
        ),
        (
            "not status_code == 200",
            "filter, column 17: that is yes or no and what it is compared with is a number: ! binds closer than ==: write !(… == …)",
        ),
        (
            "namespaces == \"public\"",
            "filter, column 12: namespaces is a list and what is in quotes is a text: write \"public\" in namespaces",
        ),
        (
            "request.headers == \"x\"",
            "filter, column 17: request.headers is a map and what is in quotes is a text: take an entry of it: request.headers[\"key\"] == …",
        ),
        (
            "\"a\" in method",
            "filter, column 5: in looks into lists and maps; for a part of a text write text.contains(\"…\")",
        ),
        ("1 in namespaces", "filter, column 3: the list holds a text, and this is a number"),
        (
            "namespaces.contains(\"x\")",
            "filter, column 1: this is a list: write \"…\" in list, or list.exists(x, x.contains(\"…\"))",
        ),
        ("status_code.contains(\"5\")", "filter, column 1: this is a number: contains looks into texts"),
        (
            "http && size(path)",
            "filter, column 13: this is a number, where yes or no is needed: compare it with something",
        ),
        ("status_code + method > 1", "filter, column 13: + can't take a number and a text; string(…) makes a text"),
        ("-method == \"x\"", "filter, column 1: - before a text: only numbers and durations have a sign"),
        ("method = \"GET\"", "filter, column 8: write == to compare"),
        ("http & dns", "filter, column 6: write && for \"and\""),
        ("http | dns", "filter, column 6: write || for \"or\""),
        ("method <> \"GET\"", "filter, column 8: write != instead of <>"),
        ("method =~ \"GET\"", "filter, column 8: write name.matches(\"…\") for a regular expression"),
        ("method == “GET”", "filter, column 11: write plain quotes: \""),
        ("method == \"GET", "filter, column 11: the text that begins here has no closing quote"),
        (
            "path.matches(\"\\d+\")",
            "filter, column 14: \\ in a text begins an escape: write \\\\ for \\, or r\"…\" as in r\"\\d+\"",
        ),
        (
            "path == r\"^/api.*\"",
            "filter, column 9: == compares the text as it stands; for a regular expression write name.matches(r\"^/api.*\")",
        ),
        ("elapsed_time > 5ms", "filter, column 16: write duration(\"5ms\"); elapsed_time is a number of microseconds"),
        ("src.ip == 10.0.0.1", "filter, column 11: a number has one point at most: an address stands in quotes"),
        ("http &&", "filter, column 8: the filter ends too early: a value or a closing bracket is missing"),
        ("(http", "filter, column 6: the filter ends too early: a value or a closing bracket is missing"),
        ("http)", "filter, column 5: unexpected ): an operator, a value or a bracket is missing or too many"),
        ("http dns", "filter, column 6: unexpected dns: an operator, a value or a bracket is missing or too many"),
        ("http é", "filter, column 6: unexpected character 'é'"),
        ("path.matches(\"(\")", "filter, column 14: the regular expression cannot be read: unclosed group"),
        (
            "duration(\"5 minutes\") > duration(\"1s\")",
            "filter, column 10: \"5 minutes\" is no duration: write it as 90s, 5m, 1h30m or 250ms",
        ),
        (
            "timestamp(\"today\") < now()",
            "filter, column 11: \"today\" is no time since 1970: write it as 2026-01-31T12:00:00Z",
        ),
        (
            "lower(method) == \"get\"",
            "filter, column 6: unknown function lower: there are size, timestamp, duration, now, int, uint, double, string, map_get, has",
        ),
        (
            "method.lower() == \"get\"",
            "filter, column 13: unknown function lower: there are contains, startsWith, endsWith, matches, size, exists, exists_one, all, filter, map",
        ),
        ("now(1) > timestamp", "filter, column 4: now with 1 arguments: write it as in now()"),
        (
            "status_code == null",
            "filter, column 16: null is not needed: a name alone asks whether it is present, as in !status_code",
        ),
        (
            "map_get(method, \"a\", \"\") == \"\"",
            "filter, column 9: this is a text: map_get takes a map, as in map_get(local_labels, \"app\", \"\")",
        ),
        ("method.exists(m, true)", "filter, column 1: this is a text: exists goes over a list or the keys of a map"),
        (
            "namespaces.exists(\"n\", true)",
            "filter, column 19: exists needs a name for each element, as in list.exists(x, …)",
        ),
        ("[1, \"a\"] == [1]", "filter, column 5: this is a text, the part before it a number: a list holds one type"),
        ("request.headers[1] == \"\"", "filter, column 16: a map has no entry under a number"),
    ] {
        let error = error(source);
        if error != expected {
            wrong.push((source, error));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(error(&"a".repeat(9000)).contains("at most 8192"));
    assert!(error(&"(".repeat(100)).contains("nested deeper than 64"));
}

#[test]
fn unknown_names_get_the_nearest() {
    let unknown = error("http && statuscode == 200");
    assert!(unknown.starts_with("filter, column 9: unknown name statuscode; did you mean status_code"), "{unknown}");
    let unknown = error("http && xyzzy.plugh == 1");
    assert!(unknown.starts_with("filter, column 9: unknown name xyzzy.plugh; none is like it, some are"), "{unknown}");
    let unknown = error("method == GET");
    assert!(unknown.starts_with("filter, column 11: unknown name GET"), "{unknown}");
    assert!(unknown.ends_with("; a text stands in quotes: \"GET\""), "{unknown}");
}

#[test]
fn fields_that_are_not_collected_are_named() {
    let filter = Filter::parse(" http && dns_questions.exists(q, q == grpc_status || true) == true ")
        .map(|f| f.notes().to_vec());
    assert!(filter.is_err(), "texts and numbers");
    let filter = Filter::parse(" redis && redis_key != \"\" || \"a\" in dns_questions ").expect("a filter");
    assert_eq!(filter.notes(), ["not collected by this build, so never present: dns_questions, redis, redis_key"]);
    assert_eq!(filter.source(), "redis && redis_key != \"\" || \"a\" in dns_questions");
    assert!(Filter::parse("http").expect("a filter").notes().is_empty());
}

/// Pieces that make texts which come near to filters.
const PIECES: [&str; 46] = [
    "http",
    "status_code",
    "method",
    "request.headers",
    "namespaces",
    "x",
    ".",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "?",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "!",
    "+",
    "-",
    "*",
    "/",
    "%",
    " in ",
    " and ",
    " not ",
    "\"a\"",
    "r\"b\"",
    "'",
    "\"",
    "\\",
    "1",
    "2.5",
    "7u",
    "0x",
    ".exists(x, x",
    "map_get(",
    "now()",
    "duration(\"5m\")",
    "é",
    "\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = Filter::parse(&text);
    }

    #[test]
    fn no_near_filter_panics(pieces in proptest::collection::vec(0..PIECES.len(), 0..25)) {
        let text: String = pieces.into_iter().map(|at| PIECES[at]).collect();
        if let Ok(filter) = Filter::parse(&text) {
            filter.matches(&record(500, 900, Some(503)), NOW);
        }
    }
}

/// The deepest that the words allow, in a thread with a stack like a server's.
#[test]
fn the_deepest_filters_fit_the_stack() {
    let deep = lex::MAX_DEPTH;
    let filters = [
        format!("{}http{}", "(".repeat(deep / 2), ")".repeat(deep / 2)),
        format!("{}http{}", "!(".repeat(deep / 3), ")".repeat(deep / 3)),
        format!("1{} > 0", "+1".repeat(deep - 1)),
        format!("{}1{} > 0", "(1+".repeat(deep / 3), ")".repeat(deep / 3)),
        format!("{}http", "http ? http : ".repeat(deep)),
        format!("size({}1{}) > 0", "[".repeat(deep / 2 - 1), "]".repeat(deep / 2 - 1)),
        format!("{}true{}", "[1].all(x, ".repeat(deep / 4), ")".repeat(deep / 4)),
        vec!["http"; 1000].join("&&"),
        format!("{}http", "!".repeat(60)),
        format!("status_code in [{}]", vec!["1"; 4000].join(",")),
    ];
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
        for filter in filters {
            let begun = std::time::Instant::now();
            match Filter::parse(&filter) {
                Ok(parsed) => drop(parsed.evaluate(&record(500, 900, Some(503)), NOW)),
                Err(error) => panic!("{}…: {error}", &filter[..20]),
            }
            println!("{}… {:?}", &filter[..20], begun.elapsed());
        }
    });
    assert!(thread.expect("a thread").join().is_ok());
}
