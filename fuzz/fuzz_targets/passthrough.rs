#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gristmill_tabular::fuzzing::passthrough(data));
