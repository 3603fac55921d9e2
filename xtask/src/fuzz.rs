//! `cargo xtask fuzz [TARGET] [--seconds N]`: cargo-fuzz with the stable toolchain, whose sanitizer runtime is the same
//! as nightly's; `RUSTC_BOOTSTRAP` allows the flag that turns it on.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{host, tools};

/// Long enough for the seeds and some thousands of mutations of each; CI's share.
pub const CI_SECONDS: u64 = 20;

pub fn fuzz(args: &[String]) -> Result<ExitCode> {
    let mut args = args.to_vec();
    let seconds = host::take_number(&mut args, "--seconds")?.unwrap_or(CI_SECONDS);
    let all = targets()?;
    let chosen = match args.as_slice() {
        [] => all,
        [one] if all.contains(one) => vec![one.clone()],
        [one] => bail!("no fuzz target {one:?}; there are: {}", all.join(", ")),
        [_, more, ..] => bail!("unknown argument {more:?}; see `cargo xtask help`"),
    };
    prepare()?;
    for target in &chosen {
        eprintln!("xtask: fuzzing {target} for {seconds} s");
        host::run(&mut command(target, seconds))?;
    }
    eprintln!("xtask: nothing found in {}", chosen.join(", "));
    Ok(ExitCode::SUCCESS)
}

/// The targets' names, sorted: each is a file.
pub fn targets() -> Result<Vec<String>> {
    let dir = host::root().join("tests/fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        if let (Some(name), Some("rs")) = (path.file_stem(), path.extension().and_then(|e| e.to_str())) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Installs what fuzzing needs.
pub fn prepare() -> Result<()> {
    tools::bpf_linker()?;
    tools::cargo_fuzz()
}

/// Folders of the corpus whose files a target starts from, besides its own in `seeds`.
const CORPUS: [(&str, &[&str]); 1] = [("pcap", &["http", "http1", "made", "tcp"])];

/// One target for so long. A crash leaves its input in tests/fuzz/artifacts.
pub fn command(target: &str, seconds: u64) -> Command {
    let mut command = host::cargo();
    command.args(["fuzz", "run", "--fuzz-dir", "tests/fuzz", target]);
    // libFuzzer wants the folder it writes new inputs to before the folder of seeds.
    let corpus = host::root().join("tests/fuzz/corpus").join(target);
    let _ = std::fs::create_dir_all(&corpus);
    command.arg(corpus);
    let from_corpus = CORPUS.iter().filter(|(of, _)| *of == target).flat_map(|(_, folders)| *folders);
    let seeds = from_corpus.map(|folder| host::root().join("tests/corpus").join(folder));
    let seeds = seeds.chain([host::root().join("tests/fuzz/seeds").join(target)]);
    command.args(seeds.filter(|folder| folder.is_dir()));
    // One input may take 10 s under the sanitizer on a busy machine; none may need a gigabyte.
    command.args(["--", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}"));
    environment(&mut command);
    command
}

/// All targets in one build: one after the other, each would wait for its linker alone.
pub fn build() -> Command {
    let mut command = host::cargo();
    command.args(["fuzz", "build", "--fuzz-dir", "tests/fuzz"]);
    environment(&mut command);
    command
}

fn environment(command: &mut Command) {
    // No target loads the kernel side.
    command.env("RUSTC_BOOTSTRAP", "1").env("AYA_BUILD_SKIP", "1");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_is_built() {
        let manifest = include_str!("../../tests/fuzz/Cargo.toml");
        let targets = super::targets().unwrap_or_else(|error| panic!("{error:#}"));
        assert!(!targets.is_empty());
        for target in targets {
            assert!(
                manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")),
                "{target} is not in its Cargo.toml"
            );
        }
    }
}
