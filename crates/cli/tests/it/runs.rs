//! The verbs about runs that exist: `runs`, `wait`, `cancel`.

use std::process::Child;

use gristmill_cloud::JobStatus;
use serde_json::Value;

use crate::lab::{Lab, ROWS, signal, sums, wait, wait_until};
use crate::project::Project;

fn json(lab: &Lab, args: &[&str], code: i32) -> Value {
    let mut all = args.to_vec();
    all.extend(["--output", "json"]);
    let answer = lab.project.run(&all).expect(code).json();
    assert_eq!(answer["exit"], code, "{answer}");
    answer
}

/// A run whose job is in progress, and does not end before [`Lab::let_go`].
fn with_a_job(lab: &Lab) -> Child {
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    run
}

fn kill_9(mut run: Child) {
    run.kill().unwrap();
    run.wait().unwrap();
}

/// What differs from run to run is replaced.
fn plain(lab: &Lab, text: &str) -> String {
    let mut text = text.replace(lab.project.path("").to_str().unwrap(), "DIR/");
    for run in json(lab, &["runs"], 0)["runs"].as_array().unwrap() {
        for (field, name) in [("run_id", "RUN"), ("run_key", "KEY")] {
            text = text.replace(run[field].as_str().unwrap(), name);
        }
        let started = run["started"].as_str().unwrap();
        text = text.replace(&started[..19].replace('T', " "), "STARTED");
    }
    text
}

#[test]
fn a_folder_without_runs_is_left_alone() {
    let project = Project::new();
    let done = project.run(&["runs"]).expect(0);
    assert_eq!(done.stdout, "no runs in .gristmill\n");
    let done = project.run(&["runs", "--output", "json"]).expect(0);
    assert_eq!(done.json(), serde_json::json!({ "runs": [], "exit": 0 }));
    assert!(!project.path(".gristmill").exists());
    for verb in ["wait", "cancel"] {
        project.run(&[verb, "last"]).expect(66);
    }
}

#[test]
fn all_runs_are_listed_with_how_they_ended() {
    let lab = Lab::new();
    lab.run(&[]).expect(0);
    lab.answer("short");
    lab.run(&["-p", "out=other"]).expect(69);
    let damaged = ".gristmill/runs/20000101t000000-00000000";
    lab.project
        .write(&format!("{damaged}/ledger.jsonl"), "x\ny\n");
    lab.project
        .write(".gristmill/runs/20000101t000000-1/stdin", "");
    let listed = json(&lab, &["runs"], 0);
    let listed = listed["runs"].as_array().unwrap();
    let status: Vec<_> = listed.iter().map(|r| &r["status"]).collect();
    assert_eq!(status, ["failed", "succeeded", "damaged"]);
    let run = |n: usize, field: &str| listed[n].pointer(field).unwrap().clone();
    assert_eq!(
        (run(0, "/exit"), run(0, "/output")),
        (69.into(), Value::Null)
    );
    assert_eq!(run(1, "/output/uri"), "s3://scores/sums/");
    assert_eq!(run(1, "/rows/published"), ROWS);
    assert_eq!(
        (run(1, "/pipeline"), run(1, "/local")),
        ("sums".into(), true.into())
    );
    assert_eq!(run(2, "/exit"), 1);
    let text = lab.project.run(&["runs"]).expect(0).stdout;
    let lines: Vec<&str> = text.lines().collect();
    let headings = "RUN STATUS STARTED (UTC) ATTEMPT PUBLISHED KEY RESULT";
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>().join(" "),
        headings
    );
    assert!(
        lines[2].ends_with(".gristmill/published/scores/sums"),
        "{text}"
    );
    assert!(lines[3].contains("does not match its checksum"), "{text}");
}

#[test]
fn wait_ends_as_the_run_does() {
    let lab = Lab::waiting();
    let run = with_a_job(&lab);
    let waiting = lab.project.start(&["wait", "--output", "json"]);
    let told = json(&lab, &["wait", "last", "--timeout", "1s"], 75);
    assert_eq!(told["status"], "running");
    assert_eq!(
        told["error"]["message"],
        "the run is still running after 1s"
    );
    let interrupted = lab.project.start(&["wait"]);
    // It has shown the job before it is told to stop.
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(&interrupted, "INT");
    let interrupted = wait(interrupted).expect(130);
    assert!(
        interrupted.stderr.contains("the run is not affected"),
        "{}",
        interrupted.stderr
    );
    assert!(
        interrupted.stderr.contains("InProgress"),
        "{}",
        interrupted.stderr
    );
    lab.let_go();
    let result = wait(run).expect(0).json();
    let waited = wait(waiting).expect(0);
    assert_eq!(waited.json(), result);
    assert!(waited.stderr.contains("Completed"), "{}", waited.stderr);
    assert_eq!(json(&lab, &["wait"], 0), result);
}

#[test]
fn wait_ends_with_a_run_that_was_cut_off_or_failed() {
    let lab = Lab::waiting();
    let run = with_a_job(&lab);
    let waiting = lab.project.start(&["wait"]);
    kill_9(run);
    let waited = wait(waiting).expect(130);
    assert!(
        waited.stderr.contains("the run was cut off"),
        "{}",
        waited.stderr
    );
    lab.answer("short");
    lab.let_go();
    lab.run(&[]).expect(69);
    assert_eq!(json(&lab, &["wait"], 69)["status"], "failed");
}

#[test]
fn wait_says_when_nobody_goes_on_with_a_run_that_waits() {
    let lab = Lab::waiting();
    lab.run(&["--no-wait"]).expect(75);
    let told = json(&lab, &["wait", "--timeout", "1s"], 75);
    assert_eq!(
        told["error"]["message"],
        "the run is still waiting after 1s"
    );
    lab.let_go();
    let told = json(&lab, &["wait"], 75);
    let (message, help) = (&told["error"]["message"], &told["error"]["help"]);
    let job = told["jobs"][0]["name"].as_str().unwrap();
    assert_eq!(
        message,
        &format!(
            "job {job} is Completed, and nobody goes on with the run: it was left by --no-wait"
        )
    );
    let run = told["run_id"].as_str().unwrap();
    assert_eq!(
        help,
        &format!("`gristmill resume {run}`, or the same `run` command, goes on")
    );
    let waiting = lab.project.start(&["wait"]);
    lab.project.run(&["resume"]).expect(0);
    wait(waiting).expect(0);
}

#[test]
fn cancel_ends_the_process_and_its_job() {
    let lab = Lab::waiting();
    let run = with_a_job(&lab);
    let done = lab.project.run(&["cancel", "last"]).expect(0);
    let job = lab.jobs().remove(0);
    let text = plain(&lab, &done.stdout).replace(&job, "JOB");
    assert_eq!(
        text,
        "sums cancelled\n  run         RUN (attempt 1, key KEY)\n  rows in     250\n  \
         quarantined 0\n  scored      0\n  published   0\n  job         JOB: Stopped, 3 shards\n"
    );
    assert_eq!(done.stderr, format!("stopping job {job}\n"));
    let ended = wait(run).expect(143).json();
    assert_eq!(
        ended["error"]["message"],
        "cancelled by `gristmill cancel`; everything done so far is kept"
    );
    assert_eq!(lab.job_states(), [JobStatus::Stopped]);
    assert_eq!(json(&lab, &["status"], 143)["status"], "cancelled");
    assert_eq!(json(&lab, &["wait"], 143)["status"], "cancelled");
    assert_eq!(json(&lab, &["runs"], 0)["runs"][0]["status"], "cancelled");
    let again = json(&lab, &["cancel", "last"], 0);
    assert_eq!(
        (&again["status"], &again["error"]),
        (&"cancelled".into(), &Value::Null)
    );
    // It goes on with what it has; a stopped job stores no output, so there is another.
    lab.let_go();
    let done = json(&lab, &["resume"], 0);
    assert_eq!(
        (lab.scores(&done), &done["attempt"]),
        (sums(0..ROWS), &2.into())
    );
    assert_eq!(lab.job_states(), [JobStatus::Completed, JobStatus::Stopped]);
    let finished = json(&lab, &["cancel", "last"], 0);
    assert_eq!(
        (&finished["status"], &finished["run_id"]),
        (&"succeeded".into(), &done["run_id"])
    );
    assert_eq!(lab.scores(&finished), sums(0..ROWS));
}

#[test]
fn cancel_stops_the_job_of_a_run_that_nobody_works_on() {
    let lab = Lab::waiting();
    kill_9(with_a_job(&lab));
    assert_eq!(json(&lab, &["cancel", "last"], 0)["status"], "cancelled");
    assert_eq!(lab.job_states(), [JobStatus::Stopped]);
    let waits = lab.run(&["--no-wait"]).expect(75).json();
    assert_eq!((&waits["status"], lab.jobs().len()), (&"waiting".into(), 2));
    assert_eq!(json(&lab, &["cancel", "last"], 0)["status"], "cancelled");
    assert_eq!(lab.job_states(), [JobStatus::Stopped, JobStatus::Stopped]);
    lab.let_go();
    assert_eq!(lab.scores(&lab.run(&[]).expect(0).json()), sums(0..ROWS));
}

/// A run that failed stays failed: nothing of it is under way. And an older run of a key is not the
/// one that a process works on.
#[test]
fn cancel_leaves_alone_what_is_over_or_not_meant() {
    let lab = Lab::unprobed();
    lab.answer("short");
    let failed = lab.run(&[]).expect(69).json();
    let old = failed["run_id"].as_str().unwrap();
    std::fs::remove_file(lab.project.path("go")).unwrap();
    lab.answer("sum");
    let before = lab.ledger();
    let run = lab.start(&["--fresh"]);
    wait_until("the new run", || {
        lab.ledger() != before && lab.has_entry("job_created")
    });
    let said = json(&lab, &["cancel", old], 0);
    assert_eq!(
        (&said["status"], &said["run_id"]),
        (&"failed".into(), &failed["run_id"])
    );
    lab.let_go();
    let done = wait(run).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    assert_eq!(json(&lab, &["status"], 0)["run_id"], done["run_id"]);
}
