//! Spreads connections over the cores, the largest first.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::{Connection, Report};

pub(super) fn each(connections: &[Connection], check: impl Fn(&Connection) -> Report + Sync) -> Report {
    let mut order: Vec<&Connection> = connections.iter().collect();
    order.sort_by_key(|connection| {
        std::cmp::Reverse(connection.packets.iter().map(|packet| packet.payload.len()).sum::<usize>())
    });
    let next = AtomicUsize::new(0);
    let total = Mutex::new(Report::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(connection) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = check(connection);
                    total.lock().unwrap_or_else(PoisonError::into_inner).add(report);
                }
            });
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}
