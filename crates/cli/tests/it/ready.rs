//! `source.ready`: a run begins when the marker is there.

use crate::lab::{Lab, ROWS, signal, sums, wait, wait_until};

fn waits(lab: &Lab, ready: &str) {
    lab.edit(
        "  uri: rows.csv\n",
        &format!("  uri: rows.csv\n  ready: {ready}\n"),
    );
}

fn events(lab: &Lab) -> String {
    let path = lab.ledger().map(|p| p.with_file_name("events.jsonl"));
    path.and_then(|p| std::fs::read_to_string(p).ok())
        .unwrap_or_default()
}

#[test]
fn without_wait_it_looks_once() {
    let lab = Lab::new();
    waits(&lab, "{ marker: _READY }");
    let told = lab.refusal(lab.run(&[]), 75);
    assert_eq!(
        told,
        "the input is not ready: DIR/_READY is not there\nhelp: whoever writes the input puts it there \
         last: call again then, or give source.ready.wait more time"
    );
    lab.project.write("_READY", "");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    // The marker was for this input: the result does not depend on it any more.
    std::fs::remove_file(lab.project.path("_READY")).unwrap();
    assert_eq!(lab.run(&[]).expect(0).json()["reused"], true);
}

#[test]
fn a_plan_says_that_the_input_may_be_half_of_it() {
    let lab = Lab::new();
    waits(&lab, "{ marker: _READY, wait: 1h }");
    let plan = ["plan", "pipeline.yaml", "--local"];
    let said = lab.project.run(&plan).expect(0).stdout;
    let warning = format!(
        "warning: the input is not ready: {} is not there, and a run waits for it; this plan is of what \
         lies there now\n",
        lab.project.path("_READY").display()
    );
    assert!(said.contains(&warning), "{said}");
    lab.edit("uri: rows.csv", "uri: \"*.gz\"");
    let told = lab.project.run(&plan).expect(66).stderr;
    assert!(told.contains("the input may not be ready: "), "{told}");
    lab.edit("uri: \"*.gz\"", "uri: rows.csv");
    lab.project.write("_READY", "");
    let said = lab.project.run(&plan).expect(0).stdout;
    assert!(!said.contains("not ready"), "{said}");
}

#[test]
fn it_waits_for_the_marker_and_then_for_no_longer() {
    let lab = Lab::new();
    waits(&lab, "{ marker: _READY, wait: 1h }");
    let told = lab.refusal(lab.run(&["--no-wait"]), 75);
    assert!(told.contains("_READY is not there\n"), "{told}");
    let run = lab.start(&[]);
    wait_until("the wait", || events(&lab).contains("waiting for "));
    let waiting = format!(
        "waiting for {}, for 1h at most",
        lab.project.path("_READY").display()
    );
    assert!(events(&lab).contains(&waiting), "{}", events(&lab));
    signal(&run, "TERM");
    wait(run).expect(143);
    let run = lab.start(&[]);
    wait_until("the wait", || events(&lab).matches(&waiting).count() == 2);
    lab.project.write("_READY", "");
    let done = wait(run).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
}

#[test]
fn it_waits_no_longer_than_it_is_told() {
    let lab = Lab::new();
    waits(&lab, "{ marker: _READY, wait: 1s }");
    let told = lab.refusal(lab.run(&[]), 75);
    assert!(told.contains("_READY is not there after 1s"), "{told}");
}

#[test]
fn an_object_in_s3_is_a_marker() {
    let lab = Lab::new();
    let mut served = lab.serve(&[]);
    let rows = Box::leak(crate::lab::rows(0..ROWS).into_boxed_str());
    lab.put("raw", "dt=1/rows.csv", rows);
    lab.put("raw", "_READY", "");
    waits(&lab, "{ marker: _READY }");
    lab.edit("uri: rows.csv", "uri: \"s3://raw/dt=1/*.csv\"");
    let told = lab.refusal(lab.run(&[]), 75);
    assert!(told.contains("s3://raw/dt=1/_READY is not there"), "{told}");
    lab.put("raw", "dt=1/_READY", "");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    served.kill().unwrap();
    served.wait().unwrap();
}
