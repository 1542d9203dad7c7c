//! The assemble stage: predictions beside the rows that they belong to, in input order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_cloud::{Expected, S3Uri};
use gristmill_plan::Assemble;
use gristmill_plan::spec::{AssembleColumn, ColumnFrom, OutputFormat as PlanFormat, PathStep};
use gristmill_tabular::predictions::Step;
use gristmill_tabular::{
    AssembleJob, Compression, OutputColumn, OutputFormat, ParquetCompression, Part, SealedShard,
    ShardOutput, assemble,
};

use crate::disk;
use crate::entry::{Entry, PartRecord};
use crate::error::RunError;
use crate::event::Stage;
use crate::folder::make_folder;
use crate::inventory::{blocking, hash_file};
use crate::remote::short;
use crate::session::Session;
use crate::stages::cut::interrupted_or;
use crate::stages::fetch::fetch;
use crate::stages::joined_ids;
use crate::stages::outputs::{Sent, answer_layout, local_output};
use crate::stages::source::column_type;
use crate::stages::upload::in_folder;
use crate::state::RunState;
use crate::words::counted;

/// Joins all shards' predictions, or finds that an earlier attempt did and that its files are still
/// here. Returns the seconds it took.
///
/// # Errors
/// `Model`, when an answer does not parse; the disk's; the store's.
pub(crate) async fn run(
    session: &Arc<Session>,
    spec: &Assemble,
    prints: &Prints,
) -> Result<f64, RunError> {
    // Rows that the model refused once may be answered now, or not be left out any more.
    let done = session.state(|s| {
        let rows = rows_to_join(s, &prints.transform);
        let done = s.assembled.clone();
        done.filter(|a| a.fingerprint == prints.assemble && rows.is_none_or(|r| r == a.rows))
    });
    if let Some(done) = done
        && done
            .parts
            .iter()
            .all(|p| is_here(session, &prints.assemble, p))
    {
        session.reused(
            Stage::Assemble,
            format!("{} were joined before", counted(done.rows, "row")),
        );
        return Ok(0.0);
    }
    let (shards, rows) = session.state(|s| {
        (
            s.shards.values().cloned().collect::<Vec<_>>(),
            rows_to_join(s, &prints.transform),
        )
    });
    let clock = session.begin(Stage::Assemble, None, rows);
    let needed = shards
        .iter()
        .map(|s| s.sidecar_bytes.saturating_mul(2))
        .sum();
    disk::require(session.folder.root(), needed, "assembling the output")?;
    fetch_missing(session, &shards, prints).await?;
    let parts = join(session, spec, &shards, prints).await?;
    let total: u64 = parts.iter().map(|p| p.rows).sum();
    if rows.is_some_and(|rows| rows != total) {
        return Err(RunError::bug(format!(
            "{} rows went out and {total} came together",
            rows.unwrap_or(0)
        )));
    }
    let count = parts.len();
    session.record(&Entry::Assembled {
        fingerprint: prints.assemble.clone(),
        parts,
        rows: total,
    })?;
    Ok(clock.finish(format!(
        "{} in {}",
        counted(total, "row"),
        counted(count as u64, "file")
    )))
}

/// Rows of the shards that the model did not refuse.
fn rows_to_join(state: &RunState, transform: &str) -> Option<u64> {
    let accepted = state.sealed.as_ref()?.rows_accepted;
    Some(accepted.saturating_sub(state.refused_rows(transform)))
}

/// The fingerprints of the stages that the output is made from.
pub(crate) struct Prints {
    pub(crate) shards: String,
    pub(crate) transform: String,
    pub(crate) assemble: String,
}

/// Whether a part is on this machine, whole. Content was synced before its name appeared.
fn is_here(session: &Session, fingerprint: &str, part: &PartRecord) -> bool {
    let path = parts_folder(session, fingerprint).join(&part.name);
    std::fs::metadata(path).is_ok_and(|m| m.len() == part.bytes)
}

/// Where the parts of one fingerprint are put before they are published.
pub(crate) fn parts_folder(session: &Session, fingerprint: &str) -> PathBuf {
    session.folder.parts().join(short(fingerprint))
}

/// Sidecars and answers that another machine, or a cleaned disk, does not have.
async fn fetch_missing(
    session: &Session,
    shards: &[SealedShard],
    prints: &Prints,
) -> Result<(), RunError> {
    for shard in shards {
        have_sidecar(session, shard, &prints.shards).await?;
        let output = local_output(session, &prints.transform, &Sent::shard(shard));
        if !output.exists() {
            let known = session.state(|s| s.output(&prints.transform, shard.index).cloned());
            let known =
                known.ok_or_else(|| RunError::bug(format!("{} has no output", shard.name)))?;
            let expected = Expected {
                size: known.size,
                etag: known.etag,
                checksum: None,
            };
            let uri = S3Uri::parse(&known.uri)?;
            if let Some(folder) = output.parent() {
                make_folder(folder)?;
            }
            fetch(session, &uri, &output, Some(expected)).await?;
        }
    }
    Ok(())
}

/// The rows of a shard that have no prediction.
fn refused(session: &Session, transform: &str, index: u32) -> Vec<u64> {
    session.state(|s| {
        let rows = s.output(transform, index).map(|o| o.refused.iter());
        rows.into_iter().flatten().map(|r| r.row).collect()
    })
}

/// A shard's sidecar on this machine, as it was sealed.
///
/// # Errors
/// The store's; the disk's.
pub(crate) async fn have_sidecar(
    session: &Session,
    shard: &SealedShard,
    shards_fingerprint: &str,
) -> Result<PathBuf, RunError> {
    let sidecar = session.folder.shards().join(file_name(&shard.sidecar_path));
    if !is_sound(&sidecar, &shard.sidecar_sha256).await? {
        let prefix = session.remote()?.sidecars(shards_fingerprint);
        let uri = in_folder(&prefix, &shard.sidecar_path)?;
        fetch(session, &uri, &sidecar, None).await?;
    }
    Ok(sidecar)
}

/// Whether a file is there with this SHA-256: one that was cut short, or made from another
/// selection of columns, is fetched again.
async fn is_sound(path: &Path, sha256: &str) -> Result<bool, RunError> {
    if !path.exists() {
        return Ok(false);
    }
    let (path, expected) = (path.to_owned(), format!("sha256:{sha256}"));
    blocking(move || Ok(hash_file(&path)? == expected)).await
}

fn file_name(path: &Path) -> std::ffi::OsString {
    path.file_name()
        .map(std::ffi::OsStr::to_owned)
        .unwrap_or_default()
}

async fn join(
    session: &Arc<Session>,
    spec: &Assemble,
    shards: &[SealedShard],
    prints: &Prints,
) -> Result<Vec<PartRecord>, RunError> {
    let outputs: Vec<ShardOutput> = shards
        .iter()
        .map(|s| ShardOutput {
            index: s.index,
            name: s.name.clone(),
            sidecar: session.folder.shards().join(file_name(&s.sidecar_path)),
            sidecar_sha256: s.sidecar_sha256.clone(),
            predictions: local_output(session, &prints.transform, &Sent::shard(s)),
            rows: s.rows,
            refused: refused(session, &prints.transform, s.index),
        })
        .collect();
    let columns = output_columns(session, spec);
    let format = match spec.format {
        PlanFormat::Parquet => OutputFormat::Parquet {
            compression: ParquetCompression::Snappy,
        },
        PlanFormat::Csv => OutputFormat::Csv {
            header: true,
            compression: Compression::None,
        },
    };
    let (inner, rows_per_part) = (Arc::clone(session), spec.max_rows);
    let folder = parts_folder(session, &prints.assemble);
    make_folder(&folder)?;
    blocking(move || {
        let job = AssembleJob {
            shards: &outputs,
            columns: &columns,
            answers: answer_layout(&inner.spec),
            format,
            folder: &folder,
            rows_per_part,
            threads: inner.threads,
        };
        let done = assemble(&job, &inner.progress(Stage::Assemble))
            .map_err(|e| interrupted_or(&inner, e))?;
        Ok(done.parts.into_iter().map(part_record).collect())
    })
    .await
}

/// The columns of the result.
pub(crate) fn output_columns(session: &Session, spec: &Assemble) -> Vec<OutputColumn> {
    let before = joined_ids::count(&session.spec);
    let column = |c: &AssembleColumn| output_column(c, before);
    spec.columns.iter().map(column).collect()
}

/// `before`: cells that stand before the answer's.
fn output_column(column: &AssembleColumn, before: usize) -> OutputColumn {
    let name = column.name.clone();
    match &column.from {
        ColumnFrom::Source { column } => OutputColumn::Source {
            name,
            from: column.clone(),
        },
        ColumnFrom::Prediction {
            index,
            column_type: t,
        } => OutputColumn::Prediction {
            name,
            index: before + *index,
            column_type: column_type(*t),
        },
        ColumnFrom::Field {
            path,
            column_type: t,
        } => OutputColumn::Field {
            name,
            path: path.iter().map(step).collect(),
            column_type: column_type(*t),
        },
        ColumnFrom::Constant {
            value,
            column_type: t,
        } => OutputColumn::Constant {
            name,
            value: value.clone(),
            column_type: column_type(*t),
        },
    }
}

fn step(step: &PathStep) -> Step {
    match step {
        PathStep::Name(name) => Step::Name(name.clone()),
        PathStep::Index(index) => Step::Index(*index),
    }
}

/// A finished file as the ledger and the manifest name it.
pub(crate) fn part_record(part: Part) -> PartRecord {
    PartRecord {
        name: part.name,
        rows: part.rows,
        bytes: part.bytes,
        sha256: part.sha256,
    }
}
