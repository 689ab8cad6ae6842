//! Server and handler files: findings fit the text and can be shown.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::configuration(data));
