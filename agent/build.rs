//! Builds the kernel side with the toolchain of `rust-toolchain.toml` and leaves the object in `OUT_DIR`. With
//! `AYA_BUILD_SKIP=1` the object is empty: for builds that never load it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use aya_build::{Package, Toolchain};

/// The same stable toolchain as the rest: `RUSTC_BOOTSTRAP` lets it build `core` for the BPF target.
const TOOLCHAIN: &str = "1.99.0";

#[expect(unsafe_code, reason = "the environment of a build script")]
fn main() -> Result<()> {
    // SAFETY: a build script's main thread, before any other thread exists.
    unsafe { std::env::set_var("RUSTC_BOOTSTRAP", "1") };
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("no OUT_DIR")?);
    share_target(&out).context("cannot share the kernel side's target folder")?;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../agent-ebpf");
    aya_build::build_ebpf(
        [Package { name: "agent-ebpf", root_dir: root, ..Default::default() }],
        Toolchain::Custom(TOOLCHAIN),
    )?;
    let object = out.join("agent-ebpf");
    if !object.exists() {
        fs::write(object, [])?;
    }
    Ok(())
}

/// aya-build has a target folder in each `OUT_DIR`, so that each profile would compile `core`, aya and what their macros
/// need once more. The kernel side is the same in all of them: they share `kernel` in cargo's own target folder.
fn share_target(out: &Path) -> Result<()> {
    // TARGET FOLDER/[TARGET/]PROFILE/build/PACKAGE-HASH/out
    let above = out.ancestors().nth(4).context("OUT_DIR is not where cargo puts it")?;
    let triple = std::env::var_os("TARGET").context("no TARGET")?;
    let folder = if above.ends_with(triple) { above.parent().unwrap_or(above) } else { above };
    let (shared, link) = (folder.join("kernel"), out.join("aya-build/target"));
    if fs::read_link(&link).is_ok_and(|to| to == shared) {
        return Ok(());
    }
    fs::create_dir_all(&shared)?;
    match fs::remove_dir_all(out.join("aya-build")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir(out.join("aya-build"))?,
    }
    Ok(std::os::unix::fs::symlink(shared, link)?)
}
