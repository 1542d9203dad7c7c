//! `validate`: every mistake of a file at once, for people and for programs.

use insta::assert_snapshot;

use crate::project::Project;

/// Ten kinds of mistakes and some more, none of which hides another.
const WRONG: &str = "\
version: 1
name: Nightly
work: { uri: s3://Work/ }
source: { uri: rows.csv, columns: guess }
prepare: { id: [id], select: [a, b, a] }
shards: { format: csv, max_rows: none }
transform:
  model: my_model
  instance_type: ml.m5.xlarge
  instance_count: 101
  split_typ: line
  batch_strategy: multi_records
  max_payload_in_mb: 60
  max_concurrent_transforms: 2
  invocations_max_retries: 5
  kms_key_id: 'alias/*'
  data_processing: { input_filter: '$[0:2,4:]', join_source: input }
  tags: { 'aws:team': a }
assemble:
  to: s3://scores/
  columns: [id, { name: score, from: 'prediction(0)' }]
";

#[test]
fn a_file_with_many_mistakes_is_told_all_of_them() {
    let project = Project::new();
    project.write("wrong.yaml", WRONG);
    let done = project
        .run(&["validate", "wrong.yaml", "--output", "json"])
        .expect(78);
    let answer = done.json();
    let problems = answer["problems"].as_array().unwrap();
    assert!(problems.len() >= 10);
    let told: Vec<String> = problems
        .iter()
        .map(|p| {
            let help = p["help"].as_str().unwrap_or("-");
            format!(
                "{}:{} {} {}\n  {help}",
                p["line"], p["column"], p["code"], p["message"]
            )
        })
        .collect();
    assert_eq!(
        (&answer["valid"], &answer["exit"]),
        (&false.into(), &78.into())
    );
    assert_snapshot!(told.join("\n"), @r#"
    MANY
    "#);
    let mut lines: Vec<u64> = problems
        .iter()
        .map(|p| p["line"].as_u64().unwrap())
        .collect();
    lines.dedup();
    assert_eq!(
        lines,
        [2, 3, 4, 5, 6, 8, 10, 11, 12, 14, 15, 16, 17, 18, 21]
    );
    assert!(problems.iter().all(|p| p["file"] == "wrong.yaml"));
}

#[test]
fn what_is_only_doubtful_is_told_and_passes() {
    let project = Project::new();
    project.write(
        "p.yaml",
        "version: 1\nname: n\nwork: { uri: s3://work-bucket/ }\nsource: { uri: a.csv }\ntransform:\n  model: m\n  instance_type: ml.m5.xlarg\nassemble: { to: s3://scores/ }\n",
    );
    let done = project.run(&["validate", "p.yaml"]).expect(0);
    assert_snapshot!(done.stdout, @r"
    warning: p.yaml:7:18: `instance_type: ml.m5.xlarg` is not among the types known for transform jobs
      help: did you mean `ml.m5.xlarge`?
    p.yaml: valid
    ");
    let answer = project
        .run(&["validate", "p.yaml", "--output", "json"])
        .expect(0)
        .json();
    assert_snapshot!(answer, @r#"{"valid":true,"problems":[],"warnings":[{"file":"p.yaml","line":7,"column":18,"code":"unknown-instance-type","message":"`instance_type: ml.m5.xlarg` is not among the types known for transform jobs","help":"did you mean `ml.m5.xlarge`?"}],"exit":0}"#);
}
