//! Column roles, estimates and the request as `plan` shows them.

use gristmill_plan::{Plan, draft};

use crate::support::{inventory, plan, sample, spec};

#[test]
fn every_column_has_a_role() {
    let roles = plan(&[]).columns;
    assert_eq!(roles.shards, ["month", "day", "distance"]);
    assert_eq!(
        (roles.ids, roles.carried),
        (vec!["flight".to_owned()], vec!["flight".to_owned()])
    );
    assert_eq!(roles.never_sent, ["tailnum"]);
    let all = plan(&[("  select: [month, day, distance]\n", "  drop: [day]\n")]).columns;
    assert_eq!(all.shards, ["month", "distance", "tailnum"]);
    assert_eq!(all.never_sent, ["day"]);
    let carried = plan(&[(
        "{{ params.run_date }}/",
        "x/\n  columns: [tailnum, { name: d, from: distance }, { name: s, from: 'prediction[0]' }]",
    )]);
    assert_eq!(carried.columns.carried, ["flight", "tailnum", "distance"]);
    assert!(carried.columns.never_sent.is_empty());
}

#[test]
fn columns_that_the_input_does_not_have_are_all_named() {
    let spec = spec(&[
        ("id: [flight]", "id: [flights]"),
        ("[month, day, distance]", "[month, dayy, zebra]"),
        (
            "{{ params.run_date }}/",
            "x/\n  columns: [tail_num, { name: s, from: 'prediction[0]' }]",
        ),
    ]);
    insta::assert_snapshot!(draft(&spec, &inventory(), &sample()).unwrap_err(), @r"
    p.yaml:10:8: the input has no column `flights`
      help: did you mean `flight`?
    p.yaml:11:19: the input has no column `dayy`
      help: did you mean `day`?
    p.yaml:11:25: the input has no column `zebra`
      help: it has month, day, flight, distance, tailnum
    p.yaml:19:13: the input has no column `tail_num`
      help: did you mean `tailnum`?
    ");
}

#[test]
fn nothing_left_for_the_model_is_a_mistake() {
    let spec = spec(&[(
        "  select: [month, day, distance]\n",
        "  drop: [month, day, distance, tailnum]\n",
    )]);
    insta::assert_snapshot!(draft(&spec, &inventory(), &sample()).unwrap_err(), @"p.yaml:9:1: no column is left: all of the input's are in `prepare.id` or `drop`");
}

#[test]
fn estimates_follow_the_sample() {
    let plan = plan(&[
        ("format: csv", "format: csv\n  max_rows: 6000"),
        ("model: late-v1", "model: late-v1\n  instance_count: 9"),
    ]);
    let estimate = plan.estimate;
    // 1,000,000 bytes at 50 a row; three of five columns are sent.
    assert_eq!(
        (estimate.rows, estimate.shard_bytes, estimate.shards),
        (20_000, 600_000, 4)
    );
    assert_eq!(
        (
            estimate.requests,
            estimate.instances_busy,
            estimate.instances_idle
        ),
        (4, 4, 5)
    );
    insta::assert_snapshot!(plan.warnings.join("\n"), @r"
    5 of 9 instances would be paid for doing nothing: about 4 shards for them all
    AWS does not say how shards are shared among instances; if all went to one, 8 of 9 would be paid for doing nothing
    ");
    let mut few = inventory();
    few.limit_rows = Some(10);
    let plan = draft(&spec(&[]), &few, &sample()).unwrap();
    assert_eq!((plan.estimate.rows, plan.estimate.shards), (10, 1));
    few.inputs.clear();
    let plan = draft(&spec(&[]), &few, &sample()).unwrap();
    assert_eq!((plan.estimate.rows, plan.estimate.shards), (0, 0));
}

#[test]
fn a_payload_bounds_a_record() {
    assert_eq!(
        plan(&[("model: late-v1", "model: late-v1\n  max_payload_in_mb: 6")]).max_record_bytes,
        Some(5_940_000)
    );
    assert_eq!(
        plan(&[("model: late-v1", "model: late-v1\n  max_payload_in_mb: 0")]).max_record_bytes,
        None
    );
}

#[test]
fn warnings_do_not_stop() {
    let odd = plan(&[(
        "ml.m5.xlarge",
        "ml.z9.huge\n  max_payload_in_mb: 0\n  assemble_with: none",
    )]);
    insta::assert_snapshot!(odd.warnings.join("\n"), @r"
    p.yaml:16:18: `instance_type: ml.z9.huge` is not among the types known for transform jobs; the list grows: if the service has it, go on
    p.yaml:17:22: `max_payload_in_mb: 0` sends requests in chunks of no stated length; AWS's built-in algorithms refuse them; with a built-in algorithm, name a payload: 1 to 100
    p.yaml:18:18: `split_type: line` with `assemble_with: none`: a container that does not end its answers with a newline glues rows together, which fails the count of rows; use `assemble_with: line`
    ");
}

#[test]
fn a_plan_comes_back_from_json_as_it_was() {
    let plan = plan(&[(
        "{{ params.run_date }}/",
        "x/\n  columns: [flight, { name: s, from: 'prediction[0]' }, { name: v, value: 3 }]",
    )]);
    let text = serde_json::to_string(&plan).unwrap();
    let mut back = serde_json::from_str::<Plan>(&text).unwrap();
    // The last digit of an estimate is nobody's concern.
    assert!(back.forecast.is_some());
    back.forecast.clone_from(&plan.forecast);
    assert_eq!(back, plan);
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan.request).unwrap(), @r#"
    {
      "TransformJobName": "late-flights-<hash>-a1",
      "ModelName": "late-v1",
      "MaxConcurrentTransforms": 5,
      "ModelClientConfig": {
        "InvocationsTimeoutInSeconds": 600,
        "InvocationsMaxRetries": 3
      },
      "MaxPayloadInMB": 1,
      "BatchStrategy": "MultiRecord",
      "TransformInput": {
        "DataSource": {
          "S3DataSource": {
            "S3DataType": "S3Prefix",
            "S3Uri": "s3://work-bucket/runs/runs/<run id>/shards/<fingerprint>/"
          }
        },
        "ContentType": "text/csv",
        "CompressionType": "None",
        "SplitType": "Line"
      },
      "TransformOutput": {
        "S3OutputPath": "s3://work-bucket/runs/runs/<run id>/out/a1/",
        "Accept": "text/csv",
        "AssembleWith": "Line"
      },
      "TransformResources": {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 1
      },
      "Tags": [
        {
          "Key": "gristmill:fingerprint",
          "Value": "<fingerprint>"
        },
        {
          "Key": "gristmill:run",
          "Value": "<run id>"
        }
      ]
    }
    "#);
}

#[test]
fn a_column_that_is_new_to_the_contract_is_not_used() {
    let mut wider = sample();
    wider.columns.insert(1, "surprise".into());
    let drop = ("  select: [month, day, distance]\n", "  drop: [day]\n");
    let contract = (
        "uri: data/*.csv",
        "uri: data/*.csv\n  columns: ../contracts/flights.yaml",
    );
    let roles = draft(&spec(&[drop, contract]), &inventory(), &wider)
        .unwrap()
        .columns;
    assert_eq!(roles.shards, ["month", "distance", "tailnum"]);
    assert_eq!(roles.never_sent, ["surprise", "day"]);
    let without = draft(&spec(&[drop]), &inventory(), &wider).unwrap().columns;
    assert_eq!(without.shards, ["month", "surprise", "distance", "tailnum"]);
    let named = spec(&[contract, ("[month, day, distance]", "[month, surprise]")]);
    insta::assert_snapshot!(draft(&named, &inventory(), &wider).unwrap_err(), @r"
    p.yaml:12:19: `surprise` is not in the contract
      help: a column that is new to the contract is not used: add it there
    ");
}
