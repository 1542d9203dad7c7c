//! Rows that the model refuses: shards that failed are cut into pieces for the next job; where every row
//! was answered or refused, the answers are put together as the shard's, and the refused rows go to
//! quarantine with their places and what was said about them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_cloud::{Expected, PutOptions, S3Uri};
use gristmill_plan::Plan;
use gristmill_tabular::predictions::Predictions;
use gristmill_tabular::{
    Format, RowOrigin, SealedShard, ShardPiece, TextShard, join_answers, row_origins,
};
use tokio::task::JoinSet;

use crate::container_log;
use crate::disk;
use crate::entry::{Entry, Piece, RefusedRow};
use crate::error::RunError;
use crate::event::{Level, Stage};
use crate::folder::make_folder;
use crate::inventory::{blocking, hash_file};
use crate::pieces::{Settled, with_reasons};
use crate::session::Session;
use crate::stages::assemble::have_sidecar;
use crate::stages::convert::shard_format;
use crate::stages::fetch::fetch;
use crate::stages::joined_ids;
use crate::stages::outputs::{Sent, answer_layout, local_output};
use crate::stages::score::ScoreJob;
use crate::stages::upload;
use crate::state::Launched;
use crate::words::counted;

/// Pieces that are uploaded at the same time.
const UPLOADS_AT_ONCE: usize = 8;
/// The reason of such rows in the quarantine and in counts.
pub(crate) const REFUSED: &str = "refused";

/// Cuts pieces out of their shards and puts them where the job reads them. Those of an attempt that was
/// cut off are replaced by the same bytes.
///
/// # Errors
/// The disk's; the store's; a shard that is not what it was.
pub(crate) async fn cut_and_upload(
    session: &Arc<Session>,
    plan: &Plan,
    job: &ScoreJob,
    sent: &[Sent],
) -> Result<(), RunError> {
    let format = shard_format(plan.shards.format)?;
    let shards_at = &job.shards_fingerprint;
    let mut by_shard: BTreeMap<u32, Vec<&Sent>> = BTreeMap::new();
    for sent in sent {
        by_shard.entry(sent.piece.shard).or_default().push(sent);
    }
    let prefix = session.remote()?.pieces(&job.fingerprint);
    for (index, mut sent) in by_shard {
        sent.sort_unstable_by_key(|s| s.piece.first);
        let shard = shard(session, index)?;
        let text = have_shard(session, shards_at, &shard, format).await?;
        let piece = |s: &&Sent| ShardPiece {
            first: s.piece.first,
            rows: s.piece.rows,
            path: session.folder.pieces().join(&s.name),
        };
        let pieces: Vec<ShardPiece> = sent.iter().map(piece).collect();
        let paths: Vec<PathBuf> = pieces.iter().map(|p| p.path.clone()).collect();
        blocking(move || Ok(text.cut(&pieces)?)).await?;
        upload_all(session, &prefix, paths).await?;
    }
    Ok(())
}

fn shard(session: &Session, index: u32) -> Result<SealedShard, RunError> {
    let shard = session.state(|s| s.shards.get(&index).cloned());
    shard.ok_or_else(|| RunError::bug(format!("there is no shard {index}")))
}

async fn upload_all(
    session: &Arc<Session>,
    prefix: &S3Uri,
    files: Vec<PathBuf>,
) -> Result<(), RunError> {
    let mut running = JoinSet::new();
    for file in files {
        if running.len() >= UPLOADS_AT_ONCE {
            uploaded(running.join_next().await)?;
        }
        let (session, to) = (Arc::clone(session), upload::in_folder(prefix, &file)?);
        running.spawn(async move {
            let store = session.store()?;
            let options = PutOptions::default();
            let put = store.put_file(&to, &file, &options);
            session.cancel.guard(put).await?;
            let _ = tokio::fs::remove_file(&file).await;
            Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        uploaded(Some(done))?;
    }
    Ok(())
}

fn uploaded(
    done: Option<Result<Result<(), RunError>, tokio::task::JoinError>>,
) -> Result<(), RunError> {
    let failed = |e| RunError::bug(format!("an upload ended without an answer: {e}"));
    done.map_or(Ok(()), |done| done.map_err(failed)?)
}

/// A shard on this machine again, with the checksum that it was sealed with.
///
/// # Errors
/// The disk's; the store's; a shard that is not what it was.
pub(crate) async fn have_shard(
    session: &Session,
    shards_fingerprint: &str,
    shard: &SealedShard,
    format: Format,
) -> Result<TextShard, RunError> {
    let folder = session.folder.pieces();
    make_folder(&folder)?;
    let path = folder.join(&shard.name);
    if !path.exists() {
        let needed = shard.bytes.saturating_mul(2);
        disk::require(&folder, needed, "cutting a shard into pieces")?;
        let prefix = session.remote()?.shards(shards_fingerprint);
        let uri = upload::in_folder(&prefix, &path)?;
        fetch(session, &uri, &path, None).await?;
    }
    let (hashed, expected) = (path.clone(), format!("sha256:{}", shard.sha256));
    if blocking(move || Ok(hash_file(&hashed)? != expected)).await? {
        let _ = std::fs::remove_file(&path);
        return Err(RunError::damaged(format!(
            "shard {} is not what was uploaded: its checksum differs",
            shard.name
        ))
        .with_help("start over with --fresh"));
    }
    Ok(TextShard {
        path,
        format,
        rows: shard.rows,
        longest_record: shard.longest_record,
    })
}

/// Puts the answers to a shard's pieces together: here, under `work.uri`, and in the ledger. They are
/// counted again as the shard's.
///
/// # Errors
/// The disk's; the store's.
pub(crate) async fn settle(
    session: &Arc<Session>,
    job: &ScoreJob,
    settled: &Settled,
) -> Result<(), RunError> {
    let shard = shard(session, settled.shard)?;
    let mut answers = Vec::with_capacity(settled.answered.len());
    for piece in &settled.answered {
        answers.push(have_answer(session, job, &shard, piece).await?);
    }
    let whole = Sent::shard(&shard);
    let path = local_output(session, &job.fingerprint, &whole);
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let (to, name) = (path.clone(), shard.name.clone());
    let layout = answer_layout(&session.spec);
    let (size, rows) = blocking(move || {
        let size = join_answers(&answers, &to)?;
        Ok((size, Predictions::open(&to, &name, layout)?.count_to_end()?))
    })
    .await?;
    let refused = reasons(session, job, &shard, settled).await;
    if rows + refused.len() as u64 != shard.rows {
        let _ = std::fs::remove_file(&path);
        return Err(RunError::bug(format!(
            "{}: {rows} rows were answered and {} refused, of {}",
            shard.name,
            refused.len(),
            shard.rows
        )));
    }
    let left_out: Vec<u64> = refused.iter().map(|r| r.row).collect();
    if let Some(other) = joined_ids::other(session, &shard, &left_out, &path).await? {
        let _ = std::fs::remove_file(&path);
        return Err(joined_ids::refusal(&shard, &other));
    }
    let remote = session.remote()?;
    let uri = upload::in_folder(&remote.joined(&job.fingerprint), &path)?;
    let store = remote.store();
    let options = PutOptions::default();
    let put = store.put_file(&uri, &path, &options);
    let receipt = session.cancel.guard(put).await?;
    say(session, &shard, &refused);
    session.record(&Entry::OutputVerified {
        index: shard.index,
        fingerprint: job.fingerprint.clone(),
        uri: uri.to_string(),
        etag: receipt.etag,
        size,
        rows,
        refused,
    })?;
    session.progress(Stage::Transform).add(rows, size);
    Ok(())
}

fn say(session: &Session, shard: &SealedShard, refused: &[RefusedRow]) {
    let Some(first) = refused.first() else { return };
    session.note(
        Level::Warn,
        format!(
            "{}: the model refuses {}, first row {}: {}",
            shard.name,
            counted(refused.len() as u64, "row"),
            shard.first_ordinal + first.row + 1,
            first.reason
        ),
    );
}

/// The answer to a piece, on this machine.
async fn have_answer(
    session: &Session,
    job: &ScoreJob,
    shard: &SealedShard,
    piece: &Piece,
) -> Result<PathBuf, RunError> {
    let sent = Sent::piece(shard, *piece);
    let path = local_output(session, &job.fingerprint, &sent);
    if path.exists() {
        return Ok(path);
    }
    let known = session.state(|s| s.piece(&job.fingerprint, piece).cloned());
    let known = known.ok_or_else(|| RunError::bug(format!("{sent} has no output")))?;
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let expected = Expected {
        size: known.size,
        etag: known.etag,
        checksum: None,
    };
    fetch(session, &S3Uri::parse(&known.uri)?, &path, Some(expected)).await?;
    Ok(path)
}

/// Single rows about which a container said that the request was bad (HTTP 4xx): such an answer is not
/// worth another try. What else it says may pass.
pub(crate) async fn certain(session: &Session, job: &ScoreJob) -> BTreeSet<Piece> {
    let jobs: Vec<(String, Vec<Piece>)> = session.state(|s| {
        let of = s
            .launches_of(&job.fingerprint)
            .filter(|l| l.ended.is_some());
        let rows = |l: &Launched| l.pieces.iter().filter(|p| p.rows == 1).copied().collect();
        of.map(|l| (l.name().to_owned(), rows(l))).collect()
    });
    let mut certain = BTreeSet::new();
    for (name, rows) in jobs.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        container_log::learn(session, &name).await;
        let said = container_log::by_object(session, &name);
        let is_bad = |piece: &Piece| {
            let shard = session.state(|s| s.shards.get(&piece.shard).cloned());
            let name = shard.map(|shard| Sent::piece(&shard, *piece).name);
            name.and_then(|n| said.get(&n))
                .is_some_and(|s| is_client_error(s))
        };
        certain.extend(rows.into_iter().filter(is_bad));
    }
    certain
}

/// Whether all that the service logged of the answers to an object is that the request was bad. 408 and 429
/// say that it came at a bad time.
fn is_client_error(said: &str) -> bool {
    let first = said.split(": ").nth(1).unwrap_or_default();
    let first: Option<u16> = first.trim().parse().ok();
    let is_of_driver = said.starts_with("Bad HTTP status received from algorithm: ")
        || said.starts_with("ClientError: ");
    is_of_driver && first.is_some_and(|s| (400..500).contains(&s) && s != 408 && s != 429)
}

/// What was said about each refused row: by the container, else why the job failed.
async fn reasons(
    session: &Session,
    job: &ScoreJob,
    shard: &SealedShard,
    settled: &Settled,
) -> Vec<RefusedRow> {
    let jobs = session.state(|s| {
        let of = |l: &&Launched| {
            l.fingerprint == job.fingerprint && l.pieces.iter().any(|p| p.shard == shard.index)
        };
        let said = |l: &Launched| {
            let reason = l.ended.as_ref().and_then(|(_, reason)| reason.clone());
            (l.name().to_owned(), reason.unwrap_or_default())
        };
        s.launches.iter().filter(of).map(said).collect::<Vec<_>>()
    });
    let mut logged = BTreeMap::new();
    let mut failure = String::new();
    for (name, reason) in jobs {
        container_log::learn(session, &name).await;
        logged.extend(container_log::by_object(session, &name));
        failure = format!("job {name} failed: {reason}");
    }
    with_reasons(settled, |piece| {
        let name = Sent::piece(shard, *piece).name;
        logged.get(&name).unwrap_or(&failure).clone()
    })
}

/// Adds the rows that the model refused to the quarantine, behind the bad rows of the source. Done
/// again, it makes the same file.
///
/// # Errors
/// The disk's; the store's.
pub(crate) async fn quarantine(
    session: &Arc<Session>,
    plan: &Plan,
    job: &ScoreJob,
) -> Result<(), RunError> {
    let refused: Vec<(SealedShard, Vec<RefusedRow>)> = session.state(|s| {
        let of = |x: &SealedShard| {
            let refused = s.output(&job.fingerprint, x.index)?.refused.clone();
            (!refused.is_empty()).then(|| (x.clone(), refused))
        };
        s.shards.values().filter_map(of).collect()
    });
    if refused.is_empty() {
        return Ok(());
    }
    let format = shard_format(plan.shards.format)?;
    let file = session.folder.quarantine().join("bad-rows.jsonl");
    make_folder(&session.folder.quarantine())?;
    have_bad_rows(session, &file).await?;
    let failed = |e: std::io::Error| RunError::io("write", &file, e);
    let mut out = tempfile::NamedTempFile::new_in(session.folder.quarantine()).map_err(failed)?;
    let mut writer = BufWriter::new(out.as_file_mut());
    copy_source_rows(&file, &mut writer)?;
    for (shard, rows) in refused {
        for line in lines(session, job, &shard, format, rows).await? {
            writeln!(writer, "{line}").map_err(failed)?;
        }
    }
    writer.flush().map_err(failed)?;
    drop(writer);
    out.as_file().sync_all().map_err(failed)?;
    out.persist(&file).map_err(|e| failed(e.error))?;
    crate::ledger::sync_parent(&file)?;
    upload::quarantine(session).await
}

/// The source's bad rows, where another machine set them aside.
async fn have_bad_rows(session: &Session, file: &Path) -> Result<(), RunError> {
    let from_source = session.state(|s| {
        let sealed = s.sealed.as_ref();
        sealed.is_some_and(|x| x.quarantined.values().sum::<u64>() > 0)
    });
    if from_source && !file.exists() {
        fetch(session, &session.remote()?.quarantine(), file, None).await?;
    }
    Ok(())
}

/// The lines that the source stage wrote: refused rows of an attempt that was cut off are made again.
fn copy_source_rows(file: &Path, out: &mut impl Write) -> Result<(), RunError> {
    let failed = |e: std::io::Error| RunError::io("read", file, e);
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    for line in BufReader::new(opened).lines() {
        let line = line.map_err(failed)?;
        let row: Result<serde_json::Value, _> = serde_json::from_str(&line);
        if row.is_ok_and(|row| row["reason"] == REFUSED) {
            continue;
        }
        writeln!(out, "{line}").map_err(failed)?;
    }
    Ok(())
}

/// A line of the quarantine for each refused row of a shard, in their order.
async fn lines(
    session: &Session,
    job: &ScoreJob,
    shard: &SealedShard,
    format: Format,
    refused: Vec<RefusedRow>,
) -> Result<Vec<serde_json::Value>, RunError> {
    let text = have_shard(session, &job.shards_fingerprint, shard, format).await?;
    let sidecar = have_sidecar(session, shard, &job.shards_fingerprint).await?;
    let (sha256, rows) = (
        shard.sidecar_sha256.clone(),
        refused.iter().map(|r| r.row).collect::<Vec<_>>(),
    );
    let (texts, origins) = blocking(move || {
        let texts = text.texts(&rows)?;
        Ok((texts, row_origins(&sidecar, &sha256, &rows)?))
    })
    .await?;
    let files = session.state(|s| s.inputs.as_ref().map(|(files, _)| files.clone()));
    let files = files.unwrap_or_default();
    let name = |origin: &RowOrigin| {
        let index = usize::try_from(origin.file).unwrap_or(usize::MAX);
        files.get(index).map(|f| f.uri.clone())
    };
    let each = refused.iter().zip(&texts).zip(&origins);
    Ok(each
        .map(|((row, text), origin)| {
            serde_json::json!({
                "file": name(origin), "line": null, "record": origin.record, "byte": null,
                "column": null, "reason": REFUSED, "expected": "an answer of the model",
                "found": row.reason, "raw": String::from_utf8_lossy(text),
                "shard": shard.name, "first_row": origin.ordinal + 1, "last_row": origin.ordinal + 1,
            })
        })
        .collect())
}
