//! Formatted rows to shards, in order: cut, hashed, sealed.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow_schema::Field;

use crate::compression::{Compression, FinishWrite, compress};
use crate::durable_file::DurableFile;
use crate::error::TabularError;
use crate::rows::Taken;
use crate::shard::{SealedShard, ShardJob, ShardTotals};
use crate::shard_rows::{Formatted, RowPlan};
use crate::sidecar::{SidecarWriter, sidecar_schema};

/// The shard being written.
struct Open {
    text: Box<dyn FinishWrite>,
    file: DurableFile,
    sidecar: SidecarWriter<BufWriter<Box<dyn Write + Send>>>,
    sidecar_file: DurableFile,
    rows: u64,
    /// Before compression.
    bytes: u64,
    longest: u64,
    first_ordinal: u64,
}

/// Cuts rows into shards, in order.
pub(crate) struct ShardWriter<'a, 'b> {
    job: &'a ShardJob<'b>,
    fields: Vec<Field>,
    on_sealed: &'a mut dyn FnMut(SealedShard) -> Result<(), TabularError>,
    open: Option<Open>,
    pub(crate) totals: ShardTotals,
}

impl<'a, 'b> ShardWriter<'a, 'b> {
    pub(crate) fn new(
        job: &'a ShardJob<'b>,
        plan: &RowPlan,
        on_sealed: &'a mut dyn FnMut(SealedShard) -> Result<(), TabularError>,
    ) -> Self {
        Self {
            job,
            fields: plan.fields.clone(),
            on_sealed,
            open: None,
            totals: ShardTotals::default(),
        }
    }

    /// Writes a block's rows, as many at once as the shard takes.
    pub(crate) fn take(&mut self, taken: Taken<'_, Formatted>) -> Result<(), TabularError> {
        let Formatted {
            text,
            ends,
            sidecar,
        } = taken.value;
        let rows = ends.len();
        if rows == 0 {
            return Ok(());
        }
        let records = taken
            .rows
            .records
            .iter()
            .map(|r| taken.records_before + u64::from(r.index) + 1);
        let batch = self.batch(taken.file, records, sidecar?, rows)?;
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
                &batch.slice(from, to - from),
            )?;
            from = to;
        }
        Ok(())
    }

    fn batch(
        &self,
        file: usize,
        records: impl Iterator<Item = u64>,
        columns: Vec<ArrayRef>,
        rows: usize,
    ) -> Result<RecordBatch, TabularError> {
        let first = self.totals.rows_accepted;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(first..first + rows as u64)),
            Arc::new(UInt32Array::from(vec![file as u32; rows])),
            Arc::new(UInt64Array::from_iter_values(records)),
        ];
        arrays.extend(columns);
        RecordBatch::try_new(sidecar_schema(&self.fields), arrays)
            .map_err(|e| TabularError::Internal(format!("sidecar batch: {e}")))
    }

    /// How many of the next rows fit into the shard; an empty shard takes at least one.
    fn room(&self, ends: &[usize], start: usize) -> usize {
        let (rows, bytes) = self.open.as_ref().map_or((0, 0), |o| (o.rows, o.bytes));
        let bytes_left = self.job.max_bytes.saturating_sub(bytes);
        let by_bytes = ends.partition_point(|end| (end - start) as u64 <= bytes_left);
        let rows_left = self.job.max_rows.map_or(u64::MAX, |max| max.max(1) - rows);
        let room = by_bytes.min(usize::try_from(rows_left).unwrap_or(usize::MAX));
        if rows == 0 { room.max(1) } else { room }
    }

    fn write(
        &mut self,
        text: &[u8],
        ends: &[usize],
        start: usize,
        batch: &RecordBatch,
    ) -> Result<(), TabularError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.start()?,
        };
        open.text
            .write_all(text)
            .map_err(TabularError::io("write", self.path()))?;
        open.sidecar.write(batch)?;
        let starts = std::iter::once(&start).chain(ends);
        let longest = ends
            .iter()
            .zip(starts)
            .map(|(end, start)| end - start)
            .max()
            .unwrap_or(0);
        open.longest = open.longest.max(longest as u64);
        open.rows += ends.len() as u64;
        open.bytes += text.len() as u64;
        self.totals.rows_accepted += ends.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    fn name(&self) -> String {
        let extension = if self.job.gzip { "csv.gz" } else { "csv" };
        format!(
            "{}{:05}.{extension}",
            self.job.name_prefix, self.totals.shards
        )
    }

    fn path(&self) -> PathBuf {
        self.job.folder.join(self.name())
    }

    fn start(&self) -> Result<Open, TabularError> {
        let sidecar_path = self.job.folder.join(format!(
            "{}{:05}.arrow",
            self.job.name_prefix, self.totals.shards
        ));
        let file = DurableFile::create(&self.path())?;
        let sidecar_file = DurableFile::create(&sidecar_path)?;
        let compression = if self.job.gzip {
            Compression::Gzip
        } else {
            Compression::None
        };
        let target = BufWriter::new(sidecar_file.writer());
        Ok(Open {
            text: compress(compression, Box::new(BufWriter::new(file.writer()))),
            file,
            sidecar: SidecarWriter::new(target, &self.fields, &sidecar_path)?,
            sidecar_file,
            rows: 0,
            bytes: 0,
            longest: 0,
            first_ordinal: self.totals.rows_accepted,
        })
    }

    /// Makes the shard durable and tells of it.
    pub(crate) fn seal(&mut self) -> Result<(), TabularError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let (name, path) = (self.name(), self.path());
        let mut text = open
            .text
            .finish()
            .map_err(TabularError::io("write", &path))?;
        text.flush().map_err(TabularError::io("write", &path))?;
        open.sidecar.finish()?;
        let sidecar = open.sidecar_file.commit()?;
        let shard = open.file.commit()?;
        let index = self.totals.shards;
        self.totals.shards += 1;
        self.totals.bytes += shard.bytes;
        (self.on_sealed)(SealedShard {
            index,
            name,
            path,
            sidecar_path: sidecar.path,
            rows: open.rows,
            first_ordinal: open.first_ordinal,
            bytes: shard.bytes,
            sha256: shard.sha256,
            sidecar_bytes: sidecar.bytes,
            sidecar_sha256: sidecar.sha256,
            longest_record: open.longest,
        })
    }
}
