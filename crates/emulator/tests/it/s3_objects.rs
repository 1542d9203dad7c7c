//! Whole objects: what goes in comes out.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier};

use crate::support::{Emulator, get, keys, noise, put, refusal};

/// Keys that would leave their folder, clash, or be no file name.
fn hostile_keys() -> Vec<String> {
    let long = "é".repeat(512);
    let names = [
        "a",
        "a/b",
        "a/b/c",
        "p/../../esc",
        "../up",
        "dd//x",
        "//",
        ".",
        "..",
        "./a",
        "a/.",
        "con\u{1F600}",
        "%2e%2e%2f",
        "sp ace",
        "plus+",
        "q?x=1&y",
        "h#ash",
        "back\\slash",
        "quote\"'",
        "tab\tnew\nline",
        "trailing ",
        "ümlaut",
        "<xml>&amp;",
        "objects",
        "bucket.json",
        "A",
        "e\u{301}",
        "é",
        "star*",
        "a:b",
        "~",
        "=;,",
    ];
    names
        .iter()
        .map(|n| (*n).to_owned())
        .chain([long])
        .collect()
}

#[tokio::test]
async fn hostile_keys_are_kept_literally_and_stay_inside() {
    let (emulator, s3) = Emulator::with_bucket().await;
    let mut expected = hostile_keys();
    for key in &expected {
        put(&s3, key, key.as_bytes()).await;
    }
    expected.sort();
    let emulator = emulator.restart().await;
    let s3 = emulator.s3();
    for key in &expected {
        assert_eq!(get(&s3, key).await, key.as_bytes(), "{key:?}");
    }
    let raw = s3
        .list_objects_v2()
        .bucket("bucket")
        .encoding_type(aws_sdk_s3::types::EncodingType::Url);
    let listed: Vec<String> = raw
        .send()
        .await
        .unwrap()
        .contents()
        .iter()
        .map(|o| decoded(o.key().unwrap()))
        .collect();
    assert_eq!(listed, expected);
    let outside: Vec<_> = std::fs::read_dir(emulator.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        outside.iter().all(
            |n| ["s3", "sagemaker", "lock", "keys.json", "endpoint.json"]
                .contains(&n.to_str().unwrap())
        ),
        "{outside:?}"
    );
    for key in &expected {
        s3.delete_object()
            .bucket("bucket")
            .key(key)
            .send()
            .await
            .unwrap();
    }
    assert_eq!(keys(&s3).await, Vec::<String>::new());
}

fn decoded(key: &str) -> String {
    percent_encoding::percent_decode_str(key)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

#[tokio::test]
async fn a_key_of_more_than_1024_bytes_is_refused() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let put = s3
        .put_object()
        .bucket("bucket")
        .key("k".repeat(1025))
        .send()
        .await;
    assert_eq!(refusal(put), (400, "KeyTooLongError".to_owned()));
}

#[tokio::test]
async fn headers_and_metadata_come_back() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let put = s3
        .put_object()
        .bucket("bucket")
        .key("k")
        .body(ByteStream::from_static(b"x"));
    let put = put
        .content_type("text/csv")
        .content_encoding("gzip")
        .cache_control("no-cache")
        .metadata("rows", "12");
    put.send().await.unwrap();
    let head = s3
        .head_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("text/csv"));
    assert_eq!(head.content_encoding(), Some("gzip"));
    assert_eq!(head.cache_control(), Some("no-cache"));
    assert_eq!(head.metadata().unwrap()["rows"], "12");
    assert_eq!(head.e_tag(), Some("\"9dd4e461268c8034f5c8564e155c67a6\""));
    let copy = s3
        .copy_object()
        .copy_source("bucket/k")
        .bucket("bucket")
        .key("k2");
    copy.metadata_directive(MetadataDirective::Replace)
        .metadata("a", "b")
        .send()
        .await
        .unwrap();
    let head = s3
        .head_object()
        .bucket("bucket")
        .key("k2")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("binary/octet-stream"));
    assert_eq!(head.metadata().unwrap().len(), 1);
}

#[tokio::test]
async fn ranges() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    put(&s3, "k", b"0123456789").await;
    put(&s3, "empty", b"").await;
    for (range, bytes, header) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=3-5", "345", "bytes 3-5/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=7-99", "789", "bytes 7-9/10"),
        ("bytes=-4", "6789", "bytes 6-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
    ] {
        let got = s3
            .get_object()
            .bucket("bucket")
            .key("k")
            .range(range)
            .send()
            .await
            .unwrap();
        assert_eq!(got.content_range(), Some(header));
        assert_eq!(
            got.body.collect().await.unwrap().to_vec(),
            bytes.as_bytes(),
            "{range}"
        );
    }
    for (key, range) in [
        ("k", "bytes=10-"),
        ("k", "bytes=-0"),
        ("empty", "bytes=0-"),
        ("empty", "bytes=-1"),
    ] {
        let got = s3
            .get_object()
            .bucket("bucket")
            .key(key)
            .range(range)
            .send()
            .await;
        assert_eq!(
            refusal(got),
            (416, "InvalidRange".to_owned()),
            "{key} {range}"
        );
    }
    assert_eq!(get(&s3, "empty").await, b"");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let code = |status, code: &str| (status, code.to_owned());
    assert_eq!(
        refusal(s3.get_object().bucket("bucket").key("k").send().await),
        code(404, "NoSuchKey")
    );
    assert_eq!(
        refusal(s3.get_object().bucket("other").key("k").send().await),
        code(404, "NoSuchBucket")
    );
    let put = s3
        .put_object()
        .bucket("other")
        .key("k")
        .body(ByteStream::from(noise(1, 3_000_000)));
    assert_eq!(refusal(put.send().await), code(404, "NoSuchBucket"));
    assert_eq!(
        refusal(s3.head_object().bucket("bucket").key("k").send().await).0,
        404
    );
    assert_eq!(
        refusal(s3.head_bucket().bucket("other").send().await).0,
        404
    );
    assert_eq!(
        refusal(s3.list_objects_v2().bucket("other").send().await),
        code(404, "NoSuchBucket")
    );
    s3.delete_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn buckets_come_and_go() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    // In us-east-1 alone, one's own bucket can be created again.
    s3.create_bucket().bucket("bucket").send().await.unwrap();
    assert_eq!(
        refusal(s3.create_bucket().bucket("b..ad").send().await).1,
        "InvalidBucketName"
    );
    put(&s3, "k", b"x").await;
    assert_eq!(
        refusal(s3.delete_bucket().bucket("bucket").send().await),
        (409, "BucketNotEmpty".to_owned())
    );
    let delete = Delete::builder()
        .objects(ObjectIdentifier::builder().key("k").build().unwrap())
        .build()
        .unwrap();
    let deleted = s3
        .delete_objects()
        .bucket("bucket")
        .delete(delete)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.deleted()[0].key(), Some("k"));
    s3.delete_bucket().bucket("bucket").send().await.unwrap();
    assert_eq!(s3.list_buckets().send().await.unwrap().buckets().len(), 0);
}

#[tokio::test]
async fn a_reader_of_the_old_object_reads_the_old_object() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let old = noise(1, 20_000_000);
    put(&s3, "k", &old).await;
    let reading = s3
        .get_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .unwrap();
    put(&s3, "k", b"new").await;
    assert!(reading.body.collect().await.unwrap().to_vec() == old);
    assert_eq!(get(&s3, "k").await, b"new");
    let reading = s3
        .get_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .unwrap();
    s3.delete_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(reading.body.collect().await.unwrap().to_vec(), b"new");
}
