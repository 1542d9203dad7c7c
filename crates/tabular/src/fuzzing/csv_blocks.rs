//! Files of CSV read in blocks by several threads: the same whatever the pieces.

use crate::bad_rows::{BadReason, OnBadRow};
use crate::format::Format;
use crate::header;
use crate::scan::{ScanOptions, Typing};

use super::plain_csv::{Fault, Record, is_name, line_ends, read};
use super::seen_rows::{Bad, Row, Seen, see};
use super::{choices, dialect, text_input};

/// Any size of blocks and of reads and any number of threads show the same columns, rows, places and
/// errors as one block, with a limit of rows or of a record's bytes too; and those of one block are the
/// plain reader's. The first byte chooses the dialect, the second the size of blocks, the third that of
/// reads and the threads, the fourth the limits.
pub fn csv_blocks(data: &[u8]) {
    let ([which, block, step, limit], text) = choices(data);
    let Some((mut dialect, text)) = dialect(which, text) else {
        return;
    };
    dialect.header = which & 8 == 0;
    let whole = ScanOptions {
        dialect,
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
    let expected = see(&[text_input(text, Format::CSV, usize::MAX)], &whole);
    let pieces = ScanOptions {
        block_bytes: block + 1,
        threads: step % 3 + 1,
        ..whole.clone()
    };
    let inputs = [text_input(text, Format::CSV, step + 1)];
    assert_eq!(
        see(&inputs, &pieces),
        expected,
        "in blocks of {}",
        block + 1
    );

    if let Ok(seen) = &expected {
        as_read_plainly(seen, text, &whole);
        first_fault(seen, &inputs, &pieces, text);
    }
}

fn as_read_plainly(seen: &Seen, text: &[u8], options: &ScanOptions) {
    let dialect = &options.dialect;
    let records = read(text, header::mark(text), dialect).records;
    let mut records = records.iter();
    if dialect.header {
        let header = records.next().expect("a header");
        assert_eq!(header.fields.len(), seen.names.len());
        for (place, (field, name)) in header.fields.iter().zip(&seen.names).enumerate() {
            is_name(&field.text, name, place);
        }
    }
    let limit = options.limit_rows.unwrap_or(u64::MAX) as usize;
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for (record, number) in records.take(limit).zip(1..) {
        match refused(record, text, seen.names.len(), number) {
            Some(found) => bad.push(found),
            None => rows.push(taken(record, number)),
        }
    }
    assert_eq!(seen.rows, rows);
    assert_eq!(seen.bad, bad);
}

fn refused(record: &Record, text: &[u8], width: usize, number: u64) -> Option<Bad> {
    let mut line = record.line;
    let reason = match record.fault {
        Some(fault) => {
            if let Fault::Unclosed(opening) = fault {
                line += line_ends(text, record.start, opening);
            }
            BadReason::Quote
        }
        None if record.fields.len() != width => BadReason::Ragged,
        None if std::str::from_utf8(&text[record.start..record.end]).is_err() => {
            BadReason::Encoding
        }
        None => return None,
    };
    Some(Bad {
        record: number,
        bytes: (record.start as u64, record.end as u64),
        line: line as u64,
        reason,
    })
}

fn taken(record: &Record, number: u64) -> Row {
    let cells = record.fields.iter();
    let cells = cells.map(|f| (!f.is_empty()).then(|| (f.text.clone(), f.quoted)));
    Row {
        record: number,
        bytes: (record.start as u64, record.end as u64),
        line: record.line as u64,
        cells: cells.collect(),
    }
}

/// Where no bad row is allowed, the error names the first of them, by its line, record and byte.
fn first_fault(seen: &Seen, inputs: &[crate::input::Input], options: &ScanOptions, text: &[u8]) {
    let strict = ScanOptions {
        on_bad_row: OnBadRow::Fail,
        ..options.clone()
    };
    match (see(inputs, &strict), seen.bad.first()) {
        (Ok(found), None) => assert_eq!(&found, seen),
        (Err(error), Some(bad)) => {
            let (line, record, byte) = (bad.line + 1, bad.record, bad.bytes.0);
            let place = format!("input:{line}: record {record} (byte {byte}): ");
            assert!(error.starts_with(&place), "{error}\n{place}");
        }
        (found, bad) => panic!(
            "{found:?} for {bad:?} in {:?}",
            text.escape_ascii().to_string()
        ),
    }
}
