//! Where values come from: `-p`, `--params-file`, the environment.

use serde_json::Value;

use crate::lab::{Lab, ROWS, sums};
use crate::project::finish;

const FILE: [&str; 2] = ["--params-file", "params.yaml"];

fn uri(answer: &Value) -> &str {
    answer["output"]["uri"].as_str().unwrap()
}

#[test]
fn a_file_gives_what_the_command_line_does_not() {
    let lab = Lab::new();
    lab.project.write("params.yaml", "out: night\n");
    let first = lab.run(&FILE).expect(0).json();
    assert_eq!(
        (uri(&first), lab.scores(&first)),
        ("s3://scores/night/", sums(0..ROWS))
    );
    // The same parameters, however they are given, are the same run.
    let same = lab.run(&["-p", "out=night"]).expect(0).json();
    assert_eq!(
        (&same["reused"], &same["run_id"]),
        (&true.into(), &first["run_id"])
    );
    lab.project.write("params.json", "{\"out\": \"other\"}");
    let mut command = lab
        .project
        .command(&["run", "pipeline.yaml", "--local", "--output", "json"]);
    let other = finish(command.env("GRISTMILL_PARAMS_FILE", "params.json"))
        .expect(0)
        .json();
    assert_eq!(uri(&other), "s3://scores/other/");
    let flag = lab
        .run(&[FILE[0], FILE[1], "-p", "out=flag"])
        .expect(0)
        .json();
    assert_eq!(uri(&flag), "s3://scores/flag/");
    let mut plan = vec!["plan", "pipeline.yaml", "--local"];
    plan.extend(FILE);
    lab.project.run(&plan).expect(0);
}

#[test]
fn mistakes_in_the_file_are_told_with_their_place() {
    let lab = Lab::new();
    lab.edit("params:\n", "params:\n  rows: { type: int, default: 1 }\n");
    lab.project
        .write("params.yaml", "out: night\n\nouts: day\nrows: many\n");
    let told = lab.refusal(lab.run(&FILE), 2);
    let expected = "params.yaml:3:1 unknown-key: parameter `outs` is not declared by this pipeline; did you mean `out`?\n\
         params.yaml:4:1 bad-value: parameter `rows`: expected an integer, found `many`\n\
         the parameter file params.yaml has 2 mistakes";
    assert_eq!(told, expected);
    let valid = lab.project.run(&[
        "validate",
        "pipeline.yaml",
        FILE[0],
        FILE[1],
        "--output",
        "json",
    ]);
    let problems = valid.expect(2).json()["problems"].clone();
    assert_eq!(
        (&problems[0]["line"], &problems[1]["line"]),
        (&3.into(), &4.into())
    );
    lab.project.write("params.yaml", "out: [a, b]\n");
    let told = lab.refusal(lab.run(&FILE), 2);
    assert!(
        told.starts_with("params.yaml:1:6 wrong-type: parameter `out`: expected a text"),
        "{told}"
    );
    let told = lab.refusal(lab.run(&["--params-file", "gone.yaml"]), 66);
    assert!(
        told.starts_with("cannot read --params-file gone.yaml: No such file"),
        "{told}"
    );
    lab.project.write("params.yaml", "out: night\n");
    lab.project
        .run(&["validate", "pipeline.yaml", FILE[0], FILE[1]])
        .expect(0);
}

#[test]
fn listed_variables_are_the_runs_own() {
    let lab = Lab::new();
    lab.edit("name: sums\n", "name: sums\nenv: [STAGE]\n");
    lab.edit("{{ params.out }}", "{{ env.STAGE }}");
    let told = lab.refusal(lab.run(&[]), 78);
    assert!(
        told.contains("the environment variable `STAGE` is not set"),
        "{told}"
    );
    let run = |stage: &str| {
        let mut command =
            lab.project
                .command(&["run", "pipeline.yaml", "--local", "--output", "json"]);
        finish(command.env("STAGE", stage).env("OTHER", "not listed"))
    };
    let done = run("test").expect(0).json();
    assert_eq!(uri(&done), "s3://scores/test/");
    let told = lab.told(run("prod"), 73);
    assert!(
        told.contains("was used with STAGE=\"test\" in the environment, and now with \"prod\""),
        "{told}"
    );
    // It goes on with what it began with, wherever it is continued.
    let again = lab
        .project
        .run(&["resume", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(
        (uri(&again), &again["reused"]),
        ("s3://scores/test/", &true.into())
    );
    let ledger = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    assert!(ledger.contains("\"env\":{\"STAGE\":\"test\"}") && !ledger.contains("not listed"));
}
