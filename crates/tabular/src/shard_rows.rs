//! Rows of a block to the text of a shard and the columns of its sidecar.

use std::collections::BTreeMap;

use arrow_array::ArrayRef;
use arrow_schema::Field;

use crate::arrow_columns::{Cells, Rule, array};
use crate::bad_rows::BadReason;
use crate::blocks::Block;
use crate::csv_text;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::records::{BadRecord, Rows, Span, excerpt, unescape};
use crate::scan::{hold_to, places};
use crate::shard::ShardJob;

/// Which cells go where.
pub(crate) struct RowPlan {
    select: Vec<Rule>,
    sidecar: Vec<Rule>,
    contract: Vec<Rule>,
    /// Of the sidecar, after its place columns.
    pub(crate) fields: Vec<Field>,
    null: Vec<u8>,
    longest: usize,
    width: usize,
    dialect: Dialect,
}

/// A block's accepted rows, ready to be written.
pub(crate) struct Formatted {
    pub(crate) text: Vec<u8>,
    /// After each row's line end, in `text`.
    pub(crate) ends: Vec<usize>,
    /// The sidecar columns.
    pub(crate) sidecar: Result<Vec<ArrayRef>, TabularError>,
}

impl RowPlan {
    pub(crate) fn new(job: &ShardJob<'_>, names: &[String]) -> Result<Self, TabularError> {
        if job.select.is_empty() {
            return Err(TabularError::Options(
                "select: expected at least one column for the model".into(),
            ));
        }
        let file = &job.inputs[0].name;
        let pick = |wanted: &[String]| -> Result<Vec<Rule>, TabularError> {
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            let known: Vec<String> = job.schema.columns.iter().map(|c| c.name.clone()).collect();
            let columns = places(&wanted, &known, file)?;
            let at = places(&wanted, names, file)?;
            let rule = |(c, i): (usize, usize)| {
                Rule::new(i, job.schema.columns[c].clone(), &job.scan.null_tokens)
            };
            Ok(columns.into_iter().zip(at).map(rule).collect())
        };
        let (select, sidecar) = (pick(&job.select)?, pick(&job.sidecar)?);
        let longest = job.max_record_bytes.unwrap_or(u64::MAX).min(job.max_bytes);
        Ok(Self {
            fields: sidecar.iter().map(|r| r.column.to_arrow()).collect(),
            select,
            sidecar,
            contract: job.scan.contract_rules(names, file)?,
            null: job.null.clone().into_bytes(),
            longest: usize::try_from(longest).unwrap_or(usize::MAX),
            width: names.len(),
            dialect: job.scan.dialect,
        })
    }

    /// Formats the rows and moves those that cannot be taken to the bad ones.
    pub(crate) fn format(&self, block: &Block, rows: &mut Rows) -> Formatted {
        hold_to(&self.contract, rows, block, self.width, &self.dialect);
        loop {
            let mut bad = BTreeMap::new();
            let (text, ends) = self.text(rows, block.text(), &mut bad);
            let sidecar = self.arrays(rows, block, &mut bad);
            if bad.is_empty() || sidecar.is_err() {
                return Formatted {
                    text,
                    ends,
                    sidecar,
                };
            }
            rows.refuse(bad.into_iter().collect(), self.width);
        }
    }

    fn arrays(
        &self,
        rows: &Rows,
        block: &Block,
        bad: &mut BTreeMap<usize, BadRecord>,
    ) -> Result<Vec<ArrayRef>, TabularError> {
        let cells = Cells {
            rows,
            block,
            width: self.width,
            dialect: &self.dialect,
        };
        let mut arrays = Vec::with_capacity(self.sidecar.len());
        for rule in &self.sidecar {
            let (array, refused) = array(rule, cells)?;
            for (row, record) in refused {
                bad.entry(row).or_insert(record);
            }
            arrays.push(array);
        }
        Ok(arrays)
    }

    fn text(
        &self,
        rows: &Rows,
        block: &[u8],
        bad: &mut BTreeMap<usize, BadRecord>,
    ) -> (Vec<u8>, Vec<usize>) {
        let mut text = Vec::with_capacity(block.len());
        let mut ends = Vec::with_capacity(rows.records.len());
        for (row, record) in rows.records.iter().enumerate() {
            let start = text.len();
            let spans = &rows.spans[row * self.width..(row + 1) * self.width];
            let mut refuse = |reason, column: Option<String>, expected: String, found: String| {
                let record = *record;
                bad.entry(row).or_insert(BadRecord {
                    record,
                    column,
                    reason,
                    expected,
                    found,
                });
            };
            for (i, rule) in self.select.iter().enumerate() {
                if i > 0 {
                    text.push(b',');
                }
                let span = spans[rule.index];
                let raw = span.bytes(block);
                if span.is_quoted() && memchr::memchr2(b'\n', b'\r', raw).is_some() {
                    let found = if rule.column.sensitive {
                        "***".to_owned()
                    } else {
                        excerpt(raw)
                    };
                    let expected =
                        "a cell without a line end, as rows are split at them".to_owned();
                    refuse(
                        BadReason::Newline,
                        Some(rule.column.name.clone()),
                        expected,
                        found,
                    );
                }
                self.cell(&mut text, rule, span, raw);
            }
            csv_text::end_record(&mut text, start);
            let length = text.len() - start;
            if length > self.longest {
                let expected = format!("a row of at most {} bytes with its line end", self.longest);
                refuse(
                    BadReason::TooLong,
                    None,
                    expected,
                    format!("{length} bytes"),
                );
            }
            ends.push(text.len());
        }
        (text, ends)
    }

    /// A cell's own text; a text that reads as the null of the shard is quoted to tell it apart.
    #[inline]
    fn cell(&self, out: &mut Vec<u8>, rule: &Rule, span: Span, raw: &[u8]) {
        let mut unescaped = Vec::new();
        let mut text = raw;
        if span.is_escaped() {
            unescape(raw, &self.dialect, &mut unescaped);
            text = &unescaped;
        }
        if rule.is_null(span, text) {
            out.extend_from_slice(&self.null);
        } else if text == self.null.as_slice() {
            csv_text::quoted(out, text);
        } else {
            csv_text::field(out, text, true);
        }
    }
}
