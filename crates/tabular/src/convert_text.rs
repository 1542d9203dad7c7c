//! To text: the same bytes in another wrapper, canonical CSV, or JSON Lines.

use std::collections::HashSet;

use crate::arrangement::{Arranged, Arrangement, From};
use crate::arrow_columns::Rule;
use crate::blocks::Block;
use crate::convert::{ConvertJob, Written};
use crate::convert_parts::{Outputs, TextParts, finish_all, split_rows};
use crate::csv_text;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::format::Layout;
use crate::json_text::{self, CellAs, JsonObject};
use crate::label::check_labelled;
use crate::passthrough::pass_through;
use crate::progress::Progress;
use crate::records::{Rows, Span};
use crate::refusals::Refusals;
use crate::rows::Pass;
use crate::scan::{ScanOptions, Typing, hold_to, scan, text_schema};
use crate::schema::{ColumnType, Schema};

/// Copies the text; it is parsed only to find bad rows, and not even that where it has none at a
/// glance.
pub(crate) fn verbatim(
    job: &ConvertJob,
    outputs: Outputs,
    refusals: &mut Refusals,
    progress: &dyn Progress,
) -> Result<Written, TabularError> {
    match pass_through(job, &outputs, progress)? {
        Some(written) => {
            refusals.total += written.rows;
            Ok(written)
        }
        None => without_bad_rows(job, outputs, refusals, progress),
    }
}

/// Copies the text block by block, bad rows taken out.
fn without_bad_rows(
    job: &ConvertJob,
    outputs: Outputs,
    refusals: &mut Refusals,
    progress: &dyn Progress,
) -> Result<Written, TabularError> {
    let mut options = job.options.clone();
    if options.typing == Typing::Infer {
        // What the keys of JSON are does not matter here.
        options.keys = Some(Vec::new());
    }
    let pass = Pass::open(&job.inputs, &options)?;
    let rules = options.contract_rules(pass.names(), &job.inputs[0].name)?;
    let (width, dialect) = (pass.names().len(), pass.dialect());
    let mut parts = TextParts::new(outputs, Vec::new(), None, None);
    let check = |block: &Block, rows: &mut Rows| hold_to(&rules, rows, block, width, &dialect);
    pass.run(refusals, progress, check, |taken| {
        let text = taken.block.text_read();
        let mut from = 0;
        for bad in &taken.rows.bad {
            parts.write_whole(&text[from..bad.record.start as usize], 0)?;
            from = after_line_end(text, bad.record.end as usize);
        }
        parts.write_whole(&text[from..], taken.rows.records.len() as u64)
    })?;
    refusals.finish()?;
    Ok(Written {
        rows: parts.rows,
        unlabelled: 0,
        files: finish_all(vec![parts.close()?])?,
        schema: None,
        split: Vec::new(),
    })
}

fn after_line_end(text: &[u8], at: usize) -> usize {
    match text.get(at..) {
        Some([b'\r', b'\n', ..]) => at + 2,
        Some([_, ..]) => at + 1,
        _ => text.len(),
    }
}

/// A block's rows as the text of one part; `ends` only where parts are cut.
#[derive(Default)]
struct Text {
    text: Vec<u8>,
    ends: Vec<usize>,
    rows: u64,
}

/// A block's rows as text, part by part.
struct Formatted {
    parts: Vec<Text>,
    unlabelled: u64,
}

/// Rewrites each row, with the columns chosen.
pub(crate) fn to_text(
    job: &ConvertJob,
    outputs: Outputs,
    refusals: &mut Refusals,
    progress: &dyn Progress,
) -> Result<Written, TabularError> {
    let (schema, options) = types_of(job, progress)?;
    let pass = Pass::open(&job.inputs, &options)?;
    let arrangement = Arrangement::new(job, &pass)?;
    pass.check_text(arrangement.written())?;
    let writer = RowWriter::new(job, &arrangement, &pass, schema.as_ref())?;
    let header = writer.header(job, &arrangement);
    let mut parts: Vec<TextParts> = outputs
        .split(job.split.as_ref())?
        .into_iter()
        .map(|outputs| TextParts::new(outputs, header.clone(), job.max_rows, job.max_bytes))
        .collect();
    let (cuts, count) = (parts[0].cuts(), parts.len());
    let format = |block: &Block, rows: &mut Rows| {
        hold_to(&writer.held, rows, block, writer.width, &writer.dialect);
        let arranged = arrangement.arrange(block, rows);
        writer.format(block, rows, &arranged, count, cuts)
    };
    let mut unlabelled = 0;
    pass.run(refusals, progress, format, |taken| {
        unlabelled += taken.value.unlabelled;
        for (part, text) in parts.iter_mut().zip(taken.value.parts) {
            if cuts {
                part.write_rows(&text.text, &text.ends)?;
            } else {
                part.write_whole(&text.text, text.rows)?;
            }
        }
        Ok(())
    })?;
    refusals.finish()?;
    let rows = parts.iter().map(|part| part.rows).sum();
    check_labelled(job.label.as_ref(), &job.inputs[0].name, rows, unlabelled)?;
    let split = split_rows(job.split.as_ref(), parts.iter().map(|part| part.rows));
    let closed: Result<Vec<Outputs>, TabularError> =
        parts.into_iter().map(TextParts::close).collect();
    Ok(Written {
        rows,
        unlabelled,
        files: finish_all(closed?)?,
        schema: None,
        split,
    })
}

/// JSON is typed: the types of CSV's columns are found by a pass of its own. The options know them
/// and the columns then.
fn types_of(
    job: &ConvertJob,
    progress: &dyn Progress,
) -> Result<(Option<Schema>, ScanOptions), TabularError> {
    let options = job.options.clone();
    if job.to.layout == Layout::Csv || job.inputs[0].layout != Layout::Csv {
        return Ok((None, options));
    }
    let schema = match &options.typing {
        Typing::Infer => scan(&job.inputs, &options, progress)?.schema,
        Typing::Text => {
            let pass = Pass::open(&job.inputs, &options)?;
            text_schema(pass.names(), &options.null_tokens)
        }
        Typing::Contract(schema) => schema.clone(),
    };
    Ok((Some(schema), options))
}

/// Writes rows in the output's layout.
struct RowWriter {
    cells: Cells,
    columns: Vec<From>,
    /// Numbers of the label.
    labels: Vec<String>,
    /// Rules that rows are held to: those of a contract, and of types that JSON relies on.
    held: Vec<Rule>,
    width: usize,
    dialect: Dialect,
}

enum Cells {
    Csv,
    Json(JsonObject, Vec<CellAs>),
}

impl RowWriter {
    fn new(
        job: &ConvertJob,
        arrangement: &Arrangement,
        pass: &Pass,
        schema: Option<&Schema>,
    ) -> Result<Self, TabularError> {
        let file = &job.inputs[0].name;
        let mut held = job.options.contract_rules(pass.names(), file)?;
        let cells = match job.to.layout {
            Layout::Csv | Layout::Parquet => Cells::Csv,
            Layout::JsonLines => {
                let object = JsonObject::new(&arrangement.names(), pass.dialect());
                let cells = json_cells(job, arrangement, pass, schema, &mut held);
                Cells::Json(object, cells)
            }
        };
        let labels = arrangement.labeller.as_ref();
        Ok(Self {
            cells,
            columns: arrangement.columns.iter().map(|c| c.from).collect(),
            labels: labels.map(|l| l.values.clone()).unwrap_or_default(),
            held,
            width: pass.names().len(),
            dialect: pass.dialect(),
        })
    }

    /// The line before the rows of each part.
    fn header(&self, job: &ConvertJob, arrangement: &Arrangement) -> Vec<u8> {
        match self.cells {
            Cells::Csv if job.output_header => csv_text::header(&arrangement.names()),
            _ => Vec::new(),
        }
    }

    fn format(
        &self,
        block: &Block,
        rows: &Rows,
        arranged: &Arranged,
        count: usize,
        cuts: bool,
    ) -> Formatted {
        let text = block.text();
        let mut parts: Vec<Text> = (0..count).map(|_| Text::default()).collect();
        parts[0]
            .text
            .reserve(text.len() / count + rows.records.len());
        for (row, spans) in rows.spans.chunks_exact(self.width).enumerate() {
            let label = arranged.labels.get(row).map(|&place| usize::from(place));
            let part = &mut parts[arranged.part(row)];
            self.row(&mut part.text, spans, text, label);
            part.rows += 1;
            if cuts {
                part.ends.push(part.text.len());
            }
        }
        Formatted {
            parts,
            unlabelled: arranged.unlabelled,
        }
    }

    #[inline]
    fn row(&self, out: &mut Vec<u8>, spans: &[Span], block: &[u8], label: Option<usize>) {
        let label = label.map_or("", |place| self.labels[place].as_str());
        match &self.cells {
            Cells::Csv => self.csv_row(out, spans, block, label),
            Cells::Json(object, cells) => {
                for (i, (column, cell_as)) in self.columns.iter().zip(cells).enumerate() {
                    object.key(out, i);
                    match column {
                        From::Label => json_text::number(out, label.as_bytes()),
                        From::Column(place) => object.cell(out, cell_as, spans[*place], block),
                    }
                }
                JsonObject::end(out);
            }
        }
    }

    #[inline]
    fn csv_row(&self, out: &mut Vec<u8>, spans: &[Span], block: &[u8], label: &str) {
        let start = out.len();
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            match column {
                From::Label => out.extend_from_slice(label.as_bytes()),
                From::Column(place) => csv_text::cell(out, spans[*place], block, &self.dialect),
            }
        }
        csv_text::end_record(out, start);
    }
}

/// How each column of the output is written as JSON. A source without types has them found; its rows
/// are then held to them, since the input may have changed in between.
fn json_cells(
    job: &ConvertJob,
    arrangement: &Arrangement,
    pass: &Pass,
    schema: Option<&Schema>,
    held: &mut Vec<Rule>,
) -> Vec<CellAs> {
    let places = schema.map(Schema::places);
    let mut known: HashSet<usize> = held.iter().map(|h| h.index).collect();
    let cell = |from: &From| {
        let From::Column(place) = *from else {
            return CellAs::Own;
        };
        let name = &pass.names()[place];
        let at = places.as_ref().and_then(|p| p.get(name.as_str()));
        let column = schema.and_then(|s| at.map(|&i| s.columns[i].clone()));
        match column {
            None if schema.is_none() => CellAs::Own,
            column => {
                let column = column.unwrap_or_else(|| {
                    crate::schema::Column::new(name.clone(), ColumnType::String)
                });
                let rule = Rule::new(place, column, &job.options.null_tokens);
                if rule.column.column_type != ColumnType::String && known.insert(place) {
                    held.push(rule.clone());
                }
                CellAs::Typed(Box::new(rule))
            }
        }
    };
    let columns: Vec<From> = arrangement.columns.iter().map(|c| c.from).collect();
    columns.iter().map(cell).collect()
}
