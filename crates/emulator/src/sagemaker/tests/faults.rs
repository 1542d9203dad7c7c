//! Every fault of jobs, seen from outside.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{self, Fake, Reply};
use super::harness::{Emulator, job};

/// Three objects of three rows each; the model answers each row with itself, a row a request.
async fn bench(rules: Value) -> (Emulator, Fake) {
    let fake = fake::start(None, |body, _| Reply::ok(body)).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    for name in ["a", "b", "c"] {
        let rows: String = (1..=3).map(|n| format!("{name}{n}\n")).collect();
        emulator.put(&format!("in/{name}.csv"), rows).await;
    }
    emulator.faults(&rules);
    (emulator, fake)
}

fn single(name: &str) -> Value {
    job(name, json!({ "BatchStrategy": "SingleRecord" }))
}

fn status(end: &Value) -> &str {
    end["TransformJobStatus"].as_str().unwrap()
}

/// Outputs of a job under one rule for `b.csv`.
async fn output_under(mut rule: Value) -> (String, Option<String>) {
    rule["object"] = "b.csv".into();
    let (emulator, _fake) = bench(json!([rule])).await;
    let end = emulator.run(single("j")).await;
    assert_eq!(emulator.get("out/a.csv.out").await.unwrap(), "a1\na2\na3\n");
    assert_eq!(emulator.get("out/c.csv.out").await.unwrap(), "c1\nc2\nc3\n");
    (status(&end).to_owned(), emulator.get("out/b.csv.out").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_are_not_what_was_answered() {
    let cases = [
        (json!({ "fault": "drop_row" }), Some("b2\nb3\n")),
        (json!({ "fault": "drop_row", "row": 3 }), Some("b1\nb2\n")),
        (
            json!({ "fault": "drop_row", "row": 4 }),
            Some("b1\nb2\nb3\n"),
        ),
        (
            json!({ "fault": "double_row", "row": 2 }),
            Some("b1\nb2\nb2\nb3\n"),
        ),
        (
            json!({ "fault": "header_row", "text": "x" }),
            Some("x\nb1\nb2\nb3\n"),
        ),
        (json!({ "fault": "glue", "batch": 2 }), Some("b1\nb2b3\n")),
        (json!({ "fault": "glue" }), Some("b1b2b3")),
        (
            json!({ "fault": "blank_line", "batch": 1 }),
            Some("b1\n\nb2\nb3\n"),
        ),
        (
            json!({ "fault": "blank_line", "skip": 2 }),
            Some("b1\nb2\nb3\n\n"),
        ),
        (json!({ "fault": "truncate" }), Some("b1\nb")),
        (json!({ "fault": "truncate", "bytes": 0 }), Some("")),
        (
            json!({ "fault": "truncate", "bytes": 99 }),
            Some("b1\nb2\nb3\n"),
        ),
        (json!({ "fault": "missing_output" }), None),
    ];
    for (rule, expected) in cases {
        let found = output_under(rule.clone()).await;
        assert_eq!(
            found,
            ("Completed".to_owned(), expected.map(str::to_owned)),
            "{rule}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_faults_of_one_output() {
    let (emulator, _fake) = bench(json!([
        { "fault": "drop_row", "row": 1 },
        { "fault": "drop_row", "row": 3 },
        { "fault": "double_row", "row": 2 },
        { "fault": "header_row" },
        { "fault": "truncate", "bytes": 10 },
    ]))
    .await;
    emulator.run(single("j")).await;
    assert_eq!(emulator.get("out/c.csv.out").await.unwrap(), "score\nc2\nc");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kth_batch_fails_always_or_so_often() {
    for (times, retries, expected, requests) in [
        (None, 2, "Failed", 0),
        (Some(2), 2, "Completed", 3),
        (Some(3), 2, "Failed", 0),
        (Some(1), 0, "Failed", 0),
    ] {
        let mut rule = json!({ "fault": "status", "object": "in/b*", "batch": 2, "status": 503, "message": "busy" });
        if let Some(times) = times {
            rule["times"] = times.into();
        }
        let (emulator, fake) = bench(json!([rule])).await;
        let mut request = single("j");
        request["ModelClientConfig"]["InvocationsMaxRetries"] = retries.into();
        let end = emulator.run(request).await;
        assert_eq!(status(&end), expected, "{times:?}");
        let log = emulator.data_log("j").await;
        let seen = fake.seen.invocations.lock().unwrap();
        let of_b: Vec<_> = seen
            .iter()
            .filter(|(_, body)| body.starts_with(b"b"))
            .collect();
        if expected == "Completed" {
            assert_eq!(of_b.len(), requests);
        } else {
            let line = "bucket/in/b.csv: Bad HTTP status received from algorithm: 503".to_owned();
            assert!(
                log.contains(&line) && log.contains(&"bucket/in/b.csv: busy".to_owned()),
                "{log:?}"
            );
            assert_eq!(emulator.outputs(), ["a.csv.out", "c.csv.out"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn some_objects_fail_in_the_first_job_only() {
    let (emulator, _fake) =
        bench(json!([{ "fault": "status", "object": ["a.csv", "c.*"], "jobs": 1 }])).await;
    let first = emulator.run(single("first")).await;
    assert_eq!(
        (status(&first), emulator.outputs()),
        ("Failed", vec!["b.csv.out".to_owned()])
    );
    let second = emulator.run(single("second")).await;
    assert_eq!(
        (status(&second), emulator.outputs().len()),
        ("Completed", 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_response_and_an_answer_that_comes_too_late() {
    for (rule, why) in [
        (
            json!({ "fault": "no_response", "object": "a.csv" }),
            "a fault on purpose",
        ),
        (
            json!({ "fault": "slow", "object": "a.csv", "ms": 5000 }),
            "no answer within 1 s",
        ),
    ] {
        let (emulator, _fake) = bench(json!([rule])).await;
        let mut request = single("j");
        request["ModelClientConfig"]["InvocationsTimeoutInSeconds"] = 1.into();
        assert_eq!(status(&emulator.run(request).await), "Failed");
        let log = emulator.data_log("j").await;
        assert!(log.contains(&"bucket/in/a.csv: Unable to get response from algorithm".to_owned()));
        assert!(log.contains(&format!("bucket/in/a.csv: {why}")), "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_model_is_slow_by_request_and_by_row() {
    // Three requests of three rows: one after the other, then with the rows alone in turn.
    for (at_once, slow, least) in [
        (1, json!({ "ms": 30, "ms_per_row": 10 }), 0.18),
        (3, json!({ "ms_per_row": 20, "workers": 1 }), 0.18),
    ] {
        let mut rule = slow.clone();
        rule["fault"] = "slow".into();
        let (emulator, _fake) = bench(json!([rule])).await;
        let end = emulator
            .run(job("j", json!({ "MaxConcurrentTransforms": at_once })))
            .await;
        assert_eq!(status(&end), "Completed");
        let work = emulator.work("j");
        assert_eq!(work["instances"][0]["requests"], 3);
        let busy = work["instances"][0]["busy_seconds"].as_f64().unwrap();
        assert!(busy >= least, "{slow}: {work}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_stuck_can_be_stopped_unless_that_is_stuck_too() {
    for (rules, end) in [
        (json!([{ "fault": "stuck" }]), "Stopped"),
        (
            json!([{ "fault": "stuck" }, { "fault": "stopping" }]),
            "Stopping",
        ),
    ] {
        let (emulator, fake) = bench(rules).await;
        emulator
            .call("CreateTransformJob", single("j"))
            .await
            .unwrap();
        while emulator
            .status("j")
            .await
            .get("TransformStartTime")
            .is_none()
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(status(&emulator.status("j").await), "InProgress");
        emulator
            .call("StopTransformJob", json!({ "TransformJobName": "j" }))
            .await
            .unwrap();
        if end == "Stopped" {
            assert_eq!(status(&emulator.end("j").await), end);
        } else {
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert_eq!(status(&emulator.status("j").await), end);
            let again = emulator.restart().await;
            assert_eq!(status(&again.status("j").await), end);
        }
        assert!(fake.seen.invocations.lock().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_vanishes() {
    let (emulator, _fake) =
        bench(json!([{ "fault": "stuck" }, { "fault": "vanish", "skip": 2, "times": 1 }])).await;
    emulator
        .call("CreateTransformJob", single("j"))
        .await
        .unwrap();
    emulator.status("j").await;
    emulator.status("j").await;
    for _ in 0..2 {
        let gone = emulator
            .call("DescribeTransformJob", json!({ "TransformJobName": "j" }))
            .await
            .unwrap_err();
        assert!(
            gone.message.starts_with("Could not find transform job"),
            "{}",
            gone.message
        );
    }
    let listed = emulator.call("ListTransformJobs", json!({})).await.unwrap();
    assert_eq!(listed["TransformJobSummaries"], json!([]));
    // Its name is free again, and nothing of it comes back.
    emulator.faults(&json!([]));
    assert_eq!(status(&emulator.run(single("j")).await), "Completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_nobody_knows() {
    let (emulator, _fake) =
        bench(json!([{ "fault": "unknown_status", "status": "Paused", "times": 2 }])).await;
    emulator
        .call("CreateTransformJob", single("j"))
        .await
        .unwrap();
    assert_eq!(status(&emulator.status("j").await), "Paused");
    assert_eq!(status(&emulator.status("j").await), "Paused");
    assert_eq!(status(&emulator.end("j").await), "Completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_as_the_fault_says_and_stores_nothing() {
    for (end, reason) in [
        ("Completed", None),
        ("Stopped", None),
        ("Failed", Some("InternalServerError: no")),
    ] {
        let mut rule = json!({ "fault": "end", "status": end, "jobs": 1 });
        if let Some(reason) = reason {
            rule["reason"] = reason.into();
        }
        let (emulator, _fake) = bench(json!([rule])).await;
        let ended = emulator.run(single("first")).await;
        assert_eq!(
            (
                status(&ended),
                ended.get("FailureReason").and_then(Value::as_str)
            ),
            (end, reason)
        );
        assert!(emulator.outputs().is_empty());
        assert_eq!(status(&emulator.run(single("second")).await), "Completed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_that_never_succeeds() {
    let (emulator, fake) = bench(json!([{ "fault": "ping", "seconds": 0 }])).await;
    let end = emulator.run(single("j")).await;
    let reason = end["FailureReason"].as_str().unwrap();
    assert!(
        reason.starts_with("AlgorithmError: Model container failed to respond to ping."),
        "{reason}"
    );
    assert!(fake.seen.invocations.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_others_lie_at_the_output_path() {
    let (emulator, _fake) = bench(json!([
        { "fault": "foreign", "name": "other/x.txt", "text": "hello" },
        { "fault": "foreign", "object": ["a.csv", "b.csv"], "name": "{object}.out", "text": "old\n" },
        { "fault": "missing_output", "object": "b.csv" },
    ]))
    .await;
    assert_eq!(status(&emulator.run(single("j")).await), "Completed");
    assert_eq!(
        emulator.outputs(),
        ["a.csv.out", "b.csv.out", "c.csv.out", "other/x.txt"]
    );
    assert_eq!(emulator.get("out/a.csv.out").await.unwrap(), "a1\na2\na3\n");
    assert_eq!(emulator.get("out/b.csv.out").await.unwrap(), "old\n");
    assert_eq!(emulator.get("out/other/x.txt").await.unwrap(), "hello");
}
