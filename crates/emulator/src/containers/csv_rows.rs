//! Between the text of a request or reply and float32 matrices.

use std::fmt::Write as _;

/// What is wrong with a request's body, at a line and column that count from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowsError {
    /// Bytes that are no text.
    #[error("line {line}: not UTF-8")]
    Encoding {
        /// Line of the body.
        line: usize,
    },
    /// Too few or too many cells.
    #[error("line {line}: expected {expected} cells, found {found}")]
    Cells {
        /// Line of the body.
        line: usize,
        /// Features of the model.
        expected: usize,
        /// Cells of the line.
        found: usize,
    },
    /// A cell that is no number.
    #[error("line {line}, column {column}: expected a number, found '{found}'")]
    Number {
        /// Line of the body.
        line: usize,
        /// Cell of the line.
        column: usize,
        /// The cell, at most 40 characters of it.
        found: String,
    },
}

/// Parses lines of `width` comma separated numbers without a header. An empty cell is NaN, a
/// missing value; a number may stand in quotes. Returns the cells row by row.
pub(crate) fn parse(body: &[u8], width: usize) -> Result<Vec<f32>, RowsError> {
    let mut cells = Vec::with_capacity(body.len() / 4);
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    for (index, line) in body.split(|b| *b == b'\n').enumerate() {
        let line_number = index + 1;
        let line =
            std::str::from_utf8(line).map_err(|_| RowsError::Encoding { line: line_number })?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let start = cells.len();
        for (column, cell) in line.split(',').enumerate() {
            if column >= width {
                let found = line.split(',').count();
                return Err(RowsError::Cells {
                    line: line_number,
                    expected: width,
                    found,
                });
            }
            let value = number(cell).ok_or_else(|| RowsError::Number {
                line: line_number,
                column: column + 1,
                found: cell.chars().take(40).collect(),
            })?;
            cells.push(value);
        }
        let found = cells.len() - start;
        if found != width {
            return Err(RowsError::Cells {
                line: line_number,
                expected: width,
                found,
            });
        }
    }
    Ok(cells)
}

/// Through float64, as the Python containers read a cell before they narrow it.
fn number(cell: &str) -> Option<f32> {
    let cell = cell.trim();
    let cell = cell
        .strip_prefix('"')
        .and_then(|c| c.strip_suffix('"'))
        .unwrap_or(cell);
    if cell.is_empty() {
        return Some(f32::NAN);
    }
    cell.parse::<f64>().ok().map(|v| v as f32)
}

/// One line a row, cells separated by commas, each the shortest text that reads back as the same
/// float32. Every line ends in a newline.
pub(crate) fn to_csv(values: &[f32], columns: usize) -> String {
    let mut text = String::with_capacity(values.len() * 12);
    for row in values.chunks(columns) {
        for (i, value) in row.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{value:?}");
        }
        text.push('\n');
    }
    text
}

/// `{"score": x}` a line, or `{"score": [x, …]}` when a row has several; NaN is null.
pub(crate) fn to_json_lines(values: &[f32], columns: usize) -> String {
    let mut text = String::with_capacity(values.len() * 24);
    for row in values.chunks(columns) {
        text.push_str("{\"score\": ");
        if columns > 1 {
            text.push('[');
        }
        for (i, value) in row.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let _ = if value.is_finite() {
                write!(text, "{comma}{value:?}")
            } else {
                write!(text, "{comma}null")
            };
        }
        text.push_str(if columns > 1 { "]}\n" } else { "}\n" });
    }
    text
}
