//! What `plan` says about transform jobs: settings and why, shards, time, cost, and what would be
//! otherwise.

use std::fmt::{Result, Write};

use gristmill_plan::Plan;
use gristmill_plan::forecast::{Alternative, Cost, Forecast, ShardTable, Spread};
use gristmill_plan::pace::{Assumptions, Range};
use gristmill_plan::planner::Setting;
use gristmill_plan::simulator::Distribution;
use gristmill_runner::words::grouped;

use crate::view::duration;

pub(crate) fn describe(out: &mut String, plan: &Plan) -> Result {
    let (Some(forecast), Some(shards)) = (&plan.forecast, &plan.shard_table) else {
        return Ok(());
    };
    settings(out, &plan.settings)?;
    shard_table(out, shards, plan.waves.jobs > 1)?;
    traffic(out, forecast)?;
    takes(out, forecast)?;
    what_if(out, forecast)
}

fn settings(out: &mut String, settings: &[Setting]) -> Result {
    writeln!(out, "settings")?;
    let width = settings.iter().map(|s| s.key.len()).max().unwrap_or(0);
    for setting in settings {
        let value = match setting.value.as_str() {
            Some(word) => word.to_owned(),
            None => setting
                .value
                .as_u64()
                .map_or_else(|| setting.value.to_string(), grouped),
        };
        let who = if setting.chosen { "chosen: " } else { "" };
        writeln!(
            out,
            "  {:<width$}  {value:>12}  {who}{}",
            setting.key, setting.reason
        )?;
    }
    Ok(())
}

fn shard_table(out: &mut String, table: &ShardTable, jobs: bool) -> Result {
    writeln!(out, "shards, as expected")?;
    let job = if jobs { "  job" } else { "" };
    writeln!(out, "  {:>8}{:>14}{:>16}{job}", "shard", "rows", "bytes")?;
    let mut before = None;
    for shard in &table.shards {
        if before.is_some_and(|before| shard.index > before + 1) {
            writeln!(out, "  {:>8}", "…")?;
        }
        before = Some(shard.index);
        let job = if jobs {
            format!("  {:>3}", shard.job + 1)
        } else {
            String::new()
        };
        writeln!(
            out,
            "  {:>8}{:>14}{:>16}{job}",
            grouped(shard.index),
            grouped(shard.rows),
            grouped(shard.bytes)
        )?;
    }
    Ok(())
}

fn traffic(out: &mut String, forecast: &Forecast) -> Result {
    let traffic = &forecast.traffic;
    writeln!(
        out,
        "network, about\n  up            {} bytes of shards as text, {} kept beside\n  down          {} bytes \
         of input, {} of answers",
        grouped(traffic.shards_up),
        grouped(traffic.sidecars_up),
        grouped(traffic.source_down),
        grouped(traffic.answers_down)
    )
}

fn takes(out: &mut String, forecast: &Forecast) -> Result {
    writeln!(out, "time and cost, between a fast and a slow model")?;
    writeln!(out, "  time          {}", times(forecast.seconds))?;
    writeln!(
        out,
        "  billed        {} instance hours",
        range(forecast.instance_hours, |hours| format!("{hours:.2}"))
    )?;
    writeln!(out, "  cost          {}", cost(&forecast.cost))?;
    writeln!(out, "  assumed       {}", assumed(&forecast.assumptions))?;
    writeln!(out, "  if AWS shares shards out")?;
    for spread in &forecast.distributions {
        distribution(out, spread)?;
    }
    Ok(())
}

fn distribution(out: &mut String, spread: &Spread) -> Result {
    let way = match spread.distribution {
        Distribution::Contiguous => "by runs of keys",
        Distribution::RoundRobin => "in turn",
        Distribution::Queue => "to whoever is free",
        Distribution::One => "all to one",
    };
    writeln!(
        out,
        "    {way:<20}{} busy, {} idle, {}",
        spread.busy,
        spread.idle,
        times(spread.seconds)
    )
}

/// A number, or two where they are told apart.
fn range(range: Range, show: impl Fn(f64) -> String) -> String {
    let (low, high) = (show(range.low), show(range.high));
    if low == high {
        low
    } else {
        format!("{low} to {high}")
    }
}

fn times(seconds: Range) -> String {
    range(seconds, duration)
}

fn cost(cost: &Cost) -> String {
    match (&cost.range, &cost.price) {
        (Some(amount), Some(price)) => format!(
            "{} {} (prices of {} in {}, {})",
            range(*amount, |n| format!("{n:.2}")),
            price.currency,
            price.as_of,
            price.region,
            price.file
        ),
        _ => {
            let why = cost.unknown.as_deref().unwrap_or("no price");
            format!("unknown: {why}; --prices FILE says what instances cost")
        }
    }
}

fn assumed(assumptions: &Assumptions) -> String {
    let (fast, slow) = (&assumptions.fast, &assumptions.slow);
    let rate = |pace: &gristmill_plan::simulator::Pace| {
        f64::from(pace.workers) / pace.row_s.max(f64::MIN_POSITIVE)
    };
    format!(
        "{} rows a second and instance ({} at once), {} until the first request; --rows-per-second says \
         better",
        range(Range::of(rate(slow), rate(fast)), |n| grouped(whole(n))),
        fast.workers,
        times(Range::of(
            fast.provision_s + fast.start_s,
            slow.provision_s + slow.start_s
        ))
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate, for people"
)]
fn whole(n: f64) -> u64 {
    n.round() as u64
}

fn what_if(out: &mut String, forecast: &Forecast) -> Result {
    let priced = forecast.cost.price.as_ref();
    let currency = priced.map_or("cost", |price| price.currency.as_str());
    writeln!(out, "what if")?;
    writeln!(
        out,
        "   {:>9}{:>5}{:>9}{:>8}{:>9}{:>10}{:>6}   {:<30}{:<18}{currency}",
        "instances", "jobs", "at once", "MB", "shards", "requests", "idle", "time", "hours"
    )?;
    for other in &forecast.what_if {
        alternative(out, other)?;
    }
    Ok(())
}

fn alternative(out: &mut String, other: &Alternative) -> Result {
    let mark = if other.planned { "→" } else { " " };
    let at_once = match other.max_concurrent_transforms {
        0 => "container".to_owned(),
        n => n.to_string(),
    };
    let cost = other.cost.map_or_else(
        || "unknown".to_owned(),
        |cost| range(cost, |n| format!("{n:.2}")),
    );
    writeln!(
        out,
        " {mark} {:>9}{:>5}{at_once:>9}{:>8}{:>9}{:>10}{:>6}   {:<30}{:<18}{cost}",
        other.instance_count,
        other.jobs,
        other.max_payload_in_mb,
        grouped(other.shards),
        grouped(other.requests),
        other.instances_idle,
        times(other.seconds),
        range(other.instance_hours, |n| format!("{n:.2}")),
    )
}
