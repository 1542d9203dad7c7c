//! A look at the beginning of the input: enough to know the columns and to estimate, without
//! reading everything.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gristmill_plan::Spec;
use gristmill_plan::plan::Sample;
use gristmill_tabular::{
    Compression, Dialect, Format, Input, Layout, OnBadRow, ScanOptions, Stated, TabularError,
    parquet_rows, scan, settle_dialect,
};

use crate::error::RunError;
use crate::stages::source;

/// How much of the first input is looked at, decompressed.
pub const SAMPLE_BYTES: u64 = 1 << 20;

/// How many rows of Parquet are looked at.
const SAMPLE_ROWS: u64 = 1000;

/// The beginning of the first input.
#[derive(Debug, Clone)]
struct Beginning {
    /// Decompressed bytes, cut at a line end unless they are all there is.
    text: Vec<u8>,
    /// How many stored bytes they were read from.
    stored: u64,
    /// They are all there is.
    whole: bool,
}

/// A look at the first input: columns, dialect, and rows and bytes for the plan's estimates; `None`
/// when there is not even a header. Bad rows are counted like others here: the passes over everything
/// deal with them.
///
/// # Errors
/// When it cannot be read, or not even a header can.
pub fn look(spec: &Spec, inputs: &[Input]) -> Result<Option<(Sample, Dialect)>, RunError> {
    let Some(first) = inputs.first() else {
        return Ok(None);
    };
    if first.layout == Layout::Parquet {
        return look_at_columns(spec, &first.by_ranges()).map(Some);
    }
    let beginning = read(first)?;
    let dialect = dialect(spec, first, &beginning)?;
    Ok(look_at_text(spec, dialect, first, &beginning)?.map(|sample| (sample, dialect)))
}

/// Reads the beginning of a text.
fn read(first: &Input) -> Result<Beginning, RunError> {
    let failed = |action| {
        move |source| {
            RunError::from(TabularError::Io {
                path: first.name.clone().into(),
                action,
                source,
            })
        }
    };
    let reader = (first.open)().map_err(failed("open"))?;
    let stored = Arc::new(AtomicU64::new(0));
    let counted = Box::new(Counted {
        reader,
        read: Arc::clone(&stored),
    });
    let mut text = Vec::new();
    first
        .text_of(counted)?
        .take(SAMPLE_BYTES)
        .read_to_end(&mut text)
        .map_err(failed("read"))?;
    let whole = (text.len() as u64) < SAMPLE_BYTES;
    if !whole && let Some(end) = text.iter().rposition(|b| *b == b'\n') {
        text.truncate(end + 1);
    }
    Ok(Beginning {
        text,
        stored: stored.load(Ordering::Relaxed),
        whole,
    })
}

struct Counted {
    reader: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The dialect: what the pipeline says, completed by what the data shows. A header is assumed
/// unless the pipeline says that there is none, since a guess could turn a row into names.
fn dialect(spec: &Spec, first: &Input, beginning: &Beginning) -> Result<Dialect, RunError> {
    let hints = spec.source.dialect;
    let stated = Stated {
        delimiter: hints.delimiter,
        quote: hints.quote,
        escape: hints.escape,
        comment: hints.comment,
        header: hints.header,
        skip_lines: hints.skip_lines,
    };
    if first.layout != Layout::Csv {
        return Ok(stated.or_usual());
    }
    let settled = settle_dialect(&first.name, &beginning.text, beginning.whole, &stated)?;
    Ok(settled.dialect)
}

/// Reading goes on past bad rows here.
fn lenient(spec: &Spec, dialect: Dialect, limit_rows: Option<u64>) -> ScanOptions {
    ScanOptions {
        on_bad_row: OnBadRow::Quarantine {
            max_ratio: None,
            max_rows: None,
        },
        ..source::options(spec, dialect, 1, limit_rows)
    }
}

fn look_at_text(
    spec: &Spec,
    dialect: Dialect,
    first: &Input,
    beginning: &Beginning,
) -> Result<Option<Sample>, RunError> {
    let text: Arc<[u8]> = beginning.text.clone().into();
    let open = move || -> std::io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(Arc::clone(&text))))
    };
    let format = Format::text(first.layout, Compression::None);
    let input = Input::new(&first.name, format, Arc::new(open));
    let found = match scan(&[input], &lenient(spec, dialect, None), &()) {
        Err(TabularError::Empty { .. }) => return Ok(None),
        other => other.map_err(beginning_error)?,
    };
    Ok(Some(Sample {
        columns: found.header,
        dialect: in_plan(dialect),
        rows: found.rows_source,
        bytes: beginning.text.len() as u64,
        stored_bytes: beginning.stored,
        largest_record: longest_line(&beginning.text),
    }))
}

/// In bytes, with its end. A record of several lines is longer.
fn longest_line(text: &[u8]) -> u64 {
    let lines = text.split(|byte| *byte == b'\n');
    lines.map(|line| line.len() as u64 + 1).max().unwrap_or(0)
}

/// Here, only a contract asks for columns.
fn beginning_error(error: TabularError) -> RunError {
    let missing = matches!(error, TabularError::MissingColumns { .. });
    let error = RunError::from(error);
    if !missing {
        return error;
    }
    error.with_help("the contract (source.columns) names them: mend the data, or the contract")
}

/// Parquet says how many rows it has; how long they are as text, the first ones show.
fn look_at_columns(spec: &Spec, first: &Input) -> Result<(Sample, Dialect), RunError> {
    let dialect = Dialect::default();
    let options = lenient(spec, dialect, Some(SAMPLE_ROWS));
    let found = scan(std::slice::from_ref(first), &options, &()).map_err(beginning_error)?;
    let rows = parquet_rows(first)?;
    let bytes = u128::from(found.bytes) * u128::from(rows) / u128::from(found.rows_source.max(1));
    let stored = first.stored_bytes()?;
    let sample = Sample {
        columns: found.header,
        dialect: in_plan(dialect),
        rows,
        bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        stored_bytes: stored,
        largest_record: 0,
    };
    Ok((sample, dialect))
}

fn in_plan(dialect: Dialect) -> gristmill_plan::spec::Dialect {
    gristmill_plan::spec::Dialect {
        delimiter: dialect.delimiter,
        quote: dialect.quote,
        escape: dialect.escape,
        comment: dialect.comment,
        header: dialect.header,
        skip_lines: dialect.skip_lines,
    }
}
