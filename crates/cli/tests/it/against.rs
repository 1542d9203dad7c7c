//! `validate --against DATA`: what a pipeline asks of data, and what the data has.

use serde_json::Value;

use crate::project::{Done, Project};

const PIPELINE: &str = "\
version: 1
name: against
params:
  out: { type: string, required: true }
source:
  uri: nowhere/*.csv
  columns: contract.yaml
  on_new_column: ignore
prepare:
  label: { column: churned, map: { \"no\": 0, \"yes\": 1 } }
  select: [age, plan]
shards: { to: \"{{ params.out }}/\", format: csv }
";

const CONTRACT: &str = "\
- { name: id, type: string, nullable: false }
- { name: age, type: int64, min: 0, max: 130 }
- { name: plan, type: string, allowed: [basic, plus] }
- { name: churned, type: string }
";

fn project(data: &str) -> Project {
    let project = Project::new();
    project.write("pipeline.yaml", PIPELINE);
    project.write("contract.yaml", CONTRACT);
    project.write("data.csv", data);
    project
}

fn validate(project: &Project, more: &[&str]) -> Done {
    let mut args = vec!["validate", "pipeline.yaml", "--against", "data.csv"];
    args.extend(more);
    project.run(&args)
}

/// `line:column code: message` of each problem, and its help.
fn told(done: &Done) -> String {
    let answer = done.json();
    assert_eq!(answer["valid"], answer["problems"] == serde_json::json!([]));
    assert_eq!(answer["exit"], done.code);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let each = answer["problems"].as_array().unwrap().iter().map(|p| {
        assert_eq!(p["file"], "pipeline.yaml");
        let help = match text(&p["help"]) {
            help if help.is_empty() => help,
            help => format!("\n  {help}"),
        };
        let (code, message) = (text(&p["code"]), text(&p["message"]));
        format!("{}:{} {code}: {message}{help}", p["line"], p["column"])
    });
    each.collect::<Vec<_>>().join("\n")
}

const GIVEN: [&str; 4] = ["-p", "out=out", "--output", "json"];

#[test]
fn data_that_fits_is_valid_and_nothing_is_written() {
    let project = project("id,age,plan,churned\n1,20,basic,no\n2,NA,plus,yes\n3,40,,\n");
    let done = validate(&project, &["-p", "out=out"]).expect(0);
    assert_eq!(done.stdout, "pipeline.yaml: valid, and data.csv fits it\n");
    assert!(!project.path("out").exists() && !project.path(".gristmill").exists());
}

#[test]
fn every_row_is_held_to_the_contract_and_to_the_label() {
    let project = project(
        "id,age,plan,churned\n,20,basic,no\n2,x,plus,yes\n3,400,gold,no\n4,1,gold,no\n5,1,plus,maybe\n6,1\n7,1,plus,no\n",
    );
    let done = validate(&project, &GIVEN).expect(65);
    insta::assert_snapshot!(told(&done), @r#"
    7:12 data: data.csv:2: record 1 (byte 20), column "id": expected string, not null, found an empty cell
    7:12 data: data.csv:3: record 2 (byte 33), column "age": expected int64, found "x"
    7:12 data: data.csv:4: record 3 (byte 46), column "age": expected a number from 0 to 130, found "400"
    7:12 data: data.csv:5: record 4 (byte 60), column "plan": expected one of "basic", "plus", found "gold"
    10:34 data: data.csv:6: record 5 (byte 72), column "churned": expected one of "no", "yes", as the label's map has them, found "maybe"
    6:8 data: data.csv:7: record 6 (byte 87): expected 4 fields, found 2 fields
    6:8 data: 6 of 7 rows are bad (1 ragged, 1 type, 1 null, 1 range, 2 not_allowed); all are told above
      a run stops at the first of them (on_bad_row: fail): mend the data, or what is asked of it
    "#);
}

#[test]
fn of_many_bad_rows_each_kind_is_told_and_all_are_counted() {
    let rows: String = (0..2000)
        .map(|i| format!("{i},{},plus,no\n", 200 + i / 2))
        .collect();
    let more = "x,y,gold,no\n,1,plus,no\n,2,plus,no\n";
    let project = project(&format!("id,age,plan,churned\n{rows}{more}"));
    let done = validate(&project, &GIVEN).expect(65);
    let told = told(&done);
    let lines: Vec<&str> = told.lines().collect();
    let found = lines.iter().filter_map(|l| l.split("found ").nth(1));
    let found: Vec<&str> = found.collect();
    let numbers = ["\"200\"", "\"201\"", "\"202\"", "\"203\"", "\"204\""];
    assert_eq!(
        (&found[..5], &found[5..]),
        (&numbers[..], &["\"y\"", "an empty cell"][..])
    );
    assert_eq!(
        lines[7],
        "7:12 data: 2,003 of 2,003 rows are bad (1 type, 2 null, 2,000 range); the first of each kind are \
         told above"
    );
    assert_eq!(lines.len(), 9, "{told}");
}

#[test]
fn columns_are_told_with_their_places() {
    let project = project("id,years,churned,extra\n1,20,no,5\n");
    let path = project.path("pipeline.yaml");
    let edited = PIPELINE
        .replace("ignore", "fail")
        .replace("[age, plan]", "[age, plann]");
    std::fs::write(&path, &edited).unwrap();
    // Something in the pipeline is wrong whatever the data, so that it has to change.
    let done = validate(&project, &GIVEN).expect(78);
    insta::assert_snapshot!(told(&done), @r#"
    11:17 no-such-column: the input has no column `plann`
      did you mean `plan`?
    7:12 data: data.csv: the contract's columns are not there: "age", "plan"
      the file has "id", "years", "churned", "extra"; mend the data, or the contract
    8:18 data: data.csv: the contract does not name "years", "extra"
      add them to the contract, or allow them with on_new_column: ignore or warn
    "#);
    std::fs::write(&path, edited.replace("plann", "plan")).unwrap();
    let done = validate(&project, &GIVEN).expect(65);
    assert!(!told(&done).contains("no-such-column"), "{}", told(&done));
}

#[test]
fn any_format_is_read_and_types_need_no_contract() {
    let project = project("id,age,plan,churned\n1,20,basic,no\n2,21,basic,perhaps\n");
    for name in ["data.parquet", "data.jsonl.gz", "data.csv.snappy"] {
        project.run(&["convert", "data.csv", name]).expect(0);
        let mut args = vec!["validate", "pipeline.yaml", "--against", name];
        args.extend(GIVEN);
        let done = project.run(&args).expect(65);
        let told = told(&done);
        assert!(
            told.contains("record 2") && told.contains("found \"perhaps\""),
            "{told}"
        );
    }
    let inferred = PIPELINE
        .replace("contract.yaml", "infer")
        .replace("  on_new_column: ignore\n", "");
    project.write("pipeline.yaml", inferred);
    let told = told(&validate(&project, &GIVEN).expect(65));
    assert!(told.contains("found \"perhaps\""), "{told}");
}

#[test]
fn what_is_missing_in_the_call_is_told_first() {
    let project = project("id,age,plan,churned\n1,20,basic,no\n");
    let done = validate(&project, &[]).expect(2);
    assert!(
        done.stderr.contains("parameter `out` is required"),
        "{}",
        done.stderr
    );
    project.write("params.yaml", "out: out\n");
    validate(&project, &["--params-file", "params.yaml"]).expect(0);
    // Without data, no value is needed, and a wrong one is told all the same.
    project.run(&["validate", "pipeline.yaml"]).expect(0);
    let done = project
        .run(&["validate", "pipeline.yaml", "-p", "outt=1"])
        .expect(2);
    assert!(
        done.stderr.contains("did you mean `out`?"),
        "{}",
        done.stderr
    );
    let gone = [
        "validate",
        "pipeline.yaml",
        "--against",
        "gone.csv",
        "-p",
        "out=1",
    ];
    project.run(&gone).expect(66);
    project.write("empty.csv", "");
    let empty = [
        "validate",
        "pipeline.yaml",
        "--against",
        "empty.csv",
        "-p",
        "out=1",
    ];
    project.run(&empty).expect(66);
    // A pipeline that is wrong in itself is told before any data is read.
    project.write("pipeline.yaml", PIPELINE.replace("to:", "too:"));
    let done = validate(&project, &GIVEN).expect(78);
    assert!(told(&done).contains("unknown-key"), "{}", told(&done));
}

#[test]
fn a_sensitive_cell_is_not_shown() {
    let project = project("id,age,plan,churned\n1,secret,basic,no\n");
    project.write(
        "contract.yaml",
        CONTRACT.replace("max: 130", "max: 130, sensitive: true"),
    );
    let done = validate(&project, &GIVEN).expect(65);
    let all = format!("{}{}", done.stdout, done.stderr);
    assert!(!all.contains("secret") && all.contains("***"), "{all}");
}
