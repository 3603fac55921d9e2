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

/// Halves by (source, destination, stream).
pub fn halves(path: &Path) -> BTreeMap<(String, String, u64), Half> {
    let mut halves: BTreeMap<(String, String, u64), Half> = BTreeMap::new();
    let (mut frame, mut ends, mut ports) = (0, [String::new(), String::new()], [String::new(), String::new()]);
    let (mut stream, mut kind, mut name) = (0, String::new(), String::new());
    for line in tshark(path, &["-T", "pdml"]).lines() {
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
            "http2.type" => kind = show,
            "http2.streamid" => stream = show.parse().unwrap_or_default(),
            // Of a promise they are the request's, which no direction of this stream has sent.
            "http2.header.count" if kind != "5" => {
                let (from, to) = key(&ends, &ports);
                let half = halves.entry((from, to, stream)).or_default();
                half.frame = if half.lists.is_empty() { frame } else { half.frame };
                half.lists.push(Vec::new());
            }
            "http2.header.name" => name = show,
            "http2.header.value" if kind != "5" => {
                let (from, to) = key(&ends, &ports);
                let half = halves.entry((from, to, stream)).or_default();
                if let Some(list) = half.lists.last_mut() {
                    list.push((std::mem::take(&mut name), show));
                }
            }
            "http2.data.data" => {
                let (from, to) = key(&ends, &ports);
                let size = attribute(line, "size").and_then(|size| size.parse::<u64>().ok());
                halves.entry((from, to, stream)).or_default().body += size.unwrap_or_default();
            }
            _ => {}
        }
    }
    halves
}
