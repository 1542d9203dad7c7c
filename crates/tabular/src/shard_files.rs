//! The files of shards, whatever is in them: named, numbered, made durable together with their
//! sidecars.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow_schema::{Field, SchemaRef};

use crate::durable_file::DurableFile;
use crate::error::TabularError;
use crate::rows::Taken;
use crate::shard::{SealedShard, ShardJob, ShardTotals};
use crate::sidecar::{SidecarWriter, sidecar_schema};

/// A shard's files, begun.
pub(crate) struct BegunShard {
    file: DurableFile,
    sidecar: SidecarWriter<BufWriter<Box<dyn Write + Send>>>,
    sidecar_file: DurableFile,
    pub(crate) rows: u64,
    first_ordinal: u64,
}

impl BegunShard {
    /// What writes the shard itself.
    pub(crate) fn writer(&self) -> Box<dyn Write + Send> {
        self.file.writer()
    }

    /// The next rows' part of the sidecar.
    pub(crate) fn remember(&mut self, places: &RecordBatch) -> Result<(), TabularError> {
        self.sidecar.write(places)
    }
}

/// Begins and seals shards, one at a time.
pub(crate) struct ShardFiles<'a, 'b> {
    pub(crate) job: &'a ShardJob<'b>,
    /// Of sidecars, after their place columns.
    fields: Vec<Field>,
    on_sealed: &'a mut dyn FnMut(SealedShard) -> Result<(), TabularError>,
    /// Of shards that are sealed, but `rows_accepted`, which counts rows as they come.
    pub(crate) totals: ShardTotals,
    rows_sealed: u64,
}

impl<'a, 'b> ShardFiles<'a, 'b> {
    pub(crate) fn new(
        job: &'a ShardJob<'b>,
        fields: Vec<Field>,
        on_sealed: &'a mut dyn FnMut(SealedShard) -> Result<(), TabularError>,
    ) -> Self {
        Self {
            job,
            fields,
            on_sealed,
            totals: ShardTotals::default(),
            rows_sealed: 0,
        }
    }

    pub(crate) fn sidecar_schema(&self) -> SchemaRef {
        sidecar_schema(&self.fields)
    }

    /// The sidecar columns of a block's rows, which get their ordinals here.
    pub(crate) fn places<X>(
        &mut self,
        taken: &Taken<'_, X>,
        carried: Vec<ArrayRef>,
    ) -> Result<RecordBatch, TabularError> {
        let (first, rows) = (self.totals.rows_accepted, taken.rows.records.len());
        let records = taken.rows.records.iter();
        let records = records.map(|r| taken.records_before + u64::from(r.index) + 1);
        self.totals.rows_accepted += rows as u64;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(first..first + rows as u64)),
            Arc::new(UInt32Array::from(vec![taken.file as u32; rows])),
            Arc::new(UInt64Array::from_iter_values(records)),
        ];
        arrays.extend(carried);
        RecordBatch::try_new(self.sidecar_schema(), arrays)
            .map_err(|e| TabularError::Internal(format!("sidecar batch: {e}")))
    }

    fn name(&self) -> String {
        let (prefix, index) = (&self.job.name_prefix, self.totals.shards);
        format!("{prefix}{index:05}.{}", self.job.format)
    }

    /// The shard that is open or comes next.
    pub(crate) fn path(&self) -> PathBuf {
        self.job.folder.join(self.name())
    }

    pub(crate) fn begin(&self) -> Result<BegunShard, TabularError> {
        let (prefix, index) = (&self.job.name_prefix, self.totals.shards);
        let sidecar_path = self.job.folder.join(format!("{prefix}{index:05}.arrow"));
        let file = DurableFile::create(&self.path())?.hashed().soon_read();
        let sidecar_file = DurableFile::create(&sidecar_path)?.hashed();
        let target = BufWriter::new(sidecar_file.writer());
        Ok(BegunShard {
            file,
            sidecar: SidecarWriter::new(target, &self.fields, &sidecar_path)?,
            sidecar_file,
            rows: 0,
            first_ordinal: self.rows_sealed,
        })
    }

    /// Makes the shard, whose own bytes are all written, durable and tells of it. Without a longest
    /// record, that is the whole file.
    pub(crate) fn seal(
        &mut self,
        shard: BegunShard,
        longest_record: Option<u64>,
    ) -> Result<(), TabularError> {
        let (name, path) = (self.name(), self.path());
        shard.sidecar.finish()?;
        let sidecar = shard.sidecar_file.commit()?;
        let stored = shard.file.commit()?;
        let index = self.totals.shards;
        self.totals.shards += 1;
        self.totals.bytes += stored.bytes;
        self.rows_sealed += shard.rows;
        (self.on_sealed)(SealedShard {
            index,
            name,
            path,
            sidecar_path: sidecar.path.clone(),
            rows: shard.rows,
            first_ordinal: shard.first_ordinal,
            bytes: stored.bytes,
            sha256: stored.digest()?,
            sidecar_bytes: sidecar.bytes,
            sidecar_sha256: sidecar.digest()?,
            longest_record: longest_record.unwrap_or(stored.bytes),
        })
    }
}
