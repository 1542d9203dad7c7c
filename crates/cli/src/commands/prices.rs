//! `--prices FILE`.

use gristmill_plan::prices::{Prices, parse_prices};
use gristmill_runner::words::counted;
use gristmill_runner::{ExitCode, RunError, read_text};

use crate::args::PaceArgs;

impl PaceArgs {
    /// The price file that was given.
    ///
    /// # Errors
    /// `NoInput`, when it cannot be read; `Usage`, with every mistake in it.
    pub(crate) fn prices(&self) -> Result<Option<Prices>, RunError> {
        let Some(path) = &self.prices else {
            return Ok(None);
        };
        let shown = path.display().to_string();
        let text = read_text(path).map_err(|why| {
            let message = format!("cannot read --prices {shown}: {why}");
            RunError::new(ExitCode::NoInput, message)
        })?;
        let prices = parse_prices(&text, &shown).map_err(|problems| {
            let count = counted(problems.0.len() as u64, "mistake");
            let mut error = RunError::new(
                ExitCode::Usage,
                format!("the price file {shown} has {count}"),
            );
            error.problems = problems.0;
            error
        })?;
        Ok(Some(prices))
    }
}
