//! What a pipeline leaves out of its transform jobs: shards, payload, concurrency, instances, jobs.
//!
//! What the file says is kept, whatever it costs; a warning says so. What it leaves out is chosen
//! so that no instance idles and all end together under every way in which the service may share
//! shards out, and so that the choice is good for slow and fast models alike, since nobody has
//! measured this one. It is counted on that an instance begins its next shard while the last requests
//! of one are under way, as it has to where a shard is one request: see
//! [`crate::simulator::Objects`]. How many instances and jobs there are is a matter of taste, between time and
//! money: where the file says nothing, the least product of both counts, reckoned for a fast model:
//! an instance too few costs time, which a second run mends; one too many costs money and a quota.

mod layout;
mod reasons;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::forecast::Shape;
use crate::instance_types::{Machine, machine};
use crate::limits::Limits;
use crate::pace::{Assumptions, Range};
use crate::prices::Prices;
use crate::simulator::{Distribution, Service, simulate};
use crate::spec::{BatchStrategy, Jobs, Shards, Spec, SplitType, Transform};
use crate::waves::Waves;
use layout::{Stated, lay_out};

pub(crate) use layout::{Layout, Requests};

/// The most instances that are chosen: accounts' quotas for a type are often few.
pub const MOST_INSTANCES: u32 = 10;
/// Numbers of jobs that `jobs: auto` chooses from.
pub const JOBS: [u32; 4] = [1, 2, 4, 8];

/// What is known beside the pipeline and its inputs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Basis<'a> {
    /// What the run's first attempt chose.
    pub frozen: Option<&'a Choices>,
    /// Rows that one instance scores in a second.
    pub rows_per_second: Option<Range>,
    /// What instances cost.
    pub prices: Option<&'a Prices>,
    /// Where they are.
    pub region: Option<&'a str>,
}

/// What was chosen for a run, to be kept for all of its attempts; `None` for what the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// `shards.max_bytes`.
    pub max_bytes: Option<u64>,
    /// `shards.max_rows`; `None` within for no limit.
    pub max_rows: Option<Option<u64>>,
    /// `transform.max_payload_in_mb`.
    pub max_payload_in_mb: Option<u32>,
    /// `transform.max_concurrent_transforms`.
    pub max_concurrent_transforms: Option<u32>,
    /// `transform.instance_count`.
    pub instance_count: Option<u32>,
    /// How shards are shared among jobs, be their number chosen or not.
    pub waves: Option<Waves>,
}

impl Choices {
    /// What a run has that began before anything was chosen: the constants of then.
    pub fn of_old(spec: &Spec) -> Choices {
        let transform = spec.transform.as_ref();
        Choices {
            max_bytes: spec.shards.max_bytes,
            max_rows: Some(spec.shards.max_rows),
            max_payload_in_mb: transform.map(|t| t.max_payload_in_mb),
            max_concurrent_transforms: transform.map(|t| t.max_concurrent_transforms),
            instance_count: transform.map(|t| t.instance_count),
            waves: Some(Waves::default()),
        }
    }
}

/// One setting of the plan, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// As in the file: `transform.instance_count`.
    pub key: String,
    /// As in the file.
    pub value: Value,
    /// The planner chose it; else the file says it.
    pub chosen: bool,
    /// Why, in one sentence without its full stop.
    pub reason: String,
}

/// What is known of the rows that go to the model. Estimates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) rows: u64,
    /// As text, before any compression.
    pub(crate) bytes: u64,
    /// Of the sample.
    pub(crate) largest_record: u64,
}

impl Measure {
    pub(crate) fn row_bytes(&self) -> f64 {
        if self.rows == 0 {
            return 1.0;
        }
        (self.bytes as f64 / self.rows as f64).max(1.0)
    }
}

/// Everything about jobs that a plan needs, complete.
pub(crate) struct Settled {
    pub(crate) transform: Transform,
    pub(crate) shards: Shards,
    pub(crate) waves: Waves,
    pub(crate) choices: Choices,
    pub(crate) settings: Vec<Setting>,
    pub(crate) assumptions: Assumptions,
    pub(crate) requests: Requests,
    pub(crate) layout: Layout,
    /// The plan's own first.
    pub(crate) alternatives: Vec<Layout>,
}

/// Fills in what the file leaves out.
pub(crate) fn settle(
    spec: &Spec,
    transform: &Transform,
    measure: &Measure,
    basis: &Basis<'_>,
) -> Settled {
    let assumptions = Assumptions::of(&transform.instance_type, basis.rows_per_second);
    let planner = Planner {
        machine: machine(&transform.instance_type),
        requests: requests(transform),
        timeout_s: transform.invocations_timeout_in_seconds,
        measure: *measure,
        assumptions,
    };
    let written = written(spec, transform);
    let stated = with_frozen(&written, basis.frozen);
    let layout = planner.choose(&stated);
    let waves = waves(&layout, measure, basis.frozen);
    let transform = Transform {
        instance_count: layout.instances,
        max_concurrent_transforms: layout.concurrency,
        max_payload_in_mb: layout.payload_mb,
        ..transform.clone()
    };
    let shards = Shards {
        max_bytes: layout.max_bytes,
        max_rows: layout.max_rows,
        ..spec.shards.clone()
    };
    let told = reasons::Told {
        written: &written,
        stated: &stated,
        layout: &layout,
        planner: &planner,
    };
    let said = |key: &str| says(spec, key);
    Settled {
        settings: told.settings(transform.batch_strategy, &said),
        choices: choices(&written, &layout, waves),
        alternatives: planner.alternatives(&written, &layout),
        requests: planner.requests,
        transform,
        shards,
        waves,
        assumptions,
        layout,
    }
}

/// Whether the file has the key.
fn says(spec: &Spec, key: &str) -> bool {
    spec.places.by_path.contains_key(key)
}

/// How a shard becomes requests.
fn requests(transform: &Transform) -> Requests {
    match (transform.split_type, transform.batch_strategy) {
        (SplitType::None, _) => Requests::Whole,
        (_, Some(BatchStrategy::SingleRecord)) => Requests::Record,
        _ => Requests::Lines,
    }
}

/// What the file says.
fn written(spec: &Spec, transform: &Transform) -> Stated {
    let says = |key: &str| says(spec, key);
    let size = says("shards.max_bytes") || says("shards.max_rows");
    Stated {
        instances: says("transform.instance_count").then_some(transform.instance_count),
        jobs: match transform.jobs {
            Jobs::Number(n) => Some(n),
            Jobs::Auto => None,
        },
        concurrency: says("transform.max_concurrent_transforms")
            .then_some(transform.max_concurrent_transforms),
        payload_mb: says("transform.max_payload_in_mb").then_some(transform.max_payload_in_mb),
        max_bytes: says("shards.max_bytes")
            .then_some(spec.shards.max_bytes)
            .flatten(),
        max_rows: size.then_some(spec.shards.max_rows),
    }
}

/// The same with what attempt 1 chose where the file says nothing.
fn with_frozen(written: &Stated, frozen: Option<&Choices>) -> Stated {
    let Some(frozen) = frozen else {
        return *written;
    };
    Stated {
        instances: written.instances.or(frozen.instance_count),
        jobs: written.jobs.or(frozen.waves.map(|waves| waves.jobs)),
        concurrency: written.concurrency.or(frozen.max_concurrent_transforms),
        payload_mb: written.payload_mb.or(frozen.max_payload_in_mb),
        max_bytes: written.max_bytes.or(frozen.max_bytes),
        max_rows: written.max_rows.or(frozen.max_rows),
    }
}

fn waves(layout: &Layout, measure: &Measure, frozen: Option<&Choices>) -> Waves {
    let kept = frozen.and_then(|choices| choices.waves);
    kept.filter(|waves| waves.jobs == layout.jobs)
        .unwrap_or_else(|| Waves::of(layout.jobs, layout.shards(measure)))
}

/// What is to be kept for later attempts.
fn choices(written: &Stated, layout: &Layout, waves: Waves) -> Choices {
    let chosen = |said: bool| !said;
    Choices {
        max_bytes: layout.max_bytes.filter(|_| written.max_bytes.is_none()),
        max_rows: chosen(written.max_rows.is_some()).then_some(layout.max_rows),
        max_payload_in_mb: chosen(written.payload_mb.is_some()).then_some(layout.payload_mb),
        max_concurrent_transforms: chosen(written.concurrency.is_some())
            .then_some(layout.concurrency),
        instance_count: chosen(written.instances.is_some()).then_some(layout.instances),
        waves: Some(waves),
    }
}

/// What choices depend on.
struct Planner {
    machine: Option<Machine>,
    requests: Requests,
    timeout_s: u32,
    measure: Measure,
    assumptions: Assumptions,
}

impl Planner {
    /// The numbers of instances and jobs with the least product of time and cost, and all else
    /// for them. Of equals the smaller.
    fn choose(&self, stated: &Stated) -> Layout {
        let instances = match stated.instances {
            Some(n) => n..=n,
            None => 1..=MOST_INSTANCES,
        };
        let mut jobs = match stated.jobs {
            Some(n) => vec![n],
            None => JOBS.to_vec(),
        };
        let mut best: Option<(f64, Layout)> = None;
        let single = instances.start() == instances.end() && jobs.len() == 1;
        for instances in instances {
            for jobs in &mut jobs {
                let layout = self.lay_out(stated, instances, *jobs);
                if single {
                    return layout;
                }
                let product = self.product(&layout);
                if best
                    .as_ref()
                    .is_none_or(|(least, _)| product < *least * (1.0 - 1e-9))
                {
                    best = Some((product, layout));
                }
            }
        }
        best.map_or_else(|| self.lay_out(stated, 1, 1), |(_, layout)| layout)
    }

    fn lay_out(&self, stated: &Stated, instances: u32, jobs: u32) -> Layout {
        lay_out(self, stated, instances, jobs)
    }

    /// The plan's own settings, then one changed at a time, with what follows from it.
    fn alternatives(&self, written: &Stated, layout: &Layout) -> Vec<Layout> {
        const INSTANCES: [u32; 4] = [1, 2, 4, 8];
        let own = |instances, jobs| self.lay_out(written, instances, jobs);
        let mut all = vec![layout.clone()];
        all.extend(INSTANCES.map(|n| own(n, layout.jobs)));
        all.extend(JOBS.map(|n| own(layout.instances, n)));
        let slots = match layout.concurrency {
            0 => self.assumptions.fast.workers,
            n => n,
        };
        for concurrency in [1, slots / 2, slots * 2] {
            let payload = written.payload_mb.unwrap_or(1);
            if concurrency == 0 || payload > payload_beside(concurrency) {
                continue;
            }
            let stated = Stated {
                concurrency: Some(concurrency),
                ..*written
            };
            all.push(self.lay_out(&stated, layout.instances, layout.jobs));
        }
        let mut seen = Vec::new();
        all.retain(|other| {
            let new = !seen.contains(other);
            seen.push(other.clone());
            new
        });
        all
    }

    /// Time × cost for a fast model, shards written fast.
    fn product(&self, layout: &Layout) -> f64 {
        let shape = Shape::new(
            &self.measure,
            layout,
            self.requests,
            self.assumptions.fast.workers,
        );
        let waves = Waves::of(layout.jobs, layout.shards(&self.measure));
        let jobs = shape.jobs(&waves, self.assumptions.prepared_bytes_per_second.high);
        simulate(
            &jobs,
            &self.assumptions.fast,
            Service::of(Distribution::RoundRobin),
        )
        .time_by_cost()
    }
}

/// The largest payload for requests at once; the service's own bound where that is left to it.
fn payload_beside(concurrency: u32) -> u32 {
    let product = u32::try_from(Limits::SERVICE.payload_product_mb).unwrap_or(u32::MAX);
    product / concurrency.max(1)
}
