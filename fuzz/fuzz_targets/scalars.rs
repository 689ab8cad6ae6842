//! Durations, times, sizes and texts with secrets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::scalars(data));
