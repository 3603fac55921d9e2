//! What a record takes from its flow.

use std::net::SocketAddr;

use crate::{
    capture::{CaptureSource, JoinKey},
    flow::{Flow, Views},
};

/// Where an exchange was seen. Made once for a flow, used for each of its exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Random per run of an agent, 0 for capture files.
    pub epoch: u32,
    /// Names the connection within its source.
    pub conn: u64,
    pub source: CaptureSource,
    pub client: SocketAddr,
    /// The endpoint that was reached.
    pub server: SocketAddr,
    /// What the client called, when that differs from `server`.
    pub dialed: Option<SocketAddr>,
    pub views: Views,
    pub join_key: Option<JoinKey>,
}

impl Origin {
    pub fn of<T>(flow: &Flow<T>, epoch: u32) -> Self {
        Self {
            epoch,
            conn: flow.id.0,
            source: flow.source,
            client: flow.ends.src,
            server: flow.ends.dst,
            dialed: flow.dialed,
            views: flow.views,
            join_key: flow.join_key,
        }
    }

    /// For a flow whose client was guessed, when its bytes show that the guess was wrong. `dialed` belonged to the
    /// wrong end, so it is dropped.
    pub fn reversed(self) -> Self {
        Self {
            client: self.server,
            server: self.client,
            dialed: None,
            views: Views { client: self.views.server, server: self.views.client },
            join_key: self.join_key.map(|key| JoinKey { client: key.server, server: key.client }),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_guess_is_turned_round() {
        let origin = Origin {
            epoch: 1,
            conn: 2,
            source: CaptureSource::Ebpf,
            client: ([10, 0, 0, 1], 80).into(),
            server: ([10, 0, 0, 2], 50_000).into(),
            dialed: Some(([10, 96, 0, 1], 80).into()),
            views: Views { client: true, server: false },
            join_key: Some(JoinKey { client: 1, server: 2 }),
        };
        let turned = origin.reversed();
        assert_eq!((turned.client, turned.server), (origin.server, origin.client));
        assert_eq!(turned.views, Views { client: false, server: true });
        assert_eq!(turned.join_key, Some(JoinKey { client: 2, server: 1 }));
        assert_eq!((turned.dialed, turned.conn, turned.epoch), (None, 2, 1));
    }
}
