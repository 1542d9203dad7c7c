//! Rows that cannot be taken, where they are, and the file that keeps them.

use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Why a row was refused. Serialised in snake_case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadReason {
    /// Another number of fields than the header.
    Ragged,
    /// Text after a closing quote, or a quote that is never closed.
    Quote,
    /// Not UTF-8.
    Encoding,
    /// A line that is no JSON object.
    Json,
    /// A cell that is not of its column's type.
    Type,
    /// A null where the contract allows none.
    Null,
    /// Below `min` or above `max`.
    Range,
    /// Not in the contract's `allowed`.
    NotAllowed,
    /// A newline inside a cell that a line-based shard should carry.
    Newline,
    /// Longer as a shard's record than one request may be.
    TooLong,
}

impl BadReason {
    /// The name used in JSON and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ragged => "ragged",
            Self::Quote => "quote",
            Self::Encoding => "encoding",
            Self::Json => "json",
            Self::Type => "type",
            Self::Null => "null",
            Self::Range => "range",
            Self::NotAllowed => "not_allowed",
            Self::Newline => "newline",
            Self::TooLong => "too_long",
        }
    }
}

impl fmt::Display for BadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One refused row. `Display` gives one line without the row itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The input's name.
    pub file: String,
    /// The line where the row starts, from 1; for an unclosed quote, the line of that quote. 0 where
    /// the input has no lines (Parquet), which has no byte then either.
    pub line: u64,
    /// The data record in its file, from 1; the header, comments and empty lines are not counted.
    pub record: u64,
    /// The row's first byte in the decompressed file, from 0.
    pub byte: u64,
    /// The column at fault, where one is.
    pub column: Option<String>,
    /// Why.
    pub reason: BadReason,
    /// What would have been right.
    pub expected: String,
    /// What was there, cut to a readable length; `***` for a sensitive column.
    pub found: String,
    /// The whole row as it stands in the file, without its line end.
    pub raw: Vec<u8>,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: record {}", self.file, self.record)?;
        } else {
            write!(
                f,
                "{}:{}: record {} (byte {})",
                self.file, self.line, self.record, self.byte
            )?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column:?}")?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

impl BadRow {
    /// Writes the row as one line of a quarantine file: JSON with `raw` where the row is UTF-8, else
    /// `raw_hex`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_json_line(&self, w: &mut dyn Write) -> io::Result<()> {
        let mut object = Map::new();
        object.insert("file".into(), self.file.clone().into());
        let in_text = |number: u64| (self.line > 0).then_some(number);
        object.insert("line".into(), in_text(self.line).into());
        object.insert("record".into(), self.record.into());
        object.insert("byte".into(), in_text(self.byte).into());
        object.insert(
            "column".into(),
            self.column.clone().map_or(Value::Null, Value::String),
        );
        object.insert("reason".into(), self.reason.name().into());
        object.insert("expected".into(), self.expected.clone().into());
        object.insert("found".into(), self.found.clone().into());
        match std::str::from_utf8(&self.raw) {
            Ok(text) => object.insert("raw".into(), text.into()),
            Err(_) => object.insert("raw_hex".into(), hex::encode(&self.raw).into()),
        };
        serde_json::to_writer(&mut *w, &Value::Object(object))?;
        w.write_all(b"\n")
    }
}

/// What to do with bad rows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum OnBadRow {
    /// Stop at the first, in input order.
    #[default]
    Fail,
    /// Set them aside, up to a share or a number of all rows.
    Quarantine {
        /// The greatest share of source rows that may be bad, 0 to 1.
        max_ratio: Option<f64>,
        /// The greatest number of bad rows.
        max_rows: Option<u64>,
    },
}
