//! The hidden verb `container` as a program of its own, for the tests of this crate:
//! `container container onnx`, as the emulator calls `gristmill container onnx`.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(2).collect();
    match gristmill_emulator::container_main(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The emulator keeps what a container prints in the job's log.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
