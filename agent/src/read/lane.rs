//! One lane: a shard, fed with the packets of its flows, and the sink of what it makes.

use super::board::Batch;
use crate::{
    capture::{
        CaptureSource, Packet,
        headers::{Unreadable, parse_ip},
    },
    coverage::{Counters, Reason},
    record::Record,
    shard::Shard,
    time::Time,
};

/// What a lane made of one batch.
pub struct Turn<'a> {
    pub records: Vec<Record>,
    /// No batch follows.
    pub last: bool,
    now: Time,
    shard: &'a Shard,
}

impl Turn<'_> {
    /// No record that is yet to come from this lane is older, as long as the capture's time goes forward. Looks at all
    /// flows: not for every turn.
    pub fn settled(&self) -> Time {
        if self.last { Time(u64::MAX) } else { self.shard.oldest_open().map_or(self.now, |open| open.min(self.now)) }
    }

    /// Flows of the lane: what `settled` costs.
    pub fn flows(&self) -> usize {
        self.shard.flows().len()
    }
}

pub(super) struct Lane<S> {
    shard: Shard,
    sink: S,
    counters: Counters,
}

impl<S: FnMut(Turn<'_>)> Lane<S> {
    pub(super) fn new(shard: Shard, sink: S) -> Self {
        Self { shard, sink, counters: Counters::default() }
    }

    pub(super) fn batch(&mut self, batch: &Batch) {
        for entry in &batch.entries {
            if entry.number == 0 {
                self.shard.expire(entry.time);
                continue;
            }
            let bytes = &batch.blocks[entry.block as usize].whole()[entry.start as usize..][..entry.len as usize];
            match parse_ip(bytes, entry.wire_len as usize) {
                Ok(headers) => self.shard.packet(&Packet {
                    time: entry.time,
                    source: CaptureSource::Pcap,
                    number: entry.number,
                    view: None,
                    header: headers.tuple,
                    transport: headers.transport,
                    payload: headers.payload,
                    wire_len: headers.wire_len,
                    cut: (headers.payload.len() < headers.wire_len as usize).then_some(Reason::Snaplen),
                }),
                Err(Unreadable::OtherTransport) => self.counters.packets += 1,
                Err(why @ (Unreadable::NotIp | Unreadable::Cut | Unreadable::Fragment | Unreadable::Malformed)) => {
                    self.shard.unreadable(why == Unreadable::Cut);
                }
            }
        }
        if batch.last {
            self.shard.finish();
        }
        let (records, counters) = self.shard.take();
        self.counters.merge(&counters);
        (self.sink)(Turn { records, last: batch.last, now: batch.now, shard: &self.shard });
    }

    pub(super) fn into_counters(self) -> Counters {
        self.counters
    }
}
