//! The byte path of one thread: packets go in, records and counts come out. A shard owns its flows, their conversations
//! and what it has not published yet; nothing of it is shared, and it knows neither clock nor source.

use std::collections::BTreeMap;

use crate::{
    capture::Packet,
    coverage::{Counters, Reason},
    dissect::{Conversation, Exchange, Reads, Relief, Settings},
    flow::{Flow, FlowTable, Limits, Protocol4},
    record::{Origin, Record, Redactor},
    status::{self, UndecodedFlow},
    time::Time,
};

/// An exchange that is still open is shown after this long, and again whenever it changed: a stream or an unanswered
/// request is visible while it runs.
const OPEN_SHOWN_AFTER: u64 = 1_000_000_000;

/// Bytes that the conversations of a shard may hold together: undecided input, and messages that are not over. Ordinary
/// traffic holds a few megabytes; heads and bodies that never end, on each of 65,536 flows, could hold gigabytes.
const HELD: usize = 64 << 20;

/// Flows that no dissector reads, shown by the status: the largest ones.
const UNDECODED_SHOWN: usize = 50;

/// What a shard is made with.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    pub settings: Settings,
    pub limits: Limits,
    /// `None`: values are stored as they are.
    pub redactor: Option<Redactor>,
    /// Random per run of an agent, 0 for capture files.
    pub epoch: u32,
}

/// See the module.
pub struct Shard {
    options: ShardOptions,
    flows: FlowTable<Conversation>,
    /// Payload since the last look at what conversations hold: they have hardly come to hold more than that.
    fed: usize,
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
        let flows = FlowTable::new(options.limits);
        let out = Out {
            epoch: options.epoch,
            redactor: options.redactor.clone(),
            records: Vec::new(),
            counters: Counters::default(),
            done: Vec::new(),
        };
        Self { options, flows, fed: 0, out }
    }

    pub fn packet(&mut self, packet: &Packet<'_>) {
        self.fed += packet.payload.len();
        if self.fed >= HELD / 2 {
            self.relieve();
            self.fed = 0;
        }
        let Self { options, flows, fed: _, out } = self;
        let Out { epoch, redactor, records, counters, done } = out;
        flows.packet(
            packet,
            counters,
            &mut |start| Conversation::new(&options.settings, start.transport, start.mid_stream),
            &mut |flow, direction, piece, counters| {
                flow.state.feed(direction, piece, counters, done);
                if !done.is_empty() {
                    keep(flow, *epoch, redactor.as_ref(), done, records, counters);
                }
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

    /// Takes from the flows that hold most until the rest is within half of the limit: messages first, and where that is
    /// not enough, all of it.
    fn relieve(&mut self) {
        let mut flows: Vec<_> = self.flows.iter_mut().map(|flow| (flow.state.held_bytes(), flow)).collect();
        let mut held: usize = flows.iter().map(|(bytes, _)| bytes).sum();
        if held <= HELD {
            return;
        }
        let Out { epoch, redactor, records, counters, done } = &mut self.out;
        for relief in [Relief::Messages, Relief::All] {
            flows.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
            for (bytes, flow) in &mut flows {
                if held <= HELD / 2 {
                    return;
                }
                flow.state.relieve(relief, counters, done);
                keep(flow, *epoch, redactor.as_ref(), done, records, counters);
                let left = flow.state.held_bytes();
                held = held.saturating_sub(*bytes) + left;
                *bytes = left;
            }
        }
    }

    /// Shows what is still open.
    pub fn show_open(&mut self, now: Time) {
        let Out { epoch, redactor, records, counters, done } = &mut self.out;
        let before = now.saturating_sub(OPEN_SHOWN_AFTER);
        for flow in self.flows.iter_mut() {
            flow.state.publish_open(before, done);
            keep(flow, *epoch, redactor.as_ref(), done, records, counters);
        }
    }

    /// The capture ends: everything still open is closed.
    pub fn finish(&mut self) {
        let Out { epoch, redactor, records, counters, done } = &mut self.out;
        self.flows.finish(counters, &mut |flow, direction, piece, counters| {
            flow.state.feed(direction, piece, counters, done);
            keep(flow, *epoch, redactor.as_ref(), done, records, counters);
        });
    }

    /// A socket's connection is the agent's own: as if it had never been seen.
    pub fn forget(&mut self, cookie: u64) {
        self.flows.forget(cookie, &mut self.out.counters);
    }

    /// A packet that no stage could read: see `Counters::unreadable`.
    pub fn unreadable(&mut self, cut: bool) {
        self.out.counters.unreadable(cut);
    }

    /// Hands over what was made since the last call.
    pub fn take(&mut self) -> (Vec<Record>, Counters) {
        // As many are likely to come again.
        let room = Vec::with_capacity(self.out.records.len());
        (std::mem::replace(&mut self.out.records, room), std::mem::take(&mut self.out.counters))
    }

    /// The kernel had no room for packets of a view: its flow is told how far the stream really went.
    pub fn lost(&mut self, cookie: u64, egress: bool, end: u32, bytes: u64) {
        if !self.flows.lost(cookie, egress, end) {
            // Of a connection of which nothing else was seen.
            self.out.counters.lost(bytes, Reason::RingFull);
        }
    }

    /// What the status says of the flows.
    pub fn report(&self) -> (status::Flows, Vec<UndecodedFlow>) {
        let mut by_protocol = BTreeMap::new();
        let mut undecoded: Vec<(u64, &Flow<Conversation>, Reason)> = Vec::new();
        for flow in self.flows.iter() {
            let name = match flow.state.reads() {
                _ if flow.transport == Protocol4::Udp => "udp",
                Reads::Detecting => "detecting",
                Reads::Protocol(protocol) => protocol.name,
                Reads::Undecoded(reason) => reason.name(),
            };
            *by_protocol.entry(name.to_owned()).or_insert(0) += 1;
            if let Reads::Undecoded(reason) = flow.state.reads() {
                undecoded.push((flow.bytes.iter().sum(), flow, reason));
            }
        }
        let shown = UNDECODED_SHOWN.min(undecoded.len());
        if shown < undecoded.len() {
            undecoded.select_nth_unstable_by(shown, |(a, ..), (b, ..)| b.cmp(a));
            undecoded.truncate(shown);
        }
        undecoded.sort_unstable_by(|(a, ..), (b, ..)| b.cmp(a));
        let flows = status::Flows {
            open: self.flows.len() as u64,
            limit: self.options.limits.flows as u64,
            held_bytes: self.held_bytes() as u64,
            evicted: self.flows.evicted(),
            by_protocol,
        };
        (flows, undecoded.into_iter().map(|(bytes, flow, reason)| undecoded_flow(bytes, flow, reason)).collect())
    }

    pub fn counters(&mut self) -> &mut Counters {
        &mut self.out.counters
    }

    pub fn flows(&self) -> &FlowTable<Conversation> {
        &self.flows
    }

    pub fn flows_mut(&mut self) -> &mut FlowTable<Conversation> {
        &mut self.flows
    }

    /// No record that is yet to come has an earlier timestamp.
    pub fn oldest_open(&self) -> Option<Time> {
        let open = self.flows.iter().filter_map(|flow| flow.state.oldest_open()).min();
        open.into_iter().chain(self.flows.oldest_held()).min()
    }

    /// Bytes held for flows, beyond the store.
    pub fn held_bytes(&self) -> usize {
        self.flows.held_bytes() + self.flows.iter().map(|flow| flow.state.held_bytes()).sum::<usize>()
    }
}

fn undecoded_flow(bytes: u64, flow: &Flow<Conversation>, reason: Reason) -> UndecodedFlow {
    let mut ends = flow.ends;
    if flow.state.reversed() {
        ends = ends.reversed();
    }
    UndecodedFlow {
        client: ends.src.to_string(),
        server: ends.dst.to_string(),
        transport: match flow.transport {
            Protocol4::Tcp => "tcp",
            Protocol4::Udp => "udp",
        },
        reason: reason.name(),
        bytes,
        server_name: flow.state.server_name().map(str::to_owned),
        last: flow.last.to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{CaptureSource, TcpFlags, TcpHeader, Transport, Tuple};

    #[test]
    fn heads_that_never_end_are_given_up_when_they_hold_too_much() {
        let mut shard = Shard::new(ShardOptions {
            settings: Settings { max_body: 64 << 10, ..Settings::default() },
            limits: Limits::default(),
            redactor: None,
            epoch: 0,
        });
        let head = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 60_000]].concat();
        let mut most = 0;
        for number in 0..3000_u16 {
            let client = std::net::SocketAddr::from(([10, 0, 0, 1], 10_000 + number));
            let header = Tuple { src: client, dst: std::net::SocketAddr::from(([10, 0, 0, 2], 80)) };
            for (seq, flags, payload) in [(0, TcpFlags::SYN, &[][..]), (1, TcpFlags::ACK, &head)] {
                let tcp = TcpHeader { seq, ack: 1, flags: TcpFlags(flags), window: 0xffff, window_scale: None };
                shard.packet(&Packet {
                    time: Time(1_000_000 * u64::from(number)),
                    source: CaptureSource::Pcap,
                    number: u64::from(number) + 1,
                    view: None,
                    header,
                    transport: Transport::Tcp(tcp),
                    payload,
                    wire_len: payload.len() as u32,
                    cut: None,
                });
            }
            most = most.max(shard.held_bytes());
        }
        assert!(most > HELD / 2 && most <= HELD / 2 * 3, "held {most}");
        let counters = shard.take().1;
        assert!(counters.undecoded.get(Reason::InputLimit) > HELD as u64);
        assert_eq!(counters.bytes, counters.captured_bytes);
    }
}
