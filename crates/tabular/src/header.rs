//! What stands before an input's records: byte order mark, lines to skip, comments, blank lines, names.

use crate::dialect::Dialect;
use crate::error::{TabularError, quoted};
use crate::format::Layout;
use crate::parser::{ParseLimits, parse};
use crate::records::{Rows, unescape};
use crate::sniff_cells::is_value;

/// The columns of an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Names in order: the header's own, or `column_1` … where there is none, or one is missing. Empty
    /// only for an input without header and records.
    pub(crate) names: Vec<String>,
}

/// A header in its place.
pub(crate) struct Found {
    pub(crate) header: Header,
    /// Bytes before the first record.
    pub(crate) prefix: usize,
    /// Line ends in them.
    pub(crate) lines: u64,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes of a byte order mark at the start.
pub(crate) fn mark(text: &[u8]) -> usize {
    if text.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    }
}

/// What may stand before the first record, in bytes, however short records must be.
const PREFIX_BYTES: usize = 1 << 20;

/// The columns that a table may have: more are data, and each takes its memory.
pub(crate) const MAX_CSV_COLUMNS: usize = 500_000;

/// The most bytes that may stand before the first record.
pub(crate) fn longest_prefix(max_record: usize) -> usize {
    max_record.max(PREFIX_BYTES)
}

/// Reads the prefix of `text`; none if it goes on and `all` of it is not there yet. What stands before the
/// first record is held to [`longest_prefix`], and that record to `max_record`, however much of the text is
/// there: of more than both together something is always said.
pub(crate) fn read(
    text: &[u8],
    all: bool,
    file: &str,
    dialect: &Dialect,
    max_record: usize,
) -> Result<Option<Found>, TabularError> {
    let skip = dialect.skip_lines;
    let begin = mark(text);
    let Some(from) = after_lines(text, begin, skip, all) else {
        check_prefix(text.len() - begin, file, max_record)?;
        return match all {
            false => Ok(None),
            true => Err(TabularError::Empty {
                file: file.into(),
                expected: "a header line after the lines to skip (skip_lines)",
            }),
        };
    };
    let limits = ParseLimits {
        fields: None,
        records: 1,
        record_bytes: max_record,
        ..ParseLimits::default()
    };
    let mut rows = parse(text, from, dialect, &limits);
    rows.shift_lines(skip as u32);
    let bad = rows.bad.iter().map(|bad| &bad.record);
    let mut records = rows.records.iter().chain(bad).chain(&rows.too_long);
    // Without one: where the text ends, or the comment begins that it ends within.
    let start = records
        .next()
        .map_or(rows.last_start, |record| record.start as usize);
    check_prefix(start - begin, file, max_record)?;
    if let Some(record) = rows.too_long {
        let line = u64::from(record.line) + 1;
        let byte = u64::from(record.start);
        return Err(TabularError::RecordTooLong {
            file: file.into(),
            layout: Layout::Csv,
            record: 0,
            line,
            byte,
            limit: max_record as u64,
        });
    }
    // A line end that is the last byte may be the first half of `\r\n`.
    let whole = rows.total == 1 && rows.terminated && rows.consumed < text.len();
    if !whole && !all {
        return Ok(None);
    }
    if let Some(&columns) = rows
        .counts
        .first()
        .filter(|n| **n as usize > MAX_CSV_COLUMNS)
    {
        return Err(TabularError::Columns {
            file: file.into(),
            problem: format!(
                "expected at most {MAX_CSV_COLUMNS} columns, found {columns} in the first record: if the \
                 table lies on its side, turn it"
            ),
        });
    }
    if dialect.header {
        named(text, &rows, file, dialect).map(Some)
    } else {
        Ok(Some(numbered(text, &rows, from, skip)))
    }
}

fn check_prefix(bytes: usize, file: &str, max_record: usize) -> Result<(), TabularError> {
    let most = longest_prefix(max_record);
    if bytes <= most {
        return Ok(());
    }
    Err(TabularError::Columns {
        file: file.into(),
        problem: format!(
            "expected the first record within {most} bytes, found nothing but lines that are \
             skipped, comments and empty lines; raise max_record"
        ),
    })
}

/// After the next `lines` line ends from `from` on; none where the text does not have so many, or
/// may go on with the second half of the last one.
pub(crate) fn after_lines(text: &[u8], from: usize, lines: u64, all: bool) -> Option<usize> {
    let mut at = from;
    for _ in 0..lines {
        let end = at + memchr::memchr2(b'\n', b'\r', &text[at..])?;
        at = end + 1;
        match (text[end], text.get(at)) {
            (b'\r', Some(b'\n')) => at += 1,
            (b'\r', None) if !all => return None,
            _ => {}
        }
    }
    Some(at)
}

fn named(text: &[u8], rows: &Rows, file: &str, dialect: &Dialect) -> Result<Found, TabularError> {
    if rows.total == 0 {
        return Err(TabularError::Empty {
            file: file.into(),
            expected: "a header line",
        });
    }
    let refuse = |line: u32, problem: String| TabularError::Header {
        file: file.into(),
        line: u64::from(line) + 1,
        problem,
    };
    if let Some(bad) = rows.bad.first() {
        return Err(refuse(
            bad.record.line,
            format!("expected {}, found {}", bad.expected, bad.found),
        ));
    }
    let line = rows.records.first().map_or(0, |r| r.line);
    let mut names = names(text, rows, dialect).map_err(|problem| refuse(line, problem))?;
    name_the_nameless(&mut names);
    check_names(&names).map_err(|problem| refuse(line, problem))?;
    Ok(Found {
        header: Header { names },
        prefix: rows.consumed,
        lines: u64::from(rows.lines),
    })
}

fn numbered(text: &[u8], rows: &Rows, prefix: usize, lines: u64) -> Found {
    // A torn first record still has a number of fields: count it without looking at quotes' ends.
    let fields = rows.counts.first().map_or_else(
        || usize::from(!text.is_empty() && rows.total > 0),
        |&n| n as usize,
    );
    let names = (1..=fields).map(|i| format!("column_{i}")).collect();
    Found {
        header: Header { names },
        prefix,
        lines,
    }
}

fn names(text: &[u8], rows: &Rows, dialect: &Dialect) -> Result<Vec<String>, String> {
    let mut names = Vec::with_capacity(rows.spans.len());
    for (i, span) in rows.spans.iter().enumerate() {
        let mut name = Vec::new();
        if span.is_escaped() {
            unescape(span.bytes(text), dialect, &mut name);
        } else {
            name.extend_from_slice(span.bytes(text));
        }
        let name = String::from_utf8(name).map_err(|_| {
            format!(
                "the name of column {} is not UTF-8: name the encoding (source.encoding, --encoding)",
                i + 1
            )
        })?;
        if name.contains('\0') {
            return Err(format!(
                "the name of column {} has a NUL byte in it: if the text is UTF-16, which has no mark here, \
                 name the encoding (source.encoding, --encoding utf-16le or utf-16be)",
                i + 1
            ));
        }
        names.push(name);
    }
    Ok(names)
}

/// One name may be missing among others: that of an index, or the one after a trailing separator. The
/// column is called by its place, as without a header. Where the others are values, this is no header.
fn name_the_nameless(names: &mut [String]) {
    let nameless: Vec<usize> = (0..names.len()).filter(|&i| names[i].is_empty()).collect();
    let values = names.iter().any(|name| is_value(name.as_bytes()));
    if let (&[place], true, false) = (nameless.as_slice(), names.len() > 2, values) {
        names[place] = format!("column_{}", place + 1);
    }
}

fn check_names(names: &[String]) -> Result<(), String> {
    let mut seen = std::collections::HashMap::new();
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!(
                "column {} of {} has no name: give it one, or read the file without a header \
                 (source.header: false, --header no); if the table begins further down, skip the lines \
                 before it (source.skip_lines, --skip-lines)",
                i + 1,
                names.len()
            ));
        }
        if let Some(first) = seen.insert(name, i + 1) {
            return Err(format!(
                "columns {first} and {} are both named {name:?}: rename one of them, or read the file \
                 without a header (source.header: false, --header no)",
                i + 1
            ));
        }
    }
    Ok(())
}

/// All inputs of one pass have the same names in the same order.
pub(crate) fn check_same(
    first: &str,
    expected: &Header,
    other: &str,
    found: &Header,
) -> Result<(), TabularError> {
    if expected == found {
        return Ok(());
    }
    let without = |a: &Header, b: &Header| -> Vec<String> {
        a.names
            .iter()
            .filter(|n| !b.names.contains(n))
            .cloned()
            .collect()
    };
    let (missing, extra) = (without(expected, found), without(found, expected));
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("missing {}", quoted(&missing)));
    }
    if !extra.is_empty() {
        parts.push(format!("extra {}", quoted(&extra)));
    }
    if parts.is_empty() {
        parts.push(format!(
            "the same columns in another order: {}",
            quoted(&found.names)
        ));
    }
    Err(TabularError::HeadersDiffer {
        first: first.into(),
        other: other.into(),
        difference: parts.join("; "),
    })
}
