//! Objects that are one request, and the formats that the built-in model reads.

use std::io::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use super::fake::{self, Reply};
use super::harness::{Emulator, job};
use super::processes::{create_model, model_data};
use crate::assume::{Assumptions, EmptyObjects, StrategyWithoutSplit};

/// As the request of a whole object is written.
fn whole(name: &str, more: Value) -> Value {
    let mut job = job(
        name,
        json!({
            "TransformInput": { "SplitType": "None" },
            "TransformOutput": { "AssembleWith": "None" },
        }),
    );
    super::harness::merge(&mut job, more);
    job
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_object_is_one_request_and_its_answer_the_output() {
    let fake = fake::start(None, |body, _| Reply::ok(format!("{body}|"))).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    // Line ends mean nothing here, nor does a batch strategy.
    let body = "1\n\n2\r\n".repeat(100_000);
    for (name, key, bytes, compression) in [
        ("plain", "in/a", body.clone().into_bytes(), "None"),
        ("gzip", "in/a", gzip(body.as_bytes()), "Gzip"),
    ] {
        emulator.put(key, bytes).await;
        let more = json!({ "BatchStrategy": "SingleRecord", "MaxPayloadInMB": 1, "TransformInput": { "CompressionType": compression } });
        let end = emulator.run(whole(name, more)).await;
        assert_eq!(end["TransformJobStatus"], "Completed", "{end}");
        assert_eq!(emulator.get("out/a.out").await.unwrap(), format!("{body}|"));
        let (headers, seen) = fake.seen.invocations.lock().unwrap().pop().unwrap();
        assert_eq!(seen, body.as_bytes());
        assert_eq!(headers["content-length"], body.len().to_string());
        assert!(!headers.contains_key("transfer-encoding"));
    }
    assert!(fake.seen.invocations.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_object_beyond_the_payload_fails_its_file() {
    let fake = fake::start(None, |body, _| Reply::ok(body.len().to_string())).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    let most = vec![b'x'; 1 << 20];
    for (name, compression) in [("plain", "None"), ("gzip", "Gzip")] {
        let packed = |bytes: &[u8]| match compression {
            "Gzip" => gzip(bytes),
            _ => bytes.to_vec(),
        };
        emulator.put("in/a", packed(&most)).await;
        emulator
            .put("in/b", packed(&[&most[..], b"x"].concat()))
            .await;
        let output = format!("s3://bucket/out/{name}/");
        let more = json!({ "MaxPayloadInMB": 1, "TransformInput": { "CompressionType": compression }, "TransformOutput": { "S3OutputPath": output } });
        let end = emulator.run(whole(name, more)).await;
        assert_eq!(end["TransformJobStatus"], "Failed");
        assert_eq!(
            end["FailureReason"],
            "ClientError: See job logs for more information"
        );
        let log = emulator.data_log(name).await;
        assert!(
            log.contains(&"bucket/in/b: ClientError: 413".to_owned()),
            "{log:?}"
        );
        let kept = emulator.get(&format!("out/{name}/a.out")).await;
        assert_eq!(kept.as_deref(), Some("1048576"));
    }
    assert_eq!(emulator.outputs(), ["gzip/a.out", "plain/a.out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_object_is_sent_again_from_its_start() {
    let fake = fake::start(None, |body, number| match number {
        0 | 2 => Reply::status(500, "not yet"),
        _ => Reply::ok(body),
    })
    .await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    let body = "0123456789".repeat(100_000);
    emulator.put("in/a", &body).await;
    let limits = json!({ "InvocationsTimeoutInSeconds": 30, "InvocationsMaxRetries": 2 });
    for (name, payload) in [("limited", 6), ("chunked", 0)] {
        let more = json!({ "ModelClientConfig": limits, "MaxPayloadInMB": payload });
        let end = emulator.run(whole(name, more)).await;
        assert_eq!(end["TransformJobStatus"], "Completed");
        assert_eq!(emulator.get("out/a.out").await.unwrap(), body);
    }
    assert_eq!(fake.seen.invocations.lock().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_lists_whole_objects_and_empty_ones_follow_the_switch() {
    let fake = fake::start(None, |body, _| Reply::ok(body)).await;
    let emulator = Emulator::with(Assumptions {
        empty_objects: EmptyObjects::EmptyOutput,
        ..Assumptions::default()
    })
    .await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a", "A").await;
    emulator.put("in/b", "").await;
    emulator.put("in/c", "C").await;
    emulator
        .put("list", r#"[{"prefix": "s3://bucket/in/"}, "b", "a"]"#)
        .await;
    let source = json!({ "S3DataType": "ManifestFile", "S3Uri": "s3://bucket/list" });
    let more = json!({ "TransformInput": { "DataSource": { "S3DataSource": source } } });
    let end = emulator.run(whole("j", more)).await;
    assert_eq!(end["TransformJobStatus"], "Completed");
    assert_eq!(emulator.outputs(), ["a.out", "b.out"]);
    assert_eq!(emulator.get("out/b.out").await.unwrap(), "");
    assert_eq!(fake.seen.invocations.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_strategy_without_a_split_is_a_switch() {
    let emulator = Emulator::with(Assumptions {
        strategy_without_split: StrategyWithoutSplit::Refuse,
        ..Assumptions::default()
    })
    .await;
    emulator.url_model("http://127.0.0.1:9").await;
    for split in [json!("None"), Value::Null] {
        let more =
            json!({ "BatchStrategy": "MultiRecord", "TransformInput": { "SplitType": split } });
        let refused = emulator.call("CreateTransformJob", job("j", more)).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused.unwrap_err().message, @"To enable the batch strategy, SplitType must be Line, RecordIO or TFRecord, but BatchStrategy was MultiRecord and SplitType None");
        }
    }
    let more = json!({ "TransformInput": { "SplitType": "None" } });
    let created = emulator.call("CreateTransformJob", job("j", more)).await;
    created.unwrap();
}

/// Rows of the case, missing cells as NaN.
fn rows(case: &Value) -> Vec<Vec<Option<f32>>> {
    let cell = |c: &Value| c.as_f64().map(|c| c as f32);
    let row = |row: &Value| row.as_array().unwrap().iter().map(cell).collect();
    case["input"].as_array().unwrap().iter().map(row).collect()
}

fn parquet_of(rows: &[Vec<Option<f32>>], group_rows: usize) -> Vec<u8> {
    let columns = (0..rows[0].len()).map(|column| {
        let values: Float32Array = rows.iter().map(|row| row[column]).collect();
        (format!("f{column}"), Arc::new(values) as ArrayRef)
    });
    written(RecordBatch::try_from_iter(columns).unwrap(), group_rows)
}

fn written(batch: RecordBatch, group_rows: usize) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_gives_the_same_scores_to_every_format() {
    let (data, case) = model_data("three_missing");
    let emulator = Emulator::new().await;
    emulator.put("model.tar.gz", data).await;
    create_model(&emulator, "gristmill.local/onnx", json!({}), true).await;
    let rows = rows(&case);
    let line = |row: &Vec<Option<f32>>, none: &str| {
        let cells = row
            .iter()
            .map(|c| c.map_or(none.to_owned(), |c| c.to_string()));
        cells.collect::<Vec<_>>().join(",")
    };
    let csv: String = rows.iter().map(|r| line(r, "") + "\n").collect();
    let json: String = rows
        .iter()
        .map(|r| format!("[{}]\n", line(r, "null")))
        .collect();
    emulator.put("in/csv/a", csv).await;
    emulator.put("in/json/a", gzip(json.as_bytes())).await;
    emulator.put("in/parquet/a", parquet_of(&rows, 4)).await;
    let source =
        |folder: &str| json!({ "S3DataSource": { "S3Uri": format!("s3://bucket/in/{folder}/") } });
    let output = |folder: &str| format!("s3://bucket/out/{folder}/");
    let by_csv = job(
        "csv",
        json!({ "TransformInput": { "DataSource": source("csv") }, "TransformOutput": { "S3OutputPath": output("csv") } }),
    );
    let by_json = job(
        "json",
        json!({
            "TransformInput": { "DataSource": source("json"), "ContentType": "application/jsonlines", "CompressionType": "Gzip" },
            "TransformOutput": { "S3OutputPath": output("json"), "Accept": "application/jsonlines" },
        }),
    );
    let by_parquet = whole(
        "parquet",
        json!({
            "TransformInput": { "DataSource": source("parquet"), "ContentType": "application/x-parquet" },
            "TransformOutput": { "S3OutputPath": output("parquet") },
        }),
    );
    for job in [by_csv, by_json, by_parquet] {
        let end = emulator.run(job).await;
        assert_eq!(end["TransformJobStatus"], "Completed", "{end}");
    }
    let csv = emulator.get("out/csv/a.out").await.unwrap();
    assert_eq!(csv.lines().count(), rows.len());
    assert_eq!(emulator.get("out/parquet/a.out").await.unwrap(), csv);
    let lists: String = csv.lines().map(|line| format!("[{line}]\n")).collect();
    assert_eq!(emulator.get("out/json/a.out").await.unwrap(), lists);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_model_refuses_is_described_in_the_log() {
    let (data, _) = model_data("one_target_no_base");
    let emulator = Emulator::new().await;
    emulator.put("model.tar.gz", data).await;
    create_model(&emulator, "gristmill.local/onnx", json!({}), true).await;
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let batch = RecordBatch::try_from_iter([("id", text)]).unwrap();
    emulator.put("in/a.parquet", written(batch, 1)).await;
    emulator.put("in/b.parquet", "no parquet at all").await;
    let more = json!({ "TransformInput": { "ContentType": "application/x-parquet" } });
    let end = emulator.run(whole("j", more)).await;
    assert_eq!(
        end["FailureReason"],
        "ClientError: See job logs for more information"
    );
    let log = emulator.data_log("j").await;
    let said = |key: &str| log.iter().rfind(|l| l.starts_with(key)).unwrap().clone();
    insta::assert_snapshot!(said("bucket/in/a"), @"bucket/in/a.parquet: the Parquet table does not fit the model: expected 3 columns, one for each feature of the model, found 1 ('id'); column 1 'id' holds text (Utf8): a feature is a number, so turn such a column into one or leave it out");
    insta::assert_snapshot!(said("bucket/in/b"), @"bucket/in/b.parquet: this Parquet cannot be read: Parquet error: Invalid Parquet file. Corrupt footer");
    assert!(emulator.outputs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn mini_batches_of_json_lines_are_whole_lines() {
    let fake = fake::start(None, |body, _| Reply::ok(body.replace('a', "b"))).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    let lines: String = (0..60_000)
        .map(|n| format!("{{\"a\": {n}, \"x\": \"\\n}}{{\"}}\n"))
        .collect();
    emulator.put("in/a.jsonl.gz", gzip(lines.as_bytes())).await;
    let more = json!({
        "MaxPayloadInMB": 1,
        "TransformInput": { "ContentType": "application/jsonlines", "CompressionType": "Gzip" },
        "TransformOutput": { "Accept": "application/jsonlines" },
    });
    let end = emulator.run(job("j", more)).await;
    assert_eq!(end["TransformJobStatus"], "Completed");
    let out = emulator.get("out/a.jsonl.gz.out").await.unwrap();
    assert_eq!(out, lines.replace('a', "b"));
    let seen = fake.seen.invocations.lock().unwrap();
    assert_eq!(seen.len(), lines.len().div_ceil(1 << 20));
    for (_, body) in seen.iter() {
        let body = std::str::from_utf8(body).unwrap();
        assert!(body.ends_with('\n') && body.len() <= 1 << 20);
        assert!(
            body.lines()
                .all(|l| serde_json::from_str::<Value>(l).is_ok())
        );
    }
}
