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
            let text = |key: &str| p[key].as_str().unwrap_or("-").to_owned();
            format!(
                "{}:{} {} {}
  {}",
                p["line"],
                p["column"],
                text("code"),
                text("message"),
                text("help")
            )
        })
        .collect();
    assert_eq!(
        (&answer["valid"], &answer["exit"]),
        (&false.into(), &78.into())
    );
    assert_snapshot!(told.join("\n"), @r#"
    2:7 bad-value `name`: `Nightly` holds `N`; only a-z, 0-9 and `-` are allowed
      -
    3:14 bad-value `work.uri`: `s3://Work/` has the bucket `Work`; bucket names hold a-z, 0-9, `-` and `.`, and begin and end with a letter or digit
      -
    4:35 bad-value `source.columns`: cannot read the contract `guess`: No such file or directory (os error 2)
      expected `infer`, `text`, or the path of a contract relative to this file; `gristmill inspect FILE --contract` writes one
    5:37 column `prepare.select` names `a` twice
      -
    6:34 wrong-type `shards.max_rows`: expected an integer of at least 1, found the text `none`
      -
    8:10 bad-value `transform.model`: `my_model` holds `_`; only letters, digits and `-` are allowed
      -
    10:19 bad-value `transform.instance_count`: expected an integer from 1 to 100, found 101
      -
    11:3 unknown-key unknown key `split_typ` in `transform`
      did you mean `split_type`?
    12:19 bad-value `transform.batch_strategy`: expected `multi_record` or `single_record`, found `multi_records`
      did you mean `multi_record`?
    14:30 payload-product `max_concurrent_transforms` × `max_payload_in_mb` is 2 × 60 = 120; the service takes at most 100
      with 60 MB at most 1 at once
    15:28 bad-value `transform.invocations_max_retries`: expected an integer from 0 to 3, found 5
      -
    16:15 bad-value `transform.kms_key_id`: `alias/*` holds `*`; a KMS key is an id, an ARN or `alias/NAME`, of letters, digits and `: / _ -`
      -
    17:42 filter `transform.data_processing.input_filter`: `$[0:2,4:]`: mixes ranges and places, or has two ranges; only one range such as `[1:5]` is supported
      list the places, `$[0,5,6]`, or put the columns that are kept first and use one open range, `$[2:]`
    18:23 bad-value `transform.tags`: the tag `aws:team` begins with `aws:`, which is reserved by AWS
      -
    21:38 bad-value `score`: `from: prediction(0)` is not a prediction
      fields of an answer are counted from 0, or named in JSON: "prediction[0]", "prediction.score"
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
