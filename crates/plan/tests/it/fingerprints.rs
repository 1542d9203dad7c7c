//! What is in a fingerprint, and what is not.

use gristmill_plan::Plan;
use gristmill_plan::fingerprint::{self, Fingerprint, canonical_json, first_difference};
use serde_json::json;

use crate::support::{plan, plan_again};

fn prints(plan: &Plan) -> Vec<Fingerprint> {
    let model = json!({ "name": "late-v1", "created": 1.5 });
    let source = fingerprint::source(plan);
    let shards = fingerprint::shards(&source, plan);
    let transform = fingerprint::transform(&shards, plan, &model);
    let assemble = fingerprint::assemble(&transform, plan);
    vec![source, shards, transform, assemble]
}

/// The first stage that an edit changes, and how.
fn change(edits: &[(&str, &str)]) -> String {
    match first_difference(&prints(&plan(&[])), &prints(&plan_again(edits))) {
        Some(found) => format!("{}: {}", found.stage, found.lines.join("; ")),
        None => "same".into(),
    }
}

#[test]
fn what_does_not_touch_a_byte_is_not_in() {
    for line in [
        "instance_count: 7",
        "max_concurrent_transforms: 3",
        "invocations_timeout_in_seconds: 5",
        "invocations_max_retries: 0",
        "tags: { a: b }",
        "job_timeout: 2h",
        "capacity_wait: 1m",
        "on_interrupt: stop",
        "kms_key_id: alias/a",
        "volume_kms_key_id: alias/b",
        "transform_ami_version: al2-ami-sagemaker-batch-gpu-535",
        "experiment_config: { run_name: r }",
        "data_capture_config: { destination_s3_uri: s3://captured/ }",
        "data_processing: { input_filter: $ }",
        "max_attempts: 1",
        "on_refused_row: quarantine",
        "jobs: 3",
        "probe: off",
    ] {
        assert_eq!(
            change(&[("model: late-v1", &format!("model: late-v1\n  {line}"))]),
            "same",
            "{line}"
        );
    }
    assert_eq!(change(&[("ml.m5.xlarge", "ml.c5.large")]), "same");
    assert_eq!(
        change(&[("onnx: late.onnx", "url: http://127.0.0.1:1")]),
        "same"
    );
    assert_eq!(
        change(&[("s3://work-bucket/runs/", "s3://elsewhere/")]),
        "same"
    );
    let quarantine = |ratio: &str| {
        plan(&[(
            "uri: data/*.csv",
            &format!("uri: data/*.csv\n  on_bad_row: {{ action: quarantine, max_ratio: {ratio} }}"),
        )])
    };
    assert_eq!(prints(&quarantine("0.1")), prints(&quarantine("0.2")));
}

#[test]
fn what_does_is_in_at_its_stage() {
    insta::assert_snapshot!(change(&[("uri: data/*.csv", "uri: data/*.csv\n  on_bad_row: quarantine\n  null_tokens: [x]")]), @r#"source: null_tokens: [] → ["x"]; on_bad_row: fail → quarantine"#);
    insta::assert_snapshot!(change(&[("[month, day, distance]", "[day, month, distance]")]), @"shards: columns[0]: month → day; columns[1]: day → month");
    insta::assert_snapshot!(change(&[("format: csv", "format: csv.gz\n  max_rows: 5")]), @"shards: format: csv → csv.gz; max_rows: 5313 → 5");
    insta::assert_snapshot!(change(&[("model: late-v1", "model: late-v1\n  environment: { A: b }\n  batch_strategy: single_record")]), @"transform: settings.batch_strategy: MultiRecord → SingleRecord; settings.environment.A: nothing → b");
    insta::assert_snapshot!(change(&[("model: late-v1", "model: late-v1\n  data_processing: { input_filter: '$[1:]' }\n  data_capture_config: { destination_s3_uri: s3://captured/, generate_inference_id: true }")]), @r#"transform: settings.data_processing: nothing → {"input_filter":"$[1:]","output_filter":null,"join_source":"None"}; settings.generate_inference_id: nothing → true"#);
    insta::assert_snapshot!(change(&[("{{ params.run_date }}/", "{{ params.run_date }}/\n  format: csv")]), @"assemble: settings.format: parquet → csv");
}

#[test]
fn formats_are_in_with_what_they_depend_on() {
    let source = |line: &str| change(&[("uri: data/*.csv", &format!("uri: data/*.csv\n  {line}"))]);
    assert_eq!(source("ready: { marker: _SUCCESS, wait: 2h }"), "same");
    insta::assert_snapshot!(source("format: csv"), @"source: format: nothing → csv");
    let rows = plan(&[]).shards.max_rows.unwrap();
    let as_chosen = format!("format: csv\n  max_bytes: 64MB\n  max_rows: {rows}");
    assert_eq!(change(&[("format: csv", &as_chosen)]), "same");
    insta::assert_snapshot!(change(&[("format: csv", "format: jsonl")]), @"shards: format: csv → jsonl; null:  → nothing; header: false → nothing");
    let contract = |file: &str| {
        prints(&plan(&[(
            "uri: data/*.csv",
            &format!("uri: data/*.csv\n  columns: {file}\n  on_new_column: warn"),
        )]))
    };
    let ignored = prints(&plan(&[(
        "uri: data/*.csv",
        "uri: data/*.csv\n  columns: ../contracts/flights.yaml",
    )]));
    assert_eq!(contract("../contracts/flights.yaml"), ignored);
    // A contract is what it says, not where it stands.
    assert_eq!(contract("../contracts/copy.yaml"), ignored);
    assert_ne!(
        contract("../contracts/wider.yaml")[0].sha256,
        ignored[0].sha256
    );
}

#[test]
fn inputs_are_their_name_size_and_content() {
    let mut other = plan(&[]);
    other.source.inputs[0].uri = "/elsewhere/a.csv".into();
    assert_eq!(prints(&plan(&[])), prints(&other));
    other.source.inputs[1].etag = Some("sha256:new".into());
    let found = first_difference(&prints(&plan(&[])), &prints(&other)).unwrap();
    insta::assert_snapshot!(format!("{}: {}", found.stage, found.lines.join("; ")), @"source: inputs[1].etag: sha256:b.csv → sha256:new");
}

#[test]
fn stages_are_chained() {
    let (a, b) = (
        prints(&plan(&[])),
        prints(&plan(&[("format: csv", "format: csv\n  max_rows: 5")])),
    );
    let same: Vec<bool> = a
        .iter()
        .zip(&b)
        .map(|(a, b)| a.sha256 == b.sha256)
        .collect();
    assert_eq!(same, [true, false, false, false]);
    assert_eq!(a[2].document["upstream"], a[1].to_string());
}

#[test]
fn a_stage_on_one_side_only_differs() {
    let all = prints(&plan(&[]));
    let found = first_difference(&all[..2], &all).unwrap();
    assert_eq!(found.stage, "transform");
    assert!(first_difference(&all, &all).is_none());
}

#[test]
fn canonical_json_has_one_form() {
    let a = json!({ "b": [1, { "y": null, "x": "ü" }], "a": 1.5 });
    assert_eq!(
        canonical_json(&a),
        r#"{"a":1.5,"b":[1,{"x":"ü","y":null}]}"#
    );
}
