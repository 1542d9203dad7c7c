//! `transform.jobs`: several jobs share the shards, and nothing else is different.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::lab::{Lab, rows, sums, wait_until};
use crate::resume::{kill_9, kill_at_line};

const ROWS: usize = 256;

/// 256 rows in 16 shards.
fn lab_of_16() -> Lab {
    let lab = Lab::unprobed();
    lab.project.write("rows.csv", rows(0..ROWS));
    lab.edit("max_rows: 100", "max_rows: 16");
    lab
}

fn share_among(lab: &Lab, jobs: u32) {
    lab.edit(
        "job_timeout: 1h",
        &format!("job_timeout: 1h\n  jobs: {jobs}"),
    );
}

/// Shards of each job, in the order of their creation.
fn shards_of(done: &Value) -> Vec<u64> {
    let jobs = done["jobs"].as_array().unwrap();
    jobs.iter().map(|j| j["shards"].as_u64().unwrap()).collect()
}

/// The names in a manifest under the run's prefix of the state.
fn manifest(lab: &Lab, done: &Value, attempt: u64) -> Vec<String> {
    let run = done["run_id"].as_str().unwrap();
    let bytes = lab.object("state", &format!("runs/{run}/manifests/a{attempt}.json"));
    let list: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    let names = list[1..].iter().map(|n| n.as_str().unwrap().to_owned());
    names.collect()
}

fn fault(lab: &Lab, rules: &Value) {
    lab.project
        .write(".gristmill/local/faults.json", rules.to_string());
}

fn refused_create(code: &str, times: Option<u64>) -> Value {
    let mut rule = json!({
        "target": "SageMaker.CreateTransformJob", "status": 400, "code": code,
        "message": "the account-level limit is 0 Instances",
    });
    if let Some(times) = times {
        rule["times"] = times.into();
    }
    json!([rule])
}

#[test]
fn three_jobs_publish_what_one_does() {
    let lab = lab_of_16();
    let wanted = lab.published(&lab.run(&["-p", "out=one"]).expect(0).json());
    share_among(&lab, 3);
    let done = lab.run(&["-p", "out=three"]).expect(0).json();
    assert_eq!(lab.published(&done), wanted);
    assert_eq!((shards_of(&done), lab.jobs().len()), (vec![5, 6, 5], 4));
    let mut all = Vec::new();
    for (i, job) in (1..).zip(done["jobs"].as_array().unwrap()) {
        let (name, wave) = (job["name"].as_str().unwrap(), job["wave"].as_u64().unwrap());
        assert!(name.ends_with(&format!("-w{wave}-a{i}")), "{name}");
        all.extend(manifest(&lab, &done, i));
    }
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (16, 16));
}

#[test]
fn more_jobs_than_shards_are_not_created() {
    let lab = lab_of_16();
    share_among(&lab, 100);
    lab.edit("max_rows: 16", "max_rows: 100");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(
        (shards_of(&done), lab.scores(&done)),
        (vec![1, 1, 1], sums(0..ROWS))
    );
}

#[test]
fn the_first_job_is_created_while_later_shards_are_cut() {
    let lab = Lab::new();
    lab.project.write("rows.csv", rows(0..40_000));
    lab.edit("max_rows: 100", "max_rows: 400");
    share_among(&lab, 10);
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..40_000));
    assert_eq!(shards_of(&done), [10; 10]);
    let ledger = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    let at = |kind: &str| ledger.find(&format!("\"kind\":\"{kind}\"")).unwrap();
    assert!(at("job_created") < at("shards_sealed"));
}

/// Killed wherever its ledger has a line: each job is created once, and the bytes are the same.
#[test]
fn killed_at_lines_of_its_ledger() {
    let lab = lab_of_16();
    lab.edit("max_rows: 16", "max_rows: 32");
    let wanted = lab.published(&lab.run(&["-p", "out=calm"]).expect(0).json());
    share_among(&lab, 3);
    let calm = lab.run(&["-p", "out=three"]).expect(0).json();
    assert_eq!(lab.published(&calm), wanted);
    let text = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    let (lines, mut killed) = (text.lines().count(), 0);
    for at in (4..lines).step_by(7) {
        let (key, out) = (format!("key-{at}"), format!("out=storm-{at}"));
        let jobs = lab.jobs().len();
        killed += usize::from(kill_at_line(&lab, &key, &out, at));
        let done = lab.run(&["--run-key", &key, "-p", &out]).expect(0).json();
        assert_eq!(lab.published(&done), wanted, "killed at line {at}");
        assert_eq!(lab.jobs().len(), jobs + 3, "killed at line {at}");
        let mut shards = shards_of(&done);
        shards.sort_unstable();
        assert_eq!(shards, [2, 3, 3], "killed at line {at}");
    }
    assert!(
        killed > lines / 14,
        "only {killed} runs were killed before their end"
    );
}

/// How many jobs share the shards is what the first attempt made of it.
#[test]
fn the_number_is_kept_by_later_attempts() {
    let lab = lab_of_16();
    share_among(&lab, 3);
    std::fs::remove_file(lab.project.path("go")).unwrap();
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    kill_9(run);
    lab.edit("jobs: 3", "jobs: 16");
    lab.let_go();
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(
        (shards_of(&done), lab.scores(&done)),
        (vec![5, 6, 5], sums(0..ROWS))
    );
}

#[test]
fn what_any_of_them_leaves_is_sent_again_by_one_job() {
    let lab = lab_of_16();
    share_among(&lab, 4);
    lab.answer("flaky-once:3");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    assert_eq!(shards_of(&done), [4, 4, 4, 4, 3]);
    assert_eq!(
        (&done["jobs"][4]["wave"], lab.jobs().len()),
        (&Value::Null, 5)
    );
}

#[test]
fn refused_rows_of_several_jobs_are_found() {
    let lab = lab_of_16();
    lab.edit(
        "job_timeout: 1h",
        "job_timeout: 1h\n  on_refused_row: quarantine",
    );
    lab.answer("refuse:15,225,378");
    let one = lab.run(&["-p", "out=one"]).expect(0).json();
    share_among(&lab, 3);
    let three = lab.run(&["-p", "out=three"]).expect(0).json();
    assert_eq!(lab.published(&three), lab.published(&one));
    assert_eq!(
        (&three["rows"], &three["quarantine"]),
        (&one["rows"], &json!({ "refused": 3 }))
    );
}

/// One whose jobs answer nothing creates no more than it had begun, and goes on where it was.
#[test]
fn a_model_that_is_broken_ends_it_and_the_next_call_goes_on() {
    let lab = lab_of_16();
    share_among(&lab, 4);
    lab.answer("status:500");
    let told = lab.refusal(lab.run(&[]), 69);
    assert!(told.contains("Nothing was published"), "{told}");
    let before = lab.jobs().len();
    assert!((1..=4).contains(&before));
    let status = lab.project.run(&["status", "--output", "json"]).expect(69);
    let jobs = status.json()["jobs"].as_array().unwrap().clone();
    assert!(jobs.iter().all(|j| j["status"] == "Failed"), "{jobs:?}");
    lab.answer("sum");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    assert_eq!(lab.jobs().len(), 5, "{done}");
}

#[test]
fn no_wait_sees_to_all_of_them() {
    let lab = lab_of_16();
    share_among(&lab, 3);
    std::fs::remove_file(lab.project.path("go")).unwrap();
    let first = lab.run(&["--no-wait"]).expect(75).json();
    assert_eq!((shards_of(&first), lab.jobs().len()), (vec![5, 6, 5], 3));
    let told = first["error"]["message"].as_str().unwrap();
    assert!(
        told.ends_with("is InProgress, and 2 more are under way"),
        "{told}"
    );
    let lines = || std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    let before = lines();
    let again = lab.run(&["--no-wait"]).expect(75).json();
    assert_eq!((&again["error"], lines()), (&first["error"], before));
    let status = lab.project.run(&["status", "--output", "json"]).expect(75);
    assert_eq!(status.json()["error"], first["error"]);
    lab.let_go();
    let mut done = None;
    wait_until("the end", || {
        let call = lab.run(&["--no-wait"]);
        assert!(matches!(call.code, 0 | 75), "{}", call.stderr);
        done = (call.code == 0).then(|| call.json());
        done.is_some()
    });
    let done = done.unwrap();
    assert_eq!((lab.scores(&done), lab.jobs().len()), (sums(0..ROWS), 3));
}

/// `wait` tells of each, and says that nobody goes on once all have ended.
#[test]
fn wait_follows_all_of_them() {
    let lab = lab_of_16();
    share_among(&lab, 2);
    std::fs::remove_file(lab.project.path("go")).unwrap();
    lab.run(&["--no-wait"]).expect(75);
    let waiting = lab.project.start(&["wait", "--output", "json"]);
    lab.let_go();
    let told = crate::lab::wait(waiting).expect(75);
    let mut names = lab.jobs();
    names.sort();
    for name in &names {
        let ended = format!("job {name}: Completed");
        assert!(told.stderr.contains(&ended), "{}", told.stderr);
    }
    let message = told.json()["error"]["message"].to_string();
    let each = names.iter().map(|name| format!("job {name} is Completed"));
    let each = each.collect::<Vec<_>>().join(", ");
    assert!(
        message.contains(&format!("{each}, and nobody goes on with the run")),
        "{message}"
    );
    let done = lab
        .project
        .run(&["resume", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
}

#[test]
fn cancel_stops_all_of_them() {
    let lab = lab_of_16();
    share_among(&lab, 3);
    std::fs::remove_file(lab.project.path("go")).unwrap();
    lab.run(&["--no-wait"]).expect(75);
    lab.project.run(&["cancel", "last"]).expect(0);
    let states = lab.job_states();
    let stopped = |s: &gristmill_cloud::JobStatus| *s == gristmill_cloud::JobStatus::Stopped;
    assert!(
        states.len() == 3 && states.iter().all(stopped),
        "{states:?}"
    );
}

/// One that runs too long is stopped; what the others answered is kept.
#[test]
fn each_is_held_to_the_timeout() {
    let lab = lab_of_16();
    share_among(&lab, 3);
    lab.edit("job_timeout: 1h", "job_timeout: 1s");
    std::fs::remove_file(lab.project.path("go")).unwrap();
    let told = lab.refusal(lab.run(&[]), 124);
    assert!(told.contains("ran longer than job_timeout (1 s)"), "{told}");
    let states = lab.job_states();
    let stopped = |s: &gristmill_cloud::JobStatus| *s == gristmill_cloud::JobStatus::Stopped;
    assert!(
        states.len() == 3 && states.iter().all(stopped),
        "{states:?}"
    );
}

#[test]
fn an_account_that_is_full_is_waited_for() {
    for code in ["ResourceLimitExceeded", "ThrottlingException"] {
        let lab = lab_of_16();
        share_among(&lab, 3);
        fault(&lab, &refused_create(code, Some(5)));
        let done = lab.run(&[]).expect(0);
        assert!(
            done.stderr.contains("is not let in just now"),
            "{}",
            done.stderr
        );
        let done = done.json();
        assert_eq!(lab.scores(&done), sums(0..ROWS), "{code}");
        assert_eq!(
            (shards_of(&done), lab.jobs().len()),
            (vec![5, 6, 5], 3),
            "{code}"
        );
    }
}

#[test]
fn an_account_that_stays_full_ends_the_call_and_not_the_run() {
    let lab = lab_of_16();
    lab.edit("job_timeout: 1h", "job_timeout: 1h\n  capacity_wait: 1s");
    fault(&lab, &refused_create("ResourceLimitExceeded", None));
    let told = lab.refusal(lab.run(&[]), 75);
    assert!(
        told.contains("was not let in") && told.contains("account-level limit"),
        "{told}"
    );
    let at_once = lab.run(&["--no-wait"]).expect(75);
    assert!(!at_once.stderr.contains("just now"), "{}", at_once.stderr);
    fault(&lab, &json!([]));
    let done = lab.run(&[]).expect(0).json();
    assert_eq!((shards_of(&done), lab.jobs().len()), (vec![16], 1));
    let name = done["jobs"][0]["name"].as_str().unwrap();
    assert!(name.ends_with("-a1"), "{name}");
}

#[test]
fn descriptions_that_are_throttled_are_asked_for_again() {
    let lab = lab_of_16();
    share_among(&lab, 2);
    let rule = json!([{
        "target": "SageMaker.DescribeTransformJob", "times": 12, "status": 400,
        "code": "ThrottlingException", "message": "Rate exceeded",
    }]);
    fault(&lab, &rule);
    let done = lab.run(&[]).expect(0);
    assert!(
        done.stderr.contains("cannot be looked at just now"),
        "{}",
        done.stderr
    );
    assert_eq!(lab.scores(&done.json()), sums(0..ROWS));
}
