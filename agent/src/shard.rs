//! The byte path of one thread: packets go in, records and counts come out. A shard owns its flows, their conversations
//! and what it has not published yet; nothing of it is shared, and it knows neither clock nor source.

use crate::{
    capture::Packet,
    coverage::Counters,
    dissect::{Conversation, Exchange, Settings},
    flow::{Flow, FlowTable, Limits},
    record::{Origin, Record, Redactor},
    time::Time,
};

/// What a shard is made with.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    pub settings: Settings,
    pub limits: Limits,
    /// Without one nothing is replaced.
    pub redactor: Option<Redactor>,
    /// Random per run of an agent, 0 for capture files.
    pub epoch: u32,
}

/// See the module.
pub struct Shard {
    settings: Settings,
    flows: FlowTable<Conversation>,
    out: Out,
}

/// What was made since the last `take`. Apart from the flows, so that both can be borrowed at once.
struct Out {
    epoch: u32,
    redactor: Option<Redactor>,
    records: Vec<Record>,
    counters: Counters,
    done: Vec<Exchange>,
}

impl Shard {
    pub fn new(options: ShardOptions) -> Self {
        let ShardOptions { settings, limits, redactor, epoch } = options;
        let out = Out { epoch, redactor, records: Vec::new(), counters: Counters::default(), done: Vec::new() };
        Self { settings, flows: FlowTable::new(limits), out }
    }

    pub fn packet(&mut self, packet: &Packet<'_>) {
        let Self { settings, flows, out } = self;
        let Out { epoch, redactor, records, counters, done } = out;
        flows.packet(
            packet,
            counters,
            &mut |start| Conversation::new(settings, start.transport, start.mid_stream),
            &mut |flow, direction, piece, counters| {
                flow.state.feed(direction, piece, counters, done);
                keep(flow, *epoch, redactor.as_ref(), done, records, counters);
            },
        );
    }

    /// Lets time pass: ends what was idle too long.
    pub fn expire(&mut self, now: Time) {
        let Out { epoch, redactor, records, counters, done } = &mut self.out;
        self.flows.expire(now, counters, &mut |flow, direction, piece, counters| {
            flow.state.feed(direction, piece, counters, done);
            keep(flow, *epoch, redactor.as_ref(), done, records, counters);
        });
    }

    /// The capture ends: everything still open is closed.
    pub fn finish(&mut self) {
        let Out { epoch, redactor, records, counters, done } = &mut self.out;
        self.flows.finish(counters, &mut |flow, direction, piece, counters| {
            flow.state.feed(direction, piece, counters, done);
            keep(flow, *epoch, redactor.as_ref(), done, records, counters);
        });
    }

    /// A packet that no stage could read.
    pub fn unreadable(&mut self) {
        self.out.counters.packets += 1;
        self.out.counters.unreadable_packets += 1;
    }

    /// Hands over what was made since the last call.
    pub fn take(&mut self) -> (Vec<Record>, Counters) {
        (std::mem::take(&mut self.out.records), std::mem::take(&mut self.out.counters))
    }

    pub fn flows(&self) -> &FlowTable<Conversation> {
        &self.flows
    }

    /// No record that is yet to come has an earlier timestamp.
    pub fn oldest_open(&self) -> Option<Time> {
        let open = self.flows.iter().filter_map(|flow| flow.state.oldest_open()).min();
        open.into_iter().chain(self.flows.oldest_held()).min()
    }
}

/// Makes records of a flow's exchanges.
fn keep(
    flow: &Flow<Conversation>,
    epoch: u32,
    redactor: Option<&Redactor>,
    done: &mut Vec<Exchange>,
    records: &mut Vec<Record>,
    counters: &mut Counters,
) {
    if done.is_empty() {
        return;
    }
    let origin = Origin::of(flow, epoch);
    let origin = if flow.state.reversed() { origin.reversed() } else { origin };
    for exchange in done.drain(..) {
        // A revision is the same call once more.
        let first = exchange.revision == 0;
        let record = Record::new(&origin, exchange, redactor);
        if first {
            counters.records += 1;
            counters.redacted += u64::from(record.redacted);
        }
        records.push(record);
    }
}
