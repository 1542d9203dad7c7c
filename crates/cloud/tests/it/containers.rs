//! The embedded services' own call, against those.

use gristmill_cloud::{Cloud, CloudConfig, CloudErrorKind, CreateTransformJob, LocalEndpoint};
use gristmill_emulator::{EmulatorConfig, Server};
use serde_json::json;

fn job() -> CreateTransformJob {
    serde_json::from_value(json!({
        "TransformJobName": "j", "ModelName": "none", "MaxConcurrentTransforms": 1,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 0},
        "MaxPayloadInMB": 6, "BatchStrategy": "MultiRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}},
            "ContentType": "text/csv", "CompressionType": "None", "SplitType": "Line"
        },
        "TransformOutput": {"S3OutputPath": "s3://b/o/", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "Tags": []
    }))
    .unwrap()
}

/// The signature is taken, and so the refusal is that of the model.
#[tokio::test]
async fn a_model_that_is_not_there_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(EmulatorConfig::new(dir.path(), "/nonexistent"));
    let server = server.await.unwrap();
    let endpoint = server.endpoint().clone();
    tokio::spawn(server.run_until(std::future::pending()));
    let mut local = LocalEndpoint {
        endpoint_url: endpoint.endpoint.clone(),
        access_key_id: endpoint.access_key_id.clone(),
        secret_access_key: endpoint.secret_access_key.clone(),
        region: endpoint.region.clone(),
    };
    let connect = |local: LocalEndpoint| {
        Cloud::connect(CloudConfig {
            local: Some(local),
            ..CloudConfig::default()
        })
    };
    let cloud = connect(local.clone()).await.unwrap();
    let containers = cloud.containers().unwrap();
    let error = containers.probe(&job(), "a.csv", b"1\n").await.unwrap_err();
    assert_eq!(error.kind, CloudErrorKind::NotFound, "{error}");
    assert!(
        error.to_string().contains("Could not find model"),
        "{error}"
    );
    local.secret_access_key = "another".to_owned();
    let cloud = connect(local).await.unwrap();
    let containers = cloud.containers().unwrap();
    let error = containers.probe(&job(), "a.csv", b"1\n").await.unwrap_err();
    assert_eq!(error.kind, CloudErrorKind::Credentials, "{error}");
}
