//! What a plan's jobs take, as ranges between two assumptions, and what they would take otherwise.

mod cost;
mod shape;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::pace::{Assumptions, Range};
use crate::planner::{Basis, Layout, Measure, Requests, Settled};
use crate::simulator::{Distribution, Outcome, Service, simulate};
use crate::waves::Waves;

pub use cost::{Cost, PriceUsed};
pub(crate) use shape::Shape;
pub(crate) use shape::shard_table;
pub use shape::{ShardRow, ShardTable};

/// Seconds in an hour.
const HOUR: f64 = 3600.0;

/// Under each of these a plan should do well; of the fourth it warns.
const EXPECTED: [Distribution; 3] = [
    Distribution::Contiguous,
    Distribution::RoundRobin,
    Distribution::Queue,
];

/// What the jobs of a plan take. Not measured: between [`Assumptions::fast`] and
/// [`Assumptions::slow`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// What it rests on.
    pub assumptions: Assumptions,
    /// From the first shard to the end of the last job, whichever way shards are shared out but
    /// all to one.
    pub seconds: Range,
    /// Hours of all instances together that are billed.
    pub instance_hours: Range,
    /// What these cost.
    pub cost: Cost,
    /// What goes over the network.
    pub traffic: Traffic,
    /// One for each way in which the service may share shards out.
    pub distributions: Vec<Spread>,
    /// The plan's own settings first, then one changed at a time with what follows from it.
    pub what_if: Vec<Alternative>,
}

/// Bytes over the network. Guesses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Inputs, where they are in S3: read twice, once to type the columns and once to cut.
    pub source_down: u64,
    /// Shards, as text before any compression.
    pub shards_up: u64,
    /// What is kept beside the rows, as text.
    pub sidecars_up: u64,
    /// The model's answers, at [`ANSWER_BYTES`] a field.
    pub answers_down: u64,
}

/// Bytes of one field of an answer: a float64 in full.
pub const ANSWER_BYTES: u64 = 20;

/// One way of sharing shards out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Which.
    pub distribution: Distribution,
    /// Instances of all jobs with a shard.
    pub busy: u32,
    /// Instances of all jobs that are paid for doing nothing.
    pub idle: u32,
    /// As [`Forecast::seconds`].
    pub seconds: Range,
}

/// Other settings, and what they would come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The plan's own.
    pub planned: bool,
    /// Of each job.
    pub instance_count: u32,
    /// That share the shards.
    pub jobs: u32,
    /// 0: the container's.
    pub max_concurrent_transforms: u32,
    /// 0: no limit.
    pub max_payload_in_mb: u32,
    /// About.
    pub shards: u64,
    /// About.
    pub requests: u64,
    /// Instances without a shard, where they are shared out evenly.
    pub instances_idle: u32,
    /// As [`Forecast::seconds`].
    pub seconds: Range,
    /// As [`Forecast::instance_hours`].
    pub instance_hours: Range,
    /// In the currency of the price file; `None` if the price is not known.
    pub cost: Option<Range>,
}

/// The forecast of settled settings.
pub(crate) fn forecast(
    settled: &Settled,
    measure: &Measure,
    traffic: Traffic,
    basis: &Basis<'_>,
) -> Forecast {
    let cost = Cost::of(&settled.transform.instance_type, basis);
    let reckoner = Reckoner {
        measure,
        requests: settled.requests,
        assumptions: &settled.assumptions,
    };
    let mut what_if = Vec::new();
    for (i, layout) in settled.alternatives.iter().enumerate() {
        let waves = match i {
            0 => settled.waves,
            _ => Waves::of(layout.jobs, layout.shards(measure)),
        };
        what_if.push(reckoner.alternative(layout, &waves, i == 0, &cost));
    }
    let spread = |distribution| {
        let layout = &settled.layout;
        let ends = reckoner.ends(layout, &settled.waves, distribution);
        let instances = layout.instances * layout.jobs;
        let idle = instances.saturating_sub(ends.busy());
        Spread {
            distribution,
            busy: instances - idle,
            idle,
            seconds: ends.seconds(),
        }
    };
    let (seconds, instance_hours) = match what_if.first() {
        Some(planned) => (planned.seconds, planned.instance_hours),
        None => (Range::default(), Range::default()),
    };
    Forecast {
        assumptions: settled.assumptions,
        seconds,
        instance_hours,
        cost: cost.for_hours(instance_hours),
        traffic,
        distributions: Distribution::ALL.into_iter().map(spread).collect(),
        what_if,
    }
}

struct Reckoner<'a> {
    measure: &'a Measure,
    requests: Requests,
    assumptions: &'a Assumptions,
}

/// Both ends of the assumptions.
struct Ends {
    fast: Outcome,
    slow: Outcome,
}

impl Ends {
    fn seconds(&self) -> Range {
        Range::of(self.fast.wall_s(), self.slow.wall_s())
    }

    fn hours(&self) -> Range {
        Range::of(self.fast.billed_s() / HOUR, self.slow.billed_s() / HOUR)
    }

    /// Instances with a shard.
    fn busy(&self) -> u32 {
        let all: usize = self.fast.jobs.iter().map(|job| job.busy_s.len()).sum();
        u32::try_from(all).unwrap_or(u32::MAX) - self.fast.idle()
    }
}

impl Reckoner<'_> {
    fn ends(&self, layout: &Layout, waves: &Waves, distribution: Distribution) -> Ends {
        let assumed = self.assumptions;
        let prepared = assumed.prepared_bytes_per_second;
        // Where it is left to the container, and it says nothing, the API's default is 1.
        let shape = |proposed| Shape::new(self.measure, layout, self.requests, proposed);
        let service = Service::of(distribution);
        let fast = shape(assumed.fast.workers).jobs(waves, prepared.high);
        let slow = shape(1).jobs(waves, prepared.low);
        Ends {
            fast: simulate(&fast, &assumed.fast, service),
            slow: simulate(&slow, &assumed.slow, service),
        }
    }

    fn alternative(
        &self,
        layout: &Layout,
        waves: &Waves,
        planned: bool,
        cost: &Cost,
    ) -> Alternative {
        let each = EXPECTED.map(|distribution| self.ends(layout, waves, distribution));
        let over = |of: fn(&Ends) -> Range| each[1..].iter().map(of).fold(of(&each[0]), Range::and);
        let (seconds, instance_hours) = (over(Ends::seconds), over(Ends::hours));
        let instances = layout.instances * layout.jobs;
        Alternative {
            planned,
            instance_count: layout.instances,
            jobs: layout.jobs,
            max_concurrent_transforms: layout.concurrency,
            max_payload_in_mb: layout.payload_mb,
            shards: layout.shards(self.measure),
            requests: each[0].fast.requests(),
            instances_idle: instances.saturating_sub(each[0].busy()),
            seconds,
            instance_hours,
            cost: cost.for_hours(instance_hours).range,
        }
    }
}

/// Bytes that a payload surely holds, for people: 0 MB is no limit.
pub(crate) fn payload_limit(payload_mb: u32) -> u64 {
    Limits::payload_bytes(payload_mb).unwrap_or(u64::MAX)
}
