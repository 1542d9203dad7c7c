//! All runs of a work folder: the `runs` verb.

use std::cmp::Reverse;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::folder::WorkFolder;
use crate::result::{ErrorRecord, Output, RowCounts};
use crate::status::{Look, look};

/// One run in a list. Fields are only ever added.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// The run.
    pub run_id: String,
    /// The key under which it is found again.
    pub run_key: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// As in a run's result, or `damaged` where the ledger cannot be read.
    pub status: String,
    /// The exit code that `status` ends with.
    pub exit: u8,
    /// How many attempts it has had.
    pub attempt: u32,
    /// The run's clock: RFC 3339, UTC. Empty where it is not known.
    pub started: String,
    /// Whether the embedded services were used.
    pub local: bool,
    /// Row counts so far.
    pub rows: RowCounts,
    /// Where its result is, if it has one.
    pub output: Option<Output>,
    /// How it ended, if not well.
    pub error: Option<ErrorRecord>,
}

/// All runs that `work_dir` knows, the newest first. Memory: one ledger at a time.
///
/// # Errors
/// When the folder cannot be listed. A ledger that cannot be read is told in its place.
pub fn runs(work_dir: &Path) -> Result<Vec<RunSummary>, RunError> {
    if !work_dir.exists() {
        return Ok(Vec::new());
    }
    let work = WorkFolder::open(work_dir)?;
    let mut found = Vec::new();
    for run_id in work.run_ids()? {
        match look(&work, &run_id) {
            Ok(seen) => found.push(summary(run_id, seen)),
            // A folder without a ledger is no run: its beginning was cut off.
            Err(e) if e.exit == ExitCode::NoInput => {}
            Err(e) => found.push(damaged(run_id, &e)),
        }
    }
    found.sort_by_cached_key(|run| Reverse(age_order(run)));
    Ok(found)
}

/// Ids begin with the clock to the second, which orders runs that cannot be read as well; within a
/// second the whole clock decides.
fn age_order(run: &RunSummary) -> (String, Option<Timestamp>, String) {
    let second = run.run_id.split('-').next().unwrap_or_default();
    (
        second.to_owned(),
        run.started.parse().ok(),
        run.run_id.clone(),
    )
}

fn summary(run_id: String, seen: Look) -> RunSummary {
    RunSummary {
        run_id,
        run_key: seen.opened.run_key,
        pipeline: seen.opened.pipeline,
        status: seen.result.status,
        exit: seen.result.exit,
        attempt: seen.result.attempt,
        started: seen.opened.clock,
        local: seen.opened.local,
        rows: seen.result.rows,
        output: seen.result.output,
        error: seen.result.error,
    }
}

fn damaged(run_id: String, error: &RunError) -> RunSummary {
    RunSummary {
        run_id,
        run_key: String::new(),
        pipeline: String::new(),
        status: "damaged".to_owned(),
        exit: error.exit.number(),
        attempt: 0,
        started: String::new(),
        local: false,
        rows: RowCounts::default(),
        output: None,
        error: Some(ErrorRecord {
            message: error.message.clone(),
            help: error.help.clone(),
            problems: Vec::new(),
        }),
    }
}
