//! The transform stage: jobs over exactly the shards that have no verified output yet.
//!
//! A job's status proves nothing about rows: after each job its outputs are listed, matched by base
//! name, fetched and counted. What does not agree is not there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use gristmill_cloud::{CreateTransformJob, Expected, JobStatus, ObjectMeta, PutOptions, S3Uri};
use gristmill_plan::{JobInput, Plan, RunFacts, launch};
use gristmill_tabular::SealedShard;
use gristmill_tabular::predictions::Predictions;
use tokio::task::JoinSet;

use crate::entry::Entry;
use crate::error::RunError;
use crate::event::{Level, Stage};
use crate::exit_code::ExitCode;
use crate::folder::make_folder;
use crate::inventory::blocking;
use crate::local_services;
use crate::remote::short;
use crate::session::Session;
use crate::stages::fetch::fetch;
use crate::stages::watch::{self, Ended};
use crate::state::Launched;
use crate::words::counted;

/// Outputs that are fetched at the same time.
const OUTPUTS_AT_ONCE: usize = 8;
/// Objects that are listed under a job's prefix at most.
const MAX_OUTPUTS: usize = 200_000;
/// What the service's own failures begin with: a new job may succeed where this one did not.
const SERVICE_FAILURE: &str = "InternalServerError";

/// What the requests are made of, beside the plan.
pub(crate) struct ScoreJob {
    pub(crate) model_name: String,
    pub(crate) fingerprint: String,
    pub(crate) shards_fingerprint: String,
}

/// Why a shard has no usable output.
#[derive(Debug, Clone)]
struct Defect {
    shard: String,
    what: String,
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
        let missing = missing(session, job);
        if missing.is_empty() {
            break;
        }
        if let Some((ended, defects)) = &last {
            if !goes_on(session, job, ended) {
                return Err(failure(session, ended, defects, &missing));
            }
            say_that_it_goes_on(session, ended, &missing);
        }
        last = Some(next_job(session, plan, job, &missing).await?);
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

/// Shards without a verified output of this fingerprint.
fn missing(session: &Session, job: &ScoreJob) -> Vec<SealedShard> {
    session.state(|s| {
        let unscored = |x: &&SealedShard| !s.is_scored(&job.fingerprint, x.index);
        s.shards.values().filter(unscored).cloned().collect()
    })
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
        let defects = collect(session, job, &launched.output, &missing(session, job)).await?;
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
    let defects = collect(session, job, &launched.output, &missing(session, job)).await?;
    Ok((!stopped).then_some((ended, defects)))
}

/// Whether another job may do what this one did not: after the service's own failure, or where a job
/// failed and yet answered some of its shards. One that answered none would fail again.
fn goes_on(session: &Session, job: &ScoreJob, ended: &Ended) -> bool {
    let most = session.spec.transform.as_ref().map_or(1, |t| t.max_jobs());
    let (jobs, answered) =
        session.state(|s| (s.jobs_in_a_row, s.last_job_answered(&job.fingerprint)));
    let partly = ended.status == JobStatus::Failed && answered;
    jobs < most && (partly || is_service_failure(ended))
}

fn say_that_it_goes_on(session: &Session, ended: &Ended, missing: &[SealedShard]) {
    let reason = ended.reason.as_deref().map(printable).unwrap_or_default();
    session.note(
        Level::Warn,
        format!(
            "job {} failed ({reason}): {} without an output, sent again in a job of their own",
            ended.name,
            counted(missing.len() as u64, "shard"),
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
    missing: &[SealedShard],
) -> Result<(Ended, Vec<Defect>), RunError> {
    let attempt = next_attempt(session, job);
    let request = request(session, plan, job, missing, attempt).await?;
    let output = request.transform_output.s3_output_path.clone();
    session.record(&Entry::Launching {
        attempt,
        fingerprint: job.fingerprint.clone(),
        shards: missing.iter().map(|s| s.index).collect(),
        output: output.clone(),
        request: serde_json::to_value(&request).map_err(|e| RunError::bug(e.to_string()))?,
    })?;
    session.mirror().await?;
    watch::create_or_adopt(session, &request).await?;
    let ended = watch::until_ended(session, &request.transform_job_name, None).await?;
    let defects = collect(session, job, &output, missing).await?;
    Ok((ended, defects))
}

/// The request: the whole prefix when all shards are to be scored, else a manifest of those that are.
async fn request(
    session: &Session,
    plan: &Plan,
    job: &ScoreJob,
    missing: &[SealedShard],
    attempt: u32,
) -> Result<CreateTransformJob, RunError> {
    let remote = session.remote()?;
    let prefix = remote.shards(&job.shards_fingerprint).to_string();
    let all = session.state(|s| s.shards.len());
    let input = if missing.len() == all {
        JobInput::Prefix(prefix)
    } else {
        let names: Vec<String> = missing.iter().map(|s| s.name.clone()).collect();
        let text = gristmill_plan::launch::manifest_json(&prefix, &names)
            .map_err(|e| RunError::bug(e.to_string()))?;
        let uri = remote.manifest(attempt);
        session
            .cancel
            .guard(
                remote
                    .store()
                    .put_bytes(&uri, Bytes::from(text), &PutOptions::default()),
            )
            .await?;
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

/// Fetches and counts the outputs of `shards` under a job's prefix, a few at a time; records those
/// that agree and gives the others, by name.
async fn collect(
    session: &Arc<Session>,
    job: &ScoreJob,
    output: &str,
    shards: &[SealedShard],
) -> Result<Vec<Defect>, RunError> {
    let store = session.store()?;
    let prefix = S3Uri::parse(output)?;
    let listed = session
        .cancel
        .guard(store.list(&prefix, MAX_OUTPUTS))
        .await?;
    let mut by_name = by_base_name(session, listed);
    let mut defects = Vec::new();
    let mut running = JoinSet::new();
    for shard in shards {
        let found = by_name.remove(&output_name(shard)).unwrap_or_default();
        let [object] = found.as_slice() else {
            defects.push(not_one(shard, found.len()));
            continue;
        };
        if running.len() >= OUTPUTS_AT_ONCE {
            defects.extend(joined(running.join_next().await)?);
        }
        let uri = prefix.with_key(&object.key);
        running.spawn(verify(
            Arc::clone(session),
            job.fingerprint.clone(),
            shard.clone(),
            uri,
            object.clone(),
        ));
    }
    while let Some(done) = running.join_next().await {
        defects.extend(joined(Some(done))?);
    }
    defects.sort_by(|a, b| a.shard.cmp(&b.shard));
    Ok(defects)
}

type Verified = Result<Option<Defect>, RunError>;

fn joined(done: Option<Result<Verified, tokio::task::JoinError>>) -> Verified {
    match done {
        None => Ok(None),
        Some(Ok(result)) => result,
        Some(Err(e)) => Err(RunError::bug(format!(
            "a download ended without an answer: {e}"
        ))),
    }
}

fn not_one(shard: &SealedShard, found: usize) -> Defect {
    let what = match found {
        0 => "no output".to_owned(),
        n => format!("{n} objects claim to be its output"),
    };
    Defect {
        shard: shard.name.clone(),
        what,
    }
}

/// The base name of a shard's output.
fn output_name(shard: &SealedShard) -> String {
    format!("{}.out", shard.name)
}

/// Outputs are found by their base name, since where the service puts those of nested keys is
/// undocumented. Base names of shards are unique.
fn by_base_name(session: &Session, listed: Vec<ObjectMeta>) -> BTreeMap<String, Vec<ObjectMeta>> {
    let mut by_name: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
    for object in listed {
        let name = object.key.rsplit('/').next().unwrap_or_default().to_owned();
        by_name.entry(name).or_default().push(object);
    }
    let known: HashSet<String> = session.state(|s| s.shards.values().map(output_name).collect());
    for name in by_name.keys().filter(|n| !known.contains(*n)) {
        session.note(
            Level::Warn,
            format!("{name:?} lies among the job's outputs and belongs to no shard: left alone"),
        );
    }
    by_name
}

/// Where a shard's predictions under these settings are on this machine.
pub(crate) fn local_output(
    session: &Session,
    fingerprint: &str,
    shard: &SealedShard,
) -> std::path::PathBuf {
    let folder = session.folder.outputs().join(short(fingerprint));
    folder.join(output_name(shard))
}

async fn verify(
    session: Arc<Session>,
    fingerprint: String,
    shard: SealedShard,
    uri: S3Uri,
    object: ObjectMeta,
) -> Verified {
    let path = local_output(&session, &fingerprint, &shard);
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    fetch(&session, &uri, &path, Some(Expected::from(&object))).await?;
    let (name, counted) = (shard.name.clone(), path.clone());
    let rows = blocking(move || Ok(Predictions::open(&counted, &name)?.count_to_end()?)).await?;
    if rows != shard.rows {
        let what = format!("{} rows were sent and {rows} came back", shard.rows);
        // Nothing may take it for the shard's answer later.
        std::fs::remove_file(&path).map_err(|e| RunError::io("remove", &path, e))?;
        return Ok(Some(Defect {
            shard: shard.name,
            what,
        }));
    }
    session.record(&Entry::OutputVerified {
        index: shard.index,
        fingerprint,
        uri: uri.to_string(),
        etag: object.etag.clone(),
        size: object.size,
        rows,
    })?;
    session.progress(Stage::Transform).add(rows, object.size);
    Ok(None)
}

fn is_service_failure(ended: &Ended) -> bool {
    ended.status == JobStatus::Failed
        && ended
            .reason
            .as_deref()
            .is_some_and(|r| r.starts_with(SERVICE_FAILURE))
}

fn failure(
    session: &Session,
    ended: &Ended,
    defects: &[Defect],
    missing: &[SealedShard],
) -> RunError {
    const SHOWN: usize = 3;
    let all = session.state(|s| s.shards.len());
    let reason = ended
        .reason
        .as_deref()
        .map(|r| format!(": {}", printable(r)))
        .unwrap_or_default();
    let each = defects.iter().map(|d| format!("{}: {}", d.shard, d.what));
    let first: Vec<String> = each.take(SHOWN).collect();
    let more = match defects.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let message = format!(
        "job {} ended as {}{reason}. {} of {all} shards have no usable output ({}{more}). Nothing was published",
        ended.name,
        watch::status_name(&ended.status),
        missing.len(),
        first.join("; "),
    );
    let exit = if is_service_failure(ended) {
        ExitCode::Temporary
    } else {
        ExitCode::Model
    };
    RunError::new(exit, message).with_help(where_to_look(session, &ended.name))
}

/// Where the cause is to be found; on this machine, the cause itself.
fn where_to_look(session: &Session, job: &str) -> String {
    let then = "once the cause is mended, the same command scores only the shards that are missing";
    if !session.local {
        return format!(
            "the job's log (CloudWatch /aws/sagemaker/TransformJobs, streams that begin with the \
             job's name) says what the container answered; {then}"
        );
    }
    let folder = local_services::folder(session.work.root());
    let lines = local_services::job_log(&folder, job);
    let said: String = lines
        .iter()
        .map(|l| format!("\n    {}", printable(l)))
        .collect();
    let place = folder.join("sagemaker/logs").join(job);
    format!("{then}. The job's log, in {}:{said}", place.display())
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
