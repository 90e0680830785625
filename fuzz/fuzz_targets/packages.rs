//! libFuzzer's entry point for `fuzz_targets::packages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::packages(data));
