//! `cancel`.

use gristmill_runner::{ExitCode, RunError};

use crate::answer::{Printer, say};
use crate::args::{CancelArgs, Global, WorkArgs};
use crate::commands::run::{in_view, known_run, print};
use crate::view::View;

pub(crate) fn cancel(
    global: &Global,
    args: &CancelArgs,
    printer: &Printer,
) -> Result<ExitCode, RunError> {
    let work = WorkArgs {
        work_dir: args.work_dir.clone(),
        threads: None,
    };
    let request = known_run(&args.run, &work)?;
    let result = in_view(View::new(global), async |sink, cancel| {
        gristmill_runner::cancel(&request, sink, cancel).await
    })?;
    if result.exit == 0 && result.status != "cancelled" {
        say("nothing of this run is under way: it stays as it is");
    }
    print(&result, printer)
}
