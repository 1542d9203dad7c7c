//! `runs`.

use gristmill_runner::words::grouped;
use gristmill_runner::{ExitCode, RunError, RunSummary};
use serde_json::json;

use crate::answer::{Printer, printable};
use crate::args::RunsArgs;

const HEADINGS: [&str; 7] = [
    "RUN",
    "STATUS",
    "STARTED (UTC)",
    "ATTEMPT",
    "PUBLISHED",
    "KEY",
    "RESULT",
];
/// Columns of numbers, which end at the same place.
const RIGHT: [usize; 2] = [3, 4];

pub(crate) fn runs(args: &RunsArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let runs = gristmill_runner::runs(&args.work_dir)?;
    let text = if runs.is_empty() {
        format!("no runs in {}\n", args.work_dir.display())
    } else {
        table(&runs.iter().map(row).collect::<Vec<_>>())
    };
    let exit = ExitCode::Success;
    printer.answer(&text, &json!({ "runs": runs, "exit": exit.number() }));
    Ok(exit)
}

fn row(run: &RunSummary) -> [String; 7] {
    let output = run.output.as_ref();
    let result = output.map(|o| o.path.as_ref().unwrap_or(&o.uri).clone());
    let why = || run.error.as_ref().map(|e| e.message.clone());
    [
        run.run_id.clone(),
        run.status.clone(),
        run.started.get(..19).unwrap_or("-").replace('T', " "),
        run.attempt.to_string(),
        output.map_or_else(|| "-".to_owned(), |o| grouped(o.rows)),
        run.run_key.clone(),
        result.or_else(why).unwrap_or_else(|| "-".to_owned()),
    ]
}

/// Columns under their headings, two blanks between them; the last may be as long as it is.
fn table(rows: &[[String; 7]]) -> String {
    let headings = HEADINGS.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(rows);
    let width = |i: usize| {
        all()
            .map(|r| printable(&r[i]).chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    all().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String; 7], widths: &[usize]) -> String {
    let cell = |(i, text): (usize, &String)| {
        let text = printable(text).replace('\n', " ");
        let width = widths[i];
        if RIGHT.contains(&i) {
            format!("{text:>width$}")
        } else {
            format!("{text:<width$}")
        }
    };
    let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
    format!("{}\n", cells.join("  ").trim_end())
}
