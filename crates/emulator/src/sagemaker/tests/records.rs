//! Jobs whose records are filtered, joined, numbered and captured.

use serde_json::{Value, json};

use super::fake::{self, Fake, Reply};
use super::harness::{Emulator, job, merge};
use crate::assume::Assumptions;

/// A job over one object whose model answers each line, or the whole, with its length.
async fn run(pairs: &str, key: &str, body: &str, more: Value) -> (Emulator, Fake, Value) {
    let fake = fake::start(None, |body, _| {
        Reply::ok(
            body.lines()
                .map(|l| format!("{}\n", l.len()))
                .collect::<String>(),
        )
    })
    .await;
    let emulator = Emulator::with(Assumptions::parse([pairs]).unwrap()).await;
    emulator.url_model(&fake.url).await;
    emulator.put(key, body).await;
    let end = emulator.run(job("j", more)).await;
    (emulator, fake, end)
}

fn media(media: &str) -> Value {
    json!({ "TransformInput": { "ContentType": media }, "TransformOutput": { "Accept": media } })
}

fn with(mut one: Value, other: Value) -> Value {
    merge(&mut one, other);
    one
}

const JOIN: &str = "$['id','SageMakerOutput']";

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_are_filtered_and_joined() {
    let body = "{\"id\": 1, \"x\": [1, 2]}\n{\"id\": \"b\", \"x\": []}\n";
    for strategy in ["SingleRecord", "MultiRecord"] {
        let processing =
            json!({ "InputFilter": "$.x", "JoinSource": "Input", "OutputFilter": JOIN });
        let more = json!({ "DataProcessing": processing, "BatchStrategy": strategy });
        let more = with(media("application/jsonlines"), more);
        let (emulator, fake, end) = run("", "in/a.jsonl", body, more).await;
        assert_eq!(end["TransformJobStatus"], "Completed");
        let out = emulator.get("out/a.jsonl.out").await.unwrap();
        assert_eq!(
            out,
            "{\"id\":1,\"SageMakerOutput\":6}\n{\"id\":\"b\",\"SageMakerOutput\":2}\n"
        );
        let seen = fake.seen.invocations.lock().unwrap();
        let sent: Vec<u8> = seen.iter().flat_map(|(_, body)| body.to_vec()).collect();
        assert_eq!(sent, b"[1, 2]\n[]\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_object_is_one_record() {
    let whole = json!({ "TransformInput": { "SplitType": "None" }, "TransformOutput": { "AssembleWith": "None" },
        "DataProcessing": { "InputFilter": "$.x", "JoinSource": "Input" } });
    let more = with(media("application/json"), whole);
    let (emulator, _fake, end) = run("", "in/a.json", "{\"x\": \"abc\"}", more).await;
    assert_eq!(end["TransformJobStatus"], "Completed");
    assert_eq!(
        emulator.get("out/a.json.out").await.unwrap(),
        "{\"x\":\"abc\",\"SageMakerOutput\":5}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_json_record_does_not_have_fails_its_object() {
    let more = with(
        media("application/jsonlines"),
        json!({ "DataProcessing": { "InputFilter": "$.x" } }),
    );
    let (emulator, _fake, end) = run("", "in/a.jsonl", "{\"x\":1}\n{}\n", more).await;
    assert_eq!(end["TransformJobStatus"], "Failed");
    let line = "bucket/in/a.jsonl: ClientError: record 2 of a request: $.x is not in it";
    assert!(emulator.data_log("j").await.iter().any(|l| l == line));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_payload_limit_bodies_are_chunked_whatever_is_done_to_them() {
    let filter = json!({ "MaxPayloadInMB": 0, "DataProcessing": { "InputFilter": "$[0]" } });
    let single = json!({ "MaxPayloadInMB": 0, "BatchStrategy": "SingleRecord" });
    for (more, requests) in [(filter, 1), (single, 2)] {
        let (_emulator, fake, end) = run("", "in/a.csv", "1,2\n3,4\n", more).await;
        assert_eq!(end["TransformJobStatus"], "Completed");
        let seen = fake.seen.invocations.lock().unwrap();
        assert_eq!(seen.len(), requests);
        for (headers, _) in seen.iter() {
            assert_eq!(headers["transfer-encoding"], "chunked");
            assert!(!headers.contains_key("content-length"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_behind_the_last_column_is_an_error_or_clipped() {
    for (pairs, status) in [
        ("slice-overrun=error", "Failed"),
        ("slice-overrun=clip", "Completed"),
    ] {
        let more = json!({ "DataProcessing": { "InputFilter": "$[1:9]" } });
        let (_emulator, _fake, end) = run(pairs, "in/a.csv", "1,2,3\n", more).await;
        assert_eq!(end["TransformJobStatus"], status, "{pairs}");
    }
}

fn captured() -> Value {
    json!({ "DataCaptureConfig": { "DestinationS3Uri": "s3://bucket/captured", "GenerateInferenceId": true } })
}

/// Is it `xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx`?
fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
        && text.as_bytes()[14] == b'4'
}

#[tokio::test(flavor = "multi_thread")]
async fn inference_ids_are_two_columns_with_or_without_a_space() {
    for (pairs, space) in [
        ("inference-id-space=printed", " "),
        ("inference-id-space=none", ""),
    ] {
        let (emulator, _fake, end) = run(pairs, "in/a.csv", "1,2\n3\n", captured()).await;
        assert_eq!(end["TransformJobStatus"], "Completed");
        let out = emulator.get("out/a.csv.out").await.unwrap();
        let mut ids = Vec::new();
        for (line, length) in out.lines().zip(["3", "1"]) {
            let rest = line.strip_prefix(&format!("{length},{space}")).unwrap();
            let (id, time) = rest.split_once(',').unwrap();
            assert!(is_uuid(id), "{id}");
            let time: jiff::Timestamp = time.parse().unwrap();
            #[expect(clippy::cast_precision_loss, reason = "seconds")]
            let late = time.as_second() as f64 - end["TransformStartTime"].as_f64().unwrap();
            assert!((-1.0..=0.0).contains(&late), "{late}");
            ids.push(id.to_owned());
        }
        assert!(ids.len() == 2 && ids[0] != ids[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inference_ids_are_fields_of_json_and_come_after_the_join() {
    let more = with(
        media("application/jsonlines"),
        json!({ "DataProcessing": { "JoinSource": "Input", "OutputFilter": JOIN } }),
    );
    let (emulator, _fake, _end) =
        run("", "in/a.jsonl", "{\"id\":1}\n", with(more, captured())).await;
    let out = emulator.get("out/a.jsonl.out").await.unwrap();
    let record: Value = serde_json::from_str(&out).unwrap();
    let names: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "id",
            "SageMakerOutput",
            "SageMakerInferenceId",
            "SageMakerInferenceTime"
        ]
    );
    assert!(is_uuid(record["SageMakerInferenceId"].as_str().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_and_written_is_listed_by_the_hour_of_the_start() {
    let fake = fake::start(None, |body, _| {
        if body == "bad\n" {
            Reply::status(400, "no")
        } else {
            Reply::ok(body)
        }
    })
    .await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    for (key, body) in [
        ("in/a.csv", "1\n"),
        ("in/deep/b.csv", "2\n"),
        ("in/c.csv", "bad\n"),
    ] {
        emulator.put(key, body).await;
    }
    let mut more = captured();
    more["DataCaptureConfig"]["GenerateInferenceId"] = false.into();
    let end = emulator.run(job("j", more)).await;
    assert_eq!(end["TransformJobStatus"], "Failed");
    #[expect(clippy::cast_possible_truncation, reason = "seconds")]
    let start = end["TransformStartTime"].as_f64().unwrap() as i64;
    let start = jiff::Timestamp::from_second(start).unwrap();
    for (side, prefix, names) in [
        ("input", "s3://bucket/in/", ["a.csv", "deep/b.csv"]),
        (
            "output",
            "s3://bucket/out/",
            ["a.csv.out", "deep/b.csv.out"],
        ),
    ] {
        let folder = format!("captured/{side}/{}/", start.strftime("%Y/%m/%d/%H"));
        let listed = emulator
            .state
            .store
            .list("bucket", &folder, None, 10)
            .unwrap();
        assert_eq!(listed.len(), 1, "{folder}");
        let text = emulator.get(&listed[0].key).await.unwrap();
        let manifest: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(manifest, json!([{ "prefix": prefix }, names[0], names[1]]));
    }
    assert_eq!(emulator.get("out/a.csv.out").await.unwrap(), "1\n");
}
