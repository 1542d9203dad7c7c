//! JSON Lines, against serde_json's own values.

use serde::Deserialize as _;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::bad_rows::{BadReason, OnBadRow};
use crate::format::Format;
use crate::scan::{ScanOptions, Typing};

use super::seen_rows::{Row, Seen, see};
use super::{choices, text_input};

/// Any size of blocks and reads and any number of threads show the same columns, rows and errors; a line is
/// taken if serde_json reads an object in it that has no key twice, and its cells are that object's
/// values. The first byte chooses the size of blocks, the second that of reads and the threads, the
/// third the longest record.
pub fn json_lines(data: &[u8]) {
    let ([block, step, limit], text) = choices(data);
    let whole = ScanOptions {
        typing: Typing::Text,
        threads: 1,
        block_bytes: text.len() + 1,
        max_record: if limit & 1 == 0 {
            1 << 20
        } else {
            limit as u64
        },
        limit_rows: (limit & 6 == 6).then_some(limit as u64 / 8),
        on_bad_row: OnBadRow::Quarantine {
            max_ratio: None,
            max_rows: None,
        },
        ..ScanOptions::default()
    };
    let expected = see(&[text_input(text, Format::JSON_LINES, usize::MAX)], &whole);
    let pieces = ScanOptions {
        block_bytes: block + 1,
        threads: step % 3 + 1,
        ..whole
    };
    let inputs = [text_input(text, Format::JSON_LINES, step + 1)];
    let found = see(&inputs, &pieces);
    assert_eq!(found, expected, "in blocks of {}", block + 1);
    if let Ok(seen) = &expected {
        as_serde_json(seen, text, pieces.limit_rows);
    }
}

/// An object with its keys in order, each as often as it stands there.
struct Object(Vec<(String, Value)>);

impl<'a> Visitor<'a> for Object {
    type Value = Object;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<Object, A::Error> {
        while let Some(entry) = map.next_entry()? {
            self.0.push(entry);
        }
        Ok(self)
    }
}

fn object(line: &[u8]) -> Option<Object> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let found = json.deserialize_map(Object(Vec::new())).ok()?;
    json.end().ok().map(|()| found)
}

fn as_serde_json(seen: &Seen, text: &[u8], limit: Option<u64>) {
    let (mut rows, mut bad) = (seen.rows.iter(), seen.bad.iter());
    let (mut at, mut number) = (0, 0);
    for (line, piece) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        let content = piece.strip_suffix(b"\n").unwrap_or(piece);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let mark = line == 0 && content.starts_with(b"\xef\xbb\xbf");
        let start = at + if mark { 3 } else { 0 };
        let content = &content[start - at..];
        let end = start + content.len();
        at += piece.len();
        if content.trim_ascii().is_empty() || limit == Some(number) {
            continue;
        }
        number += 1;
        let bytes = (start as u64, end as u64);
        let theirs = object(content);
        match rows.as_slice().first().filter(|row| row.record == number) {
            Some(row) => {
                rows.next();
                assert_eq!((row.bytes, row.line), (bytes, line as u64));
                assert!(std::str::from_utf8(content).is_ok());
                if let Some(object) = &theirs {
                    same_cells(&seen.names, row, object);
                }
            }
            None => {
                let found = bad.next().expect("a row, good or bad");
                assert_eq!(
                    (found.record, found.bytes, found.line),
                    (number, bytes, line as u64)
                );
                let utf8 = std::str::from_utf8(content).is_ok();
                assert_eq!(found.reason == BadReason::Encoding, !utf8);
                let twice = theirs.is_none_or(|object| has_twice(&object));
                assert!(
                    twice || !utf8,
                    "refused: {:?}",
                    content.escape_ascii().to_string()
                );
            }
        }
    }
    assert!(rows.next().is_none() && bad.next().is_none());
}

fn has_twice(Object(entries): &Object) -> bool {
    let mut seen = std::collections::HashSet::new();
    !entries.iter().all(|(key, _)| seen.insert(key))
}

fn same_cells(names: &[String], row: &Row, object: &Object) {
    assert!(!has_twice(object));
    for (name, cell) in names.iter().zip(&row.cells) {
        let value = object.0.iter().find(|(key, _)| key == name).map(|(_, v)| v);
        match (value, cell) {
            (None | Some(Value::Null), None) => {}
            (Some(Value::String(text)), Some((cell, true))) => assert_eq!(text.as_bytes(), cell),
            // An empty string, of which nothing is null.
            (Some(Value::Number(_) | Value::Bool(_)), Some((cell, false)))
            | (Some(Value::Array(_) | Value::Object(_)), Some((cell, true))) => {
                let mut json = serde_json::Deserializer::from_slice(cell);
                assert_eq!(Some(&Value::deserialize(&mut json).unwrap()), value);
            }
            other => panic!("{name:?}: {other:?}"),
        }
    }
}
