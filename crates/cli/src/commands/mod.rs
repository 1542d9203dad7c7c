//! The verbs: each takes its arguments and gives an exit code.

mod cancel;
mod container;
mod convert;
mod convert_inputs;
mod convert_training;
mod init;
mod inspect;
mod local;
mod local_assume;
mod params_file;
mod plan;
mod plan_jobs;
mod prices;
mod run;
mod runs;
mod schema;
mod status;
mod validate;
mod wait;

use std::num::NonZero;

use gristmill_runner::{ExitCode, RunError};

use crate::answer::Printer;
use crate::args::{Cli, Command};

/// Calls the verb.
pub(crate) fn dispatch(cli: Cli, printer: &Printer) -> ExitCode {
    let global = cli.global;
    if let Err(error) = printer.check_result_file() {
        return printer.failure_without_file(&error);
    }
    let done = match cli.command {
        Command::Run(args) => run::run(&global, args, printer),
        Command::Resume(args) => run::resume(&global, args, printer),
        Command::Validate(args) => validate::validate(&args, printer),
        Command::Plan(args) => plan::plan(args, printer),
        Command::Status(args) => status::status(&args, printer),
        Command::Wait(args) => wait::wait(&global, &args, printer),
        Command::Cancel(args) => cancel::cancel(&global, &args, printer),
        Command::Runs(args) => runs::runs(&args, printer),
        Command::Init(args) => init::init(&args, printer),
        Command::Convert(args) => convert::convert(&global, &args, printer),
        Command::Inspect(args) => inspect::inspect(&args, printer),
        Command::Local(args) => local::local(args, printer),
        Command::Schema => schema::schema(printer),
        Command::Container(args) => container::container(&args),
    };
    done.unwrap_or_else(|error| printer.failure(&error))
}

/// Worker threads: as asked for, or one a core.
fn threads(asked: Option<u16>) -> usize {
    asked.map_or_else(
        || std::thread::available_parallelism().map_or(1, NonZero::get),
        usize::from,
    )
}

/// A runtime for signals alone.
fn signals_runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| RunError::new(ExitCode::Failure, format!("cannot start threads: {e}")))
}

/// A runtime for the network.
fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| RunError::new(ExitCode::Failure, format!("cannot start threads: {e}")))
}
