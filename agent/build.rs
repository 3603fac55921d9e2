//! Builds the kernel side with the toolchain of `rust-toolchain.toml` and leaves the object in `OUT_DIR`.

use aya_build::{Package, Toolchain};

/// The same stable toolchain as the rest: `RUSTC_BOOTSTRAP` lets it build `core` for the BPF target.
const TOOLCHAIN: &str = "1.99.0";

#[expect(unsafe_code, reason = "the environment of a build script")]
fn main() -> anyhow::Result<()> {
    // SAFETY: a build script's main thread, before any other thread exists.
    unsafe { std::env::set_var("RUSTC_BOOTSTRAP", "1") };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../agent-ebpf");
    aya_build::build_ebpf(
        [Package { name: "agent-ebpf", root_dir: root, ..Default::default() }],
        Toolchain::Custom(TOOLCHAIN),
    )
}
