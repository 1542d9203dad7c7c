//! A run that was killed, wherever, goes on to the same output with the same job.

use std::process::Child;

use serde_json::Value;

use crate::lab::{Lab, ROWS, kill, signal, sums, wait, wait_until};

/// Kills the runner and nothing else.
pub(crate) fn kill_9(mut run: Child) {
    run.kill().unwrap();
    run.wait().unwrap();
}

fn services(lab: &Lab) -> u64 {
    lab.project.endpoint(".gristmill").unwrap()["pid"]
        .as_u64()
        .unwrap()
}

fn remove(lab: &Lab, name: &str) {
    std::fs::remove_dir_all(lab.project.path(name)).unwrap();
}

#[track_caller]
fn one_job_and_every_row(lab: &Lab, answer: &Value) {
    assert_eq!(lab.scores(answer), sums(0..ROWS));
    assert_eq!(lab.jobs().len(), 1, "{:?}", lab.jobs());
    assert_eq!(answer["jobs"].as_array().unwrap().len(), 1, "{answer}");
}

#[test]
fn killed_while_the_job_is_in_progress() {
    let lab = Lab::waiting();
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    kill_9(run);
    let status = lab
        .project
        .run(&["status", "--output", "json"])
        .expect(130)
        .json();
    assert_eq!(status["status"], "interrupted");
    lab.let_go();
    let done = lab.run(&[]).expect(0).json();
    one_job_and_every_row(&lab, &done);
    assert_eq!(
        (&done["attempt"], &done["reused"]),
        (&2.into(), &false.into())
    );
    lab.project.run(&["status"]).expect(0);
}

#[test]
fn killed_and_its_folders_removed() {
    let lab = Lab::waiting();
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    // The note of the job is under work.uri a moment after it is here; without it the job is found
    // by its name, which is as good.
    kill_9(run);
    for folder in ["runs", "keys", "locks"] {
        remove(&lab, &format!(".gristmill/{folder}"));
    }
    lab.let_go();
    let done = lab.run(&[]).expect(0).json();
    one_job_and_every_row(&lab, &done);
}

#[test]
fn done_and_its_folders_removed_is_reused() {
    let lab = Lab::new();
    let first = lab.run(&[]).expect(0).json();
    for folder in ["runs", "keys", "published"] {
        remove(&lab, &format!(".gristmill/{folder}"));
    }
    let mut second = lab.run(&[]).expect(0).json();
    assert_eq!(second["reused"], true);
    one_job_and_every_row(&lab, &second);
    second["reused"] = false.into();
    assert_eq!(second, first);
}

#[test]
fn resume_continues_what_was_begun_even_if_the_file_changed_since() {
    let lab = Lab::waiting();
    let run = lab.start(&["-p", "out=first", "--limit-rows", "200"]);
    lab.wait_for("job_created");
    kill_9(run);
    lab.edit("name: sums", "name: other");
    lab.let_go();
    let done = lab
        .project
        .run(&["resume", "last", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(
        (&done["output"]["uri"], &done["pipeline"]),
        (&"s3://scores/first/".into(), &"sums".into())
    );
    assert_eq!((lab.scores(&done), lab.jobs().len()), (sums(0..200), 1));
    let again = lab
        .project
        .run(&["resume", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(again["reused"], true);
    let by_id = done["run_id"].as_str().unwrap();
    lab.project.run(&["resume", by_id]).expect(0);
    lab.project.run(&["resume", "no-such-run"]).expect(66);
}

#[test]
fn resume_on_a_machine_that_knows_nothing_says_what_to_do() {
    let lab = Lab::new();
    lab.run(&[]).expect(0);
    remove(&lab, ".gristmill/runs");
    let done = lab
        .project
        .run(&["resume", "last", "--output", "json"])
        .expect(66)
        .json();
    let help = done["error"]["help"].as_str().unwrap();
    assert!(help.contains("goes on from work.uri"), "{help}");
}

#[test]
fn fresh_starts_over_beside_the_old_run() {
    let lab = Lab::new();
    let first = lab.run(&[]).expect(0).json();
    let told = lab.told(lab.run(&["--fresh"]), 73);
    assert!(told.contains("is not empty"), "{told}");
    let second = lab.run(&["--fresh", "--overwrite"]).expect(0).json();
    assert_ne!(second["run_id"], first["run_id"]);
    assert_eq!(
        (&second["run_key"], &second["attempt"]),
        (&first["run_key"], &1.into())
    );
    assert_eq!((lab.scores(&second), lab.jobs().len()), (sums(0..ROWS), 2));
}

#[test]
fn the_services_killed_as_well() {
    let lab = Lab::waiting();
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    let pid = services(&lab);
    kill_9(run);
    kill(pid, "KILL");
    lab.let_go();
    let done = lab.run(&[]).expect(0).json();
    assert_ne!(services(&lab), pid);
    one_job_and_every_row(&lab, &done);
}

#[test]
fn the_services_outlive_the_runner_and_finish_its_job() {
    let lab = Lab::new();
    lab.answer("slow:0.5");
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    kill_9(run);
    let folder = lab.project.path(".gristmill/local");
    wait_until("the job's end", || {
        let mut jobs = find(&folder, "jobs")
            .into_iter()
            .flat_map(|p| std::fs::read_dir(p).unwrap().flatten());
        jobs.any(|f| std::fs::read_to_string(f.path()).is_ok_and(|t| t.contains("Completed")))
    });
    let done = lab.run(&[]).expect(0).json();
    one_job_and_every_row(&lab, &done);
}

/// Folders of this name below another.
fn find(root: &std::path::Path, name: &str) -> Vec<std::path::PathBuf> {
    let below: Vec<_> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_dir())
        .collect();
    below
        .iter()
        .flat_map(|p| {
            if p.ends_with(name) {
                vec![p.clone()]
            } else {
                find(p, name)
            }
        })
        .collect()
}

#[test]
fn second_signal_ends_at_once() {
    let lab = Lab::waiting();
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    signal(&run, "INT");
    signal(&run, "INT");
    assert_eq!(wait(run).code, 130);
    lab.let_go();
    one_job_and_every_row(&lab, &lab.run(&[]).expect(0).json());
}

/// An input that changed, grew or went away while the run was interrupted is told by its name.
#[test]
fn an_input_that_changed_meanwhile_is_refused() {
    let lab = Lab::waiting();
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    kill_9(run);
    lab.let_go();
    let whole = std::fs::read_to_string(lab.project.path("rows.csv")).unwrap();
    for other in [
        whole.replace("r7,7,", "r7,8,"),
        format!("{whole}r999,1,1\n"),
    ] {
        lab.project.write("rows.csv", other);
        let told = lab.refusal(lab.run(&[]), 73);
        assert!(told.contains("rows.csv changed: "), "{told}");
    }
    std::fs::remove_file(lab.project.path("rows.csv")).unwrap();
    lab.refusal(lab.run(&[]), 66);
    lab.project.write("rows.csv", whole);
    one_job_and_every_row(&lab, &lab.run(&[]).expect(0).json());
}

/// Not `--local`: the services are reached as AWS is, by the default chain, from two machines, of
/// which the second has nothing but the pipeline and the data.
#[test]
fn another_machine_goes_on() {
    let lab = Lab::waiting();
    let mut served = lab.serve(&[]);
    let environment = lab.on_aws();
    let on = |machine: &'static str| {
        let mut command = lab.project.command(&[
            "run",
            "pipeline.yaml",
            "--output",
            "json",
            "--work-dir",
            machine,
        ]);
        command
            .envs(environment.clone())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command
    };
    let run = on("first").spawn().unwrap();
    wait_until("the job", || !lab.jobs().is_empty());
    kill_9(run);
    lab.let_go();
    wait_until("its end", || {
        lab.keys("state")
            .iter()
            .filter(|k| k.ends_with(".out"))
            .count()
            == 3
    });
    let done = crate::project::finish(&mut on("second")).expect(0).json();
    assert_eq!(
        (&done["rows"]["published"], &done["attempt"]),
        (&ROWS.into(), &2.into())
    );
    assert_eq!(
        (&done["output"]["path"], lab.jobs().len()),
        (&Value::Null, 1)
    );
    let again = crate::project::finish(&mut on("first")).expect(0).json();
    assert_eq!(
        (&again["reused"], &again["run_id"]),
        (&true.into(), &done["run_id"])
    );
    served.kill().unwrap();
    served.wait().unwrap();
}

/// The ledger cut off at any of its lines, or within one: what is under `work.uri` completes it, and
/// a finished run is reused; nothing is paid for again.
#[test]
fn a_ledger_cut_off_anywhere_is_completed_from_work_uri() {
    let lab = Lab::new();
    let first = lab.run(&[]).expect(0).json();
    let path = lab.ledger().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<usize> = whole
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'\n')
        .map(|(i, _)| i + 1)
        .collect();
    for end in &ends {
        for cut in [*end, end - 7] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let again = lab.run(&[]).expect(0).json();
            assert_eq!(
                (&again["reused"], &again["run_id"]),
                (&true.into(), &first["run_id"]),
                "cut at {cut}"
            );
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
    }
    one_job_and_every_row(&lab, &lab.run(&[]).expect(0).json());
}

#[test]
fn a_damaged_ledger_is_refused_and_fresh_gets_over_it() {
    let lab = Lab::waiting();
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    kill_9(run);
    let path = lab.ledger().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    lab.let_go();
    let told = lab.refusal(lab.run(&[]), 1);
    assert!(
        told.contains("line 1 (byte 0) does not match its checksum") && told.contains("--fresh"),
        "{told}"
    );
    lab.run(&["--fresh"]).expect(0);
}

/// Kills a run when its ledger has got `lines` lines; whether it was killed before its end.
pub(crate) fn kill_at_line(lab: &Lab, key: &str, out: &str, lines: usize) -> bool {
    let before = lab.ledger();
    let mut run = lab.start(&["--run-key", key, "-p", out]);
    let count = || {
        let path = lab.ledger().filter(|p| Some(p) != before.as_ref());
        path.and_then(|p| std::fs::read(p).ok())
            .map_or(0, |t| t.iter().filter(|b| **b == b'\n').count())
    };
    let mut ended = false;
    wait_until("the line", || {
        ended = run.try_wait().unwrap().is_some();
        ended || count() >= lines
    });
    run.kill().unwrap();
    run.wait().unwrap();
    !ended
}

/// Kills at each `first`, `first + step`, … line of the ledger, goes on, and compares.
pub(crate) fn killed_at_lines(lab: &Lab, first: usize, step: usize) {
    lab.edit("format: csv\n  columns", "format: parquet\n  columns");
    let undisturbed = lab.run(&["-p", "out=calm"]).expect(0).json();
    let wanted = lab.published(&undisturbed);
    let lines = std::fs::read_to_string(lab.ledger().unwrap())
        .unwrap()
        .lines()
        .count();
    let mut killed = 0;
    for at in (first..=lines).step_by(step) {
        let (key, out) = (format!("key-{at}"), format!("out=storm-{at}"));
        let jobs = lab.jobs().len();
        killed += usize::from(kill_at_line(lab, &key, &out, at));
        let done = lab.run(&["--run-key", &key, "-p", &out]).expect(0).json();
        assert_eq!(lab.published(&done), wanted, "killed at line {at}");
        assert_eq!(lab.jobs().len(), jobs + 1, "killed at line {at}");
        assert_eq!(done["rows"], undisturbed["rows"], "killed at line {at}");
        let success = format!("storm-{at}/_SUCCESS");
        assert!(lab.keys("scores").contains(&success), "killed at line {at}");
    }
    assert!(
        killed > lines / step / 2,
        "only {killed} runs were killed before their end"
    );
}

#[test]
fn killed_at_every_line_of_its_ledger_1() {
    killed_at_lines(&Lab::new(), 1, 3);
}

#[test]
fn killed_at_every_line_of_its_ledger_2() {
    killed_at_lines(&Lab::new(), 2, 3);
}

#[test]
fn killed_at_every_line_of_its_ledger_3() {
    killed_at_lines(&Lab::new(), 3, 3);
}

/// Over the output of an earlier run that has more files: killed anywhere, all of it is replaced.
#[test]
fn killed_while_it_replaces_an_older_output() {
    let lab = Lab::new();
    lab.edit("mode: error", "mode: overwrite");
    for at in ["assembled", "publishing", "published", "finished"] {
        lab.edit(
            "format: csv\n  columns",
            "format: csv\n  max_rows: 50\n  columns",
        );
        lab.run(&["--fresh"]).expect(0);
        lab.edit(
            "format: csv\n  max_rows: 50\n  columns",
            "format: csv\n  columns",
        );
        let other = lab.ledger();
        let run = lab.start(&["--fresh"]);
        wait_until(at, || lab.ledger() != other && lab.has_entry(at));
        kill_9(run);
        let done = lab.run(&[]).expect(0).json();
        assert_eq!(lab.scores(&done), sums(0..ROWS), "{at}");
        assert_eq!(
            lab.keys("scores"),
            [
                "sums/_SUCCESS",
                "sums/_manifest.json",
                "sums/part-00000.csv"
            ],
            "{at}"
        );
    }
}

/// Without a model: what is missing is made again, what is there is kept.
#[test]
fn a_conversion_killed_anywhere() {
    let lab = Lab::new();
    let csv = crate::project::repository().join("fixtures/flights/flights-2013-01.csv");
    let pipeline = |to: &str| {
        format!(
            "version: 1\nname: convert\nsource: {{ uri: {} }}\nshards: {{ to: {to}/, format: parquet, max_rows: 5000 }}\n",
            csv.display()
        )
    };
    let run = |to: &str| {
        lab.project.write("pipeline.yaml", pipeline(to));
        lab.start(&["--run-key", to])
    };
    let calm = lab.published(&wait(run("calm")).expect(0).json());
    assert_eq!(
        calm.iter()
            .filter(|(name, _)| name.ends_with(".parquet"))
            .count(),
        6
    );
    for (n, kind) in [
        "opened",
        "inputs",
        "sharding",
        "assembled",
        "publishing",
        "published",
    ]
    .iter()
    .enumerate()
    {
        let (to, before) = (format!("storm-{n}"), lab.ledger());
        let killed = run(&to);
        wait_until(kind, || lab.ledger() != before && lab.has_entry(kind));
        kill_9(killed);
        let done = wait(run(&to)).expect(0).json();
        assert_eq!(lab.published(&done), calm, "{kind}");
        assert!(lab.project.path(&format!("{to}/_SUCCESS")).is_file());
    }
}

/// Killed again and again, each time a little further: it still comes to its end, by one job.
#[test]
fn killed_twenty_times_in_a_row() {
    let lab = Lab::unprobed();
    let calm = lab.run(&["-p", "out=calm"]).expect(0).json();
    let wanted = lab.published(&calm);
    let other = lab.ledger();
    std::fs::remove_file(lab.project.path("go")).unwrap();
    let lines = || {
        let path = lab.ledger().filter(|p| Some(p) != other.as_ref());
        let text = path.and_then(|p| std::fs::read(p).ok()).unwrap_or_default();
        text.iter().filter(|b| **b == b'\n').count()
    };
    for _ in 0..20 {
        let mut run = lab.start(&["-p", "out=storm"]);
        let before = lines();
        wait_until("one more line", || lines() > before);
        assert!(
            run.try_wait().unwrap().is_none(),
            "it cannot end before the model starts"
        );
        kill_9(run);
    }
    lab.let_go();
    let done = lab.run(&["-p", "out=storm"]).expect(0).json();
    assert_eq!(lab.published(&done), wanted);
    assert_eq!(lab.jobs().len(), 2);
    assert!(done["attempt"].as_u64().unwrap() > 10, "{done}");
}
