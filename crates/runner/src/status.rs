//! What is known about a run, without touching it.

use std::path::Path;

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::folder::WorkFolder;
use crate::result::{ErrorRecord, RunResult};
use crate::run::{known_run, state_of};
use crate::state::RunState;

/// The state of a run: `last`, an id or a key. Its `exit` is the run's own, and `Temporary` while
/// it is under way.
///
/// # Errors
/// `NoInput`, when this machine does not know the run; when its ledger is damaged.
pub fn status(work_dir: &Path, run: &str) -> Result<RunResult, RunError> {
    let work = WorkFolder::open(work_dir)?;
    let run_id = known_run(&work, run)?;
    let state = state_of(&work, &run_id)?;
    let opened = state
        .opened
        .clone()
        .ok_or_else(|| RunError::damaged(format!("run {run_id} has no beginning")))?;
    if let Some(finished) = state.finished {
        return Ok(finished);
    }
    let mut result = RunResult {
        run_id,
        pipeline: opened.pipeline.clone(),
        run_key: opened.run_key.clone(),
        attempt: state.attempt,
        jobs: state.job_records(),
        ..RunResult::default()
    };
    result.rows_seen(&state);
    describe_end(&mut result, &state, work.is_locked(&opened.run_key));
    Ok(result)
}

fn describe_end(result: &mut RunResult, state: &RunState, running: bool) {
    let code = |number| ExitCode::from_number(number).unwrap_or(ExitCode::Failure);
    let (exit, status, message) = match (&state.stopped, running) {
        (_, true) => (ExitCode::Temporary, "running", None),
        (Some((exit, message)), false) => {
            (code(*exit), code(*exit).status(), Some(message.clone()))
        }
        (None, false) => (
            ExitCode::Interrupted,
            "interrupted",
            Some("the run was cut off".to_owned()),
        ),
    };
    result.exit = exit.number();
    result.status = status.to_owned();
    result.error = message.map(|message| ErrorRecord {
        message,
        help: Some("the same `run` command, or `gristmill resume`, goes on from here".to_owned()),
        problems: Vec::new(),
    });
}
