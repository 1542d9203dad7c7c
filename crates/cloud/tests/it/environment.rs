//! What the environment may change. Each test runs itself as a child, with an environment of its
//! own: one process has one.

use crate::wire::{Wire, reply_of_length, uri};
use gristmill_cloud::{Cloud, CloudConfig, CloudErrorKind};
use std::process::Output;

const ROLE: &str = "GRISTMILL_CLOUD_TEST_ROLE";
const URL: &str = "GRISTMILL_CLOUD_TEST_URL";

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Runs one test of this binary as a child with nothing but this environment.
async fn child(test: &str, variables: &[(&str, &str)]) -> Output {
    tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env_clear()
        .env(ROLE, "child")
        .envs(variables.iter().copied())
        .output()
        .await
        .unwrap()
}

fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn answering() -> Wire {
    Wire::start(|_, request| match request.header("x-amz-target") {
        Some(_) => crate::wire::json(
            400,
            &serde_json::json!({"__type": "ResourceNotFound", "Message": "none"}),
        ),
        None => reply_of_length(200, &[("etag", "\"e\"")], b"", 7),
    })
    .await
}

async fn use_both(cloud: &Cloud) {
    assert_eq!(
        cloud
            .store()
            .head(&uri("s3://bkt/k"))
            .await
            .unwrap()
            .unwrap()
            .size,
        7
    );
    assert_eq!(cloud.transforms().describe_job("j").await.unwrap(), None);
}

#[tokio::test]
async fn local_is_local_whatever_the_environment_says() {
    if role().is_some() {
        let mut config = Wire::script(vec![]).await.config();
        config.local.as_mut().unwrap().endpoint_url = std::env::var(URL).unwrap();
        return use_both(&Cloud::connect(config).await.unwrap()).await;
    }
    let (right, wrong) = (answering().await, answering().await);
    let variables = [
        (URL, right.url.as_str()),
        ("AWS_ENDPOINT_URL", &wrong.url),
        ("AWS_ENDPOINT_URL_S3", &wrong.url),
        ("AWS_ENDPOINT_URL_SAGEMAKER", &wrong.url),
        ("HTTP_PROXY", &wrong.url),
        ("http_proxy", &wrong.url),
        ("ALL_PROXY", &wrong.url),
        ("AWS_PROFILE", "missing"),
        ("AWS_ACCESS_KEY_ID", "other"),
        ("AWS_SECRET_ACCESS_KEY", "other"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &wrong.url),
    ];
    assert_passed(
        &child(
            "environment::local_is_local_whatever_the_environment_says",
            &variables,
        )
        .await,
    );
    assert_eq!((right.requests().len(), wrong.requests().len()), (2, 0));
    let signed = right.requests()[0]
        .header("authorization")
        .unwrap()
        .to_owned();
    assert!(
        signed.contains(crate::wire::KEY_ID) && signed.contains("/us-east-1/s3/"),
        "{signed}"
    );
}

#[tokio::test]
async fn each_service_may_have_its_endpoint() {
    if role().is_some() {
        let cloud = Cloud::connect(CloudConfig::default()).await.unwrap();
        let place = cloud.s3_endpoint().unwrap();
        assert!(
            place.starts_with("http://localhost:") && !cloud.is_aws(),
            "{place}"
        );
        return use_both(&cloud).await;
    }
    let (s3, sagemaker) = (answering().await, answering().await);
    // By the name localhost: a bucket in the host name would lead nowhere.
    let s3_url = s3.url.replace("127.0.0.1", "localhost");
    let variables = [
        ("AWS_ENDPOINT_URL_S3", s3_url.as_str()),
        ("AWS_ENDPOINT_URL_SAGEMAKER", &sagemaker.url),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
    ];
    assert_passed(
        &child(
            "environment::each_service_may_have_its_endpoint",
            &variables,
        )
        .await,
    );
    assert_eq!(s3.lines(), ["HEAD /bkt/k"]);
    assert_eq!(
        sagemaker.requests()[0].header("x-amz-target"),
        Some("SageMaker.DescribeTransformJob")
    );
}

#[tokio::test]
async fn one_endpoint_serves_all() {
    if role().is_some() {
        return use_both(&Cloud::connect(CloudConfig::default()).await.unwrap()).await;
    }
    let wire = answering().await;
    let variables = [
        ("AWS_ENDPOINT_URL", wire.url.as_str()),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
    ];
    assert_passed(&child("environment::one_endpoint_serves_all", &variables).await);
    assert_eq!(wire.requests().len(), 2);
}

#[tokio::test]
async fn without_a_region_or_credentials_it_says_so() {
    if role().is_some() {
        let error = Cloud::connect(CloudConfig::default()).await.unwrap_err();
        assert_eq!(error.kind, CloudErrorKind::Invalid);
        assert!(
            error.help.as_deref().unwrap().contains("AWS_REGION"),
            "{error}"
        );
        let config = CloudConfig {
            region: Some("eu-west-1".into()),
            ..CloudConfig::default()
        };
        let cloud = Cloud::connect(config).await.unwrap();
        assert!(cloud.is_aws() && cloud.s3_endpoint().is_none());
        let error = cloud.store().head(&uri("s3://bkt/k")).await.unwrap_err();
        assert_eq!(
            (error.kind, error.attempts),
            (CloudErrorKind::Credentials, 0),
            "{error}"
        );
        return;
    }
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("HOME", "/nonexistent"),
    ];
    assert_passed(
        &child(
            "environment::without_a_region_or_credentials_it_says_so",
            &variables,
        )
        .await,
    );
}

#[tokio::test]
async fn only_this_machine_is_local() {
    let mut config = Wire::script(vec![]).await.config();
    config.local.as_mut().unwrap().endpoint_url = "http://192.0.2.1:9000".into();
    assert_eq!(
        Cloud::connect(config).await.unwrap_err().kind,
        CloudErrorKind::Invalid
    );
}
