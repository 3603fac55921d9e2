//! APIs and error codes that are known here by more than their schema.

pub const PRODUCE: i16 = 0;
pub const METADATA: i16 = 3;
pub const OFFSET_COMMIT: i16 = 8;
pub const JOIN_GROUP: i16 = 11;
pub const HEARTBEAT: i16 = 12;
pub const LEAVE_GROUP: i16 = 13;
pub const SYNC_GROUP: i16 = 14;
pub const SASL_HANDSHAKE: i16 = 17;
/// How a client asks what the broker understands, in whatever version it has.
pub const API_VERSIONS: i16 = 18;
pub const TXN_OFFSET_COMMIT: i16 = 28;
pub const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
pub const SHARE_GROUP_HEARTBEAT: i16 = 76;
pub const STREAMS_GROUP_HEARTBEAT: i16 = 88;

pub const REBALANCE_IN_PROGRESS: i16 = 27;
pub const UNSUPPORTED_VERSION: i16 = 35;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::kafka::schema::table;

    #[test]
    fn the_table_calls_them_so() {
        for (key, name) in [
            (PRODUCE, "PRODUCE"),
            (METADATA, "METADATA"),
            (OFFSET_COMMIT, "OFFSET_COMMIT"),
            (JOIN_GROUP, "JOIN_GROUP"),
            (HEARTBEAT, "HEARTBEAT"),
            (LEAVE_GROUP, "LEAVE_GROUP"),
            (SYNC_GROUP, "SYNC_GROUP"),
            (SASL_HANDSHAKE, "SASL_HANDSHAKE"),
            (API_VERSIONS, "API_VERSIONS"),
            (TXN_OFFSET_COMMIT, "TXN_OFFSET_COMMIT"),
            (CONSUMER_GROUP_HEARTBEAT, "CONSUMER_GROUP_HEARTBEAT"),
            (SHARE_GROUP_HEARTBEAT, "SHARE_GROUP_HEARTBEAT"),
            (STREAMS_GROUP_HEARTBEAT, "STREAMS_GROUP_HEARTBEAT"),
        ] {
            assert_eq!(table().api(key).map(|api| api.name.as_str()), Some(name));
        }
        assert_eq!(table().error(REBALANCE_IN_PROGRESS), Some("REBALANCE_IN_PROGRESS"));
        assert_eq!(table().error(UNSUPPORTED_VERSION), Some("UNSUPPORTED_VERSION"));
    }
}
