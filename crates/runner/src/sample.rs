//! A look at the beginning of the input: enough to know the columns and to estimate, without
//! reading everything.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gristmill_plan::Spec;
use gristmill_plan::plan::Sample;
use gristmill_tabular::{
    Compression, Dialect, Input, OnBadRow, ScanOptions, TabularError, decompress, scan,
    sniff_dialect,
};

use crate::error::RunError;
use crate::stages::source;

/// How much of the first input is looked at, decompressed.
pub const SAMPLE_BYTES: u64 = 1 << 20;

/// The beginning of the first input.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Decompressed bytes, cut at a line end unless they are all there is.
    text: Vec<u8>,
    /// How many stored bytes they were read from.
    stored: u64,
}

/// Reads the beginning of the first input.
///
/// # Errors
/// When it cannot be opened or decompressed.
pub fn read(inputs: &[Input]) -> Result<Beginning, RunError> {
    let Some(first) = inputs.first() else {
        return Ok(Beginning {
            text: Vec::new(),
            stored: 0,
        });
    };
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
    decompress(first.compression, counted)
        .take(SAMPLE_BYTES)
        .read_to_end(&mut text)
        .map_err(failed("read"))?;
    if text.len() as u64 == SAMPLE_BYTES
        && let Some(end) = text.iter().rposition(|b| *b == b'\n')
    {
        text.truncate(end + 1);
    }
    Ok(Beginning {
        text,
        stored: stored.load(Ordering::Relaxed),
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
#[must_use]
pub fn dialect(spec: &Spec, beginning: &Beginning) -> Dialect {
    let guess = sniff_dialect(&beginning.text).dialect;
    let hints = spec.source.dialect;
    Dialect {
        delimiter: hints.delimiter.unwrap_or(guess.delimiter),
        quote: hints.quote.unwrap_or(guess.quote),
        escape: hints.escape,
        comment: hints.comment,
        header: hints.header.unwrap_or(true),
    }
}

/// Columns, rows and bytes of the beginning, for the plan's estimates; `None` when there is not
/// even a header. Bad rows are counted like others here: the passes over everything deal with them.
///
/// # Errors
/// When not even a header can be read.
pub fn look(
    spec: &Spec,
    dialect: Dialect,
    name: &str,
    beginning: &Beginning,
) -> Result<Option<Sample>, RunError> {
    let text: Arc<[u8]> = beginning.text.clone().into();
    let input = Input {
        name: name.to_owned(),
        compression: Compression::None,
        open: Arc::new(move || Ok(Box::new(Cursor::new(Arc::clone(&text))))),
    };
    let options = ScanOptions {
        on_bad_row: OnBadRow::Quarantine {
            max_ratio: None,
            max_rows: None,
        },
        ..source::options(spec, dialect, 1, None)
    };
    let found = match scan(&[input], &options, &()) {
        Err(TabularError::Empty { .. }) => return Ok(None),
        other => other?,
    };
    Ok(Some(Sample {
        columns: found.header,
        dialect: gristmill_plan::spec::Dialect {
            delimiter: dialect.delimiter,
            quote: dialect.quote,
            escape: dialect.escape,
            comment: dialect.comment,
            header: dialect.header,
        },
        rows: found.rows_source,
        bytes: beginning.text.len() as u64,
        stored_bytes: beginning.stored,
    }))
}
