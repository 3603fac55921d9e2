//! What a build or a test needs beyond the clone. Rust tools go to `target/tools`, Python with the packages of the tests
//! to `target/venv`, programs of the distribution come by apt; each only when it is missing. `peers` has the Go part, `kafka` the Java part.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::host;

/// Links the kernel side with the LLVM inside rustc; 0.13 wants a system LLVM instead.
const BPF_LINKER: &str = "0.10.3";
const CARGO_FUZZ: &str = "0.13.2";

/// The official Python SDK of MCP, whose major version is fixed, since the client's names change with it; and the clients
/// and servers of gRPC and HTTP/2 that the agent watches.
const PYTHON_PACKAGES: [&str; 3] = ["mcp>=2.3,<3", "grpcio==1.85.1", "httpx[http2]==0.28.1"];
/// Imports something of each.
const PYTHON_CHECK: &str = "from mcp import Client; import grpc, httpx, h2";

/// What the tests start, and Debian's package that brings it.
const PROGRAMS: [(&str, &str); 21] = [
    ("nginx", "nginx-light"),
    ("curl", "curl"),
    ("tshark", "tshark"),
    ("tcpdump", "tcpdump"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("sudo", "sudo"),
    ("nc", "netcat-openbsd"),
    ("setpriv", "util-linux"),
    ("bpftool", "bpftool"),
    ("git", "git"),
    ("useradd", "passwd"),
    ("cc", "build-essential"),
    ("nghttp", "nghttp2-client"),
    ("h2load", "nghttp2-client"),
    ("nghttpd", "nghttp2-server"),
    ("node", "nodejs"),
    ("go", "golang-go"),
    ("kcat", "kcat"),
    ("javac", "default-jdk-headless"),
    ("mvn", "maven"),
];

/// What `kafka-schemas` starts: Java runs a source file only with its compiler.
const SCHEMAS_PROGRAMS: [(&str, &str); 2] = [("javac", "default-jdk-headless"), ("mvn", "maven")];

/// What `bench` starts, beyond what the tests need.
const BENCH_PROGRAMS: [(&str, &str); 4] =
    [("nginx", "nginx-light"), ("wrk", "wrk"), ("tcpdump", "tcpdump"), ("tshark", "tshark")];

/// Compiles the C parts of a static program.
pub const MUSL_COMPILER: &str = "musl-gcc";

/// What `release` starts.
const RELEASE_PROGRAMS: [(&str, &str); 2] = [(MUSL_COMPILER, "musl-tools"), ("cc", "build-essential")];

pub fn dir() -> PathBuf {
    host::target().join("tools")
}

pub fn bpf_linker() -> Result<()> {
    install("bpf-linker", BPF_LINKER, "links the kernel side; about two minutes, once")
}

pub fn cargo_fuzz() -> Result<()> {
    install("cargo-fuzz", CARGO_FUZZ, "runs the fuzz targets; about two minutes, once")
}

/// Installs a Rust program of this very version into `target/tools`.
fn install(name: &str, version: &str, why: &str) -> Result<()> {
    let program = dir().join("bin").join(name);
    let installed = Command::new(&program).arg("--version").output();
    // `bpf-linker 0.10.3`, `cargo-fuzz 0.13.2`
    if installed.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).split_whitespace().any(|word| word == version)) {
        return Ok(());
    }
    eprintln!("xtask: installing {name} {version} into {} ({why})", dir().display());
    let mut command = host::cargo();
    command.args(["install", "--quiet", name, "--version", version, "--locked", "--force", "--root"]).arg(dir());
    // The flags of an outer build (a sanitizer's, a bench's) are not for tools.
    host::run(command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS"))
}

pub fn programs_for_tests() -> Result<()> {
    let mut packages = missing(&PROGRAMS);
    if !Path::new("/usr/lib/python3").exists() || !host::succeeds(Command::new(PYTHON).args(["-c", "import ensurepip"]))
    {
        packages.extend(["python3", "python3-venv"]);
    }
    apt(&packages)
}

pub fn programs_for_schemas() -> Result<()> {
    apt(&missing(&SCHEMAS_PROGRAMS))
}

pub fn programs_for_bench() -> Result<()> {
    apt(&missing(&BENCH_PROGRAMS))
}

pub fn programs_for_release() -> Result<()> {
    apt(&missing(&RELEASE_PROGRAMS))
}

/// Rust's own part of a build for `target`: rustup brings it. Not in rust-toolchain.toml, where every newcomer would
/// wait for it.
pub fn rust_target(target: &str) -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(host::root()).args(["--print", "target-libdir", "--target", target]);
    if Path::new(host::output(&mut rustc)?.trim()).is_dir() {
        return Ok(());
    }
    eprintln!("xtask: adding Rust's standard library for {target}");
    host::run(Command::new("rustup").current_dir(host::root()).args(["target", "add", target]))
}

/// The packages of those programs that are not there.
fn missing(programs: &[(&str, &'static str)]) -> Vec<&'static str> {
    programs.iter().filter(|(program, _)| host::which(program).is_none()).map(|&(_, package)| package).collect()
}

fn apt(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if host::which("apt-get").is_none() {
        bail!("this needs what Debian packages as {list}: install it, then run this again");
    }
    eprintln!("xtask: installing {list}");
    let apt_get = |args: &[&str]| {
        let mut command = if host::is_root() {
            Command::new("apt-get")
        } else {
            let mut sudo = Command::new("sudo");
            sudo.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
            sudo
        };
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        command
    };
    // An old list of packages names versions that are gone: it is fetched anew when the first try fails.
    let mut install = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    install.extend(packages);
    if host::run(&mut apt_get(&install)).is_err() {
        host::run(&mut apt_get(&["update", "--quiet"]))?;
        host::run(&mut apt_get(&install)).with_context(|| format!("install by hand: {list}"))?;
    }
    Ok(())
}

/// The system's Python: unlike one in a home folder, every user of the machine can run it.
const PYTHON: &str = "/usr/bin/python3";

/// The Python of a virtual environment that has what the tests import.
pub fn python() -> Result<PathBuf> {
    let dir = host::target().join("venv");
    let python = dir.join("bin/python");
    let has_all = |python: &Path| host::succeeds(Command::new(python).args(["-c", PYTHON_CHECK]));
    if !has_all(&python) {
        let packages = PYTHON_PACKAGES.join(" ");
        eprintln!("xtask: installing {packages} into {}", dir.display());
        host::run(Command::new(PYTHON).args(["-m", "venv", "--clear"]).arg(&dir))?;
        host::run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES))?;
        if !has_all(&python) {
            bail!("the Python packages {packages} were installed, but cannot be imported");
        }
    }
    Ok(python)
}
