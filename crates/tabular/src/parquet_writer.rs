//! Record batches to one Parquet file, encoded in parallel, written in order.
//!
//! Row groups have a fixed number of rows, fewer where rows are long, and are encoded independently;
//! the thread that writes appends them in order. The same rows and options make the same bytes,
//! however many threads there are and however the rows came in batches.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};

use crate::error::TabularError;
use crate::parquet_file::columnar;
use crate::parquet_output::ParquetOutput;
use crate::row_group_encoder::{EncodedGroup, RowGroupEncoder};
use crate::row_groups::RowGroups;

/// Rows of a row group unless asked otherwise: enough for readers to work in parallel and for
/// dictionaries to pay, small enough that a few of them fit in memory side by side.
pub const DEFAULT_ROW_GROUP_ROWS: usize = 131_072;
/// Bytes of values at which a row group ends before it has all its rows, unless asked otherwise:
/// what bounds memory where rows are long or columns many.
pub const DEFAULT_ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// Zstandard's own default level: higher ones cost several times the time for a few per cent.
pub const PARQUET_ZSTD_LEVEL: i32 = 3;
/// gzip's own default level.
pub const PARQUET_GZIP_LEVEL: u32 = 6;

/// The codec of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParquetCompression {
    /// Snappy (raw blocks), which every reader knows.
    #[default]
    Snappy,
    /// Zstandard at [`PARQUET_ZSTD_LEVEL`]: smaller than Snappy, known to readers since Parquet 2.4.
    Zstd,
    /// gzip at [`PARQUET_GZIP_LEVEL`]: for old readers that must have small files; slow to write.
    Gzip,
    /// Not compressed.
    None,
}

/// How a Parquet file is written.
#[derive(Debug, Clone)]
pub struct ParquetOptions {
    /// Rows of each row group but the last; at least 1.
    pub row_group_rows: usize,
    /// A row group also ends about where its values take so many bytes in memory; one row at the
    /// least.
    pub row_group_bytes: usize,
    /// The codec of the pages. With Snappy, columns that it would not make smaller, judged by the first
    /// row group, are stored as they are.
    pub compression: ParquetCompression,
    /// Per column, whether to use a dictionary; decided from the first row group where absent. A
    /// column chunk whose dictionary would take more than 1 MiB goes without.
    pub dictionary: Option<Vec<bool>>,
    /// Threads that encode; with 1 the caller's thread does it.
    pub threads: usize,
    /// The pool that encodes; without one, and with more than one thread, the sink makes its own
    /// when the first row group is full.
    pub pool: Option<Arc<rayon::ThreadPool>>,
    /// Names the file in errors.
    pub name: PathBuf,
}

impl Default for ParquetOptions {
    fn default() -> ParquetOptions {
        ParquetOptions {
            row_group_rows: DEFAULT_ROW_GROUP_ROWS,
            row_group_bytes: DEFAULT_ROW_GROUP_BYTES,
            compression: ParquetCompression::default(),
            dictionary: None,
            threads: 1,
            pool: None,
            name: PathBuf::from("the Parquet output"),
        }
    }
}

/// What a finished file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Row groups.
    pub row_groups: u64,
}

/// A Parquet file being written.
///
/// Memory: the row group that fills up, of texts without a dictionary only the last block of rows, and at
/// most `threads` being encoded, of together at most 32 MiB of arrays (one row group may exceed that
/// alone); besides their encoded pages.
///
/// Dropped before [`finish`](ParquetSink::finish), it leaves a file without footer.
pub struct ParquetSink {
    name: PathBuf,
    groups: RowGroups,
    encoder: RowGroupEncoder<()>,
    /// Taken when the first row group is encoded and the file is begun.
    target: Option<Box<dyn Write + Send>>,
    file: Option<ParquetOutput<Box<dyn Write + Send>>>,
    rows: u64,
    row_groups: u64,
}

impl std::fmt::Debug for ParquetSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetSink")
            .field("name", &self.name)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl ParquetSink {
    /// Begins a file of this schema, which may be any that Parquet can hold, nested columns
    /// included. Nothing is written before the first row group is complete.
    ///
    /// # Errors
    /// [`TabularError::Options`] for no columns, no rows a row group, or hints for another number
    /// of columns.
    pub fn create(
        target: Box<dyn Write + Send>,
        schema: SchemaRef,
        options: ParquetOptions,
    ) -> Result<ParquetSink, TabularError> {
        let groups = RowGroups::new(
            Arc::clone(&schema),
            options.row_group_rows,
            options.row_group_bytes,
        );
        Ok(ParquetSink {
            name: options.name.clone(),
            groups,
            encoder: RowGroupEncoder::new(schema, options)?,
            target: Some(target),
            file: None,
            rows: 0,
            row_groups: 0,
        })
    }

    /// Takes rows. Returns when they are kept or on their way to the encoders; waits while too
    /// many row groups are.
    ///
    /// # Errors
    /// [`TabularError::Columnar`] if the types differ from the schema or cannot be held by Parquet,
    /// or a null stands in a column that may have none; [`TabularError::Io`] from the target.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), TabularError> {
        let full = self.groups.push(batch).map_err(|e| self.arrow_error(&e))?;
        self.rows += batch.num_rows() as u64;
        for group in full {
            let ready = self.encoder.push(group, ())?;
            self.append(ready)?;
        }
        let ready = self.encoder.begin(self.groups.filling())?;
        self.append(ready)
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what is left and the footer, and flushes the target. No rows make a valid file of
    /// no row groups.
    ///
    /// # Errors
    /// As [`ParquetSink::write`].
    pub fn finish(mut self) -> Result<Written, TabularError> {
        if let Some(last) = self.groups.finish().map_err(|e| self.arrow_error(&e))? {
            let ready = self.encoder.push(last, ())?;
            self.append(ready)?;
        }
        let ready = self.encoder.drain()?;
        self.append(ready)?;
        self.begin()?;
        let file = self.file.take().ok_or_else(used_after_error)?;
        let bytes = file.finish().map_err(|e| self.parquet_error("write", e))?;
        Ok(Written {
            rows: self.rows,
            bytes,
            row_groups: self.row_groups,
        })
    }

    fn append(&mut self, ready: Vec<EncodedGroup<()>>) -> Result<(), TabularError> {
        for group in ready {
            self.begin()?;
            let file = self.file.as_mut().ok_or_else(used_after_error)?;
            let appended = file.append(group.chunks);
            appended.map_err(|e| self.parquet_error("write", e))?;
            self.row_groups += 1;
        }
        Ok(())
    }

    /// Starts the file, if that is not done.
    fn begin(&mut self) -> Result<(), TabularError> {
        let Some(target) = self.target.take() else {
            return Ok(());
        };
        let file = self.encoder.plan(&[])?.open(target);
        self.file = Some(file.map_err(|e| self.parquet_error("begin", e))?);
        Ok(())
    }

    fn parquet_error(&self, action: &'static str, error: ParquetError) -> TabularError {
        columnar(self.name.clone(), action, error)
    }

    fn arrow_error(&self, error: &ArrowError) -> TabularError {
        TabularError::Columnar {
            path: self.name.clone(),
            action: "encode",
            message: error.to_string(),
        }
    }
}

fn used_after_error() -> TabularError {
    TabularError::Internal("the Parquet writer was used after an error".into())
}
