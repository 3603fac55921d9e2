//! The messages of one half of a call, as its body comes: told apart, undone and decoded, each as soon as it is whole.

use prost_reflect::MessageDescriptor;

use super::{
    content::{Codec, ContentType, Transport, content_type},
    frames::{Ended, Flavor, Frame, Frames},
    message::{Content, Payload, Tree, decode, undo},
    reflection,
    schema::Schemas,
    web,
};
use crate::dissect::{Carried, Exchange, Head, Headers, Message, Messages, StreamMessage};

/// By what payloads get their names.
#[derive(Clone, Debug, Default)]
pub struct Types {
    pub descriptor: Option<MessageDescriptor>,
    /// From reflection on this connection: anybody may have sent it, so it counts only where it fits.
    pub learned: bool,
    /// The messages hold descriptors.
    pub reflection: bool,
}

impl Types {
    /// Of the requests or the answers (`answers`) under this path.
    pub fn of(path: Option<&[u8]>, answers: bool, operator: &Schemas, learned: Option<&Schemas>) -> Self {
        let Some(path) = path else { return Self::default() };
        let reflection = answers && reflection::is_reflection(path);
        let Ok(path) = std::str::from_utf8(path) else { return Self::default() };
        let (method, learned) = match operator.method(path) {
            Some(method) => (Some(method), false),
            None => (learned.and_then(|schemas| schemas.method(path)), true),
        };
        let descriptor = method.map(|method| if answers { method.output() } else { method.input() });
        Self { descriptor, learned, reflection }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Reader {
    frames: Frames,
    text: Option<web::Text>,
    codec: Codec,
    encoding: Option<Vec<u8>>,
    types: Types,
    limit: usize,
    /// Messages that are decoded already.
    done: usize,
    /// Serialized descriptors that were seen, for `learn`.
    descriptors: Vec<Vec<u8>>,
}

impl Reader {
    /// `None`: the headers are not those of gRPC. `room`: bytes of payloads that may be kept.
    pub fn new(headers: &Headers, types: Types, room: usize) -> Option<Self> {
        let ContentType { transport, codec } = content_type(headers.get("content-type")?)?;
        let flavor = match transport {
            Transport::Grpc => Flavor::Http2,
            Transport::Web | Transport::WebText => Flavor::Web,
        };
        Some(Self {
            frames: Frames::new(flavor, room),
            text: (transport == Transport::WebText).then(web::Text::default),
            codec,
            encoding: headers.get("grpc-encoding").map(<[u8]>::to_vec),
            types,
            limit: room,
            done: 0,
            descriptors: Vec::new(),
        })
    }

    /// More of the body came.
    pub fn push(&mut self, bytes: &[u8], message: &mut Message) {
        match &mut self.text {
            None => self.frames.push(bytes),
            Some(text) => {
                let mut plain = Vec::new();
                let coded = text.push(bytes, &mut plain);
                self.frames.push(&plain);
                if coded.is_err() {
                    self.frames.boundaries_lost();
                }
            }
        }
        self.settle(message, false);
    }

    /// Bytes of the body pass that are not looked at, or are missing.
    pub fn pass(&mut self, count: u64, message: &mut Message) {
        if self.text.is_some() {
            self.frames.boundaries_lost();
        } else {
            self.frames.missing(count);
        }
        self.settle(message, false);
    }

    /// An unknown part of the body is missing.
    pub fn lose(&mut self) {
        self.frames.boundaries_lost();
    }

    /// Nothing more comes; a finding when messages could not be told apart to the end.
    pub fn end(&mut self, whole: bool, message: &mut Message) -> Option<&'static str> {
        match &self.text {
            Some(text) if !text.complete() => self.frames.boundaries_lost(),
            Some(_) | None if whole => self.frames.end(),
            Some(_) | None => {}
        }
        self.settle(message, true);
        match self.frames.ended() {
            Some(Ended::BadFlags(_)) => Some("bad_grpc_frame"),
            Some(Ended::Cut) => Some("grpc_message_cut"),
            Some(Ended::PrefixLost) => Some("grpc_messages_lost"),
            Some(Ended::Clean) | None => None,
        }
    }

    /// Bytes that need not come at all.
    pub fn unneeded(&self) -> u64 {
        if self.text.is_some() { 0 } else { self.frames.unneeded() }
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.frames.heap()
    }

    /// Descriptors that came since the last call.
    pub fn take_descriptors(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.descriptors)
    }

    /// Hands on what is whole by now; at the end also what is not.
    fn settle(&mut self, message: &mut Message, end: bool) {
        let messages = message.body.messages.get_or_insert_default();
        (messages.count, messages.bytes) = (self.frames.count(), self.frames.bytes());
        let known = self.frames.messages().len();
        for (index, frame) in self.frames.messages().enumerate().skip(self.done) {
            // Only the last one may still grow.
            if !frame.whole() && !end && index + 1 == known {
                break;
            }
            self.done = index + 1;
            if frame.trailers {
                trailers(&frame, self.encoding.as_deref(), self.limit, &mut message.trailers);
                continue;
            }
            let (carried, encoding) = self.carried(&frame);
            if self.types.reflection && frame.whole() && !frame.compressed {
                self.descriptors.extend(reflection::descriptors(frame.front).map(<[u8]>::to_vec));
            }
            let messages = message.body.messages.get_or_insert_default();
            messages.list.push(StreamMessage { size: frame.size, carried, encoding });
        }
    }

    fn carried(&self, frame: &Frame<'_>) -> (Carried, Option<&'static str>) {
        if !frame.whole() {
            let why = if self.frames.ended() == Some(Ended::PrefixLost) { "lost" } else { "too_large" };
            return (Carried::Raw { bytes: frame.front.to_vec(), why }, None);
        }
        let payload = Payload {
            bytes: frame.front,
            compressed: frame.compressed,
            encoding: self.encoding.as_deref(),
            codec: self.codec,
        };
        let mut decoded = decode(payload, self.types.descriptor.as_ref(), self.limit);
        if let Content::Tree(Tree { type_name: Some(_), unknown, mismatched, .. }) = &decoded.content
            && self.types.learned
            && unknown + mismatched > 0
        {
            decoded = decode(payload, None, self.limit);
        }
        let carried = match decoded.content {
            Content::Raw(bytes, why) => Carried::Raw { bytes, why },
            Content::Tree(Tree { tree, type_name, cut, unknown: _, mismatched: _ }) => Carried::Fields {
                json: tree.to_string().into_bytes(),
                learned: self.types.learned && type_name.is_some(),
                type_name: type_name.map(String::into_boxed_str),
                cut,
            },
        };
        (carried, decoded.undone)
    }
}

/// gRPC-Web's trailers, which stand in the body.
fn trailers(frame: &Frame<'_>, encoding: Option<&[u8]>, limit: usize, trailers: &mut Headers) {
    let undone = if frame.compressed { undo(frame.front, encoding, limit).ok().map(|(block, _)| block) } else { None };
    let block = match &undone {
        Some(block) => block,
        None if frame.compressed => return,
        None => frame.front,
    };
    for (name, value) in web::trailers(block) {
        trailers.push(name, value);
    }
}

/// The types of the requests or the answers (`answers`) of this call.
pub fn types(exchange: Option<&mut Exchange>, answers: bool, operator: &Schemas) -> Types {
    let request = exchange.and_then(|exchange| exchange.request.as_ref());
    let path = request.and_then(|request| match &request.head {
        Head::HttpRequest(head) => head.target.as_deref(),
        _ => None,
    });
    Types::of(path, answers, operator, None)
}

/// The messages of a body that is over, as far as it was kept (gRPC-Web over HTTP/1).
pub fn of_body(message: &mut Message, types: Types, limit: usize) -> Option<Option<&'static str>> {
    let mut reader = Reader::new(&message.headers, types, limit)?;
    let kept = std::mem::take(&mut message.body.kept);
    reader.push(&kept, message);
    let whole = message.body.size == Some(kept.len() as u64);
    if !whole {
        reader.lose();
    }
    message.body.truncated = false;
    Some(reader.end(whole, message))
}

impl Messages {
    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        let carried = |message: &StreamMessage| match &message.carried {
            Carried::Fields { json, type_name, .. } => {
                json.capacity() + type_name.as_ref().map_or(0, |name| name.len())
            }
            Carried::Raw { bytes, .. } => bytes.capacity(),
        };
        self.list.capacity() * size_of::<StreamMessage>() + self.list.iter().map(carried).sum::<usize>()
    }
}
