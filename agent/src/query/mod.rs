//! Questions to the store: the filter, paging, one call, summaries. Each answer carries its `Coverage` and, when it is
//! empty, why. A question is answered from one snapshot, by one thread, and gives up at its deadline with what it has.

mod answer;
mod calls;
mod cursor;
pub mod filter;
mod percentile;
mod stats;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use answer::coverage;
pub use calls::{call, calls};
pub use cursor::{Cursor, CursorError};
pub use stats::stats;

use crate::{coverage::Coverage, record::Record, store::Segment, time::Time};

/// How long an answer may take where the asker sets no deadline. It also bounds how long a query's snapshot keeps
/// evicted segments in memory (`store::Snapshot`).
pub const MAX_QUERY_TIME: Duration = Duration::from_secs(10);

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

/// Which records a question is about, and how it is asked.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub filter: Option<filter::Filter>,
    /// By the record's timestamp, inclusive.
    pub from: Option<Time>,
    /// Exclusive.
    pub to: Option<Time>,
    /// Who answers, for the coverage.
    pub nodes: Vec<String>,
    /// When to stop and answer with what was found; `MAX_QUERY_TIME` from the start when absent.
    pub deadline: Option<Instant>,
}

impl Question {
    fn deadline(&self) -> Instant {
        self.deadline.unwrap_or_else(|| Instant::now() + MAX_QUERY_TIME)
    }
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
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The values of the fields that it was grouped by, as text; null when absent.
    pub key: Vec<Option<String>>,
    pub count: u64,
    /// Calls a second, over the span that the coverage names; over one second when that has no length.
    pub rate: f64,
    pub errors: u64,
    /// Of the calls whose outcome is known.
    pub error_share: Option<f64>,
    /// Calls whose outcome is not known: no answer was seen, or the protocol has none.
    pub unknown: u64,
    /// Microseconds; of the calls that have an `elapsed_time`.
    pub p50: Option<u64>,
    pub p90: Option<u64>,
    pub p99: Option<u64>,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

#[derive(Debug)]
pub struct Stats {
    /// The largest first.
    pub groups: Vec<Group>,
    /// Groups beyond the limit are summed up in one without keys: how many they are.
    pub other_groups: u64,
    /// Their sum.
    pub others: Option<Group>,
    pub total: Group,
    /// It stopped at its deadline: every number is of the records seen until then.
    pub late: bool,
    pub coverage: Coverage,
    pub notes: Vec<String>,
}
