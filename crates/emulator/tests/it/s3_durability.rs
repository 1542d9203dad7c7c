//! What a restart, and a kill, leave.

use std::fs;
use std::path::Path;

use gristmill_emulator::store::{ObjectStore, PutRequest, StoreError, UploadRequest};

use crate::support::{Emulator, get, keys, put};

#[tokio::test]
async fn objects_buckets_and_keys_survive_a_restart() {
    let (emulator, s3) = Emulator::with_bucket().await;
    put(&s3, "a/b", b"one").await;
    put(&s3, "a/b", b"two").await;
    let before = s3
        .head_object()
        .bucket("bucket")
        .key("a/b")
        .send()
        .await
        .unwrap();
    let secret = emulator.endpoint.secret_access_key.clone();
    let emulator = emulator.restart().await;
    assert_eq!(emulator.endpoint.secret_access_key, secret);
    let s3 = emulator.s3();
    let after = s3
        .head_object()
        .bucket("bucket")
        .key("a/b")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (after.e_tag(), after.last_modified()),
        (before.e_tag(), before.last_modified())
    );
    assert_eq!(get(&s3, "a/b").await, b"two");
    assert_eq!(keys(&s3).await, ["a/b"]);
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else {
            found.push(entry);
        }
    }
    found
}

#[tokio::test]
async fn what_a_kill_leaves_half_made_is_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(dir.path()).await.unwrap();
    store.create_bucket("bucket").await.unwrap();
    store
        .put("bucket", "k", &b"old"[..], PutRequest::default())
        .await
        .unwrap();
    let upload = store
        .create_upload("bucket", "k", UploadRequest::default())
        .await
        .unwrap();
    store
        .upload_part("bucket", "k", &upload.id, 1, &b"part"[..])
        .await
        .unwrap();
    drop(store);
    let whole = files(dir.path());
    // A body half received, a content whose record was never written, a part likewise, an upload
    // and a bucket whose record was never written.
    let content = whole
        .iter()
        .find(|p| p.parent().unwrap().parent().unwrap().ends_with("objects"))
        .unwrap();
    let half = [
        dir.path().join("tmp/half"),
        content.with_extension("ffffffffffffffffffffffffffffffff"),
        dir.path()
            .join(format!("buckets/bucket/uploads/{}/00002.ff", upload.id)),
        dir.path().join("buckets/bucket/uploads/begun/00001.ff"),
        dir.path().join("buckets/created/objects/00/x"),
    ];
    for path in &half {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"half").unwrap();
    }
    let store = ObjectStore::open(dir.path()).await.unwrap();
    let mut left = files(dir.path());
    let mut expected = whole.clone();
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
    assert_eq!(store.list_buckets().len(), 1);
    assert_eq!(store.head("bucket", "k").unwrap().size, 3);
    assert_eq!(
        store.list_parts("bucket", "k", &upload.id).unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_content_that_was_cut_is_found_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(dir.path()).await.unwrap();
    store.create_bucket("bucket").await.unwrap();
    store
        .put("bucket", "k", &b"content"[..], PutRequest::default())
        .await
        .unwrap();
    drop(store);
    let content = files(&dir.path().join("buckets/bucket/objects"));
    let content = content
        .iter()
        .find(|p| p.extension().unwrap() != "json")
        .unwrap();
    fs::write(content, b"cont").unwrap();
    let opened = ObjectStore::open(dir.path()).await;
    assert!(
        matches!(opened, Err(StoreError::Damaged { .. })),
        "{opened:?}"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_object() {
    let dir = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(dir.path()).await.unwrap();
    store.create_bucket("bucket").await.unwrap();
    store
        .put("bucket", "k", &b"old"[..], PutRequest::default())
        .await
        .unwrap();
    let (mut client, body) = tokio::io::duplex(64);
    let put = store.put("bucket", "k", body, PutRequest::default());
    let cut = async {
        use tokio::io::AsyncWriteExt;
        client.write_all(b"half").await.unwrap();
        // Dropped without an end: the future of the put is dropped below, as a connection's is.
        std::future::pending::<()>().await;
    };
    let cancelled = tokio::time::timeout(
        std::time::Duration::from_millis(50),
        futures_util::future::join(put, cut),
    )
    .await;
    assert!(cancelled.is_err());
    assert_eq!(store.head("bucket", "k").unwrap().size, 3);
    assert_eq!(
        files(&dir.path().join("tmp")),
        Vec::<std::path::PathBuf>::new()
    );
}
