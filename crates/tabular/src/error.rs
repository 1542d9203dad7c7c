//! What can go wrong, kept apart so that a caller can tell bad data from a bad disk.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bad_rows::BadRow;
use crate::format::Layout;

/// Every failure of this crate. Messages name the place, what was expected and what was found.
#[derive(Debug, Error)]
pub enum TabularError {
    /// The operating system refused, or a compressed stream is cut short or corrupt.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The file, or the input's name where it is no file.
        path: PathBuf,
        /// A verb: "open", "read", "write", "rename" …
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No inputs were given.
    #[error("no input: the list of files to read is empty")]
    NoInput,
    /// An input holds no bytes, or nothing but a byte order mark, blank lines and comments, so not
    /// even a header.
    #[error("{file}: the file is empty: expected at least {expected}")]
    Empty {
        /// The input's name.
        file: String,
        /// What the layout needs: a header line, an object.
        expected: &'static str,
    },
    /// The header cannot name columns: a name is missing, given twice, not UTF-8 or badly quoted.
    #[error("{file}:{line}: header: {problem}")]
    Header {
        /// The input's name.
        file: String,
        /// The header's line, from 1.
        line: u64,
        /// What is wrong and what to do about it.
        problem: String,
    },
    /// The input's columns cannot be read, or not be written as asked.
    #[error("{file}: {problem}")]
    Columns {
        /// The input's name.
        file: String,
        /// Which columns, why, and what to do about it.
        problem: String,
    },
    /// Two inputs of one pass have different headers.
    #[error("{other}: the header differs from that of {first}: {difference}")]
    HeadersDiffer {
        /// The first input, whose header counts.
        first: String,
        /// The input whose header is another.
        other: String,
        /// The columns that are missing, extra or in another place.
        difference: String,
    },
    /// The contract, a selection or a rename names columns that the header has not.
    #[error(
        "{file}: no column named {}; the header has: {}",
        quoted(columns),
        quoted(header)
    )]
    MissingColumns {
        /// The first input's name.
        file: String,
        /// Every name that is missing, in the order asked for.
        columns: Vec<String>,
        /// The header's names, in order.
        header: Vec<String>,
    },
    /// The input has columns that the contract does not name, where that is not allowed.
    #[error(
        "{file}: the contract has no column named {}; add them to it, or allow them with \
         on_new_column: ignore",
        quoted(columns)
    )]
    NewColumns {
        /// The first input's name.
        file: String,
        /// Every such column, in header order.
        columns: Vec<String>,
    },
    /// The first bad row in input order, where bad rows are not allowed.
    #[error("{0}")]
    BadRow(Box<BadRow>),
    /// More bad rows than the quarantine's limit.
    #[error("{bad} of {total} rows are bad, more than the limit of {limit}; the first is {first}")]
    TooManyBadRows {
        /// Bad rows over all inputs.
        bad: u64,
        /// Source rows over all inputs.
        total: u64,
        /// The limit in words: "0.1 %" or "10 rows".
        limit: String,
        /// The first bad row in input order.
        first: Box<BadRow>,
    },
    /// One record is longer than the longest that is held in memory. In CSV often an unclosed quote.
    #[error("{}", too_long(file, *layout, *record, *line, *byte, *limit))]
    RecordTooLong {
        /// The input's name.
        file: String,
        /// How the file is laid out: Parquet has neither lines nor bytes of records.
        layout: Layout,
        /// The data record in that input, from 1; 0 for a header.
        record: u64,
        /// The record's first line, from 1.
        line: u64,
        /// The record's first byte in the decompressed file, from 0.
        byte: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// One row alone makes a Parquet shard that is larger than shards may be.
    #[error(
        "{file}: record {record} alone makes a Parquet shard of {bytes} bytes, more than the limit \
         of {limit}: raise shards.max_bytes, or select fewer or shorter columns"
    )]
    RowTooLarge {
        /// The input's name.
        file: String,
        /// The data record in that input, from 1.
        record: u64,
        /// The shard's size, in bytes, at most a few bytes too high.
        bytes: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// An input gave other rows in the second pass than in the first.
    #[error(
        "the input changed while it was read: the first pass saw {expected} rows, the second {found}"
    )]
    Changed {
        /// Rows of the first pass.
        expected: u64,
        /// Rows of the second pass.
        found: u64,
    },
    /// The output is there already and overwriting was not asked for.
    #[error("{} exists already: choose another name, or allow it to be overwritten", path.display())]
    OutputExists {
        /// The file or folder in the way.
        path: PathBuf,
    },
    /// A model's output has another number of rows than its input.
    #[error("shard {shard}: expected {expected} predictions, one a row, found {found}{hint}")]
    RowsDisagree {
        /// The shard's name.
        shard: String,
        /// Rows that the shard holds.
        expected: u64,
        /// Predictions that came back.
        found: u64,
        /// What may explain it, ready to be read behind the number; or nothing.
        hint: String,
    },
    /// A prediction is not of the type that was asked for, has too few values, or is none.
    #[error("shard {shard}, {place}: {what}: expected {expected}, found {found:?}")]
    Prediction {
        /// The shard's name.
        shard: String,
        /// The line of the predictions file, from 1, and which answer of a document that begins there.
        place: String,
        /// The value, as `from` names it: `prediction[0]`; of the whole answer, `prediction`.
        what: String,
        /// The type or the number of cells expected.
        expected: String,
        /// The text found, cut to a readable length.
        found: String,
    },
    /// A file is not what its name says, or fails its own checksums.
    #[error("{}: {problem}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not hold, with its offset.
        problem: String,
    },
    /// An Arrow or Parquet library refused what we gave it or what it read.
    #[error("cannot {action} {}: {message}", path.display())]
    Columnar {
        /// The file, or a name for the stream.
        path: PathBuf,
        /// A verb: "encode", "decode" …
        action: &'static str,
        /// What the library said.
        message: String,
    },
    /// Options that contradict each other or are out of range.
    #[error("{0}")]
    Options(String),
    /// The caller asked the pass to end.
    #[error("cancelled")]
    Cancelled,
    /// A thread of ours ended without an answer: a bug.
    #[error("internal error: {0}")]
    Internal(String),
}

impl TabularError {
    /// For `map_err` after a call to the operating system.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }
}

/// Where a record is that is too long, and what to do: only CSV has quotes that may be unclosed, and
/// Parquet has no lines.
fn too_long(file: &str, layout: Layout, record: u64, line: u64, byte: u64, limit: u64) -> String {
    let text = format!("{file}:{line}: the record that starts here (byte {byte}) is longer than");
    match layout {
        Layout::Csv => {
            format!("{text} {limit} bytes; look for an unclosed quote, or raise max_record")
        }
        Layout::JsonLines => format!("{text} {limit} bytes; raise max_record"),
        Layout::Parquet => format!(
            "{file}: record {record} is longer than {limit} bytes as text; raise max_record, or \
             leave out its long columns"
        ),
    }
}

/// Names in quotes, separated by commas; at most 40 of them, then how many more.
pub(crate) fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 40;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|n| format!("{n:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
