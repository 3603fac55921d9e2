//! What is stored and answered: an exchange with its ends, after redaction.
//!
//! The stage knows the types before it (an exchange, the facts of its flow) and nothing of the store or of questions:
//! - `id`: how a record is named; `origin`: what it takes from its flow; `timing` and `address`: what follows from both
//! - `redact`: secrets are replaced before anything is stored
//! - `json`: the record as it is printed; `fields`: the names that the filter, the schemas and the docs know
//! - `memory`: what a record costs, since the store is bounded in bytes

pub mod address;
pub mod fields;
pub mod json;
pub mod redact;

mod id;
mod memory;
mod origin;
mod timing;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod sample;

use std::net::SocketAddr;

pub use id::{BadId, RecordId};
pub use origin::Origin;
pub use redact::Redactor;

use crate::{
    capture::{CaptureSource, JoinKey},
    dissect::Exchange,
    flow::Views,
    time::Time,
};

/// One call. Built by `Record::new`, which redacts; never changed afterwards: what comes
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

impl Record {
    /// Takes an exchange as the dissector yields it. Without a redactor nothing is replaced (`--no-redact`). The
    /// caller adds `redacted` to its counters, once for each id.
    pub fn new(origin: &Origin, mut exchange: Exchange, redactor: Option<&Redactor>) -> Self {
        let redacted = redactor.map_or(0, |redactor| redactor.exchange(&mut exchange));
        memory::shrink(&mut exchange);
        let first = exchange.request.as_ref().or(exchange.response.as_ref());
        Self {
            id: RecordId { epoch: origin.epoch, conn: origin.conn, number: exchange.number },
            source: origin.source,
            timestamp: first.map_or(Time::default(), |message| message.started),
            client: origin.client,
            server: origin.server,
            dialed: origin.dialed,
            views: origin.views,
            join_key: origin.join_key,
            exchange,
            redacted,
        }
    }
}
