//! Listings: order, pages, prefixes.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use gristmill_emulator::store::{ListQuery, ObjectStore, PutRequest};

use crate::support::{Emulator, keys, put};

async fn store_with(names: &[String]) -> (tempfile::TempDir, ObjectStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(dir.path()).await.unwrap();
    store.create_bucket("bucket").await.unwrap();
    for name in names {
        store
            .put("bucket", name, name.as_bytes(), PutRequest::default())
            .await
            .unwrap();
    }
    (dir, store)
}

#[tokio::test]
async fn pages_of_a_thousand_hold_every_key_once_in_byte_order() {
    let emulator = Emulator::start().await;
    let dir = emulator.stop().await;
    let store = ObjectStore::open(dir.path().join("s3")).await.unwrap();
    store.create_bucket("bucket").await.unwrap();
    let mut expected: Vec<String> = (0..1200)
        .map(|i| format!("{}/{i}", ["a", "B", "é", "z"][i % 4]))
        .collect();
    // Each put waits for the disk; together they wait less.
    let puts = expected
        .iter()
        .map(|key| store.put("bucket", key, &b"x"[..], PutRequest::default()));
    let mut puts = futures_util::stream::iter(puts).buffer_unordered(64);
    while let Some(done) = puts.next().await {
        done.unwrap();
    }
    drop(puts);
    drop(store);
    let emulator = Emulator::start_in(dir).await;
    expected.sort();
    let s3 = emulator.s3();
    let first = s3
        .list_objects_v2()
        .bucket("bucket")
        .max_keys(5000)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (first.key_count(), first.is_truncated(), first.max_keys()),
        (Some(1000), Some(true), Some(1000))
    );
    assert_eq!(keys(&s3).await, expected);
    let after = s3
        .list_objects_v2()
        .bucket("bucket")
        .start_after(&expected[1190])
        .send()
        .await
        .unwrap();
    assert_eq!(after.contents().len(), 9);
}

#[tokio::test]
async fn delimiters_roll_up_over_pages_of_every_size() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    for key in ["a", "a/", "a/1", "a/2", "a0", "b/c/1", "b/c/2", "b/d", "c"] {
        put(&s3, key, b"").await;
    }
    for size in 1..=8 {
        let pages = s3
            .list_objects_v2()
            .bucket("bucket")
            .delimiter("/")
            .max_keys(size)
            .into_paginator();
        let mut pages = pages.send();
        let (mut found, mut rolled) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert!(page.key_count().unwrap() <= size);
            found.extend(page.contents().iter().map(|o| o.key().unwrap().to_owned()));
            rolled.extend(
                page.common_prefixes()
                    .iter()
                    .map(|p| p.prefix().unwrap().to_owned()),
            );
        }
        assert_eq!(found, ["a", "a0", "c"], "pages of {size}");
        assert_eq!(rolled, ["a/", "b/"], "pages of {size}");
    }
    let old = s3
        .list_objects()
        .bucket("bucket")
        .delimiter("/")
        .prefix("b/")
        .max_keys(1)
        .send()
        .await
        .unwrap();
    assert_eq!(old.common_prefixes()[0].prefix(), Some("b/c/"));
    let old = s3
        .list_objects()
        .bucket("bucket")
        .delimiter("/")
        .prefix("b/")
        .marker(old.next_marker().unwrap());
    let old = old.send().await.unwrap();
    assert_eq!(old.contents()[0].key(), Some("b/d"));
    assert_eq!(
        (old.common_prefixes().len(), old.is_truncated()),
        (0, Some(false))
    );
    let none = s3
        .list_objects_v2()
        .bucket("bucket")
        .max_keys(0)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (none.key_count(), none.is_truncated()),
        (Some(0), Some(false))
    );
}

/// What a listing must be, computed the slow way.
fn slow(keys: &BTreeSet<String>, query: &ListQuery) -> Vec<String> {
    let mut entries = Vec::new();
    for key in keys.iter().filter(|k| k.starts_with(&query.prefix)) {
        let rest = &key[query.prefix.len()..];
        let cut = query
            .delimiter
            .as_ref()
            .and_then(|d| Some(rest.find(d.as_str())? + d.len()));
        let entry = cut.map_or_else(
            || key.clone(),
            |cut| format!("{}{}", query.prefix, &rest[..cut]),
        );
        if entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    entries
}

#[tokio::test]
async fn pages_of_any_query_join_to_the_whole() {
    let mut random = fastrand::Rng::with_seed(7);
    let letters = ["a", "b", "/", "//", "\u{10ffff}", "é"];
    let mut names = BTreeSet::new();
    while names.len() < 200 {
        names.insert(
            (0..random.usize(1..7))
                .map(|_| letters[random.usize(..letters.len())])
                .collect::<String>(),
        );
    }
    let (_dir, store) = store_with(&names.iter().cloned().collect::<Vec<_>>()).await;
    for prefix in ["", "a", "a/", "/", "é", "zz"] {
        for delimiter in [None, Some("/"), Some("//"), Some("b"), Some("\u{10ffff}")] {
            for max in [1, 2, 7, 1000] {
                let mut query = ListQuery {
                    prefix: prefix.into(),
                    delimiter: delimiter.map(str::to_owned),
                    after: None,
                    max,
                };
                let expected = slow(&names, &query);
                let mut found = Vec::new();
                loop {
                    let page = store.list_page("bucket", &query).unwrap();
                    let mut entries: Vec<String> =
                        page.objects.iter().map(|o| o.key.clone()).collect();
                    entries.extend(page.prefixes);
                    assert!(entries.len() <= max);
                    entries.sort();
                    found.extend(entries);
                    query.after = page.next;
                    if query.after.is_none() {
                        break;
                    }
                }
                assert_eq!(found, expected, "{query:?}");
            }
        }
    }
}
