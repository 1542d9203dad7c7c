//! `status`.

use gristmill_runner::{ExitCode, RunError};

use crate::answer::Printer;
use crate::args::StatusArgs;
use crate::summary::summary;

pub(crate) fn status(args: &StatusArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let result = gristmill_runner::status(&args.work.work_dir, &args.run)?;
    let exit = ExitCode::from_number(result.exit).unwrap_or(ExitCode::Failure);
    let mut text = summary(&result);
    if let Some(error) = result.error.as_ref().filter(|_| result.status != "waiting") {
        text.push_str(&format!(
            "  ended with  {} (exit code {})\n",
            error.message, result.exit
        ));
    }
    let value = serde_json::to_value(&result).map_err(|e| RunError::bug(e.to_string()))?;
    printer.answer(&text, &value);
    Ok(exit)
}
