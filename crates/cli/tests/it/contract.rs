//! What a scheduler reads: the one JSON line, and the same in `--result-file`, on every exit path.

use serde_json::Value;

use crate::lab::{Lab, ROWS, signal, wait};
use crate::project::Done;

/// The fields that are always there, as paths.
const FIELDS: [&str; 15] = [
    "/status",
    "/reused",
    "/attempt",
    "/run_key",
    "/run_id",
    "/rows/source",
    "/rows/quarantined",
    "/rows/published",
    "/output",
    "/jobs",
    "/exit",
    "/error",
    "/pipeline",
    "/quarantine",
    "/stages",
];

/// The answer, after checking that it is one line, the last, complete, and in the file as well.
#[track_caller]
fn answer(lab: &Lab, done: Done, code: i32) -> Value {
    let done = done.expect(code);
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    let value = done.json();
    for field in FIELDS {
        assert!(
            value.pointer(field).is_some(),
            "{field} is missing in {value}"
        );
    }
    assert_eq!(value["exit"], code);
    assert_eq!(value["error"].is_null(), code == 0, "{value}");
    if code != 0 {
        let message = value["error"]["message"].as_str().unwrap();
        assert!(
            done.stderr.contains(message),
            "{message:?} is not in {:?}",
            done.stderr
        );
    }
    let path = lab.project.path("result.json");
    let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(file, value);
    std::fs::remove_file(path).unwrap();
    value
}

const RESULT: [&str; 2] = ["--result-file", "result.json"];

#[test]
fn a_success_and_its_reuse() {
    let lab = Lab::new();
    let first = answer(&lab, lab.run(&RESULT), 0);
    assert_eq!(
        (&first["status"], &first["reused"], &first["attempt"]),
        (&"succeeded".into(), &false.into(), &1.into())
    );
    assert_eq!(first["pipeline"], "sums");
    assert!(
        first["run_key"].as_str().unwrap().starts_with("sums-"),
        "{first}"
    );
    let rows = &first["rows"];
    assert_eq!(
        (&rows["source"], &rows["quarantined"], &rows["published"]),
        (&ROWS.into(), &0.into(), &ROWS.into())
    );
    let output = &first["output"];
    assert_eq!(
        (&output["uri"], &output["rows"]),
        (&"s3://scores/sums/".into(), &ROWS.into())
    );
    assert_eq!(output["files"], serde_json::json!(["part-00000.csv"]));
    assert!(
        std::path::Path::new(output["path"].as_str().unwrap())
            .join("_SUCCESS")
            .is_file()
    );
    let job = &first["jobs"][0];
    assert_eq!(
        (&job["status"], &job["shards"]),
        (&"Completed".into(), &3.into())
    );
    assert_eq!(lab.jobs(), [job["name"].as_str().unwrap()]);
    for stage in ["source", "shards", "transform", "assemble", "publish"] {
        assert!(first["stages"][stage].is_f64(), "{stage} in {first}");
    }
    let mut second = answer(&lab, lab.run(&RESULT), 0);
    assert_eq!(second["reused"], true);
    second["reused"] = false.into();
    assert_eq!(second, first);
}

#[test]
fn failures_of_every_kind() {
    let lab = Lab::unprobed();
    lab.answer("short");
    let model = answer(&lab, lab.run(&RESULT), 69);
    assert_eq!(
        (&model["status"], &model["output"]),
        (&"failed".into(), &Value::Null)
    );
    assert_eq!(model["rows"]["published"], 0);
    assert_eq!(model["jobs"][0]["status"], "Completed");
    lab.edit("uri: rows.csv", "uri: gone.csv");
    answer(
        &lab,
        lab.run(&["--fresh", "--result-file", "result.json"]),
        66,
    );
    lab.edit("max_rows: 100", "max_rows: x");
    let pipeline = answer(&lab, lab.run(&RESULT), 78);
    let problem = &pipeline["error"]["problems"][0];
    for key in ["file", "line", "column", "code", "message", "help"] {
        assert!(problem.get(key).is_some(), "{key} in {problem}");
    }
    answer(
        &lab,
        lab.run(&["-p", "nonsense=1", "--result-file", "result.json"]),
        2,
    );
}

#[test]
fn failures_before_there_is_a_run() {
    let lab = Lab::new();
    let with = |args: &[&str]| {
        let all: Vec<&str> = args
            .iter()
            .chain(&["--output", "json"])
            .chain(&RESULT)
            .copied()
            .collect();
        lab.project.run(&all)
    };
    answer(&lab, with(&["run", "gone.yaml", "--local"]), 66);
    answer(&lab, with(&["run", "pipeline.yaml", "--no-such-flag"]), 2);
    answer(&lab, with(&["run"]), 2);
    answer(
        &lab,
        with(&["run", "pipeline.yaml", "-p", "a=1", "-p", "a=2"]),
        2,
    );
    answer(&lab, with(&["resume", "last"]), 66);
    lab.project.write("latin1.yaml", b"name: \xe9\n");
    answer(&lab, with(&["run", "latin1.yaml", "--local"]), 78);
}

#[test]
fn an_interruption() {
    let lab = Lab::waiting();
    let run = lab.start(&RESULT);
    lab.wait_for("job_created");
    signal(&run, "TERM");
    let value = answer(&lab, wait(run), 143);
    assert_eq!(
        (&value["status"], &value["jobs"][0]["status"]),
        (&"interrupted".into(), &"InProgress".into())
    );
    lab.let_go();
    assert_eq!(answer(&lab, lab.run(&RESULT), 0)["attempt"], 2);
}

#[test]
fn the_same_by_the_environment() {
    let lab = Lab::new();
    let mut command = lab.project.command(&["run", "pipeline.yaml"]);
    command
        .env("GRISTMILL_LOCAL", "1")
        .env("GRISTMILL_OUTPUT", "json")
        .env("GRISTMILL_RESULT_FILE", "result.json")
        .env("GRISTMILL_LIMIT_ROWS", "7");
    let value = answer(&lab, crate::project::finish(&mut command), 0);
    assert_eq!(value["rows"]["published"], 7);
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let lab = Lab::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = lab
        .project
        .command(&["run", "pipeline.yaml", "--local", "--output", "json"]);
    let out = command
        .stdout(full)
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        told.contains("cannot write the answer to standard output"),
        "{told}"
    );
    let done = lab
        .run(&["--result-file", "no/such/folder/result.json"])
        .expect(2);
    assert!(
        done.stderr
            .contains("no/such/folder/result.json cannot be written"),
        "{}",
        done.stderr
    );
}

#[test]
fn events_and_log_lines_are_json_where_asked_for() {
    let lab = Lab::new();
    let done = lab.run(&["--log-format", "json", "-v"]).expect(0);
    let id = done.json()["run_id"].as_str().unwrap().to_owned();
    for line in done.stderr.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    let events = lab
        .project
        .path(&format!(".gristmill/runs/{id}/events.jsonl"));
    let text = std::fs::read_to_string(events).unwrap();
    let mut lines = text
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    assert_eq!(lines.next().unwrap()["schema"], "gristmill.events.v1");
    assert!(lines.count() > 5);
    let run: Value = serde_json::from_slice(
        &std::fs::read(lab.project.path(&format!(".gristmill/runs/{id}/run.json"))).unwrap(),
    )
    .unwrap();
    assert_eq!(run, done.json());
}
