//! The kernel side as user space sees it: loading the object, attaching the hooks, reading the ring. Seen by `capture`
//! and `run` alone.

mod cgroup;
mod hooks;
mod load;
mod ring;

pub use cgroup::{CgroupError, cgroup2_root};
pub use load::{Kernel, LoadError, Options, load};
pub use ring::{Clock, LostView, Ring, RingError};
