//! The closing summary of a run, for people.

use std::fmt::Write;

use gristmill_runner::RunResult;
use gristmill_runner::words::{counted, grouped};

use crate::view::duration;

/// Stages in the order in which they run.
const ORDER: [&str; 5] = ["source", "shards", "transform", "assemble", "publish"];

/// The summary, with a final newline; empty for a run that has none.
pub(crate) fn summary(result: &RunResult) -> String {
    let mut text = String::new();
    let _ = write_summary(&mut text, result);
    text
}

fn write_summary(out: &mut String, result: &RunResult) -> std::fmt::Result {
    let again = if result.reused {
        " (reused: this run was done before; nothing was run again)"
    } else {
        ""
    };
    writeln!(out, "{} {}{again}", result.pipeline, result.status)?;
    writeln!(
        out,
        "  run         {} (attempt {}, key {})",
        result.run_id, result.attempt, result.run_key
    )?;
    let rows = &result.rows;
    writeln!(out, "  rows in     {}", grouped(rows.source))?;
    writeln!(
        out,
        "  quarantined {}{}",
        grouped(rows.quarantined),
        reasons(result)
    )?;
    if rows.unlabelled > 0 {
        writeln!(out, "  unlabelled  {}", grouped(rows.unlabelled))?;
    }
    if !result.jobs.is_empty() {
        writeln!(out, "  scored      {}", grouped(rows.scored))?;
    }
    writeln!(out, "  published   {}", grouped(rows.published))?;
    for job in &result.jobs {
        writeln!(
            out,
            "  job         {}: {}, {}",
            job.name,
            job.status,
            counted(u64::from(job.shards), "shard")
        )?;
    }
    if let Some(output) = &result.output {
        writeln!(
            out,
            "  output      {} ({})",
            output.uri,
            counted(output.files.len() as u64, "file")
        )?;
        if let Some(path) = output
            .path
            .as_ref()
            .filter(|p| p.trim_end_matches('/') != output.uri.trim_end_matches('/'))
        {
            writeln!(out, "  as files    {path}")?;
        }
    }
    for (part, rows) in result.output.iter().flat_map(|o| &o.split) {
        let rows = rows.as_u64().unwrap_or_default();
        let share = rows as f64 * 100.0 / result.rows.published.max(1) as f64;
        writeln!(
            out,
            "  {part:<11} {:>12} rows  {share:5.2} %",
            grouped(rows)
        )?;
    }
    if let Some(file) = &result.quarantine_file {
        writeln!(out, "  bad rows    {file}")?;
    }
    let stages = ORDER.iter().filter_map(|s| {
        result
            .stages
            .get(*s)
            .map(|t| format!("{s} {}", duration(*t)))
    });
    let stages: Vec<String> = stages.collect();
    if stages.is_empty() {
        Ok(())
    } else {
        writeln!(out, "  took        {}", stages.join(", "))
    }
}

fn reasons(result: &RunResult) -> String {
    if result.quarantine.is_empty() {
        return String::new();
    }
    let each: Vec<String> = result
        .quarantine
        .iter()
        .map(|(reason, n)| format!("{reason} {}", grouped(*n)))
        .collect();
    format!(" ({})", each.join(", "))
}
