//! From ordered bytes to exchanges: the table of protocols, detection by bytes, the bounded input, and pairing. Pure
//! functions of bytes: no clock, no I/O, no tokio, and nothing allocated in a size that a peer names.
//!
//! Adding a protocol: a file or folder here, a line in `PROTOCOLS`, a folder in `tests/corpus`.

pub mod conversation;
pub mod exchange;
pub mod input;
pub mod output;
pub mod pairing;
pub mod text;

mod detect;
pub mod grpc;
pub mod hpack;
mod http;
mod http1;
mod http2;
pub mod kafka;
mod tls;

#[cfg(test)]
mod tests;

pub use conversation::{Conversation, Reads, Relief};
pub use exchange::{
    Body, Carried, Exchange, Head, Headers, HttpRequest, HttpResponse, Incomplete, Message, Messages, Reset, Site,
    StreamMessage,
};

pub use crate::flow::Direction;
use crate::{
    coverage::Reason,
    flow::{Ending, Protocol4},
};
pub use grpc::schema::{Error as SchemaError, Schemas};
pub use kafka::{KafkaRequest, KafkaResponse};
pub use pairing::Half;
pub use text::text;

/// Every protocol, in the order in which the probes are asked.
pub static PROTOCOLS: &[&Protocol] = &[&http2::HTTP2, &http1::HTTP, &kafka::KAFKA, &grpc::GRPC];

/// One protocol: a row of the table.
pub struct Protocol {
    pub name: &'static str,
    pub transport: Protocol4,
    /// Usual ports: a hint for people, never for detection.
    pub ports: &'static [u16],
    /// What the filter, the schemas and the docs know of it: its own table, and those of what it stands on.
    pub fields: &'static [&'static [Field]],
    /// Looks at the first bytes of a direction.
    pub probe: fn(Direction, &[u8]) -> Match,
    pub open: fn(&Settings) -> Box<dyn Dissector>,
    /// Finds where it goes on in mid-stream, if bytes alone can tell: the sender, when it is known, and what it sent.
    pub scan: Option<fn(Option<Direction>, &[u8]) -> Scan>,
}

impl std::fmt::Debug for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Protocol {
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().copied().flatten()
    }
}

/// What a probe says of the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    Yes,
    No,
    NeedMore,
}

/// Where a message begins in mid-stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Here, and this side sent it.
    Found { at: usize, sender: Direction },
    /// Not before this; what follows may be one.
    Undecided(usize),
}

/// What the configuration sets for all dissectors.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Body bytes kept of a message.
    pub max_body: usize,
    /// The operator's descriptors of gRPC services.
    pub schemas: std::sync::Arc<Schemas>,
    /// What all Kafka connections have told.
    pub topic_names: std::sync::Arc<kafka::TopicNames>,
}

/// The type of a field, for the filter's checks and for the schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    Timestamp,
    Duration,
    TextList,
    TextMap,
    /// A map of anything, such as `node`.
    Map,
}

/// A field's value in one exchange or record.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Not applicable.
    Absent,
    /// Looked for and not known.
    Unknown,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(std::borrow::Cow<'a, str>),
    Bytes(std::borrow::Cow<'a, [u8]>),
    Timestamp(crate::time::Time),
    /// Nanoseconds.
    Duration(i64),
    TextList(Vec<std::borrow::Cow<'a, str>>),
    /// Names in lower case, in order, repetitions joined by `, `.
    TextMap(Vec<(std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)>),
}

/// A field that a protocol adds to the catalogue.
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    /// Stands under this name at the top of the record's JSON.
    pub json: bool,
    pub doc: &'static str,
    pub get: for<'a> fn(&'a Exchange) -> Value<'a>,
}

/// Reads one conversation, both directions. `from` is the role of the sender: the conversation has turned the
/// directions round when the flow's guess of the client was wrong.
pub trait Dissector: Send {
    /// Takes what it can from `input` and reports messages to `out`. What it leaves is held, and it is called again when
    /// there is more, or when a skip is over.
    fn decode(
        &mut self,
        from: Direction,
        input: &mut input::Input<'_>,
        out: &mut output::Output,
    ) -> Result<(), Malformed>;

    /// Bytes are missing next. Returns how many of them it can do without, because they are of known extent; when that
    /// is not all, `lose` follows.
    fn gap(&mut self, from: Direction, missing: Missing, out: &mut output::Output) -> u64;

    /// Bytes are missing inside what it skips.
    fn passed_over(&mut self, from: Direction, missing: Missing, out: &mut output::Output);

    /// Bytes pass, or are missing, that can't be read: closes what can't be finished. `decode` is next called after
    /// `resume`.
    fn lose(&mut self, from: Direction, missing: Option<Missing>, out: &mut output::Output);

    /// A turn begins with what the probe takes for a message, or a scan has found one: whether that is plausible here.
    /// `unread`: the other side's last turn, when that is not read either.
    fn resume(&mut self, from: Direction, bytes: &[u8], unread: input::Unread, out: &mut output::Output) -> bool;

    /// Finds where a lost side goes on in mid-stream. `turn`: the first byte begins a turn.
    fn find(&self, _from: Direction, _turn: bool, bytes: &[u8]) -> Scan {
        Scan::Undecided(bytes.len())
    }

    /// This side begins to speak after the other.
    fn turn(&mut self, from: Direction, out: &mut output::Output);

    /// Bytes on the heap, besides those of exchanges.
    fn held(&self) -> usize {
        0
    }

    /// Too much is held: closes what holds most, and reads on. `false`: it can't, and nothing is done.
    fn relieve(&mut self, _out: &mut output::Output) -> bool {
        false
    }

    /// Nothing more comes in this direction.
    fn end(&mut self, from: Direction, input: &mut input::Input<'_>, how: Ending, out: &mut output::Output);
}

/// Why bytes cannot be what the protocol says: a short name, counted by protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Bytes that passed and are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub bytes: u64,
    pub reason: Reason,
    /// Left out by policy, not lost.
    pub skipped: bool,
    /// Of the packet that carried the last of them, when it was seen.
    pub time: Option<crate::time::Time>,
}
