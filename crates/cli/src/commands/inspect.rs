//! `inspect`.

use std::fmt::Write;
use std::path::Path;

use gristmill_runner::{ExitCode, RunError};
use gristmill_tabular::inspect_parquet::ParquetInspection;
use gristmill_tabular::inspect_wrapper::Framing;
use gristmill_tabular::{
    Input, InspectOptions, Inspection, ScanOptions, TextInspection, inspect as look, scan,
};
use serde_json::json;

use crate::answer::{Printer, printable};
use crate::args_convert::InspectArgs;
use crate::commands::convert_inputs::{dialect_in_words, stated};
use crate::commands::threads;
use gristmill_runner::words::grouped;

pub(crate) fn inspect(args: &InspectArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let options = InspectOptions {
        dialect: stated(&args.csv),
        encoding: args.csv.encoding,
        null_tokens: args.csv.null.clone(),
        first_rows: args.rows,
        threads: threads(args.csv.threads),
    };
    let found = look(&args.file, &options, &())?;
    if args.contract {
        return write_contract(args, &found, printer);
    }
    let value = serde_json::to_value(&found).map_err(|e| RunError::bug(e.to_string()))?;
    let mut text = String::new();
    let described = match &found {
        Inspection::Csv(csv) => describe_text(&mut text, &args.file, "CSV", csv),
        Inspection::Jsonl(lines) => describe_text(&mut text, &args.file, "JSON Lines", lines),
        Inspection::Parquet(parquet) => describe_parquet(&mut text, &args.file, parquet),
    };
    described.map_err(|e| RunError::bug(e.to_string()))?;
    printer.answer(&text, &value);
    Ok(ExitCode::Success)
}

/// `--contract`: the columns as a contract's file, on standard output.
fn write_contract(
    args: &InspectArgs,
    found: &Inspection,
    printer: &Printer,
) -> Result<ExitCode, RunError> {
    let schema = match found {
        Inspection::Csv(text) | Inspection::Jsonl(text) => text.schema.clone(),
        Inspection::Parquet(_) => {
            let first = ScanOptions {
                limit_rows: Some(1),
                ..ScanOptions::default()
            };
            scan(&[Input::file(&args.file)], &first, &())?.schema
        }
    };
    let contract = gristmill_plan::contract_yaml(&gristmill_runner::contract_of(&schema));
    let columns = schema.columns.len();
    printer.answer(
        &contract,
        &json!({ "contract": contract, "columns": columns, "exit": ExitCode::Success.number() }),
    );
    Ok(ExitCode::Success)
}

fn describe_text(
    out: &mut String,
    path: &Path,
    kind: &str,
    csv: &TextInspection,
) -> std::fmt::Result {
    writeln!(
        out,
        "{}: {kind}, {} bytes",
        path.display(),
        grouped(csv.bytes)
    )?;
    let wrapper = serde_json::to_value(csv.compression).unwrap_or_default();
    if wrapper != "none" {
        writeln!(
            out,
            "compression  {}, {} bytes of text, ratio {:.2}",
            wrapper.as_str().unwrap_or_default(),
            grouped(csv.text_bytes),
            csv.text_bytes as f64 / csv.bytes as f64
        )?;
    }
    name_says(out, csv.name_says.as_deref(), csv.compression.in_words())?;
    if let Some(framing) = &csv.framing {
        writeln!(out, "framing      {}", framing_in_words(framing))?;
    }
    if let (Some(dialect), Some(confidence)) = (&csv.dialect, csv.confidence) {
        let words = dialect_in_words(dialect);
        writeln!(out, "dialect      {words} (confidence {confidence:.2})")?;
    }
    if let Some(parts) = &csv.confidences {
        writeln!(
            out,
            "  confidence delimiter {:.2}, quote {:.2}, escape {:.2}, comment {:.2}, skip-lines {:.2}, header {:.2}",
            parts.delimiter,
            parts.quote,
            parts.escape,
            parts.comment,
            parts.skip_lines,
            parts.header
        )?;
    }
    if let Some(options) = &csv.options {
        writeln!(out, "  options    {options}")?;
    }
    let bad: u64 = csv.bad_rows.values().sum();
    writeln!(
        out,
        "rows         {}, {} of them bad",
        grouped(csv.rows),
        grouped(bad)
    )?;
    for (reason, n) in &csv.bad_rows {
        writeln!(out, "  {:<11}{}", reason.name(), grouped(*n))?;
    }
    if let Some(first) = &csv.first_bad_row {
        writeln!(out, "  first      {}", printable(first))?;
    }
    writeln!(out, "columns      {}", csv.schema.columns.len())?;
    let width = width_of(csv.schema.columns.iter().map(|c| c.name.as_str()));
    for column in &csv.schema.columns {
        let null = if column.nullable { ", nullable" } else { "" };
        writeln!(
            out,
            "  {:<width$}  {}{null}",
            printable(&column.name),
            column.column_type
        )?;
    }
    rows(out, &csv.first_rows)
}

/// Where a file's name and its bytes do not agree.
fn name_says(out: &mut String, says: Option<&str>, found: &str) -> std::fmt::Result {
    match says {
        Some(says) => writeln!(
            out,
            "name         says {}, and the bytes are {found}",
            printable(says)
        ),
        None => Ok(()),
    }
}

fn framing_in_words(framing: &Framing) -> String {
    match framing {
        Framing::SnappyFramed(f) => format!(
            "{}, {}, the largest of {} bytes, all checksums agree",
            counted(f.streams, "stream"),
            counted(f.compressed_chunks + f.uncompressed_chunks, "chunk"),
            grouped(f.largest_chunk_bytes),
        ),
        Framing::SnappyHadoop(h) => format!(
            "{}, the largest of {} bytes, {}, {}; no checksums in this format",
            counted(h.blocks, "block"),
            grouped(h.largest_block_bytes),
            counted(h.chunks, "chunk"),
            counted(h.empty_blocks, "empty block"),
        ),
        Framing::Zstd(z) => format!(
            "{}, {} with a checksum, window of {} bytes{}",
            counted(z.frames, "frame"),
            grouped(z.checksums),
            grouped(z.largest_window_bytes),
            z.content_bytes
                .map(|n| format!(", headers say {} bytes", grouped(n)))
                .unwrap_or_default(),
        ),
    }
}

fn describe_parquet(
    out: &mut String,
    path: &Path,
    parquet: &ParquetInspection,
) -> std::fmt::Result {
    writeln!(
        out,
        "{}: Parquet, {} bytes",
        path.display(),
        grouped(parquet.bytes)
    )?;
    name_says(out, parquet.name_says.as_deref(), "a Parquet file")?;
    if let Some(by) = &parquet.created_by {
        writeln!(out, "created by   {}", printable(by))?;
    }
    writeln!(
        out,
        "rows         {} in {}",
        grouped(parquet.rows),
        counted(parquet.row_groups.len() as u64, "row group")
    )?;
    writeln!(out, "columns      {}", parquet.columns.len())?;
    let width = width_of(parquet.columns.iter().map(|c| c.name.as_str()));
    for c in &parquet.columns {
        let logical = c
            .logical_type
            .as_ref()
            .map(|l| format!(" ({l})"))
            .unwrap_or_default();
        let nulls = c
            .nulls
            .map(|n| format!(", {}", counted(n, "null")))
            .unwrap_or_default();
        write!(
            out,
            "  {:<width$}  {}{logical}",
            printable(&c.name),
            c.physical_type
        )?;
        if parquet.row_groups.is_empty() {
            writeln!(out)?;
            continue;
        }
        writeln!(
            out,
            ", {}, {}, {} of {} bytes{nulls}",
            c.codecs.join("+"),
            c.encodings.join("+"),
            grouped(c.compressed_bytes),
            grouped(c.uncompressed_bytes),
        )?;
    }
    if let Some(problem) = &parquet.first_rows_problem {
        writeln!(out, "first rows   not shown: {}", printable(problem))?;
    }
    rows(out, &parquet.first_rows)
}

/// The width that names are padded to; one that is longer sticks out.
fn width_of<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    const WIDEST: usize = 60;
    let longest = names.map(|name| name.chars().count()).max();
    longest.unwrap_or(0).min(WIDEST)
}

/// `1 chunk`, `2 chunks`.
fn counted(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(n))
}

fn rows(out: &mut String, rows: &[Vec<Option<String>>]) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "first rows")?;
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .map(|c| c.as_deref().map_or("∅".to_owned(), |t| format!("{t:?}")))
            .collect();
        writeln!(out, "  {}", cells.join("  "))?;
    }
    Ok(())
}
