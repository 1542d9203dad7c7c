//! Where the rows of a block are in their input: lines, records and bytes counted across blocks.

use crate::bad_rows::{BadReason, BadRow};
use crate::blocks::Block;
use crate::error::TabularError;
use crate::format::Layout;
use crate::records::{BadRecord, Record, Rows};
use crate::scan::FileScan;

/// Running numbers of the consumer: what stands before the block at hand.
pub(crate) struct Place<'a> {
    files: &'a [String],
    secret: bool,
    /// Parquet has no lines.
    layout: Layout,
    lines: u64,
    pub(crate) records: u64,
    /// Rows and bytes of the inputs, the last one under way.
    pub(crate) done: Vec<FileScan>,
}

impl<'a> Place<'a> {
    pub(crate) fn new(files: &'a [String], secret: bool, layout: Layout) -> Self {
        Self {
            files,
            secret,
            layout,
            lines: 0,
            records: 0,
            done: Vec::new(),
        }
    }

    pub(crate) fn enter(&mut self, block: &Block) {
        if block.first {
            self.lines = block.prefix_lines;
            self.records = 0;
            self.done.push(FileScan {
                name: self.files[block.file].clone(),
                rows: 0,
                bytes: 0,
            });
        }
    }

    pub(crate) fn leave(&mut self, rows: &Rows, bytes: u64) {
        self.lines += u64::from(rows.lines);
        self.records += u64::from(rows.total);
        if let Some(file) = self.done.last_mut() {
            file.rows += u64::from(rows.total);
            file.bytes += bytes;
        }
    }

    pub(crate) fn bad_row(&self, bad: &BadRecord, block: &Block) -> BadRow {
        let record = &bad.record;
        // These quote the row from somewhere within it, whatever column that is.
        let hidden = self.secret
            && matches!(
                bad.reason,
                BadReason::Quote | BadReason::Encoding | BadReason::Json
            );
        BadRow {
            file: self.files[block.file].clone(),
            line: match self.layout {
                Layout::Csv | Layout::JsonLines => self.lines + u64::from(record.line) + 1,
                Layout::Parquet => 0,
            },
            record: self.records + u64::from(record.index) + 1,
            byte: block.byte + u64::from(record.start),
            column: bad.column.clone(),
            reason: bad.reason,
            expected: bad.expected.clone(),
            found: if hidden {
                "***".to_owned()
            } else {
                bad.found.clone()
            },
            raw: block.text()[record.start as usize..record.end as usize].to_vec(),
        }
    }

    pub(crate) fn too_long(&self, record: &Record, block: &Block, limit: u64) -> TabularError {
        TabularError::RecordTooLong {
            file: self.files[block.file].clone(),
            layout: self.layout,
            record: self.records + u64::from(record.index) + 1,
            line: self.lines + u64::from(record.line) + 1,
            byte: block.byte + u64::from(record.start),
            limit,
        }
    }
}
