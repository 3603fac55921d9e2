//! What becomes of a message while it is read: its tree, and the facts picked out of it.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    facts::{Facts, PARTITION_LIMIT, PARTITIONS, Partition, Records, Software, TOPIC_LIMIT, TOPICS, Topic},
    meaning::{ASSIGNMENT, Meaning, SUBSCRIPTION},
    records::Batches,
    schema::{self, Field, Kind},
    topics::{NAMES_LIMIT, TopicNames},
    tree::Tree,
    walk::{Extent, Progress, Sink, Walk},
};

/// Of a topic's name (org.apache.kafka.common.internals.Topic); what is longer names none.
pub const LONGEST_TOPIC: usize = 249;

/// A resource that is a topic (ConfigResource.Type).
const RESOURCE_TOPIC: i64 = 2;

/// A coordinator's key that is a group, and one that is a transactional id (FindCoordinatorRequest).
const KEY_GROUP: i64 = 0;
const KEY_TRANSACTION: i64 = 1;

/// A group of consumers (ConsumerProtocol.PROTOCOL_TYPE); others, such as Connect's, mean something else by the same bytes.
const CONSUMERS: &str = "consumer";

/// See the module.
#[derive(Debug)]
pub struct Reading {
    pub facts: Facts,
    pub tree: Tree,
    /// Of the records.
    pub finding: Option<&'static str>,
    /// Why not all is picked out.
    pub limits: Vec<&'static str>,
    /// A value was lost that may have said something.
    pub lost: bool,
    /// The same of one that is longer than what is picked out.
    pub too_long: bool,
    names: Arc<TopicNames>,
    /// A broker says it: it teaches names.
    answer: bool,
    /// Of the struct that is being read: a topic's name and id, which may belong together.
    named: Option<Box<str>>,
    identified: Option<[u8; 16]>,
    /// Index of the topic that partitions belong to.
    topic: Option<u16>,
    /// The partition being read is among those picked out.
    in_partition: bool,
    resource: i64,
    key: Option<Box<str>>,
    key_type: Option<i64>,
    software: Option<Software>,
    /// The group is one of something else than consumers.
    other_group: bool,
}

impl Reading {
    pub fn new(limit: usize, names: Arc<TopicNames>, answer: bool) -> Self {
        Self {
            facts: Facts::default(),
            tree: Tree::new(limit),
            finding: None,
            limits: Vec::new(),
            lost: false,
            too_long: false,
            names,
            answer,
            named: None,
            identified: None,
            topic: None,
            in_partition: false,
            resource: 0,
            key: None,
            key_type: None,
            software: None,
            other_group: false,
        }
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.facts.heap() + self.tree.heap()
    }

    /// Everything is read, or all that can be.
    pub fn settle(&mut self) {
        self.facts.software = self.software.take().map(Arc::new);
        if let Some(key) = self.key.take() {
            match self.key_type {
                Some(KEY_TRANSACTION) => self.facts.transaction = Some(key),
                // An answer does not say what its keys are.
                None if self.answer => {}
                None | Some(KEY_GROUP) => self.facts.group = Some(key),
                Some(_) => {}
            }
        }
    }

    fn hit(&mut self, limit: &'static str) {
        if !self.limits.contains(&limit) {
            self.limits.push(limit);
        }
    }

    fn topic(&mut self, topic: Topic) {
        let known = self.facts.topics.iter().position(|known| *known == topic);
        let at = known.unwrap_or(self.facts.topics.len());
        if known.is_none() {
            if at >= TOPICS {
                self.hit(TOPIC_LIMIT);
                self.topic = None;
                return;
            }
            self.facts.topics.push(topic);
        }
        self.topic = u16::try_from(at).ok();
    }

    fn partition(&mut self, number: i64) {
        self.in_partition = false;
        let (Some(topic), Ok(number)) = (self.topic, i32::try_from(number)) else { return };
        if self.facts.partitions.len() >= PARTITIONS {
            self.hit(PARTITION_LIMIT);
        } else {
            self.facts.partitions.push(Partition { topic, number, offset: None, end: None });
            self.in_partition = true;
        }
    }

    /// What follows belongs to a topic of which nobody knows which one it is.
    fn unknown_topic(&mut self, field: &Field) {
        if field.meaning == Meaning::Topic {
            self.topic = None;
        }
    }

    /// A name and an id in the same struct.
    fn join(&mut self) {
        if let (Some(name), Some(id), true) = (&self.named, self.identified, self.answer)
            && !self.names.learn(id, name)
        {
            self.hit(NAMES_LIMIT);
        }
    }

    /// Reads what consumers put into bytes; false when it is not that, to its last byte. Answers of old versions do not
    /// say what kind of group it is.
    fn embedded(&mut self, field: &'static Field, bytes: &[u8]) -> bool {
        let name = match field.meaning {
            Meaning::Subscription if !self.other_group => SUBSCRIPTION,
            Meaning::Assignment if !self.other_group => ASSIGNMENT,
            _ => return false,
        };
        let Some((version, body)) =
            bytes.split_first_chunk().map(|(version, body)| (i16::from_be_bytes(*version), body))
        else {
            return false;
        };
        let Some(shape) = schema::table().data(name, version) else { return false };
        let read = |mut rest, sink: &mut Self| {
            let progress = Walk::new(shape, body.len() as u64).feed(&mut rest, sink);
            progress == Ok(Progress::Done) && rest.is_empty()
        };
        if !read(body, &mut Self::new(0, Arc::default(), false)) {
            return false;
        }
        self.tree.object(field.name);
        self.tree.int("version", i64::from(version));
        read(body, self);
        self.tree.end();
        true
    }

    /// A text that was seen whole.
    fn say(&mut self, meaning: Meaning, text: &str) {
        let first = |fact: &mut Option<Box<str>>| {
            if fact.is_none() {
                *fact = Some(text.into());
            }
        };
        match meaning {
            Meaning::Topic if text.len() > LONGEST_TOPIC => {
                self.topic = None;
                self.too_long = true;
            }
            Meaning::Topic => {
                let unnamed =
                    self.identified.and_then(|id| self.facts.topics.iter().position(|topic| *topic == Topic::Id(id)));
                let name = Topic::Name(text.into());
                match unnamed {
                    // It is among them by its name already.
                    Some(at) if at + 1 == self.facts.topics.len() && self.facts.topics.contains(&name) => {
                        self.facts.topics.pop();
                        self.topic(name);
                    }
                    // In its place, which partitions refer to.
                    Some(at) => self.facts.topics[at] = name,
                    None => self.topic(name),
                }
                self.named = Some(text.into());
                self.join();
            }
            Meaning::ResourceName if self.resource == RESOURCE_TOPIC => self.topic(Topic::Name(text.into())),
            Meaning::Group => first(&mut self.facts.group),
            Meaning::Member if !text.is_empty() => first(&mut self.facts.member),
            Meaning::Transaction => first(&mut self.facts.transaction),
            Meaning::CoordinatorKey => first(&mut self.key),
            Meaning::ProtocolType => self.other_group = text != CONSUMERS,
            Meaning::SoftwareName => text.clone_into(&mut self.software.get_or_insert_default().name),
            Meaning::SoftwareVersion => text.clone_into(&mut self.software.get_or_insert_default().version),
            _ => {}
        }
    }
}

impl Sink for Reading {
    fn open(&mut self, field: &'static Field, list: bool) {
        if list {
            self.tree.list(field.name);
        } else {
            self.tree.object(field.name);
            (self.named, self.identified) = (None, None);
        }
    }

    fn close(&mut self) {
        self.tree.end();
    }

    fn null(&mut self, field: &'static Field) {
        self.unknown_topic(field);
        self.tree.null(field.name);
    }

    fn bool(&mut self, field: &'static Field, value: bool) {
        self.tree.bool(field.name, value);
    }

    fn int(&mut self, field: &'static Field, value: i64) {
        self.tree.int(field.name, value);
        let small = i32::try_from(value).ok();
        let short = i16::try_from(value).ok();
        match field.meaning {
            Meaning::Partition => self.partition(value),
            Meaning::Error => {
                if let Some(code) = short {
                    if code != 0
                        && let Some(name) = schema::table().error(code)
                    {
                        self.tree.text(field.name.trim_end_matches("_code"), name);
                    }
                    if self.facts.error.is_none_or(|known| known == 0) {
                        self.facts.error = Some(code);
                    }
                }
            }
            Meaning::Throttle => self.facts.throttle = self.facts.throttle.or(small),
            Meaning::Acks => self.facts.acks = short,
            Meaning::Generation => self.facts.generation = self.facts.generation.or(small),
            Meaning::Offset | Meaning::HighWatermark if self.in_partition => {
                // An error, and what nobody has committed, is -1.
                let known = (value >= 0).then_some(value);
                if let Some(partition) = self.facts.partitions.last_mut() {
                    let of = if field.meaning == Meaning::Offset { &mut partition.offset } else { &mut partition.end };
                    *of = known;
                }
            }
            Meaning::ResourceType => self.resource = value,
            Meaning::CoordinatorType => self.key_type = Some(value),
            _ => {}
        }
    }

    fn float(&mut self, field: &'static Field, value: f64) {
        self.tree.float(field.name, value);
    }

    /// As Kafka writes it.
    fn uuid(&mut self, field: &'static Field, value: [u8; 16]) {
        self.tree.text(field.name, &URL_SAFE_NO_PAD.encode(value));
        if field.meaning == Meaning::TopicId && value == [0; 16] && self.named.is_none() {
            self.topic = None;
        } else if field.meaning == Meaning::TopicId && value != [0; 16] {
            self.identified = Some(value);
            self.join();
            if self.named.is_none() {
                self.topic(Topic::Id(value));
            }
        }
    }

    fn text(&mut self, field: &'static Field, kept: &[u8], extent: Extent) {
        if extent != Extent::Whole {
            self.unknown_topic(field);
        }
        if extent == Extent::Lost {
            self.tree.null(field.name);
            self.tree.set_cut();
            self.lost = true;
            return;
        }
        let whole = extent == Extent::Whole;
        self.too_long |= !whole && field.meaning != Meaning::None;
        if whole && self.embedded(field, kept) {
            return;
        }
        self.tree.bytes(field.name, kept, whole);
        if !whole && matches!(field.kind, Kind::Text) {
            self.tree.stop();
        }
        if whole && field.meaning != Meaning::None {
            self.say(field.meaning, &crate::dissect::text(kept));
        }
    }

    fn records(&mut self, field: &'static Field, size: u64) -> Batches {
        let records = self.facts.records.get_or_insert(Records { count: Some(0), bytes: 0 });
        records.bytes = records.bytes.saturating_add(size);
        // Brokers cut the last batch of an answer at the size that was asked for.
        Batches::new(field.name, size, self.answer, &mut self.tree)
    }

    fn batch(&mut self, batches: &mut Batches, bytes: &[u8]) {
        batches.feed(bytes, &mut self.tree);
    }

    fn pass(&mut self, batches: &mut Batches, bytes: u64, missing: bool) {
        batches.pass(bytes, missing, &mut self.tree);
    }

    fn end_records(&mut self, batches: Batches) {
        let (count, finding) = batches.finish(&mut self.tree);
        self.finding = self.finding.or(finding);
        if let Some(records) = &mut self.facts.records {
            records.count = records.count.zip(count).map(|(all, count)| all.saturating_add(count));
        }
    }
}
