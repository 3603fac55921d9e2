//! Kernel side. `packets` decides what of each packet is copied, `socket` knows whose it is, `headers` finds its parts,
//! `emit` is the only writer of events. Few instructions: whatever can be decided later is decided in user space.

#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "the kernel's helpers, structures and maps are C's; each block says why it is sound")]

mod emit;
mod headers;
mod maps;
mod own;
mod packets;
mod socket;

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
