//! `wait`.

use std::time::Duration;

use gristmill_runner::{ExitCode, RunError};

use crate::answer::Printer;
use crate::args::{Global, WaitArgs, WorkArgs};
use crate::commands::run::{in_view, known_run, print};
use crate::view::View;

pub(crate) fn wait(
    global: &Global,
    args: &WaitArgs,
    printer: &Printer,
) -> Result<ExitCode, RunError> {
    let work = WorkArgs {
        work_dir: args.work_dir.clone(),
        threads: None,
    };
    let request = known_run(&args.run, &work)?;
    let timeout = args.timeout.map(Duration::from_secs);
    let result = in_view(View::watching(global), async |sink, cancel| {
        gristmill_runner::wait(&request, timeout, sink, cancel).await
    })??;
    print(&result, printer)
}
