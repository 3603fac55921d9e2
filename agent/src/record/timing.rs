//! How long a call took. A time that can't be known is `Unknown`, never the time of what happened to be seen.

use super::Record;
use crate::{
    dissect::{Exchange, Head, Message},
    time::Time,
};

/// A duration in whole microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Micros {
    /// There was no answer.
    Absent,
    /// One end of it was not seen.
    Unknown,
    Known(u64),
}

impl Record {
    /// From the first request byte to the last response byte.
    pub fn elapsed_time(&self) -> Micros {
        let Some(response) = &self.exchange.response else { return Micros::Absent };
        let Some(request) = &self.exchange.request else { return Micros::Unknown };
        match end(&self.exchange, response) {
            Some(ended) => Micros::Known(ended.micros_since(request.started)),
            None => Micros::Unknown,
        }
    }

    /// From the last request byte to the first byte of the final response; 0 when that began earlier.
    pub fn time_to_first_byte(&self) -> Micros {
        let Some(response) = &self.exchange.response else { return Micros::Absent };
        let Some(request) = &self.exchange.request else { return Micros::Unknown };
        // Without its status it may be an interim one.
        if matches!(&response.head, Head::HttpResponse(head) if head.status.is_none()) {
            return Micros::Unknown;
        }
        // A request that was still being sent when the answer began needs no end: it is later in any case.
        if response.started <= request.ended {
            return Micros::Known(0);
        }
        match end(&self.exchange, request) {
            Some(ended) => Micros::Known(response.started.micros_since(ended)),
            None => Micros::Unknown,
        }
    }
}

/// The time of a message's last byte; none when that was lost. A body of unknown size has none while more may come, or
/// when bytes are missing: the last one may be among them. One that just stops (the peer went away) ends where it
/// stopped.
fn end(exchange: &Exchange, message: &Message) -> Option<Time> {
    let unseen = exchange.open || !exchange.incomplete.is_empty();
    ((message.body.size.is_some() || !unseen) && !message.body.end_lost).then_some(message.ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        coverage::Reason,
        record::sample::{self, request, response},
    };

    fn times(exchange: &Exchange) -> (Micros, Micros) {
        let record = sample::record(exchange.clone());
        (record.elapsed_time(), record.time_to_first_byte())
    }

    fn exchange() -> Exchange {
        let mut request = request("GET", "/", &[], b"");
        let mut response = response(200, &[], b"");
        (request.started, request.ended) = (Time(1_000_999), Time(1_005_000));
        (response.started, response.ended) = (Time(1_105_000), Time(1_205_001));
        sample::exchange(Some(request), Some(response))
    }

    #[test]
    fn differences_are_those_of_the_printed_times() {
        assert_eq!(times(&exchange()), (Micros::Known(205), Micros::Known(100)));
    }

    #[test]
    fn one_message_alone_has_no_duration() {
        let mut unanswered = exchange();
        unanswered.response = None;
        assert_eq!(times(&unanswered), (Micros::Absent, Micros::Absent));
        let mut unasked = exchange();
        unasked.request = None;
        assert_eq!(times(&unasked), (Micros::Unknown, Micros::Unknown));
    }

    #[test]
    fn an_early_answer_waited_for_nothing() {
        let mut early = exchange();
        if let Some(request) = &mut early.request {
            request.ended = Time(1_150_000);
            request.body.size = None;
        }
        early.open = true;
        assert_eq!(times(&early).1, Micros::Known(0));
    }

    #[test]
    fn an_end_that_may_be_missing_is_unknown() {
        let mut open = exchange();
        if let Some(response) = &mut open.response {
            response.body.size = None;
        }
        assert_eq!(times(&open).0, Micros::Known(205), "stopped there");
        open.open = true;
        assert_eq!(times(&open), (Micros::Unknown, Micros::Known(100)), "goes on");
        open.open = false;
        open.incomplete.lost.add(Reason::RingFull, 1);
        assert_eq!(times(&open), (Micros::Unknown, Micros::Known(100)), "lost its tail");
        let mut tail = exchange();
        if let Some(response) = &mut tail.response {
            response.body.end_lost = true;
        }
        assert_eq!(times(&tail), (Micros::Unknown, Micros::Known(100)), "lost its tail, though its size is known");
    }
}
