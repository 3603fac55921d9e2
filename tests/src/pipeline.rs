//! Packets through the real byte path: one shard, redaction off.

use serde_json::Value;
use tapwire::{
    coverage::{Counters, Coverage},
    dissect::Settings,
    flow::Limits,
    record::json::{self, Detail},
    shard::{Shard, ShardOptions},
};

use crate::corpus::Owned;

/// What packets led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The records' JSON, in the order of their times, then ids.
    pub records: Vec<Vec<u8>>,
    pub counters: Counters,
}

impl Outcome {
    pub fn values(&self) -> Vec<Value> {
        self.records.iter().map(|record| serde_json::from_slice(record).unwrap_or_default()).collect()
    }

    pub fn coverage(&self) -> Value {
        Coverage { counters: self.counters.clone(), ..Coverage::default() }.to_json()
    }
}

/// Turns packets into records: the real thing, or a wrong one that must be found out.
pub type Pipeline<'a> = dyn Fn(&[Owned]) -> Outcome + Sync + 'a;

/// The byte path of the agent and of `tapwire read`.
pub fn real(packets: &[Owned]) -> Outcome {
    with_max_body(packets, 64 * 1024)
}

pub fn with_max_body(packets: &[Owned], max_body: usize) -> Outcome {
    let settings = Settings { max_body, ..Settings::default() };
    let names = settings.topic_names.clone();
    let mut shard = Shard::new(ShardOptions { settings, limits: Limits::default(), redactor: None, epoch: 0 });
    for packet in packets {
        shard.packet(&packet.packet());
    }
    shard.finish();
    let (mut records, counters) = shard.take();
    records.sort_by_key(|record| (record.timestamp.micros(), record.id));
    for record in &mut records {
        names.name_topics(&mut record.exchange);
    }
    let records = records
        .iter()
        .map(|record| {
            let mut text = Vec::new();
            json::write(record, Detail::Full, &mut text);
            text
        })
        .collect();
    Outcome { records, counters }
}
