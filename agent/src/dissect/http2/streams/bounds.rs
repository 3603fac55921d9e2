//! What keeps streams within bounds: how many are open, how much they hold, and how long one may stay whose end is not
//! sure to come.

use std::cmp::Reverse;

use super::{Stream, Streams};
use crate::{
    dissect::{grpc::End, output::Output, pairing::HELD},
    time::Time,
};

/// Streams open at a time. Servers allow 100 to 250 (nginx 128, Go 250, Apache 100); Envoy and proxies of it allow up to
/// 1024 by configuration. Beyond it the one with the lowest number is given up.
const STREAMS: usize = 2048;

/// Nanoseconds without a frame after which a stream is given up whose end may have been among bytes that passed unseen.
/// Long polls wait for half a minute. It is looked for when another stream begins, at most once in `SWEEP`.
const DOUBT: u64 = 30_000_000_000;
const SWEEP: u64 = 1_000_000_000;

/// What the streams of a connection may still hold when too much is held in all: those of ordinary calls.
const RELIEVED: usize = 16 << 10;

impl Streams {
    /// Too much is held on all connections: forgets what can be learned again, and closes what holds most.
    pub(in crate::dissect::http2) fn relieve(&mut self, out: &mut Output) {
        self.learned = None;
        self.shrink(RELIEVED, RELIEVED, out);
    }

    /// Keeps what is held on this connection within its limit. Not each time, for that is a look at all streams.
    pub(super) fn look(&mut self, out: &mut Output) {
        if self.fed >= HELD / 4 {
            self.fed = 0;
            self.shrink(HELD, HELD / 2, out);
        }
    }

    /// If all streams together hold more than `most`: closes those that hold most, until the others hold at most `left`.
    fn shrink(&mut self, most: usize, left: usize, out: &mut Output) {
        let size = |stream: &Stream| out.held(stream.handle) + stream.heap();
        let mut sizes: Vec<(usize, u32)> = self.open.iter().map(|(id, stream)| (size(stream), *id)).collect();
        let mut held: usize = sizes.iter().map(|(bytes, _)| bytes).sum();
        if held <= most {
            return;
        }
        sizes.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        for (bytes, id) in sizes {
            if held <= left {
                return;
            }
            held -= bytes;
            self.cut(id, End::Cut, "memory_limit", None, out);
        }
    }

    /// Before a stream begins.
    pub(super) fn make_room(&mut self, now: Time, out: &mut Output) {
        if self.doubts && now.0.saturating_sub(self.swept.0) > SWEEP {
            self.swept = now;
            self.sweep(now, out);
        }
        while self.open.len() >= STREAMS
            && let Some((&id, _)) = self.open.first_key_value()
        {
            self.cut(id, End::Cut, "stream_limit", None, out);
        }
    }

    /// Gives up the streams whose end has probably passed unseen.
    fn sweep(&mut self, now: Time, out: &mut Output) {
        let doubtful = self.open.iter().filter(|(_, stream)| stream.doubtful());
        let (idle, busy): (Vec<_>, Vec<_>) =
            doubtful.map(|(id, stream)| (*id, stream.last)).partition(|(_, last)| now.0.saturating_sub(last.0) > DOUBT);
        self.doubts = !busy.is_empty();
        for (id, _) in idle {
            self.cut(id, End::Cut, "end_not_seen", None, out);
        }
    }
}
