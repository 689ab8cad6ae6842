//! Labels that are read print as labels that read back.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::series_notation(data));
