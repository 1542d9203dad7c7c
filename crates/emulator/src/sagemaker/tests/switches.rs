//! Every value of every switch, seen from outside: what the container gets, what is stored, how the
//! job ends. Those of filters and inference ids are with the processing of records.

use std::collections::BTreeSet;
use std::io::Write as _;

use serde_json::{Value, json};

use super::fake::{self, Fake, Reply};
use super::harness::{Emulator, job, merge};
use crate::assume::Assumptions;

fn assume(pairs: &str) -> Assumptions {
    Assumptions::parse([pairs]).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A job that is over.
struct Ended {
    emulator: Emulator,
    end: Value,
    fake: Fake,
}

impl Ended {
    fn status(&self) -> &str {
        self.end["TransformJobStatus"].as_str().unwrap()
    }

    /// Bodies of the requests, in the order of their bytes.
    fn sent(&self) -> Vec<String> {
        let seen = self.fake.seen.invocations.lock().unwrap();
        let mut bodies: Vec<String> = seen
            .iter()
            .map(|(_, body)| String::from_utf8_lossy(body).into_owned())
            .collect();
        bodies.sort();
        bodies
    }

    /// Name and content of the outputs.
    async fn outputs(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for name in self.emulator.outputs() {
            let text = self.emulator.get(&format!("out/{name}")).await.unwrap();
            all.push((name, text));
        }
        all
    }

    fn names(&self) -> Vec<String> {
        self.emulator.outputs()
    }
}

/// Runs a job over `objects`; the model answers a line `n` to each request, n its bytes.
async fn run(pairs: &str, objects: &[(&str, &[u8])], more: Value) -> Ended {
    let fake = fake::start_bytes(None, |body, _| Reply::ok(format!("{}\n", body.len()))).await;
    let emulator = Emulator::with(assume(pairs)).await;
    emulator.url_model(&fake.url).await;
    for (key, body) in objects {
        emulator.put(key, body).await;
    }
    let end = emulator.run(job("j", more)).await;
    Ended {
        emulator,
        end,
        fake,
    }
}

fn single() -> Value {
    json!({ "BatchStrategy": "SingleRecord" })
}

fn whole() -> Value {
    json!({ "TransformInput": { "SplitType": "None" }, "TransformOutput": { "AssembleWith": "None" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_container_gets_of_a_line() {
    let cases: [(&str, &[u8], Value, &[&str]); 17] = [
        (
            "blank-lines=send",
            b"1\n\n\r\n2\n",
            single(),
            &["\n", "\r\n", "1\n", "2\n"],
        ),
        (
            "blank-lines=skip",
            b"1\n\n\r\n2\n",
            single(),
            &["1\n", "2\n"],
        ),
        ("final-newline=as-is", b"1\n2", single(), &["1\n", "2"]),
        ("final-newline=added", b"1\n2", single(), &["1\n", "2\n"]),
        ("crlf=keep", b"1\r\n2\r\n", single(), &["1\r\n", "2\r\n"]),
        ("crlf=strip", b"1\r\n2\r\n", single(), &["1\n", "2\n"]),
        (
            "lone-cr=data",
            b"1\r2\r\n3\r",
            single(),
            &["1\r2\r\n", "3\r"],
        ),
        (
            "lone-cr=line-end",
            b"1\r2\r\n3\r",
            single(),
            &["1\r", "2\r\n", "3\r"],
        ),
        (
            "lone-cr=data,final-newline=added",
            b"3\r",
            single(),
            &["3\r\n"],
        ),
        (
            "lone-cr=line-end,final-newline=added",
            b"3\r",
            single(),
            &["3\r"],
        ),
        (
            "bom=keep",
            b"\xef\xbb\xbf1\n2\n",
            single(),
            &["2\n", "\u{feff}1\n"],
        ),
        (
            "bom=strip",
            b"\xef\xbb\xbf1\n2\n",
            single(),
            &["1\n", "2\n"],
        ),
        ("bom=strip", b"\xef\xbb\xbf", single(), &[]),
        ("not-utf8=send", b"\xff\n", single(), &["\u{fffd}\n"]),
        (
            "single-record-newline=sent",
            b"1\n2\r\n",
            single(),
            &["1\n", "2\r\n"],
        ),
        (
            "single-record-newline=dropped",
            b"1\n\n2\r\n",
            single(),
            &["", "1", "2"],
        ),
        (
            "single-record-newline=dropped,blank-lines=skip",
            b"1\n2\n",
            json!({}),
            &["1\n2\n"],
        ),
    ];
    for (pairs, input, more, expected) in cases {
        let ended = run(pairs, &[("in/a.csv", input)], more).await;
        assert_eq!(ended.status(), "Completed", "{pairs}");
        assert_eq!(ended.sent(), expected, "{pairs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_no_text_may_fail_its_object() {
    let ended = run(
        "not-utf8=fail",
        &[("in/a.csv", b"\xff\n"), ("in/b.csv", b"1\n")],
        json!({}),
    )
    .await;
    assert_eq!(
        (ended.status(), ended.names()),
        ("Failed", vec!["b.csv.out".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_is_one_of_two_and_its_newlines_count_or_not() {
    // 500,000 bytes a line with its newline; then 524,289.
    let line = |bytes: usize| format!("{}\n", "x".repeat(bytes - 1));
    let cases = [
        ("payload-unit=mebibyte", line(500_001).repeat(2), "1000002"),
        ("payload-unit=megabyte", line(500_001).repeat(2), "500001"),
        ("payload-unit=megabyte", line(500_000).repeat(2), "1000000"),
        ("payload-newline=counted", line(524_289).repeat(2), "524289"),
        ("payload-newline=free", line(524_289).repeat(2), "1048578"),
    ];
    for (pairs, input, first) in cases {
        let ended = run(
            pairs,
            &[("in/a.csv", input.as_bytes())],
            json!({ "MaxPayloadInMB": 1 }),
        )
        .await;
        let out = ended.emulator.get("out/a.csv.out").await.unwrap();
        assert_eq!(out.lines().next(), Some(first), "{pairs}");
    }
    for (pairs, status) in [
        ("payload-newline=counted", "Failed"),
        ("payload-newline=free", "Completed"),
    ] {
        let record = line((1 << 20) + 1);
        let ended = run(
            pairs,
            &[("in/a.csv", record.as_bytes())],
            json!({ "MaxPayloadInMB": 1 }),
        )
        .await;
        assert_eq!(ended.status(), status, "{pairs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_object_is_bounded_before_or_after_it_is_unpacked() {
    let packed = gzip(&vec![b'x'; (1 << 20) + 1]);
    let mut more = whole();
    merge(
        &mut more,
        json!({ "MaxPayloadInMB": 1, "TransformInput": { "CompressionType": "Gzip" } }),
    );
    for (pairs, status) in [
        ("gzip-payload=unpacked", "Failed"),
        ("gzip-payload=packed", "Completed"),
    ] {
        let ended = run(pairs, &[("in/a.gz", &packed)], more.clone()).await;
        assert_eq!(ended.status(), status, "{pairs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_objects_and_folder_markers() {
    let cases: [(&str, &str, &[&str], usize); 6] = [
        ("empty-objects=skip", "Completed", &["b.csv.out"], 1),
        (
            "empty-objects=empty-output",
            "Completed",
            &["a.csv.out", "b.csv.out"],
            1,
        ),
        (
            "empty-objects=send",
            "Completed",
            &["a.csv.out", "b.csv.out"],
            2,
        ),
        ("empty-objects=fail", "Failed", &["b.csv.out"], 1),
        (
            "folder-markers=ignore,empty-objects=empty-output",
            "Completed",
            &["a.csv.out", "b.csv.out"],
            1,
        ),
        (
            "folder-markers=as-empty,empty-objects=empty-output",
            "Completed",
            &["a.csv.out", "b.csv.out", "deep/.out"],
            1,
        ),
    ];
    for (pairs, status, names, requests) in cases {
        let objects: [(&str, &[u8]); 3] =
            [("in/a.csv", b""), ("in/b.csv", b"1\n"), ("in/deep/", b"")];
        let ended = run(pairs, &objects, json!({})).await;
        assert_eq!(
            (ended.status(), ended.names()),
            (status, names.iter().map(ToString::to_string).collect()),
            "{pairs}"
        );
        assert_eq!(ended.sent().len(), requests, "{pairs}");
        let first = ended.emulator.get("out/a.csv.out").await;
        let answer = (requests == 2)
            .then_some("0\n")
            .or(names.contains(&"a.csv.out").then_some(""));
        assert_eq!(first.as_deref(), answer, "{pairs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newline_after_every_reply_or_where_it_is_missing() {
    for (pairs, expected) in [
        ("assemble-line=where-missing", "2\n2\n"),
        ("assemble-line=always", "2\n\n2\n\n"),
    ] {
        let ended = run(pairs, &[("in/a.csv", b"1\n2\n")], single()).await;
        assert_eq!(
            ended.outputs().await,
            [("a.csv.out".to_owned(), expected.to_owned())]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_named_by_prefix_and_manifest() {
    let list = br#"[{"prefix": "s3://bucket/in/deep/m-"}, "a/y.csv", "x.csv"]"#;
    let manifest = json!({ "TransformInput": { "DataSource": { "S3DataSource": {
        "S3DataType": "ManifestFile", "S3Uri": "s3://bucket/list" } } } });
    let cases = [
        (
            "output-layout=nested",
            ["deep/m-a/y.csv.out", "deep/m-x.csv.out"],
            ["a/y.csv.out", "x.csv.out"],
        ),
        (
            "output-layout=flat",
            ["m-x.csv.out", "y.csv.out"],
            ["x.csv.out", "y.csv.out"],
        ),
        (
            "output-layout=input-prefix",
            ["in/m-x.csv.out", "in/y.csv.out"],
            ["in/deep/x.csv.out", "in/deep/y.csv.out"],
        ),
    ];
    for (pairs, by_prefix, by_manifest) in cases {
        let objects: [(&str, &[u8]); 3] = [
            ("in/deep/m-a/y.csv", b"1\n"),
            ("in/deep/m-x.csv", b"2\n"),
            ("list", list),
        ];
        let ended = run(pairs, &objects, json!({})).await;
        assert_eq!(ended.names(), by_prefix, "{pairs}");
        let ended = run(pairs, &objects, manifest.clone()).await;
        assert_eq!(ended.names(), by_manifest, "{pairs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_a_gzip_object_is_called_one_or_the_other() {
    let packed = gzip(b"1\n");
    for (pairs, name) in [
        ("gzip-output-name=kept", "a.csv.gz.out"),
        ("gzip-output-name=dropped", "a.csv.out"),
    ] {
        let more = json!({ "TransformInput": { "CompressionType": "Gzip" } });
        let ended = run(pairs, &[("in/a.csv.gz", &packed)], more).await;
        assert_eq!(ended.names(), [name]);
    }
    // What is not unpacked keeps its name.
    let ended = run("gzip-output-name=dropped", &[("in/a.gz", &packed)], whole()).await;
    assert_eq!(ended.names(), ["a.gz.out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_by_default_are_three_or_none() {
    for (pairs, requests) in [
        ("invocation-defaults=api-reference", 4),
        ("invocation-defaults=cdk", 1),
    ] {
        let fake = fake::start(None, |_, _| Reply::status(500, "no")).await;
        let emulator = Emulator::with(assume(pairs)).await;
        emulator.url_model(&fake.url).await;
        emulator.put("in/a.csv", "1\n").await;
        emulator
            .run(job("j", json!({ "ModelClientConfig": null })))
            .await;
        assert_eq!(
            fake.seen.invocations.lock().unwrap().len(),
            requests,
            "{pairs}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_without_a_split_is_ignored_or_refused() {
    let mut more = whole();
    merge(&mut more, single());
    let ended = run(
        "strategy-without-split=ignore",
        &[("in/a", b"1\n2\n")],
        more.clone(),
    )
    .await;
    assert_eq!(
        (ended.status(), ended.sent()),
        ("Completed", vec!["1\n2\n".to_owned()])
    );
    let emulator = Emulator::with(assume("strategy-without-split=refuse")).await;
    emulator.url_model("http://127.0.0.1:9").await;
    let refused = emulator
        .call("CreateTransformJob", job("j", more))
        .await
        .unwrap_err();
    assert_eq!(refused.code, "ValidationException");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_go_to_instances_as_the_switch_says() {
    let set = |names: &[&str]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    let cases = [
        (
            "round-robin",
            vec![
                set(&["in/0", "in/3", "in/6"]),
                set(&["in/1", "in/4"]),
                set(&["in/2", "in/5"]),
            ],
        ),
        (
            "contiguous",
            vec![
                set(&["in/0", "in/1", "in/2"]),
                set(&["in/3", "in/4"]),
                set(&["in/5", "in/6"]),
            ],
        ),
        (
            "one",
            vec![
                set(&["in/0", "in/1", "in/2", "in/3", "in/4", "in/5", "in/6"]),
                set(&[]),
                set(&[]),
            ],
        ),
    ];
    let objects: Vec<(String, &[u8])> = (0..7)
        .map(|n| (format!("in/{n}"), b"1\n".as_slice()))
        .collect();
    let objects: Vec<(&str, &[u8])> = objects.iter().map(|(k, b)| (k.as_str(), *b)).collect();
    let more = json!({ "TransformResources": { "InstanceCount": 3 } });
    for (value, expected) in cases {
        let ended = run(&format!("distribution={value}"), &objects, more.clone()).await;
        let work = ended.emulator.work("j");
        let keys = |i: &Value| {
            let objects = i["objects"].as_array().unwrap().iter();
            objects
                .map(|o| o["key"].as_str().unwrap().to_owned())
                .collect::<BTreeSet<_>>()
        };
        let found: Vec<_> = work["instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(keys)
            .collect();
        assert_eq!(found, expected, "{value}");
        let idle = expected.iter().filter(|keys| keys.is_empty()).count();
        let unstarted = work["instances"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|i| i["id"].is_null());
        assert_eq!(unstarted.count(), idle);
    }
}

/// The first object takes as long as all others: from one queue they go to the other instance.
#[tokio::test(flavor = "multi_thread")]
async fn from_a_queue_an_instance_takes_the_next_when_it_has_room() {
    let emulator = Emulator::with(assume("distribution=queue")).await;
    let (sender, receiver) = tokio::sync::watch::channel(0);
    let fake = fake::start_async(move |body| {
        let (sender, mut receiver) = (sender.clone(), receiver.clone());
        async move {
            sender.send_modify(|n| *n += 1);
            if body == "0\n" {
                let _ = receiver.wait_for(|n| *n == 6).await;
            }
            Reply::ok(body)
        }
    })
    .await;
    emulator.url_model(&fake.url).await;
    for n in 0..6 {
        emulator.put(&format!("in/{n}"), format!("{n}\n")).await;
    }
    let more = json!({ "TransformResources": { "InstanceCount": 2 } });
    assert_eq!(
        emulator.run(job("j", more)).await["TransformJobStatus"],
        "Completed"
    );
    let work = emulator.work("j");
    let mut counts: Vec<usize> = work["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["objects"].as_array().unwrap().len())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 5]);
    for instance in work["instances"].as_array().unwrap() {
        assert!(instance["busy_seconds"].as_f64().unwrap() > 0.0);
        assert_eq!(
            instance["requests"],
            instance["objects"].as_array().unwrap().len()
        );
        assert!(instance["request_seconds"].as_f64() >= instance["busy_seconds"].as_f64());
    }
}

/// The last request of the first object is answered after the first of the second, or never is.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_object_begins_before_or_after_the_answers_of_one() {
    for (pairs, both) in [
        ("next-object=all-sent", true),
        ("next-object=all-answered", false),
    ] {
        let emulator = Emulator::with(assume(pairs)).await;
        let (sender, receiver) = tokio::sync::watch::channel(false);
        let fake = fake::start_async(move |body| {
            let (sender, mut receiver) = (sender.clone(), receiver.clone());
            async move {
                sender.send_modify(|seen| *seen |= body.starts_with('b'));
                let patience = std::time::Duration::from_millis(if both { 60_000 } else { 50 });
                let second = receiver.wait_for(|seen| *seen);
                let seen = tokio::time::timeout(patience, second).await.is_ok();
                Reply::ok(format!("{seen}\n"))
            }
        })
        .await;
        emulator.url_model(&fake.url).await;
        emulator.put("in/a.csv", "a\n").await;
        emulator.put("in/b.csv", "b\n").await;
        emulator
            .run(job("j", json!({ "MaxConcurrentTransforms": 4 })))
            .await;
        assert_eq!(
            emulator.get("out/a.csv.out").await.unwrap(),
            format!("{both}\n"),
            "{pairs}"
        );
        assert_eq!(emulator.get("out/b.csv.out").await.unwrap(), "true\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_job_keeps_nothing_or_what_was_finished() {
    for (pairs, names) in [
        ("stopped-outputs=none", vec![]),
        ("stopped-outputs=finished", vec!["a.csv.out"]),
    ] {
        let fake = fake::start(None, |body, _| {
            let wait = if body == "slow\n" { 600 } else { 0 };
            Reply::ok(body).after(std::time::Duration::from_secs(wait))
        })
        .await;
        let emulator = Emulator::with(assume(pairs)).await;
        emulator.url_model(&fake.url).await;
        emulator.put("in/a.csv", "1\n").await;
        emulator.put("in/b.csv", "slow\n").await;
        emulator
            .call("CreateTransformJob", job("j", json!({})))
            .await
            .unwrap();
        while fake.seen.invocations.lock().unwrap().len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        emulator
            .call("StopTransformJob", json!({ "TransformJobName": "j" }))
            .await
            .unwrap();
        assert_eq!(emulator.end("j").await["TransformJobStatus"], "Stopped");
        assert_eq!(emulator.outputs(), names, "{pairs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_may_name_what_is_not_there() {
    let list = br#"[{"prefix": "s3://bucket/in/"}, "gone.csv", "x.csv"]"#;
    let manifest = json!({ "TransformInput": { "DataSource": { "S3DataSource": {
        "S3DataType": "ManifestFile", "S3Uri": "s3://bucket/list" } } } });
    for (pairs, status) in [
        ("manifest-missing=fail", "Failed"),
        ("manifest-missing=skip", "Completed"),
    ] {
        let ended = run(
            pairs,
            &[("in/x.csv", b"1\n"), ("list", list)],
            manifest.clone(),
        )
        .await;
        assert_eq!(
            (ended.status(), ended.names()),
            (status, vec!["x.csv.out".to_owned()]),
            "{pairs}"
        );
    }
}
