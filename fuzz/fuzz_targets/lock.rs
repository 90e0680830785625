//! libFuzzer's entry point for `fuzz_targets::lock`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::lock(data));
