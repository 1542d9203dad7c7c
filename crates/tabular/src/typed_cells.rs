//! Text to the values of one column: prediction cells and constants.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};

use crate::instants;
use crate::schema::ColumnType;

/// A column that fills up.
pub(crate) enum TypedCells {
    Int64(Int64Builder),
    Float64(Float64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    /// With a zone, which is UTC, or without one.
    Timestamp(TimestampMicrosecondBuilder, bool),
    String(StringBuilder),
}

impl TypedCells {
    pub(crate) fn new(column_type: ColumnType) -> TypedCells {
        let instants = || TimestampMicrosecondBuilder::new().with_data_type(column_type.to_arrow());
        match column_type {
            ColumnType::Int64 => TypedCells::Int64(Int64Builder::new()),
            ColumnType::Float64 => TypedCells::Float64(Float64Builder::new()),
            ColumnType::Boolean => TypedCells::Boolean(BooleanBuilder::new()),
            ColumnType::Date => TypedCells::Date(Date32Builder::new()),
            ColumnType::Timestamp => TypedCells::Timestamp(instants(), false),
            ColumnType::TimestampUtc => TypedCells::Timestamp(instants(), true),
            ColumnType::String => TypedCells::String(StringBuilder::new()),
        }
    }

    /// Appends a value, or says what was expected.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), &'static str> {
        match self {
            TypedCells::Int64(b) => {
                b.append_value(text.trim().parse().map_err(|_| "an integer of 64 bits")?)
            }
            TypedCells::Float64(b) => {
                let value = text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
                b.append_value(value.ok_or("a finite number")?);
            }
            TypedCells::Boolean(b) => b.append_value(match text.trim() {
                "true" | "True" | "TRUE" => true,
                "false" | "False" | "FALSE" => false,
                _ => return Err("true or false"),
            }),
            TypedCells::Date(b) => {
                let day = instants::date(text.trim().as_bytes());
                b.append_value(day.ok_or("a date such as 2024-12-31")?);
            }
            TypedCells::Timestamp(b, zoned) => {
                let instant = instants::instant(text.trim().as_bytes());
                let instant = instant.filter(|(_, has_zone)| has_zone == zoned);
                b.append_value(instant.map(|(micros, _)| micros).ok_or(if *zoned {
                    "a time with its zone, such as 2024-12-31T23:59:59Z"
                } else {
                    "a time without a zone, such as 2024-12-31T23:59:59"
                })?);
            }
            TypedCells::String(b) => b.append_value(text),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            TypedCells::Int64(mut b) => Arc::new(b.finish()),
            TypedCells::Float64(mut b) => Arc::new(b.finish()),
            TypedCells::Boolean(mut b) => Arc::new(b.finish()),
            TypedCells::Date(mut b) => Arc::new(b.finish()),
            TypedCells::Timestamp(mut b, _) => Arc::new(b.finish()),
            TypedCells::String(mut b) => Arc::new(b.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    fn refused(column_type: ColumnType, text: &str) -> Option<&'static str> {
        TypedCells::new(column_type).push(text).err()
    }

    #[test]
    fn values_of_each_type() {
        for text in ["0", " -9223372036854775808", "+7"] {
            assert_eq!(refused(ColumnType::Int64, text), None, "{text}");
        }
        for text in ["1e-3", "-0.5 ", ".5", "12", "1E300"] {
            assert_eq!(refused(ColumnType::Float64, text), None, "{text}");
        }
        for text in ["true", "False"] {
            assert_eq!(refused(ColumnType::Boolean, text), None, "{text}");
        }
        assert_eq!(refused(ColumnType::String, ""), None);
        assert_eq!(refused(ColumnType::Date, "2024-02-29 "), None);
        assert_eq!(
            refused(ColumnType::Timestamp, "2024-01-02T03:04:05.5"),
            None
        );
        for text in ["2024-01-02T03:04:05Z", "2024-01-02 03:04+05:30"] {
            assert_eq!(refused(ColumnType::TimestampUtc, text), None, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "1.0", "9223372036854775808", "x"] {
            assert_eq!(
                refused(ColumnType::Int64, text),
                Some("an integer of 64 bits"),
                "{text}"
            );
        }
        for text in [
            "",
            "nan",
            "NaN",
            "inf",
            "-Infinity",
            "1e999",
            "0.5 0.6",
            "0.50.6",
            "1,5",
        ] {
            assert_eq!(
                refused(ColumnType::Float64, text),
                Some("a finite number"),
                "{text}"
            );
        }
        for text in ["", "1", "yes"] {
            assert_eq!(
                refused(ColumnType::Boolean, text),
                Some("true or false"),
                "{text}"
            );
        }
        for text in ["", "2024-02-30", "2024-1-2", "2024-01-02T00:00:00"] {
            let expected = Some("a date such as 2024-12-31");
            assert_eq!(refused(ColumnType::Date, text), expected, "{text}");
        }
        let (local, zoned) = ("2024-01-02T03:04:05.5", "2024-01-02 03:04+05:30");
        assert!(refused(ColumnType::Timestamp, zoned).is_some());
        assert!(refused(ColumnType::TimestampUtc, local).is_some());
        assert!(refused(ColumnType::TimestampUtc, "2024-01-02").is_some());
    }
}
