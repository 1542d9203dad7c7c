//! CSV to CSV: the same bytes in another wrapper, or canonical text.

use crate::blocks::Block;
use crate::convert::{ConvertJob, Written, columns};
use crate::convert_parts::{Outputs, TextParts};
use crate::csv_text;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::progress::Progress;
use crate::records::Rows;
use crate::rows::{Pass, Refusals};
use crate::scan::hold_to;

/// Copies the text block by block; it is parsed only to find bad rows and to count.
pub(crate) fn verbatim(
    job: &ConvertJob,
    outputs: Outputs,
    refusals: &mut Refusals,
    progress: &dyn Progress,
) -> Result<Written, TabularError> {
    let pass = Pass::open(&job.inputs, &job.options)?;
    let rules = job
        .options
        .contract_rules(pass.names(), &job.inputs[0].name)?;
    let (width, dialect) = (pass.names().len(), job.options.dialect);
    let mut parts = TextParts::new(outputs, Vec::new(), None, None);
    let check =
        |block: &Block, rows: &mut Rows| hold_to(&rules, rows, block.text(), width, &dialect);
    pass.run(refusals, progress, check, |taken| {
        let text = taken.block.text();
        let mut from = 0;
        for bad in &taken.rows.bad {
            parts.write_whole(&text[from..bad.record.start as usize], 0)?;
            from = after_line_end(text, bad.record.end as usize);
        }
        parts.write_whole(&text[from..], taken.rows.records.len() as u64)
    })?;
    refusals.finish()?;
    Ok((parts.rows, parts.finish()?, None))
}

fn after_line_end(text: &[u8], at: usize) -> usize {
    match text.get(at..) {
        Some([b'\r', b'\n', ..]) => at + 2,
        Some([_, ..]) => at + 1,
        _ => text.len(),
    }
}

/// A block's rows as canonical text; `ends` only where parts are cut.
struct Text {
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// Rewrites each row as canonical text, with the columns chosen.
pub(crate) fn to_csv(
    job: &ConvertJob,
    outputs: Outputs,
    refusals: &mut Refusals,
    progress: &dyn Progress,
) -> Result<Written, TabularError> {
    let pass = Pass::open(&job.inputs, &job.options)?;
    let rules = job
        .options
        .contract_rules(pass.names(), &job.inputs[0].name)?;
    let columns = columns(job, pass.names())?;
    let (width, dialect) = (pass.names().len(), job.options.dialect);
    let names: Vec<String> = columns.iter().map(|(_, name)| name.clone()).collect();
    let header = if job.output_header {
        csv_text::header(&names)
    } else {
        Vec::new()
    };
    let mut parts = TextParts::new(outputs, header, job.max_rows, job.max_bytes);
    let order: Vec<usize> = columns.iter().map(|(i, _)| *i).collect();
    let cuts = parts.cuts();
    let format = |block: &Block, rows: &mut Rows| {
        hold_to(&rules, rows, block.text(), width, &dialect);
        canonical(rows, block.text(), width, &order, &dialect, cuts)
    };
    pass.run(refusals, progress, format, |taken| {
        let Text { text, ends } = taken.value;
        if cuts {
            parts.write_rows(&text, &ends)
        } else {
            parts.write_whole(&text, taken.rows.records.len() as u64)
        }
    })?;
    refusals.finish()?;
    Ok((parts.rows, parts.finish()?, None))
}

fn canonical(
    rows: &Rows,
    block: &[u8],
    width: usize,
    order: &[usize],
    dialect: &Dialect,
    cuts: bool,
) -> Text {
    let mut text = Vec::with_capacity(block.len() + rows.records.len());
    let mut ends = Vec::new();
    for spans in rows.spans.chunks_exact(width) {
        let start = text.len();
        for (i, column) in order.iter().enumerate() {
            if i > 0 {
                text.push(b',');
            }
            csv_text::cell(&mut text, spans[*column], block, dialect);
        }
        csv_text::end_record(&mut text, start);
        if cuts {
            ends.push(text.len());
        }
    }
    Text { text, ends }
}
