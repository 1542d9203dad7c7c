//! Text to the values of one column: prediction cells and constants.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};

use crate::error::TabularError;
use crate::schema::ColumnType;

/// A column that fills up.
pub(crate) enum TypedCells {
    Int64(Int64Builder),
    Float64(Float64Builder),
    Boolean(BooleanBuilder),
    String(StringBuilder),
}

impl TypedCells {
    pub(crate) fn new(column_type: ColumnType) -> Result<TypedCells, TabularError> {
        Ok(match column_type {
            ColumnType::Int64 => TypedCells::Int64(Int64Builder::new()),
            ColumnType::Float64 => TypedCells::Float64(Float64Builder::new()),
            ColumnType::Boolean => TypedCells::Boolean(BooleanBuilder::new()),
            ColumnType::String => TypedCells::String(StringBuilder::new()),
            other => {
                return Err(TabularError::Options(format!(
                    "a prediction or a constant is int64, float64, boolean or string, not {other}"
                )));
            }
        })
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
            TypedCells::String(b) => b.append_value(text),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            TypedCells::Int64(mut b) => Arc::new(b.finish()),
            TypedCells::Float64(mut b) => Arc::new(b.finish()),
            TypedCells::Boolean(mut b) => Arc::new(b.finish()),
            TypedCells::String(mut b) => Arc::new(b.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    fn refused(column_type: ColumnType, text: &str) -> Option<&'static str> {
        TypedCells::new(column_type).unwrap().push(text).err()
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
        assert!(TypedCells::new(ColumnType::Date).is_err());
    }
}
