//! Detection by bytes, never by port: what the first bytes of a direction, or of a turn, say of the protocol.

use super::{Direction, Match, PROTOCOLS, Protocol, Scan, tls};
use crate::flow::Protocol4;

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// `reversed`: the bytes come from the other role than the flow says.
    Protocol {
        protocol: &'static Protocol,
        reversed: bool,
    },
    Encrypted {
        server_name: Option<String>,
        reversed: bool,
    },
    /// No protocol begins like this.
    Nothing,
    NeedMore,
}

/// Looks at the first bytes that `from` sends. In mid-stream the roles are a guess, so both are tried, and TLS may be
/// past its handshake.
pub(super) fn look(from: Direction, bytes: &[u8], mid_stream: bool) -> Found {
    let mut undecided = false;
    for &protocol in PROTOCOLS.iter().filter(|protocol| protocol.transport == Protocol4::Tcp) {
        for (role, reversed) in [(from, false), (from.other(), true)] {
            // In mid-stream a server's first frame may be a client's: the scan looks for who sends.
            if mid_stream && protocol.scan.is_some() && role == Direction::ToClient || reversed && !mid_stream {
                continue;
            }
            match (protocol.probe)(role, bytes) {
                Match::Yes => return Found::Protocol { protocol, reversed },
                Match::NeedMore => undecided = true,
                Match::No => {}
            }
        }
    }
    match tls::begins(bytes) {
        (Match::Yes, sender) => {
            let reversed = mid_stream && sender.is_some_and(|sender| sender != from);
            return Found::Encrypted { server_name: tls::server_name(bytes), reversed };
        }
        (Match::NeedMore, _) => undecided = true,
        (Match::No, _) => {}
    }
    if mid_stream {
        match tls::continues(bytes) {
            Match::Yes => return Found::Encrypted { server_name: None, reversed: false },
            Match::NeedMore => undecided = true,
            Match::No => {}
        }
    }
    if undecided { Found::NeedMore } else { Found::Nothing }
}

/// Looks for where `protocol` goes on among bytes that `sender` sent.
pub(super) fn scan(protocol: &'static Protocol, sender: Option<Direction>, bytes: &[u8]) -> (&'static Protocol, Scan) {
    (protocol, protocol.scan.map_or(Scan::Undecided(bytes.len()), |scan| scan(sender, bytes)))
}

/// Looks for any protocol that goes on in mid-stream.
pub(super) fn scan_all(bytes: &[u8]) -> (&'static Protocol, Scan) {
    let mut first = (PROTOCOLS[0], Scan::Undecided(bytes.len()));
    for protocol in PROTOCOLS.iter().filter(|protocol| protocol.scan.is_some()) {
        let found = scan(protocol, None, bytes);
        match (found.1, first.1) {
            (Scan::Found { .. }, _) => return found,
            (Scan::Undecided(before), Scan::Undecided(known)) if before < known => first = found,
            (Scan::Undecided(_), _) => {}
        }
    }
    first
}
