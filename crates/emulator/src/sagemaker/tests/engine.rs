use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::fake::{self, Reply};
use super::harness::{Emulator, job};
use crate::assume::{AssembleLine, Assumptions, EmptyObjects, OutputLayout};

/// `x` → `x!`, a line each, with a final newline.
fn shout(body: &str) -> String {
    body.lines().map(|line| format!("{line}!\n")).collect()
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{n}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn order_is_kept_when_replies_overtake_each_other() {
    // The first answers last.
    let fake = fake::start(None, |body, number| {
        Reply::ok(shout(body)).after(Duration::from_millis(20 - (number as u64 % 8) * 2))
    })
    .await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", numbers(0..200)).await;
    emulator.put("in/b.csv", numbers(200..300)).await;
    let end = emulator
        .run(job(
            "j",
            json!({ "BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 8 }),
        ))
        .await;
    assert_eq!(end["TransformJobStatus"], "Completed");
    assert_eq!(
        emulator.get("out/a.csv.out").await.unwrap(),
        shout(&numbers(0..200))
    );
    assert_eq!(
        emulator.get("out/b.csv.out").await.unwrap(),
        shout(&numbers(200..300))
    );
    let most = fake.seen.most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} at once");
    assert_eq!(fake.seen.invocations.lock().unwrap().len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn mini_batches_fill_the_payload_and_carry_the_headers() {
    let fake = fake::start(None, |body, _| Reply::ok(shout(body))).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    let line = format!("{}\n", "x".repeat(99));
    emulator.put("in/a.csv", line.repeat(25_000)).await;
    let end = emulator.run(job("j", json!({ "MaxPayloadInMB": 1 }))).await;
    assert_eq!(end["TransformJobStatus"], "Completed");
    let sizes: Vec<usize> = {
        let seen = fake.seen.invocations.lock().unwrap();
        assert!(
            seen.iter()
                .all(|(headers, _)| headers["content-type"] == "text/csv"
                    && headers["accept"] == "text/csv")
        );
        seen.iter().map(|(_, body)| body.len()).collect()
    };
    assert_eq!(sizes, [1_048_500, 1_048_500, 403_000]);
    assert_eq!(
        emulator.get("out/a.csv.out").await.unwrap().lines().count(),
        25_000
    );
    assert_eq!(
        emulator.data_log("j").await,
        ["MaxConcurrentTransforms=1, MaxPayloadInMB=1, BatchStrategy=MULTI_RECORD"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_file_has_no_output_and_leaves_the_others() {
    let fake = fake::start(None, |body, _| {
        if body.contains("bad") {
            Reply::status(400, "cannot\nread that")
        } else {
            Reply::ok(shout(body))
        }
    })
    .await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    for (key, body) in [
        ("in/a.csv", "1\n"),
        ("in/b.csv", "2\nbad\n3\n"),
        ("in/c.csv", "4\n"),
    ] {
        emulator.put(key, body).await;
    }
    let more =
        json!({ "BatchStrategy": "SingleRecord", "TransformResources": { "InstanceCount": 2 } });
    let end = emulator.run(job("j", more)).await;
    assert_eq!(end["TransformJobStatus"], "Failed");
    assert_eq!(
        end["FailureReason"],
        "ClientError: See job logs for more information"
    );
    assert_eq!(emulator.outputs(), ["a.csv.out", "c.csv.out"]);
    let log = emulator.data_log("j").await;
    assert_eq!(
        log.iter()
            .filter(|l| l.starts_with("bucket/"))
            .collect::<Vec<_>>(),
        [
            "bucket/in/b.csv: Bad HTTP status received from algorithm: 400",
            "bucket/in/b.csv: ",
            "bucket/in/b.csv: Message:",
            "bucket/in/b.csv: cannot",
            "bucket/in/b.csv: read that",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_end_where_the_request_says() {
    for (retries, status) in [(2, "Completed"), (1, "Failed")] {
        let fake = fake::start(None, |body, number| {
            if number < 2 {
                Reply::status(500, "busy")
            } else {
                Reply::ok(shout(body))
            }
        })
        .await;
        let emulator = Emulator::new().await;
        emulator.url_model(&fake.url).await;
        emulator.put("in/a.csv", "1\n").await;
        let end = emulator
            .run(job(
                "j",
                json!({ "ModelClientConfig": { "InvocationsMaxRetries": retries } }),
            ))
            .await;
        assert_eq!(end["TransformJobStatus"], status);
        assert_eq!(
            fake.seen.invocations.lock().unwrap().len(),
            if retries == 2 { 3 } else { 2 }
        );
        if status == "Failed" {
            assert_eq!(
                end["FailureReason"],
                "AlgorithmError: See job logs for more information"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_too_late_is_none() {
    let fake = fake::start(None, |body, _| {
        Reply::ok(shout(body)).after(Duration::from_secs(600))
    })
    .await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", "1\n").await;
    let end = emulator
        .run(job(
            "j",
            json!({ "ModelClientConfig": { "InvocationsTimeoutInSeconds": 1 } }),
        ))
        .await;
    assert_eq!(
        end["FailureReason"],
        "AlgorithmError: See job logs for more information"
    );
    let log = emulator.data_log("j").await;
    assert_eq!(
        log[1],
        "bucket/in/a.csv: Unable to get response from algorithm"
    );
    assert_eq!(log[4], "bucket/in/a.csv: no answer within 1 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_job_stores_nothing() {
    let fake = fake::start(None, |body, _| {
        let wait = if body == "slow\n" { 600 } else { 0 };
        Reply::ok(shout(body)).after(Duration::from_secs(wait))
    })
    .await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", "1\n").await;
    emulator.put("in/b.csv", "slow\n").await;
    emulator
        .call("CreateTransformJob", job("j", json!({})))
        .await
        .unwrap();
    while fake.seen.invocations.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    emulator
        .call("StopTransformJob", json!({ "TransformJobName": "j" }))
        .await
        .unwrap();
    let end = emulator.end("j").await;
    assert_eq!(end["TransformJobStatus"], "Stopped");
    assert!(end["TransformEndTime"].is_f64());
    assert!(emulator.outputs().is_empty());
    let again = emulator
        .call("StopTransformJob", json!({ "TransformJobName": "j" }))
        .await
        .unwrap_err();
    assert_eq!(
        again.message,
        "The request was rejected because the transform job is in status Stopped."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_under_way_runs_again_after_a_restart() {
    let fake = fake::start(None, |body, number| {
        let wait = if number == 0 { 600 } else { 0 };
        Reply::ok(shout(body)).after(Duration::from_secs(wait))
    })
    .await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", "1\n2\n").await;
    let created = emulator
        .call("CreateTransformJob", job("j", json!({})))
        .await
        .unwrap();
    while fake.seen.invocations.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let emulator = emulator.restart().await;
    let end = emulator.end("j").await;
    assert_eq!(end["TransformJobStatus"], "Completed");
    assert_eq!(end["TransformJobArn"], created["TransformJobArn"]);
    assert_eq!(emulator.get("out/a.csv.out").await.unwrap(), "1!\n2!\n");
    // And one that has ended is not touched by another.
    let emulator = emulator.restart().await;
    assert_eq!(emulator.status("j").await, end);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_record_fails_its_file() {
    let fake = fake::start(None, |body, _| Reply::ok(shout(body))).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator
        .put("in/a.csv", format!("1\n{}\n", "x".repeat(1 << 20)))
        .await;
    emulator.put("in/b.csv", "2\n").await;
    let end = emulator.run(job("j", json!({ "MaxPayloadInMB": 1 }))).await;
    assert_eq!(end["TransformJobStatus"], "Failed");
    assert_eq!(emulator.outputs(), ["b.csv.out"]);
    assert!(
        emulator
            .data_log("j")
            .await
            .contains(&"bucket/in/a.csv: ClientError: 413".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_a_start_of_keys_and_gzip_is_unpacked() {
    let fake = fake::start(None, |body, _| Reply::ok(shout(body))).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"1\n2\n").unwrap();
    let gzip = gzip.finish().unwrap();
    for key in [
        "in",
        "in-old/x.csv.gz",
        "in/deep/y.csv.gz",
        "elsewhere/z.csv.gz",
    ] {
        emulator.put(key, &gzip).await;
    }
    emulator.put("in/deep/", "").await;
    let input = json!({ "CompressionType": "Gzip", "DataSource": { "S3DataSource": { "S3Uri": "s3://bucket/in" } } });
    let end = emulator
        .run(job("j", json!({ "TransformInput": input })))
        .await;
    assert_eq!(end["TransformJobStatus"], "Completed");
    assert_eq!(
        emulator.outputs(),
        ["in-old/x.csv.gz.out", "in.out", "in/deep/y.csv.gz.out"]
    );
    assert_eq!(
        emulator.get("out/in/deep/y.csv.gz.out").await.unwrap(),
        "1!\n2!\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_names_its_objects_and_a_flat_layout_their_outputs() {
    let fake = fake::start(None, |body, _| Reply::ok(shout(body))).await;
    let assume = Assumptions {
        output_layout: OutputLayout::Flat,
        ..Assumptions::default()
    };
    let emulator = Emulator::with(assume).await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/p-a/x.csv", "1\n").await;
    emulator.put("in/p-b/y.csv", "2\n").await;
    emulator.put("in/p-c/z.csv", "3\n").await;
    emulator
        .put(
            "list",
            r#"[{"prefix": "s3://bucket/in/p-"}, "b/y.csv", "a/x.csv"]"#,
        )
        .await;
    let source = json!({ "S3DataType": "ManifestFile", "S3Uri": "s3://bucket/list" });
    let end = emulator
        .run(job(
            "j",
            json!({ "TransformInput": { "DataSource": { "S3DataSource": source } } }),
        ))
        .await;
    assert_eq!(end["TransformJobStatus"], "Completed");
    assert_eq!(emulator.outputs(), ["x.csv.out", "y.csv.out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_input_fails_the_job() {
    let emulator = Emulator::new().await;
    emulator.url_model("http://127.0.0.1:9").await;
    let end = emulator.run(job("j", json!({}))).await;
    insta::assert_snapshot!(end["FailureReason"].as_str().unwrap(), @r#"ClientError: No S3 objects found under S3 URL "s3://bucket/in/" given in input data source. Please ensure that the bucket exists in the selected region, and that objects exist under that S3 prefix."#);
    assert!(end.get("TransformStartTime").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_joined_as_the_request_and_the_switches_say() {
    for (assemble, always, expected) in [
        ("None", false, "1!2!\n"),
        ("Line", false, "1!\n2!\n"),
        ("Line", true, "1!\n2!\n\n"),
    ] {
        // The first reply lacks its newline, the second has it.
        let fake = fake::start(None, |body, _| {
            Reply::ok(if body == "1\n" {
                "1!".to_owned()
            } else {
                shout(body)
            })
        })
        .await;
        let assemble_line = if always {
            AssembleLine::Always
        } else {
            AssembleLine::WhereMissing
        };
        let emulator = Emulator::with(Assumptions {
            assemble_line,
            ..Assumptions::default()
        })
        .await;
        emulator.url_model(&fake.url).await;
        emulator.put("in/a.csv", "1\n2\n").await;
        let more = json!({ "BatchStrategy": "SingleRecord", "TransformOutput": { "AssembleWith": assemble } });
        emulator.run(job("j", more)).await;
        assert_eq!(emulator.get("out/a.csv.out").await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_objects_follow_the_switch() {
    for (empty_objects, status, outputs) in [
        (EmptyObjects::Skip, "Completed", vec!["b.csv.out"]),
        (
            EmptyObjects::EmptyOutput,
            "Completed",
            vec!["a.csv.out", "b.csv.out"],
        ),
        (EmptyObjects::Fail, "Failed", vec!["b.csv.out"]),
    ] {
        let fake = fake::start(None, |body, _| Reply::ok(shout(body))).await;
        let emulator = Emulator::with(Assumptions {
            empty_objects,
            ..Assumptions::default()
        })
        .await;
        emulator.url_model(&fake.url).await;
        emulator.put("in/a.csv", "").await;
        emulator.put("in/b.csv", "1\n").await;
        assert_eq!(
            emulator.run(job("j", json!({}))).await["TransformJobStatus"],
            status
        );
        assert_eq!(emulator.outputs(), outputs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_goes_before_what_the_container_proposes() {
    let proposed =
        r#"{"MaxConcurrentTransforms": 5, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 3}"#;
    let fake = fake::start(Some(proposed), |body, _| Reply::ok(shout(body))).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", "1\n").await;
    emulator.run(job("proposed", json!({}))).await;
    emulator.run(job("asked", json!({ "MaxConcurrentTransforms": 2, "MaxPayloadInMB": 4, "BatchStrategy": "MultiRecord" }))).await;
    assert_eq!(
        emulator.data_log("proposed").await,
        ["MaxConcurrentTransforms=5, MaxPayloadInMB=3, BatchStrategy=SINGLE_RECORD"]
    );
    assert_eq!(
        emulator.data_log("asked").await,
        ["MaxConcurrentTransforms=2, MaxPayloadInMB=4, BatchStrategy=MULTI_RECORD"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_payload_limit_the_object_is_one_chunked_request() {
    let fake = fake::start(None, |body, _| Reply::ok(format!("{}\n", body.len()))).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", "x\n".repeat(4 << 20)).await;
    let end = emulator.run(job("j", json!({ "MaxPayloadInMB": 0 }))).await;
    assert_eq!(end["TransformJobStatus"], "Completed");
    assert_eq!(emulator.get("out/a.csv.out").await.unwrap(), "8388608\n");
    let seen = fake.seen.invocations.lock().unwrap();
    assert_eq!(seen[0].0["transfer-encoding"], "chunked");
    assert!(!seen[0].0.contains_key("content-length"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_never_answers_a_ping_fails_the_job() {
    let emulator = Emulator::new().await;
    emulator.url_model("http://127.0.0.1:9").await;
    emulator.put("in/a.csv", "1\n").await;
    let end = emulator
        .run(job(
            "j",
            json!({ "Environment": { "GRISTMILL_PING_LIMIT_SECONDS": "0" } }),
        ))
        .await;
    insta::assert_snapshot!(end["FailureReason"].as_str().unwrap(), @"AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and responds with an HTTP 200 status code");
}
