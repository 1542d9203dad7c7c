//! What a file holds: CSV and JSON Lines in any wrapper read whole, Parquet by its footer.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::bad_rows::{BadReason, OnBadRow};
use crate::compression::Compression;
use crate::dialect::Dialect;
use crate::encoding::TextEncoding;
use crate::error::TabularError;
use crate::format::{Format, Layout};
use crate::input::{Input, read_full};
use crate::inspect_parquet::{ParquetInspection, inspect_parquet};
use crate::inspect_wrapper::{Framing, inspect_wrapper};
use crate::progress::Progress;
use crate::records::unescape;
use crate::refusals::Refusals;
use crate::rows::Pass;
use crate::scan::{ScanOptions, Typing, scan};
use crate::schema::Schema;
use crate::sniff::{Confidences, DialectGuess, SNIFF_BYTES, Stated, sniff_stated};

/// How to look.
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// What is known of the dialect; the rest is found from the data.
    pub dialect: Stated,
    /// How its bytes stand for characters, if that is known.
    pub encoding: Option<TextEncoding>,
    /// Unquoted cells that mean null in every column.
    pub null_tokens: Vec<String>,
    /// First rows to show.
    pub first_rows: usize,
    /// Threads that parse.
    pub threads: usize,
}

impl Default for InspectOptions {
    fn default() -> Self {
        let threads = ScanOptions::default().threads;
        Self {
            dialect: Stated::default(),
            encoding: None,
            null_tokens: Vec::new(),
            first_rows: 5,
            threads,
        }
    }
}

/// A file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "format", rename_all = "snake_case")]
pub enum Inspection {
    /// Rows of delimited text.
    Csv(Box<TextInspection>),
    /// JSON objects, one a line.
    Jsonl(Box<TextInspection>),
    /// Columns with a footer.
    Parquet(Box<ParquetInspection>),
}

/// A CSV or JSON Lines file, read whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextInspection {
    /// How it is wrapped, by its bytes.
    pub compression: Compression,
    /// The extension of its name, if that says something else: `.snappy`.
    pub name_says: Option<String>,
    /// Size of the file as stored.
    pub bytes: u64,
    /// Size of its text.
    pub text_bytes: u64,
    /// How CSV is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// How sure that is, 0 to 1; 1 if it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The same for each part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidences: Option<Confidences>,
    /// The options that state what differs from the usual dialect: `--delimiter ';' --skip-lines 2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    /// Columns with the types that all rows agree on.
    pub schema: Schema,
    /// Data rows, bad ones counted.
    pub rows: u64,
    /// Bad rows by reason.
    pub bad_rows: BTreeMap<BadReason, u64>,
    /// The first bad row in words, with its place.
    pub first_bad_row: Option<String>,
    /// The first good rows; null is `None`.
    pub first_rows: Vec<Vec<Option<String>>>,
    /// What its container is made of: chunks, blocks or frames.
    pub framing: Option<Framing>,
}

const PARQUET_MAGIC: &[u8] = b"PAR1";

/// Looks at a file; CSV is read to its end, so that types and counts are those of all rows.
///
/// # Errors
/// Those of reading; a header that cannot be used. Bad rows are counted, not errors.
pub fn inspect(
    path: &Path,
    options: &InspectOptions,
    progress: &dyn Progress,
) -> Result<Inspection, TabularError> {
    let mut file = std::fs::File::open(path).map_err(TabularError::io("open", path))?;
    let mut first = [0u8; 4];
    let read = read_full(&mut file, &mut first).map_err(TabularError::io("read", path))?;
    if &first[..read] == PARQUET_MAGIC {
        return Ok(Inspection::Parquet(Box::new(inspect_parquet(
            path,
            options.first_rows,
        )?)));
    }
    let (layout, found) = inspect_text(path, options, progress)?;
    let found = Box::new(found);
    Ok(match layout {
        Layout::JsonLines => Inspection::Jsonl(found),
        Layout::Csv | Layout::Parquet => Inspection::Csv(found),
    })
}

fn inspect_text(
    path: &Path,
    options: &InspectOptions,
    progress: &dyn Progress,
) -> Result<(Layout, TextInspection), TabularError> {
    let wrapper = inspect_wrapper(path)?;
    let input = Input::file(path);
    // A name may say Parquet of what is none.
    let layout = match input.layout {
        Layout::Parquet => Layout::Csv,
        text => text,
    };
    let input = input
        .with_format(Format::text(layout, wrapper.compression))
        .with_encoding(options.encoding);
    let guess = match layout {
        Layout::JsonLines => None,
        Layout::Csv | Layout::Parquet => Some(guess(&input, &options.dialect)?),
    };
    let scan_options = ScanOptions {
        dialect: guess.as_ref().map(|g| g.dialect).unwrap_or_default(),
        typing: Typing::Infer,
        null_tokens: options.null_tokens.clone(),
        threads: options.threads,
        on_bad_row: OnBadRow::Quarantine {
            max_ratio: None,
            max_rows: None,
        },
        ..ScanOptions::default()
    };
    let inputs = [input];
    let found = scan(&inputs, &scan_options, progress)?;
    let first_bad_row = if found.bad.is_empty() {
        None
    } else {
        first_bad(&inputs, &scan_options)?
    };
    let found = TextInspection {
        compression: wrapper.compression,
        name_says: wrapper.name_says,
        bytes: wrapper.bytes,
        text_bytes: found.bytes,
        dialect: guess.as_ref().map(|g| g.dialect),
        confidence: guess.as_ref().map(|g| g.confidence),
        confidences: guess.as_ref().map(|g| g.confidences),
        options: guess.as_ref().and_then(DialectGuess::options),
        first_rows: first_rows(&inputs, &scan_options, &found.schema, options.first_rows)?,
        schema: found.schema,
        rows: found.rows_source,
        bad_rows: found.bad,
        first_bad_row,
        framing: wrapper.framing,
    };
    Ok((layout, found))
}

fn guess(input: &Input, stated: &Stated) -> Result<DialectGuess, TabularError> {
    let (sample, whole) = input.beginning(SNIFF_BYTES)?;
    Ok(sniff_stated(&sample, whole, stated))
}

fn first_bad(inputs: &[Input], options: &ScanOptions) -> Result<Option<String>, TabularError> {
    let strict = ScanOptions {
        on_bad_row: OnBadRow::Fail,
        typing: Typing::Text,
        ..options.clone()
    };
    match scan(inputs, &strict, &()) {
        Err(TabularError::BadRow(row)) => Ok(Some(row.to_string())),
        Err(other) => Err(other),
        Ok(_) => Ok(None),
    }
}

/// The first good rows among ten times as many.
fn first_rows(
    inputs: &[Input],
    options: &ScanOptions,
    schema: &Schema,
    wanted: usize,
) -> Result<Vec<Vec<Option<String>>>, TabularError> {
    let limit = Some(wanted as u64 * 10);
    let options = ScanOptions {
        limit_rows: limit,
        threads: 1,
        ..options.clone()
    };
    let pass = Pass::open(inputs, &options)?;
    let names = pass.names().to_vec();
    let rules = crate::scan::rules(schema, &names, &inputs[0].name, &[])?;
    let mut first = Vec::new();
    pass.run(
        &mut Refusals::new(options.on_bad_row),
        &(),
        |_, _| (),
        |taken| {
            let block = taken.block.text();
            for spans in taken
                .rows
                .spans
                .chunks_exact(names.len())
                .take(wanted - first.len())
            {
                let cells = rules.iter().map(|rule| {
                    let span = spans[rule.index];
                    let mut text = span.bytes(block).to_vec();
                    if span.is_escaped() {
                        text.clear();
                        unescape(span.bytes(block), &options.dialect, &mut text);
                    }
                    (!rule.is_null(span, &text))
                        .then(|| String::from_utf8_lossy(&text).into_owned())
                });
                first.push(cells.collect());
            }
            Ok(())
        },
    )?;
    Ok(first)
}
