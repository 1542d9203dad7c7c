//! `gristmill cancel`: ends the process that works on a run, then the run's jobs.
//!
//! The process is asked by a file in the run's folder, which it looks for twice a second, and not by a
//! signal: a recorded process id may by now be another process's, or of another container that shares
//! the folder; the lock, which tells that somebody works on the run, tells no id; and the file also
//! says why to stop. Once the lock is free, the run is ours: its jobs are stopped, and that is recorded.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_cloud::Transforms;

use crate::cancel::Cancel;
use crate::entry::Entry;
use crate::error::RunError;
use crate::event::{EventSink, Level};
use crate::exit_code::ExitCode;
use crate::folder::{KeyRecord, WorkFolder, write_atomically, write_json};
use crate::result::RunResult;
use crate::run::{Purpose, RunRequest, prepare};
use crate::session::Session;
use crate::stages::watch::{self, NOT_STOPPED_YET};
use crate::state::{Launched, RunState};
use crate::status::look;

/// How often a running process looks for the request.
const HEED_EVERY: Duration = Duration::from_millis(500);
/// How often the canceller looks whether the process has ended.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// A process that is asked to stop has ten seconds for it; one that hangs in the disk may need longer.
const PROCESS_LIMIT: Duration = Duration::from_secs(60);

/// Looks for a request for as long as it lives.
pub(crate) struct Heeding(tokio::task::AbortHandle);

impl Drop for Heeding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to look for a request to cancel this attempt. One that is there was for an earlier one.
pub(crate) fn heed(session: &Session) -> Heeding {
    let path = session.folder.cancel_request();
    let _ = std::fs::remove_file(&path);
    let cancel = session.cancel.clone();
    let task = tokio::spawn(async move {
        while !tokio::fs::try_exists(&path).await.unwrap_or(false) {
            tokio::time::sleep(HEED_EVERY).await;
        }
        cancel.cancel_as_requested();
    });
    Heeding(task.abort_handle())
}

/// Ends the run that `request` continues (see [`crate::resume_request`]). The result is the run's as
/// it stands afterwards, with exit code 0 when nothing of it is under way any more: `cancelled`, or
/// how it had ended before. What was published stays.
pub async fn cancel(
    request: &RunRequest,
    sink: Arc<dyn EventSink>,
    interrupt: Cancel,
) -> RunResult {
    let mut result = RunResult::default();
    match attempt(request, sink, interrupt, &mut result).await {
        Ok(()) => {
            result.exit = ExitCode::Success.number();
            result.error = None;
        }
        Err(error) => result.fail(&error),
    }
    result
}

async fn attempt(
    request: &RunRequest,
    sink: Arc<dyn EventSink>,
    interrupt: Cancel,
    result: &mut RunResult,
) -> Result<(), RunError> {
    let record = request
        .resume
        .clone()
        .ok_or_else(|| RunError::bug("no run to cancel"))?;
    let work = WorkFolder::open(&request.work_dir)?;
    let asked = end_process(&work, &record, &interrupt).await?;
    let seen = look(&work, &record.run_id)?;
    *result = seen.result;
    if is_over(&seen.state, asked) {
        return Ok(());
    }
    let (lock, session) = prepare(request, sink, interrupt, result, Purpose::Cancel).await?;
    if !session.state(|s| is_over(s, asked)) {
        let stopped = stop_jobs(&session).await?;
        session.record(&Entry::Cancelled { stopped })?;
        session.mirror().await?;
    }
    drop(lock);
    *result = look(&work, &record.run_id)?.result;
    write_json(&session.folder.run_json(), result)
}

/// Whether nothing of a run is under way, with no need to say that it was cancelled.
fn is_over(state: &RunState, asked: bool) -> bool {
    if state.finished.is_some() || state.cancelled {
        return true;
    }
    !asked && state.stopped.is_some() && state.open_jobs().next().is_none()
}

/// Asks the process that works on the run to stop, if there is one on this machine, and waits until
/// it has. Whether there was one.
async fn end_process(
    work: &WorkFolder,
    record: &KeyRecord,
    interrupt: &Cancel,
) -> Result<bool, RunError> {
    let request = work.run(&record.run_id).cancel_request();
    let begun = Instant::now();
    let mut asked = false;
    while work.is_live(record) {
        asked = true;
        // A process that began just now has removed it.
        if !request.exists() {
            write_atomically(&request, b"")?;
        }
        if begun.elapsed() > PROCESS_LIMIT {
            return Err(still_there(record, &request));
        }
        interrupt
            .guard(async {
                tokio::time::sleep(ASK_EVERY).await;
                Ok::<(), RunError>(())
            })
            .await?;
    }
    let _ = std::fs::remove_file(&request);
    Ok(asked)
}

fn still_there(record: &KeyRecord, request: &Path) -> RunError {
    RunError::new(
        ExitCode::Temporary,
        format!(
            "the process that works on run {} was asked to stop ({}) and has not within {} s",
            record.run_id,
            request.display(),
            PROCESS_LIMIT.as_secs()
        ),
    )
    .with_help("end it with a signal, then call cancel again: that stops the run's jobs")
}

/// Stops every job of the run that has not ended: all are told before any is waited for. Gives the
/// names of those that were told to.
async fn stop_jobs(session: &Session) -> Result<Vec<String>, RunError> {
    let open: Vec<Launched> = session.state(|s| s.open_jobs().cloned().collect());
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let transforms = watch::transforms(session)?;
    let mut told = Vec::new();
    for job in open {
        if job.arn.is_none() && !watch::adopt_if_created(session, &job).await? {
            continue;
        }
        if tell(session, &transforms, job.name()).await? {
            told.push(job.name().to_owned());
        }
    }
    for name in &told {
        if !watch::until_stopped(session, &transforms, name).await {
            return Err(not_stopped(session, name));
        }
    }
    Ok(told)
}

/// Whether the job had to be told.
async fn tell(session: &Session, transforms: &Transforms, name: &str) -> Result<bool, RunError> {
    let info = session.cancel.guard(transforms.describe_job(name)).await?;
    let Some(info) = info else {
        let gone = format!("job {name} is no longer known to the service");
        session.note(Level::Warn, gone);
        return Ok(false);
    };
    if info.status.is_terminal() {
        watch::ended(session, info).await?;
        return Ok(false);
    }
    session.note(Level::Info, format!("stopping job {name}"));
    Ok(!watch::tell_to_stop(session, transforms, name).await?)
}

fn not_stopped(session: &Session, name: &str) -> RunError {
    let exit = if session.cancel.is_cancelled() {
        session.cancel.error().exit
    } else {
        ExitCode::Temporary
    };
    RunError::new(exit, format!("job {name} has not stopped yet"))
        .with_help(format!("{NOT_STOPPED_YET}; or call cancel again"))
}
