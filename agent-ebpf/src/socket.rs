//! Whose packet it is: the socket behind it, what is kept for that socket, and whether the peer's is on this node.

use agent_common::{SocketState, socket};
use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, BPF_SK_STORAGE_GET_F_CREATE, bpf_sock},
    helpers::generated::{bpf_sk_fullsock, bpf_sk_storage_get},
    programs::SkBuffContext,
};

use crate::{
    headers::Tcp,
    maps::{SOCKETS, SYN_ACKS, handshake},
};

/// `TCP_LISTEN` of the kernel's socket states.
const LISTEN: u32 = 10;

#[inline(always)]
pub fn skb(ctx: &SkBuffContext) -> *mut __sk_buff {
    ctx.as_ptr().cast()
}

/// A full socket; request and time-wait sockets are none.
#[derive(Clone, Copy)]
pub struct Socket(pub *mut bpf_sock);

impl Socket {
    #[inline(always)]
    pub fn of(ctx: &SkBuffContext) -> Option<Self> {
        // SAFETY: the context is the kernel's; both pointers are checked, as the verifier demands.
        unsafe {
            let sk = (*skb(ctx)).__bindgen_anon_2.sk;
            if sk.is_null() {
                return None;
            }
            let full = bpf_sk_fullsock(sk);
            if full.is_null() { None } else { Some(Self(full)) }
        }
    }

    #[inline(always)]
    pub fn listens(self) -> bool {
        // SAFETY: a non-null full socket.
        unsafe { core::ptr::read_volatile(&raw const (*self.0).state) == LISTEN }
    }

    /// What is kept for it, if anything.
    #[inline(always)]
    pub fn state(self) -> Option<&'static mut SocketState> {
        self.storage(0)
    }

    /// What is kept for it, made now if need be. `None` when the kernel has no memory for it.
    #[inline(always)]
    pub fn state_or_new(self) -> Option<&'static mut SocketState> {
        self.storage(u64::from(BPF_SK_STORAGE_GET_F_CREATE))
    }

    #[inline(always)]
    fn storage(self, flags: u64) -> Option<&'static mut SocketState> {
        // SAFETY: the map's values are `SocketState`s; two CPUs may write one at a time, which costs at most a byte
        // count that is a little off.
        unsafe {
            let state =
                bpf_sk_storage_get((&raw const SOCKETS).cast_mut().cast(), self.0.cast(), core::ptr::null_mut(), flags);
            state.cast::<SocketState>().as_mut()
        }
    }
}

/// What the handshake tells about a TCP packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Nothing,
    /// The socket just turned out to be the peer of one of the agent's.
    Own,
}

/// Notes what a packet tells of its connection's two ends. Sequence numbers stay the same through NAT, so (client ISN,
/// server ISN) names a connection at both of its sockets.
#[inline(always)]
pub fn learn(state: &mut SocketState, tcp: &Tcp, egress: bool) -> Told {
    let syn = tcp.flags & Tcp::SYN != 0;
    let ack = tcp.flags & Tcp::ACK != 0;
    if syn && !ack {
        state.client_isn = tcp.seq;
        state.flags |= socket::CHECKED;
        return Told::Nothing;
    }
    let key = if syn {
        [tcp.ack.wrapping_sub(1), tcp.seq]
    } else if state.flags & socket::CHECKED != 0 {
        return Told::Nothing;
    } else if egress {
        [tcp.ack.wrapping_sub(1), tcp.seq.wrapping_sub(1)]
    } else {
        [tcp.seq.wrapping_sub(1), tcp.ack.wrapping_sub(1)]
    };
    state.flags |= socket::CHECKED;
    // SAFETY: the value is copied at once.
    let found = unsafe { SYN_ACKS.get(&key) }.copied().unwrap_or(0);
    if syn || found != 0 {
        state.client_isn = key[0];
        state.server_isn = key[1];
        state.flags |= socket::JOIN;
    }
    let own = state.flags & socket::OWN != 0;
    if found == handshake::OWN || own {
        if syn && own && found != 0 {
            // The agent called a server here: its socket is to know, too.
            let _ = SYN_ACKS.insert(&key, &handshake::OWN, 0);
        }
        state.flags |= socket::OWN;
        return if own { Told::Nothing } else { Told::Own };
    }
    if found != 0 && syn {
        let _ = SYN_ACKS.insert(&key, &handshake::LOCAL, 0);
    }
    // A client that finds the SYN-ACK's sender here, or a server whose SYN-ACK arrived here.
    if (syn && found != 0) || found == handshake::LOCAL {
        state.flags |= socket::TWIN;
    }
    Told::Nothing
}

/// A SYN-ACK leaves a listener.
#[inline(always)]
pub fn note_syn_ack(tcp: &Tcp, own: bool) {
    let key = [tcp.ack.wrapping_sub(1), tcp.seq];
    let _ = SYN_ACKS.insert(&key, &if own { handshake::OWN } else { handshake::SENT }, 0);
}
