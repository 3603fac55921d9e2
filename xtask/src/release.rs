//! `cargo xtask release`: the program to hand to others, for this machine's architecture. It is linked with musl, so
//! that one file runs on any Linux, whatever libc is there; that it needs no other file is read from the file itself.
//! CI does not run it: that would build every dependency once more, for what the tests of this file hold cheaply.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use crate::{host, tools};

pub fn release(args: &[String]) -> Result<ExitCode> {
    host::no_more(args)?;
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    tools::programs_for_release()?;
    tools::rust_target(&target)?;
    tools::bpf_linker()?;
    let binary = build(&target)?;
    let file = std::fs::read(&binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let needs = needs(&file).with_context(|| binary.display().to_string())?;
    if !needs.is_empty() {
        bail!("{} is not static: it has {}", binary.display(), needs.join(" and "));
    }
    let version = host::output(Command::new(&binary).arg("--version"))?;
    println!("{}\n{}, static, {:.1} MB", binary.display(), version.trim(), file.len() as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}

/// What Cargo.lock says, and nothing newer, goes to others.
fn build(target: &str) -> Result<PathBuf> {
    let mut build = host::cargo();
    build.args(["build", "--release", "--locked", "--package", "tapwire", "--bin", "tapwire", "--target", target]);
    // Line tables are three quarters of the file. Not by the environment, which the kernel side's build would inherit:
    // its debug information is what the kernel reads.
    build.args(["--config", "profile.release.strip=\"debuginfo\""]);
    // Debian's name for it on every architecture; the C parts (zstd, mimalloc) would look for another on some.
    build.env(format!("CC_{}", target.replace('-', "_")), tools::MUSL_COMPILER);
    host::run(&mut build)?;
    Ok(host::target().join(target).join("release/tapwire"))
}

// ELF, as elf.h names its parts: a program header's type, and the tags in a dynamic section.
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;

/// What a program needs of the machine it runs on: a loader (PT_INTERP), libraries (DT_NEEDED). A static program that
/// may lie anywhere in memory has a dynamic section as well, with neither.
///
/// # Errors
/// Not a 64-bit little-endian ELF program, which is all that this project is built for.
fn needs(file: &[u8]) -> Result<Vec<&'static str>> {
    // EI_CLASS is ELFCLASS64, EI_DATA is ELFDATA2LSB.
    if !file.starts_with(b"\x7fELF\x02\x01") {
        bail!("no 64-bit little-endian ELF file");
    }
    // Elf64_Ehdr: e_phoff, e_phentsize, e_phnum. Elf64_Phdr: p_type, p_offset, p_filesz.
    let (table, size, count) = (number(file, 32, 8)?, number(file, 54, 2)?, number(file, 56, 2)?);
    let (mut loaded, mut found) = (false, Vec::new());
    for index in 0..count {
        let header = table.saturating_add(index * size);
        let field = |at: u64, bytes| number(file, header.saturating_add(at), bytes);
        match field(0, 4)? {
            PT_LOAD => loaded = true,
            PT_INTERP => found.push("a loader"),
            PT_DYNAMIC if any_needed(file, field(8, 8)?, field(32, 8)?)? => found.push("libraries"),
            _ => {}
        }
    }
    if !loaded {
        bail!("no program: nothing of it is loaded");
    }
    Ok(found)
}

/// Whether a dynamic section (Elf64_Dyn: d_tag, d_val) names a library.
fn any_needed(file: &[u8], start: u64, size: u64) -> Result<bool> {
    for entry in (0..size).step_by(16) {
        match number(file, start.saturating_add(entry), 8)? {
            DT_NULL => break,
            DT_NEEDED => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// A little-endian number of up to eight bytes.
fn number(file: &[u8], at: u64, bytes: usize) -> Result<u64> {
    let at = usize::try_from(at)?;
    let field = at.checked_add(bytes).and_then(|end| file.get(at..end)).context("the ELF file is cut short")?;
    Ok(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, process::Stdio};

    use super::*;

    /// A program without a libc, linked with these flags: small, and made by what links Rust's programs too.
    fn linked(name: &str, flags: &[&str]) -> Vec<u8> {
        let file = std::env::temp_dir().join(format!("tapwire-{name}-{}", std::process::id()));
        let mut cc = Command::new("cc");
        cc.args(["-x", "c", "-", "-nostdlib", "-o"]).arg(&file).args(flags);
        let mut cc = cc.stdin(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("cc: {error}"));
        cc.stdin.take().unwrap().write_all(b"void _start(void) { for (;;); }").unwrap();
        assert!(cc.wait().unwrap().success(), "cc {flags:?}");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(file).unwrap();
        bytes
    }

    #[test]
    fn tells_static_programs_from_others() {
        let libc = ["-Wl,--no-as-needed", "-lc"];
        let none: [&str; 0] = [];
        assert_eq!(needs(&linked("static", &["-static"])).unwrap(), none);
        assert_eq!(needs(&linked("static-pie", &["-static-pie", "-fPIE"])).unwrap(), none);
        assert_eq!(needs(&linked("loader", &["-pie", "-fPIE"])).unwrap(), ["a loader"]);
        assert_eq!(needs(&linked("library", &[&["-shared", "-fPIC"][..], &libc].concat())).unwrap(), ["libraries"]);
        assert_eq!(needs(&linked("both", &libc)).unwrap(), ["a loader", "libraries"]);
    }

    #[test]
    fn other_files_are_errors() {
        let program = linked("cut", &["-static"]);
        for file in [&b"#!/bin/sh\n"[..], b"", &program[..5], &program[..40], &program[..100]] {
            assert!(needs(file).is_err(), "{} bytes", file.len());
        }
        // An object file has no program headers.
        assert!(needs(&linked("object", &["-c"])).is_err());
    }
}
