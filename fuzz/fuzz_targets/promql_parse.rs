//! What is printed reads back as the same expression, and as the same plan.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::promql_parse(data));
