//! What is known about a run, without touching it.

use std::path::Path;

use crate::error::{CANCELLED, RunError};
use crate::exit_code::ExitCode;
use crate::folder::{KeyRecord, WorkFolder};
use crate::result::{ErrorRecord, RunResult};
use crate::run::{known_run, state_of};
use crate::state::{Opened, RunState};

/// The status of a run that a process works on just now.
pub(crate) const RUNNING: &str = "running";

const GOES_ON: &str = "the same `run` command, or `gristmill resume`, goes on from here";

/// The state of a run: `last`, an id or a key. Its `exit` is the run's own, and `Temporary` while
/// it is under way.
///
/// # Errors
/// `NoInput`, when this machine does not know the run; when its ledger is damaged.
pub fn status(work_dir: &Path, run: &str) -> Result<RunResult, RunError> {
    let work = WorkFolder::open(work_dir)?;
    let run_id = known_run(&work, run)?;
    Ok(look(&work, &run_id)?.result)
}

/// A run as its ledger on this machine tells it.
pub(crate) struct Look {
    pub(crate) opened: Opened,
    pub(crate) state: RunState,
    pub(crate) result: RunResult,
}

/// Reads the ledger of a run, and whether a process works on it.
///
/// # Errors
/// `NoInput`, when it is not there; when it is damaged.
pub(crate) fn look(work: &WorkFolder, run_id: &str) -> Result<Look, RunError> {
    let state = state_of(work, run_id)?;
    let opened = state
        .opened
        .clone()
        .ok_or_else(|| RunError::damaged(format!("run {run_id} has no beginning")))?;
    let result = match &state.finished {
        Some(finished) => finished.clone(),
        None => unfinished(work, run_id, &opened, &state),
    };
    Ok(Look {
        opened,
        state,
        result,
    })
}

fn unfinished(work: &WorkFolder, run_id: &str, opened: &Opened, state: &RunState) -> RunResult {
    let record = KeyRecord {
        run_key: opened.run_key.clone(),
        run_id: run_id.to_owned(),
    };
    let mut result = RunResult {
        run_id: record.run_id.clone(),
        pipeline: opened.pipeline.clone(),
        run_key: record.run_key.clone(),
        attempt: state.attempt,
        jobs: state.job_records(),
        ..RunResult::default()
    };
    result.rows_seen(state);
    if work.is_live(&record) {
        result.exit = ExitCode::Temporary.number();
        RUNNING.clone_into(&mut result.status);
    } else {
        describe_end(&mut result, state);
    }
    result
}

fn describe_end(result: &mut RunResult, state: &RunState) {
    let (status, error) = how_it_ended(state);
    result.exit = error.exit.number();
    status.clone_into(&mut result.status);
    result.error = Some(ErrorRecord {
        message: error.message,
        help: Some(error.help.unwrap_or_else(|| GOES_ON.to_owned())),
        problems: Vec::new(),
    });
}

/// How the last attempt ended. One that was killed left no word.
fn how_it_ended(state: &RunState) -> (&'static str, RunError) {
    if state.cancelled {
        let error = RunError::new(ExitCode::Terminated, "cancelled by `gristmill cancel`");
        return (CANCELLED, error);
    }
    if let Some(job) = &state.waiting {
        let under_way = state.open_jobs().filter(|l| l.arn.is_some()).count();
        let error = RunError::waiting(job.clone(), under_way.saturating_sub(1));
        return (error.status(), error);
    }
    let error = match &state.stopped {
        Some((exit, message)) => {
            let exit = ExitCode::from_number(*exit).unwrap_or(ExitCode::Failure);
            RunError::new(exit, message.clone())
        }
        None => RunError::new(ExitCode::Interrupted, "the run was cut off"),
    };
    (error.exit.status(), error)
}
