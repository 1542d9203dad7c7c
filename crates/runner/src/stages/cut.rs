//! The shards stage: the second pass over the inputs cuts shards, and each is uploaded while the
//! next are cut.
//!
//! Memory: the cutter's blocks, and at most [`SHARDS_IN_FLIGHT`] sealed shards on disk that wait
//! for the network.

use std::path::Path;
use std::sync::Arc;

use gristmill_plan::Plan;
use gristmill_tabular::{
    Input, ScanOptions, Schema, SealedShard, ShardJob, ShardTotals, TabularError, write_shards,
};
use tokio::sync::mpsc;

use crate::disk;
use crate::entry::Entry;
use crate::error::RunError;
use crate::event::Stage;
use crate::inventory::blocking;
use crate::session::Session;
use crate::stages::convert::{parquet_codec, shard_format};
use crate::stages::upload;
use crate::words::{counted, grouped};

/// Sealed shards that may wait for their upload before the cutter waits too.
pub(crate) const SHARDS_IN_FLIGHT: usize = 4;

/// What the cutter needs beside the plan.
pub(crate) struct CutJob {
    pub(crate) inputs: Vec<Input>,
    pub(crate) options: ScanOptions,
    pub(crate) schema: Schema,
    pub(crate) fingerprint: String,
}

/// Cuts and uploads all shards, or finds that an earlier attempt did. Returns the seconds it took.
///
/// # Errors
/// The data's, the disk's or the store's.
pub(crate) async fn run(session: &Arc<Session>, plan: &Plan, job: CutJob) -> Result<f64, RunError> {
    if is_done(session, &job.fingerprint) {
        let (shards, rows) = session.state(|s| {
            let sealed = s.sealed.as_ref();
            (
                sealed.map_or(0, |x| x.shards),
                sealed.map_or(0, |x| x.rows_accepted),
            )
        });
        session.reused(
            Stage::Shards,
            format!(
                "{} in {} were uploaded before",
                counted(rows, "row"),
                counted(u64::from(shards), "shard")
            ),
        );
        return Ok(0.0);
    }
    let (bytes, rows) = session.state(|s| {
        s.scanned
            .as_ref()
            .map_or((0, 0), |x| (x.bytes, x.rows_source))
    });
    // Shards wait on disk a few at a time, but a store that is slower than the cutter, and the
    // sidecars that stay until the end, can need as much as the input.
    let needed = bytes.saturating_add(disk::copies(&job.inputs));
    disk::require(session.folder.root(), needed, "cutting shards")?;
    let clock = session.begin(Stage::Shards, Some(bytes), Some(rows));
    session.record(&Entry::Sharding {
        fingerprint: job.fingerprint.clone(),
    })?;
    let fingerprint = job.fingerprint.clone();
    let totals = cut_and_upload(session, plan, job).await?;
    session.record(&sealed_entry(&totals, &fingerprint))?;
    session.shards_moved.notify_one();
    session.mirror().await?;
    let (rows, shards) = (totals.rows_accepted, u64::from(totals.shards));
    Ok(clock.finish(format!(
        "{} in {}, {} bytes",
        counted(rows, "row"),
        counted(shards, "shard"),
        grouped(totals.bytes)
    )))
}

fn is_done(session: &Session, fingerprint: &str) -> bool {
    session.state(|s| {
        let all = s.sealed.as_ref().map(|x| x.shards as usize);
        s.sharding.as_deref() == Some(fingerprint)
            && all.is_some_and(|n| s.shards.len() == n && s.uploaded.len() == n)
    })
}

fn sealed_entry(totals: &ShardTotals, fingerprint: &str) -> Entry {
    Entry::ShardsSealed {
        unlabelled: 0,
        fingerprint: fingerprint.to_owned(),
        shards: totals.shards,
        rows_source: totals.rows_source,
        rows_accepted: totals.rows_accepted,
        quarantined: totals
            .quarantined
            .iter()
            .map(|(reason, n)| (reason.name().to_owned(), *n))
            .collect(),
    }
}

async fn cut_and_upload(
    session: &Arc<Session>,
    plan: &Plan,
    job: CutJob,
) -> Result<ShardTotals, RunError> {
    let (sender, receiver) = mpsc::channel::<SealedShard>(SHARDS_IN_FLIGHT);
    let uploads = upload::all(Arc::clone(session), job.fingerprint.clone(), receiver);
    let cutting = cut(Arc::clone(session), plan.clone(), job, sender);
    let (totals, uploaded) = tokio::join!(cutting, uploads);
    // An upload that failed ends the cutter with a closed channel: the upload's error is the cause.
    uploaded?;
    let totals = totals?;
    upload::quarantine(session).await?;
    Ok(totals)
}

async fn cut(
    session: Arc<Session>,
    plan: Plan,
    job: CutJob,
    sender: mpsc::Sender<SealedShard>,
) -> Result<ShardTotals, RunError> {
    blocking(move || {
        let quarantine = session.folder.quarantine().join("bad-rows.jsonl");
        let folder = session.folder.shards();
        let mut shard_job = shard_job(&plan, &job, &folder, &quarantine)?;
        shard_job.name_prefix = format!("{}-", session.run_id);
        let progress = session.progress(Stage::Shards);
        // The cutter knows errors of data only; one of the ledger goes around it.
        let mut refused = None;
        let totals = write_shards(
            &shard_job,
            &mut |shard| {
                hand_over(&session, &sender, shard).map_err(|e| {
                    refused = e;
                    TabularError::Cancelled
                })
            },
            &progress,
        );
        totals.map_err(|e| refused.unwrap_or_else(|| interrupted_or(&session, e)))
    })
    .await
}

/// What the plan says of shards, for those of `folder`, whose names begin with nothing yet.
///
/// # Errors
/// A bug, for a format that no shard of a job has.
pub(crate) fn shard_job<'a>(
    plan: &Plan,
    job: &'a CutJob,
    folder: &'a Path,
    quarantine: &'a Path,
) -> Result<ShardJob<'a>, RunError> {
    let shards = &plan.shards;
    Ok(ShardJob {
        inputs: &job.inputs,
        scan: &job.options,
        schema: &job.schema,
        select: plan.columns.shards.clone(),
        sidecar: plan.columns.carried.clone(),
        null: shards.null.clone(),
        max_bytes: shards.max_bytes.unwrap_or(u64::MAX),
        max_rows: shards.max_rows,
        max_record_bytes: plan.max_record_bytes,
        format: shard_format(shards.format)?,
        row_group_rows: usize::try_from(shards.row_group_rows).unwrap_or(usize::MAX),
        parquet_compression: parquet_codec(shards.compression),
        folder,
        name_prefix: String::new(),
        quarantine,
    })
}

/// Notes a shard and gives it to the uploads. The error is the ledger's; without one, the uploads
/// have ended, which says why.
fn hand_over(
    session: &Session,
    sender: &mpsc::Sender<SealedShard>,
    shard: SealedShard,
) -> Result<(), Option<RunError>> {
    let known = session.state(|s| s.shards.get(&shard.index) == Some(&shard));
    if !known {
        session
            .record(&Entry::ShardSealed {
                shard: shard.clone(),
            })
            .map_err(Some)?;
    }
    sender.blocking_send(shard).map_err(|_| None)
}

/// A pass that was told to end gives the reason of whoever told it.
pub(crate) fn interrupted_or(session: &Session, error: TabularError) -> RunError {
    match error {
        TabularError::Cancelled if session.cancel.is_cancelled() => session.cancel.error(),
        other => RunError::from(other),
    }
}
