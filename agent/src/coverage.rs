//! What an answer covers: every stage counts into `Counters`, and each answer sums them into the one object of
//! `Coverage`. `bytes = captured_bytes + skipped + lost` holds at any moment, to the byte, because the three are only
//! ever raised together, by the methods here.

use crate::time::Time;

/// Why bytes are missing or not decoded. One list for skipped, lost and undecoded ones; ARCHITECTURE.md tells users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The kernel's ring had no room.
    RingFull,
    /// The kernel's budget for one turn was used up.
    Budget,
    /// The node's allowance for bodies was used up, or is 0 (heads only).
    BodyRate,
    /// Too much waited for a missing segment, in one flow or in all.
    ReassemblyLimit,
    /// The capture file kept only the front of the packet.
    Snaplen,
    /// The segment is not in the capture, though a later one, or its acknowledgement, is.
    NotCaptured,
    /// A flow was dropped to make room for others.
    FlowLimit,
    /// A message needed more undecided bytes than the dissector may hold.
    InputLimit,
    /// The connection was open before the capture, and no message's start was seen yet.
    MidStream,
    /// No dissector knows these bytes.
    UnknownProtocol,
    /// TLS that was not decrypted.
    Encrypted,
    /// The connection changed its protocol (Upgrade, CONNECT) to one that no dissector knows.
    Upgraded,
    /// What follows a malformed message, until the dissector finds its way again.
    Malformed,
}

impl Reason {
    pub const ALL: [Self; 13] = [
        Self::RingFull,
        Self::Budget,
        Self::BodyRate,
        Self::ReassemblyLimit,
        Self::Snaplen,
        Self::NotCaptured,
        Self::FlowLimit,
        Self::InputLimit,
        Self::MidStream,
        Self::UnknownProtocol,
        Self::Encrypted,
        Self::Upgraded,
        Self::Malformed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::Budget => "budget",
            Self::BodyRate => "body_rate",
            Self::ReassemblyLimit => "reassembly_limit",
            Self::Snaplen => "snaplen",
            Self::NotCaptured => "not_captured",
            Self::FlowLimit => "flow_limit",
            Self::InputLimit => "input_limit",
            Self::MidStream => "mid_stream",
            Self::UnknownProtocol => "unknown_protocol",
            Self::Encrypted => "encrypted",
            Self::Upgraded => "upgraded",
            Self::Malformed => "malformed",
        }
    }
}

/// A number for each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByReason([u64; Reason::ALL.len()]);

impl ByReason {
    pub fn add(&mut self, reason: Reason, count: u64) {
        self.0[reason as usize] += count;
    }

    pub fn get(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons with a count, in the order of the enum.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().map(|reason| (reason, self.get(reason))).filter(|&(_, count)| count > 0)
    }

    fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// What the byte path counted, since the start or since the last segment of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub records: u64,
    pub flows: u64,
    pub packets: u64,
    /// Unique TCP payload (sequence space) from the first byte seen, and UDP payload.
    pub bytes: u64,
    pub captured_bytes: u64,
    /// Apart from `bytes`.
    pub retransmitted_bytes: u64,
    pub skipped: ByReason,
    pub lost: ByReason,
    /// Captured bytes that no record shows.
    pub undecoded: ByReason,
    /// (protocol, reason, messages), few and short: a list, searched from the front.
    pub malformed: Vec<(&'static str, &'static str, u64)>,
    /// (name, times): limits of dissectors that were hit, so that something is left out or given up. A list as above.
    pub limits: Vec<(&'static str, u64)>,
    /// Values replaced before they were stored.
    pub redacted: u64,
    /// Packets that no stage could read: not IP, or cut inside their headers.
    pub unreadable_packets: u64,
    /// Packets whose bytes are lost, nobody knows how many of which connection: the kernel side had no room to note them,
    /// or a capture file cut them inside their headers.
    pub lost_unnoted: u64,
}

impl Counters {
    /// A packet that no stage could read. `cut`: the capture file kept too little of it to say what is missing.
    pub fn unreadable(&mut self, cut: bool) {
        self.packets += 1;
        self.unreadable_packets += 1;
        self.lost_unnoted += u64::from(cut);
    }

    /// Payload that arrived whole and once.
    pub fn captured(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.captured_bytes += bytes;
    }

    /// Payload that is known to have passed and that nobody needed.
    pub fn skipped(&mut self, bytes: u64, reason: Reason) {
        self.bytes += bytes;
        self.skipped.add(reason, bytes);
    }

    /// Payload that is known to have passed and that is missing.
    pub fn lost(&mut self, bytes: u64, reason: Reason) {
        self.bytes += bytes;
        self.lost.add(reason, bytes);
    }

    pub fn malformed(&mut self, protocol: &'static str, reason: &'static str) {
        match self.malformed.iter_mut().find(|(p, r, _)| *p == protocol && *r == reason) {
            Some((_, _, count)) => *count += 1,
            None => self.malformed.push((protocol, reason, 1)),
        }
    }

    /// A limit was hit so many times.
    pub fn limit(&mut self, name: &'static str, times: u64) {
        match self.limits.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += times,
            None => self.limits.push((name, times)),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn merge(&mut self, other: &Self) {
        let Self {
            records,
            flows,
            packets,
            bytes,
            captured_bytes,
            retransmitted_bytes,
            skipped,
            lost,
            undecoded,
            malformed,
            limits,
            redacted,
            unreadable_packets,
            lost_unnoted,
        } = other;
        self.records += records;
        self.flows += flows;
        self.packets += packets;
        self.bytes += bytes;
        self.captured_bytes += captured_bytes;
        self.retransmitted_bytes += retransmitted_bytes;
        self.skipped.merge(skipped);
        self.lost.merge(lost);
        self.undecoded.merge(undecoded);
        self.redacted += redacted;
        self.unreadable_packets += unreadable_packets;
        self.lost_unnoted += lost_unnoted;
        for &(protocol, reason, count) in malformed {
            match self.malformed.iter_mut().find(|(p, r, _)| *p == protocol && *r == reason) {
                Some((_, _, mine)) => *mine += count,
                None => self.malformed.push((protocol, reason, count)),
            }
        }
        for &(name, count) in limits {
            self.limit(name, count);
        }
    }
}

/// The object in every answer, in `status`, and at the end of `read`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub nodes: Vec<String>,
    pub from: Option<Time>,
    pub to: Option<Time>,
    pub counters: Counters,
    /// Records before this time were evicted from the store.
    pub evicted_before: Option<Time>,
    /// Whether something inside the range that was asked for was evicted.
    pub evicted_in_range: bool,
    /// A file, or a part of one, could not be read.
    pub unreadable_files: bool,
}

impl Coverage {
    /// Nothing lost, nothing evicted inside the range, all files read; skipped bytes do not unset it.
    pub fn complete(&self) -> bool {
        let Self { counters, evicted_in_range, unreadable_files, .. } = self;
        counters.lost.total() == 0 && counters.lost_unnoted == 0 && !evicted_in_range && !unreadable_files
    }

    pub fn to_json(&self) -> serde_json::Value {
        let by_reason = |counts: &ByReason| -> serde_json::Value {
            counts
                .iter()
                .map(|(reason, count)| (reason.name().to_owned(), count.into()))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let time = |time: Option<Time>| time.map_or(serde_json::Value::Null, |time| time.to_string().into());
        let mut malformed = serde_json::Map::new();
        for &(protocol, reason, count) in &self.counters.malformed {
            let reasons = malformed.entry(protocol).or_insert_with(|| serde_json::Map::new().into());
            if let Some(reasons) = reasons.as_object_mut() {
                reasons.insert(reason.to_owned(), count.into());
            }
        }
        let counters = &self.counters;
        let mut coverage = serde_json::json!({
            "nodes": self.nodes,
            "from": time(self.from),
            "to": time(self.to),
            "records": counters.records,
            "flows": counters.flows,
            "packets": counters.packets,
            "bytes": counters.bytes,
            "captured_bytes": counters.captured_bytes,
            "retransmitted_bytes": counters.retransmitted_bytes,
            "skipped": by_reason(&counters.skipped),
            "lost": by_reason(&counters.lost),
            "malformed": malformed,
            "undecoded": by_reason(&counters.undecoded),
            "redacted": counters.redacted,
            "unreadable_packets": counters.unreadable_packets,
            "evicted_before": time(self.evicted_before),
            "complete": self.complete(),
        });
        // Few captures have these.
        if counters.lost_unnoted > 0 {
            coverage["lost_unnoted"] = counters.lost_unnoted.into();
        }
        if !counters.limits.is_empty() {
            let limits = counters.limits.iter().map(|&(name, count)| (name.to_owned(), count.into()));
            coverage["limits"] = limits.collect::<serde_json::Map<_, _>>().into();
        }
        coverage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_of_unknown_extent_unsets_complete() {
        let mut counters = Counters::default();
        let json = |counters: &Counters| Coverage { counters: counters.clone(), ..Coverage::default() }.to_json();
        assert_eq!((&json(&counters)["complete"], json(&counters).get("lost_unnoted")), (&true.into(), None));
        counters.merge(&Counters { lost_unnoted: 3, ..Counters::default() });
        assert!(!counters.is_empty(), "it is published though nothing else is");
        assert_eq!((&json(&counters)["complete"], &json(&counters)["lost_unnoted"]), (&false.into(), &3.into()));
    }

    #[test]
    fn limits_are_summed_by_name() {
        let mut counters = Counters::default();
        counters.limit("stream_limit", 1);
        let mut other = Counters::default();
        other.limit("memory_limit", 2);
        other.limit("stream_limit", 3);
        counters.merge(&other);
        assert_eq!(counters.limits, [("stream_limit", 4), ("memory_limit", 2)]);
        let json = Coverage { counters, ..Coverage::default() }.to_json();
        assert_eq!(json["limits"], serde_json::json!({"stream_limit": 4, "memory_limit": 2}));
        assert_eq!(Coverage::default().to_json().get("limits"), None);
    }

    #[test]
    fn the_architecture_lists_every_reason() {
        let listed = include_str!("../../ARCHITECTURE.md");
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert!(listed.contains(&format!("| `{}` |", reason.name())), "{}", reason.name());
        }
    }
}
