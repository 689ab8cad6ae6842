//! Both text formats keep the limits, and the scraper's reader with its memory sees what the plain one sees.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::exposition(data));
