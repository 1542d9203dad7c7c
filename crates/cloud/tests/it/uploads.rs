use crate::wire::{Reply, Request, Wire, crc64, lost, reply, reply_of_length, s3_error, uri};
use gristmill_cloud::{CloudError, CloudErrorKind, PutOptions, PutReceipt};
use std::sync::Mutex;

const BODY: &[u8] = b"hello";

fn created() -> Reply {
    reply(200, &[("etag", "\"e1\"")], b"")
}

fn there(checksum: Option<&str>, size: usize) -> Reply {
    let mut headers = vec![("etag", "\"e9\"")];
    headers.extend(checksum.map(|c| ("x-amz-checksum-crc64nvme", c)));
    reply_of_length(200, &headers, b"", size)
}

fn refused() -> Reply {
    s3_error(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
    )
}

async fn put(
    replies: Vec<Reply>,
    options: PutOptions,
) -> (Result<PutReceipt, CloudError>, Vec<Request>) {
    let wire = Wire::script(replies).await;
    let got = wire
        .store()
        .await
        .put_bytes(&uri("s3://bkt/a/k"), BODY.into(), &options)
        .await;
    (got, wire.requests())
}

#[tokio::test]
async fn an_object_is_sent_with_its_checksum() {
    let options = PutOptions {
        content_type: Some("text/csv".into()),
        ..PutOptions::if_absent()
    };
    let (got, requests) = put(vec![created()], options).await;
    let receipt = got.unwrap();
    assert_eq!(
        (receipt.key.as_str(), receipt.etag.as_str(), receipt.size),
        ("a/k", "\"e1\"", 5)
    );
    assert_eq!(receipt.checksum, crc64(BODY));
    let sent = &requests[0];
    assert_eq!(
        (sent.line().as_str(), &sent.body[..]),
        ("PUT /bkt/a/k?x-id=PutObject", BODY)
    );
    assert_eq!(
        sent.header("x-amz-checksum-crc64nvme"),
        Some(crc64(BODY).as_str())
    );
    assert_eq!(
        (sent.header("if-none-match"), sent.header("content-type")),
        (Some("*"), Some("text/csv"))
    );
}

#[tokio::test]
async fn temporary_answers_are_sent_again() {
    for answer in [
        s3_error(503, "SlowDown", "Please reduce your request rate."),
        s3_error(500, "InternalError", "We encountered an internal error."),
        s3_error(409, "ConditionalRequestConflict", "busy"),
        s3_error(400, "BadDigest", "The digest did not match"),
        lost(),
    ] {
        let (got, requests) = put(vec![answer.clone(), created()], PutOptions::default()).await;
        assert_eq!(
            (got.is_ok(), requests.len()),
            (true, 2),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}

#[tokio::test]
async fn what_stays_slow_is_given_up_after_all_attempts() {
    let slow = || s3_error(503, "SlowDown", "Please reduce your request rate.");
    let (got, requests) = put((0..9).map(|_| slow()).collect(), PutOptions::default()).await;
    let error = got.unwrap_err();
    assert_eq!((error.kind, requests.len()), (CloudErrorKind::Throttled, 4));
    insta::assert_snapshot!(error, @"s3 PutObject s3://bkt/a/k: 503 SlowDown after 4 attempts (request id R1): Please reduce your request rate.");
}

#[tokio::test]
async fn final_answers_are_one_request() {
    for (status, code, kind) in [
        (403, "AccessDenied", CloudErrorKind::AccessDenied),
        (404, "NoSuchBucket", CloudErrorKind::NotFound),
        (400, "InvalidArgument", CloudErrorKind::Invalid),
        (403, "ExpiredToken", CloudErrorKind::Credentials),
    ] {
        let (got, requests) = put(
            vec![s3_error(status, code, "no"), created()],
            PutOptions::default(),
        )
        .await;
        assert_eq!((got.unwrap_err().kind, requests.len()), (kind, 1), "{code}");
    }
}

#[tokio::test]
async fn a_bucket_elsewhere_is_named_with_its_region() {
    let moved = reply(
        301,
        &[("x-amz-bucket-region", "eu-west-3")],
        "<Error><Code>PermanentRedirect</Code></Error>",
    );
    let (got, requests) = put(vec![moved, created()], PutOptions::default()).await;
    assert_eq!(
        got.unwrap_err().help.as_deref(),
        Some("the bucket is in eu-west-3: set AWS_REGION to it")
    );
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn a_conditional_put_whose_answer_was_lost_is_a_success() {
    for options in [PutOptions::if_absent(), PutOptions::if_match("\"e0\"")] {
        let (got, requests) = put(
            vec![lost(), refused(), there(Some(&crc64(BODY)), 5)],
            options,
        )
        .await;
        assert_eq!(got.unwrap().etag, "\"e9\"");
        assert_eq!(
            requests
                .iter()
                .map(|r| r.method.as_str())
                .collect::<Vec<_>>(),
            ["PUT", "PUT", "HEAD"]
        );
    }
}

#[tokio::test]
async fn a_store_without_checksums_is_asked_for_the_bytes() {
    let same = reply(200, &[("etag", "\"e9\"")], BODY);
    let (got, _) = put(
        vec![lost(), refused(), there(None, 5), same],
        PutOptions::if_absent(),
    )
    .await;
    assert_eq!(got.unwrap().etag, "\"e9\"");
    let other = reply(200, &[("etag", "\"e9\"")], b"hallo");
    let (got, _) = put(
        vec![lost(), refused(), there(None, 5), other],
        PutOptions::if_absent(),
    )
    .await;
    assert_eq!(got.unwrap_err().kind, CloudErrorKind::PreconditionFailed);
}

#[tokio::test]
async fn somebody_elses_object_is_refused() {
    // Refused at the first attempt: even the same bytes are not ours.
    let (got, requests) = put(
        vec![refused(), there(Some(&crc64(BODY)), 5)],
        PutOptions::if_absent(),
    )
    .await;
    assert_eq!(
        (got.unwrap_err().kind, requests.len()),
        (CloudErrorKind::PreconditionFailed, 1)
    );
    // Refused after a lost answer, and other bytes are there, or none any more.
    for found in [
        there(Some(&crc64(b"hallo")), 5),
        there(Some(&crc64(BODY)), 6),
        reply(404, &[], b""),
    ] {
        let (got, _) = put(vec![lost(), refused(), found], PutOptions::if_absent()).await;
        assert_eq!(got.unwrap_err().kind, CloudErrorKind::PreconditionFailed);
    }
}

#[tokio::test]
async fn a_store_that_confirms_other_bytes_is_not_believed() {
    let wrong = || {
        reply(
            200,
            &[
                ("etag", "\"e1\""),
                ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
            ],
            b"",
        )
    };
    let (got, requests) = put((0..9).map(|_| wrong()).collect(), PutOptions::default()).await;
    assert_eq!(
        (got.unwrap_err().kind, requests.len()),
        (CloudErrorKind::Corrupt, 4)
    );
}

/// A store for one multipart upload. `on_complete` answers the n-th CompleteMultipartUpload.
async fn parts_store(on_complete: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Wire {
    let completes = Mutex::new(0);
    Wire::start(move |_, request| match (request.method.as_str(), request.target.split_once('?').unwrap_or_default().1) {
        ("POST", query) if query.contains("uploads") => {
            reply(200, &[], "<InitiateMultipartUploadResult><UploadId>U1</UploadId></InitiateMultipartUploadResult>")
        }
        ("PUT", _) => created(),
        ("POST", _) => {
            let mut n = completes.lock().unwrap();
            *n += 1;
            on_complete(*n)
        }
        ("DELETE", _) => reply(204, &[], b""),
        _ => there(Some(&crc64(&large())), large().len()),
    })
    .await
}

/// 30 bytes: four parts of 8, 8, 8 and 6.
fn large() -> Vec<u8> {
    (b'a'..=b'z').chain(*b"0123").collect()
}

fn completed() -> Reply {
    reply(
        200,
        &[],
        "<CompleteMultipartUploadResult><ETag>\"e7\"</ETag></CompleteMultipartUploadResult>",
    )
}

async fn put_large(wire: &Wire, options: PutOptions) -> Result<PutReceipt, CloudError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in");
    std::fs::write(&path, large()).unwrap();
    wire.store()
        .await
        .put_file(&uri("s3://bkt/k"), &path, &options)
        .await
}

#[tokio::test]
async fn a_large_file_is_sent_in_parts_and_joined_by_its_checksum() {
    let wire = parts_store(|_| completed()).await;
    let receipt = put_large(&wire, PutOptions::if_absent()).await.unwrap();
    assert_eq!(
        (receipt.etag.as_str(), receipt.size, receipt.checksum),
        ("\"e7\"", 30, crc64(&large()))
    );

    let requests = wire.requests();
    let begin = &requests[0];
    assert_eq!(begin.header("x-amz-checksum-algorithm"), Some("CRC64NVME"));
    assert_eq!(begin.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    let mut parts: Vec<_> = requests.iter().filter(|r| r.method == "PUT").collect();
    parts.sort_by_key(|r| r.target.clone());
    assert_eq!(
        parts
            .iter()
            .flat_map(|r| r.body.clone())
            .collect::<Vec<_>>(),
        large()
    );
    assert!(
        parts
            .iter()
            .all(|r| r.header("x-amz-checksum-crc64nvme") == Some(&crc64(&r.body)))
    );
    let end = requests.last().unwrap();
    assert_eq!(
        end.header("x-amz-checksum-crc64nvme"),
        Some(crc64(&large()).as_str())
    );
    assert_eq!(
        (
            end.header("if-none-match"),
            end.header("x-amz-mp-object-size")
        ),
        (Some("*"), Some("30"))
    );
    let body = String::from_utf8_lossy(&end.body).into_owned();
    let numbers: Vec<_> = body
        .split("<PartNumber>")
        .skip(1)
        .map(|rest| &rest[..1])
        .collect();
    assert_eq!(numbers, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_failure_that_comes_with_status_200_is_a_failure() {
    let wire = parts_store(|n| {
        if n == 1 {
            reply(
                200,
                &[],
                "<Error><Code>InternalError</Code><Message>x</Message></Error>",
            )
        } else {
            completed()
        }
    })
    .await;
    assert_eq!(
        put_large(&wire, PutOptions::default()).await.unwrap().etag,
        "\"e7\""
    );
    let ends = wire
        .lines()
        .iter()
        .filter(|l| l.starts_with("POST") && l.contains("uploadId"))
        .count();
    assert_eq!(ends, 2);
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_a_success() {
    for answer in ["NoSuchUpload", "PreconditionFailed"] {
        let status = if answer == "NoSuchUpload" { 404 } else { 412 };
        let wire = parts_store(move |n| {
            if n == 1 {
                lost()
            } else {
                s3_error(status, answer, "x")
            }
        })
        .await;
        let receipt = put_large(&wire, PutOptions::if_absent()).await.unwrap();
        assert_eq!(
            (receipt.etag.as_str(), receipt.checksum),
            ("\"e9\"", crc64(&large())),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_failed_upload_leaves_no_parts() {
    let wire = parts_store(|_| s3_error(403, "AccessDenied", "no")).await;
    assert_eq!(
        put_large(&wire, PutOptions::default())
            .await
            .unwrap_err()
            .kind,
        CloudErrorKind::AccessDenied
    );
    assert!(
        wire.lines().last().unwrap().starts_with("DELETE /bkt/k"),
        "{:?}",
        wire.lines()
    );
}

#[tokio::test]
async fn a_race_at_the_end_begins_the_upload_anew() {
    let wire = parts_store(|n| {
        if n == 1 {
            s3_error(409, "ConditionalRequestConflict", "race")
        } else {
            completed()
        }
    })
    .await;
    assert!(put_large(&wire, PutOptions::if_absent()).await.is_ok());
    let lines = wire.lines();
    assert_eq!(lines.iter().filter(|l| l.starts_with("PUT")).count(), 8);
    assert_eq!(lines.iter().filter(|l| l.starts_with("DELETE")).count(), 1);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let wire = Wire::script(vec![]).await;
    let path = std::path::Path::new("/nonexistent/file.csv");
    let error = wire
        .store()
        .await
        .put_file(&uri("s3://bkt/k"), path, &PutOptions::default())
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"read /nonexistent/file.csv: No such file or directory (os error 2)");
    assert_eq!((error.kind, wire.requests().len()), (CloudErrorKind::Io, 0));
}

#[tokio::test]
async fn a_copy_is_of_the_version_that_was_looked_at() {
    let copied = reply(
        200,
        &[],
        "<CopyObjectResult><ETag>\"e2\"</ETag></CopyObjectResult>",
    );
    let wire = Wire::script(vec![there(None, 5), copied]).await;
    let (from, to) = (uri("s3://bkt/a b/é+"), uri("s3://other/k"));
    wire.store().await.copy(&from, &to, None).await.unwrap();
    let sent = &wire.requests()[1];
    assert_eq!(
        sent.header("x-amz-copy-source"),
        Some("bkt/a%20b/%C3%A9%2B")
    );
    assert_eq!(sent.header("x-amz-copy-source-if-match"), Some("\"e9\""));
}

#[tokio::test]
async fn a_bucket_of_ours_is_there_already() {
    let wire = Wire::script(vec![
        s3_error(409, "BucketAlreadyOwnedByYou", "yours"),
        s3_error(409, "BucketAlreadyExists", "not yours"),
    ])
    .await;
    let store = wire.store().await;
    store.ensure_bucket("bkt").await.unwrap();
    assert_eq!(
        store.ensure_bucket("bkt").await.unwrap_err().kind,
        CloudErrorKind::NameInUse
    );
}
