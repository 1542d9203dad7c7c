//! Rows to shards to jobs, as the simulator takes them.

use serde::{Deserialize, Serialize};

use super::payload_limit;
use crate::planner::{Layout, Measure, Requests};
use crate::simulator::{Cut, Job, Object, equal_objects};
use crate::waves::Waves;

/// Shards that are told apart at most; where there are more, so many of one size stand for them.
const MOST_SHARDS: u64 = 5_000;

/// What is shared out among jobs.
pub(crate) struct Shape {
    objects: Vec<Object>,
    cut: Cut,
    instances: u32,
    concurrency: u32,
}

impl Shape {
    /// `proposed` is how many requests at once the container asks for.
    pub(crate) fn new(
        measure: &Measure,
        layout: &Layout,
        requests: Requests,
        proposed: u32,
    ) -> Shape {
        let limit = payload_limit(layout.payload_mb);
        Shape {
            objects: shards(measure, layout),
            cut: match requests {
                Requests::Record => Cut::Record,
                Requests::Lines if limit < u64::MAX => Cut::Payload(limit),
                Requests::Lines | Requests::Whole => Cut::Whole,
            },
            instances: layout.instances,
            concurrency: match layout.concurrency {
                0 => proposed,
                n => n,
            },
        }
    }

    /// A job for each wave that has a shard, created when its last shard is uploaded.
    pub(crate) fn jobs(&self, waves: &Waves, bytes_per_second: f64) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        let (mut last, mut bytes) = (None, 0.0);
        for (shard, object) in (0_u64..).zip(&self.objects) {
            let wave = waves.job_of(shard);
            if last != Some(wave) {
                last = Some(wave);
                jobs.push(self.empty());
            }
            bytes += object.bytes as f64;
            if let Some(job) = jobs.last_mut() {
                job.objects.push(*object);
                job.created_s = bytes / bytes_per_second.max(1.0);
            }
        }
        jobs
    }

    fn empty(&self) -> Job {
        Job {
            objects: Vec::new(),
            cut: self.cut,
            instances: self.instances,
            concurrency: self.concurrency,
            created_s: 0.0,
        }
    }
}

/// Their bytes, all rows being of one size.
fn bytes_of(measure: &Measure, rows: u64) -> u64 {
    let bytes = u128::from(measure.bytes) * u128::from(rows) / u128::from(measure.rows.max(1));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// As the cutter makes them: all full but the last.
fn shards(measure: &Measure, layout: &Layout) -> Vec<Object> {
    let each = layout.rows_each(measure);
    let count = measure.rows.div_ceil(each);
    if count > MOST_SHARDS {
        return equal_objects(measure.rows, measure.bytes, MOST_SHARDS);
    }
    let object = |i: u64| {
        let from = i * each;
        let rows = each.min(measure.rows - from);
        Object {
            rows,
            bytes: bytes_of(measure, rows),
        }
    };
    (0..count).map(object).collect()
}

/// The shards as they are expected. Guesses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardTable {
    /// How many.
    pub count: u64,
    /// The first few, and the last, which has what remains.
    pub shards: Vec<ShardRow>,
}

/// One shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRow {
    /// From 0.
    pub index: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes as text, before any compression.
    pub bytes: u64,
    /// The job that scores it, from 0.
    pub job: u32,
}

/// How many of the first are shown.
const SHOWN: u64 = 4;

/// The table of settled shards.
pub(crate) fn shard_table(measure: &Measure, layout: &Layout, waves: &Waves) -> ShardTable {
    let each = layout.rows_each(measure);
    let count = measure.rows.div_ceil(each);
    let row = |index: u64| {
        let rows = each.min(measure.rows - index * each);
        ShardRow {
            index,
            rows,
            bytes: bytes_of(measure, rows),
            job: waves.job_of(index),
        }
    };
    let first = count.saturating_sub(1).min(SHOWN);
    let last = count.checked_sub(1);
    ShardTable {
        count,
        shards: (0..first).chain(last).map(row).collect(),
    }
}
