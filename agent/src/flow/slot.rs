//! What the table keeps of a flow besides what everybody sees.

use std::net::SocketAddr;

use super::{Direction, Flow, address::Key, tcp::Connection};
use crate::{capture::Tuple, time::Time};

#[derive(Debug)]
pub(super) struct Slot<T> {
    pub(super) flow: Flow<T>,
    pub(super) kind: Kind,
    /// Counts up with each flow: tells a slot's flow from those that had the slot before.
    pub(super) serial: u64,
    /// Under which tuples the flow is found.
    pub(super) keys: [Option<Key>; 2],
    pub(super) views: Sockets,
    /// When it was last put to the end of its activity list.
    pub(super) queued: Time,
    /// It carried data.
    pub(super) spoke: bool,
    /// Since when it is in the list of those that wait.
    pub(super) queued_wait: Time,
    /// Memory for out-of-order bytes, as the table has it in its sum.
    pub(super) held: usize,
    /// Of the flow's bytes, those that were missing.
    pub(super) missing: u64,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would cost a cache miss a packet")]
pub(super) enum Kind {
    Tcp(Connection),
    /// In which directions a datagram was seen as it was sent.
    Udp {
        sent: [bool; 2],
    },
}

/// The sockets at which a connection on this node was seen. Empty for files.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// Of the client and the server; 0 is no socket's cookie.
    pub(super) cookies: [u64; 2],
    /// What each socket says of its addresses, client → server.
    pub(super) own: [Option<Tuple>; 2],
    /// The server's listening socket was seen to take the connection.
    pub(super) listener: bool,
    /// Where the client's packets really went, or came to at the listener.
    pub(super) reached: Option<SocketAddr>,
    /// Both ends are on this node: what they send is all, what they receive is the same again.
    pub(super) joined: bool,
    /// Packets in which the other end is still looked for.
    pub(super) searches: u8,
}

impl Sockets {
    /// The flow is of this node, not of a file.
    pub(super) fn any(&self) -> bool {
        self.listener || self.cookies != [0; 2]
    }

    pub(super) fn is_free(&self, side: Direction) -> bool {
        self.cookies[side as usize] == 0
    }

    pub(super) fn join(&mut self) {
        let [client, server] = self.cookies;
        self.joined = client != 0 && (server != 0 || self.listener);
    }
}

impl<T> Slot<T> {
    /// Names the ends by what is known best: each end by its own socket, else as the other end sees it.
    pub(super) fn name_ends(&mut self) {
        let Sockets { own: [client, server], reached, cookies, listener, .. } = &self.views;
        let flow = &mut self.flow;
        if let Some(own) = client.or(*server) {
            flow.ends.src = own.src;
        }
        if let Some(dst) = server.map(|own| own.dst).or(*reached).or(client.map(|own| own.dst)) {
            flow.ends.dst = dst;
        }
        flow.dialed = client.map(|own| own.dst).filter(|dialed| *dialed != flow.ends.dst);
        flow.views.client = cookies[0] != 0;
        flow.views.server = cookies[1] != 0 || *listener;
    }

    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.kind {
            Kind::Tcp(connection) => Some(connection),
            Kind::Udp { .. } => None,
        }
    }
}
