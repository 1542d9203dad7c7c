//! Row groups to encoded columns, in parallel, given back in order.
//!
//! Each row group is encoded independently, a task a column, on a rayon pool. Tasks only compute
//! over arrays that are in memory: none of them waits for anything. The thread that owns the
//! encoder hands groups in and takes encoded ones out; it alone waits, while too many are under way.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use arrow_array::ArrayRef;
use arrow_schema::SchemaRef;
use parquet::errors::ParquetError;
use rayon::prelude::*;

use crate::dictionary_policy;
use crate::error::TabularError;
use crate::parquet_file::{ColumnChunk, ColumnEncoder, FilePlan, columnar};
use crate::parquet_writer::ParquetOptions;
use crate::row_groups::RowGroup;
use crate::value_bytes::value_bytes;

/// The columns of a file: each takes several kilobytes while a row group is written, and of a footer every
/// reader reads all.
const MAX_PARQUET_COLUMNS: usize = 100_000;

/// Bytes of arrays that wait for their encoding before the encoder makes its caller wait.
const MAX_PENDING_BYTES: usize = 64 * 1024 * 1024;
/// Below so many values a row group is encoded where it is: threads would cost more than they save.
const MIN_PARALLEL_VALUES: usize = 65_536;

/// The encoded leaves of a row group's column, or why there are none.
type Encoded = Result<Vec<ColumnChunk>, TabularError>;

/// A row group ready for a file, and what was handed in with it.
pub(crate) struct EncodedGroup<P> {
    pub(crate) rows: usize,
    /// Leaves in the order of the file's schema.
    pub(crate) chunks: Vec<ColumnChunk>,
    pub(crate) payload: P,
}

/// A row group whose columns come back in any order.
struct Pending<P> {
    columns: Vec<Option<Vec<ColumnChunk>>>,
    missing: usize,
    rows: usize,
    bytes: usize,
    payload: P,
}

/// Encodes row groups of one schema.
///
/// Memory: at most `threads + 1` row groups, of together at most 64 MiB of arrays (one may exceed
/// that alone), and their encoded pages. Whether columns get dictionaries, and which are compressed, is
/// decided once, from the first row group.
pub(crate) struct RowGroupEncoder<P> {
    options: ParquetOptions,
    schema: SchemaRef,
    plan: Option<Arc<FilePlan>>,
    pending: VecDeque<Pending<P>>,
    sender: Sender<(usize, usize, Encoded)>,
    receiver: Receiver<(usize, usize, Encoded)>,
    /// Row groups handed in, and those of them that were given back.
    begun: usize,
    done: usize,
}

impl<P> RowGroupEncoder<P> {
    /// # Errors
    /// [`TabularError::Options`] for no columns, no rows a row group, or hints for another number
    /// of columns.
    pub(crate) fn new(
        schema: SchemaRef,
        options: ParquetOptions,
    ) -> Result<RowGroupEncoder<P>, TabularError> {
        let columns = schema.fields().len();
        if columns == 0 {
            return Err(TabularError::Options(
                "a Parquet file needs at least one column".into(),
            ));
        }
        if columns > MAX_PARQUET_COLUMNS {
            return Err(TabularError::Options(format!(
                "a Parquet file of {columns} columns: expected at most {MAX_PARQUET_COLUMNS}; select \
                 some (--select), or turn the table"
            )));
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
        Ok(RowGroupEncoder {
            options,
            schema,
            plan: None,
            pending: VecDeque::new(),
            sender,
            receiver,
            begun: 0,
            done: 0,
        })
    }

    /// Takes the next row group, and gives those that are ready, in order; waits while too many are
    /// under way.
    pub(crate) fn push(
        &mut self,
        group: RowGroup,
        payload: P,
    ) -> Result<Vec<EncodedGroup<P>>, TabularError> {
        let plan = self.plan(&group.columns)?;
        let mut ready = Vec::new();
        while !self.has_room(group.bytes) {
            self.receive(&mut ready)?;
        }
        let encoders = plan.encoders().map_err(|e| self.error("encode", e))?;
        let pool = self.pool(group.rows * encoders.len())?;
        self.pending.push_back(Pending {
            columns: encoders.iter().map(|_| None).collect(),
            missing: encoders.len(),
            rows: group.rows,
            bytes: group.bytes,
            payload,
        });
        let columns = group.columns.into_iter().zip(encoders).enumerate();
        let mut tasks: Vec<_> = columns.collect();
        // The longest first: begun last, it would be waited for alone.
        tasks.sort_by_key(|(_, (blocks, _))| Reverse(bytes_of(blocks)));
        for (index, (blocks, encoder)) in tasks {
            self.dispatch(pool.as_deref(), index, blocks, encoder);
        }
        self.begun += 1;
        while let Ok(message) = self.receiver.try_recv() {
            self.store(message, &mut ready)?;
        }
        Ok(ready)
    }

    /// Waits for all row groups that were handed in.
    pub(crate) fn drain(&mut self) -> Result<Vec<EncodedGroup<P>>, TabularError> {
        let mut ready = Vec::new();
        while !self.pending.is_empty() {
            self.receive(&mut ready)?;
        }
        Ok(ready)
    }

    /// What files for these row groups are made with. `first` is the first row group, which
    /// decides about dictionaries; later ones are not looked at.
    pub(crate) fn plan(&mut self, first: &[Vec<ArrayRef>]) -> Result<Arc<FilePlan>, TabularError> {
        if let Some(plan) = &self.plan {
            return Ok(Arc::clone(plan));
        }
        let values = first.iter().flatten().map(|block| block.len()).sum();
        let (given, schema) = (self.options.dictionary.clone(), Arc::clone(&self.schema));
        let compression = self.options.compression;
        let pays = |blocks: &Vec<ArrayRef>| dictionary_policy::pays(blocks);
        let plan_of = |hints: Vec<bool>| FilePlan::new(&schema, compression, &hints);
        // Columns are judged beside each other where there is a pool; each by its own values alone.
        let plan = match self.pool(values)? {
            Some(pool) => pool.install(|| {
                let hints = given.unwrap_or_else(|| first.par_iter().map(pays).collect());
                plan_of(hints)?.with_codecs_in_parallel(first)
            }),
            None => {
                let hints = given.unwrap_or_else(|| first.iter().map(pays).collect());
                plan_of(hints).and_then(|plan| plan.with_codecs_for(first))
            }
        };
        let plan = Arc::new(plan.map_err(|e| self.error("begin", e))?);
        self.plan = Some(Arc::clone(&plan));
        Ok(plan)
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
        encoder: ColumnEncoder,
    ) {
        let (schema, sender, group) = (Arc::clone(&self.schema), self.sender.clone(), self.begun);
        let name = self.options.name.clone();
        let task = move || {
            // A panic in a spawned task would end the process; it becomes an error instead.
            let encoded = catch_unwind(AssertUnwindSafe(|| {
                encoder.encode(schema.field(index), &blocks)
            }));
            let encoded = encoded
                .map_err(|_| {
                    TabularError::Internal(format!(
                        "encoding column {:?} panicked",
                        schema.field(index).name()
                    ))
                })
                .and_then(|r| r.map_err(|e| columnar(name, "encode", e)));
            // The receiver is gone only if the encoder was dropped: then nobody wants it.
            let _ = sender.send((group, index, encoded));
        };
        match pool {
            Some(pool) => pool.spawn(task),
            None => task(),
        }
    }

    fn receive(&mut self, ready: &mut Vec<EncodedGroup<P>>) -> Result<(), TabularError> {
        let message = self.receiver.recv().map_err(|_| lost())?;
        self.store(message, ready)
    }

    fn store(
        &mut self,
        (group, column, encoded): (usize, usize, Encoded),
        ready: &mut Vec<EncodedGroup<P>>,
    ) -> Result<(), TabularError> {
        let pending = self.pending.get_mut(group - self.done).ok_or_else(lost)?;
        pending.columns[column] = Some(encoded?);
        pending.missing -= 1;
        while let Some(group) = self.pending.pop_front_if(|p| p.missing == 0) {
            self.done += 1;
            ready.push(EncodedGroup {
                rows: group.rows,
                chunks: group.columns.into_iter().flatten().flatten().collect(),
                payload: group.payload,
            });
        }
        Ok(())
    }

    fn error(&self, action: &'static str, error: ParquetError) -> TabularError {
        columnar(self.options.name.clone(), action, error)
    }
}

fn bytes_of(blocks: &[ArrayRef]) -> usize {
    let bytes = blocks.iter().map(|b| value_bytes(b.as_ref(), 0, b.len()));
    bytes.sum()
}

fn lost() -> TabularError {
    TabularError::Internal("the Parquet writer lost a row group or was used after an error".into())
}
