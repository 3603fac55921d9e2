//! What a field says about a call, by its name and where it stands: Kafka's messages call the same things by a dozen names.

use super::schema::Kind;

/// What is picked out of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    None,
    Topic,
    TopicId,
    Partition,
    Error,
    Throttle,
    Acks,
    Group,
    Member,
    Generation,
    Transaction,
    /// Where a fetch begins.
    FetchOffset,
    HighWatermark,
    SoftwareName,
    SoftwareVersion,
    /// A topic or something else, by the type before it.
    ResourceType,
    ResourceName,
    /// A group or a transactional id, by the type before or behind it.
    CoordinatorKey,
    CoordinatorType,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Name of the API.
    pub api: &'a str,
    /// Name of the list or struct around it.
    pub list: &'a str,
    /// Lists and structs around it.
    pub depth: u8,
}

impl Meaning {
    pub fn of(name: &str, kind: &Kind, place: Place<'_>) -> Self {
        let Place { api, list, depth } = place;
        match (name, kind) {
            ("topic" | "topic_name", Kind::Text) => Self::Topic,
            ("name", Kind::Text) if list.contains("topic") || is_list_of_topics(api, list) => Self::Topic,
            ("topic_id", Kind::Uuid) => Self::TopicId,
            ("partition_index" | "partition" | "partition_id", Kind::I32) => Self::Partition,
            ("index", Kind::I32) if list.contains("partition") => Self::Partition,
            (_, Kind::I16) if name == "error_code" || name.ends_with("_error_code") => Self::Error,
            ("throttle_time_ms", Kind::I32) => Self::Throttle,
            ("acks", Kind::I16) if depth == 0 => Self::Acks,
            ("group_id", Kind::Text) => Self::Group,
            ("member_id", Kind::Text) => Self::Member,
            ("generation_id" | "generation_id_or_member_epoch" | "member_epoch", Kind::I32) => Self::Generation,
            ("transactional_id", Kind::Text) => Self::Transaction,
            ("fetch_offset", Kind::I64) => Self::FetchOffset,
            ("high_watermark", Kind::I64) => Self::HighWatermark,
            ("client_software_name", Kind::Text) => Self::SoftwareName,
            ("client_software_version", Kind::Text) => Self::SoftwareVersion,
            ("resource_type", Kind::I8) => Self::ResourceType,
            ("resource_name", Kind::Text) => Self::ResourceName,
            ("key", Kind::Text) if api == "FIND_COORDINATOR" => Self::CoordinatorKey,
            ("key_type", Kind::I8) => Self::CoordinatorType,
            _ => Self::None,
        }
    }

    /// Of what stands in a list of this name.
    pub fn of_element(list: &str, kind: &Kind) -> Self {
        match (list, kind) {
            (_, Kind::Text) if list == "topics" || list.ends_with("_topics") || list.ends_with("topic_names") => {
                Self::Topic
            }
            ("topic_ids", Kind::Uuid) => Self::TopicId,
            ("partitions" | "partition_indexes" | "partition_ids", Kind::I32) => Self::Partition,
            ("groups" | "group_ids" | "groups_names", Kind::Text) => Self::Group,
            ("transactional_ids", Kind::Text) => Self::Transaction,
            ("coordinator_keys", Kind::Text) => Self::CoordinatorKey,
            _ => Self::None,
        }
    }
}

/// Lists of topics that don't say so in their names.
fn is_list_of_topics(api: &str, list: &str) -> bool {
    matches!((api, list), ("PRODUCE", "responses") | ("CREATE_PARTITIONS", "results"))
}
