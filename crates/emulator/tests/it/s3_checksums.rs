//! Checksums: what is wrong is not stored, what is right comes back.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;

use crate::support::{Call, Emulator, keys, noise, refusal, send};

const HEADERS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

#[tokio::test]
async fn every_algorithm_is_verified_as_header_and_as_trailer() {
    let (emulator, s3) = Emulator::with_bucket().await;
    for header in HEADERS {
        let right = sum(header, b"hello world");
        let wrong = sum(header, b"hello worle");
        for (value, status) in [
            (&right, StatusCode::OK),
            (&wrong, StatusCode::BAD_REQUEST),
            (&"AA==".to_owned(), StatusCode::BAD_REQUEST),
        ] {
            let call = Call {
                headers: vec![(header, value.clone())],
                body: b"hello world".to_vec(),
                ..Call::s3("PUT", "/bucket/header")
            };
            assert_eq!(
                send(&emulator.endpoint, call).await.status,
                status,
                "{header} {value}"
            );
            let answer = send(&emulator.endpoint, trailing(header, value)).await;
            assert_eq!(answer.status, status, "{header} {value} {}", answer.body);
            let stored = keys(&s3).await;
            assert_eq!(
                stored.len(),
                if status == StatusCode::OK { 2 } else { 0 },
                "{header} {value}"
            );
            for key in stored {
                s3.delete_object()
                    .bucket("bucket")
                    .key(key)
                    .send()
                    .await
                    .unwrap();
            }
        }
    }
}

/// The sum of bytes; that it is right, the unit tests of the store check.
fn sum(header: &str, bytes: &[u8]) -> String {
    use s3s::crypto::{Checksum, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
    let digest = match header.rsplit('-').next().unwrap() {
        "crc32" => Crc32::checksum(bytes).to_vec(),
        "crc32c" => Crc32c::checksum(bytes).to_vec(),
        "crc64nvme" => Crc64Nvme::checksum(bytes).to_vec(),
        "sha1" => Sha1::checksum(bytes).to_vec(),
        _ => Sha256::checksum(bytes).to_vec(),
    };
    BASE64.encode(digest)
}

/// `hello world` in two chunks, with a trailer, as SDKs send by default.
fn trailing<'a>(header: &'a str, value: &str) -> Call<'a> {
    let body = format!("6\r\nhello \r\n5\r\nworld\r\n0\r\n{header}:{value}\r\n\r\n");
    Call {
        headers: vec![
            ("content-encoding", "aws-chunked".to_owned()),
            ("x-amz-trailer", header.to_owned()),
            ("x-amz-decoded-content-length", "11".to_owned()),
        ],
        body: body.into_bytes(),
        payload: Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ..Call::s3("PUT", "/bucket/trailer")
    }
}

#[tokio::test]
async fn a_trailer_that_was_promised_must_come() {
    let (emulator, s3) = Emulator::with_bucket().await;
    let mut call = trailing("x-amz-checksum-crc32", "i9aeUg==");
    call.body = b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n".to_vec();
    assert_eq!(
        send(&emulator.endpoint, call).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(keys(&s3).await, Vec::<String>::new());
}

#[tokio::test]
async fn md5_and_payload_hash_are_verified() {
    let (emulator, s3) = Emulator::with_bucket().await;
    let put = |md5: &str| {
        let put = s3
            .put_object()
            .bucket("bucket")
            .key("k")
            .body(ByteStream::from_static(b"hello world"));
        put.content_md5(md5).send()
    };
    assert_eq!(
        refusal(put("XrY7u+Ae7tCTyyK7j1rNwx==").await),
        (400, "BadDigest".to_owned())
    );
    let call = Call {
        payload: Some("b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcdea"),
        body: b"hello world".to_vec(),
        ..Call::s3("PUT", "/bucket/k")
    };
    let answer = send(&emulator.endpoint, call).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer.body.contains("XAmzContentSHA256Mismatch"),
        "{}",
        answer.body
    );
    assert_eq!(keys(&s3).await, Vec::<String>::new());
    put("XrY7u+Ae7tCTyyK7j1rNww==").await.unwrap();
}

#[tokio::test]
async fn what_was_announced_comes_back_and_crc64nvme_where_nothing_was() {
    let (emulator, s3) = Emulator::with_bucket().await;
    let body = noise(3, 100_000);
    let put = s3
        .put_object()
        .bucket("bucket")
        .key("sha")
        .checksum_algorithm(ChecksumAlgorithm::Sha256);
    put.body(ByteStream::from(body.clone()))
        .send()
        .await
        .unwrap();
    let got = s3
        .get_object()
        .bucket("bucket")
        .key("sha")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(got.checksum_sha256(), Some(sum("sha256", &body).as_str()));
    assert_eq!(got.checksum_type(), Some(&ChecksumType::FullObject));
    assert!(got.body.collect().await.unwrap().to_vec() == body);
    let call = Call {
        body: body.clone(),
        ..Call::s3("PUT", "/bucket/plain")
    };
    assert_eq!(send(&emulator.endpoint, call).await.status, StatusCode::OK);
    let head = s3
        .head_object()
        .bucket("bucket")
        .key("plain")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(
        head.checksum_crc64_nvme(),
        Some(sum("crc64nvme", &body).as_str())
    );
    let quiet = s3
        .head_object()
        .bucket("bucket")
        .key("plain")
        .send()
        .await
        .unwrap();
    assert_eq!(quiet.checksum_crc64_nvme(), None);
}
