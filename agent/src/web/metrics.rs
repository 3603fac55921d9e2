//! `/metrics` in Prometheus' text format 0.0.4: what was counted since the start. No token: it holds no traffic.

use std::{fmt::Write, sync::atomic::Ordering};

use axum::{extract::State, http::header, response::IntoResponse};

use super::Shared;
use crate::{coverage::ByReason, status::RefusedSegments};

pub(super) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&shared))
}

#[derive(Default)]
struct Page(String);

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

impl Page {
    /// One metric without labels.
    fn one(&mut self, kind: Kind, name: &str, help: &str, value: u64) {
        self.many(kind, name, help, [(String::new(), value)]);
    }

    /// One metric with a sample for each set of labels.
    fn many(&mut self, kind: Kind, name: &str, help: &str, samples: impl IntoIterator<Item = (String, u64)>) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP tapwire_{name} {help}\n# TYPE tapwire_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "tapwire_{name}{labels} {value}");
        }
    }

    fn reasons(&mut self, name: &str, help: &str, counts: &ByReason) {
        self.many(
            Kind::Counter,
            name,
            help,
            counts.iter().map(|(reason, count)| (labels(&[("reason", reason.name())]), count)),
        );
    }
}

/// Backslash, quote and line feed are escaped in a label's value.
fn labels(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn text(shared: &Shared) -> String {
    use Kind::{Counter, Gauge};
    let app = &shared.app;
    let (status, totals) = (app.status.get(), app.status.totals());
    let mut page = Page::default();
    page.many(
        Gauge,
        "build_info",
        "Version and node.",
        [(labels(&[("version", status.version), ("node", &app.node)]), 1)],
    );
    let hooks = status.capture.iter().map(|hook| (labels(&[("hook", hook.name)]), u64::from(hook.attached)));
    page.many(Gauge, "hook_attached", "Whether a hook of the kernel side is attached.", hooks);

    page.one(Counter, "records_total", "Calls recorded.", totals.records);
    page.one(Counter, "flows_total", "Connections and datagram flows seen.", totals.flows);
    page.one(Counter, "packets_total", "Packets read.", totals.packets);
    page.one(Counter, "bytes_total", "Payload bytes seen; the sum of captured, skipped and lost ones.", totals.bytes);
    page.one(Counter, "captured_bytes_total", "Payload bytes captured.", totals.captured_bytes);
    page.one(Counter, "retransmitted_bytes_total", "Payload bytes that came again.", totals.retransmitted_bytes);
    page.reasons("skipped_bytes_total", "Payload bytes left out on purpose.", &totals.skipped);
    page.reasons("lost_bytes_total", "Payload bytes that are missing.", &totals.lost);
    page.reasons("undecoded_bytes_total", "Captured bytes that no record shows.", &totals.undecoded);
    let malformed = totals
        .malformed
        .iter()
        .map(|(protocol, reason, count)| (labels(&[("protocol", protocol), ("reason", reason)]), *count));
    page.many(Counter, "malformed_total", "Messages that were not what their protocol says.", malformed);
    let limits = totals.limits.iter().map(|(name, count)| (labels(&[("limit", name)]), *count));
    page.many(Counter, "limits_total", "Times that a limit of a dissector was hit.", limits);
    page.one(Counter, "redacted_values_total", "Values replaced before they were stored.", totals.redacted);
    page.one(Counter, "unreadable_packets_total", "Packets that no stage could read.", totals.unreadable_packets);

    let kernel = status.kernel;
    page.one(Counter, "kernel_events_total", "Events received from the kernel side.", kernel.events);
    page.one(Counter, "kernel_ring_full_total", "Events dropped because the ring was full.", kernel.ring_full);
    page.one(
        Counter,
        "kernel_unreadable_packets_total",
        "Packets whose headers the kernel side could not read.",
        kernel.unreadable,
    );
    page.one(Counter, "kernel_twin_packets_total", "Packets captured at their sender on this node.", kernel.twins);
    page.one(Counter, "kernel_own_packets_total", "Packets of the agent itself, left out.", kernel.own);
    page.one(Counter, "kernel_lost_unnoted_total", "Lost packets whose connection is not known.", kernel.lost_unnoted);
    page.one(Counter, "kernel_malformed_events_total", "Events that could not be decoded.", kernel.malformed_events);

    let flows = &status.flows;
    page.one(Gauge, "flows_open", "Flows held.", flows.open);
    page.one(Gauge, "flows_limit", "Flows that may be held.", flows.limit);
    page.one(Gauge, "flows_held_bytes", "Bytes held for reassembly and undecided input.", flows.held_bytes);
    page.one(Counter, "flows_evicted_total", "Flows dropped to make room.", flows.evicted);
    let RefusedSegments { outside_window, after_end, resets } = status.refused_segments;
    let refused = [("outside_window", outside_window), ("after_end", after_end), ("resets", resets)];
    let refused = refused.map(|(reason, count)| (labels(&[("reason", reason)]), count));
    page.many(Counter, "refused_segments_total", "TCP segments that the receivers refuse too.", refused);
    let protocols = flows.by_protocol.iter().map(|(protocol, count)| (labels(&[("protocol", protocol)]), *count));
    page.many(Gauge, "flows_by_protocol", "Open flows by what reads them.", protocols);

    let snapshot = app.store.snapshot();
    page.one(Gauge, "store_bytes", "Memory of the stored calls.", app.store.bytes() as u64);
    page.one(Gauge, "store_limit_bytes", "Memory that stored calls may use.", app.store.limit() as u64);
    page.one(Gauge, "store_segments", "Segments held.", snapshot.segments.len() as u64);
    page.one(
        Gauge,
        "store_rows",
        "Rows held; a call that was updated has several.",
        snapshot.end.saturating_sub(snapshot.first()),
    );

    let counts = shared.queries.counts();
    let outcomes = [("answered", &counts.answered), ("failed", &counts.failed), ("timed_out", &counts.timed_out)];
    let outcomes = outcomes.map(|(name, count)| (labels(&[("outcome", name)]), count.load(Ordering::Relaxed)));
    page.many(Counter, "questions_total", "Questions by how they ended.", outcomes);
    page.0
}
