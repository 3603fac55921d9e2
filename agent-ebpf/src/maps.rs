//! Every map and the settings.

use agent_common::{Count, Lost, LostKey, RING_BYTES, Settings, SocketState};
use aya_ebpf::{
    bindings::bpf_map_type::BPF_MAP_TYPE_SK_STORAGE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};

/// Directions of views with losses between two sweeps of user space; beyond that a loss is counted, not named.
const LOST_ENTRIES: u32 = 16_384;
/// Handshakes in progress, and established ones whose server has not spoken yet.
const HANDSHAKES: u32 = 16_384;

#[map]
pub static RING: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

#[map]
pub static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Count::LEN, 0);

/// Start of the current window of the allowance for bodies, and bytes used of it. Two CPUs may write at a time: the
/// bound is then off by a packet.
#[map]
pub static ALLOWANCE: Array<[u64; 2]> = Array::with_max_entries(1, 0);

#[map]
pub static LOST: HashMap<LostKey, Lost> = HashMap::with_max_entries(LOST_ENTRIES, 0);

/// (client ISN, server ISN) of handshakes whose SYN-ACK left a socket of this node → a value of `handshake`.
#[map]
pub static SYN_ACKS: LruHashMap<[u32; 2], u32> = LruHashMap::with_max_entries(HANDSHAKES, 0);

/// Values of `SYN_ACKS`.
pub mod handshake {
    /// The SYN-ACK was sent.
    pub const SENT: u32 = 1;
    /// A socket of this node received it: both ends are here.
    pub const LOCAL: u32 = 2;
    /// One end is the agent's.
    pub const OWN: u32 = 3;
}

/// The kernel fills this in at load time. aya's own type has no `BPF_F_CLONE`, by which a listener's mark passes to the
/// sockets that it accepts.
#[repr(C)]
pub struct SocketStorage {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const SocketState,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; NO_PREALLOC | CLONE],
}

/// `BPF_F_NO_PREALLOC`, which socket storage demands.
const NO_PREALLOC: usize = 1;
/// `BPF_F_CLONE`.
const CLONE: usize = 1 << 9;

// SAFETY: the pointers only describe the map's types to the loader; nothing dereferences them.
unsafe impl Sync for SocketStorage {}

#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
pub static SOCKETS: SocketStorage = SocketStorage {
    r#type: core::ptr::null(),
    key: core::ptr::null(),
    value: core::ptr::null(),
    max_entries: core::ptr::null(),
    map_flags: core::ptr::null(),
};

#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings { turn_budget: 0, allowance: 0, wake_at: 0, agent: 0 };

/// Read as volatile: else the compiler takes the zeros above for the values.
#[inline(always)]
pub fn settings() -> Settings {
    // SAFETY: a static of plain integers that the loader wrote before the program ran.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS) }
}

#[inline(always)]
pub fn count(what: Count) {
    if let Some(value) = COUNTS.get_ptr_mut(what as u32) {
        // SAFETY: a valid element; per CPU, so at worst an interrupt's increment is lost.
        unsafe { *value += 1 }
    }
}
