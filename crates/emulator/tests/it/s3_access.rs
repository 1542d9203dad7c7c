//! Who is let in.

use http::StatusCode;

use crate::support::{Call, Emulator, put, refusal, send};

#[tokio::test]
async fn a_wrong_secret_an_unknown_key_and_nobody_are_refused() {
    let (emulator, s3) = Emulator::with_bucket().await;
    put(&s3, "k", b"x").await;
    let key = emulator.endpoint.access_key_id.clone();
    let list = |s3: aws_sdk_s3::Client| async move {
        refusal(s3.list_objects_v2().bucket("bucket").send().await)
    };
    assert_eq!(
        list(emulator.s3_as(&key, "wrong")).await,
        (403, "SignatureDoesNotMatch".to_owned())
    );
    assert_eq!(
        list(emulator.s3_as("AKIAOTHER", "wrong")).await,
        (403, "InvalidAccessKeyId".to_owned())
    );
    let url: http::Uri = format!("{}/bucket/k", emulator.endpoint.endpoint)
        .parse()
        .unwrap();
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http();
    let anonymous = client
        .request(http::Request::get(url).body(String::new()).unwrap())
        .await
        .unwrap();
    assert_eq!(anonymous.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_clock_that_is_wrong_and_an_owner_that_is_another_are_refused() {
    let (emulator, s3) = Emulator::with_bucket().await;
    for ahead in [-1000, 1000] {
        let answer = send(
            &emulator.endpoint,
            Call {
                ahead,
                ..Call::s3("GET", "/bucket")
            },
        )
        .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(
            answer.body.contains("<Code>RequestTimeTooSkewed</Code>"),
            "{}",
            answer.body
        );
    }
    assert_eq!(
        send(&emulator.endpoint, Call::s3("GET", "/bucket"))
            .await
            .status,
        StatusCode::OK
    );
    let head = s3
        .list_objects_v2()
        .bucket("bucket")
        .expected_bucket_owner("123456789012")
        .send()
        .await;
    assert_eq!(refusal(head), (403, "AccessDenied".to_owned()));
    let mine = s3
        .list_objects_v2()
        .bucket("bucket")
        .expected_bucket_owner(&emulator.endpoint.account)
        .send()
        .await;
    mine.unwrap();
}

#[tokio::test]
async fn json_services_check_their_signature_too() {
    let emulator = Emulator::start().await;
    let call = || Call::json("SageMaker.NoSuchOperation");
    let code = async |endpoint: &gristmill_emulator::Endpoint, call: Call<'_>| {
        let answer = send(endpoint, call).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        body["__type"].as_str().unwrap().to_owned()
    };
    let right = emulator.endpoint.clone();
    assert_eq!(code(&right, call()).await, "UnknownOperationException");
    let mut wrong = right.clone();
    wrong.secret_access_key = "wrong".to_owned();
    assert_eq!(code(&wrong, call()).await, "InvalidSignatureException");
    wrong.access_key_id = "AKIAOTHER".to_owned();
    assert_eq!(code(&wrong, call()).await, "UnrecognizedClientException");
    assert_eq!(
        code(
            &right,
            Call {
                ahead: 1000,
                ..call()
            }
        )
        .await,
        "InvalidSignatureException"
    );
    assert_eq!(
        code(
            &right,
            Call {
                service: "s3",
                ..call()
            }
        )
        .await,
        "InvalidSignatureException"
    );
    assert_eq!(
        code(&right, Call::json("DynamoDB_20120810.ListTables")).await,
        "UnknownOperationException"
    );
}
