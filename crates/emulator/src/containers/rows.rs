//! Rows on their way from a request's body to the model, whatever the body is written in.
//!
//! A reader pushes cells; the model gets them a batch at a time, so that beside the body there is
//! never more in memory than a batch and the answer.

/// Rows of a batch: some hundred KiB for a model of usual width.
pub(super) const BATCH_ROWS: usize = 4096;
/// Columns of a table that a message names; the others are counted.
const NAMED_COLUMNS: usize = 8;
/// Characters of a cell, a name or another's message that are shown.
const SHOWN: usize = 40;

/// What is wrong with a request's body. Lines, columns and cells count from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowsError {
    /// Bytes that are no text.
    #[error("line {line}: not UTF-8")]
    Encoding { line: usize },
    /// Too few or too many cells of CSV or JSON Lines.
    #[error("line {line}: expected {expected} cells, found {found}")]
    Cells {
        line: usize,
        /// Features of the model.
        expected: usize,
        found: usize,
    },
    /// A cell of CSV that is no number.
    #[error("line {line}, column {column}: expected a number, found '{found}'")]
    Number {
        line: usize,
        column: usize,
        /// At most 40 characters of it.
        found: String,
    },
    /// A line that is no JSON.
    #[error("line {line}, column {column}: not JSON: {why}")]
    Json {
        line: usize,
        column: usize,
        why: String,
    },
    /// JSON that is no row.
    #[error(
        "line {line}: expected an array of numbers, an object of them or {{\"features\": [...]}}, found {found}"
    )]
    Shape { line: usize, found: String },
    /// A value of JSON that is no number.
    #[error("line {line}, {place}: expected a number, true, false or null, found {found}")]
    Value {
        line: usize,
        /// `value 3`, or `key 'a'`.
        place: String,
        found: String,
    },
    /// The same key twice in an object.
    #[error("line {line}: the key '{key}' is there twice; each may be there once")]
    Twice { line: usize, key: String },
    /// Keys that differ from those of the first object: by position, values would change places.
    #[error(
        "line {line}: key {position} is {found}, on line {first} it is {expected}; features are taken in the order of the keys, so write all objects with the same keys in the same order"
    )]
    Keys {
        line: usize,
        position: usize,
        /// In quotes, or `missing`.
        found: String,
        first: usize,
        expected: String,
    },
    /// A table that does not fit the model, all of it at once.
    #[error("the Parquet table does not fit the model: {0}")]
    Table(String),
    /// No Parquet, or a damaged one.
    #[error("this Parquet cannot be read: {0}")]
    Parquet(String),
    /// The answer would be larger than any client takes.
    #[error(
        "the answer to this request would be larger than {limit} bytes; send fewer rows in a request"
    )]
    Answer { limit: usize },
}

/// Collects cells and hands them on in batches of whole rows.
pub(super) struct Rows<'a> {
    width: usize,
    cells: Vec<f32>,
    take: &'a mut dyn FnMut(&[f32]) -> Result<(), RowsError>,
}

impl<'a> Rows<'a> {
    /// For rows of `width` cells, at least 1; `take` gets at most [`BATCH_ROWS`] rows at once.
    pub(super) fn new(
        width: usize,
        take: &'a mut dyn FnMut(&[f32]) -> Result<(), RowsError>,
    ) -> Self {
        Self {
            width,
            cells: Vec::new(),
            take,
        }
    }

    /// Cells of a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Adds a cell to the row under way.
    pub(super) fn push(&mut self, cell: f32) {
        self.cells.push(cell);
    }

    /// Ends the row under way, which must hold as many cells as the model has features.
    pub(super) fn end_row(&mut self) -> Result<(), RowsError> {
        if self.cells.len() >= BATCH_ROWS * self.width {
            self.flush()?;
        }
        Ok(())
    }

    /// A batch of rows that lies in memory already, row by row.
    pub(super) fn batch(&mut self, cells: &[f32]) -> Result<(), RowsError> {
        (self.take)(cells)
    }

    /// Hands on what is left.
    pub(super) fn flush(&mut self) -> Result<(), RowsError> {
        if self.cells.is_empty() {
            return Ok(());
        }
        (self.take)(&self.cells)?;
        self.cells.clear();
        Ok(())
    }
}

/// The start of a text, for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// `a, b and 3 more`.
pub(super) fn named(parts: &[String]) -> String {
    let more = parts.len().saturating_sub(NAMED_COLUMNS);
    let list = parts[..parts.len() - more].join(", ");
    if more > 0 {
        format!("{list} and {more} more")
    } else {
        list
    }
}
