//! One choice of everything, for given numbers of instances and jobs.

use super::{Measure, Planner, payload_beside};
use crate::instance_types::Machine;
use crate::limits::{
    DEFAULT_PARQUET_PAYLOAD_IN_MB, DEFAULT_PAYLOAD_IN_MB, DEFAULT_SHARD_BYTES, Limits,
};
use crate::pace::SLOW_ROWS_PER_SECOND;

/// Requests that each slot of an instance should have at least, where shards hold several: then
/// what is uneven at the end is a small part of all.
const REQUESTS_A_SLOT: f64 = 8.0;
/// Shards of an instance at least, where each holds several requests: an estimate that is off by
/// some percent then moves a small part of its work.
const SHARDS_AN_INSTANCE: u64 = 4;
/// The same at most, but for [`DEFAULT_SHARD_BYTES`].
const MOST_SHARDS_AN_INSTANCE: u64 = 16;
/// No shard has fewer rows than this only to give a slot work: a slow model takes some seconds.
const LEAST_SHARD_ROWS: f64 = 500.0;
/// How much room the largest record of a sample is given at least, since larger ones may come.
const RECORD_ROOM: f64 = 1.25;
/// The same where nothing but the usual payload stands against it.
const AMPLE_RECORD_ROOM: f64 = 8.0;

/// How a shard becomes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requests {
    /// It is one.
    Whole,
    /// As many lines as fit in the payload.
    Lines,
    /// A line each.
    Record,
}

/// What is not open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) instances: Option<u32>,
    pub(crate) jobs: Option<u32>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) payload_mb: Option<u32>,
    pub(crate) max_bytes: Option<u64>,
    /// The outer is `None` if the size of shards is open.
    pub(crate) max_rows: Option<Option<u64>>,
}

/// Everything, chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) instances: u32,
    pub(crate) jobs: u32,
    /// 0: the container's.
    pub(crate) concurrency: u32,
    /// 0: no limit.
    pub(crate) payload_mb: u32,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_rows: Option<u64>,
}

impl Layout {
    /// Rows of a shard that is full.
    pub(crate) fn rows_each(&self, measure: &Measure) -> u64 {
        let fit = |bytes: u64| {
            let rows = u128::from(bytes) * u128::from(measure.rows);
            u64::try_from(rows / u128::from(measure.bytes.max(1))).unwrap_or(u64::MAX)
        };
        let by_bytes = self.max_bytes.map_or(u64::MAX, fit);
        by_bytes.min(self.max_rows.unwrap_or(u64::MAX)).max(1)
    }

    /// Shards that this makes of the rows.
    pub(crate) fn shards(&self, measure: &Measure) -> u64 {
        measure.rows.div_ceil(self.rows_each(measure))
    }
}

pub(super) fn lay_out(planner: &Planner, stated: &Stated, instances: u32, jobs: u32) -> Layout {
    let least_mb = least_payload(planner, stated);
    let concurrency = stated
        .concurrency
        .unwrap_or_else(|| concurrency(planner, stated.payload_mb.unwrap_or(least_mb)));
    let workers = planner.assumptions.fast.workers;
    let slots = match concurrency {
        0 => workers,
        n => n.min(workers),
    };
    let payload_mb = stated
        .payload_mb
        .unwrap_or_else(|| payload(planner, concurrency, least_mb));
    let max_bytes = stated
        .max_bytes
        .or_else(|| Some(shard_bytes(planner, payload_mb)));
    let groups = Groups {
        count: u64::from(instances) * u64::from(jobs),
        slots: u64::from(slots),
    };
    let max_rows = stated.max_rows.unwrap_or_else(|| {
        let room = max_bytes.unwrap_or(DEFAULT_SHARD_BYTES);
        shard_rows(planner, payload_mb, room, groups)
    });
    Layout {
        instances,
        jobs,
        concurrency,
        payload_mb,
        max_bytes,
        max_rows,
    }
}

/// The payload that the largest record of the sample asks for, or a shard that is one request.
fn least_payload(planner: &Planner, stated: &Stated) -> u32 {
    let record = planner.measure.largest_record as f64 * RECORD_ROOM;
    let shard = stated
        .max_bytes
        .filter(|_| planner.requests == Requests::Whole);
    let bytes = record.ceil().max(shard.unwrap_or(0) as f64);
    whole_mb(bytes).min(most_payload())
}

fn most_payload() -> u32 {
    u32::try_from(Limits::SERVICE.max_payload_in_mb).unwrap_or(u32::MAX)
}

/// The least payload that surely holds so many bytes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates"
)]
pub(super) fn whole_mb(bytes: f64) -> u32 {
    let mb = Limits::payload_bytes(1).unwrap_or(1) as f64;
    ((bytes / mb).ceil() as u32).max(1)
}

/// A request for each vCPU and one more for every four, or two an accelerator: so some are on
/// their way while others are computed.
pub(super) fn slots(machine: Machine) -> u32 {
    match machine.accelerators {
        0 => machine.vcpus + machine.vcpus.div_ceil(4),
        accelerators => accelerators * 2,
    }
}

/// [`slots`], as far as their payloads may come to so much together; 0 where the type is not known.
fn concurrency(planner: &Planner, payload_mb: u32) -> u32 {
    let Some(slots) = planner.machine.map(slots) else {
        return 0;
    };
    match payload_mb {
        // No limit, so no product.
        0 => slots,
        mb => slots.min(payload_beside(mb)).max(1),
    }
}

/// What most containers take, or less where so much could not be answered in time.
fn payload(planner: &Planner, concurrency: u32, least_mb: u32) -> u32 {
    let room = payload_beside(concurrency).min(most_payload());
    let whole = planner.requests == Requests::Whole;
    let usual = if whole {
        DEFAULT_PARQUET_PAYLOAD_IN_MB
    } else {
        DEFAULT_PAYLOAD_IN_MB
    };
    let usual = u32::try_from(usual).unwrap_or(u32::MAX);
    let ample = whole_mb(planner.measure.largest_record as f64 * AMPLE_RECORD_ROOM);
    usual
        .min(timely_mb(planner, concurrency).max(ample))
        .max(least_mb)
        .min(room)
        .max(1)
}

/// How much a slow model surely answers in time, be it that it computes only one request at once and
/// has the others wait. Shards that are one request are as large as their rows make them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates"
)]
pub(super) fn timely_mb(planner: &Planner, concurrency: u32) -> u32 {
    if planner.requests == Requests::Whole {
        return u32::MAX;
    }
    let seconds = f64::from(planner.timeout_s) / f64::from(concurrency.max(1));
    let rows = seconds * SLOW_ROWS_PER_SECOND;
    let mb = Limits::payload_bytes(1).unwrap_or(1) as f64;
    ((rows * planner.measure.row_bytes() / mb) as u32).max(1)
}

/// What bounds a shard, be its rows longer than the sample's.
fn shard_bytes(planner: &Planner, payload_mb: u32) -> u64 {
    let limit = Limits::payload_bytes(payload_mb);
    match planner.requests {
        Requests::Whole => limit.unwrap_or(DEFAULT_SHARD_BYTES),
        Requests::Lines | Requests::Record => DEFAULT_SHARD_BYTES,
    }
}

/// Instances of all jobs, and what each is expected to compute at once.
#[derive(Clone, Copy)]
struct Groups {
    count: u64,
    slots: u64,
}

/// Rows of a shard, so that every instance gets as many shards of one size.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates"
)]
fn shard_rows(planner: &Planner, payload_mb: u32, room: u64, groups: Groups) -> Option<u64> {
    let measure = &planner.measure;
    if measure.rows == 0 {
        return None;
    }
    let each = shards_an_instance(planner, payload_mb, room, groups);
    let shards = (groups.count * each).min(measure.rows) as f64;
    // A quarter of a shard is left empty in the last one: where there are a few rows more than were
    // expected, they are no shard of their own.
    let rows = measure.rows as f64 / shards * (1.0 + 0.25 / shards);
    Some((rows.ceil() as u64).max(1))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates"
)]
fn shards_an_instance(planner: &Planner, payload_mb: u32, room: u64, groups: Groups) -> u64 {
    let bytes = planner.measure.bytes as f64 / groups.count as f64;
    let limit = Limits::payload_bytes(payload_mb).map_or(f64::INFINITY, |limit| limit as f64);
    let request = match planner.requests {
        Requests::Lines => limit,
        Requests::Whole => limit.min(room as f64),
        Requests::Record => planner.measure.row_bytes(),
    };
    let requests = bytes / request;
    let slots = groups.slots as f64;
    if planner.requests != Requests::Whole && requests >= REQUESTS_A_SLOT * slots {
        // Several requests a shard.
        let shards = (requests / (REQUESTS_A_SLOT * slots)) as u64;
        let fit = (bytes / room as f64).ceil() as u64;
        return shards
            .clamp(SHARDS_AN_INSTANCE, MOST_SHARDS_AN_INSTANCE)
            .max(fit);
    }
    // One request a shard, as many for each slot.
    let rounds = (requests / slots).ceil().max(1.0);
    let rows = planner.measure.rows as f64 / groups.count as f64;
    let enough = (rows / LEAST_SHARD_ROWS).max(1.0);
    ((rounds * slots).min(enough) as u64).max(1)
}
