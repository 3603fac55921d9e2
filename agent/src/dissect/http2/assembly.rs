//! Header blocks, put together from their frames (RFC 9113 section 4.3).

use super::{
    Http2, State, block,
    frame::{self, Kind, flags},
    payload::Payload,
    streams::Block,
};
use crate::{
    dissect::{Direction, Malformed, Missing, output::Output},
    time::Time,
};

/// A header block, coded. nginx takes 32 KiB, Go 1 MiB by default, which nobody uses up; Envoy and gRPC 8 to 60 KiB.
pub(super) const BLOCK_LIMIT: usize = 128 << 10;

/// A header block that goes on in CONTINUATION frames.
#[derive(Debug)]
pub(super) struct Open {
    /// Of the frame that it began with.
    pub(super) kind: Kind,
    pub(super) stream: u32,
    pub(super) promised: Option<u32>,
    pub(super) end_stream: bool,
    pub(super) started: Time,
    pub(super) bytes: Vec<u8>,
    /// Parts of it can't be read, for this reason.
    pub(super) broken: Option<&'static str>,
    pub(super) missing: Option<Missing>,
}

impl Http2 {
    /// A frame of a header block came.
    pub(super) fn header_block(
        &mut self,
        from: Direction,
        payload: &Payload,
        bytes: &[u8],
        ended: Time,
        out: &mut Output,
    ) -> Result<(), Malformed> {
        let side = &mut self.sides[from as usize];
        let frame = payload.frame;
        let mut malformed = None;
        // Less than the frame has was held: a block of which a part is read would shift the table's entries.
        let too_long = bytes.len() > BLOCK_LIMIT;
        let mut content = if payload.missing.is_some() || too_long { None } else { frame::content(frame, bytes) };
        let mut promised = None;
        if frame.kind == Kind::PushPromise {
            let parts = content.and_then(<[u8]>::split_first_chunk::<4>);
            (promised, content) = parts.map(|(id, rest)| (u32::from_be_bytes(*id) & 0x7fff_ffff, rest)).unzip();
        }
        if content.is_none() && payload.missing.is_none() && !too_long {
            malformed = Some(Malformed("padding"));
        }
        let mut open = side.block.take().unwrap_or_else(|| Open {
            kind: frame.kind,
            stream: frame.stream,
            promised,
            end_stream: frame.kind == Kind::Headers && frame.has(flags::END_STREAM),
            started: payload.started,
            bytes: Vec::new(),
            broken: None,
            missing: None,
        });
        let before = open.missing.map_or(0, |missing| missing.bytes);
        open.missing = match payload.missing {
            Some(missing) => Some(Missing { bytes: before + missing.bytes, ..missing }),
            None => open.missing,
        };
        let done = frame.has(flags::END_HEADERS);
        // A block in one frame is read where it lies.
        let mut alone = None;
        match content {
            None => open.broken = Some(if too_long { "header_block_limit" } else { "headers_lost" }),
            Some(content) if done && open.bytes.is_empty() => alone = Some(content),
            Some(content) if open.bytes.len() + content.len() <= BLOCK_LIMIT => open.bytes.extend_from_slice(content),
            Some(_) => {
                (open.bytes, open.broken) = (Vec::new(), Some("header_block_limit"));
            }
        }
        if !done {
            side.block = Some(open);
            return malformed.map_or(Ok(()), Err);
        }
        let fields = match open.broken {
            Some(why) => {
                side.decoder.lose();
                block::Fields::unseen(why)
            }
            None => {
                let (fields, bad) = block::decode(&mut side.decoder, alone.unwrap_or(&open.bytes));
                malformed = malformed.or(bad);
                fields
            }
        };
        let Open { kind, stream, promised, end_stream, started, bytes: _, broken: _, missing } = open;
        let block = Block { from, stream, fields, started, ended, end_stream, missing };
        match (kind, promised) {
            // Section 8.4: only servers do.
            (Kind::PushPromise, Some(promised)) if from == Direction::ToClient => {
                self.streams.promise(promised, block, out);
            }
            // Of what stream is not known.
            (Kind::PushPromise, _) => {}
            (_, _) => self.streams.headers(block, out),
        }
        malformed.map_or(Ok(()), Err)
    }

    /// The connection ends inside a header block: that there was a message is told.
    pub(super) fn cut(&mut self, from: Direction, out: &mut Output) {
        let side = &self.sides[from as usize];
        let cut = match (&side.state, &side.block) {
            (_, Some(open)) if open.kind == Kind::Headers => Some((open.stream, open.started)),
            (State::Payload(Payload { frame, started, .. }), None) if frame.kind == Kind::Headers => {
                Some((frame.stream, *started))
            }
            _ => None,
        };
        if let Some((stream, started)) = cut {
            let fields = block::Fields::unseen("cut_short");
            let block = Block { from, stream, fields, started, ended: started, end_stream: false, missing: None };
            self.streams.headers(block, out);
        }
    }
}
