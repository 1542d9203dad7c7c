//! A job before it is created: pieces cut and uploaded, a manifest put, and the request in the ledger.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use gristmill_cloud::{CreateTransformJob, PutOptions};
use gristmill_plan::{JobInput, Plan, RunFacts, launch};

use crate::entry::{Entry, Piece, Wave};
use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::session::Session;
use crate::stages::outputs::{Sent, note_what_is_there};
use crate::stages::refused;
use crate::stages::score::ScoreJob;

/// Makes ready what a job over `sent` reads, and records its request: from here on the job may exist.
///
/// # Errors
/// `Pipeline`, when no valid request can be made; the disk's; the store's.
pub(crate) async fn announce(
    session: &Arc<Session>,
    plan: &Plan,
    job: &ScoreJob,
    sent: &[Sent],
    wave: Option<Wave>,
) -> Result<CreateTransformJob, RunError> {
    let (controls, asked): (Vec<&Sent>, Vec<&Sent>) = sent.iter().partition(|s| s.is_control);
    let shards: BTreeSet<u32> = asked.iter().map(|s| s.piece.shard).collect();
    let shards: Vec<u32> = shards.into_iter().collect();
    let pieces = asked.iter().filter(|s| !s.whole).map(|s| s.piece);
    let pieces: Vec<Piece> = pieces.collect();
    let attempt = next_attempt(session, job, wave, &shards, &pieces);
    if !pieces.is_empty() {
        refused::cut_and_upload(session, plan, job, sent).await?;
    }
    let request = request(session, plan, job, sent, wave, attempt).await?;
    note_what_is_there(session, &request.transform_output.s3_output_path).await?;
    session.record(&Entry::Launching {
        attempt,
        fingerprint: job.fingerprint.clone(),
        shards,
        wave,
        pieces,
        controls: controls.iter().map(|s| s.piece).collect(),
        output: request.transform_output.s3_output_path.clone(),
        request: serde_json::to_value(&request).map_err(|e| RunError::bug(e.to_string()))?,
    })?;
    session.mirror().await?;
    Ok(request)
}

/// The number of the next job attempt: that of a job over the same which was announced and which the
/// service never knew, else a new one.
fn next_attempt(
    session: &Session,
    job: &ScoreJob,
    wave: Option<Wave>,
    shards: &[u32],
    pieces: &[Piece],
) -> u32 {
    session.state(|s| {
        let unknown = s.launches_of(&job.fingerprint).find(|l| {
            l.arn.is_none() && l.wave == wave && l.shards == shards && l.pieces == pieces
        });
        let most = s.launches.iter().map(|l| l.attempt).max().unwrap_or(0);
        unknown.map_or(most + 1, |l| l.attempt)
    })
}

/// The request: the whole prefix when all shards are to be scored by one job, else a manifest of what
/// is.
async fn request(
    session: &Session,
    plan: &Plan,
    job: &ScoreJob,
    sent: &[Sent],
    wave: Option<Wave>,
    attempt: u32,
) -> Result<CreateTransformJob, RunError> {
    let input = input(session, job, sent, wave, attempt).await?;
    request_over(session, plan, job, wave, attempt, input)
}

/// The request of an attempt over what is ready to be read.
///
/// # Errors
/// `Pipeline`, when no valid one can be made.
pub(crate) fn request_over(
    session: &Session,
    plan: &Plan,
    job: &ScoreJob,
    wave: Option<Wave>,
    attempt: u32,
    input: JobInput,
) -> Result<CreateTransformJob, RunError> {
    let remote = session.remote()?;
    let work = session.spec.work.as_ref();
    let facts = RunFacts {
        run_id: session.run_id.clone(),
        work_uri: work.map(|w| w.uri.clone()).unwrap_or_default(),
        fingerprint: job.fingerprint.clone(),
        wave: wave.map(|w| w.number),
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

async fn input(
    session: &Session,
    job: &ScoreJob,
    sent: &[Sent],
    wave: Option<Wave>,
    attempt: u32,
) -> Result<JobInput, RunError> {
    let remote = session.remote()?;
    let all = session.state(|s| s.shards.len());
    let is_whole = sent.iter().all(|s| s.whole);
    let prefix = match is_whole {
        true => remote.shards(&job.shards_fingerprint).to_string(),
        false => remote.pieces(&job.fingerprint).to_string(),
    };
    if is_whole && wave.is_none() && sent.len() == all {
        return Ok(JobInput::Prefix(prefix));
    }
    let names: Vec<String> = sent.iter().map(|s| s.name.clone()).collect();
    let text = gristmill_plan::launch::manifest_json(&prefix, &names)
        .map_err(|e| RunError::bug(e.to_string()))?;
    let (uri, store) = (remote.manifest(attempt), remote.store());
    let options = PutOptions::default();
    let put = store.put_bytes(&uri, Bytes::from(text), &options);
    session.cancel.guard(put).await?;
    Ok(JobInput::Manifest(uri.to_string()))
}
