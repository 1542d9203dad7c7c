//! Rows of a block to the text or the columns of a shard, and the columns of its sidecar.

use std::collections::BTreeMap;

use arrow_array::ArrayRef;
use arrow_schema::Field;

use crate::arrow_columns::{Cells, Filled, Rule, array};
use crate::bad_rows::BadReason;
use crate::blocks::Block;
use crate::csv_text;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::format::Layout;
use crate::json_text::{CellAs, JsonObject};
use crate::records::{BadRecord, Rows, Span, excerpt, unescape};
use crate::rows::Pass;
use crate::scan::{Typing, hold_to, places};
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
    lines: Lines,
}

/// What rows become.
enum Lines {
    Csv,
    Json(JsonObject, Vec<CellAs>),
    /// Nothing: they are columns.
    None,
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
    pub(crate) fn new(job: &ShardJob<'_>, pass: &Pass) -> Result<Self, TabularError> {
        let names = pass.names();
        if job.select.is_empty() {
            return Err(TabularError::Options(
                "select: expected at least one column for the model".into(),
            ));
        }
        check_format(job)?;
        let file = &job.inputs[0].name;
        // Types that the source has itself stay as they are.
        let own = match job.scan.typing {
            Typing::Infer => pass.fields(),
            Typing::Text | Typing::Contract(_) => None,
        };
        let pick = |wanted: &[String]| -> Result<Vec<Rule>, TabularError> {
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            let known: Vec<String> = job.schema.columns.iter().map(|c| c.name.clone()).collect();
            let columns = places(&wanted, &known, file)?;
            let at = places(&wanted, names, file)?;
            let rule = |(c, i): (usize, usize)| {
                Rule::new(i, job.schema.columns[c].clone(), &job.scan.null_tokens).with_native(own)
            };
            Ok(columns.into_iter().zip(at).map(rule).collect())
        };
        let (select, sidecar) = (pick(&job.select)?, pick(&job.sidecar)?);
        pass.check_text(select.iter().chain(&sidecar).map(|rule| rule.index))?;
        let longest = job.max_record_bytes.unwrap_or(u64::MAX).min(job.max_bytes);
        Ok(Self {
            fields: sidecar.iter().map(Rule::field).collect(),
            lines: lines(job, pass, &select),
            select,
            sidecar,
            contract: job.scan.contract_rules(names, file)?,
            null: job.null.clone().into_bytes(),
            longest: usize::try_from(longest).unwrap_or(usize::MAX),
            width: names.len(),
            dialect: pass.dialect(),
        })
    }

    /// The columns of a shard, if it is one of columns.
    pub(crate) fn columns(&self) -> Option<Vec<Field>> {
        let fields = self.select.iter().map(Rule::field);
        matches!(self.lines, Lines::None).then(|| fields.collect())
    }

    /// Formats the rows and moves those that cannot be taken to the bad ones.
    pub(crate) fn format(&self, block: &Block, rows: &mut Rows) -> Result<Formatted, TabularError> {
        hold_to(&self.contract, rows, block, self.width, &self.dialect);
        loop {
            let mut bad = BTreeMap::new();
            let cells = Cells {
                rows,
                block,
                width: self.width,
                dialect: &self.dialect,
            };
            let body = match self.lines {
                Lines::None => {
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
            let length = |rule: &Rule| spans[rule.index].bytes(cells.block.text()).len();
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
            match &self.lines {
                Lines::Json(object, cells) => self.json(&mut text, spans, block, object, cells),
                Lines::Csv | Lines::None => {
                    if let Some((rule, raw)) = self.csv(&mut text, spans, block) {
                        let found = if rule.column.sensitive {
                            "***".to_owned()
                        } else {
                            excerpt(raw)
                        };
                        let column = Some(rule.column.name.clone());
                        let expected =
                            "a cell without a line end, as rows are split at them".to_owned();
                        refuse(BadReason::Newline, column, expected, found);
                    }
                }
            }
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

    /// Appends a line; gives the first cell that has a line end in it.
    #[inline]
    fn csv<'a>(
        &self,
        text: &mut Vec<u8>,
        spans: &[Span],
        block: &'a [u8],
    ) -> Option<(&Rule, &'a [u8])> {
        let start = text.len();
        let mut torn = None;
        for (i, rule) in self.select.iter().enumerate() {
            if i > 0 {
                text.push(b',');
            }
            let span = spans[rule.index];
            let raw = span.bytes(block);
            if span.is_quoted() && memchr::memchr2(b'\n', b'\r', raw).is_some() {
                torn = torn.or(Some((rule, raw)));
            }
            self.cell(text, rule, span, raw);
        }
        csv_text::end_record(text, start);
        torn
    }

    fn json(
        &self,
        text: &mut Vec<u8>,
        spans: &[Span],
        block: &[u8],
        object: &JsonObject,
        cells: &[CellAs],
    ) {
        for (i, (rule, cell_as)) in self.select.iter().zip(cells).enumerate() {
            object.key(text, i);
            object.cell(text, cell_as, spans[rule.index], block);
        }
        JsonObject::end(text);
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
        let Filled { array, refused, .. } = array(rule, cells)?;
        for (row, record) in refused {
            bad.entry(row).or_insert(record);
        }
        arrays.push(array);
    }
    Ok(arrays)
}

/// How rows are written: cells of a source without types by the schema's, as JSON has types.
fn lines(job: &ShardJob<'_>, pass: &Pass, select: &[Rule]) -> Lines {
    let own = job.inputs[0].layout != Layout::Csv;
    match job.format.layout {
        Layout::Csv => Lines::Csv,
        Layout::Parquet => Lines::None,
        Layout::JsonLines => {
            let names: Vec<String> = select.iter().map(|r| r.column.name.clone()).collect();
            let cell = |rule: &Rule| match own {
                true => CellAs::Own,
                false => CellAs::Typed(Box::new(rule.clone())),
            };
            let cells = select.iter().map(cell).collect();
            Lines::Json(JsonObject::new(&names, pass.dialect()), cells)
        }
    }
}

/// Refuses columns that a reader of Parquet or JSON could not tell apart.
fn check_format(job: &ShardJob<'_>) -> Result<(), TabularError> {
    if job.format.layout == Layout::Csv {
        return Ok(());
    }
    let mut names = job.select.iter().enumerate();
    match names.find(|(i, name)| job.select[..*i].contains(name)) {
        Some((_, name)) => Err(TabularError::Options(format!(
            "select: column {name:?} is there twice, which a {} shard cannot hold",
            job.format.layout.name()
        ))),
        None => Ok(()),
    }
}
