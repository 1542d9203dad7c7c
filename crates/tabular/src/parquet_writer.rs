//! Record batches to one Parquet file, encoded in parallel, written in order.
//!
//! Row groups have a fixed number of rows, fewer where rows are long, and are encoded independently,
//! a task a column, on a rayon pool; the thread that writes appends them in order. Tasks only
//! compute over arrays that are in memory: none of them waits for anything. The same rows and
//! options make the same bytes, however many threads there are and however the rows came in
//! batches.

use std::collections::VecDeque;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter};
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};

use crate::dictionary_policy;
use crate::error::TabularError;
use crate::parquet_file::{Opened, columnar, encode_column, open};
use crate::row_groups::{RowGroup, RowGroups};

/// Rows of a row group unless asked otherwise: enough for readers to work in parallel and for
/// dictionaries to pay, small enough that a few of them fit in memory side by side.
pub const DEFAULT_ROW_GROUP_ROWS: usize = 131_072;
/// Bytes of values at which a row group ends before it has all its rows, unless asked otherwise:
/// what bounds memory where rows are long or columns many.
pub const DEFAULT_ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of arrays that wait for their encoding before the writer makes its caller wait.
const MAX_PENDING_BYTES: usize = 64 * 1024 * 1024;
/// Below so many values a row group is encoded where it is: threads would cost more than they save.
const MIN_PARALLEL_VALUES: usize = 65_536;

/// The codec of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParquetCompression {
    /// Snappy (raw blocks), which every reader knows.
    #[default]
    Snappy,
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
    /// The codec of all pages.
    pub compression: ParquetCompression,
    /// Per column, whether to use a dictionary; decided from the first row group where absent.
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

/// The encoded column of a row group, or why there is none.
type Encoded = Result<ArrowColumnChunk, TabularError>;

/// A row group whose columns come back in any order.
struct Pending {
    columns: Vec<Option<ArrowColumnChunk>>,
    missing: usize,
    bytes: usize,
}

/// A Parquet file being written.
///
/// Memory: the row group that fills up, and at most `threads + 1` being encoded, of together at
/// most 64 MiB of arrays (one row group may exceed that alone); besides their encoded pages.
///
/// Dropped before [`finish`](ParquetSink::finish), it leaves a file without footer.
pub struct ParquetSink {
    options: ParquetOptions,
    schema: SchemaRef,
    groups: RowGroups,
    /// Taken when the first row group decides about dictionaries and the file is begun.
    target: Option<Box<dyn Write + Send>>,
    file: Option<Opened>,
    pending: VecDeque<Pending>,
    sender: Sender<(usize, usize, Encoded)>,
    receiver: Receiver<(usize, usize, Encoded)>,
    rows: u64,
    /// Row groups handed to the encoders, and those of them that are in the file.
    begun: usize,
    appended: usize,
}

impl std::fmt::Debug for ParquetSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetSink")
            .field("options", &self.options)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl ParquetSink {
    /// Begins a file of this schema. Nothing is written before the first row group is complete.
    ///
    /// # Errors
    /// [`TabularError::Options`] for no columns, no rows a row group, or hints for another number
    /// of columns.
    pub fn create(
        target: Box<dyn Write + Send>,
        schema: SchemaRef,
        options: ParquetOptions,
    ) -> Result<ParquetSink, TabularError> {
        let columns = schema.fields().len();
        if columns == 0 {
            return Err(TabularError::Options(
                "a Parquet file needs at least one column".into(),
            ));
        }
        if options.row_group_rows == 0 {
            return Err(TabularError::Options(
                "a row group needs at least one row: row_group_rows is 0".into(),
            ));
        }
        if let Some(hints) = options.dictionary.as_ref().filter(|h| h.len() != columns) {
            return Err(TabularError::Options(format!(
                "{} dictionary hints for {columns} columns",
                hints.len()
            )));
        }
        let (sender, receiver) = channel();
        Ok(ParquetSink {
            groups: RowGroups::new(
                Arc::clone(&schema),
                options.row_group_rows,
                options.row_group_bytes,
            ),
            options,
            schema,
            target: Some(target),
            file: None,
            pending: VecDeque::new(),
            sender,
            receiver,
            rows: 0,
            begun: 0,
            appended: 0,
        })
    }

    /// Takes rows. Returns when they are kept or on their way to the encoders; waits while too
    /// many row groups are.
    ///
    /// # Errors
    /// [`TabularError::Columnar`] if the types differ from the schema, or a null stands in a
    /// column that may have none; [`TabularError::Io`] from the target.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), TabularError> {
        let full = self.groups.push(batch).map_err(|e| self.arrow_error(&e))?;
        self.rows += batch.num_rows() as u64;
        full.into_iter().try_for_each(|group| self.encode(group))
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
            self.encode(last)?;
        }
        while !self.pending.is_empty() {
            self.receive()?;
        }
        self.begin(&[])?;
        let (mut file, _) = self.file.take().ok_or_else(lost)?;
        file.finish().map_err(|e| self.parquet_error("write", e))?;
        let bytes = file.bytes_written() as u64;
        Ok(Written {
            rows: self.rows,
            bytes,
            row_groups: self.appended as u64,
        })
    }

    fn encode(&mut self, group: RowGroup) -> Result<(), TabularError> {
        self.begin(&group.columns)?;
        while !self.has_room(group.bytes) {
            self.receive()?;
        }
        let (_, factory) = self.file.as_ref().ok_or_else(lost)?;
        let writers = factory
            .create_column_writers(self.begun)
            .map_err(|e| self.parquet_error("encode", e))?;
        let count = group.columns.len();
        if writers.len() != count {
            return Err(TabularError::Options(
                "nested columns cannot be written".into(),
            ));
        }
        let pool = self.pool(group.rows * count)?;
        let columns = (0..count).map(|_| None).collect();
        self.pending.push_back(Pending {
            columns,
            missing: count,
            bytes: group.bytes,
        });
        for (index, (blocks, writer)) in group.columns.into_iter().zip(writers).enumerate() {
            self.dispatch(pool.as_deref(), index, blocks, writer);
        }
        self.begun += 1;
        self.receive_what_is_there()
    }

    fn has_room(&self, bytes: usize) -> bool {
        let waiting: usize = self.pending.iter().map(|p| p.bytes).sum();
        let few = self.pending.len() <= self.options.threads;
        self.pending.is_empty() || (few && waiting + bytes <= MAX_PENDING_BYTES)
    }

    /// The pool for so many values, if one pays. A caller inside the pool encodes by itself: it
    /// would otherwise wait for tasks that only it could run.
    fn pool(&mut self, values: usize) -> Result<Option<Arc<rayon::ThreadPool>>, TabularError> {
        if self.options.threads <= 1 || values < MIN_PARALLEL_VALUES {
            return Ok(None);
        }
        if self.options.pool.is_none() {
            let made = rayon::ThreadPoolBuilder::new()
                .num_threads(self.options.threads)
                .thread_name(|i| format!("parquet-{i}"))
                .build()
                .map_err(|e| {
                    TabularError::Internal(format!("cannot start threads to encode Parquet: {e}"))
                })?;
            self.options.pool = Some(Arc::new(made));
        }
        let pool = self.options.pool.clone();
        Ok(pool.filter(|p| p.current_thread_index().is_none()))
    }

    fn dispatch(
        &self,
        pool: Option<&rayon::ThreadPool>,
        index: usize,
        blocks: Vec<ArrayRef>,
        writer: ArrowColumnWriter,
    ) {
        let (schema, sender, group) = (Arc::clone(&self.schema), self.sender.clone(), self.begun);
        let name = self.options.name.clone();
        let task = move || {
            // A panic in a spawned task would end the process; it becomes an error instead.
            let encoded = catch_unwind(AssertUnwindSafe(|| {
                encode_column(schema.field(index), blocks, writer)
            }));
            let encoded = encoded
                .map_err(|_| {
                    TabularError::Internal(format!(
                        "encoding column {:?} panicked",
                        schema.field(index).name()
                    ))
                })
                .and_then(|r| r.map_err(|e| columnar(name, "encode", e)));
            // The receiver is gone only if the sink was dropped: then nobody wants it.
            let _ = sender.send((group, index, encoded));
        };
        match pool {
            Some(pool) => pool.spawn(task),
            None => task(),
        }
    }

    fn receive_what_is_there(&mut self) -> Result<(), TabularError> {
        while let Ok(message) = self.receiver.try_recv() {
            self.store(message)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), TabularError> {
        let message = self.receiver.recv().map_err(|_| lost())?;
        self.store(message)
    }

    fn store(
        &mut self,
        (group, column, encoded): (usize, usize, Encoded),
    ) -> Result<(), TabularError> {
        let pending = self
            .pending
            .get_mut(group - self.appended)
            .ok_or_else(lost)?;
        pending.columns[column] = Some(encoded?);
        pending.missing -= 1;
        while self.pending.front().is_some_and(|p| p.missing == 0) {
            self.append()?;
        }
        Ok(())
    }

    fn append(&mut self) -> Result<(), TabularError> {
        let group = self.pending.pop_front().ok_or_else(lost)?;
        let (file, _) = self.file.as_mut().ok_or_else(lost)?;
        let appended = file.next_row_group().and_then(|mut out| {
            for column in group.columns.into_iter().flatten() {
                column.append_to_row_group(&mut out)?;
            }
            out.close().map(|_| ())
        });
        self.appended += 1;
        appended.map_err(|e| self.parquet_error("write", e))
    }

    /// Starts the file once the first row group is known.
    fn begin(&mut self, first: &[Vec<ArrayRef>]) -> Result<(), TabularError> {
        let Some(target) = self.target.take() else {
            return Ok(());
        };
        let hints = match &self.options.dictionary {
            Some(hints) => hints.clone(),
            None => first
                .iter()
                .map(|blocks| dictionary_policy::pays(blocks))
                .collect(),
        };
        let file = open(target, &self.schema, self.options.compression, &hints);
        self.file = Some(file.map_err(|e| self.parquet_error("begin", e))?);
        Ok(())
    }

    fn parquet_error(&self, action: &'static str, error: ParquetError) -> TabularError {
        columnar(self.options.name.clone(), action, error)
    }

    fn arrow_error(&self, error: &ArrowError) -> TabularError {
        TabularError::Columnar {
            path: self.options.name.clone(),
            action: "encode",
            message: error.to_string(),
        }
    }
}

fn lost() -> TabularError {
    TabularError::Internal("the Parquet writer lost a row group or was used after an error".into())
}
