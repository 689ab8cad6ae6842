//! Answers of remote stores.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::remote_answer(data));
