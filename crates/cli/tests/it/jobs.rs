//! Jobs that fail in part: what was answered is kept, and the rest is sent again, and no more.

use serde_json::{Value, json};

use crate::lab::{Lab, rows, sums};
use crate::resume::kill_at_line;

/// 256 rows in 64 shards.
fn lab_of_64() -> Lab {
    let lab = Lab::unprobed();
    lab.project.write("rows.csv", rows(0..256));
    lab.edit("max_rows: 100", "max_rows: 4");
    lab
}

/// Shards of each job, in their order.
fn shards_of(done: &Value) -> Vec<u64> {
    let jobs = done["jobs"].as_array().unwrap();
    jobs.iter().map(|j| j["shards"].as_u64().unwrap()).collect()
}

/// What is under the run's prefix of the state.
fn below(lab: &Lab, done: &Value, folder: &str) -> Vec<String> {
    let prefix = format!("runs/{}/{folder}/", done["run_id"].as_str().unwrap());
    let keys = lab.keys("state").into_iter();
    keys.filter_map(|k| k.strip_prefix(&prefix).map(str::to_owned))
        .collect()
}

#[test]
fn three_of_64_shards_that_fail_are_scored_by_a_second_job_over_just_those() {
    let lab = lab_of_64();
    lab.answer("flaky-once:3");
    let done = lab.run(&[]).expect(0);
    assert!(
        done.stderr.contains("3 shards without an output"),
        "{}",
        done.stderr
    );
    let done = done.json();
    assert_eq!(lab.scores(&done), sums(0..256));
    assert_eq!((shards_of(&done), lab.jobs().len()), (vec![64, 3], 2));
    assert_eq!(done["jobs"][0]["status"], "Failed");
    let run = done["run_id"].as_str().unwrap();
    let manifest = lab.object("state", &format!("runs/{run}/manifests/a2.json"));
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    // The outputs of the second job are those of the manifest's shards, under a prefix of its own.
    let mut named: Vec<String> = manifest[1..]
        .iter()
        .map(|name| format!("{}.out", name.as_str().unwrap()))
        .collect();
    named.sort();
    assert_eq!((below(&lab, &done, "out/a2"), named.len()), (named, 3));
    assert_eq!(below(&lab, &done, "out/a1").len(), 61);
}

/// Killed wherever its ledger has a line from the first job's end on: two jobs, and the same bytes.
#[test]
fn killed_between_the_jobs() {
    let lab = lab_of_64();
    lab.edit("max_rows: 4", "max_rows: 32");
    let wanted = lab.published(&lab.run(&["-p", "out=calm"]).expect(0).json());
    let text = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    let first = text
        .lines()
        .position(|l| l.contains("job_created"))
        .unwrap();
    lab.answer("flaky-once:2");
    let mut killed = 0;
    for at in (first + 1..).step_by(3).take(4) {
        let _ = std::fs::remove_file(lab.project.path("flaky-count"));
        let (key, out) = (format!("key-{at}"), format!("out=storm-{at}"));
        killed += usize::from(kill_at_line(&lab, &key, &out, at));
        let done = lab.run(&["--run-key", &key, "-p", &out]).expect(0).json();
        assert_eq!(lab.published(&done), wanted, "killed at line {at}");
        assert_eq!(shards_of(&done), [8, 2], "killed at line {at}");
    }
    assert!(
        killed > 2,
        "only {killed} runs were killed before their end"
    );
}

#[test]
fn no_wait_comes_to_the_second_job_as_well() {
    let lab = lab_of_64();
    lab.answer("flaky-once:3");
    let mut calls = 0;
    let done = loop {
        let call = lab.run(&["--no-wait"]);
        calls += 1;
        assert!(
            calls < 400 && [0, 75].contains(&call.code),
            "{}",
            call.stderr
        );
        if call.code == 0 {
            break call.json();
        }
    };
    assert_eq!(lab.scores(&done), sums(0..256));
    assert_eq!((shards_of(&done), lab.jobs().len()), (vec![64, 3], 2));
}

/// A job that answers none of its shards would fail again, and so ends the run.
#[test]
fn shards_that_fail_again_are_not_sent_a_third_time() {
    let lab = lab_of_64();
    // Rows 10 and 11 are in one shard.
    lab.answer("refuse:15,16.5,75");
    let told = lab.refusal(lab.run(&[]), 69);
    assert!(
        told.contains("2 of 64 shards have no usable output"),
        "{told}"
    );
    assert_eq!(lab.jobs().len(), 2);
    lab.edit("job_timeout: 1h", "job_timeout: 1h\n  max_attempts: 1");
    lab.answer("refuse:75");
    lab.refusal(lab.run(&[]), 69);
    assert_eq!(lab.jobs().len(), 3);
    lab.answer("sum");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(
        (shards_of(&done), lab.scores(&done)),
        (vec![64, 2, 2, 1], sums(0..256))
    );
}

#[test]
fn settings_that_touch_no_byte_may_change_between_attempts() {
    let lab = lab_of_64();
    lab.edit("job_timeout: 1h", "job_timeout: 1h\n  max_attempts: 1");
    lab.answer("flaky-once:3");
    lab.refusal(lab.run(&[]), 69);
    lab.edit(
        "job_timeout: 1h",
        "job_timeout: 5h\n  tags: { team: churn }",
    );
    lab.edit("instance_count: 1", "instance_count: 3");
    lab.edit("ml.m5.xlarge", "ml.c5.2xlarge");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(
        (shards_of(&done), lab.scores(&done)),
        (vec![64, 3], sums(0..256))
    );
    // Other data under the key is another thing.
    lab.project.write("rows.csv", rows(0..255));
    let told = lab.told(lab.run(&[]), 73);
    assert!(told.contains("rows.csv changed"), "{told}");
}

#[test]
fn an_answer_to_create_that_is_lost_leads_to_no_second_job() {
    for fault in [
        json!({ "lost": true }),
        json!({ "status": 500, "code": "InternalFailure", "message": "?" }),
        json!({ "status": 400, "code": "ThrottlingException", "message": "Rate exceeded" }),
    ] {
        let mut rule = json!({ "target": "SageMaker.CreateTransformJob", "times": 2 });
        let members = fault.as_object().unwrap().clone();
        rule.as_object_mut().unwrap().extend(members);
        let lab = Lab::new();
        lab.project
            .write(".gristmill/local/faults.json", json!([rule]).to_string());
        let done = lab.run(&[]).expect(0).json();
        assert_eq!(lab.scores(&done), sums(0..crate::lab::ROWS), "{fault}");
        assert_eq!(
            (shards_of(&done), lab.jobs().len()),
            (vec![3], 1),
            "{fault}"
        );
    }
}
