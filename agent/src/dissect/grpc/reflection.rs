//! Server reflection on the wire (grpc/reflection/v1/reflection.proto; v1alpha has the same messages): whoever asks a
//! server for its descriptors lets us learn them too. What is taken from a response is the file descriptors, as bytes;
//! `schema` judges them.

use super::wire::{Fields, Wire};

/// `ServerReflectionResponse.file_descriptor_response`.
const FILE_DESCRIPTOR_RESPONSE: u32 = 4;

/// `FileDescriptorResponse.file_descriptor_proto`, repeated bytes: "the file and the transitive dependencies".
const FILE_DESCRIPTOR_PROTO: u32 = 1;

const PATHS: [&[u8]; 2] = [
    b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    b"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Whether responses under this path hold descriptors.
pub fn is_reflection(path: &[u8]) -> bool {
    PATHS.contains(&path)
}

/// Serialized `FileDescriptorProto`s in the payload of a `ServerReflectionResponse`.
pub fn descriptors(response: &[u8]) -> impl Iterator<Item = &[u8]> {
    let files = Fields::of(response).flatten().filter_map(bytes_of(FILE_DESCRIPTOR_RESPONSE));
    files.flat_map(|files| Fields::of(files).flatten().filter_map(bytes_of(FILE_DESCRIPTOR_PROTO)))
}

fn bytes_of<'a>(wanted: u32) -> impl Fn((u32, Wire<'a>)) -> Option<&'a [u8]> {
    move |(number, wire)| match wire {
        Wire::Bytes(bytes) if number == wanted => Some(bytes),
        Wire::Bytes(_) | Wire::Varint(_) | Wire::Fixed64(_) | Wire::Fixed32(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use prost::encoding;

    use super::*;

    #[test]
    fn descriptors_are_found() {
        let (mut files, mut response) = (Vec::new(), Vec::new());
        encoding::bytes::encode(1, &b"one".to_vec(), &mut files);
        encoding::bytes::encode(1, &b"two".to_vec(), &mut files);
        encoding::bytes::encode(1, &b"host".to_vec(), &mut response);
        encoding::bytes::encode(4, &files, &mut response);
        assert_eq!(descriptors(&response).collect::<Vec<_>>(), [b"one", b"two"]);
        assert_eq!(descriptors(b"\x08\x01\xff").count(), 0);
        assert!(is_reflection(b"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"));
        assert!(!is_reflection(b"/grpc.reflection.v1.ServerReflection/Other"));
    }
}
