//! libFuzzer's entry point for `fuzz_targets::spec`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::spec(data));
