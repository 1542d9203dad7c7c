//! Rows of a block to the text or the columns of a shard, and the columns of its sidecar.

use std::collections::BTreeMap;

use arrow_array::ArrayRef;
use arrow_schema::Field;

use crate::arrow_columns::{Cells, Rule, array};
use crate::bad_rows::BadReason;
use crate::blocks::Block;
use crate::csv_text;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::format::{Format, Layout};
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
    layout: Layout,
}

/// A block's accepted rows, ready to be written.
pub(crate) struct Formatted {
    pub(crate) body: Body,
    /// The sidecar columns after those of the place.
    pub(crate) carried: Vec<ArrayRef>,
}

/// What goes into the shard.
pub(crate) enum Body {
    Text(Text),
    /// The selected columns, typed.
    Columns(Vec<ArrayRef>),
}

/// Rows as lines.
pub(crate) struct Text {
    pub(crate) text: Vec<u8>,
    /// After each row's line end, in `text`.
    pub(crate) ends: Vec<usize>,
}

impl RowPlan {
    pub(crate) fn new(job: &ShardJob<'_>, names: &[String]) -> Result<Self, TabularError> {
        if job.select.is_empty() {
            return Err(TabularError::Options(
                "select: expected at least one column for the model".into(),
            ));
        }
        check_format(job)?;
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
            layout: job.format.layout,
        })
    }

    /// The columns of a shard, if it is one of columns.
    pub(crate) fn columns(&self) -> Option<Vec<Field>> {
        let fields = self.select.iter().map(|r| r.column.to_arrow());
        (self.layout == Layout::Parquet).then(|| fields.collect())
    }

    /// Formats the rows and moves those that cannot be taken to the bad ones.
    pub(crate) fn format(&self, block: &Block, rows: &mut Rows) -> Result<Formatted, TabularError> {
        hold_to(
            &self.contract,
            rows,
            block.text(),
            self.width,
            &self.dialect,
        );
        loop {
            let mut bad = BTreeMap::new();
            let cells = Cells {
                rows,
                block: block.text(),
                width: self.width,
                dialect: &self.dialect,
            };
            let body = match self.layout {
                Layout::Parquet => {
                    self.refuse_long(cells, &mut bad);
                    Body::Columns(arrays(&self.select, cells, &mut bad)?)
                }
                _ => Body::Text(self.text(rows, block.text(), &mut bad)),
            };
            let carried = arrays(&self.sidecar, cells, &mut bad)?;
            if bad.is_empty() {
                return Ok(Formatted { body, carried });
            }
            rows.refuse(bad.into_iter().collect(), self.width);
        }
    }

    /// Rows whose selected cells are together longer than a shard may be. (Whether shorter ones fit
    /// is known when they are encoded.)
    fn refuse_long(&self, cells: Cells<'_>, bad: &mut BTreeMap<usize, BadRecord>) {
        for (row, record) in cells.rows.records.iter().enumerate() {
            // The cells of a record are no longer than it is.
            if (record.end - record.start) as usize <= self.longest {
                continue;
            }
            let spans = &cells.rows.spans[row * self.width..(row + 1) * self.width];
            let length = |rule: &Rule| spans[rule.index].bytes(cells.block).len();
            let length: usize = self.select.iter().map(length).sum();
            if length > self.longest {
                bad.entry(row).or_insert(BadRecord {
                    record: *record,
                    column: None,
                    reason: BadReason::TooLong,
                    expected: format!("a row of at most {} bytes in its cells", self.longest),
                    found: format!("{length} bytes"),
                });
            }
        }
    }

    fn text(&self, rows: &Rows, block: &[u8], bad: &mut BTreeMap<usize, BadRecord>) -> Text {
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
        Text { text, ends }
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

/// The columns of some rules; rows that one of them refuses are added to the bad ones.
fn arrays(
    rules: &[Rule],
    cells: Cells<'_>,
    bad: &mut BTreeMap<usize, BadRecord>,
) -> Result<Vec<ArrayRef>, TabularError> {
    let mut arrays = Vec::with_capacity(rules.len());
    for rule in rules {
        let (array, refused) = array(rule, cells)?;
        for (row, record) in refused {
            bad.entry(row).or_insert(record);
        }
        arrays.push(array);
    }
    Ok(arrays)
}

/// Refuses what is not written, and columns that a reader of Parquet could not tell apart.
fn check_format(job: &ShardJob<'_>) -> Result<(), TabularError> {
    match job.format.layout {
        Layout::Csv => Ok(()),
        Layout::JsonLines => Err(TabularError::Options(format!(
            "shards are not written as {} yet: choose {} or {}",
            job.format,
            Format::CSV,
            Format::PARQUET
        ))),
        Layout::Parquet => {
            let mut twice = job.select.iter().enumerate();
            let twice = twice.find(|(i, name)| job.select[..*i].contains(name));
            match twice {
                Some((_, name)) => Err(TabularError::Options(format!(
                    "select: column {name:?} is there twice, which a Parquet shard cannot hold"
                ))),
                None => Ok(()),
            }
        }
    }
}
