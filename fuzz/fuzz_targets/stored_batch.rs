//! Stored samples that are damaged, as a batch: they give nothing, or something that can be packed again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::stored_batch(data));
