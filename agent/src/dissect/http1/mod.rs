//! HTTP/1.0 and 1.1 (RFC 9110, RFC 9112). One dissector reads both directions: requests one after another, answers in
//! their order. Where two peers could read the same bytes differently, the exchange says so and nothing is guessed.

mod body;
mod chunked;
mod framing;
mod head;
mod start;

use body::Reading;
use framing::{Asked, Framing};
use head::{Parsed, Scan};

use super::{
    Body, Direction, Dissector, Head, Headers, Malformed, Match, Message, Missing, Protocol, Settings,
    grpc::{self, GRPC},
    http::{self, Coding, settle},
    http2::{HTTP2, Http2},
    input::{Input, Unread},
    output::Output,
    pairing::{Half, Handle},
};
use crate::{
    coverage::Reason,
    flow::{Ending, Protocol4},
};

pub(super) static HTTP: Protocol = Protocol {
    name: "http",
    transport: Protocol4::Tcp,
    ports: &[80, 8000, 8080],
    fields: &[http::FIELDS],
    probe: start::probe,
    open: |settings| Box::new(Http1::new(settings)),
    scan: None,
};

/// What one direction is in the middle of.
#[derive(Debug)]
enum State {
    Head(Scan),
    Body(Reading),
    /// After CONNECT: what follows is HTTP only when the tunnel is refused. After an upgrade to HTTP/2 was granted: what
    /// follows comes behind the request.
    Waiting,
    Lost,
}

#[derive(Debug)]
struct Http1 {
    settings: Settings,
    /// By direction.
    states: [State; 2],
    /// The server's last message was not final: what the client sends next may be a body.
    interim: bool,
    /// A request began since the server's side was last lost.
    asked: bool,
    /// An upgrade to HTTP/2 was granted while the request still came (RFC 7540 section 3.2: all of it in HTTP/1).
    upgraded: bool,
}

impl Http1 {
    fn new(settings: &Settings) -> Self {
        let state = || State::Head(Scan::default());
        Self { settings: settings.clone(), states: [state(), state()], interim: false, asked: false, upgraded: false }
    }

    /// Reads one head, if it is whole. Whether there may be more to read.
    fn head(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> Result<bool, Malformed> {
        let turn = input.begins_turn();
        if let State::Head(scan) = &mut self.states[from as usize] {
            scan.turn |= turn;
        }
        // RFC 9112 section 2.2: empty lines before a request are ignored. Servers are known to send them as well.
        input.consume(input.bytes().len() - start::skip_blank(input.bytes()).len());
        let State::Head(scan) = &mut self.states[from as usize] else {
            return Ok(false);
        };
        if input.bytes().is_empty() {
            return Ok(false);
        }
        let Some(parsed) = head::parse(from, input.bytes(), scan)? else {
            return Ok(false);
        };
        let turn = std::mem::take(scan).turn;
        let Parsed { size, head, headers, facts, findings } = parsed;
        let (started, ended) = (input.time_at(0), input.time_at(size - 1));
        input.consume(size);
        let message = Message {
            started,
            ended,
            head,
            headers,
            headers_size: Some(u32::try_from(size).unwrap_or(u32::MAX)),
            trailers: Headers::default(),
            body: Body::default(),
        };
        match from {
            Direction::ToServer => self.request(message, facts, findings, turn, input, out),
            Direction::ToClient => self.response(message, facts, findings, input, out),
        }
    }

    fn request(
        &mut self,
        message: Message,
        facts: framing::Facts,
        findings: Vec<&'static str>,
        turn: bool,
        input: &Input<'_>,
        out: &mut Output,
    ) -> Result<bool, Malformed> {
        let Head::HttpRequest(head) = &message.head else {
            return Err(Malformed("start_line"));
        };
        let (framing, finding) = facts.request(head.version);
        let connect = head.method.as_deref() == Some("CONNECT");
        self.asked = true;
        if turn && !matches!(self.states[Direction::ToClient as usize], State::Body(_)) {
            out.resume();
        }
        let handle = out.request(message, turn);
        for finding in findings.into_iter().chain(finding) {
            out.finding(handle, finding);
        }
        if connect {
            // RFC 9110 section 9.3.6: a CONNECT request has no content.
            self.bodiless(out, handle, Half::Request, Some(0));
            self.states[Direction::ToServer as usize] = State::Waiting;
            return Ok(false);
        }
        self.begin_body(Direction::ToServer, handle, framing, &facts, false, input, out)
    }

    fn response(
        &mut self,
        message: Message,
        facts: framing::Facts,
        findings: Vec<&'static str>,
        input: &Input<'_>,
        out: &mut Output,
    ) -> Result<bool, Malformed> {
        let Head::HttpResponse(head) = &message.head else {
            return Err(Malformed("start_line"));
        };
        let status = head.status.unwrap_or_default();
        if status == 101 && message.headers.get("upgrade").is_some_and(|name| name.eq_ignore_ascii_case(b"h2c")) {
            // RFC 7540 section 3.2: the final answer comes in HTTP/2, as that of stream 1.
            out.awaited_finding("upgraded");
            (self.upgraded, self.states[Direction::ToClient as usize]) = (true, State::Waiting);
            if !matches!(self.states[Direction::ToServer as usize], State::Body(_)) {
                self.become_http2(out);
            }
            return Ok(false);
        }
        self.interim = matches!(status, 100..=199) && status != 101;
        if self.interim {
            // RFC 9110 section 15.2: any number of them may come before the final one.
            out.awaited_finding(match status {
                100 => "continue",
                103 => "early_hints",
                _ => "informational",
            });
            return Ok(true);
        }
        let waiting = matches!(self.states[Direction::ToServer as usize], State::Waiting);
        let asked = match out.awaited().and_then(|exchange| exchange.request.as_ref()).map(|request| &request.head) {
            Some(Head::HttpRequest(request)) => match request.method.as_deref().unwrap_or_default() {
                "HEAD" => Asked::Head,
                "CONNECT" => Asked::Connect,
                _ => Asked::Other,
            },
            _ if waiting || facts.tunnel => Asked::Connect,
            _ => Asked::Unknown,
        };
        let (framing, finding) = facts.response(head.version, status, asked);
        let handle = out.response(message);
        for finding in findings.into_iter().chain(finding) {
            out.finding(handle, finding);
        }
        // RFC 9110 sections 7.8 and 9.3.6.
        if status == 101 || asked == Asked::Connect && (200..=299).contains(&status) {
            out.finding(handle, "upgraded");
            self.bodiless(out, handle, Half::Response, Some(0));
            self.cut(Direction::ToServer, "cut_short", out);
            out.end_answers();
            out.leave(Reason::Upgraded);
            self.states = [State::Lost, State::Lost];
            return Ok(false);
        }
        if framing == Framing::Unseen {
            out.finding(handle, "body_unclear");
            self.bodiless(out, handle, Half::Response, None);
            self.unclear(out);
            return Ok(false);
        }
        if asked == Asked::Connect {
            self.states[Direction::ToServer as usize] = State::Head(Scan::default());
            out.retry(Direction::ToServer);
        }
        if let State::Body(reading) = &mut self.states[Direction::ToServer as usize]
            && reading.fresh
        {
            // RFC 9110 section 10.1.1: a client that waited for 100 need not send the body to who refuses it.
            reading.declined = reading.expects && status >= 300;
        }
        self.begin_body(Direction::ToClient, handle, framing, &facts, asked == Asked::Unknown, input, out)
    }

    /// Both sides go on in HTTP/2: an upgrade to it was granted, and the request is whole.
    fn become_http2(&mut self, out: &mut Output) {
        let request = out.awaited().and_then(|exchange| exchange.request.as_ref());
        let (header, asked) =
            request.map(|request| (start::http2_settings(request), request.ended)).unwrap_or_default();
        let dissector =
            |handle| Box::new(Http2::upgraded(&self.settings, handle, asked, &header)) as Box<dyn Dissector>;
        out.become_streams(&HTTP2, 1, dissector);
        (self.upgraded, self.states) = (false, [State::Lost, State::Lost]);
    }

    #[expect(clippy::too_many_arguments, reason = "what both kinds of message share, called from two places")]
    fn begin_body(
        &mut self,
        from: Direction,
        handle: Handle,
        framing: Framing,
        facts: &framing::Facts,
        unsure: bool,
        input: &Input<'_>,
        out: &mut Output,
    ) -> Result<bool, Malformed> {
        let half = Half::from(from);
        if let Framing::Unclear(why) = framing {
            out.finding(handle, why);
            self.bodiless(out, handle, half, None);
            return Err(Malformed(why));
        }
        let coding = Coding { content: facts.content_coded, transfer: facts.transfer_coded };
        let room = coding.room(self.settings.max_body);
        let Some(mut reading) = Reading::new(handle, framing, input.position(), room) else {
            self.bodiless(out, handle, half, Some(0));
            return Ok(true);
        };
        (reading.coding, reading.unsure) = (coding, unsure);
        reading.expects = facts.expects;
        if coding.any() {
            out.coded(handle, half);
        }
        self.states[from as usize] = State::Body(reading);
        Ok(true)
    }

    /// Reads what is there of a body. Whether there may be more to read.
    fn body(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> Result<bool, Malformed> {
        let State::Body(reading) = &mut self.states[from as usize] else {
            return Ok(false);
        };
        let (handle, half) = (reading.handle, Half::from(from));
        if reading.fresh && (reading.unsure || reading.expects) && input.bytes().is_empty() {
            // What comes next tells whether it is the body: nothing is passed over yet.
            return Ok(false);
        }
        if reading.fresh {
            if reading.declined && input.begins_turn() {
                match start::probe(from, input.bytes()) {
                    Match::NeedMore => return Ok(false),
                    Match::No => {}
                    Match::Yes => {
                        // The body or the next request: nobody can tell. It was declined, so a request is likelier.
                        self.cut(from, "body_not_sent", out);
                        self.states[from as usize] = State::Head(Scan::default());
                        return Ok(true);
                    }
                }
            }
            // After HEAD no body comes, but the next answer; a body may hold a whole answer too.
            if reading.unsure {
                match start::probe(from, input.bytes()) {
                    Match::NeedMore => return Ok(false),
                    Match::No => {}
                    Match::Yes => {
                        self.unclear(out);
                        return Ok(false);
                    }
                }
            }
        }
        let State::Body(reading) = &mut self.states[from as usize] else {
            return Ok(false);
        };
        let Some(message) = out.message(handle, half) else {
            return Ok(false);
        };
        let mut findings = Vec::new();
        let result = reading.read(input, &mut message.body.kept, &mut message.trailers, &mut findings);
        (message.ended, message.body.end_lost) = (input.last_time(), input.last_lost());
        for finding in findings {
            out.finding(handle, finding);
        }
        match result {
            Ok(None) => Ok(false),
            Ok(Some(size)) => {
                self.close(from, Some(size), out);
                if self.upgraded {
                    self.become_http2(out);
                    return Ok(false);
                }
                Ok(true)
            }
            Err(Malformed(why)) => {
                out.finding(handle, why);
                Err(Malformed(why))
            }
        }
    }

    /// The body that is being read is over, with this size.
    fn close(&mut self, from: Direction, size: Option<u64>, out: &mut Output) {
        let state = std::mem::replace(&mut self.states[from as usize], State::Head(Scan::default()));
        let State::Body(reading) = state else {
            self.states[from as usize] = state;
            return;
        };
        let (handle, half) = (reading.handle, Half::from(from));
        let types = grpc::types(out.exchange(handle), half == Half::Response, &self.settings.schemas);
        let mut carries_messages = false;
        if let Some(message) = out.message(handle, half) {
            let mut finding = settle(message, size, reading.coding, self.settings.max_body);
            if let Some(lost) = grpc::of_body(message, types, self.settings.max_body) {
                (carries_messages, finding) = (true, finding.or(lost));
            }
            let limits = message.body.messages.as_ref().map(|messages| messages.limits());
            for (name, times) in limits.into_iter().flatten() {
                out.limit(name, times);
            }
            if let Some(finding) = finding {
                out.finding(handle, finding);
            }
        }
        if carries_messages && let Some(exchange) = out.exchange(handle) {
            exchange.protocol = &GRPC;
        }
        out.close(handle, half);
    }

    /// The body that is being read ends here, and its size is not known.
    fn cut(&mut self, from: Direction, finding: &'static str, out: &mut Output) {
        if let State::Body(reading) = &self.states[from as usize] {
            out.finding(reading.handle, finding);
            self.close(from, None, out);
        }
    }

    /// Whether the answer that is being read has a body can't be told: its request was not seen.
    fn unclear(&mut self, out: &mut Output) {
        self.cut(Direction::ToClient, "body_unclear", out);
        self.states[Direction::ToClient as usize] = State::Lost;
        out.lose(Direction::ToClient, Reason::MidStream);
    }

    /// A half without a body to read: it has none, or where it ends is not known.
    fn bodiless(&self, out: &mut Output, handle: Handle, half: Half, size: Option<u64>) {
        if let Some(Message { body, .. }) = out.message(handle, half) {
            (body.size, body.truncated) = (size, size.is_none());
        }
        out.close(handle, half);
    }
}

impl Dissector for Http1 {
    fn decode(&mut self, from: Direction, input: &mut Input<'_>, out: &mut Output) -> Result<(), Malformed> {
        loop {
            let more = match self.states[from as usize] {
                State::Head(_) => self.head(from, input, out)?,
                State::Body(_) => self.body(from, input, out)?,
                State::Waiting | State::Lost => false,
            };
            if !more {
                return Ok(());
            }
        }
    }

    fn gap(&mut self, from: Direction, missing: Missing, out: &mut Output) -> u64 {
        let State::Body(reading) = &mut self.states[from as usize] else {
            return 0;
        };
        let used = reading.gap(missing.bytes);
        if used == 0 {
            return 0;
        }
        let (handle, complete) = (reading.handle, reading.complete());
        out.missing(handle, Missing { bytes: used, ..missing });
        if let Some(message) = out.message(handle, Half::from(from)) {
            message.body.truncated = true;
            pass(message, missing);
        }
        if let Some(size) = complete.filter(|_| used < missing.bytes) {
            self.close(from, Some(size), out);
        }
        used
    }

    fn passed_over(&mut self, from: Direction, missing: Missing, out: &mut Output) {
        if let State::Body(reading) = &self.states[from as usize] {
            out.missing(reading.handle, missing);
            if let Some(message) = out.message(reading.handle, Half::from(from)) {
                pass(message, missing);
            }
        }
    }

    fn lose(&mut self, from: Direction, missing: Option<Missing>, out: &mut Output) {
        if std::mem::take(&mut self.upgraded) {
            // Where the request ends, and HTTP/2 begins, is not known any more.
            out.leave(Reason::Upgraded);
        }
        let reading = match &self.states[from as usize] {
            State::Body(reading) => {
                if let Some(missing) = missing {
                    out.missing(reading.handle, missing);
                }
                true
            }
            State::Head(_) | State::Waiting | State::Lost => false,
        };
        self.close(from, None, out);
        self.states[from as usize] = State::Lost;
        match from {
            Direction::ToServer => out.missed_requests(missing),
            Direction::ToClient => {
                self.asked = false;
                if out.outstanding().filter_map(|exchange| exchange.request.as_ref()).any(start::may_leave) {
                    out.leave(Reason::Upgraded);
                }
                out.missed_responses(missing, reading);
            }
        }
    }

    fn resume(&mut self, from: Direction, bytes: &[u8], unread: Unread, out: &mut Output) -> bool {
        let [client, server] = &self.states;
        let plausible = match from {
            // While an answer is being read, or an interim one asked for a body, it is no new request.
            Direction::ToServer => match server {
                State::Body(_) => false,
                State::Head(_) | State::Waiting => !self.interim,
                State::Lost => !may_be_interim(unread),
            },
            // An answer to nothing is something else.
            Direction::ToClient => self.asked || matches!(client, State::Lost),
        };
        // The end of a body may stand before a request, and would make another method of the two.
        let plausible = plausible && (from == Direction::ToClient || start::begins_like_registered(bytes));
        if plausible {
            self.states[from as usize] = State::Head(Scan::default());
            if from == Direction::ToServer {
                out.resume();
            }
        }
        plausible
    }

    fn turn(&mut self, from: Direction, out: &mut Output) {
        // The client speaks again, so the body that the answer announced was none (HEAD), or is still to come.
        if from == Direction::ToServer
            && let State::Body(Reading { unsure: true, .. }) = &self.states[Direction::ToClient as usize]
        {
            self.unclear(out);
        }
    }

    fn end(&mut self, from: Direction, input: &mut Input<'_>, how: Ending, out: &mut Output) {
        if let State::Body(reading) = &mut self.states[from as usize] {
            // What might have been the next message's start is the body's: nothing more comes to tell.
            (reading.unsure, reading.declined) = (false, false);
            if let Err(Malformed(why)) = self.decode(from, input, out) {
                self.cut(from, why, out);
            }
        }
        if let State::Body(reading) = &self.states[from as usize] {
            match reading.ended(input.position()).filter(|_| how == Ending::Fin) {
                // RFC 9112 section 6.3, rule 8: a reset tells nothing of the size.
                Some(size) => self.close(from, Some(size), out),
                None => self.cut(from, "cut_short", out),
            }
        }
        if from == Direction::ToClient {
            out.end_answers();
        }
    }
}

/// Missing bytes of a message pass: when, if that is known.
fn pass(message: &mut Message, missing: Missing) {
    message.body.end_lost = missing.time.is_none();
    message.ended = message.ended.max(missing.time.unwrap_or_default());
}

/// Whether the server's last turn, which was not read, may have been `100 Continue`.
fn may_be_interim(unread: Unread) -> bool {
    /// Longer than any interim answer without headers.
    const INTERIM: u64 = 64;
    if unread.front.starts_with(b"HTTP/1.") {
        return unread.front[9] == b'1';
    }
    !unread.whole && unread.bytes < INTERIM && matches!(unread.last, b'\n' | 0)
}
