//! Cuts a stream of record batches of any size into row groups of one size.
//!
//! Inside a row group, columns are handed on in blocks of [`BLOCK_ROWS`] rows whatever the batches
//! were, because the Parquet encoder decides about pages at the ends of what it is given: the same
//! rows must meet the same ends, or the same table would make other bytes.

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};

/// Rows that the encoder is given at a time, and rows of a page: 128 KiB of 64-bit values, small
/// enough to stay in a core's cache while they are encoded and compressed.
pub(crate) const BLOCK_ROWS: usize = 16_384;

/// The rows of one row group, a list of blocks for each column.
#[derive(Debug)]
pub(crate) struct RowGroup {
    /// Columns in schema order, each the same blocks of rows.
    pub(crate) columns: Vec<Vec<ArrayRef>>,
    pub(crate) rows: usize,
    /// Bytes that its arrays take in memory.
    pub(crate) bytes: usize,
}

/// Holds what does not make a whole row group yet. Slices are kept, not copied; only a block that
/// lies over the edge of two batches is put together by copying.
#[derive(Debug)]
pub(crate) struct RowGroups {
    schema: SchemaRef,
    rows_per_group: usize,
    /// Slices of the block that is being filled.
    pieces: Vec<Vec<ArrayRef>>,
    piece_rows: usize,
    group: RowGroup,
}

impl RowGroups {
    /// `rows_per_group` is at least 1.
    pub(crate) fn new(schema: SchemaRef, rows_per_group: usize) -> RowGroups {
        let group = RowGroups::empty_group(schema.fields().len());
        RowGroups {
            schema,
            rows_per_group: rows_per_group.max(1),
            pieces: Vec::new(),
            piece_rows: 0,
            group,
        }
    }

    fn empty_group(columns: usize) -> RowGroup {
        RowGroup {
            columns: vec![Vec::new(); columns],
            rows: 0,
            bytes: 0,
        }
    }

    /// Takes a batch; the row groups that it completes, in order.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<Vec<RowGroup>, ArrowError> {
        self.check(batch)?;
        let mut done = Vec::new();
        let mut at = 0;
        while at < batch.num_rows() {
            let wanted = self.block_end() - self.piece_rows;
            let take = wanted.min(batch.num_rows() - at);
            self.pieces
                .push(batch.columns().iter().map(|c| c.slice(at, take)).collect());
            self.piece_rows += take;
            at += take;
            if take == wanted {
                self.close_block()?;
            }
            if self.group.rows == self.rows_per_group {
                done.push(self.take_group());
            }
        }
        Ok(done)
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
        BLOCK_ROWS.min(self.rows_per_group - self.group.rows)
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
            let block = match self.pieces.as_slice() {
                [whole] => ArrayRef::clone(&whole[index]),
                several => {
                    let arrays: Vec<&dyn Array> =
                        several.iter().map(|p| p[index].as_ref()).collect();
                    arrow_select::concat::concat(&arrays)?
                }
            };
            self.group.bytes += block.to_data().get_slice_memory_size()?;
            blocks.push(block);
        }
        self.group.rows += self.piece_rows;
        self.pieces.clear();
        self.piece_rows = 0;
        Ok(())
    }

    fn take_group(&mut self) -> RowGroup {
        let empty = RowGroups::empty_group(self.group.columns.len());
        std::mem::replace(&mut self.group, empty)
    }
}
