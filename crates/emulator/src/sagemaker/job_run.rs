//! A job from InProgress to its end.

use std::path::Path;

use super::capture;
use super::inputs::{InputObject, Place, below};
use super::instances::{self, Finished};
use super::jobs::{JobRecord, Status};
use super::transform::Fault;
use super::work::Work;
use super::{lock, now_seconds};
use crate::assume::StoppedOutputs;
use crate::faults::{JobFault, Spot};
use crate::job_objects::JobObjects;
use crate::state::AppState;

/// `FailureReason` is cut at this length (API model).
const MAX_REASON: usize = 1024;

/// How the transforming of a job ended.
enum End {
    Interrupted,
    Stopped,
    Reached(Result<Option<Fault>, String>),
    /// By a fault.
    Forced(Status, Option<String>),
}

/// Runs a job to its end and notes it. An interrupt leaves the job InProgress, to be run again.
pub(crate) async fn run(state: &AppState, name: &str) {
    let (Some(record), Some((stop, interrupt))) =
        (state.sagemaker.job(name), state.sagemaker.tokens(name))
    else {
        return;
    };
    let scratch = state.sagemaker.inner.folder.join("scratch").join(name);
    let finished = Finished::default();
    let work = Work::new(instances::count(&record.request));
    let transformed = tokio::select! {
        biased;
        () = interrupt.cancelled() => End::Interrupted,
        () = stop.cancelled() => End::Stopped,
        end = reach(state, &record, &scratch, &finished, &work) => end,
    };
    let work_path = state.sagemaker.path("work", name);
    let _ = tokio::task::spawn_blocking(move || work.write(&work_path)).await;
    // Storing cannot be stopped any more: all outputs that there are, or none.
    let outcome = match transformed {
        End::Interrupted => None,
        End::Stopped if state.faults.hits(spot(name), &JobFault::Stopping) => {
            interrupt.cancelled().await;
            None
        }
        End::Stopped => Some(stopped(state, &record, &scratch, &finished).await),
        End::Reached(end) => Some(conclude(state, &record, &scratch, &finished, end).await),
        End::Forced(status, reason) => {
            let stored = store_foreign(state, &record, &scratch).await;
            Some((status, stored.err().or(reason)))
        }
    };
    // What cannot be removed is removed at the next start.
    let _ = tokio::fs::remove_dir_all(&scratch).await;
    let Some((status, reason)) = outcome else {
        return;
    };
    // A disk that refuses leaves the job InProgress on disk, so that it runs again.
    let _ = state.sagemaker.change_job(name, |record| {
        record.status = status;
        record.failure_reason = reason.map(|r| r.chars().take(MAX_REASON).collect());
    });
}

fn spot(job: &str) -> Spot<'_> {
    Spot {
        job,
        ..Spot::default()
    }
}

/// Transforms, unless a fault says how the job goes.
async fn reach(
    state: &AppState,
    record: &JobRecord,
    scratch: &Path,
    finished: &Finished,
    work: &Work,
) -> End {
    let spot = spot(record.name());
    if state.faults.hits(spot, &JobFault::Stuck) {
        let _ = state
            .sagemaker
            .change_job(record.name(), |r| r.started = Some(now_seconds()));
        std::future::pending::<()>().await;
    }
    let forced = state.faults.first(spot, |fault| match fault {
        JobFault::End { status, reason } => Some((status.clone(), reason.clone())),
        _ => None,
    });
    match forced {
        Some((status, reason)) => End::Forced(Status::of_end(&status), reason),
        None => {
            End::Reached(instances::transform_all(state, record, scratch, finished, work).await)
        }
    }
}

/// What a stopped job leaves.
async fn stopped(
    state: &AppState,
    record: &JobRecord,
    scratch: &Path,
    finished: &Finished,
) -> (Status, Option<String>) {
    let kept = state.config.assume.stopped_outputs == StoppedOutputs::Finished;
    if !kept {
        return (Status::Stopped, None);
    }
    let stored = store_outputs(state, record, scratch, finished).await;
    (Status::Stopped, stored.err())
}

/// Stores the outputs that there are; the status and the FailureReason.
async fn conclude(
    state: &AppState,
    record: &JobRecord,
    scratch: &Path,
    finished: &Finished,
    end: Result<Option<Fault>, String>,
) -> (Status, Option<String>) {
    let ended = match end {
        Ok(fault) => store_outputs(state, record, scratch, finished)
            .await
            .map(|()| fault),
        Err(reason) => Err(reason),
    };
    match ended {
        Ok(None) => (Status::Completed, None),
        Ok(Some(Fault::Client)) => failed("ClientError: See job logs for more information"),
        Ok(Some(Fault::Algorithm)) => failed("AlgorithmError: See job logs for more information"),
        Err(reason) => failed(&reason),
    }
}

fn failed(reason: &str) -> (Status, Option<String>) {
    (Status::Failed, Some(reason.to_owned()))
}

async fn store_outputs(
    state: &AppState,
    record: &JobRecord,
    scratch: &Path,
    finished: &Finished,
) -> Result<(), String> {
    store_foreign(state, record, scratch).await?;
    let outputs = std::mem::take(&mut *lock(finished));
    for (input, path) in &outputs {
        store_output(state, &input.output, path).await?;
    }
    let inputs: Vec<_> = outputs.into_iter().map(|(input, _)| input).collect();
    capture_data(state, record, &inputs, scratch).await
}

async fn capture_data(
    state: &AppState,
    record: &JobRecord,
    captured: &[InputObject],
    scratch: &Path,
) -> Result<(), String> {
    let config = record.request.data_capture_config.as_ref();
    let destination = config.and_then(|c| Place::parse(c.destination_s3_uri.as_deref()?));
    let Some(destination) = destination.filter(|_| !captured.is_empty()) else {
        return Ok(());
    };
    // As it is now: the record was taken before the start was noted.
    let started = state.sagemaker.job(record.name());
    let started = started.as_ref().unwrap_or(record).started_at();
    let objects = JobObjects::of(state);
    capture::write(&objects, &destination, started, captured, scratch).await
}

/// Objects of others at the output path, as the faults say; before the outputs, which come over them.
async fn store_foreign(state: &AppState, record: &JobRecord, scratch: &Path) -> Result<(), String> {
    let foreign = |each: bool| {
        move |fault: &JobFault| match fault {
            JobFault::Foreign {
                name,
                text,
                each: e,
            } if *e == each => Some((name.clone(), text.clone())),
            _ => None,
        }
    };
    let mut objects = state.faults.all(spot(record.name()), foreign(false));
    let by_input = |fault: &JobFault| matches!(fault, JobFault::Foreign { each: true, .. });
    let inputs = if state.faults.any(by_input) {
        instances::inputs(state, record).await.unwrap_or_default()
    } else {
        Vec::new()
    };
    for input in &inputs {
        let spot = Spot {
            object: Some(&input.source.key),
            ..spot(record.name())
        };
        let base = input.source.key.rsplit('/').next().unwrap_or_default();
        let named = state.faults.all(spot, foreign(true)).into_iter();
        objects.extend(named.map(|(name, text)| (name.replace("{object}", base), text)));
    }
    if objects.is_empty() {
        return Ok(());
    }
    let output = record.request.transform_output.as_ref();
    let output = output.and_then(|o| Place::parse(o.s3_output_path.as_deref()?));
    let Some(output) = output else { return Ok(()) };
    tokio::fs::create_dir_all(scratch).await.map_err(internal)?;
    let path = scratch.join("foreign");
    for (name, text) in objects {
        tokio::fs::write(&path, text).await.map_err(internal)?;
        let place = Place {
            bucket: output.bucket.clone(),
            key: below(&output, &name),
        };
        store_output(state, &place, &path).await?;
    }
    Ok(())
}

async fn store_output(state: &AppState, output: &Place, path: &Path) -> Result<(), String> {
    let objects = JobObjects::of(state);
    let put = objects.put(&output.bucket, &output.key, path).await;
    put.map_err(|e| format!("ClientError: cannot write s3://{output}: {e}"))
}

/// The FailureReason of what is no fault of the user's.
pub(crate) fn internal(error: impl std::fmt::Display) -> String {
    format!("InternalServerError: We encountered an internal error.  Please try again. ({error})")
}
