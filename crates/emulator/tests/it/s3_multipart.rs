//! Multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};

use crate::support::{Emulator, get, keys, noise, put, refusal};

const MIB: usize = 1024 * 1024;

async fn begin(s3: &Client) -> String {
    s3.create_multipart_upload()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .unwrap()
        .upload_id
        .unwrap()
}

async fn part(s3: &Client, id: &str, number: i32, bytes: &[u8]) -> CompletedPart {
    let part = s3
        .upload_part()
        .bucket("bucket")
        .key("k")
        .upload_id(id)
        .part_number(number);
    let done = part
        .body(ByteStream::from(bytes.to_vec()))
        .send()
        .await
        .unwrap();
    CompletedPart::builder()
        .part_number(number)
        .e_tag(done.e_tag.unwrap())
        .build()
}

fn named(parts: Vec<CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build()
}

macro_rules! complete {
    ($s3:expr, $id:expr, $parts:expr) => {
        $s3.complete_multipart_upload()
            .bucket("bucket")
            .key("k")
            .upload_id($id)
            .multipart_upload(named($parts))
    };
}

#[tokio::test]
async fn parts_become_one_object_and_the_upload_is_gone() {
    let (emulator, s3) = Emulator::with_bucket().await;
    let (first, last) = (noise(1, 5 * MIB), noise(2, 10));
    let id = begin(&s3).await;
    let two = part(&s3, &id, 7, &last).await;
    part(&s3, &id, 2, b"replaced").await;
    let one = part(&s3, &id, 2, &first).await;
    let emulator = emulator.restart().await;
    let s3 = emulator.s3();
    let listed = s3
        .list_parts()
        .bucket("bucket")
        .key("k")
        .upload_id(&id)
        .send()
        .await
        .unwrap();
    let sizes: Vec<_> = listed
        .parts()
        .iter()
        .map(|p| (p.part_number().unwrap(), p.size().unwrap()))
        .collect();
    assert_eq!(sizes, [(2, 5 * MIB as i64), (7, 10)]);
    let uploads = s3
        .list_multipart_uploads()
        .bucket("bucket")
        .send()
        .await
        .unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    assert_eq!(keys(&s3).await, Vec::<String>::new());
    let done = complete!(s3, &id, vec![one, two]).send().await.unwrap();
    let etag = done.e_tag().unwrap().to_owned();
    assert!(etag.ends_with("-2\""), "{etag}");
    let whole = [first, last.clone()].concat();
    assert!(get(&s3, "k").await == whole);
    assert_eq!(
        s3.list_multipart_uploads()
            .bucket("bucket")
            .send()
            .await
            .unwrap()
            .uploads()
            .len(),
        0
    );
    let again = s3
        .list_parts()
        .bucket("bucket")
        .key("k")
        .upload_id(&id)
        .send()
        .await;
    assert_eq!(refusal(again), (404, "NoSuchUpload".to_owned()));
    let emulator = emulator.restart().await;
    let s3 = emulator.s3();
    let second = s3
        .get_object()
        .bucket("bucket")
        .key("k")
        .part_number(2)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (second.parts_count(), second.e_tag()),
        (Some(2), Some(etag.as_str()))
    );
    assert_eq!(second.body.collect().await.unwrap().to_vec(), last);
}

#[tokio::test]
async fn completions_that_are_wrong_are_refused_and_leave_the_upload() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let id = begin(&s3).await;
    let small = part(&s3, &id, 1, b"small").await;
    let last = part(&s3, &id, 2, b"last").await;
    let bad = |parts| {
        let s3 = s3.clone();
        let id = id.clone();
        async move { refusal(complete!(s3, &id, parts).send().await) }
    };
    let code = |code: &str| (400, code.to_owned());
    assert_eq!(
        bad(vec![small.clone(), last.clone()]).await,
        code("EntityTooSmall")
    );
    assert_eq!(
        bad(vec![last.clone(), small.clone()]).await,
        code("InvalidPartOrder")
    );
    let missing = CompletedPart::builder()
        .part_number(3)
        .e_tag("\"x\"")
        .build();
    assert_eq!(bad(vec![missing]).await, code("InvalidPart"));
    let other = CompletedPart::builder()
        .part_number(1)
        .e_tag("\"x\"")
        .build();
    assert_eq!(bad(vec![other]).await, code("InvalidPart"));
    assert_eq!(keys(&s3).await, Vec::<String>::new());
    complete!(s3, &id, vec![small]).send().await.unwrap();
    assert_eq!(get(&s3, "k").await, b"small");
    let part = s3
        .upload_part()
        .bucket("bucket")
        .key("k")
        .upload_id(&id)
        .part_number(1)
        .send()
        .await;
    assert_eq!(refusal(part), (404, "NoSuchUpload".to_owned()));
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let (emulator, s3) = Emulator::with_bucket().await;
    let id = begin(&s3).await;
    part(&s3, &id, 1, b"x").await;
    s3.abort_multipart_upload()
        .bucket("bucket")
        .key("k")
        .upload_id(&id)
        .send()
        .await
        .unwrap();
    let again = s3
        .abort_multipart_upload()
        .bucket("bucket")
        .key("k")
        .upload_id(&id)
        .send()
        .await;
    assert_eq!(refusal(again), (404, "NoSuchUpload".to_owned()));
    let uploads = emulator.dir.path().join("s3/buckets/bucket/uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_completions_that_want_to_be_first_one_is() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let mut uploads = Vec::new();
    for i in 0..16 {
        let id = begin(&s3).await;
        let part = part(&s3, &id, 1, format!("{i}").as_bytes()).await;
        uploads.push((id, part));
    }
    let races = uploads.into_iter().map(|(id, part)| {
        let s3 = s3.clone();
        tokio::spawn(async move {
            complete!(s3, &id, vec![part])
                .if_none_match("*")
                .send()
                .await
        })
    });
    let mut winners = 0;
    for race in races.collect::<Vec<_>>() {
        match race.await.unwrap() {
            Ok(_) => winners += 1,
            refused => assert_eq!(refusal(refused), (412, "PreconditionFailed".to_owned())),
        }
    }
    assert_eq!(winners, 1);
    let left = s3
        .list_multipart_uploads()
        .bucket("bucket")
        .send()
        .await
        .unwrap();
    assert_eq!(left.uploads().len(), 15);
}

#[tokio::test]
async fn checksums_of_parts_make_the_checksum_of_the_whole() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    let whole = noise(5, 5 * MIB + 100);
    put(&s3, "whole", &whole).await;
    let head = s3
        .head_object()
        .bucket("bucket")
        .key("whole")
        .checksum_mode(ChecksumMode::Enabled);
    let crc32 = head.send().await.unwrap().checksum_crc32.unwrap();
    for (kind, wrong) in [
        (ChecksumType::FullObject, false),
        (ChecksumType::Composite, false),
        (ChecksumType::FullObject, true),
    ] {
        let begun = s3
            .create_multipart_upload()
            .bucket("bucket")
            .key("k")
            .checksum_algorithm(ChecksumAlgorithm::Crc32);
        let id = begun
            .checksum_type(kind.clone())
            .send()
            .await
            .unwrap()
            .upload_id
            .unwrap();
        let mut parts = Vec::new();
        for (number, bytes) in [(1, &whole[..5 * MIB]), (2, &whole[5 * MIB..])] {
            let part = s3
                .upload_part()
                .bucket("bucket")
                .key("k")
                .upload_id(&id)
                .part_number(number);
            let part = part
                .checksum_algorithm(ChecksumAlgorithm::Crc32)
                .body(ByteStream::from(bytes.to_vec()));
            let done = part.send().await.unwrap();
            let named = CompletedPart::builder()
                .part_number(number)
                .e_tag(done.e_tag.unwrap());
            parts.push(named.checksum_crc32(done.checksum_crc32.unwrap()).build());
        }
        let mut complete = complete!(s3, &id, parts).checksum_type(kind.clone());
        if kind == ChecksumType::FullObject {
            complete = complete.checksum_crc32(if wrong { "AAAAAA==" } else { &crc32 });
        }
        let done = complete.send().await;
        if wrong {
            assert_eq!(refusal(done), (400, "BadDigest".to_owned()));
            continue;
        }
        let sum = done.unwrap().checksum_crc32.unwrap();
        assert_eq!(sum == crc32, kind == ChecksumType::FullObject, "{sum}");
        assert_eq!(
            sum.ends_with("-2"),
            kind == ChecksumType::Composite,
            "{sum}"
        );
        let head = s3
            .head_object()
            .bucket("bucket")
            .key("k")
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        assert_eq!(
            (head.checksum_crc32(), head.checksum_type()),
            (Some(sum.as_str()), Some(&kind))
        );
    }
}

#[tokio::test]
async fn a_part_can_be_copied_from_a_range() {
    let (_emulator, s3) = Emulator::with_bucket().await;
    put(&s3, "source key+", b"0123456789").await;
    let id = begin(&s3).await;
    let copy = s3
        .upload_part_copy()
        .bucket("bucket")
        .key("k")
        .upload_id(&id)
        .part_number(1);
    let copy = copy
        .copy_source("bucket/source%20key%2B")
        .copy_source_range("bytes=2-4")
        .send()
        .await
        .unwrap();
    let etag = copy.copy_part_result.unwrap().e_tag.unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
    complete!(s3, &id, vec![part]).send().await.unwrap();
    assert_eq!(get(&s3, "k").await, b"234");
}
