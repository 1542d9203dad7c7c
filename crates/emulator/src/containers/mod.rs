//! The processes that answer for a model, and the way to talk to them.
//!
//! A container here is what the service documents of one: an HTTP server on a port, with `/ping`,
//! `/execution-parameters` and `/invocations`, told by its environment what it serves. Which
//! process that is, the image's name says:
//!
//! - `gristmill.local/onnx`: this program as `container onnx`, on the model data's `.onnx` file;
//! - `gristmill.local/command`: this program as `container command`, around the shell command in
//!   the model's environment variable `GRISTMILL_COMMAND`;
//! - `gristmill.local/url`: no process; a server that runs already, at `GRISTMILL_URL`.
//!
//! Each process ends when its standard input closes. The emulator holds the other end, so they end
//! with it however it ends.

mod answer_text;
mod archive;
mod client;
mod command;
mod csv_rows;
mod error;
mod file_body;
mod json_rows;
mod onnx_server;
mod parquet_rows;
mod rows;
#[cfg(test)]
mod rows_tests;
mod start;
#[cfg(test)]
mod tests;

pub(crate) use client::{ExecutionParameters, Invocation, InvokeError, Payload};
pub(crate) use error::ContainerError;
pub(crate) use file_body::FileBody;
pub(crate) use start::{Container, ContainerSpec, Image};

use crate::error::EmulatorError;

/// The hidden verb `container`: `onnx`, or `command -- COMMAND`.
///
/// `args` are the words after `container`. Blocks until standard input closes, the served command
/// ends, or the server cannot start.
///
/// # Errors
///
/// [`EmulatorError::Usage`] for other arguments, [`EmulatorError::Onnx`] for a model that cannot be
/// served, [`EmulatorError::Container`] when the environment lacks a variable, the port cannot be
/// bound, or the command ends by itself.
pub fn container_main(args: &[String]) -> Result<(), EmulatorError> {
    match args {
        [kind] if kind == "onnx" => onnx_server::run(),
        [kind, dashes, command @ ..]
            if kind == "command" && dashes == "--" && !command.is_empty() =>
        {
            command::run(&command.join(" "))
        }
        _ => Err(EmulatorError::Usage(format!(
            "expected `onnx` or `command -- COMMAND`, found `{}`",
            args.join(" ")
        ))),
    }
}

/// Blocks until the other end of standard input is closed; what comes before is thrown away.
fn wait_for_stdin_to_close() {
    // An error means that there is nothing to read from, which is the same answer.
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
}
