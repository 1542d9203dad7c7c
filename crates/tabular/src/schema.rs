//! Columns and their types, as contracts give them and as inference finds them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

/// The type of a column. Serialised in snake_case: `int64`, `timestamp_utc` …
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Canonical integers of 64 bits.
    Int64,
    /// Finite decimal numbers, to the nearest IEEE 754 double.
    Float64,
    /// `true`/`false`, `True`/`False`, `TRUE`/`FALSE`.
    Boolean,
    /// `YYYY-MM-DD`, years 0001 to 9999.
    Date,
    /// `YYYY-MM-DD[T ]HH:MM[:SS[.1-6 digits]]`, no zone; microseconds.
    Timestamp,
    /// The same with `Z` or `±HH:MM`; microseconds since the epoch in UTC.
    TimestampUtc,
    /// Any UTF-8 text.
    String,
}

impl ColumnType {
    /// The name used in contracts, messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampUtc => "timestamp_utc",
            Self::String => "string",
        }
    }

    /// The Arrow type: `Date32` for dates, microseconds for timestamps, `Utf8` for text.
    pub fn to_arrow(self) -> DataType {
        match self {
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampUtc => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::String => DataType::Utf8,
        }
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One column of a contract or of an inferred schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The header's name for it.
    pub name: String,
    /// Its type; `type` in files.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether a row may leave it out.
    #[serde(default = "yes")]
    pub nullable: bool,
    /// Unquoted cells that mean null here, beside the empty one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null_tokens: Vec<String>,
    /// The least value allowed; numbers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest value allowed; numbers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// If not empty, the only cells allowed, compared as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// Masked in messages and in the `found` of the quarantine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

fn yes() -> bool {
    true
}

impl Column {
    /// A nullable column without further rules.
    pub fn new(name: impl Into<String>, column_type: ColumnType) -> Self {
        Self {
            name: name.into(),
            column_type,
            nullable: true,
            null_tokens: Vec::new(),
            min: None,
            max: None,
            allowed: Vec::new(),
            sensitive: false,
        }
    }

    /// The column as an Arrow field.
    pub fn to_arrow(&self) -> Field {
        Field::new(&self.name, self.column_type.to_arrow(), self.nullable)
    }
}

/// Columns in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schema {
    /// Columns in order; names are unique.
    pub columns: Vec<Column>,
}

impl Schema {
    /// The place of a column, from 0.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// The place of each column by its name, to look up many.
    pub(crate) fn places(&self) -> HashMap<&str, usize> {
        let named = self.columns.iter().enumerate();
        // The first of a name counts, as in `index_of`.
        named.rev().map(|(i, c)| (c.name.as_str(), i)).collect()
    }

    /// The schema of record batches of these columns, in this order.
    pub fn to_arrow(&self) -> SchemaRef {
        let fields: Vec<Field> = self.columns.iter().map(Column::to_arrow).collect();
        Arc::new(ArrowSchema::new(fields))
    }
}
