//! `schema`.

use gristmill_runner::{ExitCode, RunError};

use crate::answer::Printer;

pub(crate) fn schema(printer: &Printer) -> Result<ExitCode, RunError> {
    let text = serde_json::to_string_pretty(&gristmill_plan::schema())
        .map_err(|e| RunError::bug(e.to_string()))?;
    printer.document(&format!("{text}\n"));
    Ok(ExitCode::Success)
}
