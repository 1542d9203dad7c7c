//! Row groups to encoded columns, in parallel, given back in order.
//!
//! Each row group is encoded independently, on a rayon pool: a task a column, and of columns that are
//! encoded in parts a task a block of rows, begun before the row group is complete. Tasks only compute
//! over arrays that are in memory: none of them waits for anything. The thread that owns the
//! encoder hands rows in and takes encoded groups out; it alone waits, while too many are under way.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use arrow_array::ArrayRef;
use arrow_schema::{Field, SchemaRef};
use parquet::errors::ParquetError;
use rayon::prelude::*;

use crate::chunk_writer::ChunkPart;
use crate::column_chunk::FlatColumn;
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
const MAX_PENDING_BYTES: usize = 32 * 1024 * 1024;
/// Below so many values a row group is encoded where it is: threads would cost more than they save.
const MIN_PARALLEL_VALUES: usize = 65_536;

/// What a task makes of a column's rows.
enum Encoded {
    /// All leaves of a column.
    Whole(Vec<ColumnChunk>),
    Part(ChunkPart),
}

/// What is to be encoded, of which column.
struct Task {
    column: usize,
    /// Its place among the column's parts.
    part: usize,
    rows: Vec<ArrayRef>,
    bytes: usize,
    encoder: Encoder,
}

enum Encoder {
    Whole(ColumnEncoder),
    Part(Arc<FlatColumn>),
}

impl Encoder {
    fn encode(self, field: &Field, rows: &[ArrayRef]) -> Result<Encoded, ParquetError> {
        match self {
            Encoder::Whole(encoder) => encoder.encode(field, rows).map(Encoded::Whole),
            Encoder::Part(column) => column.encode_part(rows).map(Encoded::Part),
        }
    }
}

/// A task that is done: the number of its row group, its column, part and bytes, and what came of it.
struct Done {
    group: usize,
    column: usize,
    part: usize,
    bytes: usize,
    encoded: Result<Encoded, TabularError>,
}

/// A row group ready for a file, and what was handed in with it.
pub(crate) struct EncodedGroup<P> {
    pub(crate) rows: usize,
    /// Leaves in the order of the file's schema.
    pub(crate) chunks: Vec<ColumnChunk>,
    pub(crate) payload: P,
}

/// A row group whose columns and parts come back in any order.
struct Pending<P> {
    /// Of each column what came back, by its part.
    columns: Vec<Vec<Option<Encoded>>>,
    /// Tasks that are not done.
    missing: usize,
    /// Its rows and what was handed in with it, once it is complete.
    complete: Option<(usize, P)>,
}

/// Encodes row groups of one schema.
///
/// Memory: at most `threads` row groups, of together at most 32 MiB of arrays that are not encoded
/// (one may exceed that alone), and their encoded pages. Whether columns get dictionaries, and which are
/// compressed, is decided once, from the first row group.
pub(crate) struct RowGroupEncoder<P> {
    options: ParquetOptions,
    schema: SchemaRef,
    plan: Option<Arc<FilePlan>>,
    pending: VecDeque<Pending<P>>,
    sender: Sender<Done>,
    receiver: Receiver<Done>,
    /// Row groups that were given back.
    done: usize,
    /// Bytes of arrays in tasks that are not done.
    waiting: usize,
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
            done: 0,
            waiting: 0,
        })
    }

    /// Begins with what can be encoded of a row group before it is complete. Gives row groups that are
    /// ready, in order; waits while too many are under way.
    pub(crate) fn begin(
        &mut self,
        group: &mut RowGroup,
    ) -> Result<Vec<EncodedGroup<P>>, TabularError> {
        let mut ready = Vec::new();
        // The first row group is complete before anything is decided about columns.
        if let Some(plan) = self.plan.clone() {
            let parts = self.parts(&plan, group);
            self.dispatch(parts, MIN_PARALLEL_VALUES, &mut ready)?;
        }
        Ok(ready)
    }

    /// Takes the next row group, and gives those that are ready, in order; waits while too many are
    /// under way.
    pub(crate) fn push(
        &mut self,
        mut group: RowGroup,
        payload: P,
    ) -> Result<Vec<EncodedGroup<P>>, TabularError> {
        let plan = self.plan(&group.columns)?;
        let mut tasks = self.parts(&plan, &mut group);
        let encoders = plan.encoders().map_err(|e| self.error("encode", e))?;
        let columns = group.columns.into_iter().zip(encoders).enumerate();
        let whole = columns.filter(|(column, _)| plan.in_parts(*column).is_none());
        tasks.extend(whole.map(|(column, (rows, encoder))| Task {
            column,
            part: 0,
            bytes: bytes_of(&rows),
            rows,
            encoder: Encoder::Whole(encoder),
        }));
        // The longest first: begun last, it would be waited for alone.
        tasks.sort_by_key(|task| Reverse(task.bytes));
        let values = tasks.iter().flat_map(|task| &task.rows);
        let values = values.map(|rows| rows.len()).sum();
        let mut ready = Vec::new();
        self.dispatch(tasks, values, &mut ready)?;
        self.filling().complete = Some((group.rows, payload));
        while let Ok(done) = self.receiver.try_recv() {
            self.store(done, &mut ready)?;
        }
        self.give_back(&mut ready)?;
        Ok(ready)
    }

    /// The blocks of columns that are encoded in parts, as tasks.
    fn parts(&mut self, plan: &FilePlan, group: &mut RowGroup) -> Vec<Task> {
        let blocks = group.take_blocks(|column| plan.in_parts(column).is_some());
        if blocks.is_empty() {
            // There may be no rows behind the last complete row group.
            return Vec::new();
        }
        let columns = &mut self.filling().columns;
        let task = |(column, rows): (usize, Vec<ArrayRef>)| {
            let encoder = Encoder::Part(Arc::clone(plan.in_parts(column)?));
            columns[column].push(None);
            Some(Task {
                column,
                part: columns[column].len() - 1,
                bytes: bytes_of(&rows),
                rows,
                encoder,
            })
        };
        blocks.into_iter().filter_map(task).collect()
    }

    /// The row group that is not complete.
    fn filling(&mut self) -> &mut Pending<P> {
        if self.pending.back().is_none_or(|p| p.complete.is_some()) {
            let columns = self.schema.fields().iter().map(|_| Vec::new());
            self.pending.push_back(Pending {
                columns: columns.collect(),
                missing: 0,
                complete: None,
            });
        }
        let last = self.pending.len() - 1;
        &mut self.pending[last]
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
        let complete = self.pending.iter().filter(|p| p.complete.is_some());
        let few = complete.count() < self.options.threads.max(1);
        self.waiting == 0 || (few && self.waiting + bytes <= MAX_PENDING_BYTES)
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

    /// Hands tasks of the row group that is not complete to the pool, if it pays for so many values.
    fn dispatch(
        &mut self,
        tasks: Vec<Task>,
        values: usize,
        ready: &mut Vec<EncodedGroup<P>>,
    ) -> Result<(), TabularError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let bytes: usize = tasks.iter().map(|task| task.bytes).sum();
        while !self.has_room(bytes) {
            self.receive(ready)?;
        }
        let pool = self.pool(values)?;
        let filling = self.filling();
        filling.missing += tasks.len();
        for task in &tasks {
            let parts = &mut filling.columns[task.column];
            parts.resize_with(parts.len().max(task.part + 1), || None);
        }
        self.waiting += bytes;
        let group = self.done + self.pending.len() - 1;
        for task in tasks {
            self.start(pool.as_deref(), group, task);
        }
        Ok(())
    }

    fn start(&self, pool: Option<&rayon::ThreadPool>, group: usize, task: Task) {
        let (schema, sender) = (Arc::clone(&self.schema), self.sender.clone());
        let name = self.options.name.clone();
        let work = move || {
            let Task {
                column,
                part,
                rows,
                bytes,
                encoder,
            } = task;
            let field = schema.field(column);
            // A panic in a spawned task would end the process; it becomes an error instead.
            let encoded = catch_unwind(AssertUnwindSafe(|| encoder.encode(field, &rows)));
            let encoded = encoded
                .map_err(|_| {
                    TabularError::Internal(format!("encoding column {:?} panicked", field.name()))
                })
                .and_then(|r| r.map_err(|e| columnar(name, "encode", e)));
            drop(rows);
            // The receiver is gone only if the encoder was dropped: then nobody wants it.
            let _ = sender.send(Done {
                group,
                column,
                part,
                bytes,
                encoded,
            });
        };
        match pool {
            Some(pool) => pool.spawn(work),
            None => work(),
        }
    }

    fn receive(&mut self, ready: &mut Vec<EncodedGroup<P>>) -> Result<(), TabularError> {
        let done = self.receiver.recv().map_err(|_| lost())?;
        self.store(done, ready)
    }

    fn store(&mut self, done: Done, ready: &mut Vec<EncodedGroup<P>>) -> Result<(), TabularError> {
        self.waiting -= done.bytes;
        let group = self.pending.get_mut(done.group - self.done);
        let group = group.ok_or_else(lost)?;
        group.columns[done.column][done.part] = Some(done.encoded?);
        group.missing -= 1;
        self.give_back(ready)
    }

    /// Those at the front that are complete, with all of their tasks done.
    fn give_back(&mut self, ready: &mut Vec<EncodedGroup<P>>) -> Result<(), TabularError> {
        let is_ready = |p: &mut Pending<P>| p.missing == 0 && p.complete.is_some();
        while let Some(group) = self.pending.pop_front_if(is_ready) {
            self.done += 1;
            let plan = self.plan.clone().ok_or_else(lost)?;
            let (rows, payload) = group.complete.ok_or_else(lost)?;
            let mut chunks = Vec::new();
            for (column, encoded) in group.columns.into_iter().enumerate() {
                let joined = joined(&plan, column, encoded);
                chunks.extend(joined.map_err(|e| self.error("encode", e))?);
            }
            ready.push(EncodedGroup {
                rows,
                chunks,
                payload,
            });
        }
        Ok(())
    }

    fn error(&self, action: &'static str, error: ParquetError) -> TabularError {
        columnar(self.options.name.clone(), action, error)
    }
}

/// A column's leaves: as they came, or its parts put together.
fn joined(
    plan: &FilePlan,
    column: usize,
    encoded: Vec<Option<Encoded>>,
) -> Result<Vec<ColumnChunk>, ParquetError> {
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    for encoded in encoded {
        match encoded {
            Some(Encoded::Whole(chunks)) => whole = chunks,
            Some(Encoded::Part(part)) => parts.push(part),
            None => return Err(ParquetError::General("a block of rows was lost".into())),
        }
    }
    if let Some(column) = plan.in_parts(column) {
        whole.push(ColumnChunk::Flat(column.joined(&parts)?));
    }
    Ok(whole)
}

fn bytes_of(blocks: &[ArrayRef]) -> usize {
    let bytes = blocks.iter().map(|b| value_bytes(b.as_ref(), 0, b.len()));
    bytes.sum()
}

fn lost() -> TabularError {
    TabularError::Internal("the Parquet writer lost a row group or was used after an error".into())
}
