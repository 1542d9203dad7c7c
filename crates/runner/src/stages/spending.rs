//! `budget`: no job is created that would surely pass it, counting what earlier jobs of the run were
//! billed.

use gristmill_plan::budget::{BilledJob, Budget, Spent, spent};

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::session::Session;
use crate::state::{Launched, RunState};

/// Whether a job over so many rows may be created. What jobs under way have taken so far is in
/// `under_way`.
///
/// # Errors
/// `Data`: a limit of the user's, for a human to decide about.
pub(crate) fn check(session: &Session, rows: u64, under_way: &[BilledJob]) -> Result<(), RunError> {
    let Some(budget) = session.spec.budget else {
        return Ok(());
    };
    session.state(|s| held_to(&budget, s, rows, under_way))
}

fn held_to(
    budget: &Budget,
    state: &RunState,
    rows: u64,
    under_way: &[BilledJob],
) -> Result<(), RunError> {
    let price = usd_per_hour(state);
    // A bound that nobody can check was refused, or let through, before the first job.
    let budget = Budget {
        usd: budget.usd.filter(|_| price.is_some()),
        ..*budget
    };
    let earlier = state.launches.iter().filter_map(billed);
    let before = spent(earlier.chain(under_way.iter().copied()), price);
    let next = least(state, rows, price);
    budget.check(before, next).map_err(|over| {
        RunError::new(
            ExitCode::Data,
            format!("the next job was not created: {over}. Nothing was published"),
        )
        .with_help(format!(
            "{}; then the same command goes on: what was paid for is kept",
            over.help()
        ))
    })
}

/// What an instance costs for an hour, as the run's first attempt knew.
fn usd_per_hour(state: &RunState) -> Option<f64> {
    state.planned.as_ref()?.usd_per_hour
}

fn billed(job: &Launched) -> Option<BilledJob> {
    Some(BilledJob {
        instances: u32::try_from(job.instances()).unwrap_or(u32::MAX),
        seconds: job.billed_seconds?,
    })
}

/// What a job over so many rows takes at least: as much for a row as the cheapest of the run's jobs so
/// far took for one that it was given. Without such a job nothing is known.
fn least(state: &RunState, rows: u64, price: Option<f64>) -> Spent {
    let hours_a_row = state.launches.iter().filter_map(|job| {
        let given = rows_given(state, job);
        let hours = spent([billed(job)?], None).instance_hours;
        (given > 0).then(|| hours / precise(given))
    });
    let least = hours_a_row.fold(f64::INFINITY, f64::min);
    let hours = if least.is_finite() {
        least * precise(rows)
    } else {
        0.0
    };
    Spent {
        instance_hours: hours,
        usd: price.map(|price| price * hours),
    }
}

fn rows_given(state: &RunState, job: &Launched) -> u64 {
    if !job.pieces.is_empty() {
        return job.pieces.iter().map(|p| p.rows).sum();
    }
    let shards = job.shards.iter().filter_map(|i| state.shards.get(i));
    shards.map(|s| s.rows).sum()
}

/// For an estimate: beyond 2⁵³ not to the last digit.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn precise(rows: u64) -> f64 {
    rows as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use crate::entry::{Entry, Piece};

    /// A job of two instances over so many rows, billed for so many seconds each.
    fn job(attempt: u32, rows: u64, seconds: Option<f64>) -> [Entry; 2] {
        let name = format!("j-a{attempt}");
        let piece = Piece {
            shard: 0,
            first: 0,
            rows,
        };
        let launching = Entry::Launching {
            attempt,
            fingerprint: "f".into(),
            shards: vec![0],
            wave: None,
            pieces: vec![piece],
            controls: Vec::new(),
            output: String::new(),
            request: serde_json::json!({
                "TransformJobName": name, "TransformResources": { "InstanceCount": 2 }
            }),
        };
        let ended = Entry::JobEnded {
            name,
            status: "Failed".into(),
            reason: None,
            billed_seconds: seconds,
        };
        [launching, ended]
    }

    fn state(jobs: &[(u64, Option<f64>)]) -> RunState {
        let entries = (1..).zip(jobs).flat_map(|(n, (rows, s))| job(n, *rows, *s));
        RunState::of(&entries.collect::<Vec<_>>())
    }

    #[test]
    fn a_retry_is_held_to_what_is_left() {
        let budget = Budget {
            instance_hours: Some(3.0),
            usd: None,
        };
        // 2 hours for 1,000 rows.
        let state = state(&[(1_000, Some(3_600.0))]);
        assert!(held_to(&budget, &state, 500, &[]).is_ok());
        let over = held_to(&budget, &state, 501, &[]).unwrap_err();
        assert_eq!(over.exit, ExitCode::Data);
        let told = "2.00 are spent, and at least 1.00 would be by what is left";
        assert!(over.message.contains(told), "{}", over.message);
        let under_way = BilledJob {
            instances: 1,
            seconds: 36.0,
        };
        assert!(held_to(&budget, &state, 500, &[under_way]).is_err());
    }

    #[test]
    fn the_cheapest_job_is_the_measure_and_without_one_there_is_none() {
        let measured = state(&[(10, Some(3_600.0)), (1_000, Some(3_600.0)), (5, None)]);
        let least = least(&measured, 1_000, Some(2.0));
        assert!((least.instance_hours - 2.0).abs() < 1e-9);
        assert!((least.usd.unwrap() - 4.0).abs() < 1e-9);
        let budget = Budget {
            instance_hours: Some(0.5),
            usd: Some(1.0),
        };
        assert!(held_to(&budget, &state(&[]), 1_000_000, &[]).is_ok());
        assert!(held_to(&Budget::default(), &measured, 1_000_000, &[]).is_ok());
    }
}
