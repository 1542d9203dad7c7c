//! The CPU seconds of each step of a conversion, alone on one thread, for `benches/steps.py`.
//!
//!     steps INPUT.csv PLAIN.parquet SNAPPY.parquet SCRATCH
//!
//! The Parquet files are what `gristmill convert` makes of the input, without compression and with
//! Snappy; SCRATCH is written. A line of JSON is printed a step: its name, its bytes in, its bytes
//! out, its CPU seconds.
#![allow(
    clippy::print_stdout,
    reason = "a program of its own, whose answer this is"
)]

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gristmill_tabular::steps::{Text, cut};
use gristmill_tabular::{
    Input, ParquetCompression, ParquetOptions, ParquetSink, ScanOptions, Schema, scan,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use rustix::time::{ClockId, clock_gettime};

/// Text that is worked on at a time: what a worker gets.
const BLOCK_BYTES: usize = 1024 * 1024;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What a step took.
#[derive(Debug, Default)]
struct Step {
    name: &'static str,
    bytes_in: usize,
    bytes_out: usize,
    cpu: Duration,
}

impl Step {
    fn named(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Runs a piece of the step; `bytes_out` is what `work` says besides its value.
    fn run<T>(&mut self, bytes_in: usize, work: impl FnOnce() -> (T, usize)) -> T {
        let begun = cpu_time();
        let (value, bytes_out) = work();
        self.cpu += cpu_time().saturating_sub(begun);
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
        value
    }

    fn print(&self) {
        let Self {
            name,
            bytes_in,
            bytes_out,
            cpu,
        } = self;
        let seconds = cpu.as_secs_f64();
        println!(
            r#"{{"step": "{name}", "bytes_in": {bytes_in}, "bytes_out": {bytes_out}, "cpu_s": {seconds:.4}}}"#
        );
    }
}

/// CPU time of this thread, so that other work on the machine does not count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

fn main() -> Outcome<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [input, plain, snappy, scratch] = arguments.as_slice() else {
        return Err("steps INPUT.csv PLAIN.parquet SNAPPY.parquet SCRATCH".into());
    };
    let source = Input::file(input);
    let schema = scan(&[source], &ScanOptions::default(), &())?.schema;
    let text = text_steps(input, &schema)?;
    for step in text
        .iter()
        .chain([&encode(plain)?, &compress(plain)?, &write(snappy, scratch)?])
    {
        step.print();
    }
    Ok(())
}

/// From the file to columns, block by block, so that each step finds its input in the cache as it
/// would in a run.
fn text_steps(input: &Path, schema: &Schema) -> Outcome<Vec<Step>> {
    let width = schema.columns.len();
    let names = [
        "read", "copy", "utf8", "index", "records", "infer", "convert",
    ];
    let mut steps = names.map(Step::named);
    let [read, copy, utf8, index, records, infer, convert] = &mut steps;
    let mut file = File::open(input)?;
    let (mut copied, mut carry) = (vec![0; 2 * BLOCK_BYTES], Vec::new());
    let mut first = true;
    loop {
        let (mut block, ended) = next_block(&mut file, &mut carry, read)?;
        if std::mem::take(&mut first) {
            block.drain(..header_bytes(&block));
        }
        let bytes = block.len();
        copied.resize(bytes.max(copied.len()), 0);
        copy.run(bytes, || (copied[..bytes].copy_from_slice(&block), bytes));
        let text = Text::new(block);
        index.run(bytes, || (text.index(), 0));
        utf8.run(bytes, || (text.is_utf8(), 0));
        let found = records.run(bytes, || (text.records(width), 0));
        infer.run(bytes, || (found.infer(&text, width), 0));
        convert.run(bytes, || match found.convert(&text, schema) {
            Ok(columns) => {
                let out = columns.iter().map(|c| c.get_buffer_memory_size()).sum();
                (Ok(columns), out)
            }
            Err(error) => (Err(error), 0),
        })?;
        if ended {
            return Ok(steps.into());
        }
    }
}

/// The next whole records, and whether they are the last.
fn next_block(file: &mut File, carry: &mut Vec<u8>, read: &mut Step) -> Outcome<(Vec<u8>, bool)> {
    let mut block = std::mem::take(carry);
    loop {
        let from = block.len();
        block.resize(from + BLOCK_BYTES, 0);
        let room = &mut block[from..];
        let got = read.run(0, || match file.read(room) {
            Ok(got) => (Ok(got), got),
            Err(error) => (Err(error), 0),
        })?;
        read.bytes_in += got;
        block.truncate(from + got);
        if got == 0 {
            return Ok((block, true));
        }
        if let Some(end) = cut(&block) {
            *carry = block.split_off(end);
            return Ok((block, false));
        }
    }
}

/// The header's bytes: the benches' inputs have theirs on one line.
fn header_bytes(block: &[u8]) -> usize {
    memchr::memchr(b'\n', block).map_or(0, |at| at + 1)
}

/// Columns to pages without compression, a row group at a time.
fn encode(plain: &Path) -> Outcome<Step> {
    let mut step = Step::named("encode");
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(plain)?)?;
    let (metadata, schema) = (Arc::clone(builder.metadata()), Arc::clone(builder.schema()));
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let rows = group.num_rows() as usize;
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(plain)?)?
            .with_row_groups(vec![number])
            .with_batch_size(rows)
            .build()?;
        let batches: Vec<_> = reader.collect::<Result<_, _>>()?;
        let options = ParquetOptions {
            compression: ParquetCompression::None,
            ..ParquetOptions::default()
        };
        let bytes = batches.iter().map(|b| b.get_array_memory_size()).sum();
        step.run(bytes, || {
            let written = encode_group(&batches, Arc::clone(&schema), options);
            let out = written.as_ref().map_or(0, |&bytes| bytes);
            (written, out)
        })?;
    }
    Ok(step)
}

fn encode_group(
    batches: &[arrow_array::RecordBatch],
    schema: arrow_schema::SchemaRef,
    options: ParquetOptions,
) -> Outcome<usize> {
    let mut sink = ParquetSink::create(Box::new(std::io::sink()), schema, options)?;
    for batch in batches {
        sink.write(batch)?;
    }
    Ok(sink.finish()?.bytes as usize)
}

/// Each page through the `snap` crate.
fn compress(plain: &Path) -> Outcome<Step> {
    let mut step = Step::named("snappy");
    let reader = SerializedFileReader::new(File::open(plain)?)?;
    let mut encoder = snap::raw::Encoder::new();
    let mut compressed = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        for column in 0..group.num_columns() {
            for page in group.get_column_page_reader(column)? {
                let page = page?;
                let page = page.buffer();
                compressed.resize(
                    snap::raw::max_compress_len(page.len()).max(compressed.len()),
                    0,
                );
                step.run(page.len(), || {
                    match encoder.compress(page, &mut compressed) {
                        Ok(bytes) => (Ok(()), bytes),
                        Err(error) => (Err(error), 0),
                    }
                })?;
            }
        }
    }
    Ok(step)
}

/// The finished file's bytes to a file.
fn write(snappy: &Path, scratch: &Path) -> Outcome<Step> {
    let mut step = Step::named("write");
    let (mut source, mut target) = (File::open(snappy)?, File::create(scratch)?);
    let mut buffer = vec![0; BLOCK_BYTES];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            std::fs::remove_file(scratch)?;
            return Ok(step);
        }
        step.run(read, || (target.write_all(&buffer[..read]), read))?;
    }
}
