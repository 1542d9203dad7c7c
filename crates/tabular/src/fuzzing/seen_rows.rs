//! What a pass over an input shows: its columns, each row with its place, or the error.

use crate::bad_rows::{BadReason, OnBadRow};
use crate::error::TabularError;
use crate::input::Input;
use crate::records::unescape;
use crate::refusals::Refusals;
use crate::rows::Pass;
use crate::scan::{FileScan, ScanOptions};

/// A row that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The data record in its file, from 1.
    pub(super) record: u64,
    /// First byte in the file, the byte after the last.
    pub(super) bytes: (u64, u64),
    /// Line ends before it in its file.
    pub(super) line: u64,
    /// Cells as text, and whether a quote of CSV or JSON stood around each; none is an empty one.
    pub(super) cells: Vec<Option<(Vec<u8>, bool)>>,
}

/// A row that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) record: u64,
    pub(super) bytes: (u64, u64),
    pub(super) line: u64,
    pub(super) reason: BadReason,
}

/// A whole pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) names: Vec<String>,
    pub(super) rows: Vec<Row>,
    pub(super) bad: Vec<Bad>,
    pub(super) files: Vec<FileScan>,
}

/// Reads everything; an error is its text.
pub(super) fn see(inputs: &[Input], options: &ScanOptions) -> Result<Seen, String> {
    let mut seen = Seen {
        names: Vec::new(),
        rows: Vec::new(),
        bad: Vec::new(),
        files: Vec::new(),
    };
    match pass(inputs, options, &mut seen) {
        Ok(()) => Ok(seen),
        Err(error) => {
            assert!(!matches!(error, TabularError::Internal(_)), "{error}");
            Err(error.to_string())
        }
    }
}

fn pass(inputs: &[Input], options: &ScanOptions, seen: &mut Seen) -> Result<(), TabularError> {
    let pass = Pass::open(inputs, options)?;
    seen.names = pass.names().to_vec();
    let (width, dialect) = (seen.names.len(), pass.dialect());
    let mut refusals = Refusals::new(options.on_bad_row);
    let (rows, bad) = (&mut seen.rows, &mut seen.bad);
    let mut line = 0;
    seen.files = pass.run(
        &mut refusals,
        &(),
        |_, _| (),
        |taken| {
            let (block, text) = (taken.block, taken.block.text());
            if block.first {
                line = block.prefix_lines;
            }
            let bytes = |r: &crate::records::Record| {
                (
                    block.byte + u64::from(r.start),
                    block.byte + u64::from(r.end),
                )
            };
            for (record, spans) in taken
                .rows
                .records
                .iter()
                .zip(taken.rows.spans.chunks(width))
            {
                let cells = spans.iter().map(|span| {
                    let mut cell = span.bytes(text).to_vec();
                    if span.is_escaped() {
                        cell.clear();
                        unescape(span.bytes(text), &dialect, &mut cell);
                    }
                    (!span.is_bare_empty()).then(|| (cell, span.is_quoted()))
                });
                rows.push(Row {
                    record: taken.records_before + u64::from(record.index) + 1,
                    bytes: bytes(record),
                    line: line + u64::from(record.line),
                    cells: cells.collect(),
                });
            }
            bad.extend(taken.rows.bad.iter().map(|found| Bad {
                record: taken.records_before + u64::from(found.record.index) + 1,
                bytes: bytes(&found.record),
                line: line + u64::from(found.record.line),
                reason: found.reason,
            }));
            line += u64::from(taken.rows.lines);
            Ok(())
        },
    )?;
    if options.on_bad_row != OnBadRow::Fail {
        assert_eq!(refusals.bad(), seen.bad.len() as u64);
    }
    let total = (seen.rows.len() + seen.bad.len()) as u64;
    assert_eq!(refusals.total, total);
    refusals.finish()
}
