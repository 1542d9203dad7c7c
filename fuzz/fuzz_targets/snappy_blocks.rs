#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gristmill_tabular::fuzzing::snappy_blocks(data));
