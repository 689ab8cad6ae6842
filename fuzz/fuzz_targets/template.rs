//! Rendering ends within its limits and is repeatable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::template(data));
