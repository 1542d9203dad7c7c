//! Output cut into parts of a fixed number of rows, each a durable file, in row order.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::assemble::{AssembleJob, OutputFormat, Part};
use crate::compression::compress;
use crate::csv_sink::CsvSink;
use crate::durable_file::DurableFile;
use crate::error::TabularError;
use crate::parquet_writer::{ParquetOptions, ParquetSink};

/// Writes parts one after the other. Dropped without [`finish`](Parts::finish), it removes all
/// parts that it made: an assembly that failed leaves nothing that looks like a result.
pub(crate) struct Parts<'a> {
    job: &'a AssembleJob<'a>,
    schema: SchemaRef,
    open: Option<OpenPart>,
    done: Vec<Part>,
    pool: Option<Arc<rayon::ThreadPool>>,
    finished: bool,
}

struct OpenPart {
    name: String,
    file: DurableFile,
    sink: Sink,
    rows: u64,
}

enum Sink {
    Parquet(Box<ParquetSink>),
    Csv(CsvSink),
}

impl<'a> Parts<'a> {
    pub(crate) fn new(
        job: &'a AssembleJob<'a>,
        schema: SchemaRef,
    ) -> Result<Parts<'a>, TabularError> {
        let parquet = matches!(job.format, OutputFormat::Parquet { .. });
        // One pool for all parts, and none for CSV, whose blocks use the caller's.
        let pool = (parquet && job.threads > 1).then(|| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(job.threads)
                .build()
        });
        let pool = pool.transpose().map_err(|e| {
            TabularError::Internal(format!("cannot start threads to encode Parquet: {e}"))
        })?;
        Ok(Parts {
            job,
            schema,
            open: None,
            done: Vec::new(),
            pool: pool.map(Arc::new),
            finished: false,
        })
    }

    /// Appends rows, beginning and closing parts where they are full.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), TabularError> {
        let mut at = 0;
        while at < batch.num_rows() {
            let part = match &mut self.open {
                Some(part) => part,
                None => {
                    let next = self.begin()?;
                    self.open.insert(next)
                }
            };
            let left = usize::try_from(self.job.rows_per_part - part.rows).unwrap_or(usize::MAX);
            let take = left.min(batch.num_rows() - at);
            part.write(&batch.slice(at, take))?;
            at += take;
            if part.rows == self.job.rows_per_part {
                self.close()?;
            }
        }
        Ok(())
    }

    /// Closes the last part; all parts in row order.
    pub(crate) fn finish(mut self) -> Result<Vec<Part>, TabularError> {
        self.close()?;
        self.finished = true;
        Ok(std::mem::take(&mut self.done))
    }

    fn begin(&self) -> Result<OpenPart, TabularError> {
        let name = format!("part-{:05}{}", self.done.len(), self.extension());
        let path = self.job.folder.join(&name);
        let file = DurableFile::create(&path)?.hashed().soon_read();
        let sink = self.sink(&file, path)?;
        Ok(OpenPart {
            name,
            file,
            sink,
            rows: 0,
        })
    }

    fn sink(&self, file: &DurableFile, path: PathBuf) -> Result<Sink, TabularError> {
        match self.job.format {
            OutputFormat::Parquet { compression } => {
                let options = ParquetOptions {
                    compression,
                    threads: self.job.threads,
                    pool: self.pool.clone(),
                    name: path,
                    ..ParquetOptions::default()
                };
                let sink = ParquetSink::create(file.writer(), Arc::clone(&self.schema), options)?;
                Ok(Sink::Parquet(Box::new(sink)))
            }
            OutputFormat::Csv {
                header,
                compression,
            } => Ok(Sink::Csv(CsvSink::new(
                compress(compression, file.writer()),
                &self.schema,
                header,
            ))),
        }
    }

    fn extension(&self) -> String {
        match self.job.format {
            OutputFormat::Parquet { .. } => ".parquet".to_string(),
            OutputFormat::Csv { compression, .. } => format!(".csv{}", compression.extension()),
        }
    }

    fn close(&mut self) -> Result<(), TabularError> {
        if let Some(part) = self.open.take() {
            self.done.push(part.close()?);
        }
        Ok(())
    }
}

impl Drop for Parts<'_> {
    fn drop(&mut self) {
        if !self.finished {
            for part in &self.done {
                // The error that ends the assembly is the one to tell.
                let _ = std::fs::remove_file(&part.path);
            }
        }
    }
}

impl OpenPart {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), TabularError> {
        match &mut self.sink {
            Sink::Parquet(sink) => sink.write(batch)?,
            Sink::Csv(sink) => sink
                .write(batch)
                .map_err(TabularError::io("write", &self.name))?,
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn close(self) -> Result<Part, TabularError> {
        match self.sink {
            Sink::Parquet(sink) => {
                sink.finish()?;
            }
            Sink::Csv(sink) => sink
                .finish()
                .map_err(TabularError::io("write", &self.name))?,
        }
        let done = self.file.commit()?;
        Ok(Part {
            name: self.name,
            path: done.path.clone(),
            rows: self.rows,
            bytes: done.bytes,
            sha256: done.digest()?,
        })
    }
}
