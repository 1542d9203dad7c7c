//! Every mistake at once, each with its place and its remedy.

use std::path::Path;

use crate::support::{FINE, problems, problems_of};
use gristmill_plan::validate;

#[test]
fn a_pipeline_without_mistakes_has_no_problem() {
    assert_eq!(problems(FINE), "");
}

#[test]
fn many_mistakes_are_all_found_in_one_go() {
    let text = "\
version: 2
name: Late_Flights
parms: {}
work:
  uri: work-bucket/runs
source:
  columns: guess
  on_bad_row: { action: quarantine, max_ratio: 7 }
  max_record: huge
  header: yes
prepare:
  id: flight
  select: [month, 2013, month]
shards:
  format: csv
  max_rows: 0
transform:
  model: -late-
  instance_type: m5.xlarge
  max_payload_in_mb: 60
  max_concurrent_transforms: 3
  split_typ: line
  invocations_max_retries: '3'
assemble:
  to: s3://scores/{{ params.run_dat }}/
  columns:
    - { name: score, from: prediction(0) }
    - score
local:
  model: { onnx: a.onnx, url: http://127.0.0.1:9000 }
";
    insta::assert_snapshot!(problems(text), @r#"
    [bad-value] p.yaml:1:10: `version`: expected 1, found 2
    [bad-value] p.yaml:2:7: `name`: `Late_Flights` holds `L`; only a-z, 0-9 and `-` are allowed
    [unknown-key] p.yaml:3:1: unknown key `parms`
      help: did you mean `params`?
    [bad-value] p.yaml:5:8: `work.uri`: `work-bucket/runs` must begin with `s3://`
    [missing-key] p.yaml:6:1: `source` needs the key `uri`
      help: `uri`: What to read, in order: local paths, `s3://…`, either with globs, or `-` for standard input. Relative paths are relative to this file.
    [bad-value] p.yaml:7:12: `source.columns`: cannot read the contract `guess`: no such file
      help: expected `infer`, `text`, or the path of a contract relative to this file; `gristmill inspect FILE --contract` writes one
    [bad-value] p.yaml:8:48: `source.on_bad_row.max_ratio`: expected a number from 0 to 1, found 7
    [bad-value] p.yaml:9:15: `source.max_record`: `huge` is not a size; the units are B, KB, MB, GB, TB, KiB, MiB, GiB, TiB
    [wrong-type] p.yaml:10:11: `source.header`: expected true or false, found the text `yes`
      help: `yes` is a text in YAML 1.2; write true
    [wrong-type] p.yaml:12:7: `prepare.id`: expected a list, found the text `flight`
      help: a list of one is [flight]
    [wrong-type] p.yaml:13:19: `prepare.select[1]`: expected a text, found the number 2013
      help: put it in quotes: "2013"
    [column] p.yaml:13:25: `prepare.select` names `month` twice
    [bad-value] p.yaml:16:13: `shards.max_rows`: expected an integer of at least 1, found 0
    [bad-value] p.yaml:18:10: `transform.model`: `-late-` must begin and end with a letter or digit
    [bad-value] p.yaml:19:18: `transform.instance_type`: `m5.xlarge` is not of the form `ml.<family>.<size>`
    [payload-product] p.yaml:21:30: `max_concurrent_transforms` × `max_payload_in_mb` is 3 × 60 = 180; the service takes at most 100
      help: with 60 MB at most 1 at once
    [unknown-key] p.yaml:22:3: unknown key `split_typ` in `transform`
      help: did you mean `split_type`?
    [wrong-type] p.yaml:23:28: `transform.invocations_max_retries`: expected an integer from 0 to 3, found the text `3`
      help: remove the quotes
    [template] p.yaml:25:7: `assemble.to`: `params.run_dat` is not defined
      help: declare it under `params:`
    [bad-value] p.yaml:27:28: `score`: `from: prediction(0)` is not a prediction
      help: fields of an answer are counted from 0, or named in JSON: "prediction[0]", "prediction.score"
    [column] p.yaml:28:7: `assemble.columns` has two columns called `score`
      help: output columns need different names
    [conflict] p.yaml:30:3: `local.model` needs exactly one of `onnx`, `command`, `url`, found 2
    "#);
}

#[test]
fn an_empty_pipeline_says_what_is_needed() {
    insta::assert_snapshot!(problems("{}"), @r"
    [missing-key] p.yaml:1:1: `shards` needs the key `to`, since there is no `transform`
      help: `shards.to`: where the rows go; a folder if it ends with `/`, else a file
    [missing-key] p.yaml:1:1: the pipeline needs the key `name`
      help: `name`: a-z, 0-9 and `-`; becomes part of job names and run keys.
    [missing-key] p.yaml:1:1: the pipeline needs the key `source`
      help: `source`: What is read.
    [missing-key] p.yaml:1:1: the pipeline needs the key `version`
      help: `version`: The version of this format: 1.
    ");
    insta::assert_snapshot!(problems("- a\n- b\n"), @r"
    [wrong-type] p.yaml:1:1: a pipeline is a mapping, found a list
      help: begin with `version: 1`
    ");
    insta::assert_snapshot!(problems("# nothing\n"), @r"
    [syntax] p.yaml:1:1: the file holds no pipeline
      help: a pipeline begins with `version: 1` and `name: …`
    ");
}

#[test]
fn a_key_of_another_stage_is_sent_there() {
    insta::assert_snapshot!(problems_of(&[("instance_type: ml.m5.xlarge", "instance_type: ml.m5.xlarge\n  row_group_rows: 5")]), @r"
    [unknown-key] p.yaml:17:3: unknown key `row_group_rows` in `transform`
      help: `row_group_rows` belongs under `shards`
    ");
}

#[test]
fn an_unknown_key_lists_what_there_is() {
    insta::assert_snapshot!(problems_of(&[("onnx: late.onnx", "zebra: late.onnx")]), @r"
    [conflict] p.yaml:20:3: `local.model` needs exactly one of `onnx`, `command`, `url`, found 0
    [unknown-key] p.yaml:20:12: unknown key `zebra` in `local.model`
      help: the keys here are onnx, command, url
    ");
}

#[test]
fn a_value_that_is_left_out_is_named() {
    insta::assert_snapshot!(problems_of(&[("  id: [flight]", "  id:")]), @r"
    [wrong-type] p.yaml:10:3: `prepare.id` has no value
      help: expected a list; or remove the key
    ");
    insta::assert_snapshot!(problems_of(&[("format: csv", "format: ~")]), @r"
    [wrong-type] p.yaml:13:3: `shards.format` has no value
      help: expected `csv`, `csv.gz`, `csv.sz`, `csv.snappy`, `csv.zst`, `jsonl`, `jsonl.gz`, `jsonl.sz`, `jsonl.snappy`, `jsonl.zst` or `parquet`; or remove the key
    ");
}

#[test]
fn enums_take_the_services_spelling_too() {
    let both = [(
        "instance_type: ml.m5.xlarge",
        "instance_type: ml.m5.xlarge\n  batch_strategy: SingleRecord\n  split_type: Line\n  assemble_with: line",
    )];
    assert_eq!(problems_of(&both), "");
    let wrong = [(
        "instance_type: ml.m5.xlarge",
        "instance_type: ml.m5.xlarge\n  batch_strategy: multirecord",
    )];
    insta::assert_snapshot!(problems_of(&wrong), @r"
    [bad-value] p.yaml:17:19: `transform.batch_strategy`: expected `multi_record` or `single_record`, found `multirecord`
      help: did you mean `multi_record`?
    ");
}

#[test]
fn a_mistake_serialises_flat() {
    let list = validate(
        "version: 1\nname: a\nsourc: {}\n",
        "p.yaml",
        Path::new("/"),
        &|_| Err("unread".into()),
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&list[1]).unwrap(), @r#"
    {
      "file": "p.yaml",
      "line": 1,
      "column": 1,
      "code": "missing-key",
      "message": "the pipeline needs the key `source`",
      "help": "`source`: What is read."
    }
    "#);
}
