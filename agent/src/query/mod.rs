//! Questions to the store: the filter, paging, one call, summaries. Each answer carries its `Coverage` and, when it is
//! empty, why.

use std::sync::Arc;

use crate::{
    coverage::Coverage,
    record::{Record, RecordId},
    store::{Segment, Snapshot},
    time::Time,
};

/// A row of a segment, kept alive by it.
#[derive(Clone, Debug)]
pub struct Found {
    pub segment: Arc<Segment>,
    pub row: usize,
}

impl Found {
    pub fn record(&self) -> &Record {
        &self.segment.records[self.row]
    }
}

/// Where the next page begins. Printed as one word; self-contained (segment, row, hash of the question).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub segment: u64,
    pub row: u32,
    pub question: u64,
}

/// Which records a question is about.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub filter: Option<filter::Filter>,
    /// By the record's timestamp, inclusive.
    pub from: Option<Time>,
    /// Exclusive.
    pub to: Option<Time>,
}

/// Newest first.
#[derive(Debug)]
pub struct Page {
    pub found: Vec<Found>,
    /// Set when there is more.
    pub next: Option<Cursor>,
    pub coverage: Coverage,
    /// What the asker should know: why nothing matched, fields that this build does not collect.
    pub notes: Vec<String>,
}

/// One group of a summary.
#[derive(Clone, Debug)]
pub struct Group {
    /// The values of the fields that it was grouped by, as text; null when absent.
    pub key: Vec<Option<String>>,
    pub count: u64,
    /// Calls a second, over the span of the question.
    pub rate: f64,
    pub errors: u64,
    /// Of the calls whose outcome is known.
    pub error_share: Option<f64>,
    /// Microseconds; of the calls that have an `elapsed_time`.
    pub p50: Option<u64>,
    pub p90: Option<u64>,
    pub p99: Option<u64>,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

#[derive(Debug)]
pub struct Stats {
    pub groups: Vec<Group>,
    /// Groups beyond the limit are summed up in one without keys: how many they are.
    pub other_groups: u64,
    pub total: Group,
    pub coverage: Coverage,
    pub notes: Vec<String>,
}

pub mod filter {
    //! KFL (placeholder until the stage lands).
    #[derive(Clone, Debug)]
    pub struct Filter;
}

/// A page of calls, newest first, at most `limit`, from `cursor` on.
pub fn calls(snapshot: &Snapshot, question: &Question, limit: usize, cursor: Option<&Cursor>) -> Result<Page, String> {
    let _ = (snapshot, question, limit, cursor);
    Err("not built".to_owned())
}

/// The last revision of one call.
pub fn call(snapshot: &Snapshot, id: RecordId) -> Option<Found> {
    let _ = (snapshot, id);
    None
}

/// A summary, grouped by fields of the catalogue; the largest groups first, at most `limit`.
pub fn stats(snapshot: &Snapshot, question: &Question, group_by: &[String], limit: usize) -> Result<Stats, String> {
    let _ = (snapshot, question, group_by, limit);
    Err("not built".to_owned())
}
