//! Calls as a table: one line each, from the record's JSON. What was captured is shown with control characters
//! escaped, so that no call can move the cursor or forge a line.

use serde_json::Value;

use crate::mcp::text::one_line;

/// Characters of a URL in the table; `call` and the JSON formats show the rest.
const URL_MAX: usize = 160;

/// The first line.
pub fn header() -> String {
    row("TIME (UTC)", "METHOD", "STATUS", "TOOK", "BYTES", "CLIENT", "SERVER", "URL", "ID")
}

/// One call.
pub fn call(record: &Value) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let number = |name: &str| record.get(name).and_then(Value::as_u64);
    // `01:02:03.456` of `2026-11-21T01:02:03.456789Z`.
    let time = text("timestamp").and_then(|time| time.get(11..23)).unwrap_or("-");
    let status = match record.get("status_code").and_then(Value::as_u64) {
        Some(status) => status.to_string(),
        None if record.get("response").is_some_and(Value::is_null) => "-".to_owned(),
        None => text("protocol").unwrap_or("-").to_owned(),
    };
    let elapsed = number("elapsed_time").map_or_else(|| "-".to_owned(), duration);
    let bytes = record.get("response").and_then(|response| response.get("body_size")).and_then(Value::as_u64);
    let bytes = bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    let mut url = text("url").or_else(|| text("path")).map_or_else(|| "-".to_owned(), one_line);
    if let Some((cut, _)) = url.char_indices().nth(URL_MAX) {
        url.truncate(cut);
        url.push('…');
    }
    let lost = if record.get("incomplete").is_some() { " (incomplete)" } else { "" };
    row(
        time,
        &one_line(text("method").unwrap_or("-")),
        &status,
        &elapsed,
        &bytes,
        &end(record.get("src")),
        &end(record.get("dst")),
        &format!("{url}{lost}"),
        text("id").unwrap_or("-"),
    )
}

#[expect(clippy::too_many_arguments, reason = "one for each column")]
fn row(
    time: &str,
    method: &str,
    status: &str,
    elapsed: &str,
    bytes: &str,
    src: &str,
    dst: &str,
    url: &str,
    id: &str,
) -> String {
    format!("{time:<12}  {id:<18}  {method:<7} {status:>6} {elapsed:>9} {bytes:>9}  {src:<21} {dst:<21} {url}")
}

fn end(end: Option<&Value>) -> String {
    let ip = end.and_then(|end| end.get("ip")).and_then(Value::as_str).unwrap_or("?");
    let port = end.and_then(|end| end.get("port")).and_then(Value::as_u64).unwrap_or_default();
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// Microseconds with three digits or so: `412us`, `1.83ms`, `2.04s`.
pub fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..1_000_000 => format!("{:.2}ms", micros as f64 / 1e3),
        _ => format!("{:.2}s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows() {
        let record = json!({"id": "3f9a1c2b-17-3", "timestamp": "2026-11-21T01:02:03.456789Z", "protocol": "http",
            "src": {"ip": "10.0.0.1", "port": 50312}, "dst": {"ip": "::1", "port": 80}, "method": "GET",
            "url": "http://h/a\u{1b}[0m", "status_code": 200, "elapsed_time": 1834, "response": {"body_size": 12}});
        let line = call(&record);
        for part in [
            "01:02:03.456",
            "GET",
            "200",
            "1.83ms",
            " 12 ",
            "10.0.0.1:50312",
            "[::1]:80",
            "http://h/a\\u{1b}[0m",
            "3f9a1c2b-17-3",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains('\u{1b}'));
        assert!(call(&json!({"response": null})).contains('-'));
        assert!(call(&json!({"url": "x".repeat(1000)})).len() < 400);
    }
}
