//! `tapwire read` as users run it: one capture out of many files, in order, the same at any number of threads, and one
//! clear line for whatever cannot be read.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tapwire_tests::{corpus, live::tapwire};

fn read(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program runs")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(tapwire());
    command.arg("read").args(arguments).env("TAPWIRE_REDACT_KEY", "a key for tests");
    command
}

fn records(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

fn coverage(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line.strip_prefix("coverage ").unwrap_or_else(|| panic!("no coverage in {text}")))
        .expect("JSON")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn all_captures() -> Vec<PathBuf> {
    ["http", "http1", "made", "tcp", "websocket", "tls", "dns"]
        .iter()
        .flat_map(|folder| corpus::captures(folder))
        .collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn sorted(records: &[Value]) -> bool {
    let key =
        |record: &Value| (record["timestamp"].as_str().map(str::to_owned), record["id"].as_str().map(str::to_owned));
    records.windows(2).all(|pair| key(&pair[0]) <= key(&pair[1]))
}

#[test]
fn many_files_are_one_capture_in_order_at_any_number_of_threads() {
    let captures = all_captures();
    let mut files: Vec<&str> = captures.iter().map(|path| text(path)).collect();
    let first = read(&[&["-o", "jsonl", "--threads", "1"], &files[..]].concat());
    assert_eq!(first.status.code(), Some(0), "{}", errors(&first));
    let found = records(&first);
    assert!(found.len() > 150, "{}", found.len());
    assert!(sorted(&found));
    for threads in ["2", "3", "8", "100"] {
        let other = read(&[&["-o", "jsonl", "--threads", threads], &files[..]].concat());
        assert!(other.stdout == first.stdout, "{threads} threads print something else than one");
        assert_eq!(coverage(&other), coverage(&first));
    }
    // The order of the names only decides between packets of the same time.
    files.reverse();
    let other = read(&[&["-o", "jsonl"], &files[..]].concat());
    assert_eq!(records(&other).len(), found.len());
    assert!(sorted(&records(&other)));
}

#[test]
fn a_split_capture_reads_like_the_whole() {
    let whole = corpus::root().join("http1/zeek-methods.pcap");
    let bytes = std::fs::read(&whole).expect("a capture of the corpus");
    // Parts that the names put in the wrong order, the later one first.
    let folder = std::env::temp_dir().join(format!("tapwire-read-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let middle = packet_boundary(&bytes, 400);
    let parts = [("a.pcap", [&bytes[..24], &bytes[middle..]].concat()), ("b.pcap", bytes[..middle].to_vec())];
    let paths: Vec<PathBuf> = parts.iter().map(|(name, _)| folder.join(name)).collect();
    for (path, (_, part)) in paths.iter().zip(&parts) {
        std::fs::write(path, part).expect("a part");
    }
    let expected = read(&["-o", "jsonl", text(&whole)]);
    let found = read(&["-o", "jsonl", text(&paths[0]), text(&paths[1])]);
    assert!(found.stdout == expected.stdout);
    assert_eq!(coverage(&found), coverage(&expected));
    // By standard input, compressed.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).expect("memory");
    for piped in [bytes.clone(), gzip.finish().expect("memory"), zstd::encode_all(&bytes[..], 1).expect("memory")] {
        let mut child = command(&["-o", "jsonl", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut stdin = child.stdin.take().expect("a pipe");
        let writer = std::thread::spawn(move || stdin.write_all(&piped));
        let output = child.wait_with_output().expect("its output");
        writer.join().expect("no panic").expect("it reads all");
        assert!(output.stdout == expected.stdout);
        assert_eq!(coverage(&output), coverage(&expected));
    }
    std::fs::remove_dir_all(folder).expect("the test's own folder");
}

/// Where the first packet header behind `number` packets of a little-endian file begins.
fn packet_boundary(bytes: &[u8], number: usize) -> usize {
    (0..number)
        .fold(24, |at, _| at + 16 + u32::from_le_bytes(*bytes[at + 8..].first_chunk().expect("a packet")) as usize)
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_answered() {
    let folder = std::env::temp_dir().join(format!("tapwire-bad-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let good = corpus::root().join("made/ipv6.pcap");
    let bytes = std::fs::read(&good).expect("a capture of the corpus");
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("a file");
        text(&path).to_owned()
    };
    let cut = put("cut.pcap", &bytes[..bytes.len() - 10]);
    let foreign = put("foreign.txt", b"this is no capture at all, it only looks long enough");
    let empty = put("empty.pcap", b"");
    let mut radio = bytes.clone();
    radio[20] = 105;
    let radio = put("radio.pcap", &radio);
    let good = text(&good);

    let one_line = |output: &Output, name: &str| {
        let errors = errors(output);
        let lines: Vec<&str> = errors.lines().filter(|line| !line.starts_with("coverage")).collect();
        assert!(lines.len() == 1 && lines[0].contains(name) && lines[0].starts_with("tapwire: "), "{errors}");
    };
    // The last packet is gone: the answer's bytes are not.
    let output = read(&["-o", "jsonl", &cut]);
    assert_eq!((output.status.code(), records(&output).len()), (Some(3), 1));
    one_line(&output, "cut.pcap");
    coverage(&output);
    for bad in [foreign.as_str(), &empty, &radio, "/nowhere/at-all.pcap", text(&folder)] {
        let output = read(&["-o", "jsonl", bad]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{bad}: {}", errors(&output));
        one_line(&output, bad);
        let output = read(&["-o", "jsonl", bad, good]);
        assert_eq!((output.status.code(), records(&output).len()), (Some(3), 1), "{bad}");
        one_line(&output, bad);
    }
    for wrong in [&["--no-such-flag", good][..], &["--kfl", "no_such_name == 1", good], &["--limit", "0", good], &[]] {
        let output = read(wrong);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong:?}");
        assert_eq!(errors(&output).lines().count(), 1, "{}", errors(&output));
    }
    std::fs::remove_dir_all(folder).expect("the test's own folder");
}

#[test]
fn the_three_formats_and_the_limit() {
    let path = corpus::root().join("made/pipelining.pcap");
    let path = text(&path);
    let lines = records(&read(&[path]));
    assert_eq!(lines.len(), 5);
    let document: Value = serde_json::from_slice(&read(&["-o", "json", path]).stdout).expect("one document");
    assert_eq!(document.as_array(), Some(&lines));
    let none: Value =
        serde_json::from_slice(&read(&["-o", "json", "--kfl", "status_code == 599", path]).stdout).expect("one");
    assert_eq!(none, Value::Array(Vec::new()));
    let table = read(&["-o", "table", path]);
    assert_eq!(String::from_utf8_lossy(&table.stdout).lines().count(), 1 + lines.len());
    let limited = read(&["--limit", "2", path]);
    assert_eq!(records(&limited), lines[..2]);
    // The limit is on what is printed: the coverage is the capture's.
    assert_eq!(coverage(&limited)["records"], 5);
    let filtered = records(&read(&["--kfl", "http && status_code == 404", path]));
    assert_eq!(filtered, lines[4..]);
}

#[test]
fn the_snap_length_is_told() {
    let path = corpus::root().join("made/large.pcap");
    let bytes = std::fs::read(&path).expect("a capture of the corpus");
    // What `tcpdump -s 200` would have written.
    let mut cut = bytes[..24].to_vec();
    let mut at = 24;
    let mut missing = 0;
    while at < bytes.len() {
        let len = u32::from_le_bytes(*bytes[at + 8..].first_chunk().expect("a packet")) as usize;
        let kept = len.min(200);
        cut.extend(&bytes[at..at + 8]);
        cut.extend((kept as u32).to_le_bytes());
        cut.extend((len as u32).to_le_bytes());
        cut.extend(&bytes[at + 16..at + 16 + kept]);
        missing += len - kept;
        at += 16 + len;
    }
    let file = std::env::temp_dir().join(format!("tapwire-snaplen-{}.pcap", std::process::id()));
    std::fs::write(&file, cut).expect("a file");
    let (whole, output) = (coverage(&read(&[text(&path)])), read(&[text(&file)]));
    std::fs::remove_file(&file).expect("the test's own file");
    let found = coverage(&output);
    assert_eq!(found["bytes"], whole["bytes"]);
    let sum = |value: &Value| value.as_object().map_or(0, |map| map.values().filter_map(Value::as_u64).sum::<u64>());
    assert_eq!(sum(&found["lost"]) + sum(&found["skipped"]), missing as u64);
    assert!(found["lost"]["snaplen"].as_u64() > Some(0), "{found}");
    assert_eq!(found["complete"], false);
    let first = &records(&output)[0];
    assert_eq!((first["method"].as_str(), first["request"]["body_size"].as_u64()), (Some("PUT"), Some(100_000)));
}
