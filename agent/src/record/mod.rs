//! What is stored and answered: an exchange with its ends, after redaction.

use std::net::SocketAddr;

use crate::{
    capture::{CaptureSource, JoinKey},
    dissect::Exchange,
    flow::Views,
    time::Time,
};

/// One call, as `interfaces` shows it. Built by `Record::new`, which redacts; never changed afterwards: what comes
/// later is a new revision under the same id.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: RecordId,
    pub source: CaptureSource,
    /// The first request byte, else the first response byte.
    pub timestamp: Time,
    pub client: SocketAddr,
    pub server: SocketAddr,
    /// What the client called, when that differs from `server`.
    pub dialed: Option<SocketAddr>,
    pub views: Views,
    pub join_key: Option<JoinKey>,
    pub exchange: Exchange,
    /// Values replaced by redaction.
    pub redacted: u32,
}

/// Printed as `conn-number`, with the agent's epoch before it when it has one: an id of an earlier run finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// Random per run of an agent, 0 for capture files.
    pub epoch: u32,
    pub conn: u64,
    pub number: u32,
}
