//! Files of several parts of 5 MiB, the smallest that S3 takes.

use super::objects::{noise, put};
use super::{Bench, MIB};
use futures_util::future::join_all;
use gristmill_cloud::{CloudError, CloudErrorKind, Expected, PutOptions, PutReceipt};
use std::path::Path;

async fn put_file(
    bench: &Bench,
    content: &[u8],
    options: &PutOptions,
) -> Result<PutReceipt, CloudError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    bench
        .store
        .put_file(&bench.at("x"), file.path(), options)
        .await
}

async fn same_bytes(bench: &Bench, receipt: &PutReceipt, content: &[u8]) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path: &Path = file.path();
    let expected = Expected::from(receipt);
    bench
        .store
        .get_file(&bench.at("x"), path, Some(&expected))
        .await
        .unwrap();
    std::fs::read(path).unwrap() == content
}

pub(super) async fn a_large_file_comes_back_as_it_was(bench: Bench) {
    let content = noise(10, 11 * MIB + 3);
    let receipt = put_file(&bench, &content, &PutOptions::if_absent())
        .await
        .unwrap();
    let there = bench.store.head(&bench.at("x")).await.unwrap().unwrap();
    assert_eq!((there.size, &there.etag), (11 * MIB + 3, &receipt.etag));
    // Of the whole, and not of the parts' checksums.
    assert_eq!(there.checksum.as_ref(), Some(&receipt.checksum));
    assert!(same_bytes(&bench, &receipt, &content).await);
}

pub(super) async fn parts_may_be_smaller_at_the_end_only(bench: Bench) {
    let content = noise(11, 5 * MIB + 1);
    let receipt = put_file(&bench, &content, &PutOptions::default())
        .await
        .unwrap();
    assert!(same_bytes(&bench, &receipt, &content).await);
    let content = noise(12, 10 * MIB);
    let receipt = put_file(&bench, &content, &PutOptions::default())
        .await
        .unwrap();
    assert!(same_bytes(&bench, &receipt, &content).await);
}

pub(super) async fn a_large_file_is_not_put_over_another(bench: Bench) {
    put(&bench, "x", b"here first").await;
    let late = put_file(&bench, &noise(13, 6 * MIB), &PutOptions::if_absent()).await;
    assert_eq!(late.unwrap_err().kind, CloudErrorKind::PreconditionFailed);
    let there = bench.store.head(&bench.at("x")).await.unwrap().unwrap();
    assert_eq!(there.size, 10);
    // The parts that were sent went with the refusal.
    assert_eq!(bench.store.abort_uploads(&bench.prefix).await.unwrap(), 0);
}

pub(super) async fn a_large_file_is_put_over_the_expected_version(bench: Bench) {
    let first = put(&bench, "x", b"here first").await;
    let content = noise(14, 6 * MIB);
    let second = put_file(&bench, &content, &PutOptions::if_match(&first.etag))
        .await
        .unwrap();
    assert!(same_bytes(&bench, &second, &content).await);
    let third = put_file(&bench, &content, &PutOptions::if_match(&first.etag)).await;
    assert_eq!(third.unwrap_err().kind, CloudErrorKind::PreconditionFailed);
}

pub(super) async fn of_four_large_writers_one_is_first(bench: Bench) {
    let writers = (0..4).map(|n| {
        let bench = bench.clone();
        tokio::spawn(async move {
            let content = noise(20 + n, 6 * MIB);
            let put = put_file(&bench, &content, &PutOptions::if_absent()).await;
            put.map(|receipt| (receipt, content))
        })
    });
    let done: Vec<_> = join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let won: Vec<_> = done.iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert!(same_bytes(&bench, &won[0].0, &won[0].1).await);
    assert_eq!(bench.store.abort_uploads(&bench.prefix).await.unwrap(), 0);
}

/// As a kill leaves them: begun, some with a part, none completed.
pub(super) async fn what_was_left_unfinished_is_aborted_under_its_prefix(bench: Bench) {
    for name in ["left/a", "left/a", "left/sub/b c+ü", "kept/c"] {
        let key = bench.at(name).key;
        let begun = bench
            .sdk
            .create_multipart_upload()
            .bucket("suite")
            .key(&key);
        let id = begun.send().await.unwrap().upload_id.unwrap();
        let part = bench
            .sdk
            .upload_part()
            .bucket("suite")
            .key(&key)
            .upload_id(id);
        let part = part.part_number(1).body(b"part".to_vec().into());
        part.send().await.unwrap();
    }
    let aborted = bench.store.abort_uploads(&bench.at("left/")).await.unwrap();
    assert_eq!(aborted, 3);
    assert_eq!(
        bench.store.abort_uploads(&bench.at("left/")).await.unwrap(),
        0
    );
    assert_eq!(bench.store.abort_uploads(&bench.prefix).await.unwrap(), 1);
    assert_eq!(bench.store.list(&bench.prefix, 10).await.unwrap(), []);
}
