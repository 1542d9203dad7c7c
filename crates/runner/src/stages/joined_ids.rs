//! `transform.join: server`: ids go up in the shards and come back beside the answers, where each must
//! equal the one that was sent. A count of rows proves that none was lost; this proves that none changed
//! its place.

use std::fmt;
use std::path::Path;

use gristmill_plan::Spec;
use gristmill_plan::spec::Join;
use gristmill_tabular::{OtherIds, SealedShard, TextShard, row_origins};

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::inventory::blocking;
use crate::session::Session;
use crate::stages::convert::shard_format;
use crate::stages::outputs::Sent;
use crate::stages::refused::have_shard;

/// How many ids the service joins; 0 where it joins none.
pub(crate) fn count(spec: &Spec) -> usize {
    let join = spec.transform.as_ref().map(|t| t.join);
    match join {
        Some(Join::Server) => spec.prepare.id.len(),
        Some(Join::Local) | None => 0,
    }
}

/// Refuses a sealed shard, before it is uploaded, with an id that the service may not give back as it
/// is.
///
/// # Errors
/// `Data`, naming the row; the disk's.
pub(crate) async fn check(session: &Session, shard: &SealedShard) -> Result<(), RunError> {
    let ids = count(&session.spec);
    if ids == 0 {
        return Ok(());
    }
    let text = TextShard {
        path: shard.path.clone(),
        format: shard_format(session.spec.shards.format)?,
        rows: shard.rows,
        longest_record: shard.longest_record,
    };
    let (sidecar, sha256) = (shard.sidecar_path.clone(), shard.sidecar_sha256.clone());
    let found = blocking(move || {
        let Some(bad) = text.quoted_id(ids)? else {
            return Ok(None);
        };
        let origin = row_origins(&sidecar, &sha256, &[bad.row])?.pop();
        Ok(Some((bad, origin)))
    });
    let Some((bad, origin)) = found.await? else {
        return Ok(());
    };
    let place = origin.and_then(|o| {
        let index = usize::try_from(o.file).ok()?;
        let file = session.state(|s| {
            let (files, _) = s.inputs.as_ref()?;
            files.get(index).map(|f| f.uri.clone())
        })?;
        Some(format!("{file}, record {}", o.record))
    });
    Err(RunError::new(
        ExitCode::Data,
        format!(
            "{}: the id {} holds a quote, a comma or a line break, which a join by the service need not \
             give back as it is ({}, row {})",
            place.as_deref().unwrap_or("the input"),
            printable(&bad.sent),
            shard.name,
            shard.first_ordinal + bad.row + 1,
        ),
    )
    .with_help("use transform.join: local, which sends no ids; or take such ids out of the input"))
}

/// The first row of a shard's output whose ids are not those that were sent.
///
/// # Errors
/// The disk's; the store's; a shard that is not what it was.
pub(crate) async fn of_output(
    session: &Session,
    sent: &Sent,
    output: &Path,
) -> Result<Option<OtherIds>, RunError> {
    let shard = session.state(|s| s.shards.get(&sent.piece.shard).cloned());
    let shard = shard.ok_or_else(|| RunError::bug(format!("there is no shard of {sent}")))?;
    other(session, &shard, &[], output).await
}

/// The first row of answers to a shard whose ids are not those that were sent; rows in `left_out` were
/// refused.
///
/// # Errors
/// As [`of_output`].
pub(crate) async fn other(
    session: &Session,
    shard: &SealedShard,
    left_out: &[u64],
    answers: &Path,
) -> Result<Option<OtherIds>, RunError> {
    let ids = count(&session.spec);
    if ids == 0 {
        return Ok(None);
    }
    let fingerprint = session.state(|s| s.sharding.clone()).unwrap_or_default();
    let format = shard_format(session.spec.shards.format)?;
    let text = have_shard(session, &fingerprint, shard, format).await?;
    let path = text.path.clone();
    let (left_out, answers, name) = (left_out.to_vec(), answers.to_owned(), shard.name.clone());
    let found = blocking(move || Ok(text.other_ids(ids, &left_out, &answers, &name)?)).await?;
    // The store has it; a disk need not hold all shards again.
    let _ = tokio::fs::remove_file(path).await;
    Ok(found)
}

/// What is wrong with a row whose shard begins after so many rows.
pub(crate) fn describe(f: &mut fmt::Formatter<'_>, ordinal: u64, other: &OtherIds) -> fmt::Result {
    let (row, sent) = (ordinal + other.row + 1, printable(&other.sent));
    match &other.back {
        Some(back) => {
            let back = printable(back);
            write!(
                f,
                "row {row} was sent with the id {sent} and came back with {back}"
            )
        }
        None => write!(f, "row {row}, with the id {sent}, did not come back"),
    }
}

/// The error of answers, put together from those to pieces, that are not the rows' own.
pub(crate) fn refusal(shard: &SealedShard, other: &OtherIds) -> RunError {
    struct Told<'a>(u64, &'a OtherIds);
    impl fmt::Display for Told<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            describe(f, self.0, self.1)
        }
    }
    RunError::new(
        ExitCode::Model,
        format!(
            "{}: {}. Nothing was published",
            shard.name,
            Told(shard.first_ordinal, other)
        ),
    )
    .with_help("what the service stored is not in the order of the rows, or its ids were changed")
}

/// An id of the input is anybody's text.
fn printable(id: &str) -> String {
    let escaped = id.chars().map(|c| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    format!("`{}`", escaped.collect::<String>())
}
