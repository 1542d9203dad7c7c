//! The steps of a conversion, each alone and on the caller's thread, for `benches/steps.py`. No part
//! of the interface.
//!
//! Text here is comma-separated records from a record's start on, without a header.

use arrow_array::ArrayRef;

use crate::arrow_columns::{Cells, Rule, array};
use crate::blocks::Block;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::infer::{CSV_QUOTED, observe};
use crate::parser::{ParseLimits, parse};
use crate::record_ends::last_record_end;
use crate::records::Rows;
use crate::schema::Schema;
use crate::structure::LANE;

/// Text as a worker gets it.
#[derive(Debug)]
pub struct Text(Block);

/// The records of a [`Text`].
#[derive(Debug)]
pub struct Records(Rows);

/// After the last record end in `text`, if there is one.
pub fn cut(text: &[u8]) -> Option<usize> {
    last_record_end(text, &Dialect::default())
}

impl Text {
    /// Text of whole records.
    pub fn new(text: Vec<u8>) -> Self {
        Self(Block::of_text(text))
    }

    /// Finds all bytes that give structure; how many there are.
    pub fn index(&self) -> u64 {
        let marks = Dialect::default().marks();
        let (lanes, tail) = self.0.text().as_chunks::<LANE>();
        let whole: u64 = lanes.iter().map(|l| ones(marks.mask(l))).sum();
        whole + ones(marks.mask_tail(tail))
    }

    /// Whether it is all UTF-8.
    pub fn is_utf8(&self) -> bool {
        simdutf8::basic::from_utf8(self.0.text()).is_ok()
    }

    /// Finds records and fields, indexing included.
    pub fn records(&self, width: usize) -> Records {
        let limits = ParseLimits {
            fields: Some(width),
            ..ParseLimits::default()
        };
        Records(parse(self.0.text(), 0, &Dialect::default(), &limits))
    }
}

fn ones(mask: u64) -> u64 {
    u64::from(mask.count_ones())
}

impl Records {
    /// Looks at each cell for the types of the columns, as the first pass does; how many columns
    /// there are.
    pub fn infer(&self, text: &Text, width: usize) -> usize {
        observe(
            &self.0,
            text.0.text(),
            width,
            &Dialect::default(),
            &[],
            CSV_QUOTED,
        )
        .len()
    }

    /// Turns the cells into columns of the schema, as the second pass does.
    pub fn convert(&self, text: &Text, schema: &Schema) -> Result<Vec<ArrayRef>, TabularError> {
        let cells = Cells {
            rows: &self.0,
            block: &text.0,
            width: schema.columns.len(),
            dialect: &Dialect::default(),
        };
        let columns = schema.columns.iter().enumerate();
        columns
            .map(|(i, column)| Ok(array(&Rule::new(i, column.clone(), &[]), cells)?.array))
            .collect()
    }
}
