//! Damaged chunks give nothing; what a chunk gives can be packed again, bit for bit. The bytes are taken as points, too.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::chunk_decode(data));
