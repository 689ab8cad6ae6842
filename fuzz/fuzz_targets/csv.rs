//! CSV keeps the limits, with and without a metric's name given.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::comma_separated(data));
