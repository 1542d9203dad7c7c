//! The planner, held to the simulator: what it drafts is compared with everything it could have.

use gristmill_plan::pace::Range;
use gristmill_plan::planner::{Basis, MOST_INSTANCES, Setting};
use gristmill_plan::prices::Prices;
use gristmill_plan::simulator::{
    Cut, Distribution, Job, Object, Pace, Service, equal_objects, simulate,
};
use gristmill_plan::{Inventory, Plan, Sample, draft, draft_on};
use proptest::prelude::*;

use crate::support::{inventory, plan_again, sample, spec};

/// Rows of one size.
#[derive(Debug, Clone, Copy)]
struct Data {
    rows: u64,
    row_bytes: u64,
}

impl Data {
    fn bytes(self) -> u64 {
        self.rows * self.row_bytes
    }

    /// As the caller finds it: all columns but two go to the model, and those have no bytes here.
    fn found(self) -> (Inventory, Sample) {
        let mut inventory = inventory();
        inventory.inputs.truncate(1);
        // Three columns of five are sent.
        inventory.inputs[0].size = self.bytes() * 5 / 3;
        let sample = Sample {
            rows: 3000,
            bytes: 3000 * self.row_bytes * 5 / 3,
            stored_bytes: 3000 * self.row_bytes * 5 / 3,
            largest_record: self.row_bytes * 2,
            ..sample()
        };
        (inventory, sample)
    }
}

fn drafted(data: Data, lines: &str) -> Plan {
    let (inventory, sample) = data.found();
    let lines = format!("model: late-v1\n  {lines}");
    draft(&spec(&[("model: late-v1", &lines)]), &inventory, &sample).unwrap()
}

/// The job of a plan, its shards cut as the cutter cuts.
fn job_of(plan: &Plan, data: Data) -> Job {
    let transform = plan.transform.as_ref().unwrap();
    let by_bytes = plan.shards.max_bytes.unwrap() / data.row_bytes;
    let each = plan.shards.max_rows.unwrap_or(u64::MAX).min(by_bytes);
    let mut objects = Vec::new();
    let mut left = data.rows;
    while left > 0 {
        let rows = left.min(each);
        objects.push(Object {
            rows,
            bytes: rows * data.row_bytes,
        });
        left -= rows;
    }
    Job {
        objects,
        cut: Cut::Payload(u64::from(transform.max_payload_in_mb) * 990_000),
        instances: transform.instance_count,
        concurrency: transform.max_concurrent_transforms,
        created_s: 0.0,
    }
}

/// The least seconds that any cut of the data, any payload and any concurrency would take.
fn best(data: Data, instances: u32, pace: &Pace, service: Service) -> f64 {
    let mut best = f64::INFINITY;
    let counts = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64, 128];
    for count in counts
        .into_iter()
        .chain((1..=8).map(|k| k * u64::from(instances)))
    {
        for payload in [1, 2, 3, 6, 12, 25, 50_u64] {
            let workers = pace.workers;
            for concurrency in [
                workers.div_ceil(2),
                workers,
                workers + workers.div_ceil(4),
                2 * workers,
            ] {
                if u64::from(concurrency) * payload > 100 {
                    continue;
                }
                let job = Job {
                    objects: equal_objects(data.rows, data.bytes(), count),
                    cut: Cut::Payload(payload * 990_000),
                    instances,
                    concurrency,
                    created_s: 0.0,
                };
                best = best.min(simulate(&[job], pace, service).wall_s());
            }
        }
    }
    best
}

/// No schedule takes less: all rows in all workers, and at least a request.
fn bound(data: Data, instances: u32, pace: &Pace) -> f64 {
    let work = data.rows as f64 * pace.row_s / f64::from(instances * pace.workers);
    pace.provision_s + pace.start_s + pace.request_s + work
}

/// Rows a second of a worker, seconds of a request, of a byte.
const PACES: [(f64, f64, f64); 6] = [
    (200.0, 0.005, 0.0),
    (200.0, 0.2, 1e-8),
    (2_000.0, 0.005, 1e-8),
    (2_000.0, 0.02, 5e-9),
    (20_000.0, 0.005, 5e-9),
    (20_000.0, 0.02, 5e-9),
];

/// Bytes of text that no worker parses in less than a second.
const PARSED_PER_SECOND: f64 = 20e6;

/// Draft, true pace and switch, all over the grid. Gives how far the draft is from the best, and
/// how many cases had to be searched.
fn grid(instance_type: &str, workers: &[u32]) -> (f64, String, u32) {
    let (mut worst, mut told, mut searched) = (0.0, String::new(), 0);
    for row_bytes in [60, 400, 3_000] {
        for rows in [2_000, 20_000, 150_000, 700_000, 4_000_000] {
            for instances in [1, 2, 3, 8] {
                let data = Data { rows, row_bytes };
                let plan = drafted(data, &format!("instance_count: {instances}"));
                let plan = if instance_type == "ml.m5.xlarge" {
                    plan
                } else {
                    let (inventory, sample) = data.found();
                    let lines = format!("{instance_type}\n  instance_count: {instances}");
                    draft(&spec(&[("ml.m5.xlarge", &lines)]), &inventory, &sample).unwrap()
                };
                let job = job_of(&plan, data);
                for (per_second, request_s, byte_s) in PACES {
                    for &workers in workers {
                        let pace = Pace {
                            provision_s: 120.0,
                            start_s: 60.0,
                            request_s,
                            row_s: (1.0 / per_second).max(row_bytes as f64 / PARSED_PER_SECOND),
                            byte_s,
                            workers,
                        };
                        for distribution in [
                            Distribution::Contiguous,
                            Distribution::RoundRobin,
                            Distribution::Queue,
                        ] {
                            let service = Service::of(distribution);
                            let took =
                                simulate(std::slice::from_ref(&job), &pace, service).wall_s();
                            let mut least = bound(data, instances, &pace);
                            if took > 1.02 * least {
                                searched += 1;
                                least = best(data, instances, &pace, service);
                            }
                            if took / least > worst {
                                worst = took / least;
                                told = format!(
                                    "{data:?} {instances} instances {pace:?} {service:?}: {took} against {least}, {} shards, {:?}",
                                    job.objects.len(),
                                    plan.shards.max_rows
                                );
                            }
                        }
                    }
                }
            }
        }
    }
    (worst, told, searched)
}

#[test]
fn the_draft_is_near_the_best_whatever_the_model_and_the_service() {
    let (worst, told, searched) = grid("ml.m5.xlarge", &[1, 2, 4]);
    assert!(searched > 0, "the search is not tried");
    assert!(worst < 1.1, "{worst}: {told}");
}

#[test]
fn the_draft_is_near_the_best_for_machines_of_many_processors() {
    let (worst, told, searched) = grid("ml.m5.4xlarge", &[1, 8, 16]);
    assert!(searched > 0, "the search is not tried");
    assert!(worst < 1.1, "{worst}: {told}");
}

/// Time × cost of a plan's job under a pace.
fn product(job: &Job, pace: &Pace) -> f64 {
    simulate(
        std::slice::from_ref(job),
        pace,
        Service::of(Distribution::Queue),
    )
    .time_by_cost()
}

#[test]
fn instances_are_chosen_for_time_and_cost_where_the_pace_is_known() {
    for rows in [20_000, 700_000, 4_000_000, 40_000_000] {
        for rate in [2_000.0, 20_000.0, 80_000.0] {
            let data = Data {
                rows,
                row_bytes: 100,
            };
            let (inventory, sample) = data.found();
            let basis = Basis {
                rows_per_second: Some(Range {
                    low: rate,
                    high: rate,
                }),
                ..Basis::default()
            };
            let of = |lines: &str| {
                let lines = format!("model: late-v1{lines}");
                draft_on(
                    &spec(&[("model: late-v1", &lines)]),
                    &inventory,
                    &sample,
                    &basis,
                )
                .unwrap()
            };
            let plan = of("");
            let pace = plan.forecast.as_ref().unwrap().assumptions.fast;
            let chosen = product(&job_of(&plan, data), &pace);
            let each = (1..=MOST_INSTANCES).map(|n| {
                product(
                    &job_of(&of(&format!("\n  instance_count: {n}")), data),
                    &pace,
                )
            });
            let least = each.fold(f64::INFINITY, f64::min);
            let instances = plan.transform.unwrap().instance_count;
            assert!(
                chosen < 1.1 * least,
                "{rows} {rate}: {instances}: {chosen} {least}"
            );
        }
    }
    // Where it is not, an instance that a fast model would leave without work is not started.
    let small = drafted(
        Data {
            rows: 1_000_000,
            row_bytes: 100,
        },
        "tags: {}",
    );
    assert_eq!(small.transform.unwrap().instance_count, 1);
}

#[test]
fn what_the_file_says_is_kept_and_warned_of() {
    let data = Data {
        rows: 1_000_000,
        row_bytes: 100,
    };
    let (inventory, sample) = data.found();
    let plan = |shards: &str, lines: &str| {
        let spec = spec(&[
            ("format: csv", &format!("format: csv\n  {shards}")),
            ("model: late-v1", &format!("model: late-v1\n  {lines}")),
        ]);
        draft(&spec, &inventory, &sample).unwrap()
    };
    let idle = plan(
        "max_bytes: 1GB",
        "instance_count: 4\n  max_concurrent_transforms: 2",
    );
    let transform = idle.transform.unwrap();
    assert_eq!(
        (
            transform.instance_count,
            transform.max_concurrent_transforms
        ),
        (4, 2)
    );
    assert_eq!(
        (idle.shards.max_bytes, idle.shards.max_rows),
        (Some(1_000_000_000), None)
    );
    insta::assert_snapshot!(idle.warnings.join("\n"), @"3 of 4 instances would be paid for doing nothing: about 1 shards for them all");
    let small = plan(
        "max_rows: 1000",
        "max_payload_in_mb: 6\n  instance_count: 1",
    );
    insta::assert_snapshot!(small.warnings.join("\n"), @"about 1000 shards hold less than half a payload each, and each is a request of its own: 17 requests would hold all rows");
    let said: Vec<&str> = small
        .settings
        .iter()
        .filter(|s| !s.chosen)
        .map(|s| s.key.as_str())
        .collect();
    assert_eq!(
        said,
        [
            "transform.instance_count",
            "transform.max_payload_in_mb",
            "shards.max_rows"
        ]
    );
}

#[test]
fn every_choice_has_its_reason() {
    let told = |plan: &Plan| {
        let line = |s: &Setting| {
            format!(
                "{} {} {}: {}",
                s.key,
                s.value,
                if s.chosen { "chosen" } else { "said" },
                s.reason
            )
        };
        plan.settings
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let data = Data {
        rows: 1_000_000,
        row_bytes: 100,
    };
    insta::assert_snapshot!(told(&drafted(data, "tags: {}")), @r#"
    transform.instance_count 1 chosen: the least product of time and cost up to 10, for a fast model; a slow one may be worth more
    transform.jobs 1 chosen: one, unless the file says more; `auto` leaves it to the planner
    transform.max_concurrent_transforms 5 chosen: one for each of 4 vCPUs, and some on their way; what the container itself would ask for (/execution-parameters) is not known here
    transform.max_payload_in_mb 2 chosen: rows are short: a slow model that computes one request at a time would not answer 5 larger ones within `invocations_timeout_in_seconds`
    shards.max_bytes 64000000 chosen: so much at most is scored again where a shard fails
    transform.batch_strategy "multi_record" chosen: a request for each row would take many times longer
    shards.max_rows 265625 chosen: 4 shards of one size for 1 instance of 4 at once, so that all end together
    "#);
    let (inventory, sample) = data.found();
    let other = |edits: &[(&str, &str)]| told(&draft(&spec(edits), &inventory, &sample).unwrap());
    insta::assert_snapshot!(other(&[("format: csv", "format: parquet"), ("ml.m5.xlarge", "ml.g5.12xlarge\n  jobs: auto")]), @r"
    transform.instance_count 1 chosen: the least product of time and cost up to 10, for a fast model; a slow one may be worth more
    transform.jobs 1 chosen: the least product of time and cost, for a fast model; each job pays for its own start
    transform.max_concurrent_transforms 8 chosen: two for each of 4 accelerators, one of them on its way; what the container itself would ask for (/execution-parameters) is not known here
    transform.max_payload_in_mb 12 chosen: a shard is one request; 8 at once come to at most 100 MB
    shards.max_bytes 11880000 chosen: a shard is one request, which holds no more
    shards.max_rows 85070 chosen: 12 shards of one size for 1 instance of 4 at once, so that all end together
    ");
    insta::assert_snapshot!(other(&[("ml.m5.xlarge", "ml.z9.huge\n  instance_count: 3\n  max_payload_in_mb: 20")]), @r#"
    transform.instance_count 3 said: as the file says
    transform.jobs 1 chosen: one, unless the file says more; `auto` leaves it to the planner
    transform.max_concurrent_transforms 0 chosen: what this instance type has is not known, so it is left to the container: its /execution-parameters, else 1 (the API's default)
    transform.max_payload_in_mb 20 said: as the file says
    shards.max_bytes 64000000 chosen: so much at most is scored again where a shard fails
    transform.batch_strategy "multi_record" chosen: a request for each row would take many times longer
    shards.max_rows 173611 chosen: 6 shards of one size for 3 instances of 1 at once, so that all end together
    "#);
    insta::assert_snapshot!(told(&plan_again(&[])), @r#"
    transform.instance_count 1 chosen: as the run's first attempt chose
    transform.jobs 1 chosen: one, unless the file says more; `auto` leaves it to the planner
    transform.max_concurrent_transforms 5 chosen: as the run's first attempt chose
    transform.max_payload_in_mb 1 chosen: as the run's first attempt chose
    shards.max_bytes 64000000 chosen: as the run's first attempt chose
    transform.batch_strategy "multi_record" chosen: a request for each row would take many times longer
    shards.max_rows 5313 chosen: as the run's first attempt chose
    "#);
}

#[test]
fn a_large_record_raises_the_payload() {
    let data = Data {
        rows: 100_000,
        row_bytes: 400,
    };
    let (inventory, mut sample) = data.found();
    let payload = |sample: &Sample| {
        draft(&spec(&[]), &inventory, sample)
            .unwrap()
            .transform
            .unwrap()
            .max_payload_in_mb
    };
    assert_eq!(payload(&sample), 6);
    sample.largest_record = 7_000_000;
    assert_eq!(payload(&sample), 9);
    let transform = draft(&spec(&[]), &inventory, &sample)
        .unwrap()
        .transform
        .unwrap();
    assert!(transform.max_concurrent_transforms * transform.max_payload_in_mb <= 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn no_draft_breaks_a_limit(
        rows in 0u64..20_000_000,
        row_bytes in 1u64..200_000,
        format in prop::sample::select(vec!["csv", "csv.gz", "jsonl", "parquet"]),
        machine in prop::sample::select(vec!["ml.m5.large", "ml.m5.24xlarge", "ml.g5.48xlarge", "ml.z9.huge"]),
        concurrency in prop::option::of(0u32..=100),
        instances in prop::option::of(1u32..=100),
        jobs in prop::sample::select(vec!["1", "7", "auto"]),
    ) {
        let data = Data { rows: rows.min(4_000_000_000 / row_bytes), row_bytes };
        let (inventory, sample) = data.found();
        let mut lines = format!("{machine}\n  jobs: {jobs}");
        for (key, value) in [("max_concurrent_transforms", concurrency), ("instance_count", instances)] {
            if let Some(value) = value {
                lines += &format!("\n  {key}: {value}");
            }
        }
        let spec = spec(&[("format: csv", &format!("format: {format}")), ("ml.m5.xlarge", &lines)]);
        let plan = draft(&spec, &inventory, &sample).unwrap();
        let transform = plan.transform.clone().unwrap();
        let product = u64::from(transform.max_payload_in_mb) * u64::from(transform.max_concurrent_transforms);
        prop_assert!(product <= 100, "{:?}", transform);
        prop_assert!((1..=100).contains(&transform.max_payload_in_mb));
        prop_assert!((1..=100).contains(&transform.instance_count));
        let (max_bytes, max_record) = (plan.shards.max_bytes.unwrap(), plan.max_record_bytes.unwrap());
        prop_assert!(max_record <= max_bytes);
        prop_assert!(plan.shards.max_rows != Some(0));
        if format == "parquet" {
            prop_assert!(max_bytes <= max_record);
        }
        // As it was, for each later attempt, whatever the instances.
        let basis = Basis { frozen: Some(&plan.choices), ..Basis::default() };
        let again = draft_on(&spec, &inventory, &sample, &basis).unwrap();
        prop_assert_eq!(&again.shards, &plan.shards);
        prop_assert_eq!(&again.transform, &plan.transform);
        prop_assert_eq!(again.waves, plan.waves);
        let table = plan.shard_table.unwrap();
        prop_assert_eq!(table.count, plan.estimate.shards);
        let forecast = plan.forecast.unwrap();
        prop_assert!(forecast.seconds.low <= forecast.seconds.high);
        prop_assert!(forecast.what_if[0].planned && forecast.what_if[1..].iter().all(|w| !w.planned));
    }
}

#[test]
fn all_shards_to_one_instance_is_warned_of() {
    let data = Data {
        rows: 1_000_000,
        row_bytes: 100,
    };
    let plan = drafted(data, "instance_count: 4");
    let spread = plan.forecast.as_ref().unwrap().distributions.iter();
    let each: Vec<_> = spread.map(|s| (s.distribution, s.busy, s.idle)).collect();
    assert_eq!(
        each,
        [
            (Distribution::Contiguous, 4, 0),
            (Distribution::RoundRobin, 4, 0),
            (Distribution::Queue, 4, 0),
            (Distribution::One, 1, 3),
        ]
    );
    insta::assert_snapshot!(plan.warnings.join("\n"), @"AWS does not say how shards are shared among instances; if all went to one, 3 of 4 would be paid for doing nothing, and the jobs would take up to 2.2 times as long");
    assert!(drafted(data, "instance_count: 1").warnings.is_empty());
}

#[test]
fn a_budget_that_the_fastest_model_would_break_is_told() {
    let data = Data {
        rows: 40_000_000,
        row_bytes: 100,
    };
    let (inventory, sample) = data.found();
    let prices = Prices::example();
    let over = |budget: &str, region: Option<&str>| {
        let spec = spec(&[("assemble:\n", &format!("budget: {budget}\nassemble:\n"))]);
        let basis = Basis {
            region,
            prices: Some(&prices),
            ..Basis::default()
        };
        draft_on(&spec, &inventory, &sample, &basis)
            .unwrap()
            .over_budget
    };
    let here = Some("us-east-1");
    assert_eq!(over("{ instance_hours: 100, usd: 100 }", here), None);
    insta::assert_snapshot!(over("{ instance_hours: 0.1 }", here).unwrap(), @"p.yaml:17:27: `budget.instance_hours` is 0.1; 0.00 are spent, and at least 0.20 would be by what is left; raise the budget, or score fewer rows; `plan` shows what other settings take");
    insta::assert_snapshot!(over("{ usd: 0.01 }", here).unwrap(), @"p.yaml:17:16: `budget.usd` is 0.01; 0.00 is spent, and at least 0.05 would be by what is left; raise the budget, or score fewer rows; `plan` shows what other settings take");
    insta::assert_snapshot!(over("{ usd: 100 }", Some("eu-west-1")).unwrap(), @"p.yaml:17:16: `budget.usd` is 100, and what the instances cost is not known: the prices (built-in example) are those of us-east-1, and this is eu-west-1; give a price file that has the type and the region (--prices FILE), or bound `instance_hours` instead");
    insta::assert_snapshot!(over("{ usd: 100 }", None).unwrap(), @"p.yaml:17:16: `budget.usd` is 100, and what the instances cost is not known: no region is set, and the prices (built-in example) are those of us-east-1; give a price file that has the type and the region (--prices FILE), or bound `instance_hours` instead");
}

#[test]
fn shards_are_shared_among_jobs_in_order() {
    let data = Data {
        rows: 30_000_000,
        row_bytes: 400,
    };
    let plan = drafted(data, "jobs: 3\n  instance_count: 2");
    let waves = plan.waves;
    assert_eq!(waves.jobs, 3);
    assert_eq!(waves.job_of(plan.estimate.shards - 1), 2);
    // Each job has as many for each of its instances.
    assert_eq!(plan.estimate.shards % 6, 0, "{:?}", plan.estimate);
    assert_eq!(plan.estimate.instances_idle, 0);
    assert_eq!(plan.estimate.instances_busy, 6);
}
