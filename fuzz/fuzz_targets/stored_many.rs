//! Stored samples that are damaged, as a many: they give nothing, or something that can be packed again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::stored_many(data));
