//! `inspect`.

use std::fmt::Write;
use std::path::Path;

use gristmill_runner::{ExitCode, RunError};
use gristmill_tabular::inspect_parquet::ParquetInspection;
use gristmill_tabular::{CsvInspection, InspectOptions, Inspection, inspect as look};

use crate::answer::{Printer, printable};
use crate::args::InspectArgs;
use crate::commands::convert::{dialect_of, read_sample};
use crate::commands::threads;
use crate::view::grouped;

pub(crate) fn inspect(args: &InspectArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let given = args.csv.delimiter.is_some()
        || args.csv.quote.is_some()
        || args.csv.escape.is_some()
        || args.csv.comment.is_some()
        || args.csv.header != crate::args::Header::Yes;
    let options = InspectOptions {
        dialect: if given {
            Some(dialect_of(&args.csv, &read_sample(&args.file)?))
        } else {
            None
        },
        null_tokens: args.csv.null.clone(),
        first_rows: args.rows,
        threads: threads(args.csv.threads),
    };
    let found = look(&args.file, &options, &())?;
    let value = serde_json::to_value(&found).map_err(|e| RunError::bug(e.to_string()))?;
    let mut text = String::new();
    let described = match &found {
        Inspection::Csv(csv) => describe_csv(&mut text, &args.file, csv),
        Inspection::Parquet(parquet) => describe_parquet(&mut text, &args.file, parquet),
    };
    described.map_err(|e| RunError::bug(e.to_string()))?;
    printer.answer(&text, &value);
    Ok(ExitCode::Success)
}

fn describe_csv(out: &mut String, path: &Path, csv: &CsvInspection) -> std::fmt::Result {
    writeln!(out, "{}: CSV, {} bytes", path.display(), grouped(csv.bytes))?;
    let wrapper = serde_json::to_value(csv.compression).unwrap_or_default();
    if wrapper != "none" {
        writeln!(
            out,
            "compression  {}, {} bytes of text",
            wrapper.as_str().unwrap_or_default(),
            grouped(csv.text_bytes)
        )?;
    }
    if let Some(f) = &csv.framing {
        let chunks = f.compressed_chunks + f.uncompressed_chunks;
        writeln!(
            out,
            "framing      {} streams, {} chunks, all checksums agree",
            f.streams,
            grouped(chunks)
        )?;
    }
    let d = &csv.dialect;
    let header = if d.header { "a header" } else { "no header" };
    writeln!(
        out,
        "dialect      delimiter {:?}, quote {:?}, {header} (confidence {:.2})",
        char::from(d.delimiter),
        char::from(d.quote),
        csv.confidence
    )?;
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
    let width = csv
        .schema
        .columns
        .iter()
        .map(|c| c.name.chars().count())
        .max()
        .unwrap_or(0);
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
    if let Some(by) = &parquet.created_by {
        writeln!(out, "created by   {}", printable(by))?;
    }
    writeln!(
        out,
        "rows         {} in {} row groups",
        grouped(parquet.rows),
        parquet.row_groups.len()
    )?;
    writeln!(out, "columns      {}", parquet.columns.len())?;
    let width = parquet
        .columns
        .iter()
        .map(|c| c.name.chars().count())
        .max()
        .unwrap_or(0);
    for c in &parquet.columns {
        let logical = c
            .logical_type
            .as_ref()
            .map(|l| format!(" ({l})"))
            .unwrap_or_default();
        let nulls = c
            .nulls
            .map(|n| format!(", {} nulls", grouped(n)))
            .unwrap_or_default();
        writeln!(
            out,
            "  {:<width$}  {}{logical}, {}, {}, {} of {} bytes{nulls}",
            printable(&c.name),
            c.physical_type,
            c.codecs.join("+"),
            c.encodings.join("+"),
            grouped(c.compressed_bytes),
            grouped(c.uncompressed_bytes),
        )?;
    }
    rows(out, &parquet.first_rows)
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
