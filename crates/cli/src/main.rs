//! The gristmill command: parses the command line, calls one verb, prints its answer, ends with its
//! exit code.

mod allocator;
mod answer;
mod args;
mod args_convert;
mod commands;
mod signals;
mod summary;
mod view;

use std::process::ExitCode as ProcessExit;

use clap::Parser;
use gristmill_runner::ExitCode;

use crate::answer::Printer;
use crate::args::Cli;

fn main() -> ProcessExit {
    allocator::set();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let printer = Printer::new(&cli);
    let exit = commands::dispatch(cli, &printer);
    ProcessExit::from(printer.exit_code(exit).number())
}

/// `--help` and `--version` are answers; everything else that the parser says is a usage error,
/// which `--result-file` and `--output json` hear of like any other failure.
fn usage(error: &clap::Error) -> ProcessExit {
    let printed = error.print();
    if !error.use_stderr() {
        let exit = if printed.is_ok() {
            ExitCode::Success
        } else {
            ExitCode::Failure
        };
        return ProcessExit::from(exit.number());
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let message = error.to_string();
    let first = message
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    Printer::for_unparsed(&words).usage_error(first);
    ProcessExit::from(ExitCode::Usage.number())
}
