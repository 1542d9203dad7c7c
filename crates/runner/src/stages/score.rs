//! The transform stage: jobs over exactly the shards that have no verified output yet, or, to find rows
//! that the model refuses, over pieces of them.
//!
//! A job's status proves nothing about rows: after each job its outputs are fetched and counted
//! (`outputs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use gristmill_cloud::{CreateTransformJob, JobStatus, PutOptions, TRANSFORM_LOG_GROUP};
use gristmill_plan::spec::OnRefusedRow;
use gristmill_plan::{JobInput, Plan, RunFacts, launch};
use gristmill_tabular::SealedShard;

use crate::container_log;
use crate::entry::Entry;
use crate::error::RunError;
use crate::event::{Level, Stage};
use crate::exit_code::ExitCode;
use crate::local_services;
use crate::pieces::{self, MAX_PIECES, SERVICE_FAILURE};
use crate::session::Session;
use crate::stages::outputs::{Defect, Sent, collect, note_what_is_there};
use crate::stages::refused;
use crate::stages::watch::{self, Ended};
use crate::state::Launched;
use crate::words::counted;

/// In the reason of a job whose container never answered: no row was sent to it.
const NEVER_STARTED: &str = "respond to ping";

/// What the requests are made of, beside the plan.
pub(crate) struct ScoreJob {
    pub(crate) model_name: String,
    pub(crate) fingerprint: String,
    pub(crate) shards_fingerprint: String,
}

/// Scores what is missing. Returns the seconds it took.
///
/// # Errors
/// `Model`, when a job failed or rows did not come back; `Timeout`; the service's.
pub(crate) async fn run(
    session: &Arc<Session>,
    plan: &Plan,
    job: &ScoreJob,
) -> Result<f64, RunError> {
    if missing(session, job).is_empty() {
        let shards = session.state(|s| s.shards.len());
        session.reused(
            Stage::Transform,
            format!("{} were scored before", counted(shards as u64, "shard")),
        );
        return Ok(0.0);
    }
    let rows = session.state(|s| s.sealed.as_ref().map(|x| x.rows_accepted));
    let clock = session.begin(Stage::Transform, None, rows);
    let mut last = take_up(session, job).await?;
    loop {
        let next = next_to_send(session, job).await?;
        if next.is_empty() {
            break;
        }
        if let Some((ended, defects)) = &last {
            if !goes_on(session, job, ended, defects) {
                return Err(failure(session, job, ended, defects));
            }
            say_that_it_goes_on(session, ended, &next);
        }
        last = Some(next_job(session, plan, job, &next).await?);
    }
    let (shards, rows) = session.state(|s| {
        (
            s.shards.len(),
            s.sealed.as_ref().map_or(0, |x| x.rows_accepted),
        )
    });
    session.mirror().await?;
    Ok(clock.finish(format!(
        "{} in {}",
        counted(rows, "row"),
        counted(shards as u64, "shard")
    )))
}

/// Shards without a verified output of this fingerprint. One that lacks rows that the model refused
/// counts only where that is asked for.
fn missing(session: &Session, job: &ScoreJob) -> Vec<SealedShard> {
    let quarantine = quarantines(session);
    session.state(|s| {
        let unscored = |x: &&SealedShard| {
            let output = s.output(&job.fingerprint, x.index);
            output.is_none_or(|o| !quarantine && !o.refused.is_empty())
        };
        s.shards.values().filter(unscored).cloned().collect()
    })
}

/// Whether rows that the model refuses are set aside.
fn quarantines(session: &Session) -> bool {
    let transform = session.spec.transform.as_ref();
    transform.is_some_and(|t| t.on_refused_row == OnRefusedRow::Quarantine)
}

/// What the next job is given; nothing, when all is answered. Shards of which every row was answered or
/// refused are put together first.
async fn next_to_send(session: &Arc<Session>, job: &ScoreJob) -> Result<Vec<Sent>, RunError> {
    let shards = missing(session, job);
    if !quarantines(session) {
        return Ok(shards.iter().map(Sent::shard).collect());
    }
    let rows: Vec<(u32, u64)> = shards.iter().map(|s| (s.index, s.rows)).collect();
    let round = session.state(|s| pieces::round(s, &job.fingerprint, &rows));
    for settled in &round.settled {
        refused::settle(session, job, settled).await?;
    }
    if round.pieces.len() > MAX_PIECES {
        return Err(too_many(&round.pieces));
    }
    let by_index: BTreeMap<u32, &SealedShard> = shards.iter().map(|s| (s.index, s)).collect();
    let of = |index: &u32| by_index.get(index).copied();
    if !round.whole.is_empty() {
        let whole = round.whole.iter().filter_map(of);
        return Ok(whole.map(Sent::shard).collect());
    }
    let pieces = round.pieces.iter();
    Ok(pieces
        .filter_map(|p| Some(Sent::piece(of(&p.shard)?, *p)))
        .collect())
}

fn too_many(pieces: &[crate::entry::Piece]) -> RunError {
    let rows: u64 = pieces.iter().map(|p| p.rows).sum();
    RunError::new(
        ExitCode::Model,
        format!(
            "the model fails on {} of the input and more: to find those that it refuses would take more \
             than {MAX_PIECES} requests in one job",
            counted(rows, "row")
        ),
    )
    .with_help("these are not a few bad rows: look at what the container logs")
}

/// Goes on with the job of an earlier attempt, if there is one. One after which an attempt has ended, or
/// that was stopped, is only looked through again: that it failed then does not make this attempt fail. One
/// that the service does not know was never created; [`next_job`] makes a new request for it.
async fn take_up(
    session: &Arc<Session>,
    job: &ScoreJob,
) -> Result<Option<(Ended, Vec<Defect>)>, RunError> {
    warn_of_others(session, job);
    let Some(launched) = session.state(|s| s.last_launch(&job.fingerprint).cloned()) else {
        return Ok(None);
    };
    if let Some((status, reason)) = &launched.ended {
        let defects = collect(session, &launched).await?;
        // Nobody has said yet what follows from how it ended: the attempt that waited was killed.
        let is_open = session.state(|s| s.jobs_in_a_row > 0) && status != "Stopped";
        let ended = Ended {
            name: launched.name().to_owned(),
            status: watch::status_of(status),
            reason: reason.clone(),
        };
        return Ok(is_open.then_some((ended, defects)));
    }
    if launched.arn.is_none() && !watch::adopt_if_created(session, &launched).await? {
        return Ok(None);
    }
    session.note(
        Level::Info,
        format!("going on with job {}", launched.name()),
    );
    let seen = watch::look(session, launched.name()).await?;
    let stopped = watch::is_stopped(&seen);
    let ended = watch::until_ended(session, launched.name(), Some(seen)).await?;
    let defects = collect(session, &launched).await?;
    Ok((!stopped).then_some((ended, defects)))
}

/// Whether another job may do what this one did not: after the service's own failure, or where a job
/// failed and yet answered something of what it was given. One that answered nothing would fail again,
/// unless its shards are cut. Where rows went missing within an output, no cut finds them.
fn goes_on(session: &Session, job: &ScoreJob, ended: &Ended, defects: &[Defect]) -> bool {
    let most = session.spec.transform.as_ref().map_or(1, |t| t.max_jobs());
    let (jobs, answered, whole) = session.state(|s| {
        let last = s.last_launch(&job.fingerprint);
        (
            s.jobs_in_a_row,
            s.last_job_answered(&job.fingerprint),
            last.is_some_and(|l| l.pieces.is_empty()),
        )
    });
    if jobs >= most {
        return false;
    }
    if is_service_failure(ended) {
        return true;
    }
    let started = !ended
        .reason
        .as_deref()
        .unwrap_or_default()
        .contains(NEVER_STARTED);
    let can_be_cut = quarantines(session) && whole && started;
    let no_rows_lost = defects.iter().all(|d| d.what.is_absent());
    ended.status == JobStatus::Failed && no_rows_lost && (answered || can_be_cut)
}

fn say_that_it_goes_on(session: &Session, ended: &Ended, next: &[Sent]) {
    let reason = ended.reason.as_deref().map(printable).unwrap_or_default();
    let shards: BTreeSet<u32> = next.iter().map(|s| s.piece.shard).collect();
    let shards = counted(shards.len() as u64, "shard");
    let how = if next.iter().all(|s| s.whole) {
        "sent again in a job of their own".to_owned()
    } else {
        let pieces = counted(next.len() as u64, "piece");
        format!("sent again in {pieces}, to find the rows that the model refuses")
    };
    session.note(
        Level::Warn,
        format!(
            "job {} failed ({reason}): {shards} without an output, {how}",
            ended.name
        ),
    );
}

/// A job under other settings may still run, and cost money.
fn warn_of_others(session: &Session, job: &ScoreJob) {
    let running = session.state(|s| {
        let other = |l: &&Launched| {
            l.fingerprint != job.fingerprint && l.arn.is_some() && l.ended.is_none()
        };
        s.launches.iter().find(other).map(|l| l.name().to_owned())
    });
    if let Some(name) = running {
        session.note(
            Level::Warn,
            format!(
                "job {name} was created under other settings and may still run; it is left alone"
            ),
        );
    }
}

/// The number of the next job attempt: that of an announced job which the service never knew, else
/// a new one.
fn next_attempt(session: &Session, job: &ScoreJob) -> u32 {
    session.state(|s| {
        let unknown = s.last_launch(&job.fingerprint).filter(|l| l.arn.is_none());
        let most = s.launches.iter().map(|l| l.attempt).max().unwrap_or(0);
        unknown.map_or(most + 1, |l| l.attempt)
    })
}

async fn next_job(
    session: &Arc<Session>,
    plan: &Plan,
    job: &ScoreJob,
    sent: &[Sent],
) -> Result<(Ended, Vec<Defect>), RunError> {
    let attempt = next_attempt(session, job);
    let is_pieces = sent.iter().any(|s| !s.whole);
    if is_pieces {
        refused::cut_and_upload(session, plan, job, sent).await?;
    }
    let request = request(session, plan, job, sent, attempt).await?;
    let shards: BTreeSet<u32> = sent.iter().map(|s| s.piece.shard).collect();
    let pieces = sent.iter().filter(|s| !s.whole).map(|s| s.piece);
    note_what_is_there(session, &request.transform_output.s3_output_path).await?;
    session.record(&Entry::Launching {
        attempt,
        fingerprint: job.fingerprint.clone(),
        shards: shards.into_iter().collect(),
        pieces: pieces.collect(),
        output: request.transform_output.s3_output_path.clone(),
        request: serde_json::to_value(&request).map_err(|e| RunError::bug(e.to_string()))?,
    })?;
    session.mirror().await?;
    watch::create_or_adopt(session, &request).await?;
    let ended = watch::until_ended(session, &request.transform_job_name, None).await?;
    let launched = session.state(|s| s.last_launch(&job.fingerprint).cloned());
    let launched = launched.ok_or_else(|| RunError::bug("a job that was not announced"))?;
    let defects = collect(session, &launched).await?;
    Ok((ended, defects))
}

/// The request: the whole prefix when all shards are to be scored, else a manifest of what is.
async fn request(
    session: &Session,
    plan: &Plan,
    job: &ScoreJob,
    sent: &[Sent],
    attempt: u32,
) -> Result<CreateTransformJob, RunError> {
    let remote = session.remote()?;
    let all = session.state(|s| s.shards.len());
    let is_whole = sent.iter().all(|s| s.whole);
    let prefix = if is_whole {
        remote.shards(&job.shards_fingerprint).to_string()
    } else {
        remote.pieces(&job.fingerprint).to_string()
    };
    let input = if is_whole && sent.len() == all {
        JobInput::Prefix(prefix)
    } else {
        let names: Vec<String> = sent.iter().map(|s| s.name.clone()).collect();
        let text = gristmill_plan::launch::manifest_json(&prefix, &names)
            .map_err(|e| RunError::bug(e.to_string()))?;
        let (uri, store) = (remote.manifest(attempt), remote.store());
        let options = PutOptions::default();
        let put = store.put_bytes(&uri, Bytes::from(text), &options);
        session.cancel.guard(put).await?;
        JobInput::Manifest(uri.to_string())
    };
    let facts = RunFacts {
        run_id: session.run_id.clone(),
        work_uri: session
            .spec
            .work
            .as_ref()
            .map(|w| w.uri.clone())
            .unwrap_or_default(),
        fingerprint: job.fingerprint.clone(),
        attempt,
        model_name: job.model_name.clone(),
        input,
        output: remote.out(attempt).to_string(),
    };
    let request =
        launch(plan, &facts).map_err(|e| RunError::new(ExitCode::Pipeline, e.to_string()))?;
    // The two crates do not know each other: the API's own JSON is what they share.
    let json = serde_json::to_value(&request).map_err(|e| RunError::bug(e.to_string()))?;
    serde_json::from_value(json)
        .map_err(|e| RunError::bug(format!("the request does not fit the client: {e}")))
}

fn is_service_failure(ended: &Ended) -> bool {
    ended.status == JobStatus::Failed
        && ended
            .reason
            .as_deref()
            .is_some_and(|r| r.starts_with(SERVICE_FAILURE))
}

fn failure(session: &Session, job: &ScoreJob, ended: &Ended, defects: &[Defect]) -> RunError {
    const SHOWN: usize = 3;
    let (missing, all) = (
        missing(session, job).len(),
        session.state(|s| s.shards.len()),
    );
    let reason = ended
        .reason
        .as_deref()
        .map(|r| format!(": {}", printable(r)))
        .unwrap_or_default();
    let said = container_log::by_object(session, &ended.name);
    let each = defects
        .iter()
        .take(SHOWN)
        .map(|d| match said.get(&d.sent.name) {
            Some(said) if d.what.is_absent() => format!("{d}, {}", printable(said)),
            _ => d.to_string(),
        });
    let first: Vec<String> = each.collect();
    let more = match defects.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let message = format!(
        "job {} ended as {}{reason}. {missing} of {all} shards have no usable output ({}{more}). Nothing was published",
        ended.name,
        watch::status_name(&ended.status),
        first.join("; "),
    );
    let exit = if is_service_failure(ended) {
        ExitCode::Temporary
    } else {
        ExitCode::Model
    };
    RunError::new(exit, message).with_help(where_to_look(session, &ended.name))
}

/// Where the cause is to be found, and what the containers said last.
fn where_to_look(session: &Session, job: &str) -> String {
    let then = "once the cause is mended, the same command scores only the shards that are missing";
    let place = if session.local {
        let folder = local_services::folder(session.work.root());
        folder
            .join("sagemaker/logs")
            .join(job)
            .display()
            .to_string()
    } else {
        format!("CloudWatch {TRANSFORM_LOG_GROUP}, streams {job}/…")
    };
    match container_log::last_lines(session, job) {
        Ok(lines) => {
            let said: String = lines.iter().map(|l| format!("\n    {l}")).collect();
            format!("{then}. The job's log, in {place}:{said}")
        }
        Err(why) => format!(
            "the job's log ({place}) says what the container answered, and could not be read: \
             {why}; {then}"
        ),
    }
}

/// The service's text on one line, without control characters.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}
