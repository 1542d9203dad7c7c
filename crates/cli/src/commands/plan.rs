//! `plan`.

use std::fmt::Write;

use gristmill_plan::Plan;
use gristmill_runner::{ExitCode, RunError, preview};

use crate::answer::Printer;
use crate::args::PlanArgs;
use crate::commands::{run, runtime};
use gristmill_runner::words::grouped;

pub(crate) fn plan(args: PlanArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let request = run::request(&args.file, args.inputs, &args.work)?;
    let plan = runtime()?.block_on(preview(&request))?;
    let value = serde_json::to_value(&plan).map_err(|e| RunError::bug(e.to_string()))?;
    let mut text = String::new();
    describe(&mut text, &plan).map_err(|e| RunError::bug(e.to_string()))?;
    printer.answer(&text, &value);
    Ok(ExitCode::Success)
}

fn describe(out: &mut String, plan: &Plan) -> std::fmt::Result {
    writeln!(out, "{}", plan.name)?;
    describe_source(out, plan)?;
    writeln!(out, "columns")?;
    let to = if plan.transform.is_some() {
        "to the model"
    } else {
        "written"
    };
    writeln!(out, "  {to:<14}{}", names(&plan.columns.shards))?;
    if !plan.columns.carried.is_empty() {
        writeln!(out, "  kept beside   {}", names(&plan.columns.carried))?;
    }
    writeln!(out, "  never sent    {}", names(&plan.columns.never_sent))?;
    let e = &plan.estimate;
    writeln!(out, "estimate (from the first bytes of the input)")?;
    writeln!(out, "  rows          {}", grouped(e.rows))?;
    writeln!(
        out,
        "  shards        {} of {}, {} bytes",
        grouped(e.shards),
        plan.shards.format.as_str(),
        grouped(e.shard_bytes)
    )?;
    if plan.transform.is_some() {
        writeln!(out, "  requests      {}", grouped(e.requests))?;
        writeln!(
            out,
            "  instances     {} busy, {} idle",
            e.instances_busy, e.instances_idle
        )?;
    }
    for warning in &plan.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    describe_request(out, plan)
}

fn describe_source(out: &mut String, plan: &Plan) -> std::fmt::Result {
    const SHOWN: usize = 10;
    writeln!(
        out,
        "source: {} files, {} bytes",
        plan.source.inputs.len(),
        grouped(plan.source.bytes)
    )?;
    for input in plan.source.inputs.iter().take(SHOWN) {
        writeln!(out, "  {} ({} bytes)", input.uri, grouped(input.size))?;
    }
    if plan.source.inputs.len() > SHOWN {
        writeln!(out, "  and {} more", plan.source.inputs.len() - SHOWN)?;
    }
    Ok(())
}

fn describe_request(out: &mut String, plan: &Plan) -> std::fmt::Result {
    let Some(request) = &plan.request else {
        return Ok(());
    };
    let json = serde_json::to_string_pretty(request).map_err(|_| std::fmt::Error)?;
    writeln!(
        out,
        "CreateTransformJob, with <…> for what only a run knows:\n{json}"
    )
}

fn names(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
