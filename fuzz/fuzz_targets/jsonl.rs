//! JSON lines keep the limits.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::json_lines(data));
