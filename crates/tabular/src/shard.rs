//! The second pass: accepted rows to shards for the model, and a sidecar beside each that remembers
//! where its rows came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bad_rows::BadReason;
use crate::blocks::Block;
use crate::error::TabularError;
use crate::format::Format;
use crate::input::Input;
use crate::parquet_writer::ParquetCompression;
use crate::progress::Progress;
use crate::records::Rows;
use crate::refusals::Refusals;
use crate::rows::Pass;
use crate::scan::ScanOptions;
use crate::schema::Schema;
use crate::shard_files::ShardFiles;
use crate::shard_rows::RowPlan;
use crate::shard_writer::ShardWriter;

/// What to write, and where.
#[derive(Debug)]
pub struct ShardJob<'a> {
    /// The inputs, as they were scanned.
    pub inputs: &'a [Input],
    /// How to read them; with a contract, rows are held to it again.
    pub scan: &'a ScanOptions,
    /// The schema that the scan gave.
    pub schema: &'a Schema,
    /// Columns of a shard, in order.
    pub select: Vec<String>,
    /// Columns of its sidecar, in order.
    pub sidecar: Vec<String>,
    /// What a null is written as in a shard.
    pub null: String,
    /// Bytes of a shard, at most: of text before compression, of Parquet those of the whole file. A
    /// row that alone makes a larger one is [`TabularError::RowTooLarge`].
    pub max_bytes: u64,
    /// Rows of a shard, at most.
    pub max_rows: Option<u64>,
    /// Bytes of a row with its line end, for Parquet those of its selected cells as text, at most; a
    /// longer row is [`BadReason::TooLong`]. Never more than `max_bytes`.
    pub max_record_bytes: Option<u64>,
    /// What shards are written as.
    pub format: Format,
    /// Rows of a row group of Parquet, at least 1. A row group also ends at `max_rows`, and where
    /// its values are about a quarter of `max_bytes`, or 64 MiB, in memory.
    pub row_group_rows: usize,
    /// The codec inside Parquet.
    pub parquet_compression: ParquetCompression,
    /// Where shards and sidecars go; made if it is not there.
    pub folder: &'a Path,
    /// A shard is `{prefix}{index:05}.{format}`; its sidecar ends in `.arrow`.
    pub name_prefix: String,
    /// Bad rows go here, a JSON object a line; not written if there are none.
    pub quarantine: &'a Path,
}

/// A shard that is whole and durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedShard {
    /// Its number, from 0.
    pub index: u32,
    /// Its file name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its sidecar.
    pub sidecar_path: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// The ordinal of its first row among accepted rows of all inputs, from 0.
    pub first_ordinal: u64,
    /// Size of the file as stored.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Size of the sidecar.
    pub sidecar_bytes: u64,
    /// SHA-256 of the sidecar.
    pub sidecar_sha256: String,
    /// Bytes of the longest piece that a request cannot do without: of text the longest row with its
    /// line end, of Parquet, which nobody splits, the whole file.
    pub longest_record: u64,
}

/// What all shards hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardTotals {
    /// Data rows of all inputs.
    pub rows_source: u64,
    /// Rows in shards.
    pub rows_accepted: u64,
    /// Bad rows by reason.
    pub quarantined: BTreeMap<BadReason, u64>,
    /// Shards.
    pub shards: u32,
    /// Their size as stored.
    pub bytes: u64,
}

/// Writes all shards, each given to `on_sealed` as soon as it is durable. The same inputs and options
/// give the same bytes, whatever the number of threads; those of Parquet shards and their sidecars
/// do not depend on the size of blocks either. Memory: about four blocks a thread; for Parquet also
/// what a [`ParquetSink`](crate::parquet_writer::ParquetSink) takes.
///
/// # Errors
/// Those of [`scan`](crate::scan::scan) for bad rows, to which newlines in selected cells and rows
/// that are too long are added; [`TabularError::RowTooLarge`]; those of writing; whatever
/// `on_sealed` gives.
pub fn write_shards(
    job: &ShardJob<'_>,
    on_sealed: &mut dyn FnMut(SealedShard) -> Result<(), TabularError>,
    progress: &dyn Progress,
) -> Result<ShardTotals, TabularError> {
    std::fs::create_dir_all(job.folder).map_err(TabularError::io("create", job.folder))?;
    let pass = Pass::open(job.inputs, &with_keys(job))?;
    let plan = RowPlan::new(job, &pass)?;
    let mut refusals = Refusals::new(job.scan.on_bad_row).keep_in(job.quarantine)?;
    let files = ShardFiles::new(job, plan.fields.clone(), on_sealed);
    let mut writer = ShardWriter::new(&plan, files)?;
    let format = |block: &Block, rows: &mut Rows| plan.format(block, rows);
    pass.run(&mut refusals, progress, format, |taken| writer.take(taken))?;
    let mut totals = writer.finish()?;
    refusals.keep()?;
    refusals.finish()?;
    totals.rows_source = refusals.total;
    totals.quarantined = refusals.counts;
    Ok(totals)
}

/// The options, with the keys of JSON Lines: all that are written are in the schema.
fn with_keys(job: &ShardJob<'_>) -> ScanOptions {
    let names = job.schema.columns.iter().map(|column| column.name.clone());
    ScanOptions {
        keys: Some(names.collect()),
        refuse_new_columns: false,
        ..job.scan.clone()
    }
}
