//! Rows of text/csv.

use super::rows::{Rows, RowsError, shown};

/// Reads lines of comma separated numbers without a header. An empty cell is NaN, a missing value;
/// a number may stand in quotes.
pub(super) fn read(body: &[u8], rows: &mut Rows<'_>) -> Result<(), RowsError> {
    let width = rows.width();
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    for (line_number, line) in (1..).zip(body.split(|b| *b == b'\n')) {
        let line =
            std::str::from_utf8(line).map_err(|_| RowsError::Encoding { line: line_number })?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let mut found = 0;
        for cell in line.split(',') {
            found += 1;
            if found > width {
                break;
            }
            let value = number(cell).ok_or_else(|| RowsError::Number {
                line: line_number,
                column: found,
                found: shown(cell),
            })?;
            rows.push(value);
        }
        if found != width {
            return Err(RowsError::Cells {
                line: line_number,
                expected: width,
                found: line.split(',').count(),
            });
        }
        rows.end_row()?;
    }
    rows.flush()
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
