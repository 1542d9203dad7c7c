//! Scores as the text of a reply.

use std::fmt::Write as _;

use super::rows::RowsError;

/// A reply larger than this is refused by the client too, which would hold it in memory.
pub(super) const MAX_ANSWER_BYTES: usize = 512 << 20;

/// What a reply is written as: a line a row, each ending in a newline; numbers are the shortest
/// text that reads back as the same float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerFormat {
    /// Values separated by commas; `NaN` for none.
    Csv,
    /// A JSON value a line: a number, or a list of them where a row has several; null for none.
    JsonLines,
}

impl AnswerFormat {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::JsonLines => "application/jsonlines",
        }
    }

    /// Adds rows of `columns` values.
    pub(super) fn write(
        self,
        values: &[f32],
        columns: usize,
        text: &mut String,
    ) -> Result<(), RowsError> {
        for row in values.chunks(columns.max(1)) {
            self.write_row(row, text);
        }
        if text.len() > MAX_ANSWER_BYTES {
            return Err(RowsError::Answer {
                limit: MAX_ANSWER_BYTES,
            });
        }
        Ok(())
    }

    fn write_row(self, row: &[f32], text: &mut String) {
        let list = self == Self::JsonLines && row.len() > 1;
        if list {
            text.push('[');
        }
        for (index, value) in row.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            // Writing to a String does not fail.
            let _ = match self {
                Self::JsonLines if !value.is_finite() => write!(text, "null"),
                _ => write!(text, "{value:?}"),
            };
        }
        text.push_str(if list { "]\n" } else { "\n" });
    }
}
