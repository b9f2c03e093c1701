#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| primacy_fuzz::run("relay_client", bytes));
