//! `plan` of a scoring pipeline: what is chosen and why, time and cost, and the budget.

use serde_json::Value;

use crate::lab::{Lab, rows, sums};

/// A lab whose pipeline says nothing about shards, payload, concurrency and instances.
fn open(lab: &Lab) {
    lab.edit(
        "shards: { format: csv, max_rows: 100 }",
        "shards: { format: csv }",
    );
    for line in [
        "instance_count: 1",
        "max_payload_in_mb: 1",
        "max_concurrent_transforms: 2",
    ] {
        lab.edit(&format!("  {line}\n"), "");
    }
}

fn plan(lab: &Lab, more: &[&str]) -> Value {
    let args = [
        &["plan", "pipeline.yaml", "--local", "--output", "json"],
        more,
    ]
    .concat();
    lab.project.run(&args).expect(0).json()
}

#[test]
fn a_plan_for_programs_has_these_keys() {
    let lab = Lab::new();
    open(&lab);
    let plan = plan(&lab, &[]);
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    insta::assert_snapshot!(keys(&plan), @"assemble base budget choices columns estimate forecast local max_record_bytes name over_budget params prepare request settings shard_table shards source transform warnings waves work");
    insta::assert_snapshot!(keys(&plan["forecast"]), @"assumptions cost distributions instance_hours seconds traffic what_if");
    insta::assert_snapshot!(keys(&plan["forecast"]["what_if"][0]), @"cost instance_count instance_hours instances_idle jobs max_concurrent_transforms max_payload_in_mb planned requests seconds shards");
    insta::assert_snapshot!(keys(&plan["settings"][0]), @"chosen key reason value");
    assert_eq!(plan["request"]["MaxConcurrentTransforms"], 5);
    assert_eq!(plan["forecast"]["cost"]["price"]["per_hour"], 0.23);
    assert_eq!(plan["shard_table"]["count"], 1);
}

#[test]
fn costs_are_by_the_file_that_is_given_or_unknown() {
    let lab = Lab::new();
    lab.project.write(
        "prices.yaml",
        "as_of: 2026-11-01\nregion: us-east-1\ncurrency: EUR\nper_hour: { ml.m5.xlarge: 10 }\n",
    );
    let told = plan(
        &lab,
        &["--prices", "prices.yaml", "--rows-per-second", "10..20"],
    );
    assert_eq!(told["forecast"]["cost"]["price"]["currency"], "EUR");
    let ends = |key: &str| {
        let range = &told["forecast"]["what_if"][0][key];
        (
            range["low"].as_f64().unwrap(),
            range["high"].as_f64().unwrap(),
        )
    };
    let (hours, cost) = (ends("instance_hours"), ends("cost"));
    assert!((cost.0 - hours.0 * 10.0).abs() < 1e-6 && (cost.1 - hours.1 * 10.0).abs() < 1e-6);
    lab.edit("ml.m5.xlarge", "ml.c5.xlarge");
    let told = plan(&lab, &["--prices", "prices.yaml"]);
    assert_eq!(told["forecast"]["cost"]["range"], Value::Null);
    assert_eq!(
        told["forecast"]["cost"]["unknown"],
        "the prices (prices.yaml) have no ml.c5.xlarge"
    );
    lab.project
        .write("prices.yaml", "as_of: today\nper_hour: {}\n");
    let wrong = lab
        .project
        .run(&["plan", "pipeline.yaml", "--prices", "prices.yaml"])
        .expect(2);
    assert!(
        wrong
            .stderr
            .contains("prices.yaml:1:8: `prices.as_of`: `today` is not a day"),
        "{}",
        wrong.stderr
    );
    lab.project
        .run(&["plan", "pipeline.yaml", "--rows-per-second", "9..3"])
        .expect(2);
}

#[test]
fn a_budget_that_cannot_be_kept_refuses_before_anything_is_sent() {
    let lab = Lab::new();
    lab.edit(
        "assemble:\n",
        "budget: { instance_hours: 0.001 }\nassemble:\n",
    );
    let planned = lab
        .project
        .run(&["plan", "pipeline.yaml", "--local"])
        .expect(78);
    let why = "`budget.instance_hours` is 0.001; 0.00 are spent, and at least 0.01 would be";
    assert!(planned.stdout.contains(why), "{}", planned.stdout);
    let told = lab.refusal(lab.run(&[]), 78);
    assert!(told.contains(why), "{told}");
    assert!(lab.jobs().is_empty() && !lab.has_entry("shard_sealed"));
    lab.edit("0.001", "5");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..250));
}

#[test]
fn what_was_chosen_is_kept_when_instances_change() {
    let lab = Lab::unprobed();
    open(&lab);
    lab.project.write("rows.csv", rows(0..2_000));
    lab.edit("job_timeout: 1h", "job_timeout: 1h\n  max_attempts: 1");
    lab.answer("flaky-once:3");
    lab.refusal(lab.run(&[]), 69);
    let cut = |lab: &Lab| {
        let text = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
        let count = |kind: &str| text.matches(&format!("\"kind\":\"{kind}\"")).count();
        (count("planned"), count("sharding"), count("shard_sealed"))
    };
    let before = cut(&lab);
    assert_eq!((before.0, before.1), (1, 1));
    assert!(before.2 > 1, "{before:?}");
    lab.edit(
        "job_timeout: 1h",
        "job_timeout: 1h\n  instance_count: 5\n  max_concurrent_transforms: 9",
    );
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done).len(), 2_000);
    assert_eq!(cut(&lab), before);
}
