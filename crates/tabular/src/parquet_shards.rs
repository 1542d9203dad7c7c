//! Rows as columns to Parquet shards, each of whole row groups and no larger than a file may be.
//!
//! Where row groups end is known from the rows alone (see [`RowGroups`]), so they are encoded in
//! parallel before it is known which shard takes them. Then, in order: a row group that would make
//! its shard too large or too long begins the next; one that no shard can take is encoded again in
//! halves. Bytes of shards and sidecars thus depend neither on threads nor on how rows came.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Field, Schema as ArrowSchema, SchemaRef};
use parquet::errors::ParquetError;

use crate::error::TabularError;
use crate::parquet_file::{ColumnChunk, FilePlan, columnar};
use crate::parquet_output::ParquetOutput;
use crate::parquet_size::SizeBounds;
use crate::parquet_writer::{DEFAULT_ROW_GROUP_BYTES, ParquetOptions};
use crate::row_group_encoder::{EncodedGroup, RowGroupEncoder};
use crate::row_groups::{RowGroup, RowGroups, split};
use crate::shard::ShardTotals;
use crate::shard_files::{BegunShard, ShardFiles};

/// A shard holds at least about so many row groups if its rows are many: the last one that does
/// not fit leaves no more than such a part of the shard empty.
const ROW_GROUPS_PER_SHARD: u64 = 4;

/// Bytes that are written to a shard at a time, at least.
const BUFFER_BYTES: usize = 1 << 18;

/// The rows of a row group, kept until they are in a shard: to be encoded again if they must, and
/// for the sidecar. Blocks of the same rows for each column.
struct Kept {
    columns: Vec<Vec<ArrayRef>>,
    places: Vec<Vec<ArrayRef>>,
}

/// The shard being written.
struct Open {
    file: ParquetOutput<Box<dyn Write + Send>>,
    shard: BegunShard,
    /// The largest that the file can be if it is closed now.
    bytes: u64,
}

/// Cuts row groups into shards, in order.
///
/// Memory: that of [`RowGroupEncoder`], and the row group that fills up.
pub(crate) struct ParquetShards<'a, 'b> {
    pub(crate) files: ShardFiles<'a, 'b>,
    /// Columns of the shards, then those of the sidecars.
    schema: SchemaRef,
    columns: usize,
    groups: RowGroups,
    encoder: RowGroupEncoder<Kept>,
    bounds: Option<SizeBounds>,
    open: Option<Open>,
}

impl<'a, 'b> ParquetShards<'a, 'b> {
    /// Shards of these columns.
    pub(crate) fn new(fields: Vec<Field>, files: ShardFiles<'a, 'b>) -> Result<Self, TabularError> {
        let (job, columns) = (files.job, fields.len());
        let encoded = Arc::new(ArrowSchema::new(fields.clone()));
        let options = ParquetOptions {
            row_group_rows: job.row_group_rows,
            row_group_bytes: row_group_bytes(job.max_bytes),
            compression: job.parquet_compression,
            threads: job.scan.threads.max(1),
            name: job.folder.to_path_buf(),
            ..ParquetOptions::default()
        };
        let place_fields = files.sidecar_schema();
        let place_fields = place_fields.fields().iter().map(|f| f.as_ref().clone());
        let schema = Arc::new(ArrowSchema::new(
            fields.into_iter().chain(place_fields).collect::<Vec<_>>(),
        ));
        let mut groups = RowGroups::new(
            Arc::clone(&schema),
            options.row_group_rows,
            options.row_group_bytes,
        )
        .in_blocks_from(columns);
        if let Some(max_rows) = job.max_rows {
            // Shards of just so many rows, as long as their bytes allow it.
            groups = groups.ending_every(usize::try_from(max_rows).unwrap_or(usize::MAX));
        }
        Ok(Self {
            groups,
            encoder: RowGroupEncoder::new(encoded, options)?,
            files,
            schema,
            columns,
            bounds: None,
            open: None,
        })
    }

    /// Takes rows. Waits while too many row groups are being encoded.
    pub(crate) fn take(
        &mut self,
        columns: Vec<ArrayRef>,
        places: &RecordBatch,
    ) -> Result<(), TabularError> {
        let columns = columns
            .into_iter()
            .chain(places.columns().iter().map(Arc::clone));
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect());
        let full = rows.and_then(|rows| self.groups.push(&rows));
        let full = full.map_err(|e| self.arrow_error(&e))?;
        full.into_iter().try_for_each(|group| self.encode(group))
    }

    /// Seals the last shard.
    pub(crate) fn finish(mut self) -> Result<ShardTotals, TabularError> {
        if let Some(last) = self.groups.finish().map_err(|e| self.arrow_error(&e))? {
            self.encode(last)?;
        }
        let ready = self.encoder.drain()?;
        self.place_all(ready)?;
        self.seal()?;
        Ok(self.files.totals)
    }

    fn encode(&mut self, mut group: RowGroup) -> Result<(), TabularError> {
        let places = group.columns.split_off(self.columns);
        let columns = group.columns.clone();
        let ready = self.encoder.push(group, Kept { columns, places })?;
        self.place_all(ready)
    }

    fn place_all(&mut self, ready: Vec<EncodedGroup<Kept>>) -> Result<(), TabularError> {
        ready.into_iter().try_for_each(|group| {
            let plan = self.encoder.plan(&[])?;
            self.place(&plan, group)
        })
    }

    /// Puts a row group into the shard that takes it; into several if it is too large for any.
    fn place(&mut self, plan: &FilePlan, group: EncodedGroup<Kept>) -> Result<(), TabularError> {
        let (size, empty) = self.size(plan, &group.chunks)?;
        let limit = self.files.job.max_bytes;
        if empty.saturating_add(size) > limit {
            if group.rows == 1 {
                return Err(self.too_large(&group.payload, empty.saturating_add(size)));
            }
            for half in halves(group) {
                let chunks = plan.encode(&half.payload.columns);
                let chunks = chunks.map_err(|e| self.error("encode", e))?;
                self.place(plan, EncodedGroup { chunks, ..half })?;
            }
            return Ok(());
        }
        let max_rows = self.files.job.max_rows.map_or(u64::MAX, |max| max.max(1));
        let is_full = self.open.as_ref().is_some_and(|open| {
            open.bytes.saturating_add(size) > limit
                || open.shard.rows + group.rows as u64 > max_rows
        });
        if is_full {
            self.seal()?;
        }
        self.append(plan, group, size, empty)
    }

    /// By how much a row group makes a file larger, and the size of one without any.
    fn size(
        &mut self,
        plan: &FilePlan,
        chunks: &[ColumnChunk],
    ) -> Result<(u64, u64), TabularError> {
        let bounds = match self.bounds.take() {
            Some(bounds) => bounds,
            None => SizeBounds::new(plan, self.files.job.max_bytes)
                .map_err(|e| self.error("measure", e))?,
        };
        let size = bounds.of(plan, chunks);
        let empty = bounds.empty;
        self.bounds = Some(bounds);
        Ok((size.map_err(|e| self.error("measure", e))?, empty))
    }

    fn append(
        &mut self,
        plan: &FilePlan,
        group: EncodedGroup<Kept>,
        size: u64,
        empty: u64,
    ) -> Result<(), TabularError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let shard = self.files.begin()?;
                let target = BufWriter::with_capacity(BUFFER_BYTES, shard.writer());
                let file = plan.open(Box::new(target) as Box<dyn Write + Send>);
                Open {
                    file: file.map_err(|e| self.error("begin", e))?,
                    shard,
                    bytes: empty,
                }
            }
        };
        let appended = open.file.append(group.chunks);
        appended.map_err(|e| self.error("write", e))?;
        let schema = self.files.sidecar_schema();
        for block in 0..group.payload.places[0].len() {
            let columns = group.payload.places.iter();
            let columns = columns.map(|blocks| Arc::clone(&blocks[block])).collect();
            let places = RecordBatch::try_new(Arc::clone(&schema), columns);
            open.shard
                .remember(&places.map_err(|e| self.arrow_error(&e))?)?;
        }
        open.shard.rows += group.rows as u64;
        open.bytes = open.bytes.saturating_add(size);
        self.open = Some(open);
        Ok(())
    }

    fn seal(&mut self) -> Result<(), TabularError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let bytes = open.file.finish().map_err(|e| self.error("write", e))?;
        let limit = self.files.job.max_bytes;
        if bytes > limit {
            return Err(TabularError::Internal(format!(
                "{} would have {bytes} bytes, more than the limit of {limit}: its size was \
                 taken to be {} at most",
                self.files.path().display(),
                open.bytes
            )));
        }
        // A request carries the file as a whole.
        self.files.seal(open.shard, None)
    }

    fn too_large(&self, row: &Kept, bytes: u64) -> TabularError {
        let (files, records) = (&row.places[1][0], &row.places[2][0]);
        let file = files.as_primitive::<UInt32Type>().value(0) as usize;
        let inputs = self.files.job.inputs;
        TabularError::RowTooLarge {
            file: inputs
                .get(file)
                .map_or_else(String::new, |i| i.name.clone()),
            record: records.as_primitive::<UInt64Type>().value(0),
            bytes,
            limit: self.files.job.max_bytes,
        }
    }

    fn error(&self, action: &'static str, error: ParquetError) -> TabularError {
        columnar(self.files.path(), action, error)
    }

    fn arrow_error(&self, error: &ArrowError) -> TabularError {
        TabularError::Columnar {
            path: self.files.path(),
            action: "encode",
            message: error.to_string(),
        }
    }
}

/// Row groups are small beside the shard, but no larger than they need to be without a limit.
fn row_group_bytes(max_bytes: u64) -> usize {
    let share = usize::try_from(max_bytes / ROW_GROUPS_PER_SHARD).unwrap_or(usize::MAX);
    share.clamp(1, DEFAULT_ROW_GROUP_BYTES)
}

/// The rows of a group of at least two in two parts, not encoded yet.
fn halves(group: EncodedGroup<Kept>) -> [EncodedGroup<Kept>; 2] {
    let rows = group.rows / 2;
    let cut = |columns: Vec<Vec<ArrayRef>>| -> (Vec<_>, Vec<_>) {
        columns.iter().map(|blocks| split(blocks, rows)).unzip()
    };
    let (first, rest) = cut(group.payload.columns);
    let (first_places, rest_places) = cut(group.payload.places);
    let half = |rows, columns, places| EncodedGroup {
        rows,
        chunks: Vec::new(),
        payload: Kept { columns, places },
    };
    [
        half(rows, first, first_places),
        half(group.rows - rows, rest, rest_places),
    ]
}
