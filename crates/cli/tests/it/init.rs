//! `init`, as a new user meets it: what it prints is run as it stands.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::project::{Done, Project, finish, repository};

const KINDS: [&str; 3] = ["scoring", "training", "convert"];

fn init(project: &Project, kind: &str, dir: &str) -> Value {
    let done = project.run(&["init", kind, dir, "--output", "json"]);
    done.expect(0).json()
}

/// Runs what it said, in one shell.
fn follow(project: &Project, answer: &Value) -> Done {
    let next = answer["next"].as_array().unwrap().iter();
    let script: Vec<&str> = next.map(|c| c.as_str().unwrap()).collect();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script.join(" && ")])
        .current_dir(project.path(""));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("GRISTMILL_") || name.starts_with("AWS_") {
            shell.env_remove(name);
        }
    }
    finish(&mut shell)
}

/// All files below a folder, as paths relative to it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn scoring_runs_at_once() {
    let project = Project::new();
    let answer = init(&project, "scoring", "my demo");
    assert_eq!(
        answer["files"],
        serde_json::json!([
            "pipelines/scoring.yaml",
            "data/flights.csv",
            "models/flights-late.onnx",
            "schema/pipeline.v1.json",
            "README.md"
        ])
    );
    let done = follow(&project, &answer).expect(0);
    assert!(done.stdout.contains("published   501"), "{}", done.stdout);
    let folder =
        project.path("my demo/.gristmill/published/gristmill-scores/scoring/dt=2013-01-31");
    assert_eq!(
        files(&folder),
        ["_SUCCESS", "_manifest.json", "part-00000.parquet"]
    );
}

#[test]
fn convert_runs_at_once() {
    let project = Project::new();
    let done = follow(&project, &init(&project, "convert", "demo")).expect(0);
    assert!(done.stdout.contains("published   501"), "{}", done.stdout);
    assert!(
        project
            .path("demo/out/flights/part-00000.parquet")
            .is_file()
    );
}

#[test]
fn training_runs_at_once() {
    let project = Project::new();
    let done = follow(&project, &init(&project, "training", "demo")).expect(0);
    assert!(
        done.stdout.contains("391 rows  79.31 %\n"),
        "{}",
        done.stdout
    );
    for part in ["train", "validation", "test"] {
        let folder = project.path(&format!("demo/out/training/{part}"));
        assert!(files(&folder).iter().any(|f| f.ends_with(".csv")), "{part}");
    }
}

#[test]
fn it_says_what_it_wrote_and_what_to_type() {
    let project = Project::new();
    let done = project.run(&["init", "convert", "demo"]).expect(0);
    let program = env!("CARGO_BIN_EXE_gristmill");
    let expected = format!(
        "written to demo:\n  pipelines/convert.yaml\n  data/flights.csv\n  schema/pipeline.v1.json\n  \
         README.md\n\nrun it:\n  cd demo\n  {program} run pipelines/convert.yaml\n"
    );
    assert_eq!((done.stdout, done.stderr), (expected, String::new()));
    // Without arguments it is the scoring pipeline, here.
    let answer = Project::new()
        .run(&["init", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(answer["next"].as_array().unwrap().len(), 1);
    assert_eq!(answer["files"][0], "pipelines/scoring.yaml");
}

#[test]
fn every_template_is_valid_and_its_schema_the_binarys() {
    let project = Project::new();
    let schema = project.run(&["schema"]).expect(0).stdout;
    for kind in KINDS {
        init(&project, kind, kind);
        let file = format!("{kind}/pipelines/{kind}.yaml");
        project.run(&["validate", &file]).expect(0);
        let written = project.path(&format!("{kind}/schema/pipeline.v1.json"));
        assert_eq!(std::fs::read_to_string(written).unwrap(), schema);
        let size: u64 = files(&project.path(kind))
            .iter()
            .map(|f| std::fs::metadata(project.path(kind).join(f)).unwrap().len())
            .sum();
        assert!(size < 256 * 1024, "{kind}: {size} bytes");
    }
}

#[test]
fn what_exists_is_never_touched() {
    let project = Project::new();
    project.write("demo/data/flights.csv", "mine");
    project.write("demo/README.md", "mine too");
    let told = project
        .run(&["init", "scoring", "demo", "--output", "json"])
        .expect(73);
    assert_eq!(
        told.json()["error"]["message"],
        "demo/data/flights.csv: already there; nothing was written"
    );
    assert_eq!(
        files(&project.path("demo")),
        ["README.md", "data/flights.csv"]
    );
    std::fs::remove_file(project.path("demo/data/flights.csv")).unwrap();
    let answer = init(&project, "scoring", "demo");
    assert!(
        !answer["files"]
            .as_array()
            .unwrap()
            .contains(&"README.md".into())
    );
    let read = || {
        let names = files(&project.path("demo"));
        names
            .into_iter()
            .map(|f| (std::fs::read(project.path("demo").join(&f)).unwrap(), f))
            .collect::<Vec<_>>()
    };
    let before = read();
    project.run(&["init", "scoring", "demo"]).expect(73);
    assert_eq!(read(), before);
    assert_eq!(
        std::fs::read(project.path("demo/README.md")).unwrap(),
        b"mine too"
    );
    std::os::unix::fs::symlink("nowhere", project.path("link")).unwrap();
    project.run(&["init", "convert", "link/demo"]).expect(1);
}

#[test]
fn pipelines_of_all_kinds_may_share_a_folder() {
    let project = Project::new();
    init(&project, "scoring", "demo");
    let answer = init(&project, "training", "demo");
    assert_eq!(
        answer["files"],
        serde_json::json!(["pipelines/training.yaml"])
    );
    assert_eq!(
        answer["kept"],
        serde_json::json!(["data/flights.csv", "schema/pipeline.v1.json", "README.md"])
    );
    follow(&project, &answer).expect(0);
    project.run(&["init", "training", "demo"]).expect(73);
    let done = project.run(&["init", "convert", "demo"]).expect(0);
    assert!(
        done.stdout
            .contains("there already, and kept:\n  data/flights.csv\n"),
        "{}",
        done.stdout
    );
}

#[test]
fn nothing_is_left_when_one_file_cannot_be_written() {
    let project = Project::new();
    project.write("demo/models", "a file where a folder has to be");
    project.run(&["init", "scoring", "demo"]).expect(1);
    assert_eq!(files(&project.path("demo")), ["models"]);
    assert!(!project.path("demo/pipelines").exists());
}

/// Where the sample is from, as templates/README.md says.
#[test]
fn the_sample_is_every_54th_flight() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
    let all = read("fixtures/flights/flights-2013-01.csv");
    let (header, rows) = all.split_once('\n').unwrap();
    let sample = rows.lines().step_by(54).map(|row| format!("{row}\n"));
    let expected = format!("{header}\n{}", sample.collect::<String>());
    assert_eq!(read("crates/cli/templates/flights.csv"), expected);
}
