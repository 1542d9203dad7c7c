//! What of a plan is about its jobs: how much there is to score, what is to be said about it, and
//! whether the budget allows it.

use crate::budget::{self, OverBudget, Spent};
use crate::forecast::{ANSWER_BYTES, Forecast, ShardTable, Traffic, payload_limit};
use crate::plan::{Estimate, Inventory, Roles, Sample};
use crate::planner::{Measure, Requests, Setting, Settled};
use crate::problem::Problem;
use crate::simulator::Distribution;
use crate::spec::{ColumnFrom, Shards, Spec};

use super::total;

/// What is known about the jobs of a plan.
pub(super) struct Jobs<'a> {
    pub(super) settled: &'a Settled,
    pub(super) table: ShardTable,
    pub(super) forecast: Forecast,
}

/// The least that the jobs take, held to the budget.
pub(super) fn over_budget(spec: &Spec, forecast: &Forecast) -> Option<String> {
    let budget = spec.budget?;
    let dollars = forecast.cost.usd_per_hour();
    let least = Spent {
        instance_hours: forecast.instance_hours.low,
        usd: dollars.map(|price| price * forecast.instance_hours.low),
    };
    let nothing = budget::spent([], dollars);
    let over = budget.check(nothing, least).err()?;
    let why = match (&over, &forecast.cost.unknown) {
        (OverBudget::UnknownPrice { .. }, Some(why)) => format!(": {why}"),
        _ => String::new(),
    };
    let place = spec.places.of(over.key());
    Some(format!("{place}: {over}{why}; {}", over.help()))
}

/// What goes to the model, by the sample.
pub(super) fn measure(inventory: &Inventory, sample: &Sample, columns: &Roles) -> Measure {
    let stored = u128::from(sample.stored_bytes.max(1));
    let rows = u128::from(total(&inventory.inputs)) * u128::from(sample.rows) / stored;
    let rows = u64::try_from(rows)
        .unwrap_or(u64::MAX)
        .min(inventory.limit_rows.unwrap_or(u64::MAX));
    Measure {
        rows,
        bytes: bytes_of(rows, columns.shards.len(), sample),
        largest_record: sample.largest_record,
    }
}

/// Bytes of so many columns of so many rows, as text, all columns being of one size.
fn bytes_of(rows: u64, columns: usize, sample: &Sample) -> u64 {
    let share = u128::from(sample.bytes) * columns as u128 / sample.columns.len().max(1) as u128;
    let bytes = u128::from(rows) * share / u128::from(sample.rows.max(1));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

pub(super) fn traffic(
    spec: &Spec,
    inventory: &Inventory,
    sample: &Sample,
    columns: &Roles,
    measure: &Measure,
) -> Traffic {
    let fields = spec.assemble.iter().flat_map(|assemble| &assemble.columns);
    let fields = fields.filter_map(|column| match column.from {
        ColumnFrom::Prediction { index, .. } => Some(index as u64 + 1),
        _ => None,
    });
    let remote = inventory
        .inputs
        .iter()
        .filter(|input| input.uri.starts_with("s3://"));
    let remote: u64 = remote.map(|input| input.size).fold(0, u64::saturating_add);
    Traffic {
        source_down: remote.saturating_mul(2),
        shards_up: measure.bytes,
        sidecars_up: bytes_of(measure.rows, columns.carried.len(), sample),
        answers_down: fields
            .max()
            .unwrap_or(1)
            .saturating_mul(measure.rows)
            .saturating_mul(ANSWER_BYTES),
    }
}

pub(super) fn estimate(
    spec: &Spec,
    measure: &Measure,
    shards: &Shards,
    jobs: Option<&Jobs<'_>>,
) -> Estimate {
    let (rows, shard_bytes) = (measure.rows, measure.bytes);
    let by = |total: u64, each: Option<u64>| each.map_or(1, |each| total.div_ceil(each.max(1)));
    let cut = |share: f64| {
        by(share_of(shard_bytes, share), shards.max_bytes)
            .max(by(share_of(rows, share), shards.max_rows))
    };
    let count = match (&spec.prepare.split, jobs) {
        (Some(split), _) => split.parts.iter().map(|(_, share)| cut(*share)).sum(),
        (None, Some(jobs)) => jobs.table.count,
        (None, None) => cut(1.0),
    };
    // A part without rows has a file all the same; a shard without rows there is none.
    let count = if rows == 0 || spec.prepare.split.is_none() {
        count.min(rows)
    } else {
        count
    };
    let planned = jobs.and_then(|jobs| jobs.forecast.what_if.first());
    let instances = planned.map_or(0, |p| p.instance_count * p.jobs);
    let idle = planned.map_or(0, |p| p.instances_idle);
    Estimate {
        rows,
        shard_bytes,
        shards: count,
        requests: planned.map_or(0, |p| p.requests),
        instances_busy: instances - idle,
        instances_idle: idle,
        max_jobs: jobs.map_or(0, |jobs| {
            let settled = jobs.settled;
            settled.transform.max_jobs() + settled.waves.jobs.saturating_sub(1)
        }),
    }
}

/// A part of a number, for people: beyond 2⁵³ not to the last digit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a guess; shares are between 0 and 1"
)]
fn share_of(n: u64, share: f64) -> u64 {
    (n as f64 * share).ceil() as u64
}

/// The file's own first, each with its place.
pub(super) fn warnings(
    spec: &Spec,
    measure: &Measure,
    estimate: &Estimate,
    jobs: Option<&Jobs<'_>>,
) -> Vec<String> {
    let sentence = |p: &Problem| match &p.help {
        Some(help) => format!("{}: {}; {help}", p.place, p.message),
        None => format!("{}: {}", p.place, p.message),
    };
    let mut warnings: Vec<String> = spec.warnings.iter().map(sentence).collect();
    if let Some(jobs) = jobs {
        warnings.extend(idle(estimate));
        warnings.extend(below_payload(measure, jobs));
        warnings.extend(all_to_one(estimate, jobs));
    }
    warnings
}

fn idle(estimate: &Estimate) -> Option<String> {
    (estimate.instances_idle > 0).then(|| {
        format!(
            "{} of {} instances would be paid for doing nothing: about {} shards for them all",
            estimate.instances_idle,
            estimate.instances_busy + estimate.instances_idle,
            estimate.shards
        )
    })
}

/// Requests for each slot that are too few for their size to matter.
const MANY: u64 = 8;

/// Shards that the file makes small: requests never hold rows of two.
fn below_payload(measure: &Measure, jobs: &Jobs<'_>) -> Option<String> {
    let layout = &jobs.settled.layout;
    let (shards, payload) = (layout.shards(measure), payload_limit(layout.payload_mb));
    let would_do = measure.bytes.div_ceil(payload);
    let instances = u64::from(layout.instances) * u64::from(layout.jobs);
    let slots = u64::from(layout.concurrency.max(1)) * instances;
    let said = |s: &&Setting| s.key.starts_with("shards.") && !s.chosen;
    let small = jobs.settled.requests == Requests::Lines
        && shards > (2 * would_do).max(slots * MANY)
        && jobs.settled.settings.iter().any(|s| said(&s));
    small.then(|| {
        format!(
            "about {shards} shards hold less than half a payload each, and each is a request of its own: \
             {would_do} requests would hold all rows"
        )
    })
}

/// No source says how shards are shared out; one way that some tell of leaves all but one idle.
fn all_to_one(estimate: &Estimate, jobs: &Jobs<'_>) -> Option<String> {
    let mut spread = jobs.forecast.distributions.iter();
    let one = spread.rfind(|s| s.distribution == Distribution::One)?;
    let longer = one.seconds.high / jobs.forecast.seconds.high.max(1.0);
    (one.idle > estimate.instances_idle && jobs.table.count > 0).then(|| {
        let longer = if longer >= 1.05 {
            format!(", and the jobs would take up to {longer:.1} times as long")
        } else {
            String::new()
        };
        format!(
            "AWS does not say how shards are shared among instances; if all went to one, {} of {} would be \
             paid for doing nothing{longer}",
            one.idle,
            one.busy + one.idle,
        )
    })
}
