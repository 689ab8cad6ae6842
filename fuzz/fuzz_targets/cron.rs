//! `expression` or `expression` and time zone on two lines: slots go forward and find each other.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alertd_fuzz::cron(data));
