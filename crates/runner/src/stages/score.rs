//! The transform stage: jobs over exactly the shards that have no verified output yet.
//!
//! A job's status proves nothing about rows: after each job its outputs are listed, matched by base
//! name, fetched and counted. What does not agree is not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gristmill_cloud::{CreateTransformJob, Expected, JobStatus, ObjectMeta, PutOptions, S3Uri};
use gristmill_plan::{JobInput, Plan, RunFacts, launch};
use gristmill_tabular::SealedShard;
use gristmill_tabular::predictions::Predictions;

use crate::entry::Entry;
use crate::error::RunError;
use crate::event::{Level, Stage};
use crate::exit_code::ExitCode;
use crate::inventory::blocking;
use crate::session::Session;
use crate::stages::fetch::fetch;
use crate::stages::watch::{self, Ended};

/// Jobs that one attempt creates at most, when the service itself fails.
const JOBS_AN_ATTEMPT: u32 = 3;
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
            format!("all {shards} shards were scored before"),
        );
        return Ok(0.0);
    }
    let rows = session.state(|s| s.sealed.as_ref().map(|x| x.rows_accepted));
    let clock = session.begin(Stage::Transform, None, rows);
    let mut last = take_up(session, job).await?;
    let mut jobs = 0;
    loop {
        let missing = missing(session, job);
        if missing.is_empty() {
            break;
        }
        if let Some((ended, defects)) = &last
            && !(is_service_failure(ended) && jobs < JOBS_AN_ATTEMPT)
        {
            return Err(failure(
                ended,
                defects,
                &missing,
                session.state(|s| s.shards.len()),
            ));
        }
        jobs += 1;
        last = Some(next_job(session, plan, job, &missing).await?);
    }
    let (shards, rows) = session.state(|s| {
        (
            s.shards.len(),
            s.sealed.as_ref().map_or(0, |x| x.rows_accepted),
        )
    });
    session.mirror().await?;
    Ok(clock.finish(format!("{rows} rows in {shards} shards")))
}

/// Shards without a verified output of this fingerprint.
fn missing(session: &Session, job: &ScoreJob) -> Vec<SealedShard> {
    session.state(|s| {
        let current = s
            .launches
            .last()
            .is_some_and(|l| l.fingerprint == job.fingerprint);
        s.shards
            .values()
            .filter(|x| !current || !s.outputs.contains_key(&x.index))
            .cloned()
            .collect()
    })
}

/// Goes on with the job of an earlier attempt, if there is one. One that had ended before is only
/// looked through again: that it failed then does not make this attempt fail.
async fn take_up(
    session: &Arc<Session>,
    job: &ScoreJob,
) -> Result<Option<(Ended, Vec<Defect>)>, RunError> {
    let last = session.state(|s| {
        s.launches
            .last()
            .filter(|l| l.fingerprint == job.fingerprint)
            .cloned()
    });
    let Some(launched) = last else {
        return Ok(None);
    };
    if launched.ended.is_some() {
        collect(session, &launched.output, &missing(session, job)).await?;
        return Ok(None);
    }
    let request: CreateTransformJob =
        serde_json::from_value(launched.request.clone()).map_err(|e| {
            RunError::damaged(format!(
                "the ledger's request of job {}: {e}",
                launched.name()
            ))
        })?;
    if launched.arn.is_none() {
        watch::create_or_adopt(session, &request).await?;
    } else {
        session.note(
            Level::Info,
            format!("going on with job {}", launched.name()),
        );
    }
    let ended = watch::until_ended(session, launched.name()).await?;
    let defects = collect(session, &launched.output, &missing(session, job)).await?;
    Ok(Some((ended, defects)))
}

async fn next_job(
    session: &Arc<Session>,
    plan: &Plan,
    job: &ScoreJob,
    missing: &[SealedShard],
) -> Result<(Ended, Vec<Defect>), RunError> {
    let attempt = session.state(|s| s.launches.iter().map(|l| l.attempt).max().unwrap_or(0)) + 1;
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
    let ended = watch::until_ended(session, &request.transform_job_name).await?;
    let defects = collect(session, &output, missing).await?;
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

/// Fetches and counts the outputs of `shards` under a job's prefix; records those that agree and
/// gives the others.
async fn collect(
    session: &Arc<Session>,
    output: &str,
    shards: &[SealedShard],
) -> Result<Vec<Defect>, RunError> {
    let store = session.store()?;
    let prefix = S3Uri::parse(output)?;
    let listed = session
        .cancel
        .guard(store.list(&prefix, MAX_OUTPUTS))
        .await?;
    let by_name = by_base_name(session, listed);
    let mut defects = Vec::new();
    for shard in shards {
        match by_name
            .get(&format!("{}.out", shard.name))
            .map(Vec::as_slice)
        {
            None | Some([]) => defects.push(Defect {
                shard: shard.name.clone(),
                what: "no output".into(),
            }),
            Some([object]) => {
                let uri = S3Uri {
                    bucket: prefix.bucket.clone(),
                    key: object.key.clone(),
                };
                defects.extend(verify(session, shard, uri, object).await?);
            }
            Some(several) => defects.push(Defect {
                shard: shard.name.clone(),
                what: format!("{} objects claim to be its output", several.len()),
            }),
        }
    }
    Ok(defects)
}

/// Outputs are found by their base name, since where the service puts those of nested keys is
/// undocumented. Base names of shards are unique.
fn by_base_name(session: &Session, listed: Vec<ObjectMeta>) -> BTreeMap<String, Vec<ObjectMeta>> {
    let mut by_name: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
    for object in listed {
        let name = object.key.rsplit('/').next().unwrap_or_default().to_owned();
        by_name.entry(name).or_default().push(object);
    }
    let known = |name: &str| {
        session.state(|s| s.shards.values().any(|x| name == format!("{}.out", x.name)))
    };
    for name in by_name.keys().filter(|n| !known(n)) {
        session.note(
            Level::Warn,
            format!("{name:?} lies among the job's outputs and belongs to no shard: left alone"),
        );
    }
    by_name
}

/// Where a shard's predictions are on this machine.
pub(crate) fn local_output(session: &Session, shard: &SealedShard) -> std::path::PathBuf {
    session.folder.outputs().join(format!("{}.out", shard.name))
}

async fn verify(
    session: &Arc<Session>,
    shard: &SealedShard,
    uri: S3Uri,
    object: &ObjectMeta,
) -> Result<Option<Defect>, RunError> {
    let path = local_output(session, shard);
    fetch(session, &uri, &path, Some(Expected::from(object))).await?;
    let (name, counted) = (shard.name.clone(), path.clone());
    let rows = blocking(move || Ok(Predictions::open(&counted, &name)?.count_to_end()?)).await?;
    if rows != shard.rows {
        let what = format!("{} rows were sent and {rows} came back", shard.rows);
        // Nothing may take it for the shard's answer later.
        std::fs::remove_file(&path).map_err(|e| RunError::io("remove", &path, e))?;
        return Ok(Some(Defect {
            shard: shard.name.clone(),
            what,
        }));
    }
    session.record(&Entry::OutputVerified {
        index: shard.index,
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

fn failure(ended: &Ended, defects: &[Defect], missing: &[SealedShard], all: usize) -> RunError {
    let reason = ended
        .reason
        .as_deref()
        .map(|r| format!(": {}", printable(r)))
        .unwrap_or_default();
    let first: Vec<String> = defects
        .iter()
        .take(3)
        .map(|d| format!("{}: {}", d.shard, d.what))
        .collect();
    let more = if defects.len() > 3 {
        format!(" and {} more", defects.len() - 3)
    } else {
        String::new()
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
    RunError::new(exit, message).with_help(
        "the job's log says what the container answered; once the cause is mended, the same command \
         scores only the shards that are missing",
    )
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
