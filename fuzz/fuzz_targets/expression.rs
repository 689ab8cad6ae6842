//! Expressions are refused or evaluated: never a panic, never a type error once they were accepted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::expression(data));
