//! The process around the services.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gristmill_emulator::{EmulatorConfig, EmulatorError, Endpoint, Server};
use http::StatusCode;

use crate::support::{Call, Emulator, get, put, send, start_server};

#[tokio::test]
async fn one_folder_has_one_emulator() {
    let emulator = Emulator::start().await;
    match start_server(&emulator.dir).await {
        Err(EmulatorError::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    emulator.restart().await;
}

#[tokio::test]
async fn the_endpoint_file_is_the_owners_and_goes_with_the_server() {
    let emulator = Emulator::start().await;
    for file in ["endpoint.json", "keys.json"] {
        let mode = std::fs::metadata(emulator.dir.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(
        Endpoint::read(emulator.dir.path()).unwrap().as_ref(),
        Some(&emulator.endpoint)
    );
    assert!(emulator.endpoint.endpoint.starts_with("http://127.0.0.1:"));
    let dir = emulator.stop().await;
    assert_eq!(Endpoint::read(dir.path()).unwrap(), None);
}

#[tokio::test]
async fn health_needs_no_key() {
    let emulator = Emulator::start().await;
    let mut stranger = emulator.endpoint.clone();
    stranger.access_key_id = "AKIANOBODY".to_owned();
    let answer = send(&stranger, Call::s3("GET", "/_gristmill/health")).await;
    assert_eq!(
        answer.body,
        format!("{{\"status\":\"ok\",\"pid\":{}}}", std::process::id())
    );
}

/// It keeps answering, and says what is wrong, where the list of faults holds a mistake.
#[tokio::test]
async fn health_tells_of_a_mistake_among_the_faults() {
    let emulator = Emulator::start().await;
    let faults = emulator.dir.path().join("faults.json");
    std::fs::write(&faults, "[\n{\"fault\":\"drop_rows\"}]").unwrap();
    let answer = send(&emulator.endpoint, Call::s3("GET", "/_gristmill/health")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer
            .body
            .contains("faults.json: line 2, rule 1: there is no fault"),
        "{}",
        answer.body
    );
}

/// As SageMaker's calls are; what else is signed, or not, is refused.
#[tokio::test]
async fn a_probe_is_signed_for_sagemaker() {
    let emulator = Emulator::start().await;
    let probe = |service: &'static str| Call {
        service,
        body: b"{\"Job\":{\"ModelName\":\"m\"},\"Object\":\"o.csv\"}\n1\n".to_vec(),
        ..Call::s3("POST", "/_gristmill/probe")
    };
    let other = send(&emulator.endpoint, probe("s3")).await;
    assert!(
        other.body.contains("InvalidSignatureException"),
        "{}",
        other.body
    );
    let mut stranger = emulator.endpoint.clone();
    stranger.secret_access_key = "other".to_owned();
    let forged = send(&stranger, probe("sagemaker")).await;
    assert!(
        forged.body.contains("InvalidSignatureException"),
        "{}",
        forged.body
    );
    let ours = send(&emulator.endpoint, probe("sagemaker")).await;
    assert_eq!(ours.status, StatusCode::BAD_REQUEST);
    assert!(ours.body.contains("Could not find model"), "{}", ours.body);
}

#[tokio::test]
async fn an_idle_emulator_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = EmulatorConfig::new(dir.path(), "/nonexistent");
    config.idle_exit = Some(Duration::from_millis(20));
    Server::start(config).await.unwrap().run().await.unwrap();
    assert_eq!(Endpoint::read(dir.path()).unwrap(), None);
}

#[tokio::test]
async fn faults_answer_instead_of_the_service_or_after_it() {
    let (emulator, s3) = Emulator::with_bucket().await;
    let rules = r#"[
        { "method": "PUT", "path": "/bucket/slow", "times": 1, "status": 503, "code": "SlowDown", "message": "later" },
        { "target": "SageMaker.ListModels", "status": 400, "code": "ThrottlingException", "message": "Rate exceeded" },
        { "method": "PUT", "path": "/bucket/lost", "times": 1, "lost": true } ]"#;
    std::fs::write(emulator.dir.path().join("faults.json"), rules).unwrap();
    let slow = send(&emulator.endpoint, Call::s3("PUT", "/bucket/slow")).await;
    assert_eq!(slow.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(slow.body.contains("<Code>SlowDown</Code>"), "{}", slow.body);
    put(&s3, "slow", b"x").await;
    let throttled = send(&emulator.endpoint, Call::json("SageMaker.ListModels")).await;
    assert!(
        throttled.body.contains("ThrottlingException"),
        "{}",
        throttled.body
    );
    let lost = s3.put_object().bucket("bucket").key("lost").send().await;
    assert!(lost.unwrap_err().raw_response().is_none());
    s3.head_object()
        .bucket("bucket")
        .key("lost")
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn quotas_rates_and_delays_are_faults_too() {
    let (emulator, s3) = Emulator::with_bucket().await;
    let rules = r#"[
        { "fault": "limit" }, { "fault": "throttle", "target": "SageMaker.ListModels", "share": 0.5 },
        { "fault": "throttle", "method": "PUT", "path": "/bucket/slow", "times": 1 },
        { "method": "GET", "path": "/bucket/slow", "delay_ms": 60 } ]"#;
    std::fs::write(emulator.dir.path().join("faults.json"), rules).unwrap();
    let call = async |target| send(&emulator.endpoint, Call::json(target)).await;
    let refused = call("SageMaker.CreateTransformJob").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(
        refused.body.contains("ResourceLimitExceeded"),
        "{}",
        refused.body
    );
    assert!(call("SageMaker.ListModels").await.body.contains("Models"));
    assert!(
        call("SageMaker.ListModels")
            .await
            .body
            .contains("Rate exceeded")
    );
    let slow = send(&emulator.endpoint, Call::s3("PUT", "/bucket/slow")).await;
    assert!(slow.body.contains("<Code>SlowDown</Code>"), "{}", slow.body);
    put(&s3, "slow", b"x").await;
    let begun = std::time::Instant::now();
    assert_eq!(get(&s3, "slow").await, b"x");
    assert!(begun.elapsed() >= Duration::from_millis(60));
}
