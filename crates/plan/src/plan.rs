//! What will be done: the pipeline with the inputs that were found, every setting explicit, every
//! column with its role, and estimates marked as such. It is frozen by the first attempt of a
//! run and read back by the later ones.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::budget::Budget;
use crate::forecast::{Forecast, ShardTable};
use crate::launch::TransformRequest;
use crate::planner::{Choices, Setting};
use crate::spec::{
    Assemble, Columns, Dialect, Join, LocalModel, Location, OnBadRow, OnEmpty, OnNewColumn,
    Prepare, Ready, Shards, SourceFormat, Transform, Work,
};
use crate::waves::Waves;

/// What the caller found where `source.uri` points. Order matters: it is the order of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Every input, in order.
    pub inputs: Vec<InputFile>,
    /// `--limit-rows`: only this many rows of the whole are read.
    pub limit_rows: Option<u64>,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// A local path, an S3 URI, or `-`.
    pub uri: String,
    /// As stored, so compressed if it is.
    pub size: u64,
    /// The store's ETag, or a content hash of a local file; `None` for stdin.
    pub etag: Option<String>,
}

/// What a look at the beginning of the first input showed, or a scan of all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// The names in order: of the header, of the Parquet schema, or of the JSON keys.
    pub columns: Vec<String>,
    /// Of CSV, the dialect: the file's hints, completed by what was found.
    pub dialect: Dialect,
    /// Data rows in the sample.
    pub rows: u64,
    /// Bytes of these rows, decompressed.
    pub bytes: u64,
    /// Bytes of these rows as stored, that is, as [`InputFile::size`] counts.
    pub stored_bytes: u64,
    /// The longest of these rows, in bytes; 0 if that was not looked at.
    pub largest_record: u64,
}

/// Everything that a run does. Same spec, inventory and sample: the same plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The pipeline's name.
    pub name: String,
    /// Resolved parameters.
    pub params: BTreeMap<String, Value>,
    /// Where the state is kept.
    pub work: Option<Work>,
    /// What is read, and how.
    pub source: SourcePlan,
    /// As in the spec.
    pub prepare: Prepare,
    /// Which column goes where.
    pub columns: Roles,
    /// As in the spec.
    pub shards: Shards,
    /// The longest CSV record that fits in one request, in bytes with its newline; with
    /// `transform` and a payload limit only. See [`crate::limits::Limits::payload_bytes`].
    pub max_record_bytes: Option<u64>,
    /// As in the spec.
    pub transform: Option<Transform>,
    /// As in the spec.
    pub assemble: Option<Assemble>,
    /// As in the spec.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// How the shards are shared among jobs. Of one job without `transform`.
    #[serde(default)]
    pub waves: Waves,
    /// As in the spec.
    pub local: Option<LocalModel>,
    /// The pipeline file's folder: `local.model.command` runs in it.
    pub base: PathBuf,
    /// Not exact: from the sample.
    pub estimate: Estimate,
    /// What will be sent, with `<…>` for what only the run knows. With `transform` only.
    pub request: Option<TransformRequest>,
    /// What jobs are told, and why: by the file, or by the planner. With `transform` only.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// What of it is kept for later attempts.
    #[serde(default)]
    pub choices: Choices,
    /// The shards as expected. With `transform` only.
    #[serde(default)]
    pub shard_table: Option<ShardTable>,
    /// What the jobs take. With `transform` only.
    #[serde(default)]
    pub forecast: Option<Forecast>,
    /// Why the budget cannot be kept, with the place in the file: nothing is to be sent then.
    #[serde(default)]
    pub over_budget: Option<String>,
    /// Not wrong, but worth knowing, one sentence each.
    pub warnings: Vec<String>,
}

impl Plan {
    /// With `transform.join: server`, how many ids stand first in each record of a shard, and of what
    /// a job stores; else 0.
    #[must_use]
    pub fn joined_ids(&self) -> usize {
        let join = self.transform.as_ref().map(|transform| transform.join);
        match join {
            Some(Join::Server) => self.columns.ids.len(),
            Some(Join::Local) | None => 0,
        }
    }

    /// What the model gets of the columns of the shards.
    #[must_use]
    pub fn model_columns(&self) -> &[String] {
        let columns = self.columns.shards.get(self.joined_ids()..);
        columns.unwrap_or_default()
    }
}

/// The source with its inputs found and its dialect complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourcePlan {
    /// As in the file.
    pub uri: Vec<Location>,
    /// What they matched, in order.
    pub inputs: Vec<InputFile>,
    /// Sum of their sizes as stored.
    pub bytes: u64,
    /// Typing.
    pub columns: Columns,
    /// Complete.
    pub dialect: Dialect,
    /// More texts that mean null.
    pub null_tokens: Vec<String>,
    /// The longest record accepted, in bytes.
    pub max_record: u64,
    /// As in the spec.
    pub on_bad_row: OnBadRow,
    /// As in the spec.
    pub on_empty: OnEmpty,
    /// `--limit-rows`.
    pub limit_rows: Option<u64>,
    /// As in the spec.
    #[serde(default)]
    pub format: Option<SourceFormat>,
    /// As in the spec.
    #[serde(default)]
    pub encoding: Option<String>,
    /// As in the spec.
    #[serde(default)]
    pub on_new_column: OnNewColumn,
    /// As in the spec.
    #[serde(default)]
    pub ready: Option<Ready>,
}

/// What happens to each column of the source. `shards` and `carried` may share columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// Written to the shards, in this order: with `transform`, what the model gets, but for ids that
    /// the service joins ([`Plan::joined_ids`]); with `prepare.label`, the label first.
    pub shards: Vec<String>,
    /// `prepare.id`.
    pub ids: Vec<String>,
    /// Kept in the sidecar for `assemble`: the ids, then other source columns that
    /// `assemble.columns` names, each once.
    pub carried: Vec<String>,
    /// In neither: read and checked, or new to the contract and read over.
    pub never_sent: Vec<String>,
}

/// Guesses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Data rows.
    pub rows: u64,
    /// Bytes of the shards, uncompressed.
    pub shard_bytes: u64,
    /// Shards; at least 1 if there are rows.
    pub shards: u64,
    /// Requests to the model.
    pub requests: u64,
    /// Instances with at least one shard.
    pub instances_busy: u32,
    /// Instances that would be paid for doing nothing.
    pub instances_idle: u32,
    /// Jobs at most, if shards fail: see [`Transform::max_jobs`].
    #[serde(default)]
    pub max_jobs: u32,
}
