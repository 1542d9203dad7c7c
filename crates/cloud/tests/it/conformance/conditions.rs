//! Writes that happen only if something holds: what keys, claims and ledgers rest on.

use super::Bench;
use super::objects::{get, put};
use bytes::Bytes;
use futures_util::future::join_all;
use gristmill_cloud::{CloudError, CloudErrorKind, PutOptions, PutReceipt};

async fn put_if(bench: &Bench, text: &str, options: PutOptions) -> Result<PutReceipt, CloudError> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    bench.store.put_bytes(&bench.at("x"), bytes, &options).await
}

fn refused(result: Result<PutReceipt, CloudError>) -> bool {
    let error = result.unwrap_err();
    assert_eq!(error.kind, CloudErrorKind::PreconditionFailed, "{error}");
    true
}

pub(super) async fn a_second_put_if_absent_is_refused(bench: Bench) {
    put_if(&bench, "first", PutOptions::if_absent())
        .await
        .unwrap();
    assert!(refused(
        put_if(&bench, "second", PutOptions::if_absent()).await
    ));
    // The same bytes are another's object too.
    assert!(refused(
        put_if(&bench, "first", PutOptions::if_absent()).await
    ));
    assert_eq!(get(&bench, "x").await, "first");
}

pub(super) async fn a_deleted_object_is_absent(bench: Bench) {
    put_if(&bench, "first", PutOptions::if_absent())
        .await
        .unwrap();
    bench.store.delete(&bench.at("x")).await.unwrap();
    put_if(&bench, "second", PutOptions::if_absent())
        .await
        .unwrap();
    assert_eq!(get(&bench, "x").await, "second");
}

pub(super) async fn of_sixteen_writers_one_is_first(bench: Bench) {
    one_of(16, &bench, PutOptions::if_absent()).await;
}

pub(super) async fn of_four_writers_over_one_version_one_is_first(bench: Bench) {
    let etag = put(&bench, "x", b"before").await.etag;
    one_of(4, &bench, PutOptions::if_match(etag)).await;
}

/// Each writes its own bytes, all at once; what is there is what the one wrote that was told so.
async fn one_of(count: u32, bench: &Bench, options: PutOptions) {
    let writers = (0..count).map(|n| {
        let (bench, options) = (bench.clone(), options.clone());
        let text = format!("writer {n}");
        tokio::spawn(async move { put_if(&bench, &text, options).await.map(|_| text) })
    });
    let done: Vec<_> = join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let won: Vec<&String> = done.iter().flatten().collect();
    assert_eq!(won.len(), 1, "{done:?}");
    assert_eq!(get(bench, "x").await, won[0]);
    let lost = done.iter().filter_map(|d| d.as_ref().err());
    let kinds = [CloudErrorKind::PreconditionFailed, CloudErrorKind::Conflict];
    assert!(lost.clone().all(|e| kinds.contains(&e.kind)), "{done:?}");
}

pub(super) async fn a_put_over_the_expected_version_is_done_and_over_another_refused(bench: Bench) {
    let first = put_if(&bench, "first", PutOptions::default())
        .await
        .unwrap();
    let second = put_if(&bench, "second", PutOptions::if_match(&first.etag))
        .await
        .unwrap();
    assert_ne!(first.etag, second.etag);
    assert!(refused(
        put_if(&bench, "third", PutOptions::if_match(&first.etag)).await
    ));
    assert_eq!(get(&bench, "x").await, "second");
    bench.store.delete(&bench.at("x")).await.unwrap();
    let gone = put_if(&bench, "fourth", PutOptions::if_match(&second.etag))
        .await
        .unwrap_err();
    // S3 answers 404 where there is nothing to match, others 412: no write either way.
    let kinds = [CloudErrorKind::NotFound, CloudErrorKind::PreconditionFailed];
    assert!(kinds.contains(&gone.kind), "{gone}");
    assert_eq!(bench.store.head(&bench.at("x")).await.unwrap(), None);
}

pub(super) async fn the_probe_finds_nothing_missing_and_leaves_nothing(bench: Bench) {
    let found = bench.store.probe(&bench.prefix).await.unwrap();
    assert_eq!(found.missing(), []);
    assert_eq!(bench.store.list(&bench.prefix, 10).await.unwrap(), []);
}
