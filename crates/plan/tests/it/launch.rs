//! The request as the API spells it.

use gristmill_plan::launch::{job_name, launch, manifest_json};
use gristmill_plan::{JobInput, RunFacts, TransformRequest};

use crate::support::plan;

fn facts() -> RunFacts {
    RunFacts {
        run_id: "r-1".into(),
        work_uri: "s3://work-bucket/runs/".into(),
        fingerprint: "ab".repeat(32),
        wave: None,
        attempt: 2,
        model_name: "late-v1".into(),
        input: JobInput::Manifest("s3://work-bucket/runs/r-1/manifest.json".into()),
        output: "s3://work-bucket/runs/r-1/out/a2/".into(),
    }
}

#[test]
fn the_request_has_the_apis_field_names() {
    let plan = plan(&[(
        "model: late-v1",
        "model: late-v1\n  tags: { team: a }\n  environment: { A: b }",
    )]);
    let request = launch(&plan, &facts()).unwrap();
    let text = serde_json::to_string_pretty(&request).unwrap();
    insta::assert_snapshot!(text, @r#"
    {
      "TransformJobName": "late-flights-c1576d3354c7-a2",
      "ModelName": "late-v1",
      "MaxConcurrentTransforms": 5,
      "ModelClientConfig": {
        "InvocationsTimeoutInSeconds": 600,
        "InvocationsMaxRetries": 3
      },
      "MaxPayloadInMB": 1,
      "BatchStrategy": "MultiRecord",
      "Environment": {
        "A": "b"
      },
      "TransformInput": {
        "DataSource": {
          "S3DataSource": {
            "S3DataType": "ManifestFile",
            "S3Uri": "s3://work-bucket/runs/r-1/manifest.json"
          }
        },
        "ContentType": "text/csv",
        "CompressionType": "None",
        "SplitType": "Line"
      },
      "TransformOutput": {
        "S3OutputPath": "s3://work-bucket/runs/r-1/out/a2/",
        "Accept": "text/csv",
        "AssembleWith": "Line"
      },
      "TransformResources": {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 1
      },
      "Tags": [
        {
          "Key": "team",
          "Value": "a"
        },
        {
          "Key": "gristmill:fingerprint",
          "Value": "abababababababababababababababababababababababababababababababab"
        },
        {
          "Key": "gristmill:run",
          "Value": "r-1"
        }
      ]
    }
    "#);
    assert_eq!(
        serde_json::from_str::<TransformRequest>(&text).unwrap(),
        request
    );
    assert_eq!(launch(&plan, &facts()).unwrap(), request);
}

#[test]
fn what_does_not_apply_is_not_sent() {
    let whole = plan(&[("model: late-v1", "model: late-v1\n  split_type: none")]);
    let json = serde_json::to_value(launch(&whole, &facts()).unwrap()).unwrap();
    assert_eq!(json["TransformInput"]["SplitType"], "None");
    assert!(json.get("BatchStrategy").is_none() && json.get("Environment").is_none());
}

#[test]
fn nothing_invalid_is_made() {
    let wrong = |edit: &dyn Fn(&mut RunFacts)| {
        let mut facts = facts();
        edit(&mut facts);
        launch(&plan(&[]), &facts).unwrap_err().to_string()
    };
    insta::assert_snapshot!(wrong(&|f| f.output = "s3://work-bucket/out".into()), @"the job's output `s3://work-bucket/out`: must end with `/`: the service takes every key that starts with it");
    insta::assert_snapshot!(wrong(&|f| f.input = JobInput::Prefix("s3://work-bucket/in".into())), @"the job's input `s3://work-bucket/in`: must end with `/`: the service takes every key that starts with it");
    insta::assert_snapshot!(wrong(&|f| f.model_name = "a_b".into()), @"model name `a_b`: holds `_`; only letters, digits and `-` are allowed");
    insta::assert_snapshot!(wrong(&|f| f.input = JobInput::Manifest(format!("s3://jobs/{}", "k".repeat(1020)))), @"the job's manifest `s3://jobs/kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…`: has 1030 characters; the service takes at most 1024");
    insta::assert_snapshot!(wrong(&|f| {
        f.input = JobInput::Prefix("s3://work-bucket/runs/r-1/".into());
    }), @"the job's output `s3://work-bucket/runs/r-1/out/a2/`: lies under the job's input: the service would read what it writes");
    let convert = gristmill_plan::Plan {
        transform: None,
        ..plan(&[])
    };
    insta::assert_snapshot!(launch(&convert, &facts()).unwrap_err(), @"the plan of `late-flights` has no `transform` stage, so there is nothing to launch");
}

#[test]
fn job_names_are_the_same_for_the_same_work_only() {
    let of = |wave| {
        move |w: &str, r: &str, f: &str, a| {
            job_name("nightly-scoring-of-all-the-flights", w, r, f, wave, a)
        }
    };
    let name = of(None);
    let first = name("s3://w/", "r", "f", 1);
    insta::assert_snapshot!(first, @"nightly-scoring-of-all-t-f7febcc3589c-a1");
    assert_eq!(first, name("s3://w/", "r", "f", 1));
    for other in [
        name("s3://v/", "r", "f", 1),
        name("s3://w/", "q", "f", 1),
        name("s3://w/", "r", "g", 1),
        name("s3://w/", "r", "f", 2),
        name("s3://w/r", "", "f", 1),
        of(Some(1))("s3://w/", "r", "f", 1),
    ] {
        assert_ne!(first, other);
    }
    let third = of(Some(3))("s3://w/", "r", "f", 4);
    insta::assert_snapshot!(third, @"nightly-scoring-of-all-t-f7febcc3589c-w3-a4");
}

#[test]
fn manifests_are_joined_by_the_service() {
    let names = ["s-00000.csv".to_owned(), "s-00001.csv".to_owned()];
    let json = manifest_json("s3://b/p/", &names).unwrap();
    assert_eq!(
        json,
        r#"[{"prefix":"s3://b/p/"},"s-00000.csv","s-00001.csv"]"#
    );
    insta::assert_snapshot!(manifest_json("s3://b/p", &names).unwrap_err(), @"the manifest's prefix `s3://b/p`: must end with `/`: the service joins it to each name as it is");
}
