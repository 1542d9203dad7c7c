//! Any bytes as what a model answered.

use std::io::BufReader;
use std::path::Path;

use serde_json::Value;

use crate::predictions::Predictions;

use super::choices;

/// Rows do not depend on the buffer; a line of CSV cells is split as the `csv` crate splits it, and a
/// list of JSON has its numbers and words in their order. The first byte chooses the buffer.
pub fn predictions(data: &[u8]) {
    let ([buffer], text) = choices(data);
    let whole = rows(text, text.len() + 1);
    assert_eq!(rows(text, buffer + 1), whole);
    let mut lines = text.split(|b| *b == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.trim_ascii().is_empty()).then_some(line)
    });
    for row in &whole.0 {
        as_others_read(lines.next().expect("a line for each row"), row);
    }
    let mut counted = Predictions::new(text, Path::new("p"), "s");
    let all = whole.0.len() as u64 + lines.count() as u64;
    assert_eq!(counted.count_to_end().unwrap(), all);
    assert!(whole.1.is_some() || all == whole.0.len() as u64);
}

type Rows = (Vec<Vec<String>>, Option<String>);

/// The rows before the end, or before an error.
fn rows(text: &[u8], buffer: usize) -> Rows {
    let source = BufReader::with_capacity(buffer, text);
    let mut predictions = Predictions::new(source, Path::new("p"), "s");
    let mut rows = Vec::new();
    loop {
        match predictions.next_row() {
            Ok(Some(cells)) => {
                let cell = |i| cells.get(i).unwrap().to_owned();
                rows.push((0..cells.len()).map(cell).collect());
            }
            Ok(None) => return (rows, None),
            Err(error) => return (rows, Some(error.to_string())),
        }
    }
}

fn as_others_read(line: &[u8], row: &[String]) {
    if line.trim_ascii_start().starts_with(b"[") {
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
