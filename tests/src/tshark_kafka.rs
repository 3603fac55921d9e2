//! The second opinion on Kafka: its messages one by one, from tshark's PDML output.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::tshark::{attribute, tshark};

/// One request or answer.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub frame: u64,
    pub src: String,
    pub dst: String,
    /// tshark knows its API and version, and read it to its end.
    pub whole: bool,
    /// All that is shown of it by name, in order; what is null is left out.
    pub values: BTreeMap<String, Vec<String>>,
}

/// How tshark says that it does not understand all of a message.
const NOT_READ: [&str; 4] =
    ["kafka.unsupported_api_version", "kafka.request_missing", "kafka.pdu_length_mismatch", "_ws.malformed"];

/// Messages in the order of the file. `ports`: of the brokers.
pub fn messages(path: &Path, ports: &BTreeSet<u64>) -> Vec<Message> {
    let ports: Vec<String> = ports.iter().map(|port| format!("tcp.port=={port},kafka")).collect();
    let arguments: Vec<&str> = ["-T", "pdml"].into_iter().chain(ports.iter().flat_map(|port| ["-d", port])).collect();
    let mut messages: Vec<Message> = Vec::new();
    let mut packet: BTreeMap<String, String> = BTreeMap::new();
    let mut within = false;
    for line in tshark(path, &arguments).lines() {
        let line = line.trim_start();
        if line.starts_with("<packet>") {
            packet.clear();
            within = false;
        }
        if line.starts_with("<proto ") {
            within = attribute(line, "name").is_some_and(|name| name == "kafka");
            if within {
                let part = |names: [&str; 2]| names.iter().find_map(|&name| packet.get(name)).cloned();
                let end = |ip, port: &str| {
                    let ip = part(ip).unwrap_or_default();
                    let ip = if ip.contains(':') { format!("[{ip}]") } else { ip };
                    format!("{ip}:{}", packet.get(port).map_or("", String::as_str))
                };
                messages.push(Message {
                    frame: packet.get("frame.number").and_then(|number| number.parse().ok()).unwrap_or_default(),
                    src: end(["ip.src", "ipv6.src"], "tcp.srcport"),
                    dst: end(["ip.dst", "ipv6.dst"], "tcp.dstport"),
                    whole: true,
                    values: BTreeMap::new(),
                });
            }
            continue;
        }
        let (Some(name), Some(show)) = (attribute(line, "name"), attribute(line, "show")) else { continue };
        match messages.last_mut().filter(|_| within) {
            None => drop(packet.insert(name, show)),
            Some(message) => {
                message.whole &= !NOT_READ.contains(&name.as_str());
                if let Some(name) = name.strip_prefix("kafka.").filter(|_| show != "[ Null ]") {
                    message.values.entry(name.to_owned()).or_default().push(show);
                }
            }
        }
    }
    messages
}
