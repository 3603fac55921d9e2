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
    /// Where a fetch begins, where records were written, what was committed or asked for, or up to where was deleted.
    Offset,
    /// The end of a partition's log.
    HighWatermark,
    /// What kind of group it is: consumers are one.
    ProtocolType,
    /// Bytes in which a consumer says what it wants, and what it is given.
    Subscription,
    Assignment,
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
    /// Name of the API, or of what travels inside bytes.
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
            // Partitions of what a stream is made into, which has no topic.
            ("partition_index" | "partition" | "partition_id", Kind::I32) if is_of_streams(api) => Self::None,
            ("partition_index" | "partition" | "partition_id", Kind::I32) => Self::Partition,
            ("index", Kind::I32) if list.contains("partition") => Self::Partition,
            (_, Kind::I16) if name == "error_code" || name.ends_with("_error_code") => Self::Error,
            ("throttle_time_ms", Kind::I32) => Self::Throttle,
            ("acks", Kind::I16) if depth == 0 => Self::Acks,
            ("group_id", Kind::Text) => Self::Group,
            ("member_id", Kind::Text) => Self::Member,
            // A subscription tells which one its member comes from.
            ("generation_id" | "generation_id_or_member_epoch" | "member_epoch", Kind::I32) if api != SUBSCRIPTION => {
                Self::Generation
            }
            ("transactional_id" | "v3_and_below_transactional_id", Kind::Text) => Self::Transaction,
            ("fetch_offset" | "base_offset" | "committed_offset", Kind::I64) => Self::Offset,
            ("offset", Kind::I64) if matches!(api, "LIST_OFFSETS" | "DELETE_RECORDS") => Self::Offset,
            ("high_watermark", Kind::I64) => Self::HighWatermark,
            ("protocol_type", Kind::Text) => Self::ProtocolType,
            ("metadata" | "member_metadata", Kind::Bytes) if is_of_groups(api) => Self::Subscription,
            ("assignment" | "member_assignment", Kind::Bytes) if is_of_groups(api) => Self::Assignment,
            ("client_software_name", Kind::Text) => Self::SoftwareName,
            ("client_software_version", Kind::Text) => Self::SoftwareVersion,
            ("resource_type", Kind::I8) => Self::ResourceType,
            // Those of access control lists are patterns.
            ("resource_name", Kind::Text) if !api.ends_with("_ACLS") => Self::ResourceName,
            ("key", Kind::Text) if api == "FIND_COORDINATOR" => Self::CoordinatorKey,
            ("key_type", Kind::I8) => Self::CoordinatorType,
            _ => Self::None,
        }
    }

    /// Of what stands in a list of this name.
    pub fn of_element(list: &str, kind: &Kind, api: &str) -> Self {
        match (list, kind) {
            ("partitions", Kind::I32) if is_of_streams(api) => Self::None,
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

/// What consumers put into the bytes of their groups' APIs, by the names of Kafka's own schemas.
pub const SUBSCRIPTION: &str = "ConsumerProtocolSubscription";
pub const ASSIGNMENT: &str = "ConsumerProtocolAssignment";

fn is_of_groups(api: &str) -> bool {
    matches!(api, "JOIN_GROUP" | "SYNC_GROUP" | "DESCRIBE_GROUPS")
}

fn is_of_streams(api: &str) -> bool {
    api.starts_with("STREAMS_GROUP")
}

/// Lists of topics that don't say so in their names.
fn is_list_of_topics(api: &str, list: &str) -> bool {
    matches!(
        (api, list),
        ("PRODUCE" | "DELETE_TOPICS" | "ALTER_PARTITION_REASSIGNMENTS", "responses") | ("CREATE_PARTITIONS", "results")
    )
}
