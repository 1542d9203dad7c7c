//! Lines of JSON Lines (<https://jsonlines.org>) to cells: spans into the text, as for CSV.
//!
//! A line is one object; its keys are columns. A string is the cell's text, marked as quoted so that
//! it is never taken for a number or for null; one with escapes is decoded behind the block's text.
//! Numbers and booleans stand as they are written, a list or an object as its own JSON text. `null`
//! and a key that is not there are null.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::bad_rows::BadReason;
use crate::blocks::Block;
use crate::parser::ParseLimits;
use crate::records::{BadRecord, QUOTED, Record, Rows, STRAY, Span, excerpt};

/// Flags of a cell that is a list or an object: text to all but a writer of JSON.
pub(crate) const NESTED: u32 = QUOTED | STRAY;

/// The columns, and where each is.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Keys {
    pub(crate) fn new(names: &[String]) -> Self {
        let places = names.iter().cloned().zip(0..).collect();
        Self {
            names: names.to_vec(),
            places,
        }
    }

    /// The place of `name`; most objects have their keys in the order of the columns.
    fn find(&self, name: &str, expected: usize) -> Option<usize> {
        match self.names.get(expected) {
            Some(next) if next == name => Some(expected),
            _ => self.places.get(name).copied(),
        }
    }
}

/// A key, borrowed from the line unless it has escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A line of text: where it starts and ends, its line end not counted, and where the next starts.
struct Line {
    start: usize,
    end: usize,
    next: usize,
}

/// The lines of `text` from `from` on, blank ones too.
fn lines(text: &[u8], from: usize) -> impl Iterator<Item = Line> {
    let mut at = from;
    std::iter::from_fn(move || {
        let start = at;
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest);
        at = start + length.map_or(rest.len(), |n| n + 1);
        let end = start + length.unwrap_or(rest.len());
        let end = end - usize::from(text[start..end].ends_with(b"\r"));
        Some(Line {
            start,
            end,
            next: at,
        })
    })
}

/// Where the first `wanted` records end in `text`, and how many there are.
pub(crate) fn first_records(text: &[u8], from: usize, wanted: u64) -> (usize, u64) {
    let mut found = (from, 0);
    for line in lines(text, from) {
        if found.1 == wanted {
            break;
        }
        let blank = text[line.start..line.end].trim_ascii().is_empty();
        found = (line.next, found.1 + u64::from(!blank));
    }
    found
}

/// Parses a block of whole lines; `keys` are the columns, and other keys are left out.
pub(crate) fn parse(block: &mut Block, keys: &Keys, limits: &ParseLimits) -> Rows {
    let mut rows = Rows::default();
    let mut decoded = Vec::new();
    let text = block.text();
    rows.consumed = text.len();
    rows.terminated = text.ends_with(b"\n");
    for line in lines(text, block.start) {
        let record = Record {
            start: line.start as u32,
            end: line.end as u32,
            line: rows.lines,
            index: rows.total,
        };
        rows.lines += u32::from(line.next > line.end && text[line.next - 1] == b'\n');
        let content = &text[line.start..line.end];
        // A blank one as well: the reader gives up where a line goes on and on.
        if content.len() > limits.record_bytes {
            rows.too_long = Some(record);
            break;
        }
        if content.trim_ascii().is_empty() {
            continue;
        }
        rows.total += 1;
        let first_span = rows.spans.len();
        rows.spans
            .resize(first_span + keys.names.len(), Span::new(0, 0, 0));
        let row = RowVisitor {
            text,
            keys,
            cells: &mut rows.spans[first_span..],
            decoded: &mut decoded,
        };
        match row.read(content) {
            Ok(()) => rows.records.push(record),
            Err(error) => {
                rows.spans.truncate(first_span);
                rows.bad.push(refused(record, content, &error));
            }
        }
    }
    if !decoded.is_empty() {
        block.append(&decoded);
    }
    rows
}

fn refused(record: Record, line: &[u8], error: &serde_json::Error) -> BadRecord {
    let utf8 = std::str::from_utf8(line).is_ok();
    // The library counts lines from 1 within what it was given, which is one line.
    let problem = error.to_string();
    let problem = problem
        .rsplit_once(" at line 1 column ")
        .map_or(problem.clone(), |(what, column)| {
            format!("{what} at character {column}")
        });
    BadRecord {
        record,
        column: None,
        reason: if utf8 {
            BadReason::Json
        } else {
            BadReason::Encoding
        },
        expected: if utf8 { "a JSON object" } else { "UTF-8" }.to_owned(),
        found: format!("{} ({problem})", excerpt(line)),
    }
}

/// Fills the cells of a row from an object.
struct RowVisitor<'a, 'r> {
    /// The block's text, which the object is part of.
    text: &'a [u8],
    keys: &'r Keys,
    cells: &'r mut [Span],
    decoded: &'r mut Vec<u8>,
}

impl<'a> RowVisitor<'a, '_> {
    fn read(self, line: &'a [u8]) -> serde_json::Result<()> {
        let mut json = serde_json::Deserializer::from_slice(line);
        json.deserialize_map(self)?;
        json.end()
    }

    fn cell(&mut self, raw: &'a RawValue) -> serde_json::Result<Span> {
        let token = raw.get();
        // The token is part of the text, so this is its place there.
        let start = token.as_ptr() as usize - self.text.as_ptr() as usize;
        let end = start + token.len();
        Ok(match token.as_bytes() {
            b"null" => Span::new(0, 0, 0),
            [b'"', ..] if !token.contains('\\') => Span::new(start + 1, end - 1, QUOTED),
            [b'"', ..] => {
                let from = self.text.len() + self.decoded.len();
                let string: String = serde_json::from_str(token)?;
                self.decoded.extend_from_slice(string.as_bytes());
                Span::new(from, self.text.len() + self.decoded.len(), QUOTED)
            }
            [b'{' | b'[', ..] => Span::new(start, end, NESTED),
            _ => Span::new(start, end, 0),
        })
    }
}

impl<'a> Visitor<'a> for RowVisitor<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        let missing = Span::new(0, 0, 0);
        let mut expected = 0;
        while let Some(Key(name)) = map.next_key()? {
            let Some(place) = self.keys.find(&name, expected) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if self.cells[place] != missing {
                return Err(A::Error::custom(format!("the key {name:?} twice")));
            }
            let raw: &'a RawValue = map.next_value()?;
            let cell = self.cell(raw).map_err(A::Error::custom)?;
            self.cells[place] = if cell == missing {
                Span::EMPTY_SEEN
            } else {
                cell
            };
            expected = place + 1;
        }
        Ok(())
    }
}

/// The keys of a block's objects, each once, in the order in which they first stand there. Lines that
/// are no objects have none.
pub(crate) fn keys_of(block: &Block) -> Vec<String> {
    let mut found = FoundKeys::default();
    let text = block.text();
    for line in lines(text, block.start) {
        let mut json = serde_json::Deserializer::from_slice(&text[line.start..line.end]);
        // Whether a line is bad is said where rows are read.
        let _ = json.deserialize_map(&mut found);
    }
    found.names
}

/// Names in the order in which they were first seen.
#[derive(Debug, Default)]
pub(crate) struct FoundKeys {
    pub(crate) names: Vec<String>,
    places: HashMap<String, usize>,
}

impl FoundKeys {
    pub(crate) fn add(&mut self, name: &str, expected: usize) -> usize {
        if self.names.get(expected).is_some_and(|next| next == name) {
            return expected;
        }
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.names.len() - 1
    }
}

impl<'a> Visitor<'a> for &mut FoundKeys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut expected = 0;
        while let Some(Key(name)) = map.next_key()? {
            map.next_value::<IgnoredAny>()?;
            expected = self.add(&name, expected) + 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    fn parsed(text: &str, names: &[&str]) -> (Vec<Vec<Option<String>>>, Vec<String>) {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut block = Block::of_text(text.as_bytes().to_vec());
        let rows = parse(&mut block, &Keys::new(&names), &ParseLimits::default());
        let cell = |s: &Span| {
            (!s.is_bare_empty()).then(|| String::from_utf8(s.bytes(block.text()).to_vec()).unwrap())
        };
        let good = rows
            .spans
            .chunks(names.len())
            .map(|row| row.iter().map(cell).collect())
            .collect();
        let bad = rows
            .bad
            .iter()
            .map(|b| format!("{}: {} {}", b.record.line, b.reason, b.found))
            .collect();
        (good, bad)
    }

    #[test]
    fn cells_of_each_kind() {
        let (rows, bad) = parsed(
            "{\"a\":1,\"b\":\"x\"}\n\n{\"b\":\"q\\\"\\u00e9\\n\",\"c\":[1, 2]}\r\n{\"a\":null,\"b\":\"\"}",
            &["a", "b", "c"],
        );
        let some = |t: &str| Some(t.to_owned());
        assert!(bad.is_empty());
        assert_eq!(rows[0], [some("1"), some("x"), None]);
        assert_eq!(rows[1], [None, some("q\"é\n"), some("[1, 2]")]);
        assert_eq!(rows[2], [None, some(""), None]);
    }

    #[test]
    fn what_is_no_object_is_refused_in_place() {
        let (rows, bad) = parsed(
            "{\"a\":1}\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":1} x\n{\"a\":\n{\"a\":null,\"a\":2}\n",
            &["a"],
        );
        assert_eq!(rows.len(), 1);
        insta::assert_snapshot!(bad.join("\n"), @r#"
        1: json "[1]" (invalid type: sequence, expected an object at character 0)
        2: json "{\"a\":1,\"a\":2}" (the key "a" twice at character 10)
        3: json "{\"a\":1} x" (trailing characters at character 9)
        4: json "{\"a\":" (EOF while parsing a value at character 5)
        5: json "{\"a\":null,\"a\":2}" (the key "a" twice at character 13)
        "#);
    }

    #[test]
    fn a_blank_line_is_no_longer_than_a_record_may_be() {
        let limits = ParseLimits {
            record_bytes: 3,
            ..ParseLimits::default()
        };
        let mut block = Block::of_text(b"   \n    \n{}\n".to_vec());
        let rows = parse(&mut block, &Keys::new(&[]), &limits);
        assert_eq!(rows.too_long.map(|r| (r.start, r.line)), Some((4, 1)));
    }

    #[test]
    fn keys_come_in_the_order_of_their_first_sight() {
        let block = Block::of_text(b"{\"b\":1,\"a\":2}\nbad\n{\"a\":1,\"c\":{\"d\":1}}\n".to_vec());
        assert_eq!(keys_of(&block), ["b", "a", "c"]);
    }

    #[test]
    fn a_limit_counts_records_not_lines() {
        let text = b"{}\n\n{}\n{}\n";
        assert_eq!(first_records(text, 0, 2), (7, 2));
        assert_eq!(first_records(text, 0, 9), (10, 3));
    }
}
