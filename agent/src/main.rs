//! The program: see `cli`.

// Records are made and dropped by the hundred thousand a second, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds after which memory that was freed goes back to the system. With the default of a second, a store that
/// evicted held some 40 MB more.
const PURGE_DELAY: std::ffi::c_long = 10;
/// `mi_option_purge_delay` of mimalloc.h, version 3, which the bindings lack.
const PURGE_DELAY_OPTION: libmimalloc_sys::mi_option_t = 15;

fn main() -> std::process::ExitCode {
    #[expect(unsafe_code, reason = "mimalloc's options are set by a C function")]
    // SAFETY: it takes plain numbers, passes over an option that it lacks, and no other thread runs yet.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY_OPTION, PURGE_DELAY);
    }
    tapwire::cli::main()
}
