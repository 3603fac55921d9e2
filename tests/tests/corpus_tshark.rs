//! Our reading of the corpus against tshark's. Every difference is in `corpus/differences.tsv`, with the rule that
//! decides it: one that is not listed fails, and so does a listed one that is gone.

#[path = "corpus_tshark/http2.rs"]
mod http2;
#[path = "corpus_tshark/kafka.rs"]
mod kafka;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use serde_json::Value;
use tapwire::{
    coverage::Counters,
    flow::{Direction, FlowTable, Limits, Piece},
};
use tapwire_tests::{
    corpus::{self, Owned},
    pipeline,
    tshark::{self, Message},
};

const FOLDERS: [&str; 5] = ["http", "http1", "kafka", "made", "tcp"];

/// One difference: capture, packet, and what it is.
type Difference = (String, String, String);

#[test]
fn every_difference_from_tshark_is_explained() {
    assert!(tshark::is_there(), "tshark is not installed: cargo xtask test installs it");
    let mut found: BTreeSet<Difference> = BTreeSet::new();
    let (mut captures, mut messages, mut streams, mut kafka_messages, mut kafka_bodies) = (0, 0, 0, 0, 0);
    for path in FOLDERS.iter().flat_map(|folder| corpus::captures(folder)) {
        let packets = corpus::packets(&path).unwrap_or_else(|error| panic!("{} {error}", corpus::name(&path)));
        captures += 1;
        messages += compare_messages(&path, &packets, &mut found);
        streams += http2::compare(&path, &packets, &mut found);
        let (compared, bodies) = kafka::compare(&path, &packets, &mut found);
        (kafka_messages, kafka_bodies) = (kafka_messages + compared, kafka_bodies + bodies);
        compare_bytes(&path, &packets, &mut found);
    }
    println!(
        "{captures} captures: {messages} messages of HTTP/1, {streams} halves of streams of HTTP/2 and {kafka_messages} messages of \
         Kafka ({kafka_bodies} with their bodies) compared, {} differences",
        found.len()
    );
    // Whatever there is must have been found: as many as when this was written.
    assert!(messages >= 341 && streams >= 109 && kafka_messages >= 897 && kafka_bodies >= 347);
    let listed = listed();
    let new: Vec<String> = found.iter().filter(|difference| !listed.contains_key(*difference)).map(line).collect();
    let gone: Vec<String> = listed.keys().filter(|difference| !found.contains(*difference)).map(line).collect();
    let told = |differences: &[String]| differences.join("\n");
    assert!(
        new.is_empty() && gone.is_empty(),
        "differences that corpus/differences.tsv does not list:\n{}\nlisted ones that are gone:\n{}",
        told(&new),
        told(&gone)
    );
    for (difference, (rule, reason)) in &listed {
        assert!(!rule.is_empty() && !reason.is_empty(), "without rule or reason: {}", line(difference));
    }
}

fn line(difference: &Difference) -> String {
    let (capture, packet, what) = difference;
    format!("{capture}\t{packet}\t{what}")
}

/// The list: capture, packet, difference, rule, reason.
fn listed() -> BTreeMap<Difference, (String, String)> {
    let text = std::fs::read_to_string(corpus::root().join("differences.tsv")).unwrap_or_default();
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| {
        let columns: Vec<&str> = row.split('\t').collect();
        let [capture, packet, what, rule, reason] = columns[..] else { panic!("not five columns: {row}") };
        ((capture.to_owned(), packet.to_owned(), what.to_owned()), (rule.to_owned(), reason.to_owned()))
    })
    .collect()
}

/// One message as we read it.
#[derive(Clone, Debug)]
struct Ours {
    frame: u64,
    line: String,
    /// The line with the whole URL, as proxies are asked.
    url: String,
    host: Option<String>,
    body: Option<u64>,
    /// Its call, by number.
    call: usize,
}

/// Address and port of `src` or `dst`.
fn end_of(record: &Value, name: &str) -> String {
    let end = &record[name];
    let ip = end["ip"].as_str().and_then(|ip| ip.parse().ok());
    let port = end["port"].as_u64().unwrap_or_default() as u16;
    ip.map(|ip: std::net::IpAddr| std::net::SocketAddr::new(ip, port).to_string()).unwrap_or_default()
}

/// What we read, by (source, destination).
fn ours(packets: &[Owned]) -> BTreeMap<(String, String), Vec<Ours>> {
    let mut frames: HashMap<(String, String), u64> = HashMap::new();
    for packet in packets {
        frames.entry((packet.time.to_string(), packet.header.src.to_string())).or_insert(packet.number);
    }
    let mut messages: BTreeMap<(String, String), Vec<Ours>> = BTreeMap::new();
    let records = pipeline::real(packets).values();
    let http1 = |record: &&Value| record["stream_id"].is_null() && record["protocol"] != "kafka";
    for (call, record) in records.iter().filter(http1).enumerate() {
        let (client, server) = (end_of(record, "src"), end_of(record, "dst"));
        let version = record["http_version"].as_str().unwrap_or("?");
        let began = record["timestamp"].as_str().unwrap_or_default().to_owned();
        let body = |half: &Value| half["body_size"].as_u64();
        if let Some(request) = record.get("request").filter(|half| half.is_object()) {
            let uri = target(record);
            let host = header(request, "host");
            let frame = frames.get(&(began.clone(), client.clone())).copied().unwrap_or_default();
            let method = record["method"].as_str().unwrap_or("?");
            let line = format!("{method} {uri} HTTP/{version}");
            let url = format!("{method} {} HTTP/{version}", record["url"].as_str().unwrap_or("?"));
            let message = Ours { frame, line, url, host, body: body(request), call };
            messages.entry((client.clone(), server.clone())).or_default().push(message);
        }
        if let Some(response) = record.get("response").filter(|half| half.is_object()) {
            let ended = later(&began, record["elapsed_time"].as_u64().unwrap_or_default());
            let frame = [began, ended].iter().find_map(|time| frames.get(&(time.clone(), server.clone())));
            let line = format!("HTTP/? {}", record["status_code"]);
            let message = Ours {
                frame: frame.copied().unwrap_or_default(),
                line,
                url: String::new(),
                host: None,
                body: body(response),
                call,
            };
            messages.entry((server, client)).or_default().push(message);
        }
    }
    messages
}

/// A printed time, so many microseconds later, within its day.
fn later(time: &str, micros: u64) -> String {
    let digits = |range: std::ops::Range<usize>| {
        time.get(range).and_then(|digits| digits.parse::<u64>().ok()).unwrap_or_default()
    };
    let of_day = ((digits(11..13) * 60 + digits(14..16)) * 60 + digits(17..19)) * 1_000_000 + digits(20..26) + micros;
    let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
    let day = time.get(..11).unwrap_or_default();
    format!("{day}{:02}:{:02}:{:02}.{micros:06}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The request target as it was sent, from `path` and `url`.
fn target(record: &Value) -> String {
    let (path, url) = (record["path"].as_str().unwrap_or("?"), record["url"].as_str().unwrap_or("?"));
    match url.find(path) {
        // `http://host/path?query`: from the path on.
        Some(at) if path.starts_with('/') => {
            let after = url.find("://").map_or(0, |at| at + 3);
            let at = url[after..].find(path).map_or(at, |more| after + more);
            url[at..].to_owned()
        }
        _ => path.to_owned(),
    }
}

fn header(message: &Value, name: &str) -> Option<String> {
    let headers = message["headers"].as_array()?;
    let header = headers.iter().find(|header| header[0].as_str().is_some_and(|it| it.eq_ignore_ascii_case(name)))?;
    header[1].as_str().map(str::to_owned)
}

/// Compares requests and answers of each direction in order, then which answer belongs to which request.
fn compare_messages(path: &Path, packets: &[Owned], found: &mut BTreeSet<Difference>) -> usize {
    let name = corpus::name(path);
    let mut report = |packet: u64, what: String| {
        found.insert((name.clone(), packet.to_string(), what));
    };
    let theirs = tshark::messages(path);
    // Interim answers are not calls of their own (RFC 9110, section 15.2).
    let interim =
        |message: &&Message| !(message.line.contains(" 10") && !message.is_request() && !message.line.ends_with("101"));
    let mut by_direction: BTreeMap<(String, String), Vec<Message>> = BTreeMap::new();
    for message in theirs.iter().filter(interim) {
        by_direction.entry((message.src.clone(), message.dst.clone())).or_default().push(message.clone());
    }
    let ours = ours(packets);
    let keys: BTreeSet<_> = by_direction.keys().chain(ours.keys()).cloned().collect();
    let mut compared = 0;
    // Of our calls: the frame of the request, and the answer, as tshark has them.
    let mut requests: HashMap<usize, u64> = HashMap::new();
    let mut answers: Vec<(usize, Message)> = Vec::new();
    for key in keys {
        let empty = (Vec::new(), Vec::new());
        let (theirs, ours) = (by_direction.get(&key).unwrap_or(&empty.0), ours.get(&key).unwrap_or(&empty.1));
        compared += theirs.len().max(ours.len());
        for pair in align(theirs, ours) {
            match pair {
                (Some(theirs), None) => report(theirs.frame, format!("only tshark: {}", theirs.line)),
                (None, Some(ours)) => report(ours.frame, format!("only tapwire: {}", ours.line)),
                (Some(theirs), Some(ours)) => {
                    if theirs.host != ours.host && theirs.is_request() {
                        report(
                            theirs.frame,
                            format!("host of {}: {:?}, tapwire {:?}", theirs.line, theirs.host, ours.host),
                        );
                    }
                    let body = ours.body.filter(|&size| size > 0);
                    if theirs.body != body {
                        let shown =
                            |body: Option<u64>| body.map_or("unknown or none".to_owned(), |size| size.to_string());
                        report(
                            theirs.frame,
                            format!("body of {}: {}, tapwire {}", theirs.line, shown(theirs.body), shown(ours.body)),
                        );
                    }
                    if theirs.is_request() {
                        requests.insert(ours.call, theirs.frame);
                    } else {
                        answers.push((ours.call, theirs.clone()));
                    }
                }
                (None, None) => {}
            }
        }
    }
    for (call, answer) in answers {
        let ours = requests.get(&call).copied();
        if ours != answer.request_in {
            let shown = |frame: Option<u64>| frame.map_or("none".to_owned(), |frame| format!("packet {frame}"));
            report(
                answer.frame,
                format!("request of {}: {}, tapwire {}", answer.line, shown(answer.request_in), shown(ours)),
            );
        }
    }
    compared
}

/// Counts for a pair of messages, before how near to one another they end.
const PAIR: usize = 1_000_000;

/// Puts two readings of one direction side by side: the longest common sequence of lines. Answers often have the same
/// line: those are paired that end in packets near to one another, and none of other size that end elsewhere.
fn align<'a>(theirs: &'a [Message], ours: &'a [Ours]) -> Vec<(Option<&'a Message>, Option<&'a Ours>)> {
    // Our records have one version, the request's: an answer's is not compared.
    let same = |theirs: &Message, ours: &Ours| match theirs.is_request() {
        true => theirs.line == ours.line || theirs.line.eq_ignore_ascii_case(&ours.url),
        false => {
            theirs.line.rsplit(' ').next() == ours.line.rsplit(' ').next()
                && (theirs.frame == ours.frame || theirs.body.is_none() || theirs.body == ours.body)
        }
    };
    let worth = |theirs: &Message, ours: &Ours| match same(theirs, ours) {
        true => PAIR - theirs.frame.abs_diff(ours.frame).min(1000) as usize,
        false => 0,
    };
    let mut longest = vec![vec![0_usize; ours.len() + 1]; theirs.len() + 1];
    for at in (0..theirs.len()).rev() {
        for other in (0..ours.len()).rev() {
            let pair = match worth(&theirs[at], &ours[other]) {
                0 => 0,
                worth => longest[at + 1][other + 1] + worth,
            };
            longest[at][other] = pair.max(longest[at + 1][other]).max(longest[at][other + 1]);
        }
    }
    let (mut at, mut other, mut pairs) = (0, 0, Vec::new());
    while at < theirs.len() || other < ours.len() {
        let (here, there) = (theirs.get(at), ours.get(other));
        match (here, there) {
            (Some(here), Some(there))
                if same(here, there) && longest[at][other] == longest[at + 1][other + 1] + worth(here, there) =>
            {
                pairs.push((Some(here), Some(there)));
                (at, other) = (at + 1, other + 1);
            }
            (Some(here), there) if there.is_none() || longest[at + 1][other] >= longest[at][other + 1] => {
                pairs.push((Some(here), None));
                at += 1;
            }
            (_, there) => {
                pairs.push((None, there));
                other += 1;
            }
        }
    }
    pairs
}

/// Compares the payload of each direction: every byte once.
fn compare_bytes(path: &Path, packets: &[Owned], found: &mut BTreeSet<Difference>) {
    let mut flows: FlowTable<()> = FlowTable::new(Limits::default());
    let mut ours: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut counters = Counters::default();
    let mut count = |ends: tapwire::capture::Tuple, direction, piece: Piece<'_>| {
        let ends = if direction == Direction::ToServer { ends } else { ends.reversed() };
        if let Piece::Chunk { bytes, .. } = piece {
            *ours.entry((ends.src.to_string(), ends.dst.to_string())).or_default() += bytes.len() as u64;
        }
    };
    for packet in packets.iter().filter(|packet| packet.transport != tapwire::capture::Transport::Udp) {
        flows.packet(&packet.packet(), &mut counters, &mut |_| (), &mut |flow, direction, piece, _| {
            count(flow.ends, direction, piece)
        });
    }
    flows.finish(&mut counters, &mut |flow, direction, piece, _| count(flow.ends, direction, piece));
    let theirs = tshark::payload(path);
    let keys: BTreeSet<_> = theirs.keys().chain(ours.keys()).cloned().collect();
    for key in keys {
        let there = theirs.get(&key).copied().unwrap_or_default().once;
        let here = ours.get(&key).copied().unwrap_or_default();
        if there != here {
            let what = format!("bytes {} to {}: {there}, tapwire {here}", key.0, key.1);
            found.insert((corpus::name(path), "-".to_owned(), what));
        }
    }
}
