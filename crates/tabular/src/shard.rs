//! The second pass: accepted rows to shards for the model, and a sidecar beside each that remembers
//! where its rows came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bad_rows::BadReason;
use crate::blocks::Block;
use crate::error::TabularError;
use crate::input::Input;
use crate::progress::Progress;
use crate::records::Rows;
use crate::rows::{Pass, Refusals};
use crate::scan::ScanOptions;
use crate::schema::Schema;
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
    /// Bytes of a shard before compression, at most.
    pub max_bytes: u64,
    /// Rows of a shard, at most.
    pub max_rows: Option<u64>,
    /// Bytes of a row with its line end, at most; a longer row is [`BadReason::TooLong`]. Never more
    /// than `max_bytes`.
    pub max_record_bytes: Option<u64>,
    /// Compress shards.
    pub gzip: bool,
    /// Where shards and sidecars go; made if it is not there.
    pub folder: &'a Path,
    /// A shard is `{prefix}{index:05}.csv`, with `.gz` if compressed; its sidecar ends in `.arrow`.
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
    /// Bytes of the longest row with its line end.
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
/// give the same bytes, whatever the number of threads. Memory: about four blocks a thread.
///
/// # Errors
/// Those of [`scan`](crate::scan::scan) for bad rows, to which newlines in selected cells and rows
/// that are too long are added; those of writing; whatever `on_sealed` gives.
pub fn write_shards(
    job: &ShardJob<'_>,
    on_sealed: &mut dyn FnMut(SealedShard) -> Result<(), TabularError>,
    progress: &dyn Progress,
) -> Result<ShardTotals, TabularError> {
    std::fs::create_dir_all(job.folder).map_err(TabularError::io("create", job.folder))?;
    let pass = Pass::open(job.inputs, job.scan)?;
    let plan = RowPlan::new(job, pass.names())?;
    let mut refusals = Refusals::new(job.scan.on_bad_row).keep_in(job.quarantine)?;
    let mut writer = ShardWriter::new(job, &plan, on_sealed);
    let format = |block: &Block, rows: &mut Rows| plan.format(block, rows);
    pass.run(&mut refusals, progress, format, |taken| writer.take(taken))?;
    writer.seal()?;
    let mut totals = writer.totals;
    refusals.keep()?;
    refusals.finish()?;
    totals.rows_source = refusals.total;
    totals.quarantined = refusals.counts;
    Ok(totals)
}
