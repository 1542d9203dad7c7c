//! Rows to JSON Lines: an object a line, its keys in the order of the columns.
//!
//! Null is `null`. What a source has no types for (CSV) is written by the columns' types: numbers and
//! booleans bare, all else as strings. Cells of JSON stay the tokens that they were, and values of
//! Parquet are what their types are; JSON has no number for NaN and infinity, which become
//! strings as in Protocol Buffers' mapping: `"NaN"`, `"Infinity"`, `"-Infinity"`.

use crate::arrow_columns::Rule;
use crate::dialect::Dialect;
use crate::records::{Span, unescape};
use crate::schema::ColumnType;
use crate::values;

/// How the cells of one column are written.
pub(crate) enum CellAs {
    /// As the cell itself says: quoted ones as strings, bare ones as they are.
    Own,
    /// By the column's type and null tokens.
    Typed(Box<Rule>),
}

/// The fixed text of an object, and its cells.
pub(crate) struct JsonObject {
    /// `{"a":`, `,"b":` …
    keys: Vec<Vec<u8>>,
    dialect: Dialect,
}

impl JsonObject {
    pub(crate) fn new(names: &[String], dialect: Dialect) -> Self {
        let key = |(i, name): (usize, &String)| {
            let mut key = vec![if i == 0 { b'{' } else { b',' }];
            string(&mut key, name.as_bytes());
            key.push(b':');
            key
        };
        Self {
            keys: names.iter().enumerate().map(key).collect(),
            dialect,
        }
    }

    /// Appends the key of a column.
    pub(crate) fn key(&self, out: &mut Vec<u8>, column: usize) {
        out.extend_from_slice(&self.keys[column]);
    }

    /// Appends a cell.
    pub(crate) fn cell(&self, out: &mut Vec<u8>, cell_as: &CellAs, span: Span, block: &[u8]) {
        let mut unescaped = Vec::new();
        let mut text = span.bytes(block);
        if span.is_escaped() {
            unescape(text, &self.dialect, &mut unescaped);
            text = &unescaped;
        }
        match cell_as {
            CellAs::Own if span.is_bare_empty() => out.extend_from_slice(b"null"),
            CellAs::Own if span.is_nested() => out.extend_from_slice(text),
            CellAs::Own if span.is_quoted() => string(out, text),
            CellAs::Own => bare(out, text),
            CellAs::Typed(rule) if rule.is_null(span, text) => out.extend_from_slice(b"null"),
            CellAs::Typed(rule) => typed(out, rule.column.column_type, text),
        }
    }

    /// Appends the end of an object and of its line.
    pub(crate) fn end(out: &mut Vec<u8>) {
        out.extend_from_slice(b"}\n");
    }
}

fn bare(out: &mut Vec<u8>, text: &[u8]) {
    if is_number(text) || matches!(text, b"true" | b"false") {
        out.extend_from_slice(text);
    } else {
        out.extend_from_slice(no_number(text));
    }
}

/// What stands for text that is no number.
fn no_number(text: &[u8]) -> &'static [u8] {
    match text {
        b"NaN" => b"\"NaN\"",
        b"inf" => b"\"Infinity\"",
        b"-inf" => b"\"-Infinity\"",
        _ => b"null",
    }
}

fn typed(out: &mut Vec<u8>, column_type: ColumnType, text: &[u8]) {
    match column_type {
        ColumnType::Int64 | ColumnType::Float64 => number(out, text),
        ColumnType::Boolean => out.extend(text.iter().map(u8::to_ascii_lowercase)),
        ColumnType::Date
        | ColumnType::Timestamp
        | ColumnType::TimestampUtc
        | ColumnType::String => string(out, text),
    }
}

/// Appends a number in the source's own digits, where JSON has them so; `.5` and `+1` it has not.
pub(crate) fn number(out: &mut Vec<u8>, text: &[u8]) {
    if is_number(text) {
        out.extend_from_slice(text);
        return;
    }
    match values::number(text) {
        // Debug is the shortest form that reads back, with an exponent where Display has none.
        Some(number) => out.extend_from_slice(format!("{number:?}").as_bytes()),
        None => out.extend_from_slice(no_number(text)),
    }
}

/// Whether a text is a number of JSON (RFC 8259, section 6).
pub(crate) fn is_number(text: &[u8]) -> bool {
    let digits = |text: &mut &[u8]| {
        let n = text.iter().take_while(|b| b.is_ascii_digit()).count();
        *text = &text[n..];
        n
    };
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let zero = rest.first() == Some(&b'0');
    let whole = digits(&mut rest);
    if whole == 0 || (zero && whole > 1) {
        return false;
    }
    if let Some(after) = rest.strip_prefix(b".") {
        rest = after;
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    if let [b'e' | b'E', after @ ..] = rest {
        rest = match after {
            [b'+' | b'-', after @ ..] => after,
            after => after,
        };
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    rest.is_empty()
}

/// Appends a string of JSON (RFC 8259, section 7). Text is UTF-8 here: other rows are bad before.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(&mut *out, &*text);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_that_json_has_not_are_written_as_it_has_them() {
        let written = |text: &str| {
            let mut out = Vec::new();
            number(&mut out, text.as_bytes());
            String::from_utf8(out).unwrap()
        };
        let pairs = [
            ("1", "1"),
            ("-0", "-0"),
            ("1.50", "1.50"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("1e5", "1e5"),
            ("007", "7.0"),
            ("x", "null"),
        ];
        for (text, expected) in pairs {
            assert_eq!(written(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_one_to_the_library_too(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?") {
            let library = serde_json::from_str::<f64>(&text).is_ok();
            prop_assert_eq!(is_number(text.as_bytes()), library, "{}", text);
        }

        #[test]
        fn a_string_comes_back(text in any::<String>()) {
            let mut out = Vec::new();
            string(&mut out, text.as_bytes());
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
