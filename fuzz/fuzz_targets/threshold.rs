//! A condition that is accepted reads back as itself, and its recovery is told from it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::threshold(data));
