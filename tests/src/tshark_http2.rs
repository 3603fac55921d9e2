//! The second opinion on HTTP/2: header lists and body bytes by stream, from tshark's PDML output.

use std::{collections::BTreeMap, path::Path};

use crate::tshark::{attribute, tshark};

/// One direction of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// The frame of the capture that ends the first header block.
    pub frame: u64,
    /// Header lists, in order: headers, then trailers.
    pub lists: Vec<Vec<(String, String)>>,
    pub body: u64,
}

/// Types of frames (RFC 9113 section 6), as tshark shows them.
const DATA: &str = "0";
const PUSH_PROMISE: &str = "5";
const CONTINUATION: &str = "9";

/// Halves by (source, destination, stream). `ports`: of servers that speak nothing else, in captures that don't show how
/// their connections began.
pub fn halves(path: &Path, ports: &[u64]) -> BTreeMap<(String, String, u64), Half> {
    let ports: Vec<String> = ports.iter().map(|port| format!("tcp.port=={port},http2")).collect();
    let arguments: Vec<&str> = ["-T", "pdml"].into_iter().chain(ports.iter().flat_map(|port| ["-d", port])).collect();
    let mut halves: BTreeMap<(String, String, u64), Half> = BTreeMap::new();
    let (mut frame, mut ends, mut ports) = (0, [String::new(), String::new()], [String::new(), String::new()]);
    let (mut stream, mut length, mut kind, mut name) = (0, 0_u64, String::new(), String::new());
    for line in tshark(path, &arguments).lines() {
        let Some(field) = attribute(line, "name") else { continue };
        let show = attribute(line, "show").unwrap_or_default();
        let key = |ends: &[String; 2], ports: &[String; 2]| {
            let end = |at: usize| match ends[at].contains(':') {
                true => format!("[{}]:{}", ends[at], ports[at]),
                false => format!("{}:{}", ends[at], ports[at]),
            };
            (end(0), end(1))
        };
        match field.as_str() {
            "frame.number" => frame = show.parse().unwrap_or_default(),
            "ip.src" | "ipv6.src" => ends[0] = show,
            "ip.dst" | "ipv6.dst" => ends[1] = show,
            "tcp.srcport" => ports[0] = show,
            "tcp.dstport" => ports[1] = show,
            "http2.length" => length = show.parse().unwrap_or_default(),
            "http2.type" => kind = show,
            "http2.streamid" => {
                stream = show.parse().unwrap_or_default();
                if kind == DATA {
                    let (from, to) = key(&ends, &ports);
                    halves.entry((from, to, stream)).or_default().body += length;
                }
            }
            // The padding, and the byte that tells its length, when there is one.
            "http2.pad_length" if kind == DATA && attribute(line, "size").is_some_and(|size| size == "1") => {
                let (from, to) = key(&ends, &ports);
                halves.entry((from, to, stream)).or_default().body -= 1 + show.parse::<u64>().unwrap_or_default();
            }
            // Of a promise they are the request's, which no direction of this stream has sent.
            "http2.header.count" if kind != PUSH_PROMISE => {
                let (from, to) = key(&ends, &ports);
                let half = halves.entry((from, to, stream)).or_default();
                if kind == CONTINUATION {
                    continue;
                }
                half.frame = if half.lists.is_empty() { frame } else { half.frame };
                half.lists.push(Vec::new());
            }
            "http2.header.name" => name = show,
            "http2.header.value" if kind != PUSH_PROMISE => {
                let (from, to) = key(&ends, &ports);
                let half = halves.entry((from, to, stream)).or_default();
                if let Some(list) = half.lists.last_mut() {
                    list.push((std::mem::take(&mut name), show));
                }
            }
            _ => {}
        }
    }
    halves
}
