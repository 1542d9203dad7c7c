use crate::wire::{Reply, Wire, json, lost};
use gristmill_cloud::{CloudErrorKind, CreateModel, CreateTransformJob, JobStatus, Tag, VpcConfig};
use serde_json::{Value, json};

const ARN: &str = "arn:aws:sagemaker:us-east-1:123456789012:transform-job/nightly-1";

fn request() -> Value {
    json!({
        "TransformJobName": "nightly-1", "ModelName": "churn", "MaxConcurrentTransforms": 16,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 600, "InvocationsMaxRetries": 3},
        "MaxPayloadInMB": 6, "BatchStrategy": "MultiRecord", "Environment": {"A": "1"},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://b/m"}},
            "ContentType": "text/csv", "CompressionType": "Gzip", "SplitType": "Line"
        },
        "TransformOutput": {"S3OutputPath": "s3://b/o/", "Accept": "text/csv", "AssembleWith": "Line", "KmsKeyId": "k"},
        "DataCaptureConfig": {"DestinationS3Uri": "s3://b/c", "KmsKeyId": "k", "GenerateInferenceId": true},
        "TransformResources": {"InstanceType": "ml.x99.huge", "InstanceCount": 2, "VolumeKmsKeyId": "v", "TransformAmiVersion": "a"},
        "DataProcessing": {"InputFilter": "$[1:]", "OutputFilter": "$", "JoinSource": "Input"},
        "Tags": [{"Key": "k", "Value": "v"}],
        "ExperimentConfig": {"ExperimentName": "e", "TrialName": "t", "TrialComponentDisplayName": "d", "RunName": "r"}
    })
}

fn typed() -> CreateTransformJob {
    serde_json::from_value(request()).unwrap()
}

fn error(code: &str, message: &str) -> Reply {
    json(400, &json!({"__type": code, "Message": message}))
}

#[tokio::test]
async fn the_wire_carries_exactly_the_request() {
    let wire = Wire::script(vec![json(200, &json!({"TransformJobArn": ARN}))]).await;
    assert_eq!(
        wire.transforms().await.create_job(&typed()).await.unwrap(),
        ARN
    );
    let sent = &wire.requests()[0];
    assert_eq!(
        sent.header("x-amz-target"),
        Some("SageMaker.CreateTransformJob")
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&sent.body).unwrap(),
        request()
    );
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (code, message, kind) in [
        (
            "ResourceInUse",
            "Job name must be unique",
            CloudErrorKind::NameInUse,
        ),
        (
            "ResourceLimitExceeded",
            "ml.m5.xlarge is 0 Instances",
            CloudErrorKind::Quota,
        ),
        (
            "ValidationException",
            "Could not find model \"arn:x\".",
            CloudErrorKind::NotFound,
        ),
        (
            "ValidationException",
            "1 validation error detected",
            CloudErrorKind::Invalid,
        ),
        (
            "AccessDeniedException",
            "User is not authorized",
            CloudErrorKind::AccessDenied,
        ),
    ] {
        let wire = Wire::script(vec![error(code, message)]).await;
        let failed = wire
            .transforms()
            .await
            .create_job(&typed())
            .await
            .unwrap_err();
        assert_eq!((failed.kind, wire.requests().len()), (kind, 1), "{failed}");
        assert_eq!(failed.request_id.as_deref(), Some("R2"));
    }
}

#[tokio::test]
async fn throttling_is_waited_out_or_said() {
    let slow = || error("ThrottlingException", "Rate exceeded");
    let wire = Wire::script(vec![
        slow(),
        slow(),
        json(200, &json!({"TransformJobArn": ARN})),
    ])
    .await;
    assert!(wire.transforms().await.create_job(&typed()).await.is_ok());
    let wire = Wire::script((0..9).map(|_| slow()).collect()).await;
    let failed = wire
        .transforms()
        .await
        .create_job(&typed())
        .await
        .unwrap_err();
    insta::assert_snapshot!(failed, @"sagemaker CreateTransformJob nightly-1: 400 ThrottlingException after 4 attempts (request id R2): Rate exceeded");
    assert_eq!(failed.kind, CloudErrorKind::Throttled);
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_says_that_there_were_two_attempts() {
    let wire = Wire::script(vec![
        lost(),
        error("ResourceInUse", "Job name must be unique"),
    ])
    .await;
    let failed = wire
        .transforms()
        .await
        .create_job(&typed())
        .await
        .unwrap_err();
    assert_eq!(
        (failed.kind, failed.attempts),
        (CloudErrorKind::NameInUse, 2)
    );
}

fn description() -> Value {
    let mut value = request();
    let members = value.as_object_mut().unwrap();
    members.remove("Tags");
    members.insert("TransformJobArn".into(), json!(ARN));
    members.insert("TransformJobStatus".into(), json!("Failed"));
    members.insert(
        "FailureReason".into(),
        json!("AlgorithmError: See job logs\u{1b}[2J"),
    );
    members.insert("CreationTime".into(), json!(1_795_316_400.25));
    members.insert("TransformStartTime".into(), json!(1_795_316_460));
    value
}

#[tokio::test]
async fn a_description_is_the_job_and_its_request() {
    let wire = Wire::script(vec![json(200, &description())]).await;
    let job = wire
        .transforms()
        .await
        .describe_job("nightly-1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (job.name.as_str(), job.arn.as_str(), job.status),
        ("nightly-1", ARN, JobStatus::Failed)
    );
    assert_eq!(
        job.failure_reason.as_deref(),
        Some("AlgorithmError: See job logs\\u{1b}[2J")
    );
    assert_eq!(
        (job.creation_time, job.start_time, job.end_time),
        (1_795_316_400.25, Some(1_795_316_460.0), None)
    );
    assert_eq!(
        (
            job.model_name.as_str(),
            job.s3_input_uri.as_str(),
            job.s3_output_path.as_str()
        ),
        ("churn", "s3://b/m", "s3://b/o/")
    );
    assert_eq!(typed().differences(&job.request), []);
    let mut other = typed();
    other.transform_resources.instance_count = 3;
    assert_eq!(
        other.differences(&job.request)[0].member,
        "TransformResources.InstanceCount"
    );
}

#[tokio::test]
async fn no_job_and_no_model_are_answers() {
    let wire = Wire::script(vec![
        error("ResourceNotFound", "Could not find requested job"),
        error(
            "ValidationException",
            "Could not find transform job 'arn:x'.",
        ),
        error("ValidationException", "Could not find model \"arn:x\"."),
        error("ValidationException", "Could not find model \"arn:x\"."),
        error("ValidationException", "name is too long"),
    ])
    .await;
    let transforms = wire.transforms().await;
    assert_eq!(transforms.describe_job("x").await.unwrap(), None);
    assert_eq!(transforms.describe_job("x").await.unwrap(), None);
    assert_eq!(transforms.describe_model("x").await.unwrap(), None);
    transforms.delete_model("x").await.unwrap();
    assert_eq!(
        transforms.describe_job("x").await.unwrap_err().kind,
        CloudErrorKind::Invalid
    );
}

#[tokio::test]
async fn empty_pages_do_not_end_a_list() {
    let job = json!({"TransformJobName": "a-1", "TransformJobArn": ARN, "CreationTime": 1, "TransformJobStatus": "Completed"});
    let wire = Wire::script(vec![
        json(
            200,
            &json!({"TransformJobSummaries": [], "NextToken": "t1"}),
        ),
        json(
            200,
            &json!({"TransformJobSummaries": [], "NextToken": "t2"}),
        ),
        json(200, &json!({"TransformJobSummaries": [job]})),
    ])
    .await;
    let jobs = wire.transforms().await.list_jobs("a-").await.unwrap();
    assert_eq!((jobs.len(), &jobs[0].status), (1, &JobStatus::Completed));
    let bodies: Vec<Value> = wire
        .requests()
        .iter()
        .map(|r| serde_json::from_slice(&r.body).unwrap())
        .collect();
    assert_eq!(
        bodies[2],
        json!({"NameContains": "a-", "MaxResults": 100, "NextToken": "t2"})
    );
}

#[tokio::test]
async fn a_repeated_token_ends_a_list_with_an_error() {
    let wire =
        Wire::start(|_, _| json(200, &json!({"TransformJobSummaries": [], "NextToken": "t"})))
            .await;
    let failed = wire.transforms().await.list_jobs("a").await.unwrap_err();
    assert_eq!(
        (failed.kind, wire.requests().len()),
        (CloudErrorKind::Corrupt, 2)
    );
}

#[tokio::test]
async fn models_are_made_and_shown() {
    let environment = json!({"E": "1"});
    let wire = Wire::script(vec![
        json(200, &json!({"ModelArn": "arn:m"})),
        json(200, &json!({
            "ModelName": "m", "ModelArn": "arn:m", "CreationTime": 5.5, "ExecutionRoleArn": "r",
            "PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://b/m.tar.gz", "Environment": environment}
        })),
        error("ValidationException", "Cannot create already existing model \"arn:m\"."),
    ])
    .await;
    let transforms = wire.transforms().await;
    let model = CreateModel {
        name: "m".into(),
        image: "i".into(),
        model_data_url: Some("s3://b/m.tar.gz".into()),
        execution_role_arn: "r".into(),
        environment: [("E".to_owned(), "1".to_owned())].into(),
        vpc_config: Some(VpcConfig {
            security_group_ids: vec!["sg".into()],
            subnets: vec!["sn".into()],
        }),
        enable_network_isolation: Some(true),
        tags: vec![Tag {
            key: "k".into(),
            value: "v".into(),
        }],
    };
    assert_eq!(transforms.create_model(&model).await.unwrap(), "arn:m");
    let sent: Value = serde_json::from_slice(&wire.requests()[0].body).unwrap();
    assert_eq!(
        sent,
        json!({
            "ModelName": "m", "ExecutionRoleArn": "r", "EnableNetworkIsolation": true,
            "PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://b/m.tar.gz", "Environment": {"E": "1"}},
            "VpcConfig": {"SecurityGroupIds": ["sg"], "Subnets": ["sn"]}, "Tags": [{"Key": "k", "Value": "v"}]
        })
    );
    let shown = transforms.describe_model("m").await.unwrap().unwrap();
    assert_eq!(
        (
            shown.image.as_deref(),
            shown.creation_time,
            shown.containers
        ),
        (Some("i"), 5.5, 1)
    );
    assert_eq!(shown.environment, model.environment);
    assert_eq!(
        transforms.create_model(&model).await.unwrap_err().kind,
        CloudErrorKind::NameInUse
    );
}

#[tokio::test]
async fn tags_of_all_pages() {
    let tag = |key: &str| json!({"Key": key, "Value": "v"});
    let wire = Wire::script(vec![
        json(200, &json!({"Tags": [tag("a")], "NextToken": "t"})),
        json(200, &json!({"Tags": [tag("b")]})),
    ])
    .await;
    let tags = wire.transforms().await.list_tags(ARN).await.unwrap();
    assert_eq!(
        tags.iter().map(|t| t.key.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
}
