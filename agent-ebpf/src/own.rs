//! Hooks: `cgroup/connect4` and `cgroup/connect6`: marks the sockets that the agent itself connects. Why these: they run
//! in the calling process, before the first packet. Kernels: 4.17; socket storage here 5.8. If they can't attach, the
//! agent's own calls are captured like any other's.

use agent_common::socket;
use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    helpers::generated::{bpf_get_current_pid_tgid, bpf_sk_storage_get},
    macros::cgroup_sock_addr,
    programs::SockAddrContext,
};

use crate::maps::{SOCKETS, settings};

/// The call goes on, always.
const PASS: i32 = 1;

#[cgroup_sock_addr(connect4)]
pub fn connect_ipv4(ctx: SockAddrContext) -> i32 {
    mark(&ctx);
    PASS
}

#[cgroup_sock_addr(connect6)]
pub fn connect_ipv6(ctx: SockAddrContext) -> i32 {
    mark(&ctx);
    PASS
}

#[inline(always)]
fn mark(ctx: &SockAddrContext) {
    // SAFETY: the context is the kernel's; the storage is checked before it is written.
    unsafe {
        if (bpf_get_current_pid_tgid() >> 32) as u32 != settings().agent {
            return;
        }
        let sk = (*ctx.sock_addr).__bindgen_anon_1.sk;
        if sk.is_null() {
            return;
        }
        let state = bpf_sk_storage_get(
            (&raw const SOCKETS).cast_mut().cast(),
            sk.cast(),
            core::ptr::null_mut(),
            u64::from(BPF_SK_STORAGE_GET_F_CREATE),
        )
        .cast::<agent_common::SocketState>();
        if !state.is_null() {
            (*state).flags |= socket::OWN;
        }
    }
}
