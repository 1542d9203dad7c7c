//! Shards and sidecars to `work.uri`, a few at a time.

use std::path::Path;
use std::sync::Arc;

use gristmill_cloud::{PutOptions, S3Uri};
use gristmill_tabular::SealedShard;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::entry::Entry;
use crate::error::RunError;
use crate::session::Session;
use crate::stages::joined_ids;

/// Shards that are uploaded at the same time.
const UPLOADS_AT_ONCE: usize = 4;

/// Uploads every shard that arrives, until the channel is closed. A shard that the store confirmed
/// in an earlier attempt is not sent again.
///
/// # Errors
/// The first upload's that failed; the channel is then closed, which ends the sender.
pub(crate) async fn all(
    session: Arc<Session>,
    fingerprint: String,
    mut shards: mpsc::Receiver<SealedShard>,
) -> Result<(), RunError> {
    let mut running = JoinSet::new();
    while let Some(shard) = shards.recv().await {
        if running.len() >= UPLOADS_AT_ONCE {
            joined(running.join_next().await)?;
        }
        running.spawn(one(Arc::clone(&session), fingerprint.clone(), shard));
    }
    while let Some(done) = running.join_next().await {
        joined(Some(done))?;
    }
    Ok(())
}

fn joined(
    done: Option<Result<Result<(), RunError>, tokio::task::JoinError>>,
) -> Result<(), RunError> {
    match done {
        None => Ok(()),
        Some(Ok(result)) => result,
        Some(Err(e)) => Err(RunError::bug(format!(
            "an upload ended without an answer: {e}"
        ))),
    }
}

async fn one(
    session: Arc<Session>,
    fingerprint: String,
    shard: SealedShard,
) -> Result<(), RunError> {
    let done = session.state(|s| s.uploaded.contains(&shard.index));
    if !done {
        joined_ids::check(&session, &shard).await?;
        let remote = session.remote()?;
        let store = remote.store();
        let sidecar = in_folder(&remote.sidecars(&fingerprint), &shard.sidecar_path)?;
        let target = in_folder(&remote.shards(&fingerprint), &shard.path)?;
        session
            .cancel
            .guard(store.put_file(&sidecar, &shard.sidecar_path, &PutOptions::default()))
            .await?;
        let receipt = session
            .cancel
            .guard(store.put_file(&target, &shard.path, &PutOptions::default()))
            .await?;
        session.record(&Entry::ShardUploaded {
            index: shard.index,
            sha256: shard.sha256.clone(),
            etag: receipt.etag,
        })?;
    }
    session.shards_moved.notify_one();
    // The store has it; the sidecar stays here, for assemble.
    let _ = tokio::fs::remove_file(&shard.path).await;
    Ok(())
}

/// The object for a local file below a prefix: the same base name.
///
/// # Errors
/// A bug, when the path has no name.
pub(crate) fn in_folder(prefix: &S3Uri, file: &Path) -> Result<S3Uri, RunError> {
    let name = file.file_name().and_then(|n| n.to_str());
    let name = name.ok_or_else(|| RunError::bug(format!("{} has no name", file.display())))?;
    Ok(S3Uri {
        bucket: prefix.bucket.clone(),
        key: format!("{}{name}", prefix.key),
    })
}

/// The quarantine beside the shards, if it holds anything.
///
/// # Errors
/// The store's.
pub(crate) async fn quarantine(session: &Session) -> Result<(), RunError> {
    let file = session.folder.quarantine().join("bad-rows.jsonl");
    let filled = tokio::fs::metadata(&file).await.is_ok_and(|m| m.len() > 0);
    if let (true, Some(remote)) = (filled, &session.remote) {
        session
            .cancel
            .guard(
                remote
                    .store()
                    .put_file(&remote.quarantine(), &file, &PutOptions::default()),
            )
            .await?;
    }
    Ok(())
}
