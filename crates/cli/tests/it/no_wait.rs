//! `--no-wait`: a scheduler calls until the exit code is another than 75.

use serde_json::Value;

use crate::lab::{Lab, ROWS, sums, wait_until};
use crate::project::{Done, finish};

fn poll(lab: &Lab) -> Done {
    lab.run(&["--no-wait"])
}

fn lines(lab: &Lab) -> usize {
    let text = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    text.lines().count()
}

#[track_caller]
fn one_job_one_publication(lab: &Lab, done: &Value) {
    assert_eq!(lab.scores(done), sums(0..ROWS));
    assert_eq!(
        (lab.jobs().len(), done["jobs"].as_array().unwrap().len()),
        (1, 1)
    );
    let ledger = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    for kind in ["launching", "published", "finished"] {
        let entry = format!("\"kind\":\"{kind}\"");
        assert_eq!(ledger.matches(&entry).count(), 1, "{kind}");
    }
}

#[test]
fn it_says_that_it_waits_looks_again_and_goes_on() {
    let lab = Lab::waiting();
    let first = poll(&lab).expect(75);
    let answer = first.json();
    let job = answer["jobs"][0].clone();
    let name = job["name"].as_str().unwrap();
    assert_eq!(
        (&answer["status"], &answer["exit"]),
        (&"waiting".into(), &75.into())
    );
    assert_eq!(
        (lab.jobs(), &job["status"]),
        (vec![name.to_owned()], &"InProgress".into())
    );
    assert_eq!(
        answer["error"]["message"],
        format!("job {name} is InProgress")
    );
    assert_eq!(answer["rows"]["source"], ROWS);
    assert!(!first.stderr.contains("error"), "{}", first.stderr);
    let before = lines(&lab);
    for _ in 0..3 {
        // Nothing happened: the same answer, and no line in the ledger.
        let mut again = poll(&lab).expect(75).json();
        again["stages"] = answer["stages"].clone();
        assert_eq!(again, answer);
    }
    assert_eq!(lines(&lab), before);
    let status = lab
        .project
        .run(&["status", "--output", "json"])
        .expect(75)
        .json();
    assert_eq!(status["status"], "waiting");
    lab.project.run(&["resume", "--no-wait"]).expect(75);
    let text = lab.project.run(&["resume", "--no-wait"]).expect(75);
    assert!(text.stdout.starts_with("sums waiting\n"), "{}", text.stdout);
    let told = format!("job {name} is InProgress\n  call again: ");
    assert!(text.stderr.contains(&told), "{}", text.stderr);
    lab.let_go();
    let mut done = None;
    wait_until("the job's end", || {
        let call = poll(&lab);
        assert!(matches!(call.code, 0 | 75), "{}", call.stderr);
        done = (call.code == 0).then(|| call.json());
        done.is_some()
    });
    let done = done.unwrap();
    one_job_one_publication(&lab, &done);
    assert_eq!(
        (&done["attempt"], &done["reused"]),
        (&2.into(), &false.into())
    );
    let again = poll(&lab).expect(0).json();
    assert_eq!((&again["reused"], lab.jobs().len()), (&true.into(), 1));
}

/// Calls are killed at every line that they write, and between.
#[test]
fn killed_calls_in_between_change_nothing() {
    let lab = Lab::waiting();
    let mut written = 0;
    let count = || {
        let bytes = lab.ledger().and_then(|p| std::fs::read(p).ok());
        bytes.map_or(0, |b| b.iter().filter(|b| **b == b'\n').count())
    };
    let mut calls = 0;
    let done = loop {
        calls += 1;
        assert!(calls < 200, "no end");
        if calls % 3 == 0 {
            let call = poll(&lab);
            match call.code {
                0 => break call.json(),
                75 if count() == written => lab.let_go(),
                75 => {}
                code => panic!("{code}: {}", call.stderr),
            }
            written = count();
            continue;
        }
        let mut run = lab.start(&["--no-wait"]);
        let target = written + 1;
        wait_until("a line or the end", || {
            run.try_wait().unwrap().is_some() || count() >= target
        });
        run.kill().unwrap();
        run.wait().unwrap();
        written = count();
    };
    one_job_one_publication(&lab, &done);
}

#[test]
fn a_job_that_fails_ends_it() {
    let lab = Lab::unprobed();
    lab.answer("short");
    let mut last = poll(&lab);
    wait_until("the end", || {
        if last.code == 75 {
            last = poll(&lab);
        }
        last.code != 75
    });
    let told = lab.refusal(last, 69);
    assert!(told.contains("rows were sent and"), "{told}");
}

#[test]
fn without_a_job_there_is_nothing_to_wait_for() {
    let lab = Lab::new();
    lab.project.write(
        "pipeline.yaml",
        "version: 1\nname: convert\nsource: { uri: rows.csv }\nshards: { to: out/, format: csv }\n",
    );
    let done = poll(&lab).expect(0).json();
    assert_eq!(done["rows"]["published"], ROWS);
}

/// Two machines that have nothing in common but the pipeline, the data and `work.uri` take turns.
#[test]
fn any_machine_may_look() {
    let lab = Lab::waiting();
    let mut served = lab.serve(&[]);
    let environment = lab.on_aws();
    let call = |machine: &str| {
        let mut command = lab.project.command(&[
            "run",
            "pipeline.yaml",
            "--no-wait",
            "--output",
            "json",
            "--work-dir",
            machine,
        ]);
        finish(command.envs(environment.clone()))
    };
    let first = call("one").expect(75).json();
    for machine in ["two", "one", "three"] {
        let seen = call(machine).expect(75).json();
        assert_eq!(
            (&seen["run_id"], &seen["jobs"]),
            (&first["run_id"], &first["jobs"])
        );
    }
    lab.let_go();
    let mut done = call("two");
    wait_until("the job's end", || {
        if done.code == 75 {
            done = call("three");
        }
        done.code != 75
    });
    let done = done.expect(0).json();
    assert_eq!(done["rows"]["published"], ROWS);
    let again = call("one").expect(0).json();
    assert_eq!((&again["reused"], lab.jobs().len()), (&true.into(), 1));
    served.kill().unwrap();
    served.wait().unwrap();
}
