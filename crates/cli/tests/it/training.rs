//! Training sets: every row in the part that its key's hash says, by the pipeline and by `convert`.

use std::path::Path;

use crate::project::{Project, judge, repository};

const FLIGHTS: &str = "fixtures/flights/flights-2013-01.csv";
const PARTS: &str = "train=0.8,validation=0.1,test=0.1";

fn project() -> Project {
    let project = Project::new();
    std::os::unix::fs::symlink(repository().join("fixtures"), project.path("fixtures")).unwrap();
    project
}

/// The conversion that README.md shows.
fn convert(project: &Project, source: &str, to: &str, more: &[&str]) -> String {
    let args = [
        "convert",
        source,
        to,
        "--label",
        "arr_delay",
        "--label-above",
        "15",
        "--split",
        PARTS,
        "--split-key",
        "tailnum",
        "--output-header",
        "no",
    ];
    project.run(&[&args, more].concat()).expect(0).stdout
}

fn judged(project: &Project, folder: &str, key: &str, more: &[&str]) -> String {
    let source = repository().join(FLIGHTS).display().to_string();
    let folder = project.path(folder).display().to_string();
    let args = [&source, &folder, "--key", key, "--parts", PARTS];
    let label = ["--label", "arr_delay", "--above", "15"];
    judge("split_parts.py", &[&args, &label[..], more].concat())
        .expect(0)
        .stdout
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_command_makes_what_the_documented_hash_says() {
    let project = project();
    let said = convert(&project, FLIGHTS, "out/", &["--to", "csv"]);
    insta::assert_snapshot!(said.split_once(" s\n").unwrap().1, @r"
    606 rows without a label (arr_delay is null) left out
      train             21,315 rows  80.74 %
      validation         2,534 rows   9.60 %
      test               2,549 rows   9.66 %
    ");
    insta::assert_snapshot!(judged(&project, "out", "tailnum", &[]), @"26398 rows as they should be (train 21315, validation 2534, test 2549), 606 without a label");
}

#[test]
fn the_pipeline_makes_what_the_documented_hash_says() {
    let project = project();
    let pipeline = repository().join("pipelines/training-set.yaml");
    project.write("pipelines/training-set.yaml", text(&pipeline));
    let answer = project
        .run(&["run", "pipelines/training-set.yaml", "--output", "json"])
        .expect(0)
        .json();
    insta::assert_snapshot!(answer["rows"].to_string(), @r#"{"source":27004,"quarantined":0,"unlabelled":606,"scored":0,"published":26398}"#);
    let select = "month,day,sched_dep_time,sched_arr_time,dep_delay,distance";
    let said = judged(
        &project,
        "out/training-set",
        "carrier,flight",
        &["--seed", "42", "--select", select],
    );
    for (part, rows) in answer["output"]["split"].as_object().unwrap() {
        assert!(said.contains(&format!("{part} {rows}")), "{said}");
    }
}

/// A row's part follows from its key alone, in whatever format it comes.
#[test]
fn every_source_format_gives_the_same_parts() {
    let project = project();
    convert(&project, FLIGHTS, "csv/", &["--to", "csv"]);
    for format in ["parquet", "jsonl.gz"] {
        let source = format!("flights.{format}");
        project.run(&["convert", FLIGHTS, &source]).expect(0);
        convert(&project, &source, &format!("{format}/"), &["--to", "csv"]);
        for part in ["train", "validation", "test"] {
            let name = format!("{part}/part-00000.csv");
            let (a, b) = (
                project.path("csv").join(&name),
                project.path(format).join(&name),
            );
            assert!(text(&a) == text(&b), "{format}: {name}");
        }
    }
}

#[test]
fn an_overwrite_leaves_no_file_of_an_older_split() {
    let project = project();
    let pipeline = text(&repository().join("pipelines/training-set.yaml"));
    let small = pipeline.replace("max_bytes: 128MB", "max_rows: 3000");
    project.write("pipelines/t.yaml", small);
    let run = |key: &str, more: &[&str]| {
        let args = [
            "run",
            "pipelines/t.yaml",
            "--run-key",
            key,
            "--output",
            "json",
        ];
        project.run(&[&args, more].concat())
    };
    let many = run("a", &[]).expect(0).json();
    assert!(many["output"]["files"].as_array().unwrap().len() > 8);
    project.write("pipelines/t.yaml", pipeline);
    run("b", &[]).expect(73);
    run("c", &["--overwrite"]).expect(0);
    let train = project.path("out/training-set/train");
    let left: Vec<_> = std::fs::read_dir(train).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
