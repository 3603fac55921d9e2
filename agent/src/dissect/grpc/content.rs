//! Content types of gRPC (gRPC over HTTP/2: "application/grpc" [("+proto" / "+json" / {custom})]; gRPC-Web has its own).

/// Where messages are framed how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Grpc,
    /// gRPC-Web: trailers are in the body.
    Web,
    /// The same, all of it in base64.
    WebText,
}

/// What a message's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Also when nothing is said: that is the default.
    Proto,
    Json,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType {
    pub transport: Transport,
    pub codec: Codec,
}

/// The longest first: each is the front of those before it.
const TRANSPORTS: [(&[u8], Transport); 3] = [
    (b"application/grpc-web-text", Transport::WebText),
    (b"application/grpc-web", Transport::Web),
    (b"application/grpc", Transport::Grpc),
];

/// `None` when it is not gRPC.
pub fn content_type(value: &[u8]) -> Option<ContentType> {
    // Parameters don't matter.
    let value = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    TRANSPORTS.into_iter().find_map(|(name, transport)| {
        let (front, codec) = value.split_at_checked(name.len())?;
        if !front.eq_ignore_ascii_case(name) {
            return None;
        }
        let codec = match codec {
            [] => Codec::Proto,
            [b'+', codec @ ..] if codec.eq_ignore_ascii_case(b"proto") => Codec::Proto,
            [b'+', codec @ ..] if codec.eq_ignore_ascii_case(b"json") => Codec::Json,
            [b'+', ..] => Codec::Other,
            [_, ..] => return None,
        };
        Some(ContentType { transport, codec })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transport_and_codec_are_told() {
        let known = |value: &str| content_type(value.as_bytes()).map(|found| (found.transport, found.codec));
        assert_eq!(known("application/grpc"), Some((Transport::Grpc, Codec::Proto)));
        assert_eq!(known("Application/gRPC+Proto; charset=utf-8"), Some((Transport::Grpc, Codec::Proto)));
        assert_eq!(known("application/grpc+json"), Some((Transport::Grpc, Codec::Json)));
        assert_eq!(known("application/grpc+thrift"), Some((Transport::Grpc, Codec::Other)));
        assert_eq!(known("application/grpc-web+proto"), Some((Transport::Web, Codec::Proto)));
        assert_eq!(known("application/grpc-web-text"), Some((Transport::WebText, Codec::Proto)));
        assert_eq!(known("application/grpc-web-text+proto"), Some((Transport::WebText, Codec::Proto)));
        for other in ["application/grpcx", "application/grpc-websocket", "application/json", "", "application/grp"] {
            assert_eq!(known(other), None, "{other}");
        }
    }
}
