#![no_std]
//! The contract between the kernel side and user space: event layouts, settings, map names. No logic but the one
//! decoder, which validates what arrives instead of trusting it.
