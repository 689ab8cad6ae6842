//! An evaluation ends, with label sets that differ, and a range says at each step what an instant says there.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::promql_eval(data));
