//! The program: see `cli`.

// Records are made and dropped by the hundred thousand a second, on several threads; musl's own allocator has one lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tapwire::cli::main()
}
