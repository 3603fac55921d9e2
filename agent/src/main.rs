//! The program: see `cli`.

fn main() -> std::process::ExitCode {
    tapwire::cli::main()
}
