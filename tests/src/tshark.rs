//! The second opinion: what tshark reads in a capture, by its PDML output and its field listing.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::Command,
};

/// One HTTP message as tshark shows it.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The frame that ends it.
    pub frame: u64,
    pub src: String,
    pub dst: String,
    /// `GET /path HTTP/1.1` or `HTTP/1.1 200`.
    pub line: String,
    pub host: Option<String>,
    /// Body after transfer and before content decoding.
    pub body: Option<u64>,
    /// Of an answer: the frame of its request.
    pub request_in: Option<u64>,
}

impl Message {
    pub fn is_request(&self) -> bool {
        !self.line.starts_with("HTTP/")
    }
}

/// Whether tshark can be asked here.
pub fn is_there() -> bool {
    Command::new("tshark").arg("--version").output().is_ok_and(|output| output.status.success())
}

pub(crate) fn tshark(path: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(path)
        .arg("-n")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("tshark: {error}"));
    assert!(!output.stdout.is_empty(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The HTTP messages of a capture, in the order of the frames that end them.
pub fn messages(path: &Path) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let mut packet: HashMap<String, String> = HashMap::new();
    let mut in_http = false;
    let mut method = String::new();
    let mut uri = String::new();
    // A message of this `http` layer was seen: what has none of its own continues nothing.
    let mut begun = false;
    for line in tshark(path, &["-T", "pdml"]).lines() {
        let line = line.trim_start();
        if line.starts_with("<packet>") {
            packet.clear();
            in_http = false;
        } else if line.starts_with("<proto ") {
            in_http = attribute(line, "name").as_deref() == Some("http");
            method.clear();
            uri.clear();
            begun = false;
        }
        let name = attribute(line, "name").unwrap_or_default();
        // A value of several lines ends on another one; of the body only the size is asked for, which stands before it.
        let Some(show) = attribute(line, "show").or_else(|| (name == "http.file_data").then(String::new)) else {
            continue;
        };
        if !in_http {
            packet.entry(name).or_insert(show);
            continue;
        }
        let mut begin = |line: String| {
            begun = true;
            let end = |ip: [&str; 2], port| {
                let ip = ip.iter().find_map(|name| packet.get(*name));
                let ip: Option<IpAddr> = ip.and_then(|ip| ip.parse().ok());
                let port = packet.get(port).and_then(|port| port.parse().ok());
                ip.zip(port).map(|(ip, port)| SocketAddr::new(ip, port).to_string()).unwrap_or_default()
            };
            messages.push(Message {
                frame: packet.get("frame.number").and_then(|number| number.parse().ok()).unwrap_or_default(),
                src: end(["ip.src", "ipv6.src"], "tcp.srcport"),
                dst: end(["ip.dst", "ipv6.dst"], "tcp.dstport"),
                line,
                ..Message::default()
            });
        };
        match name.as_str() {
            "http.request.method" => method = show,
            "http.request.uri" => uri = show,
            "http.request.version" => begin(format!("{method} {uri} {show}")),
            "http.response.version" => method = show,
            "http.response.code" => begin(format!("{method} {show}")),
            _ => {
                let Some(message) = messages.last_mut().filter(|_| begun) else { continue };
                match name.as_str() {
                    "http.host" => message.host = Some(show),
                    "http.request_in" => message.request_in = show.parse().ok(),
                    // Both `Content-encoded entity body (gzip): 72 bytes -> 344 bytes` and the data that came of it.
                    "" if show.starts_with("Content-encoded entity body") => message.body = size_behind(&show, "): "),
                    "http.file_data" if message.body.is_none() => {
                        message.body = attribute(line, "showname").and_then(|name| size_behind(&name, ": "));
                    }
                    _ => {}
                }
            }
        }
    }
    messages
}

fn size_behind(text: &str, mark: &str) -> Option<u64> {
    text.split_once(mark)?.1.split(' ').next()?.parse().ok()
}

/// An attribute of an XML element on one line, with its escapes undone.
pub(crate) fn attribute(line: &str, name: &str) -> Option<String> {
    let start = line.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = line.get(start..)?;
    let value = &value[..value.find('"')?];
    Some(
        value
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&"),
    )
}

/// Payload bytes of one direction of all connections between two addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Each byte of the sequence space once.
    pub once: u64,
    pub all: u64,
}

/// TCP payload by (source, destination), from tshark's reading of the headers.
pub fn payload(path: &Path) -> HashMap<(String, String), Bytes> {
    let fields = [
        "ip.src",
        "ipv6.src",
        "tcp.srcport",
        "ip.dst",
        "ipv6.dst",
        "tcp.dstport",
        "tcp.stream",
        "tcp.seq",
        "tcp.len",
        "tcp.flags.syn",
    ];
    let raw_numbers = "tcp.relative_sequence_numbers:FALSE";
    let mut arguments = vec!["-o", raw_numbers, "-T", "fields", "-Y", "tcp && !icmp && !icmpv6", "-E", "occurrence=f"];
    for field in fields {
        arguments.extend(["-e", field]);
    }
    let mut covered: HashMap<(String, String, String), Vec<(i64, i64)>> = HashMap::new();
    for line in tshark(path, &arguments).lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [ip4, ip6, port, to_ip4, to_ip6, to_port, stream, seq, len, syn] = columns[..] else { continue };
        let (Ok(seq), Ok(len)) = (seq.parse::<u32>(), len.parse::<i64>()) else { continue };
        let end = |ip4: &str, ip6: &str, port: &str| {
            let ip: Option<IpAddr> = ip4.parse().or_else(|_| ip6.parse()).ok();
            ip.zip(port.parse().ok()).map(|(ip, port)| SocketAddr::new(ip, port).to_string()).unwrap_or_default()
        };
        let key = (end(ip4, ip6, port), end(to_ip4, to_ip6, to_port), stream.to_owned());
        let spans = covered.entry(key).or_default();
        let seq = seq.wrapping_add(u32::from(matches!(syn, "1" | "True")));
        // Numbers near the first one of the direction: they wrap around.
        let first = spans.first().map_or(i64::from(seq), |span| span.0);
        let start = first + i64::from(seq.wrapping_sub(first as u32).cast_signed());
        if len > 0 {
            spans.push((start, start + len));
        }
    }
    let mut bytes: HashMap<(String, String), Bytes> = HashMap::new();
    for ((src, dst, _), mut spans) in covered {
        let all: i64 = spans.iter().map(|span| span.1 - span.0).sum();
        spans.sort_unstable();
        let (mut once, mut end) = (0, i64::MIN);
        for (from, to) in spans {
            once += (to - from.max(end)).max(0);
            end = end.max(to);
        }
        let sum = bytes.entry((src, dst)).or_default();
        sum.once += once as u64;
        sum.all += all as u64;
    }
    bytes.retain(|_, bytes| bytes.all > 0);
    bytes
}
