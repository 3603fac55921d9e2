//! The machine and the clone this runs in: paths, rights, and programs run to their end.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// The root of the clone.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// `cargo`, in the root of the clone, with our own tools first in PATH: the kernel side is linked by bpf-linker.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("PATH", path_with_tools());
    command
}

fn path_with_tools() -> std::ffi::OsString {
    let tools = crate::tools::dir().join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A PATH that cannot be joined holds a colon inside a folder's name: then it stays as it is.
    std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path))).unwrap_or(path)
}

/// Whether this process has root's rights: the owner of /proc/self is the effective user.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Where `program` is in PATH; also looked for where Debian keeps root's programs.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.extend(["/usr/sbin".into(), "/sbin".into()]);
    dirs.into_iter().map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Runs a command to its end; its output goes where ours goes.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Whether a command succeeds; its output is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What a command prints to stdout.
pub fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", shown(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

/// Reads `--name N` or `--name=N` out of `args`; the rest stays.
pub fn take_number(args: &mut Vec<String>, name: &str) -> Result<Option<u64>> {
    let Some(at) =
        args.iter().position(|arg| arg == name || arg.strip_prefix(name).is_some_and(|r| r.starts_with('=')))
    else {
        return Ok(None);
    };
    let arg = args.remove(at);
    let value = match arg.split_once('=') {
        Some((_, value)) => value.to_owned(),
        None if at < args.len() => args.remove(at),
        None => bail!("{name} wants a number"),
    };
    Ok(Some(value.parse().with_context(|| format!("{name} wants a number, not {value:?}"))?))
}

/// The flags that this command does not know, as an error.
pub fn no_more(args: &[String]) -> Result<()> {
    match args.first() {
        Some(arg) => bail!("unknown argument {arg:?}; see `cargo xtask help`"),
        None => Ok(()),
    }
}
