//! Kafka: requests and answers by Kafka's own schemas, and the records inside them.
//!
//! `schema` is the table of all messages (`schemas.txt`, made from Kafka's classes) and `meaning` what its fields are about.
//! `detect` finds a connection, `message` reads headers, `connection` pairs answers with requests. `walk` reads a body by
//! its schema in pieces of any size, `records` the batches inside it, `compression` what is inside those; `reading` makes
//! a `tree` of JSON and `facts` of it, which `fields` shows. `frame` is a message while it is read, `topics` has the names
//! of topics that are told by id.

mod compression;
mod connection;
mod detect;
mod facts;
mod fields;
mod frame;
mod keys;
mod meaning;
mod message;
mod reading;
mod records;
pub mod schema;
mod topics;
mod tree;
mod walk;

#[cfg(test)]
mod tests;

pub use facts::Facts;
pub use frame::{Read, read};
pub use message::{KafkaRequest, KafkaResponse};
pub use topics::{TopicNames, has_unnamed};

use super::Protocol;
use crate::flow::Protocol4;

pub(super) static KAFKA: Protocol = Protocol {
    name: "kafka",
    transport: Protocol4::Tcp,
    ports: &[9092],
    fields: &[fields::FIELDS],
    probe: detect::probe,
    open: |settings| Box::new(connection::Kafka::new(settings)),
    scan: Some(detect::scan),
};
