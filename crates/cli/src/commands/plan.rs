//! `plan`.

use std::fmt::Write;

use gristmill_plan::Plan;
use gristmill_plan::spec::{Label, LabelRule, OnMissing, OnRefusedRow, Probe, Transform};
use gristmill_runner::{ExitCode, RunError, RunRequest, preview};

use crate::answer::Printer;
use crate::args::PlanArgs;
use crate::commands::{plan_jobs, run, runtime};
use gristmill_runner::words::{counted, grouped};

pub(crate) fn plan(args: PlanArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let request = RunRequest {
        prices: args.pace.prices()?,
        rows_per_second: args.pace.rows_per_second,
        ..run::request(&args.file, args.inputs, &args.work)?
    };
    let plan = runtime()?.block_on(preview(&request))?;
    let value = serde_json::to_value(&plan).map_err(|e| RunError::bug(e.to_string()))?;
    let mut text = String::new();
    describe(&mut text, &plan, request.local).map_err(|e| RunError::bug(e.to_string()))?;
    printer.answer(&text, &value);
    // A run would be refused: whoever asks before it shall know that without reading.
    Ok(match plan.over_budget {
        None => ExitCode::Success,
        Some(_) => ExitCode::Pipeline,
    })
}

fn describe(out: &mut String, plan: &Plan, local: bool) -> std::fmt::Result {
    writeln!(out, "{}", plan.name)?;
    describe_source(out, plan)?;
    describe_columns(out, plan)?;
    describe_estimate(out, plan)?;
    describe_probe(out, plan, local)?;
    plan_jobs::describe(out, plan)?;
    for warning in &plan.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    describe_request(out, plan)?;
    if let Some(why) = &plan.over_budget {
        writeln!(out, "a run would be refused: {why}")?;
    }
    Ok(())
}

fn describe_columns(out: &mut String, plan: &Plan) -> std::fmt::Result {
    let (to, left) = if plan.transform.is_some() {
        ("to the model", "never sent")
    } else {
        ("written", "left out")
    };
    writeln!(out, "columns")?;
    writeln!(out, "  {to:<14}{}", names(plan.model_columns()))?;
    if plan.joined_ids() > 0 {
        let ids = names(&plan.columns.ids);
        writeln!(
            out,
            "  to the service {ids}, which it keeps from the model and joins"
        )?;
    }
    if let Some(label) = &plan.prepare.label {
        writeln!(out, "  {:<14}{}", "label", label_text(label))?;
    }
    if !plan.columns.carried.is_empty() {
        writeln!(out, "  kept beside   {}", names(&plan.columns.carried))?;
    }
    writeln!(out, "  {left:<14}{}", names(&plan.columns.never_sent))
}

fn label_text(label: &Label) -> String {
    let made = match &label.rule {
        LabelRule::AsIs => "as it is".to_owned(),
        LabelRule::Above(limit) => format!("1 above {limit}, else 0"),
        LabelRule::Map(classes) => {
            let each = classes.iter().map(|(from, to)| format!("{from} → {to}"));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    let missing = match label.on_missing {
        OnMissing::Drop => "a row without one is left out",
        OnMissing::Fail => "a row without one is a bad row",
    };
    format!("{}: {made}; {missing}", label.column)
}

fn describe_estimate(out: &mut String, plan: &Plan) -> std::fmt::Result {
    let e = &plan.estimate;
    writeln!(out, "estimate (from the first bytes of the input)")?;
    writeln!(out, "  rows          {}", grouped(e.rows))?;
    if let Some(split) = &plan.prepare.split {
        let each = split.parts.iter();
        let each = each.map(|(part, share)| format!("{part} {:.0}", e.rows as f64 * share));
        let key = names(&split.key);
        let each = each.collect::<Vec<_>>().join(", ");
        writeln!(
            out,
            "  parts         {each}, by the hash of {key} (seed {})",
            split.seed
        )?;
    }
    let (what, format) = (
        if plan.transform.is_some() {
            "shards"
        } else {
            "files"
        },
        plan.shards.format.as_str(),
    );
    let written = if matches!(format, "csv" | "jsonl") {
        ""
    } else {
        " as text, before it is encoded"
    };
    writeln!(
        out,
        "  {what:<14}{} of {format}, {} bytes{written}",
        grouped(e.shards),
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
    if let Some(transform) = &plan.transform {
        writeln!(out, "  jobs          {}", jobs(transform, plan.waves.jobs))?;
    }
    Ok(())
}

/// What goes to the model before the first job: under `--local`, where its container can be reached.
fn describe_probe(out: &mut String, plan: &Plan, local: bool) -> std::fmt::Result {
    let probe = plan.transform.as_ref().map(|t| t.probe);
    if !local || probe != Some(Probe::Auto) {
        return Ok(());
    }
    let rows = counted(Probe::ROWS, "row");
    writeln!(out, "  probe         {rows} before launch")
}

/// How many jobs there may be, and why more than one.
fn jobs(transform: &Transform, waves: u32) -> String {
    let why = match transform.on_refused_row {
        OnRefusedRow::Fail => "over the shards that failed, where others did not",
        OnRefusedRow::Quarantine => {
            "over pieces of the shards that failed, down to the rows that the model refuses"
        }
    };
    match transform.max_jobs() {
        1 => waves.to_string(),
        most => format!("{waves}, and up to {} more {why}", most - 1),
    }
}

fn describe_source(out: &mut String, plan: &Plan) -> std::fmt::Result {
    const SHOWN: usize = 10;
    writeln!(
        out,
        "source: {}, {} bytes",
        counted(plan.source.inputs.len() as u64, "file"),
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
