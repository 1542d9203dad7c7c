//! Cuts a stream of record batches of any size into row groups of one size, or of fewer long rows.
//!
//! Inside a row group, columns are handed on in blocks of [`BLOCK_ROWS`] rows whatever the batches
//! were, because parquet-rs decides about pages at the ends of what it is given: the same rows must
//! meet the same ends, or the same table would make other bytes. Our own encoder does not, so what it
//! takes is not put together.
//!
//! Long or wide rows close blocks and row groups before they have all their rows, so that memory
//! has a bound. Each row counts by its own values, hence again whatever the batches were.

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};

use crate::column_chunk::is_flat;
use crate::value_bytes::value_bytes;

/// Rows that the encoder is given at a time, and rows of a page: 128 KiB of 64-bit values, small
/// enough to stay in a core's cache while they are encoded and compressed.
pub(crate) const BLOCK_ROWS: usize = 16_384;

/// Slices of a block above which they are put together after all: each takes memory of its own.
const MAX_SLICES: usize = 64;

/// Blocks that a row group of long rows has.
const BLOCKS_BY_BYTES: usize = 8;

/// The rows of one row group, a list of blocks for each column.
#[derive(Debug)]
pub(crate) struct RowGroup {
    /// Columns in schema order, each its blocks of rows; of those that our own encoder takes (see
    /// `column_chunk.rs`), a block may be several arrays.
    pub(crate) columns: Vec<Vec<ArrayRef>>,
    pub(crate) rows: usize,
    /// Bytes of its values in memory.
    pub(crate) bytes: usize,
    /// Rows of each of its blocks, in order, from the first that was not [taken](RowGroup::take_blocks).
    blocks: Vec<usize>,
}

impl RowGroup {
    /// Of the columns for which `wanted`, the blocks that were not taken before, to be encoded before the
    /// others. They end where they end whatever the batches were.
    pub(crate) fn take_blocks(
        &mut self,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<(usize, Vec<ArrayRef>)> {
        let columns = (0..self.columns.len()).filter(|&c| wanted(c));
        let columns: Vec<usize> = columns.collect();
        let mut taken = Vec::new();
        for rows in std::mem::take(&mut self.blocks) {
            for &column in &columns {
                let (block, rest) = split(&self.columns[column], rows);
                self.columns[column] = rest;
                taken.push((column, block));
            }
        }
        taken
    }
}

/// Holds what does not make a whole row group yet. Slices are kept, not copied; only a block that
/// lies over the edge of two batches is put together by copying.
#[derive(Debug)]
pub(crate) struct RowGroups {
    schema: SchemaRef,
    /// Columns whose arrays may be of any length.
    flat: Vec<bool>,
    rows_per_group: usize,
    bytes_per_group: usize,
    /// Row groups end at every so many rows of the whole stream, whatever else ends them.
    stretch: usize,
    /// Rows from the group's first to the end of its stretch.
    stretch_left: usize,
    /// Slices of the block that is being filled.
    pieces: Vec<Vec<ArrayRef>>,
    piece_rows: usize,
    piece_bytes: usize,
    group: RowGroup,
}

impl RowGroups {
    /// `rows_per_group` is at least 1. A row group also ends with the block that brings it to
    /// `bytes_per_group`, and a block before the row that would bring it beyond an eighth of that.
    pub(crate) fn new(
        schema: SchemaRef,
        rows_per_group: usize,
        bytes_per_group: usize,
    ) -> RowGroups {
        let group = RowGroups::empty_group(schema.fields().len());
        let flat = schema.fields().iter().map(|f| is_flat(f.data_type()));
        RowGroups {
            flat: flat.collect(),
            schema,
            rows_per_group: rows_per_group.max(1),
            bytes_per_group,
            stretch: usize::MAX,
            stretch_left: usize::MAX,
            pieces: Vec::new(),
            piece_rows: 0,
            piece_bytes: 0,
            group,
        }
    }

    /// Row groups end after every `rows` (at least 1) rows of the stream too.
    pub(crate) fn ending_every(mut self, rows: usize) -> RowGroups {
        self.stretch = rows.max(1);
        self.stretch_left = self.stretch;
        self
    }

    /// Columns from this one on come in the same blocks all.
    pub(crate) fn in_blocks_from(mut self, column: usize) -> RowGroups {
        self.flat[column..].fill(false);
        self
    }

    fn empty_group(columns: usize) -> RowGroup {
        RowGroup {
            columns: vec![Vec::new(); columns],
            rows: 0,
            bytes: 0,
            blocks: Vec::new(),
        }
    }

    /// Takes a batch; the row groups that it completes, in order.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<Vec<RowGroup>, ArrowError> {
        self.check(batch)?;
        let mut done = Vec::new();
        let mut at = 0;
        while at < batch.num_rows() {
            let rows_left = self.block_end() - self.piece_rows;
            let wanted = rows_left.min(batch.num_rows() - at);
            let room = (self.bytes_per_group / BLOCKS_BY_BYTES).saturating_sub(self.piece_bytes);
            let mut take = fitting(batch, at, wanted, room);
            if take == 0 && self.piece_rows == 0 {
                // A row that is too long for any block has one of its own.
                take = 1;
            }
            self.take_piece(batch, at, take);
            at += take;
            if take == rows_left || take < wanted {
                self.close_block()?;
            }
            if self.is_full() {
                done.push(self.take_group());
            }
        }
        Ok(done)
    }

    fn take_piece(&mut self, batch: &RecordBatch, at: usize, rows: usize) {
        if rows == 0 {
            return;
        }
        let columns = batch.columns().iter();
        self.pieces
            .push(columns.map(|c| piece(c, at, rows)).collect());
        self.piece_rows += rows;
        self.piece_bytes += bytes_of(batch, at, at + rows);
    }

    /// True only between blocks.
    fn is_full(&self) -> bool {
        let enough =
            self.group.rows == self.group_end() || self.group.bytes >= self.bytes_per_group;
        self.piece_rows == 0 && self.group.rows > 0 && enough
    }

    /// The row group that is not complete yet.
    pub(crate) fn filling(&mut self) -> &mut RowGroup {
        &mut self.group
    }

    /// The last, shorter row group, if there are rows left.
    pub(crate) fn finish(&mut self) -> Result<Option<RowGroup>, ArrowError> {
        if self.piece_rows > 0 {
            self.close_block()?;
        }
        Ok((self.group.rows > 0).then(|| self.take_group()))
    }

    /// Rows of the block that is being filled.
    fn block_end(&self) -> usize {
        BLOCK_ROWS.min(self.group_end() - self.group.rows)
    }

    /// Rows of the group that is being filled, if its values are short.
    fn group_end(&self) -> usize {
        self.rows_per_group.min(self.stretch_left)
    }

    fn check(&self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let types = |s: &SchemaRef| -> Vec<_> {
            s.fields().iter().map(|f| f.data_type().clone()).collect()
        };
        let (expected, found) = (types(&self.schema), types(&batch.schema()));
        if expected == found {
            return Ok(());
        }
        Err(ArrowError::SchemaError(format!(
            "the file has columns of types {expected:?}, the batch of {found:?}"
        )))
    }

    fn close_block(&mut self) -> Result<(), ArrowError> {
        for (index, blocks) in self.group.columns.iter_mut().enumerate() {
            match self.pieces.as_slice() {
                [whole] => blocks.push(ArrayRef::clone(&whole[index])),
                several if self.flat[index] && several.len() <= MAX_SLICES => {
                    blocks.extend(several.iter().map(|p| ArrayRef::clone(&p[index])));
                }
                several => {
                    let arrays: Vec<&dyn Array> =
                        several.iter().map(|p| p[index].as_ref()).collect();
                    blocks.push(arrow_select::concat::concat(&arrays)?);
                }
            }
        }
        self.group.rows += self.piece_rows;
        self.group.bytes += self.piece_bytes;
        self.group.blocks.push(self.piece_rows);
        self.pieces.clear();
        self.piece_rows = 0;
        self.piece_bytes = 0;
        Ok(())
    }

    fn take_group(&mut self) -> RowGroup {
        self.stretch_left -= self.group.rows;
        if self.stretch_left == 0 || self.stretch == usize::MAX {
            self.stretch_left = self.stretch;
        }
        let empty = RowGroups::empty_group(self.group.columns.len());
        std::mem::replace(&mut self.group, empty)
    }
}

/// How many of `wanted` rows from `at` on take no more than `room` bytes.
fn fitting(batch: &RecordBatch, at: usize, wanted: usize, room: usize) -> usize {
    if bytes_of(batch, at, at + wanted) <= room {
        return wanted;
    }
    let (mut fit, mut too_many) = (0, wanted);
    while fit + 1 < too_many {
        let middle = fit.midpoint(too_many);
        if bytes_of(batch, at, at + middle) <= room {
            fit = middle;
        } else {
            too_many = middle;
        }
    }
    fit
}

/// Bytes of the values of rows `from..to`, nulls counted as values are.
fn bytes_of(batch: &RecordBatch, from: usize, to: usize) -> usize {
    let of_column = |column: &ArrayRef| value_bytes(column.as_ref(), from, to);
    batch.columns().iter().map(of_column).sum()
}

/// The two halves of blocks: the first so many rows, and the rest.
pub(crate) fn split(blocks: &[ArrayRef], rows: usize) -> (Vec<ArrayRef>, Vec<ArrayRef>) {
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    let mut left = rows;
    for block in blocks {
        let take = left.min(block.len());
        left -= take;
        if take > 0 {
            first.push(block.slice(0, take));
        }
        if take < block.len() {
            rest.push(block.slice(take, block.len() - take));
        }
    }
    (first, rest)
}

/// These rows of a column; the column itself where they are all of it.
fn piece(column: &ArrayRef, at: usize, rows: usize) -> ArrayRef {
    if rows == column.len() {
        ArrayRef::clone(column)
    } else {
        column.slice(at, rows)
    }
}
