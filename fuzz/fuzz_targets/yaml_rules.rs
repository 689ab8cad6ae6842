//! Reading is repeatable; what is accepted can be run, and a restart in between changes nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::yaml_rules(data));
