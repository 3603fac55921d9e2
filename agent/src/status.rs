//! What `status` answers: one object, filled by the stages that own its parts, read by the MCP tool, the resource, the
//! command line and `/metrics`.

use std::sync::Mutex;

use serde::Serialize;

use crate::{coverage::Counters, time::Time};

/// Everything but the coverage, which the store knows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    pub version: &'static str,
    pub node: String,
    /// RFC 3339.
    pub started: String,
    pub listen: String,
    /// The cgroup whose sockets are captured.
    pub cgroup: String,
    pub capture: Vec<Hook>,
    pub kernel: KernelCounters,
    pub flows: Flows,
    pub refused_segments: RefusedSegments,
    /// The largest flows that no dissector reads, and why.
    pub undecoded_flows: Vec<UndecodedFlow>,
    pub redaction: bool,
    pub max_body: u64,
    pub body_rate: u64,
}

/// One row of the hooks table, as it went.
#[derive(Clone, Debug, Serialize)]
pub struct Hook {
    pub name: &'static str,
    pub attached: bool,
    /// Why it was skipped.
    pub reason: Option<String>,
}

/// Counted by the kernel side and by the ring's reader.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct KernelCounters {
    pub events: u64,
    pub ring_full: u64,
    /// Packets that were not IP, or whose headers or bytes could not be read.
    pub unreadable: u64,
    /// Packets at ingress whose sender is on this node and captured there.
    pub twins: u64,
    /// Packets of the agent's own connections, at either end.
    pub own: u64,
    /// Lost packets whose connection could not even be noted.
    pub lost_unnoted: u64,
    /// Events that user space could not decode.
    pub malformed_events: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Flows {
    pub open: u64,
    pub limit: u64,
    /// Bytes held for reassembly and undecided input.
    pub held_bytes: u64,
    /// Flows dropped to make room.
    pub evicted: u64,
    /// Open flows by what reads them: a protocol's name, `detecting`, `udp`, else why none does, by the name of its
    /// `coverage::Reason`, such as `encrypted` or `unknown_protocol`.
    pub by_protocol: std::collections::BTreeMap<String, u64>,
}

/// TCP segments that yielded nothing, because the receiver refuses them too: their bytes are none of the stream's.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct RefusedSegments {
    /// Outside the window, or a SYN within a connection.
    pub outside_window: u64,
    /// Bytes behind a FIN or a reset.
    pub after_end: u64,
    /// Resets whose sequence number is not the expected one.
    pub resets: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct UndecodedFlow {
    pub client: String,
    pub server: String,
    pub transport: &'static str,
    /// A name of `coverage::Reason`.
    pub reason: &'static str,
    pub bytes: u64,
    /// SNI of a ClientHello, when one was seen.
    pub server_name: Option<String>,
    pub last: String,
}

/// The one shared copy: short locks, nothing awaited under them.
#[derive(Debug, Default)]
pub struct Shared {
    status: Mutex<Status>,
    totals: Mutex<Counters>,
}

impl Shared {
    pub fn new(status: Status) -> Self {
        Self { status: Mutex::new(status), totals: Mutex::default() }
    }

    pub fn get(&self) -> Status {
        self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// All that was counted since the start, also what the store has evicted since: for `/metrics`.
    pub fn totals(&self) -> Counters {
        self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub fn count(&self, counters: &Counters) {
        self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).merge(counters);
    }
}

impl Status {
    pub fn new(node: String) -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), node, started: Time::now().to_string(), ..Self::default() }
    }
}
