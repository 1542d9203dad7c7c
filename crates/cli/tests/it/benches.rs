//! The benches still run, and their checks see what is wrong: on a few rows, with those of the peers
//! that the judges bring along. What cargo would have to build first (framing, steps) is left out.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::project::{Done, Project, finish, python};

/// A quoted line end, an empty cell, and digits with a leading zero, which are text.
const ROWS: &str = "id,code,note,at\n\
    1,007,\"a\nb\",2026-01-02T03:04:05Z\n\
    2,010,,2026-01-02T03:04:06Z\n\
    3,100,\"say \"\"so\"\"\",2026-01-02T03:04:07Z\n";

/// A bench on `rows.csv`, its files in the project's folder.
fn bench(project: &Project, script: &str, args: &[&str]) -> Done {
    let (work, results) = (project.path("work"), project.path("results"));
    let mut command = python(&format!("benches/{script}"));
    command.args(args).arg("--work").arg(work);
    command.arg("--results").arg(results);
    command.args(["--gristmill", env!("CARGO_BIN_EXE_gristmill")]);
    finish(&mut command)
}

fn results(project: &Project, name: &str) -> Value {
    let text = std::fs::read(project.path(&format!("results/{name}.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn convert_is_timed_and_checked_without_any_peer() {
    let project = Project::new();
    let rows = project.write("rows.csv", ROWS);
    let rows = rows.to_str().unwrap();
    let args = [
        "--only", "convert", "--inputs", rows, "--peers", "", "--runs", "2",
    ];
    bench(&project, "run.py", &args).expect(0);
    let case = &results(&project, "convert")["cases"][0];
    assert_eq!(case["rows"], 3);
    assert_eq!(case["runs"].as_array().unwrap().len(), 2);
    assert_eq!(case["summary"].as_array().unwrap().len(), 1);
    assert_eq!(case["summary"][0]["note"], "same");
}

#[test]
fn a_peer_that_changes_a_cell_is_told_from_one_that_writes_it_otherwise() {
    let project = Project::new();
    let rows = project.write("rows.csv", ROWS);
    let peers = ["--peers", "duckdb,pyarrow", "--runs", "1"];
    bench(
        &project,
        "convert.py",
        &[&[rows.to_str().unwrap()], &peers[..]].concat(),
    )
    .expect(0);
    let case = &results(&project, "convert")["cases"][0];
    // pyarrow eats the zeros of `007`; DuckDB keeps them.
    let table = |i: usize| {
        (
            case["summary"][i]["tool"].clone(),
            case["summary"][i]["right"].clone(),
        )
    };
    assert_eq!(table(1), ("duckdb".into(), true.into()), "{case:#}");
    assert_eq!(table(2), ("pyarrow".into(), false.into()), "{case:#}");
    assert_eq!(case["summary"][2]["note"], "differs: in code");
    assert_eq!(case["standing"]["right"]["wall_s"]["peer"], "duckdb");
}

#[test]
fn memory_is_measured_on_rows_that_are_repeated() {
    let project = Project::new();
    let rows = project.write("rows.csv", "id,name\n1,a\n2,b\n");
    let case = format!("{}:1,3", rows.display());
    bench(&project, "flat.py", &[&case, "--runs", "1"]).expect(0);
    let sizes = &results(&project, "flat")["cases"][0]["sizes"];
    // A header of 8 bytes and 8 bytes of rows, once and three times.
    assert_eq!(
        (&sizes[0]["bytes"], &sizes[1]["bytes"]),
        (&16.into(), &32.into())
    );
    assert!(sizes[1]["growth"].as_f64().unwrap() > 0.0);
    assert!(!project.path("work/rows-3.csv").exists());
}

/// Stands in for valgrind: runs the command and says as many instructions as the file `count` does.
const VALGRIND: &str = r#"#!/bin/sh
echo "summary: $(cat "$(dirname "$0")/count")" > "${2#--callgrind-out-file=}"
shift 2
exec "$@"
"#;

#[test]
fn more_instructions_than_recorded_fail() {
    let project = Project::new();
    let rows = project.write("rows.csv", ROWS);
    for (name, text) in [
        ("bin/valgrind", VALGRIND),
        ("bin/callgrind_annotate", "#!/bin/sh\n"),
    ] {
        let path = project.write(name, text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let count = |instructions: &str, more: &[&str]| {
        project.write("bin/count", instructions);
        let path = format!(
            "{}:{}",
            project.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut command = python("benches/instructions.py");
        command.arg(&rows).args(more).env("PATH", path);
        command.arg("--work").arg(project.path("work"));
        command.arg("--results").arg(project.path("results"));
        finish(command.args(["--gristmill", env!("CARGO_BIN_EXE_gristmill")]))
    };
    count("1000", &["--record"]).expect(0);
    assert!(
        count("1020", &["--limit", "3"])
            .expect(0)
            .stdout
            .contains("+2.00 %")
    );
    let over = count("1040", &["--limit", "3"]).expect(1);
    assert!(over.stderr.contains("rows to parquet: +4.00 %"), "{over:?}");
}
