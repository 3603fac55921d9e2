//! What is picked out of a message: what people ask about, whatever the API calls it.

use std::sync::Arc;

/// Topics picked out of a message; metadata of a cluster may hold thousands.
pub const TOPICS: usize = 256;

/// The same of partitions.
pub const PARTITIONS: usize = 1024;

/// What is said when there are more.
pub const TOPIC_LIMIT: &str = "topic_limit";
pub const PARTITION_LIMIT: &str = "partition_limit";

/// A topic, as a message names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    Name(Box<str>),
    /// Its name was not seen.
    Id([u8; 16]),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Index of its topic.
    pub topic: u16,
    pub number: i32,
    /// Where a fetch begins, where records were written, what was committed or asked for, or up to where was deleted.
    pub offset: Option<i64>,
    /// The end of the log.
    pub end: Option<i64>,
}

/// See the module. `None`: the message does not say, or that part of it was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub topics: Vec<Topic>,
    pub partitions: Vec<Partition>,
    /// The first error code that is not 0; 0 when there are only such.
    pub error: Option<i16>,
    pub throttle: Option<i32>,
    pub acks: Option<i16>,
    pub group: Option<Box<str>>,
    pub member: Option<Box<str>>,
    pub generation: Option<i32>,
    pub transaction: Option<Box<str>>,
    /// Records for users, where there is room for some.
    pub records: Option<Records>,
    pub software: Option<Arc<Software>>,
    /// All fields were read, but for records.
    pub whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records {
    /// `None`: some could not be counted.
    pub count: Option<u64>,
    /// On the wire.
    pub bytes: u64,
}

/// What a client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Software {
    pub name: String,
    pub version: String,
}

impl Facts {
    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        let topic = |topic: &Topic| if let Topic::Name(name) = topic { name.len() } else { 0 };
        let texts = [&self.group, &self.member, &self.transaction];
        self.topics.capacity() * size_of::<Topic>()
            + self.topics.iter().map(topic).sum::<usize>()
            + self.partitions.capacity() * size_of::<Partition>()
            + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
            + self
                .software
                .as_ref()
                .map_or(0, |software| size_of::<Software>() + software.name.capacity() + software.version.capacity())
    }
}
