//! Joins each connection late, at each of its packets. What began before may be missing; nothing may be wrong.

use super::{Connection, Report, compare, work};
use crate::pipeline::Pipeline;

/// Joins the connections at each packet behind the first. At those named by connection and packet something must be
/// wrong: a name that is not needed any more is a mistake too.
pub fn check(connections: &[Connection], except: &[(&str, u64)], pipeline: &Pipeline<'_>) -> Report {
    work::each(connections, |connection| {
        let values = pipeline(&connection.packets).values();
        let mut report = Report { connections: 1, ..Report::default() };
        for at in 1..connection.packets.len() {
            let number = connection.packets[at].number;
            let found = pipeline(&connection.packets[at..]);
            report.tried += 1;
            let place = format!("{}, joined at packet {}", connection.name, number);
            let mut joined = Report::default();
            compare::all(&found.values(), &values, compare::Times::Exact, &place, &mut joined);
            if except.contains(&(&*connection.name, number)) {
                let needed = !std::mem::take(&mut joined.wrong).is_empty();
                joined.wrong.extend((!needed).then(|| format!("{place}: nothing is wrong, though it is listed so")));
            }
            report.add(joined);
        }
        report
    })
}
