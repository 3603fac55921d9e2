//! The captures of `tests/corpus`, and their packets.

use std::path::{Path, PathBuf};

use tapwire::{
    capture::{
        CaptureSource, Packet, Transport, Tuple,
        headers::parse_ip,
        pcap::{Pool, ReadError, Reader, ip_packet},
    },
    coverage::Reason,
    time::Time,
};

/// The folder of all captures.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The captures of one folder, by name.
pub fn captures(folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng"))
        .collect();
    paths.sort();
    paths
}

/// `http1/zeek-get.pcap`, as reports and lists name a capture.
pub fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// A packet that owns its payload: tests keep, change and repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub time: Time,
    pub number: u64,
    pub header: Tuple,
    pub transport: Transport,
    pub payload: Vec<u8>,
    pub wire_len: u32,
    pub cut: Option<Reason>,
}

impl Owned {
    pub fn packet(&self) -> Packet<'_> {
        Packet {
            time: self.time,
            source: CaptureSource::Pcap,
            number: self.number,
            view: None,
            header: self.header,
            transport: self.transport,
            payload: &self.payload,
            wire_len: self.wire_len,
            cut: self.cut,
        }
    }
}

/// The TCP and UDP packets of a capture, numbered as `tshark` numbers frames.
pub fn packets(path: &Path) -> Result<Vec<Owned>, ReadError> {
    let mut reader = Reader::open(path)?;
    let mut pool = Pool::new(1);
    let mut packets = Vec::new();
    let mut number = 0;
    while let Some(block) = reader.next_block(&mut pool)? {
        for frame in block.frames() {
            number += 1;
            let bytes = block.bytes(frame);
            let Ok(at) = ip_packet(frame.link, bytes) else { continue };
            let Ok(headers) = parse_ip(&bytes[at..], frame.wire_len as usize - at) else { continue };
            packets.push(Owned {
                time: frame.time,
                number,
                header: headers.tuple,
                transport: headers.transport,
                payload: headers.payload.to_vec(),
                wire_len: headers.wire_len,
                cut: (headers.payload.len() < headers.wire_len as usize).then_some(Reason::Snaplen),
            });
        }
    }
    Ok(packets)
}
