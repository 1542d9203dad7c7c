//! Cells to CSV text: comma, LF, quotes only where needed.

use memchr::{memchr, memchr3};

use crate::dialect::Dialect;
use crate::header;
use crate::records::{Span, unescape};

/// Appends a cell as it was read. A bare empty cell stays empty, a quoted one `""`.
#[inline]
pub(crate) fn cell(out: &mut Vec<u8>, span: Span, block: &[u8], dialect: &Dialect) {
    let text = span.bytes(block);
    if span.is_plain() && dialect.delimiter == b',' && dialect.quote == b'"' {
        out.extend_from_slice(text);
    } else if span.is_escaped() {
        let mut unescaped = Vec::with_capacity(text.len());
        unescape(text, dialect, &mut unescaped);
        field(out, &unescaped, true);
    } else {
        field(out, text, span.is_quoted());
    }
}

/// Appends a text, quoted if it has to be. Empty text is quoted if `keep_empty`.
pub(crate) fn field(out: &mut Vec<u8>, text: &[u8], keep_empty: bool) {
    if text.is_empty() {
        if keep_empty {
            out.extend_from_slice(b"\"\"");
        }
    } else if memchr3(b',', b'"', b'\n', text).is_some() || memchr(b'\r', text).is_some() {
        quoted(out, text);
    } else {
        out.extend_from_slice(text);
    }
}

/// Appends a text in quotes.
pub(crate) fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(b'"');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Ends the record that began at `start` of `out`. An empty line would be no record to any reader,
/// so a single empty cell is written as `""`. What begins like a byte order mark is put in quotes: the
/// record may be the first of a file without a header.
#[inline]
pub(crate) fn end_record(out: &mut Vec<u8>, start: usize) {
    match out[start..].first() {
        None => out.extend_from_slice(b"\"\""),
        Some(&0xef) => quote_a_mark(out, start),
        Some(_) => {}
    }
    out.push(b'\n');
}

#[cold]
fn quote_a_mark(out: &mut Vec<u8>, start: usize) {
    if header::mark(&out[start..]) > 0 {
        // Cells with quotes or commas in them begin with a quote.
        let end = memchr(b',', &out[start..]).map_or(out.len(), |at| start + at);
        let cell = out[start..end].to_vec();
        let mut quoted_cell = Vec::with_capacity(cell.len() + 2);
        quoted(&mut quoted_cell, &cell);
        out.splice(start..end, quoted_cell);
    }
}

/// A header line.
pub(crate) fn header(names: &[String]) -> Vec<u8> {
    let mut line = Vec::new();
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            line.push(b',');
        }
        field(&mut line, name.as_bytes(), true);
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    #[test]
    fn a_record_never_begins_with_a_mark() {
        for (cells, expected) in [
            (&["\u{feff}ab", "c"][..], "\"\u{feff}ab\",c\n"),
            (&["\u{feff}"], "\"\u{feff}\"\n"),
            (&["\u{feff}a\"b", "c"], "\"\u{feff}a\"\"b\",c\n"),
            (&["\u{fb01}", "\u{feff}"], "\u{fb01},\u{feff}\n"),
            (&[""], "\"\"\n"),
        ] {
            let mut out = b"x\n".to_vec();
            for (i, text) in cells.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                field(&mut out, text.as_bytes(), false);
            }
            end_record(&mut out, 2);
            assert_eq!(std::str::from_utf8(&out[2..]).unwrap(), expected);
        }
    }
}
