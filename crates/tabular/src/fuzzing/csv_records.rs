//! Records and fields of CSV: those of the plain reader, and those of the `csv` crate.

use crate::bad_rows::BadReason;
use crate::dialect::Dialect;
use crate::header;
use crate::parser::{ParseLimits, parse, parse_exact};
use crate::records::{Rows, Span, unescape};

use super::plain_csv::{Fault, Record, Table, line_ends, read};
use super::{choices, dialect};

/// Whatever the text: the parser's records, their places, lines, fields and faults are those of a plain
/// reader, with any limits; those of them that are good are the `csv` crate's; and a table that the
/// `csv` crate wrote comes back. The first byte chooses the dialect, the second the limits.
pub fn csv_records(data: &[u8]) {
    let ([which, limit], text) = choices(data);
    let Some((dialect, text)) = dialect(which, text) else {
        return;
    };
    let from = header::mark(text);
    let table = read(text, from, &dialect);
    let rows = parse(text, from, &dialect, &ParseLimits::default());
    whole(text, from, &table, &rows, &dialect);
    limited(text, from, &table, &dialect, limit);
    if dialect.comment.is_none() {
        as_the_csv_crate(&text[from..], &table, &dialect);
    }
    // The csv crate does not escape an escape.
    if dialect.escape.is_none_or(|escape| !text.contains(&escape)) {
        comes_back(text, &dialect);
    }
}

fn whole(text: &[u8], from: usize, table: &Table, rows: &Rows, dialect: &Dialect) {
    assert_eq!(rows.total as usize, table.records.len(), "records");
    assert_eq!(rows.lines as usize, line_ends(text, from, text.len()));
    assert_eq!(rows.consumed, text.len());
    assert_eq!(rows.last_start, table.last_start);
    assert_eq!(rows.terminated, table.terminated);
    assert!(rows.too_long.is_none());
    let counts: Vec<usize> = table.records.iter().map(|r| r.fields.len()).collect();
    assert_eq!(
        rows.counts.iter().map(|&n| n as usize).collect::<Vec<_>>(),
        counts
    );
    same_records(text, &table.records, rows, None, dialect);
}

/// The rows are these records, good and bad; a record is ragged that has not as many `fields`.
fn same_records(
    text: &[u8],
    records: &[Record],
    rows: &Rows,
    fields: Option<usize>,
    dialect: &Dialect,
) {
    let (mut good, mut bad) = (rows.records.iter(), rows.bad.iter());
    let mut spans = rows.spans.iter();
    for (index, expected) in records.iter().enumerate() {
        let ragged = fields.is_some_and(|n| n != expected.fields.len());
        let place = |r: &crate::records::Record| {
            (
                r.start as usize,
                r.end as usize,
                r.line as usize,
                r.index as usize,
            )
        };
        let mut line = expected.line;
        if expected.fault.is_some() || ragged {
            let found = bad.next().expect("a bad record");
            let reason = match expected.fault {
                Some(Fault::Unclosed(opening)) => {
                    line += line_ends(text, expected.start, opening);
                    BadReason::Quote
                }
                Some(Fault::Torn(_) | Fault::Opened(_)) => BadReason::Quote,
                None => BadReason::Ragged,
            };
            assert_eq!(found.reason, reason, "record {index}");
            let expected = (expected.start, expected.end, line, index);
            assert_eq!(place(&found.record), expected);
            continue;
        }
        let found = good.next().expect("a good record");
        assert_eq!(place(found), (expected.start, expected.end, line, index));
        for field in &expected.fields {
            let span = *spans.next().expect("a field");
            assert_eq!(cell(span, text, dialect), field.text, "record {index}");
            assert_eq!(span.is_quoted(), field.quoted, "record {index}");
            assert_eq!(span.is_plain(), !field.quoted && !field.stray);
            assert_eq!(span.is_bare_empty(), field.is_empty());
        }
    }
    assert!(good.next().is_none() && bad.next().is_none());
    // Fields of a record that is too long stay behind.
    assert!(spans.next().is_none() || rows.too_long.is_some());
}

fn cell(span: Span, text: &[u8], dialect: &Dialect) -> Vec<u8> {
    let mut out = Vec::new();
    if span.is_escaped() {
        unescape(span.bytes(text), dialect, &mut out);
    } else {
        out.extend_from_slice(span.bytes(text));
    }
    out
}

/// The same with a number of fields, of records, and of bytes of a record.
fn limited(text: &[u8], from: usize, table: &Table, dialect: &Dialect, limit: usize) {
    let first = table.records.first().map_or(1, |r| r.fields.len());
    let width = ParseLimits {
        fields: Some(if limit & 3 == 0 {
            limit / 4 % 5 + 1
        } else {
            first
        }),
        ..ParseLimits::default()
    };
    let rows = parse(text, from, dialect, &width);
    let exact = parse_exact(text, from, dialect, &width);
    assert_eq!(format!("{rows:?}"), format!("{exact:?}"));
    same_records(text, &table.records, &rows, width.fields, dialect);
    assert_eq!(rows.total as usize, table.records.len());

    let few = ParseLimits {
        records: (limit / 5 % 7 + 1) as u64,
        ..ParseLimits::default()
    };
    let rows = parse(text, from, dialect, &few);
    let wanted = table.records.len().min(few.records as usize);
    same_records(text, &table.records[..wanted], &rows, None, dialect);
    assert_eq!(rows.lines as usize, line_ends(text, from, rows.consumed));
    if wanted as u64 == few.records && table.records[wanted - 1].end < text.len() {
        let end = table.records[wanted - 1].end;
        let crlf = text[end..].starts_with(b"\r\n");
        assert_eq!(rows.consumed, end + 1 + usize::from(crlf));
        assert!(rows.terminated);
    } else {
        assert_eq!(rows.consumed, text.len());
    }

    let short = ParseLimits {
        record_bytes: limit % 40,
        ..ParseLimits::default()
    };
    let rows = parse(text, from, dialect, &short);
    let records = table.records.iter().map(|r| (r.start, r.end, r.line));
    let pieces = records.chain(table.comments.iter().copied());
    let long = pieces.filter(|(start, end, _)| end - start > short.record_bytes);
    let found = rows
        .too_long
        .map(|r| (r.start as usize, r.end as usize, r.line as usize));
    assert_eq!(found, long.min(), "the record or comment that is too long");
    let before = rows.too_long.map_or(text.len(), |r| r.start as usize);
    let before = table.records.partition_point(|r| r.start < before);
    same_records(text, &table.records[..before], &rows, None, dialect);
}

/// The `csv` crate has as many records, and the same fields in each that is good here.
fn as_the_csv_crate(text: &[u8], table: &Table, dialect: &Dialect) {
    // It takes one byte order mark off: one more, and none of the text is taken.
    let text = [b"\xef\xbb\xbf", text].concat();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(dialect.delimiter)
        .quote(dialect.quote)
        .escape(dialect.escape)
        .from_reader(text.as_slice());
    let theirs: Vec<csv::ByteRecord> = reader.byte_records().map(|r| r.unwrap()).collect();
    assert_eq!(
        table.records.len(),
        theirs.len(),
        "records of the csv crate"
    );
    for (ours, theirs) in table.records.iter().zip(&theirs) {
        if ours.fault.is_none() {
            let ours: Vec<&[u8]> = ours.fields.iter().map(|f| f.text.as_slice()).collect();
            assert_eq!(ours, theirs.iter().collect::<Vec<_>>());
        }
    }
}

/// The text as a table, rows cut at `~` and cells at `^`, is written by the `csv` crate and read here.
fn comes_back(text: &[u8], dialect: &Dialect) {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(dialect.delimiter)
        .quote(dialect.quote)
        .double_quote(dialect.escape.is_none())
        .escape(dialect.escape.unwrap_or(b'\\'))
        .comment(dialect.comment)
        .from_writer(Vec::new());
    let mut expected: Vec<Vec<&[u8]>> = Vec::new();
    for row in text.split(|b| *b == b'~') {
        let cells: Vec<&[u8]> = row.split(|b| *b == b'^').collect();
        writer.write_record(&cells).unwrap();
        expected.push(cells);
    }
    let written = writer.into_inner().unwrap();
    let rows = parse(&written, 0, dialect, &ParseLimits::default());
    assert!(rows.bad.is_empty() && rows.records.len() == expected.len());
    let found: Vec<Vec<u8>> = rows
        .spans
        .iter()
        .map(|s| cell(*s, &written, dialect))
        .collect();
    let expected: Vec<&[u8]> = expected.into_iter().flatten().collect();
    assert_eq!(found, expected);
}
