//! A pipeline without a transform: the source, prepared, to files.

use std::collections::BTreeMap;
use std::sync::Arc;

use gristmill_plan::spec::{
    Label as PlanLabel, LabelRule as PlanRule, OnMissing as PlanMissing,
    ParquetCompression as PlanCodec, ShardFormat, Split as PlanSplit,
};
use gristmill_tabular::{
    ConvertJob, Format, Label, LabelRule, OnMissing, OutputFile, ParquetCompression, Split,
    Target as Files, convert,
};

use crate::disk;
use crate::entry::{Entry, PartRecord};
use crate::error::RunError;
use crate::event::Stage;
use crate::folder::make_folder;
use crate::inventory::blocking;
use crate::pipeline::Ready;
use crate::session::Session;
use crate::stages::assemble::parts_folder;
use crate::stages::cut::interrupted_or;
use crate::target::Target;
use crate::words::counted;

/// The fingerprint under which the files of such a pipeline are recorded.
pub(crate) fn fingerprint(ready: &Ready) -> String {
    ready.shards.to_string()
}

/// Converts into the run's folder, or finds that an earlier attempt did. Returns the seconds it
/// took.
///
/// # Errors
/// The data's or the disk's.
pub(crate) async fn run(
    session: &Arc<Session>,
    ready: &Ready,
    target: &Target,
) -> Result<f64, RunError> {
    let print = fingerprint(ready);
    let done = session
        .state(|s| s.assembled.clone())
        .filter(|a| a.fingerprint == print);
    if let Some(done) = done
        && (done
            .parts
            .iter()
            .all(|p| parts_folder(session, &print).join(&p.name).exists())
            || session.state(|s| s.published.is_some()))
    {
        session.reused(
            Stage::Shards,
            format!("{} rows were converted before", done.rows),
        );
        return Ok(0.0);
    }
    let bytes = ready.plan.source.bytes;
    let needed = bytes.saturating_add(disk::copies(&ready.inputs));
    disk::require(session.folder.root(), needed, "converting the input")?;
    let clock = session.begin(Stage::Shards, None, None);
    session.record(&Entry::Sharding {
        fingerprint: print.clone(),
    })?;
    make_folder(&parts_folder(session, &print))?;
    let job = job(session, ready, target)?;
    let inner = Arc::clone(session);
    let done = blocking(move || {
        convert(job, &inner.progress(Stage::Shards)).map_err(|e| interrupted_or(&inner, e))
    })
    .await?;
    let quarantined: BTreeMap<String, u64> = done
        .quarantined
        .iter()
        .map(|(reason, n)| (reason.name().to_owned(), *n))
        .collect();
    session.record(&Entry::ShardsSealed {
        fingerprint: print.clone(),
        shards: u32::try_from(done.files.len()).unwrap_or(u32::MAX),
        rows_source: done.rows_source,
        rows_accepted: done.rows,
        quarantined,
        unlabelled: done.unlabelled,
    })?;
    let summary = format!(
        "{} in {}",
        counted(done.rows, "row"),
        counted(done.files.len() as u64, "file")
    );
    let parts: Option<Vec<PartRecord>> = done.files.into_iter().map(part_record).collect();
    let unhashed = || RunError::bug("a part was not hashed");
    let parts = parts.ok_or_else(unhashed)?;
    session.record(&Entry::Assembled {
        fingerprint: print,
        parts,
        rows: done.rows,
    })?;
    Ok(clock.finish(summary))
}

/// None for a file that was not hashed.
fn part_record(file: OutputFile) -> Option<PartRecord> {
    Some(PartRecord {
        name: file.name,
        rows: file.rows,
        bytes: file.bytes,
        sha256: file.sha256?,
    })
}

fn job(session: &Session, ready: &Ready, target: &Target) -> Result<ConvertJob, RunError> {
    let plan = &ready.plan;
    let parts = parts_folder(session, &fingerprint(ready));
    let output = match target {
        Target::File(path) => Files::File(parts.join(path.file_name().unwrap_or_default())),
        Target::S3(_) | Target::Folder(_) => Files::Folder(parts),
    };
    let format = shard_format(plan.shards.format)?;
    let keep_all =
        plan.prepare.select.is_none() && plan.prepare.drop.is_empty() && plan.prepare.id.is_empty();
    let mut job = ConvertJob::new(ready.inputs.clone(), format, output);
    job.digests = true;
    job.options = ready.options.clone();
    job.overwrite = true;
    job.output_header = plan.shards.header;
    job.select = (!keep_all).then(|| plan.columns.shards.clone());
    job.rename.clone_from(&plan.prepare.rename);
    job.label = plan.prepare.label.as_ref().map(label);
    job.split = plan.prepare.split.as_ref().map(split);
    job.max_rows = plan.shards.max_rows;
    job.max_bytes = plan.shards.max_bytes;
    job.row_group_rows = usize::try_from(plan.shards.row_group_rows).ok();
    job.compression = parquet_codec(plan.shards.compression);
    job.bad_rows = Some(session.folder.quarantine().join("bad-rows.jsonl"));
    Ok(job)
}

/// The plan's label in the words of the data crate.
pub(crate) fn label(label: &PlanLabel) -> Label {
    Label {
        column: label.column.clone(),
        rule: match &label.rule {
            PlanRule::AsIs => LabelRule::AsIs,
            PlanRule::Above(limit) => LabelRule::Above(*limit),
            PlanRule::Map(classes) => LabelRule::Map(classes.clone()),
        },
        on_missing: match label.on_missing {
            PlanMissing::Drop => OnMissing::Drop,
            PlanMissing::Fail => OnMissing::Fail,
        },
    }
}

fn split(split: &PlanSplit) -> Split {
    Split {
        key: split.key.clone(),
        seed: split.seed,
        parts: split.parts.clone(),
    }
}

/// The plan's format in the words of the encoder.
///
/// # Errors
/// A bug: both have the same names.
pub(crate) fn shard_format(format: ShardFormat) -> Result<Format, RunError> {
    format.as_str().parse().map_err(RunError::bug)
}

/// The plan's codec in the words of the encoder.
pub(crate) fn parquet_codec(codec: PlanCodec) -> ParquetCompression {
    match codec {
        PlanCodec::Snappy => ParquetCompression::Snappy,
        PlanCodec::Zstd => ParquetCompression::Zstd,
        PlanCodec::Gzip => ParquetCompression::Gzip,
        PlanCodec::None => ParquetCompression::None,
    }
}
