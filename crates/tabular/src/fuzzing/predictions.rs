//! Any bytes as what a model answered.

use std::io::BufReader;
use std::path::Path;

use serde_json::Value;

use crate::predictions::{AnswerForm, AnswerLayout, Documents, Predictions};

use super::choices;

/// Rows do not depend on the buffer; a line of CSV cells is split as the `csv` crate splits it, and a
/// list of JSON has its numbers and words in their order; JSON documents are those of `serde_json`. The
/// first byte chooses the buffer and, by its highest bit, the form.
pub fn predictions(data: &[u8]) {
    let ([first], text) = choices(data);
    let (form, buffer) = (first & 0x80 != 0, first & 0x7f);
    let layout = if form {
        AnswerLayout::json()
    } else {
        AnswerLayout::csv()
    };
    let whole = rows(text, text.len() + 1, layout);
    assert_eq!(rows(text, buffer + 1, layout), whole);
    let mut counted = Predictions::new(text, Path::new("p"), "s", layout);
    let all = counted.count_to_end();
    if whole.1.is_none() {
        assert_eq!(all.as_ref().ok(), Some(&(whole.0.len() as u64)));
    }
    if layout.form == AnswerForm::Json {
        let layout = AnswerLayout {
            documents: Documents::Rows,
            ..layout
        };
        documents_as_others_read(text, &rows(text, text.len() + 1, layout));
        return;
    }
    let mut lines = text.split(|b| *b == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.trim_ascii().is_empty()).then_some(line)
    });
    for row in &whole.0 {
        as_others_read(lines.next().expect("a line for each row"), row);
    }
    assert_eq!(all.unwrap(), whole.0.len() as u64 + lines.count() as u64);
}

type Rows = (Vec<Vec<String>>, Option<String>);

/// The rows before the end, or before an error.
fn rows(text: &[u8], buffer: usize, layout: AnswerLayout) -> Rows {
    let source = BufReader::with_capacity(buffer, text);
    let mut predictions = Predictions::new(source, Path::new("p"), "s", layout);
    let mut rows = Vec::new();
    loop {
        match predictions.next_row() {
            Ok(Some(cells)) => {
                let cell = |i| cells.get(i).unwrap_or("null").to_owned();
                rows.push((0..cells.len()).map(cell).collect());
            }
            Ok(None) => return (rows, None),
            Err(error) => return (rows, Some(error.to_string())),
        }
    }
}

/// Where both read all of it: as many documents, and of lists the same single values.
fn documents_as_others_read(text: &[u8], (rows, error): &Rows) {
    let theirs: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(text)
        .into_iter()
        .collect();
    let (Ok(theirs), None) = (theirs, error) else {
        return;
    };
    assert_eq!(rows.len(), theirs.len());
    for (row, value) in rows.iter().zip(&theirs) {
        let mut found = Vec::new();
        if singles(value, &mut found) {
            assert_eq!(row.len(), found.len());
            let mut both = row.iter().zip(&found);
            assert!(both.all(|(a, b)| are_alike(a, b)), "{row:?}, {found:?}");
        }
    }
}

/// Numbers may be written in several ways, and those that are not integers are rounded by their reader.
fn are_alike(ours: &str, theirs: &str) -> bool {
    match (ours.parse::<f64>(), theirs.parse::<f64>()) {
        (Ok(a), Ok(b)) if a.is_finite() => (a - b).abs() <= a.abs() * 4.0 * f64::EPSILON,
        _ => as_value(ours) == as_value(theirs),
    }
}

fn as_value(cell: &str) -> Value {
    serde_json::from_str(cell).unwrap_or_else(|_| cell.into())
}

/// The single values of a list in their order; false if there are objects.
fn singles(value: &Value, found: &mut Vec<String>) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| singles(item, found)),
        Value::Object(_) => false,
        Value::String(text) => {
            found.push(text.clone());
            true
        }
        single => {
            found.push(single.to_string());
            true
        }
    }
}

fn as_others_read(line: &[u8], row: &[String]) {
    if line.trim_ascii_start().starts_with(b"[") {
        if row.iter().any(|cell| cell == "null") {
            return;
        }
        if serde_json::from_slice::<Value>(line).is_ok_and(|list| is_of_numbers(&list)) {
            let text = std::str::from_utf8(line).unwrap();
            let numbers = text.split([',', '[', ']']).map(str::trim);
            let numbers: Vec<&str> = numbers.filter(|n| !n.is_empty()).collect();
            assert!(row == numbers || numbers.is_empty());
        }
        return;
    }
    if line.contains(&b'\r') {
        // A line end to the csv crate, here a byte of the cell.
        return;
    }
    // It takes one byte order mark off: one more, and none of the line is taken.
    let line = [b"\xef\xbb\xbf", line].concat();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(line.as_slice());
    let record = reader.byte_records().next().unwrap().unwrap();
    let theirs: Vec<&[u8]> = record.iter().collect();
    let ours: Vec<&[u8]> = row.iter().map(String::as_bytes).collect();
    assert_eq!(ours, theirs);
}

/// A list of numbers, or of such lists.
fn is_of_numbers(value: &Value) -> bool {
    match value {
        Value::Array(items) => items
            .iter()
            .all(|item| item.is_number() || is_of_numbers(item)),
        _ => false,
    }
}
