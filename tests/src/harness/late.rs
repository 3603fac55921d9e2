//! Joins each connection late, at each of its packets. What began before may be missing; nothing may be wrong.

use super::{Connection, Report, compare, work};
use crate::pipeline::Pipeline;

/// Joins the connections at each packet behind the first, but for those named by connection and packet.
pub fn check(connections: &[Connection], except: &[(&str, u64)], pipeline: &Pipeline<'_>) -> Report {
    work::each(connections, |connection| {
        let values = pipeline(&connection.packets).values();
        let mut report = Report { connections: 1, ..Report::default() };
        for at in 1..connection.packets.len() {
            let number = connection.packets[at].number;
            if except.contains(&(&*connection.name, number)) {
                continue;
            }
            let found = pipeline(&connection.packets[at..]);
            report.tried += 1;
            let place = format!("{}, joined at packet {}", connection.name, number);
            compare::all(&found.values(), &values, compare::Times::Exact, &place, &mut report);
        }
        report
    })
}
