//! What lies under a prefix.

use super::Bench;
use super::objects::put;
use futures_util::StreamExt as _;
use futures_util::stream;
use gristmill_cloud::{CloudErrorKind, S3Uri};

async fn names(bench: &Bench, prefix: &S3Uri) -> Vec<String> {
    let listed = bench.store.list(prefix, 10_000).await.unwrap();
    let name = |key: &str| key[bench.prefix.key.len()..].to_owned();
    listed.iter().map(|o| name(&o.key)).collect()
}

pub(super) async fn a_prefix_is_literal_and_sorted(bench: Bench) {
    // Of UTF-8, in which Z is before a, and both before é.
    let sorted = ["a/Z", "a/a", "a/a-1", "a/a.b", "a/b/c", "a/é", "ab"];
    for name in sorted.iter().rev() {
        put(&bench, name, b"x").await;
    }
    assert_eq!(names(&bench, &bench.at("a")).await, sorted);
    assert_eq!(names(&bench, &bench.at("a/")).await, sorted[..6]);
    assert_eq!(names(&bench, &bench.at("a/a")).await, sorted[1..4]);
    assert_eq!(names(&bench, &bench.at("a/b/c")).await, ["a/b/c"]);
}

/// A page has a thousand keys, and so has one request to delete.
pub(super) async fn more_than_a_page_is_listed_whole_and_deleted_whole(bench: Bench) {
    let wanted: Vec<String> = (0..1003).map(|n| format!("part-{n:05}.csv")).collect();
    let puts = wanted.iter().cloned().map(|name| (bench.clone(), name));
    let puts = stream::iter(puts).map(|(bench, name)| async move {
        put(&bench, &name, b"x").await;
    });
    puts.buffer_unordered(64).collect::<Vec<_>>().await;
    assert_eq!(names(&bench, &bench.prefix).await, wanted);
    let error = bench.store.list(&bench.prefix, 1002).await.unwrap_err();
    assert_eq!(error.kind, CloudErrorKind::Invalid);
    let keys: Vec<String> = wanted.iter().map(|name| bench.at(name).key).collect();
    bench.store.delete_many(&bench.prefix, &keys).await.unwrap();
    assert_eq!(names(&bench, &bench.prefix).await, Vec::<String>::new());
}

pub(super) async fn nothing_is_listed_where_nothing_is(bench: Bench) {
    assert_eq!(
        names(&bench, &bench.at("none/")).await,
        Vec::<String>::new()
    );
}

pub(super) async fn a_listing_has_sizes_and_etags(bench: Bench) {
    let receipt = put(&bench, "x", b"hello").await;
    let listed = bench.store.list(&bench.prefix, 10).await.unwrap();
    let head = bench.store.head(&bench.at("x")).await.unwrap().unwrap();
    assert_eq!((listed[0].size, &listed[0].etag), (5, &receipt.etag));
    assert_eq!(listed[0].last_modified, head.last_modified);
}
