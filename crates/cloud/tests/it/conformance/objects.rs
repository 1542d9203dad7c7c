//! Whole objects, one at a time.

use super::{Bench, MIB};
use crate::wire::crc64;
use bytes::Bytes;
use gristmill_cloud::{CloudErrorKind, Expected, PutOptions, PutReceipt, S3Uri};
use std::io::Read as _;
use tokio::runtime::Handle;

/// Names as this project makes them, and prefixes as users write them.
pub(super) const KEYS: &[&str] = &[
    "runs/20261122t030405-0badcafe/ledger.jsonl",
    "runs/20261122t030405-0badcafe/shards/0123456789ab/part-00000.csv.gz",
    "out/a1/part-00000.csv.gz.out",
    "keys/9f86d081884c7d65.json",
    "_publishing.json",
    "_SUCCESS",
    "model=churn-v7/dt=2026-11-21/part-00000.parquet",
    "a blank/and+plus/100%/%41/(x)!*'~@&$,;:=?#[].csv",
    "zażółć/ключ/鍵/👍.csv",
    "dots.../.hidden/..two/x..",
];

pub(super) async fn put(bench: &Bench, name: &str, bytes: &[u8]) -> PutReceipt {
    let bytes = Bytes::copy_from_slice(bytes);
    let uri = bench.at(name);
    let options = PutOptions::default();
    bench.store.put_bytes(&uri, bytes, &options).await.unwrap()
}

pub(super) async fn get(bench: &Bench, name: &str) -> Bytes {
    let got = bench.store.get_bytes(&bench.at(name), 64 * MIB).await;
    got.unwrap().0
}

/// Bytes that look like nothing, the same for the same seed.
pub(super) fn noise(seed: u64, length: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}

pub(super) async fn what_is_put_is_there_with_size_etag_and_checksum(bench: Bench) {
    let receipt = put(&bench, "x", b"hello").await;
    assert_eq!((receipt.size, &receipt.checksum), (5, &crc64(b"hello")));
    let there = bench.store.head(&bench.at("x")).await.unwrap().unwrap();
    assert_eq!((there.size, there.etag), (5, receipt.etag));
    assert_eq!(there.checksum, Some(crc64(b"hello")));
    assert!(
        there.last_modified > 1_700_000_000,
        "{}",
        there.last_modified
    );
}

pub(super) async fn what_is_got_is_what_was_put(bench: Bench) {
    let content = noise(1, 700_000);
    let first = put(&bench, "x", b"first").await;
    let receipt = put(&bench, "x", &content).await;
    assert_ne!(first.etag, receipt.etag);
    assert_eq!(get(&bench, "x").await, content);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let expected = Expected::from(&receipt);
    let uri = bench.at("x");
    let got = bench.store.get_file(&uri, &path, Some(&expected));
    let got = got.await.unwrap();
    assert_eq!((got.size, got.checksum), (700_000, receipt.checksum));
    assert!(std::fs::read(path).unwrap() == content);
}

pub(super) async fn an_object_of_no_bytes_is_an_object(bench: Bench) {
    let receipt = put(&bench, "x", b"").await;
    let there = bench.store.head(&bench.at("x")).await.unwrap().unwrap();
    assert_eq!((there.size, there.etag), (0, receipt.etag));
    assert_eq!(get(&bench, "x").await, "");
}

pub(super) async fn every_kind_of_key_is_kept_as_it_is(bench: Bench) {
    for key in KEYS {
        put(&bench, key, key.as_bytes()).await;
    }
    for key in KEYS {
        assert_eq!(get(&bench, key).await, key.as_bytes(), "{key}");
    }
    let listed = bench.store.list(&bench.prefix, 100).await.unwrap();
    let mut found: Vec<&str> = listed
        .iter()
        .map(|o| &o.key[bench.prefix.key.len()..])
        .collect();
    let mut wanted = KEYS.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    let keys: Vec<String> = listed.into_iter().map(|o| o.key).collect();
    bench.store.delete_many(&bench.prefix, &keys).await.unwrap();
    assert_eq!(bench.store.list(&bench.prefix, 100).await.unwrap(), []);
}

pub(super) async fn what_is_not_there_is_not_found(bench: Bench) {
    assert_eq!(bench.store.head(&bench.at("x")).await.unwrap(), None);
    let error = bench.store.get_bytes(&bench.at("x"), 10).await.unwrap_err();
    assert_eq!(error.kind, CloudErrorKind::NotFound);
}

pub(super) async fn a_bucket_that_is_not_there_is_not_found(bench: Bench) {
    let uri = S3Uri::parse("s3://no-such-bucket/x").unwrap();
    assert_eq!(bench.store.head(&uri).await.unwrap(), None);
    let kinds = [
        bench.store.list(&uri, 10).await.unwrap_err().kind,
        bench.store.get_bytes(&uri, 10).await.unwrap_err().kind,
    ];
    assert_eq!(kinds, [CloudErrorKind::NotFound; 2]);
}

pub(super) async fn nothing_is_put_into_a_bucket_that_is_not_there(bench: Bench) {
    let uri = S3Uri::parse("s3://no-such-bucket/x").unwrap();
    let options = PutOptions::default();
    let put = bench.store.put_bytes(&uri, Bytes::new(), &options).await;
    assert_eq!(put.unwrap_err().kind, CloudErrorKind::NotFound);
}

pub(super) async fn a_key_that_ends_in_a_slash_has_content_like_any(bench: Bench) {
    put(&bench, "folder/", b"content").await;
    assert_eq!(get(&bench, "folder/").await, "content");
}

pub(super) async fn a_bucket_may_be_made_twice(bench: Bench) {
    bench.store.ensure_bucket("twice").await.unwrap();
    bench.store.ensure_bucket("twice").await.unwrap();
    let uri = S3Uri::parse("s3://twice/").unwrap();
    assert_eq!(bench.store.list(&uri, 1).await.unwrap(), []);
}

pub(super) async fn what_is_deleted_is_gone_and_may_be_deleted_again(bench: Bench) {
    put(&bench, "x", b"hello").await;
    for _ in 0..2 {
        bench.store.delete(&bench.at("x")).await.unwrap();
        assert_eq!(bench.store.head(&bench.at("x")).await.unwrap(), None);
    }
    let key = bench.at("x").key;
    bench
        .store
        .delete_many(&bench.prefix, &[key])
        .await
        .unwrap();
}

pub(super) async fn ranges_come_as_they_are_asked_for(bench: Bench) {
    // Three ranges of a MiB and a rest.
    let content = noise(2, 3 * MIB + 17);
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), &content).unwrap();
    let uri = bench.at("x");
    let receipt = bench
        .store
        .put_file(&uri, path.path(), &PutOptions::default())
        .await
        .unwrap();
    let (store, etag) = (bench.store.clone(), receipt.etag);
    let read = move |handle: Handle| {
        let mut bytes = Vec::new();
        let mut object = store.open_read(&uri, Some(&etag), handle).unwrap();
        object.read_to_end(&mut bytes).unwrap();
        bytes
    };
    assert!(on_a_thread(read).await == content);
}

pub(super) async fn a_download_of_another_version_is_refused(bench: Bench) {
    let old = Expected::from(&put(&bench, "x", b"hello").await);
    put(&bench, "x", b"hallo").await;
    let path = tempfile::NamedTempFile::new().unwrap();
    let uri = bench.at("x");
    let got = bench.store.get_file(&uri, path.path(), Some(&old)).await;
    assert_eq!(got.unwrap_err().kind, CloudErrorKind::PreconditionFailed);
}

pub(super) async fn a_reader_notices_a_replaced_object(bench: Bench) {
    let uri = bench.at("x");
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), noise(3, 4 * MIB)).unwrap();
    let options = PutOptions::default();
    bench
        .store
        .put_file(&uri, path.path(), &options)
        .await
        .unwrap();
    let store = bench.store.clone();
    let read = move |handle: Handle| {
        let mut object = store.open_read(&uri, None, handle.clone()).unwrap();
        let mut first = [0; 1000];
        object.read_exact(&mut first).unwrap();
        std::fs::write(path.path(), noise(4, 4 * MIB)).unwrap();
        handle
            .block_on(store.put_file(&uri, path.path(), &options))
            .unwrap();
        object.read_to_end(&mut Vec::new()).unwrap_err().to_string()
    };
    let said = on_a_thread(read).await;
    assert!(said.contains("changed while it was read"), "{said}");
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce(Handle) -> T + Send + 'static) -> T {
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || work(handle))
        .await
        .unwrap()
}

pub(super) async fn a_copy_has_the_same_bytes(bench: Bench) {
    let content = noise(5, 100_000);
    for (from, to) in [("x", "copies/y"), ("a b/%41+ü", "copies/a b+%")] {
        let etag = put(&bench, from, &content).await.etag;
        bench
            .store
            .copy(&bench.at(from), &bench.at(to), Some(&etag))
            .await
            .unwrap();
        assert_eq!(get(&bench, to).await, content);
    }
}

pub(super) async fn a_copy_of_another_version_is_refused(bench: Bench) {
    let old = put(&bench, "x", b"hello").await.etag;
    put(&bench, "x", b"hallo").await;
    let (from, to) = (bench.at("x"), bench.at("y"));
    let copied = bench.store.copy(&from, &to, Some(&old)).await;
    assert_eq!(copied.unwrap_err().kind, CloudErrorKind::PreconditionFailed);
    assert_eq!(bench.store.head(&bench.at("y")).await.unwrap(), None);
}

/// The store checks signatures: what passes here was signed as it should be.
pub(super) async fn a_wrong_key_is_a_question_of_credentials(bench: Bench) {
    let config = bench.sdk.config().to_builder();
    for (id, kind) in [
        ("unknown", "InvalidAccessKeyId"),
        (bench.key_id.as_str(), "SignatureDoesNotMatch"),
    ] {
        let keys = aws_sdk_s3::config::Credentials::new(id, "wrong", None, None, "test");
        let client =
            aws_sdk_s3::Client::from_conf(config.clone().credentials_provider(keys).build());
        let answer = client.get_object().bucket("suite").key("x").send().await;
        let error = answer.unwrap_err().into_service_error();
        assert_eq!(error.meta().code(), Some(kind));
    }
}
