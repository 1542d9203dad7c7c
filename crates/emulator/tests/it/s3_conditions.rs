//! Conditional requests; above all, that a write has one winner.

use aws_sdk_s3::primitives::{ByteStream, DateTime};

use crate::support::{Emulator, get, put, refusal};

const FAILED: (u16, &str) = (412, "PreconditionFailed");

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_writers_who_want_to_be_first_one_is() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    for round in 0..5 {
        let writers = (0..16).map(|i| {
            let put = s3
                .put_object()
                .bucket("bucket")
                .key(format!("lock-{round}"))
                .if_none_match("*");
            tokio::spawn(
                put.body(ByteStream::from(format!("writer {i}").into_bytes()))
                    .send(),
            )
        });
        let mut winners = Vec::new();
        for (i, writer) in writers.collect::<Vec<_>>().into_iter().enumerate() {
            match writer.await.unwrap() {
                Ok(_) => winners.push(format!("writer {i}")),
                refused => assert_eq!(refusal(refused), (FAILED.0, FAILED.1.to_owned())),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(
            get(&s3, &format!("lock-{round}")).await,
            winners[0].as_bytes()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_writers_who_replace_the_same_object_one_does() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let etag = put(&s3, "k", b"old").await;
    let writers = (0..16).map(|i| {
        let put = s3.put_object().bucket("bucket").key("k").if_match(&etag);
        tokio::spawn(
            put.body(ByteStream::from(format!("writer {i}").into_bytes()))
                .send(),
        )
    });
    let mut winners = 0;
    for writer in writers.collect::<Vec<_>>() {
        winners += usize::from(writer.await.unwrap().is_ok());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn writes() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let failed = (FAILED.0, FAILED.1.to_owned());
    let put_if = |etag: &str| {
        s3.put_object()
            .bucket("bucket")
            .key("k")
            .if_match(etag)
            .send()
    };
    assert_eq!(
        refusal(put_if("\"x\"").await),
        (404, "NoSuchKey".to_owned())
    );
    let etag = put(&s3, "k", b"1").await;
    assert_eq!(refusal(put_if("\"x\"").await), failed);
    let first = s3
        .put_object()
        .bucket("bucket")
        .key("k")
        .if_none_match("*")
        .send()
        .await;
    assert_eq!(refusal(first), failed);
    assert_eq!(get(&s3, "k").await, b"1");
    put_if(&etag).await.unwrap();
    assert_eq!(get(&s3, "k").await, b"");
}

#[tokio::test]
async fn reads() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let etag = put(&s3, "k", b"x").await;
    let get = || s3.get_object().bucket("bucket").key("k");
    let (past, future) = (
        DateTime::from_secs(1_000_000_000),
        DateTime::from_secs(4_000_000_000),
    );
    get()
        .if_match(&etag)
        .if_unmodified_since(past)
        .send()
        .await
        .unwrap();
    get()
        .if_none_match("\"other\"")
        .if_modified_since(future)
        .send()
        .await
        .unwrap();
    get()
        .if_modified_since(past)
        .if_unmodified_since(future)
        .send()
        .await
        .unwrap();
    assert_eq!(refusal(get().if_match("\"other\"").send().await).0, 412);
    assert_eq!(refusal(get().if_unmodified_since(past).send().await).0, 412);
    assert_eq!(refusal(get().if_none_match(&etag).send().await).0, 304);
    assert_eq!(refusal(get().if_modified_since(future).send().await).0, 304);
    let head = s3
        .head_object()
        .bucket("bucket")
        .key("k")
        .if_none_match("*")
        .send()
        .await;
    assert_eq!(refusal(head).0, 304);
}
