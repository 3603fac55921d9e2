//! How streams end: by a reset, by GOAWAY, with the connection, or because they are given up.

use super::{super::body::State, Streams};
use crate::{
    dissect::{
        Direction, Reset,
        grpc::{self, End, GRPC},
        output::Output,
        pairing::Half,
    },
    time::Time,
};

/// Streams closed last, by number: frames that were under way when they were closed belong to nothing.
const CLOSED: usize = 256;

/// GOAWAY (section 6.8).
#[derive(Clone, Copy, Debug)]
pub(in crate::dissect::http2) struct Goaway {
    /// What its receiver began after this one was not and will not be processed.
    pub(in crate::dissect::http2) last: u32,
    pub(in crate::dissect::http2) code: u32,
}

impl Streams {
    /// RST_STREAM (section 6.4). `code`: none when it could not be read.
    pub(in crate::dissect::http2) fn reset(
        &mut self,
        from: Direction,
        id: u32,
        code: Option<u32>,
        time: Time,
        out: &mut Output,
    ) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        let answered = stream.halves[Half::Response as usize].state == State::Closed;
        if stream.halves[Half::from(from) as usize].state == State::Open
            && let Some(message) = out.message(stream.handle, Half::from(from))
        {
            message.ended = message.ended.max(time);
        }
        // Section 8.1: a server that has answered in full may so decline the rest of the request.
        if !(answered && code == Some(0))
            && let Some(exchange) = out.exchange(stream.handle)
        {
            exchange.reset = Some(Reset { by: from, code });
            out.finding(
                stream.handle,
                match from {
                    Direction::ToServer => "reset_by_client",
                    Direction::ToClient => "reset_by_server",
                },
            );
            let exchange = out.exchange(stream.handle).filter(|exchange| std::ptr::eq(exchange.protocol, &GRPC));
            if let Some(finding) = exchange.and_then(|exchange| grpc::reset(exchange, time)) {
                out.finding(stream.handle, finding);
            }
        }
        self.close(id, End::Reset, None, out);
    }

    /// GOAWAY: closes what is left out, now and from here on.
    pub(in crate::dissect::http2) fn goaway(&mut self, from: Direction, goaway: Goaway, out: &mut Output) {
        self.goaway[from as usize] = Some(goaway);
        let later = self.open.range(goaway.last.saturating_add(1)..);
        let cut: Vec<(u32, Reset)> = later.filter_map(|(id, _)| Some((*id, self.left_out(*id)?))).collect();
        for (id, reset) in cut {
            self.cut(id, End::Reset, "goaway", Some(reset), out);
        }
    }

    /// Whether a GOAWAY says that this stream will not be processed. Section 5.1.1: clients open odd ones.
    pub(super) fn left_out(&self, id: u32) -> Option<Reset> {
        let by = if id % 2 == 1 { Direction::ToClient } else { Direction::ToServer };
        let goaway = self.goaway[by as usize].filter(|goaway| id > goaway.last)?;
        Some(Reset { by, code: Some(goaway.code) })
    }

    /// Nothing more comes.
    pub(in crate::dissect::http2) fn end_all(&mut self, out: &mut Output) {
        // Section 5.4.1: who finds an error says so, and ends the connection.
        let error = [Direction::ToClient, Direction::ToServer].into_iter().find_map(|by| {
            let code = self.goaway[by as usize].map(|goaway| goaway.code).filter(|code| *code != 0)?;
            Some(Reset { by, code: Some(code) })
        });
        while let Some((&id, _)) = self.open.first_key_value() {
            self.cut(id, End::Cut, "cut_short", error, out);
        }
        self.learned = None;
    }

    /// The exchange is over before its end: why, and what that side said.
    pub(super) fn cut(&mut self, id: u32, end: End, why: &'static str, reset: Option<Reset>, out: &mut Output) {
        let exchange = self.open.get(&id).and_then(|stream| out.exchange(stream.handle));
        if let Some(exchange) = exchange {
            exchange.reset = exchange.reset.or(reset);
        }
        self.close(id, end, Some(why), out);
    }

    /// The exchange is over. `end`: of what is still being read of it. `why`: if that is before its end.
    pub(super) fn close(&mut self, id: u32, end: End, why: Option<&'static str>, out: &mut Output) {
        let Some(mut stream) = self.open.remove(&id) else { return };
        for half in [Half::Request, Half::Response] {
            stream.halves[half as usize].close(stream.handle, half, end, self.max_body, out);
        }
        if let Some(why) = why {
            out.finding(stream.handle, why);
        }
        out.finish(stream.handle);
        if self.closed.len() >= CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(id);
    }
}
