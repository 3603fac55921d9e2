//! The payload of one whole message: its compression undone, then its fields decoded, by a schema if there is one, else
//! guessed. What can't be undone or decoded stays as it is, with the reason.

use prost_reflect::MessageDescriptor;
use serde_json::Value;

use super::{super::http::decode as coding, budget::Budget, content::Codec, guess, typed};

/// Why a message that is larger than what is kept stays raw.
pub const TOO_LARGE: &str = "too_large";

/// One whole payload, and what the headers say about it.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    pub bytes: &'a [u8],
    /// The frame's flag.
    pub compressed: bool,
    /// The value of `grpc-encoding`.
    pub encoding: Option<&'a [u8]>,
    pub codec: Codec,
}

/// What a payload holds.
#[derive(Debug)]
pub struct Message {
    pub content: Content,
    /// The compression that was undone.
    pub undone: Option<&'static str>,
}

#[derive(Debug)]
pub enum Content {
    Tree(Tree),
    /// As far as its compression was undone. The reason is a short name, for a record.
    Raw(Vec<u8>, &'static str),
}

#[derive(Debug)]
pub struct Tree {
    pub tree: Value,
    /// The full name of its type; `None`: there was no schema, and `tree` is guessed.
    pub type_name: Option<String>,
    /// Some of the message is not in the tree, for its size or depth.
    pub cut: bool,
    /// Fields that the schema does not have.
    pub unknown: u32,
    /// Fields that are not what the schema says.
    pub mismatched: u32,
}

/// Decodes a payload. `limit`: bytes that it may have when its compression is undone, and of texts in the tree.
pub fn decode(payload: Payload<'_>, descriptor: Option<&MessageDescriptor>, limit: usize) -> Message {
    let Payload { bytes, compressed, encoding, codec } = payload;
    let raw = |bytes: &[u8], why| Message { content: Content::Raw(bytes.to_vec(), why), undone: None };
    if !compressed {
        return Message { content: fields(bytes, codec, descriptor, limit), undone: None };
    }
    match undo(bytes, encoding, limit) {
        Ok((bytes, name)) => Message { content: fields(&bytes, codec, descriptor, limit), undone: Some(name) },
        Err(why) => raw(bytes, why),
    }
}

/// Undoes the compression of a whole payload whose frame says that it is compressed.
pub fn undo(bytes: &[u8], encoding: Option<&[u8]>, limit: usize) -> Result<(Vec<u8>, &'static str), &'static str> {
    // gRPC over HTTP/2: the flag "1 indicates that the binary octet sequence of Message is compressed using the
    // mechanism declared by the Message-Encoding header"; without one it is an error of the sender.
    let encoding = encoding.map(<[u8]>::trim_ascii).filter(|name| !name.eq_ignore_ascii_case(b"identity"));
    let encoding = encoding.ok_or("grpc_encoding_missing")?;
    match coding::decode(std::iter::once(encoding), bytes, true, limit) {
        Ok(Some(coding::Decoded { bytes, name, whole, damaged })) => match (whole, damaged) {
            (true, _) => Ok((bytes, name)),
            (false, true) => Err("grpc_encoding"),
            (false, false) => Err(TOO_LARGE),
        },
        Ok(None) => Err("grpc_encoding"),
        Err("content_encoding_unknown") => Err("grpc_encoding_unknown"),
        Err(_) => Err("grpc_encoding"),
    }
}

fn fields(bytes: &[u8], codec: Codec, descriptor: Option<&MessageDescriptor>, limit: usize) -> Content {
    let mut budget = Budget::new(limit);
    let whole = |tree, cut| Tree { tree, type_name: None, cut, unknown: 0, mismatched: 0 };
    match codec {
        Codec::Other => Content::Raw(bytes.to_vec(), "grpc_codec_unknown"),
        // As sent: a text that is JSON already needs no tree, and one made of it could be larger than any budget.
        Codec::Json => Content::Raw(bytes.to_vec(), "json"),
        Codec::Proto => {
            if let Some(descriptor) = descriptor
                && let Some(typed) = typed::decode(descriptor, bytes, &mut budget)
            {
                let typed::Typed { tree, unknown, mismatched } = typed;
                let type_name = Some(descriptor.full_name().to_owned());
                return Content::Tree(Tree { tree, type_name, cut: budget.cut(), unknown, mismatched });
            }
            match guess::guess(bytes, &mut budget) {
                Some(tree) => Content::Tree(whole(tree, budget.cut())),
                None => Content::Raw(bytes.to_vec(), "not_protobuf"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;
    use crate::dissect::grpc::testing::Random;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn run(bytes: &[u8], encoding: Option<&str>) -> (Result<Value, &'static str>, Option<&'static str>) {
        let encoding = encoding.map(str::as_bytes);
        let compressed = encoding.is_some();
        let message = decode(Payload { bytes, compressed, encoding, codec: Codec::Proto }, None, 1000);
        let content = match message.content {
            Content::Tree(tree) => Ok(tree.tree),
            Content::Raw(_, why) => Err(why),
        };
        (content, message.undone)
    }

    #[test]
    fn each_compression_is_undone() {
        let plain = b"\x0a\x05hello\x10\x2a";
        let tree = json!({"1": "hello", "2": 42});
        assert_eq!(run(plain, None), (Ok(tree.clone()), None));
        assert_eq!(run(&gzip(plain), Some("gzip")), (Ok(tree.clone()), Some("gzip")));
        assert_eq!(run(&zlib(plain), Some("deflate")), (Ok(tree.clone()), Some("deflate")));
        let zstd = zstd::encode_all(&plain[..], 3).unwrap();
        assert_eq!(run(&zstd, Some("zstd")), (Ok(tree), Some("zstd")));
        assert_eq!(run(&gzip(b""), Some("gzip")), (Ok(json!({})), Some("gzip")));
    }

    #[test]
    fn what_stays_raw_says_why() {
        assert_eq!(run(b"\x08\x01", Some("snappy")).0, Err("grpc_encoding_unknown"));
        assert_eq!(run(b"\x08\x01", Some("identity")).0, Err("grpc_encoding_missing"));
        assert_eq!(run(b"\x08\x01", Some("gzip")).0, Err("grpc_encoding"));
        assert_eq!(run(b"", Some("gzip")).0, Err("grpc_encoding"));
        assert_eq!(run(b"hello", None).0, Err("not_protobuf"));
        let bomb = gzip(&vec![0; 100 << 20]);
        assert_eq!(run(&bomb, Some("gzip")).0, Err("too_large"));
        let half = gzip(b"\x0a\x05hello");
        assert_eq!(run(&half[..half.len() - 4], Some("gzip")).0, Err("grpc_encoding"));
        let payload = Payload { bytes: b"\x01{}", compressed: false, encoding: None, codec: Codec::Other };
        assert!(
            matches!(decode(payload, None, 10).content, Content::Raw(bytes, "grpc_codec_unknown") if bytes == b"\x01{}")
        );
    }

    #[test]
    fn any_bytes_give_some_content() {
        let mut random = Random(5);
        let seed = gzip(&b"\x0a\x05hello\x10\x2a".repeat(20));
        for _ in 0..3000 {
            let bytes = random.mutated(&seed);
            for encoding in ["gzip", "deflate", "zstd"] {
                let (content, undone) = run(&bytes, Some(encoding));
                assert!(content.is_err() || undone.is_some());
            }
        }
    }
}
