use crate::wire::{Reply, Request, Wire, crc64, lost, reply, reply_of_length, s3_error, uri};
use gristmill_cloud::{BlockingObject, CloudError, CloudErrorKind, Expected};
use std::io::Read as _;
use tokio::runtime::Handle;

const BODY: &[u8] = b"0123456789";
const ETAG: (&str, &str) = ("etag", "\"e1\"");

/// The rest of [`BODY`] from a byte on, as an honest store sends it.
fn rest(from: usize) -> Reply {
    let range = format!("bytes {from}-9/10");
    reply(206, &[ETAG, ("content-range", &range)], &BODY[from..])
}

fn whole(headers: &[(&str, &str)]) -> Reply {
    reply(200, &[&[ETAG], headers].concat(), BODY)
}

async fn get(
    replies: Vec<Reply>,
    expected: Option<Expected>,
) -> (Result<Vec<u8>, CloudError>, Vec<Request>) {
    let wire = Wire::script(replies).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let got = wire
        .store()
        .await
        .get_file(&uri("s3://bkt/k"), &path, expected.as_ref())
        .await;
    let result = got.map(|receipt| {
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(
            (receipt.size, receipt.checksum),
            (bytes.len() as u64, crc64(&bytes))
        );
        bytes
    });
    (result, wire.requests())
}

#[tokio::test]
async fn a_short_body_is_noticed_and_goes_on_from_its_last_byte() {
    let (got, requests) = get(
        vec![
            reply_of_length(
                200,
                &[ETAG, ("x-amz-checksum-crc64nvme", &crc64(BODY))],
                &BODY[..4],
                10,
            ),
            rest(4),
        ],
        None,
    )
    .await;
    assert_eq!(got.unwrap(), BODY);
    assert_eq!(requests[0].header("x-amz-checksum-mode"), Some("ENABLED"));
    assert_eq!(
        (requests[1].header("range"), requests[1].header("if-match")),
        (Some("bytes=4-9"), Some("\"e1\""))
    );
}

#[tokio::test]
async fn a_body_lost_again_and_again_is_given_up() {
    let stuck = || reply_of_length(206, &[ETAG, ("content-range", "bytes 4-9/10")], b"", 6);
    let first = reply_of_length(200, &[ETAG], &BODY[..4], 10);
    let (got, requests) = get(vec![first, stuck(), stuck(), stuck(), stuck()], None).await;
    let error = got.unwrap_err();
    assert_eq!((error.kind, requests.len()), (CloudErrorKind::Network, 4));
    assert!(error.message.contains("at byte 4 of 10"), "{error}");
}

#[tokio::test]
async fn an_object_replaced_meanwhile_is_never_mixed() {
    let first = reply_of_length(200, &[ETAG], &BODY[..4], 10);
    let (got, _) = get(vec![first, s3_error(412, "PreconditionFailed", "no")], None).await;
    insta::assert_snapshot!(got.unwrap_err(), @"s3 GetObject s3://bkt/k: 412 PreconditionFailed after 1 attempt (request id R1): the object changed while it was read, or since it was listed");
}

#[tokio::test]
async fn a_store_that_ignores_the_range_is_not_believed() {
    let first = reply_of_length(200, &[ETAG], &BODY[..4], 10);
    let (got, _) = get(vec![first, whole(&[])], None).await;
    assert_eq!(got.unwrap_err().kind, CloudErrorKind::Corrupt);
}

#[tokio::test]
async fn without_an_etag_nothing_is_resumed() {
    let (got, requests) = get(
        vec![reply_of_length(200, &[], &BODY[..4], 10), rest(4)],
        None,
    )
    .await;
    assert_eq!(
        (got.unwrap_err().kind, requests.len()),
        (CloudErrorKind::Corrupt, 1)
    );
}

#[tokio::test]
async fn a_flipped_bit_is_read_again_and_then_refused() {
    let good = crc64(BODY);
    let flipped = || {
        reply(
            200,
            &[ETAG, ("x-amz-checksum-crc64nvme", &good)],
            b"0123456788",
        )
    };
    let (got, _) = get(
        vec![flipped(), whole(&[("x-amz-checksum-crc64nvme", &good)])],
        None,
    )
    .await;
    assert_eq!(got.unwrap(), BODY);
    let (got, requests) = get(vec![flipped(), flipped(), flipped(), flipped()], None).await;
    assert_eq!(
        (got.unwrap_err().kind, requests.len()),
        (CloudErrorKind::Corrupt, 3)
    );
}

#[tokio::test]
async fn checksums_of_other_writers_are_compared_too() {
    // CRC-32C and SHA-256 of 0123456789, by other tools.
    let crc32c = ("x-amz-checksum-crc32c", "KAwGng==");
    let sha256 = (
        "x-amz-checksum-sha256",
        "hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=",
    );
    let parts = ("x-amz-checksum-crc32c", "AAAAAA==-2");
    for (header, fine) in [
        (crc32c, true),
        (sha256, true),
        (parts, true),
        (("x-amz-checksum-crc32c", "AAAAAA=="), false),
    ] {
        let (got, _) = get(
            vec![whole(&[header]), whole(&[header]), whole(&[header])],
            None,
        )
        .await;
        assert_eq!(got.is_ok(), fine, "{header:?}");
    }
}

#[tokio::test]
async fn only_what_was_expected_counts() {
    let expected = |size, checksum: &str| {
        Some(Expected {
            size,
            etag: "\"e1\"".into(),
            checksum: Some(checksum.into()),
        })
    };
    let (got, requests) = get(vec![whole(&[])], expected(10, &crc64(BODY))).await;
    assert!(got.is_ok());
    assert_eq!(requests[0].header("if-match"), Some("\"e1\""));
    let (got, _) = get(vec![whole(&[])], expected(11, "")).await;
    assert_eq!(got.unwrap_err().kind, CloudErrorKind::PreconditionFailed);
    let (got, _) = get(
        vec![whole(&[]), whole(&[]), whole(&[])],
        expected(10, &crc64(b"other")),
    )
    .await;
    assert_eq!(got.unwrap_err().kind, CloudErrorKind::Corrupt);
}

#[tokio::test]
async fn an_empty_object_is_an_empty_file() {
    let (got, requests) = get(vec![reply(200, &[ETAG], b"")], None).await;
    assert_eq!((got.unwrap().len(), requests.len()), (0, 1));
}

#[tokio::test]
async fn a_missing_object_is_one_request_and_not_found() {
    let (got, requests) = get(
        vec![s3_error(
            404,
            "NoSuchKey",
            "The specified key does not exist.",
        )],
        None,
    )
    .await;
    let error = got.unwrap_err();
    assert_eq!((error.kind, requests.len()), (CloudErrorKind::NotFound, 1));
    insta::assert_snapshot!(error, @"s3 GetObject s3://bkt/k: 404 NoSuchKey after 1 attempt (request id R1): The specified key does not exist.");
}

#[tokio::test]
async fn bytes_in_memory_are_bounded() {
    let wire = Wire::script(vec![whole(&[]), whole(&[])]).await;
    let store = wire.store().await;
    let (bytes, etag) = store.get_bytes(&uri("s3://bkt/k"), 10).await.unwrap();
    assert_eq!((&bytes[..], etag.as_str()), (BODY, "\"e1\""));
    let error = store.get_bytes(&uri("s3://bkt/k"), 9).await.unwrap_err();
    assert_eq!(error.kind, CloudErrorKind::Invalid);
}

#[tokio::test]
async fn head_knows_what_is_there_and_what_is_not() {
    let headers = [
        ETAG,
        ("last-modified", "Sun, 22 Nov 2026 03:00:00 GMT"),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
    ];
    let wire = Wire::script(vec![
        reply_of_length(200, &headers, b"", 10),
        reply(404, &[], b""),
    ])
    .await;
    let store = wire.store().await;
    let meta = store.head(&uri("s3://bkt/k")).await.unwrap().unwrap();
    assert_eq!(
        (meta.size, meta.last_modified, meta.checksum.as_deref()),
        (10, 1_795_316_400, Some("AAAAAAAAAAA="))
    );
    assert_eq!(store.head(&uri("s3://bkt/k")).await.unwrap(), None);
}

/// A store that serves ranges of [`BODY`], with faults by the range's first byte.
async fn ranges(
    checksum: String,
    fault: impl Fn(usize, usize) -> Option<Reply> + Send + Sync + 'static,
) -> Wire {
    Wire::start(move |n, request| {
        let Some(range) = request.header("range") else {
            return reply_of_length(
                200,
                &[ETAG, ("x-amz-checksum-crc64nvme", &checksum)],
                b"",
                BODY.len(),
            );
        };
        let (from, to) = range.trim_start_matches("bytes=").split_once('-').unwrap();
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        let given = format!("bytes {from}-{to}/10");
        fault(n, from)
            .unwrap_or_else(|| reply(206, &[ETAG, ("content-range", &given)], &BODY[from..=to]))
    })
    .await
}

/// Opens and reads on a thread that may block.
async fn read_all(wire: &Wire, if_match: Option<&'static str>) -> Result<Vec<u8>, std::io::Error> {
    let store = wire.store().await;
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut object: BlockingObject = store.open_read(&uri("s3://bkt/k"), if_match, handle)?;
        let mut bytes = Vec::new();
        let result = object.read_to_end(&mut bytes);
        if result.is_err() {
            // An end after an error would pass for the object's end.
            assert!(object.read(&mut [0; 1]).is_err());
        }
        result.map(|_| bytes)
    })
    .await
    .unwrap()
}

fn kind_of(error: &std::io::Error) -> CloudErrorKind {
    error
        .get_ref()
        .and_then(|e| e.downcast_ref::<CloudError>())
        .unwrap()
        .kind
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_reader_reads_ranges_of_one_version() {
    let wire = ranges(crc64(BODY), |_, _| None).await;
    assert_eq!(read_all(&wire, Some("\"e1\"")).await.unwrap(), BODY);
    let gets: Vec<_> = wire
        .requests()
        .into_iter()
        .filter(|r| r.method == "GET")
        .collect();
    let mut asked: Vec<_> = gets.iter().map(|r| r.header("range").unwrap()).collect();
    asked.sort_unstable();
    assert_eq!(asked, ["bytes=0-3", "bytes=4-7", "bytes=8-9"]);
    assert!(gets.iter().all(|r| r.header("if-match") == Some("\"e1\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_reader_survives_a_lost_range() {
    let wire = ranges(crc64(BODY), |n, from| (from == 4 && n < 3).then(lost)).await;
    assert_eq!(read_all(&wire, None).await.unwrap(), BODY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_reader_refuses_another_version() {
    let wire = ranges(crc64(BODY), |_, from| {
        (from == 8).then(|| s3_error(412, "PreconditionFailed", "x"))
    })
    .await;
    assert_eq!(
        kind_of(&read_all(&wire, None).await.unwrap_err()),
        CloudErrorKind::PreconditionFailed
    );
    assert_eq!(
        kind_of(&read_all(&wire, Some("\"old\"")).await.unwrap_err()),
        CloudErrorKind::PreconditionFailed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_reader_ends_with_an_error_if_the_bytes_are_others() {
    let wire = ranges(crc64(b"9876543210"), |_, _| None).await;
    assert_eq!(
        kind_of(&read_all(&wire, None).await.unwrap_err()),
        CloudErrorKind::Corrupt
    );
}

/// A range of its own, without the rest of the object.
async fn read_range(wire: &Wire, start: u64, len: u64) -> Result<bytes::Bytes, CloudError> {
    let store = wire.store().await;
    let handle = Handle::current();
    let read = move || store.read_range(&uri("s3://bkt/k"), "\"e1\"", start, len, &handle);
    tokio::task::spawn_blocking(read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_one_request_for_one_version() {
    let wire = ranges(crc64(BODY), |n, _| (n == 0).then(lost)).await;
    assert_eq!(read_range(&wire, 3, 5).await.unwrap(), BODY[3..8]);
    let requests = wire.requests();
    for request in &requests {
        assert_eq!(
            (request.header("range"), request.header("if-match")),
            (Some("bytes=3-7"), Some("\"e1\""))
        );
    }
    assert_eq!(requests.len(), 2, "the first was lost");
    let wire = ranges(crc64(BODY), |_, _| {
        Some(s3_error(412, "PreconditionFailed", "x"))
    })
    .await;
    assert_eq!(
        read_range(&wire, 0, 4).await.unwrap_err().kind,
        CloudErrorKind::PreconditionFailed
    );
}

/// A HEAD is answered without a reason, and what is no S3 gives none that can be read: then the server is
/// named, which may be the one thing that is wrong.
#[tokio::test]
async fn an_answer_without_a_reason_names_the_server() {
    for (status, told) in [
        (
            403,
            "refused it and gave no reason: these credentials may be wrong, or lack a permission",
        ),
        (
            405,
            "gave no reason that can be read; is it the service's endpoint?",
        ),
    ] {
        let wire = Wire::start(move |_, _| reply(status, &[], b"")).await;
        let store = wire.store().await;
        let error = store.head(&uri("s3://bkt/k")).await.unwrap_err();
        let message = error.message.clone();
        assert!(message.starts_with("http://127.0.0.1:"), "{message}");
        assert!(message.ends_with(told), "{message}");
    }
}
