//! The same rows by other ways: bad rows among them, other shards, formats, places, other readings of
//! what the service leaves undocumented. The scores are the same.

use std::path::Path;

use serde_json::{Value, json};

use crate::lab::{Lab, ROWS, rows, sums};
use crate::project::{Project, finish, judge, repository};

fn golden() -> String {
    repository()
        .join("fixtures/flights/golden-scores-2013-01.csv")
        .display()
        .to_string()
}

fn flights() -> String {
    let text =
        std::fs::read_to_string(repository().join("pipelines/nightly-scoring.yaml")).unwrap();
    let fixtures = repository().join("fixtures").display().to_string();
    text.replace("../fixtures", &fixtures)
}

/// Runs the main job with other settings of the service.
fn scored_under(assume: &str) {
    let project = Project::new();
    let local = ["local", "--dir", ".gristmill/local", "--assume", assume];
    let mut services = project.start(&local);
    crate::lab::wait_until("the services' endpoint", || {
        project.endpoint(".gristmill").is_some()
    });
    project.write("flights.yaml", flights());
    let done = project
        .run(&["run", "flights.yaml", "--local", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(done["rows"]["published"], 27_004);
    assert_eq!(
        project.endpoint(".gristmill").unwrap()["pid"],
        services.id()
    );
    judge(
        "compare_scores.py",
        &[done["output"]["path"].as_str().unwrap(), &golden()],
    )
    .expect(0);
    services.kill().unwrap();
    services.wait().unwrap();
}

#[test]
fn the_main_job_under_other_readings_of_lines() {
    scored_under("assemble-line=always,blank-lines=skip,payload-unit=megabyte");
}

#[test]
fn the_main_job_under_other_readings_of_places_and_defaults() {
    scored_under(
        "output-layout=flat,empty-objects=fail,slice-end=inclusive,invocation-defaults=cdk",
    );
}

/// Rows of empty cells only, and one column: a null is an empty line, which the service may leave out.
#[test]
fn rows_of_nulls_come_back_under_every_reading_of_blank_lines() {
    for (blank, assemble) in [("send", "where-missing"), ("skip", "always")] {
        let lab = Lab::new();
        let assume = format!("blank-lines={blank},assemble-line={assemble}");
        let mut services = lab.serve(&["--assume", &assume]);
        lab.project
            .write("rows.csv", "id,a,b\nr0,1,\nr1,,\nr2,3,\n");
        lab.edit("select: [a, b]", "select: [a]");
        let done = lab.run(&[]).expect(0).json();
        let wanted = [
            ("r0".to_owned(), 1.0),
            ("r1".to_owned(), 0.0),
            ("r2".to_owned(), 3.0),
        ];
        assert_eq!(lab.scores(&done), wanted, "{blank}");
        services.kill().unwrap();
        services.wait().unwrap();
    }
}

#[test]
fn planted_bad_rows_move_no_score() {
    let project = Project::new();
    let script = repository().join("fixtures/flights/plant_bad_rows.py");
    let python = std::env::var("GRISTMILL_PYTHON").unwrap();
    let (csv, places) = (project.path("flights.csv"), project.path("expected.json"));
    let planted = finish(
        std::process::Command::new(python)
            .arg(script)
            .arg(&csv)
            .arg(&places),
    )
    .expect(0);
    project.write("flights.yaml", with_source(&csv));
    let done = project
        .run(&["run", "flights.yaml", "--local", "--output", "json"])
        .expect(0)
        .json();
    judge(
        "compare_scores.py",
        &[done["output"]["path"].as_str().unwrap(), &golden()],
    )
    .expect(0);
    let told: Value = serde_json::from_str(&planted.stdout).unwrap();
    let expected: Value = serde_json::from_slice(&std::fs::read(places).unwrap()).unwrap();
    assert_eq!(
        (&done["rows"]["source"], &done["rows"]["published"]),
        (&told["rows_source"], &told["rows_accepted"])
    );
    assert_eq!(done["quarantine"], told["bad"]);
    let file = std::fs::read_to_string(done["quarantine_file"].as_str().unwrap()).unwrap();
    let found: Vec<Value> = file
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let wanted = expected["bad_rows"].as_array().unwrap();
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        for key in ["reason", "line", "record", "byte"] {
            assert_eq!(found[key], wanted[key], "{key} of {found}");
        }
    }
}

fn with_source(csv: &Path) -> String {
    let text = flights();
    let line = text
        .lines()
        .find(|l| l.trim_start().starts_with("uri: \"") && l.contains("flights-{{"))
        .unwrap();
    text.replace(line, &format!("  uri: {}", csv.display()))
}

#[test]
fn bad_rows_at_every_shard_border_move_no_score() {
    let lab = Lab::new();
    let mut text = String::new();
    for (i, line) in rows(0..ROWS).lines().enumerate() {
        text.push_str(line);
        text.push('\n');
        if i % 50 == 0 || i % 50 == 1 {
            text.push_str("bad,1\n");
        }
    }
    lab.project.write("rows.csv", text);
    lab.edit("on_bad_row: fail", "on_bad_row: quarantine");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    assert_eq!(
        (&done["rows"]["source"], &done["rows"]["quarantined"]),
        (&261.into(), &11.into())
    );
    assert_eq!(done["quarantine"], json!({ "ragged": 11 }));
}

/// Each of these changes how rows travel, and none what is published.
#[test]
fn shards_requests_and_instances_do_not_matter() {
    let changes: [&[(&str, &str)]; 6] = [
        &[("max_rows: 100", "max_rows: 1000")],
        &[("max_rows: 100", "max_rows: 1"), ("limit", "limit")],
        &[
            ("instance_count: 1", "instance_count: 3"),
            ("max_rows: 100", "max_rows: 10"),
        ],
        &[
            ("format: csv, max_rows", "format: csv.gz, max_rows"),
            (
                "split_type: line",
                "split_type: line\n  compression_type: gzip",
            ),
        ],
        &[
            (
                "batch_strategy: multi_record",
                "batch_strategy: single_record",
            ),
            (
                "max_concurrent_transforms: 2",
                "max_concurrent_transforms: 8",
            ),
        ],
        &[("max_rows: 100", "max_bytes: 500")],
    ];
    for change in changes {
        let lab = Lab::new();
        let single = change
            .iter()
            .any(|(from, to)| from == to || to.contains("single"));
        let more: &[&str] = if single { &["--limit-rows", "20"] } else { &[] };
        for (from, to) in change.iter().filter(|(from, to)| from != to) {
            lab.edit(from, to);
        }
        let done = lab.run(more).expect(0).json();
        assert_eq!(
            lab.scores(&done),
            sums(0..if single { 20 } else { ROWS }),
            "{change:?}"
        );
        assert_eq!(lab.jobs().len(), 1);
    }
}

#[test]
fn a_folder_of_this_machine_as_the_destination() {
    let lab = Lab::new();
    lab.edit(
        "s3://scores/{{ params.out }}/",
        "published/{{ params.out }}/",
    );
    lab.edit(
        "- id\n",
        "- id\n    - a\n    - { name: model, value: sums }\n",
    );
    lab.edit(
        "format: csv\n  columns",
        "format: csv\n  max_rows: 100\n  columns",
    );
    let done = lab.run(&[]).expect(0).json();
    let folder = lab.project.path("published/sums");
    assert_eq!(
        done["output"]["path"].as_str().unwrap(),
        folder.to_str().unwrap()
    );
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "_SUCCESS",
            "_manifest.json",
            "part-00000.csv",
            "part-00001.csv",
            "part-00002.csv"
        ]
    );
    let text = std::fs::read_to_string(folder.join("part-00001.csv")).unwrap();
    assert!(
        text.starts_with("id,a,model,score\nr100,100,sums,150"),
        "{text}"
    );
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(folder.join("_manifest.json")).unwrap()).unwrap();
    assert_eq!(
        (
            &manifest["rows"],
            manifest["files"].as_array().unwrap().len()
        ),
        (&ROWS.into(), 3)
    );
    assert_eq!(lab.run(&[]).expect(0).json()["reused"], true);
    let told = lab.run(&["--fresh"]).expect(73).json();
    assert!(
        told["error"]["message"]
            .as_str()
            .unwrap()
            .contains("and 4 more"),
        "{told}"
    );
    std::fs::remove_file(folder.join("part-00002.csv")).unwrap();
    lab.run(&["--run-key", "new"]).expect(73);
}

#[test]
fn objects_of_the_store_as_the_source() {
    let lab = Lab::new();
    for (name, range) in [("a.csv", 0..100), ("b.csv", 100..ROWS)] {
        lab.project.write(&format!("raw/{name}"), rows(range));
    }
    lab.edit("uri: rows.csv", "uri: \"s3://raw/day/*.csv\"");
    let done = lab
        .run(&["--local-map", "s3://raw/day/=raw"])
        .expect(0)
        .json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    let again = lab
        .run(&["--local-map", "s3://raw/day/=raw"])
        .expect(0)
        .json();
    assert_eq!(again["reused"], true);
}

#[test]
fn compressed_inputs() {
    let lab = Lab::new();
    for name in ["rows.csv.gz", "rows.csv.sz"] {
        lab.project.run(&["convert", "rows.csv", name]).expect(0);
        lab.edit(
            if name.ends_with("gz") {
                "uri: rows.csv"
            } else {
                "uri: rows.csv.gz"
            },
            &format!("uri: {name}"),
        );
        let done = lab
            .run(&["--run-key", name, "-p", &format!("out={name}")])
            .expect(0)
            .json();
        assert_eq!(lab.scores(&done), sums(0..ROWS), "{name}");
    }
}

/// No transform: the same runner, the same ledger.
#[test]
fn a_pipeline_without_a_model() {
    let project = Project::new();
    project.write("rows.csv", rows(0..ROWS));
    project.write(
        "convert.yaml",
        "version: 1\nname: convert\nsource: { uri: rows.csv }\nprepare: { drop: [b], rename: { a: n } }\n\
         shards: { to: out/, format: csv, max_rows: 100 }\n",
    );
    let args = ["run", "convert.yaml", "--output", "json"];
    let done = project.run(&args).expect(0).json();
    assert_eq!(
        (&done["rows"]["published"], &done["jobs"]),
        (&ROWS.into(), &json!([]))
    );
    let files = done["output"]["files"].as_array().unwrap();
    assert_eq!(files.len(), 3, "{files:?}");
    let first =
        std::fs::read_to_string(project.path("out").join(files[0].as_str().unwrap())).unwrap();
    assert!(first.starts_with("id,n\nr0,0\nr1,1\n"), "{first}");
    assert_eq!(project.run(&args).expect(0).json()["reused"], true);
    assert!(project.endpoint(".gristmill").is_none());
}
