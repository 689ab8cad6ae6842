//! Alerts that are reported fire and end in turns.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::posted_alerts(data));
