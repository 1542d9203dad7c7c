//! Rows as text to shards, in order: cut, hashed, sealed.

use std::io::{BufWriter, Write};

use arrow_array::RecordBatch;

use crate::compression::{FinishWrite, compress};
use crate::error::TabularError;
use crate::parquet_shards::ParquetShards;
use crate::rows::Taken;
use crate::shard::ShardTotals;
use crate::shard_files::{BegunShard, ShardFiles};
use crate::shard_rows::{Body, Formatted, RowPlan, Text};

/// Cuts rows into shards of either kind, in order.
pub(crate) enum ShardWriter<'a, 'b> {
    Text(Box<TextShards<'a, 'b>>),
    Parquet(Box<ParquetShards<'a, 'b>>),
}

impl<'a, 'b> ShardWriter<'a, 'b> {
    /// The kind that `plan` formats rows for.
    pub(crate) fn new(plan: &RowPlan, files: ShardFiles<'a, 'b>) -> Result<Self, TabularError> {
        Ok(match plan.columns() {
            None => Self::Text(Box::new(TextShards { files, open: None })),
            Some(fields) => Self::Parquet(Box::new(ParquetShards::new(fields, files)?)),
        })
    }

    /// Takes a block's rows.
    pub(crate) fn take(
        &mut self,
        taken: Taken<'_, Result<Formatted, TabularError>>,
    ) -> Result<(), TabularError> {
        let Taken {
            file,
            records_before,
            block,
            rows,
            value,
        } = taken;
        let Formatted { body, carried } = value?;
        if rows.records.is_empty() {
            return Ok(());
        }
        let place = Taken {
            file,
            records_before,
            block,
            rows,
            value: (),
        };
        match (self, body) {
            (Self::Text(shards), Body::Text(text)) => {
                let places = shards.files.places(&place, carried)?;
                shards.take(&text, &places)
            }
            (Self::Parquet(shards), Body::Columns(columns)) => {
                let places = shards.files.places(&place, carried)?;
                shards.take(columns, &places)
            }
            _ => Err(TabularError::Internal(
                "rows were made for shards of another kind".into(),
            )),
        }
    }

    /// Seals the last shard.
    pub(crate) fn finish(self) -> Result<ShardTotals, TabularError> {
        match self {
            Self::Text(mut shards) => {
                shards.seal()?;
                Ok(shards.files.totals)
            }
            Self::Parquet(shards) => shards.finish(),
        }
    }
}

/// The shard being written.
struct Open {
    text: Box<dyn FinishWrite>,
    shard: BegunShard,
    /// Before compression.
    bytes: u64,
    longest: u64,
}

/// Shards of lines.
pub(crate) struct TextShards<'a, 'b> {
    files: ShardFiles<'a, 'b>,
    open: Option<Open>,
}

impl TextShards<'_, '_> {
    /// Writes a block's rows, as many at once as the shard takes.
    fn take(&mut self, text: &Text, places: &RecordBatch) -> Result<(), TabularError> {
        let Text { text, ends } = text;
        let rows = ends.len();
        let mut from = 0;
        while from < rows {
            let start = if from == 0 { 0 } else { ends[from - 1] };
            let to = from + self.room(&ends[from..], start);
            if to == from {
                self.seal()?;
                continue;
            }
            self.write(
                &text[start..ends[to - 1]],
                &ends[from..to],
                start,
                &places.slice(from, to - from),
            )?;
            from = to;
        }
        Ok(())
    }

    /// How many of the next rows fit into the shard; an empty shard takes at least one.
    fn room(&self, ends: &[usize], start: usize) -> usize {
        let open = self.open.as_ref();
        let (rows, bytes) = open.map_or((0, 0), |o| (o.shard.rows, o.bytes));
        let job = self.files.job;
        let bytes_left = job.max_bytes.saturating_sub(bytes);
        let by_bytes = ends.partition_point(|end| (end - start) as u64 <= bytes_left);
        let rows_left = job.max_rows.map_or(u64::MAX, |max| max.max(1) - rows);
        let room = by_bytes.min(usize::try_from(rows_left).unwrap_or(usize::MAX));
        if rows == 0 { room.max(1) } else { room }
    }

    fn write(
        &mut self,
        text: &[u8],
        ends: &[usize],
        start: usize,
        places: &RecordBatch,
    ) -> Result<(), TabularError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        open.text
            .write_all(text)
            .map_err(TabularError::io("write", self.files.path()))?;
        open.shard.remember(places)?;
        let starts = std::iter::once(&start).chain(ends);
        let longest = ends
            .iter()
            .zip(starts)
            .map(|(end, start)| end - start)
            .max()
            .unwrap_or(0);
        open.longest = open.longest.max(longest as u64);
        open.shard.rows += ends.len() as u64;
        open.bytes += text.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    fn begin(&self) -> Result<Open, TabularError> {
        let shard = self.files.begin()?;
        let target = Box::new(BufWriter::new(shard.writer()));
        Ok(Open {
            text: compress(self.files.job.format.compression, target),
            shard,
            bytes: 0,
            longest: 0,
        })
    }

    /// Makes the shard durable and tells of it.
    fn seal(&mut self) -> Result<(), TabularError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let path = self.files.path();
        let text = open.text.finish();
        let mut text = text.map_err(TabularError::io("write", &path))?;
        text.flush().map_err(TabularError::io("write", &path))?;
        self.files.seal(open.shard, Some(open.longest))
    }
}
