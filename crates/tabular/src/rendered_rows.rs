//! Typed rows to the text that CSV would hold of them, and its cells as spans.
//!
//! Text, dates and times are marked as quoted, so that nothing takes them for numbers or null tokens;
//! numbers and booleans are bare. The block's text is one line of canonical CSV a row, which is what
//! a quarantine shows of it.

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use crate::bad_rows::BadReason;
use crate::blocks::Block;
use crate::cell_text;
use crate::csv_text;
use crate::parser::ParseLimits;
use crate::records::{BadRecord, ESCAPED, MAX_BLOCK, QUOTED, Record, Rows, Span};

/// Makes the block's text of its typed rows. Columns that have no text stay empty. With `needed` only
/// those columns have to have one: bytes and days outside the calendar of others stay empty as well.
pub(crate) fn render(block: &mut Block, limits: &ParseLimits, needed: Option<&[usize]>) -> Rows {
    let mut rows = Rows::default();
    let mut text = Vec::new();
    if let Some(batch) = &block.batch {
        render_rows(batch, limits, needed, &mut text, &mut rows);
    }
    rows.consumed = text.len();
    rows.terminated = true;
    block.set_text(text);
    rows
}

fn render_rows(
    batch: &RecordBatch,
    limits: &ParseLimits,
    needed: Option<&[usize]>,
    text: &mut Vec<u8>,
    rows: &mut Rows,
) {
    let names = batch.schema();
    let is_needed = |i: usize| needed.is_none_or(|needed| needed.contains(&i));
    let columns: Vec<Option<(&ArrayRef, u32)>> = batch
        .columns()
        .iter()
        .enumerate()
        .map(|(i, column)| {
            let flags = if cell_text::is_bare(column.data_type()) {
                0
            } else {
                QUOTED
            };
            let has_text = cell_text::has_text(column.data_type());
            // A column of this type does not mark its nulls.
            let has_text = has_text && *column.data_type() != DataType::Null;
            let has_text = has_text && (is_needed(i) || !cell_text::is_bytes(column.data_type()));
            has_text.then_some((column, flags))
        })
        .collect();
    for row in 0..batch.num_rows() {
        let (start, first_span) = (text.len(), rows.spans.len());
        let mut refused = None;
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                text.push(b',');
            }
            let span = match column {
                Some((column, flags)) if column.is_valid(row) => cell(text, column, row, *flags)
                    .unwrap_or_else(|problem| {
                        if is_needed(i) {
                            refused = refused.take().or(Some((i, problem)));
                        }
                        Span::new(0, 0, 0)
                    }),
                _ => Span::new(0, 0, 0),
            };
            rows.spans.push(span);
        }
        let record = Record {
            start: start as u32,
            end: text.len() as u32,
            line: 0,
            index: row as u32,
        };
        text.push(b'\n');
        if text.len() - start > limits.record_bytes || text.len() > MAX_BLOCK / 2 {
            rows.too_long = Some(record);
            return;
        }
        rows.total += 1;
        match refused {
            None => rows.records.push(record),
            Some((column, problem)) => {
                rows.spans.truncate(first_span);
                rows.bad.push(BadRecord {
                    record,
                    column: Some(names.field(column).name().clone()),
                    reason: BadReason::Type,
                    expected: "a value that has a text".to_owned(),
                    found: problem,
                });
            }
        }
    }
}

/// Appends a value; its span is without the quotes that the text may need.
fn cell(text: &mut Vec<u8>, column: &ArrayRef, row: usize, flags: u32) -> Result<Span, String> {
    let start = text.len();
    cell_text::push(text, column, row).map_err(|e| {
        text.truncate(start);
        e.to_string()
    })?;
    let value = &text[start..];
    let special = memchr::memchr3(b',', b'"', b'\n', value).is_some()
        || memchr::memchr(b'\r', value).is_some();
    if !special {
        return Ok(Span::new(start, text.len(), flags));
    }
    let value = text.split_off(start);
    csv_text::quoted(text, &value);
    let escaped = if memchr::memchr(b'"', &value).is_some() {
        ESCAPED
    } else {
        0
    };
    Ok(Span::new(start + 1, text.len() - 1, flags | escaped))
}
