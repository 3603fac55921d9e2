//! What developers, CI and newcomers run: `cargo xtask COMMAND`, one file a command. Little beyond std, and the
//! programs that each command names; what is missing is installed into `target/tools` (`tools`), or by apt for the tests.

#![expect(unreachable_pub, reason = "in a program, `pub` marks what a module offers to the others")]

mod bench;
mod check;
mod fuzz;
mod host;
mod http;
mod kafka;
mod peers;
mod release;
mod run;
mod test;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [-- AGENT FLAGS]           build, then capture this host's traffic and answer questions about it
  release                        build the static program to hand to others, for this machine's architecture
  check                          the quick tests: format, lints, docs, unit tests
  test                           all tests, with what they need installed; what CI runs
  fuzz [TARGET] [--seconds N]    fuzz one target, or each in turn (20 s)
  kafka-schemas                  make the table of Kafka's messages again, from Kafka's own classes
  bench [cost|read|memory] [--rounds N] [--seconds N]
                                 what capturing costs, against the goals; as root, on a quiet machine";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", &args[..]),
    };
    let done = match command {
        "run" => run::run(rest),
        "release" => release::release(rest),
        "check" => check::check(rest),
        "test" => test::test(rest),
        "fuzz" => fuzz::fuzz(rest),
        "kafka-schemas" => kafka::schemas(rest),
        "bench" => bench::bench(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
