//! Predictions back beside the rows that they belong to.
//!
//! Shard by shard in index order, the sidecar's rows and the answers are read in step: row n of the one
//! belongs to answer n of the other ([`crate::predictions`] says what an answer is). Nothing is taken on trust: the sidecar's
//! checksum, that there are exactly as many answers as rows, that the ordinals of all shards run
//! from 0 without gap or repetition. If anything disagrees there is an error and no output. Rows that the
//! caller names as refused by the model have no answer, and are not in the result.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::assembly::Assembly;
use crate::compression::Compression;
use crate::error::TabularError;
use crate::parquet_writer::ParquetCompression;
use crate::predictions::{AnswerLayout, Step};
use crate::progress::Progress;
use crate::schema::ColumnType;

/// A shard and what came back for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardOutput {
    /// Its place among the shards, from 0.
    pub index: u32,
    /// Its name, for messages.
    pub name: String,
    /// The sidecar that was written with it.
    pub sidecar: PathBuf,
    /// The sidecar's SHA-256 when it was written, 64 lower-case hexadecimal digits.
    pub sidecar_sha256: String,
    /// The model's output for it.
    pub predictions: PathBuf,
    /// Rows of the shard.
    pub rows: u64,
    /// Of these, the rows that the model refused, by their numbers from 0, ascending: there is no
    /// prediction for them, and they are left out of the result.
    #[serde(default)]
    pub refused: Vec<u64>,
}

impl ShardOutput {
    /// How many predictions there must be.
    pub fn answers(&self) -> u64 {
        self.rows.saturating_sub(self.refused.len() as u64)
    }
}

/// A column of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputColumn {
    /// A column of the source, from the sidecar.
    Source {
        /// Its name in the result.
        name: String,
        /// Its name in the sidecar.
        from: String,
    },
    /// A cell of the prediction. Never null: an empty cell is a string or an error.
    Prediction {
        /// Its name in the result.
        name: String,
        /// The cell of the line, from 0.
        index: usize,
        /// Its type: `int64`, `float64` (finite), `boolean` or `string`.
        column_type: ColumnType,
    },
    /// A value within an answer in JSON. Never null.
    Field {
        /// Its name in the result.
        name: String,
        /// The steps down to it.
        path: Vec<Step>,
        /// Its type, as for predictions.
        column_type: ColumnType,
    },
    /// The same value in every row.
    Constant {
        /// Its name in the result.
        name: String,
        /// The value as text.
        value: String,
        /// Its type, as for predictions.
        column_type: ColumnType,
    },
}

impl OutputColumn {
    fn name(&self) -> &str {
        match self {
            OutputColumn::Source { name, .. }
            | OutputColumn::Prediction { name, .. }
            | OutputColumn::Field { name, .. }
            | OutputColumn::Constant { name, .. } => name,
        }
    }
}

/// The files of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// `part-00000.parquet` …
    Parquet {
        /// The codec of the pages.
        compression: ParquetCompression,
    },
    /// `part-00000.csv`, `.csv.gz` or `.csv.sz` …: comma, LF, null empty, empty string `""`.
    Csv {
        /// Whether each part starts with the columns' names.
        header: bool,
        /// The wrapper of the parts.
        compression: Compression,
    },
}

/// What to assemble, and where to.
#[derive(Debug)]
pub struct AssembleJob<'a> {
    /// All shards of the run, in any order.
    pub shards: &'a [ShardOutput],
    /// Columns of the result, in order; names are unique.
    pub columns: &'a [OutputColumn],
    /// How the model's answers are written.
    pub answers: AnswerLayout,
    /// The files' format.
    pub format: OutputFormat,
    /// An existing folder for the parts; parts of the same name are replaced.
    pub folder: &'a Path,
    /// Rows of each part but the last; at least 1.
    pub rows_per_part: u64,
    /// Threads that encode Parquet.
    pub threads: usize,
}

/// A file of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its file name: `part-00000.parquet`.
    pub name: String,
    /// Its whole path.
    pub path: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// What was assembled.
#[derive(Debug, Clone, PartialEq)]
pub struct Assembled {
    /// Rows over all parts.
    pub rows: u64,
    /// Parts in row order; none if there are no rows.
    pub parts: Vec<Part>,
}

/// Joins every shard's rows to its predictions and writes the result in input order.
///
/// Memory: one batch of a sidecar, one line or document of predictions, and the part's row groups (see
/// [`ParquetSink`](crate::parquet_writer::ParquetSink)). The result's bytes do not depend on
/// `threads`. `progress` is told rows, and bytes of zero.
///
/// # Errors
/// [`TabularError::RowsDisagree`] if a shard came back with another number of answers than rows,
/// [`TabularError::Prediction`] for a cell that is missing or not of its type,
/// [`TabularError::Corrupt`] for a sidecar that changed or whose rows are not those that must come
/// next, [`TabularError::MissingColumns`], [`TabularError::Options`], [`TabularError::Io`],
/// [`TabularError::Cancelled`]. All parts made before are then removed.
pub fn assemble(job: &AssembleJob<'_>, progress: &dyn Progress) -> Result<Assembled, TabularError> {
    check(job)?;
    let mut shards: Vec<&ShardOutput> = job.shards.iter().collect();
    shards.sort_by_key(|s| s.index);
    let Some(first) = shards.first() else {
        return Ok(Assembled {
            rows: 0,
            parts: Vec::new(),
        });
    };
    let mut assembly = Assembly::begin(job, first, progress)?;
    for shard in shards {
        assembly.add(shard)?;
    }
    assembly.finish()
}

fn check(job: &AssembleJob<'_>) -> Result<(), TabularError> {
    let wrong = |text: String| Err(TabularError::Options(text));
    if job.rows_per_part == 0 {
        return wrong("a part needs at least one row: rows_per_part is 0".into());
    }
    if job.columns.is_empty() {
        return wrong("the result has no columns".into());
    }
    let mut names: Vec<&str> = job.columns.iter().map(OutputColumn::name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return wrong(format!("the result has two columns named {:?}", twice[0]));
    }
    let mut indices: Vec<u32> = job.shards.iter().map(|s| s.index).collect();
    indices.sort_unstable();
    match indices
        .iter()
        .zip(0..)
        .find(|(found, expected)| **found != *expected)
    {
        Some((found, expected)) => wrong(format!(
            "shard {expected} is missing or given twice: found index {found} in its place"
        )),
        None => Ok(()),
    }
}
