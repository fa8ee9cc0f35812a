#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| boardroom_sim::fuzz::texts(bytes));
