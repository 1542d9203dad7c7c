//! The embedded service against the planner's simulator: of two ways to run a job that the simulator says
//! are far apart, the same one takes longer there, however objects are shared out.

use gristmill_plan::simulator::{Cut, Distribution, Job, Pace, Service, equal_objects, simulate};
use serde_json::Value;

use crate::lab::Lab;
use crate::project::finish;

/// Shards, each one request of so many milliseconds.
const SHARDS: u64 = 8;
const REQUEST_MS: u64 = 200;
/// `instance_count` and `max_concurrent_transforms`.
const WAYS: [(u32, u32); 5] = [(1, 1), (2, 1), (4, 1), (1, 4), (2, 4)];
/// How far apart forecasts must be, as a ratio and in seconds: the machine may be busy with other tests.
const FAR: f64 = 1.9;
const FAR_S: f64 = 0.5;

/// Seconds that the busiest instance is busy, as the simulator has it.
fn forecast((instances, concurrency): (u32, u32), distribution: Distribution) -> f64 {
    let job = Job {
        objects: equal_objects(8 * SHARDS, 64 * SHARDS, SHARDS),
        cut: Cut::Payload(1 << 20),
        instances,
        concurrency,
        created_s: 0.0,
    };
    let pace = Pace {
        provision_s: 0.0,
        start_s: 0.0,
        request_s: REQUEST_MS as f64 / 1e3,
        row_s: 0.0,
        byte_s: 0.0,
        workers: 64,
    };
    let outcome = simulate(&[job], &pace, Service::of(distribution));
    outcome.jobs[0].busy_s.iter().copied().fold(0.0, f64::max)
}

/// The same as the embedded service measured it, by what it writes down of each job.
fn measured(lab: &Lab, (instances, concurrency): (u32, u32), assume: &str) -> f64 {
    let name = format!("i{instances}c{concurrency}");
    let out = format!("out={name}");
    let edits = [
        ("instance_count: 1", format!("instance_count: {instances}")),
        (
            "max_concurrent_transforms: 2",
            format!("max_concurrent_transforms: {concurrency}"),
        ),
    ];
    for (from, to) in &edits {
        lab.edit(from, to);
    }
    let args = [
        "run",
        "pipeline.yaml",
        "--local",
        "--output",
        "json",
        "-p",
        &out,
        "--run-key",
        &name,
    ];
    let mut run = lab.project.command(&args);
    let done = finish(run.env("GRISTMILL_ASSUME", assume)).expect(0).json();
    for (from, to) in &edits {
        lab.edit(to, from);
    }
    let job = done["jobs"][0]["name"]
        .as_str()
        .unwrap_or_else(|| panic!("{done}"));
    let work = format!(".gristmill/local/sagemaker/work/{job}.json");
    let work = std::fs::read(lab.project.path(&work)).unwrap();
    let work: Value = serde_json::from_slice(&work).unwrap();
    let busy = work["instances"].as_array().unwrap().iter();
    busy.map(|i| i["busy_seconds"].as_f64().unwrap())
        .fold(0.0, f64::max)
}

fn in_the_same_order(distribution: Distribution) {
    let lab = Lab::new();
    lab.project
        .write("rows.csv", crate::lab::rows(0..8 * SHARDS as usize));
    lab.edit("max_rows: 100", "max_rows: 8");
    lab.project.write(
        ".gristmill/local/faults.json",
        format!(r#"[{{ "fault": "slow", "ms": {REQUEST_MS} }}]"#),
    );
    let assume = format!("distribution={}", distribution.as_str().replace('_', "-"));
    let took: Vec<(f64, f64)> = WAYS
        .into_iter()
        .map(|way| (forecast(way, distribution), measured(&lab, way, &assume)))
        .collect();
    let mut compared = 0;
    for (longer, longer_took) in &took {
        for (shorter, shorter_took) in &took {
            if *longer > FAR * shorter && longer - shorter > FAR_S {
                compared += 1;
                assert!(longer_took > shorter_took, "{distribution:?}: {took:?}");
            }
        }
    }
    assert!(compared >= 5, "{distribution:?}: {took:?}");
}

#[test]
fn of_runs_of_keys() {
    in_the_same_order(Distribution::Contiguous);
}

#[test]
fn of_objects_in_turn() {
    in_the_same_order(Distribution::RoundRobin);
}

#[test]
fn of_a_queue() {
    in_the_same_order(Distribution::Queue);
}

#[test]
fn of_all_to_one() {
    in_the_same_order(Distribution::One);
}
