use serde_json::{Value, json};

use super::fake::{self, Reply};
use super::harness::{Emulator, job};
use crate::assume::{Assumptions, MissingJob};

async fn refusal(emulator: &Emulator, more: Value) -> String {
    let error = emulator
        .call("CreateTransformJob", job("j", more))
        .await
        .unwrap_err();
    assert_eq!(error.status, 400);
    format!("{}: {}", error.code, error.message)
}

#[tokio::test]
async fn requests_are_refused_in_the_service_s_words() {
    let emulator = Emulator::new().await;
    emulator.url_model("http://127.0.0.1:9").await;
    let e = &emulator;
    insta::assert_snapshot!(refusal(e, json!({ "TransformJobName": "-bad" })).await, @"ValidationException: 1 validation error detected: Value '-bad' at 'transformJobName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}");
    insta::assert_snapshot!(refusal(e, json!({ "TransformJobName": "a_b", "BatchStrategy": "X" })).await, @"ValidationException: 2 validation errors detected: Value 'a_b' at 'transformJobName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}; Value 'X' at 'batchStrategy' failed to satisfy constraint: Member must satisfy enum value set: [MultiRecord, SingleRecord]");
    insta::assert_snapshot!(refusal(e, json!({ "TransformInput": null })).await, @"ValidationException: 1 validation error detected: Value null at 'transformInput' failed to satisfy constraint: Member must not be null");
    insta::assert_snapshot!(refusal(e, json!({ "ModelClientConfig": { "InvocationsMaxRetries": 9 } })).await, @"ValidationException: 1 validation error detected: Value '9' at 'modelClientConfig.invocationsMaxRetries' failed to satisfy constraint: Member must have value less than or equal to 3");
    insta::assert_snapshot!(refusal(e, json!({ "TransformResources": { "InstanceCount": 0 } })).await, @"ValidationException: 1 validation error detected: Value '0' at 'transformResources.instanceCount' failed to satisfy constraint: Member must have value greater than or equal to 1");
    insta::assert_snapshot!(refusal(e, json!({ "MaxConcurrentTransforms": 17, "MaxPayloadInMB": 6 })).await, @"ValidationException: The product of MaxConcurrentTransforms and MaxPayloadInMB must be less than or equal to 100, but was 102");
    insta::assert_snapshot!(refusal(e, json!({ "MaxPayloadInMB": 101 })).await, @"ValidationException: MaxPayloadInMB must be less than or equal to 100, but was 101");
    insta::assert_snapshot!(refusal(e, json!({ "ModelName": "other" })).await, @r#"ValidationException: Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/other"."#);
    insta::assert_snapshot!(refusal(e, json!({ "TransformInput": { "DataSource": { "S3DataSource": { "S3DataType": "Converse" } } } })).await, @"ValidationException: S3DataType Converse is not supported for transform jobs; valid are ManifestFile and S3Prefix");
    insta::assert_snapshot!(refusal(e, json!({ "TransformInput": { "DataSource": { "S3DataSource": { "S3Uri": "bucket/in" } } } })).await, @"ValidationException: 1 validation error detected: Value 'bucket/in' at 'transformInput.dataSource.s3DataSource.s3Uri' failed to satisfy constraint: Member must satisfy regular expression pattern: ^(https|s3)://([^/]+)/?(.*)$");
    insta::assert_snapshot!(refusal(e, json!({ "DataProcessing": { "InputFilter": "$[1:]" }, "TransformOutput": { "Accept": "application/json" } })).await, @"ValidationException: With DataProcessing, Accept must equal ContentType, but they were 'application/json' and 'text/csv'");
    insta::assert_snapshot!(refusal(e, json!({ "DataProcessing": { "JoinSource": "Input" }, "TransformOutput": { "AssembleWith": "None" } })).await, @"ValidationException: With DataProcessing, AssembleWith must equal SplitType, but they were None and Line");
    insta::assert_snapshot!(refusal(e, json!({ "DataProcessing": { "InputFilter": "$[1:]" }, "TransformInput": { "SplitType": "None" }, "TransformOutput": { "AssembleWith": "None" } })).await, @"ValidationException: With DataProcessing of text/csv, SplitType and AssembleWith must be Line, but they were None");
    insta::assert_snapshot!(refusal(e, json!({ "DataCaptureConfig": { "GenerateInferenceId": true } })).await, @"ValidationException: 1 validation error detected: Value null at 'dataCaptureConfig.destinationS3Uri' failed to satisfy constraint: Member must not be null");
    insta::assert_snapshot!(refusal(e, json!({ "ExperimentConfig": { "TrialName": "a_b" }, "TransformResources": { "TransformAmiVersion": "a--b" } })).await, @"ValidationException: 2 validation errors detected: Value 'a--b' at 'transformResources.transformAmiVersion' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$; Value 'a_b' at 'experimentConfig.trialName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}");
    insta::assert_snapshot!(refusal(e, json!({ "Tags": [{ "Key": "", "Value": "v" }] })).await, @r"ValidationException: 1 validation error detected: Value '' at 'tags.key' failed to satisfy constraint: Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$");
    insta::assert_snapshot!(refusal(e, json!({ "TransformInput": { "ContentType": "application/x-y" }, "TransformOutput": { "Accept": "application/x-y" }, "DataProcessing": { "JoinSource": "Input" } })).await, @"ValidationException: DataProcessing supports text/csv, application/json and application/jsonlines, but ContentType was 'application/x-y'");
    insta::assert_snapshot!(refusal(e, json!({ "TransformInput": { "SplitType": "RecordIO" } })).await, @"ValidationException: SplitType RecordIO is not supported by the gristmill emulator");
    let long = "x".repeat(64);
    let filter = refusal(e, json!({ "DataProcessing": { "OutputFilter": long } })).await;
    assert!(filter.ends_with("at 'dataProcessing.outputFilter' failed to satisfy constraint: Member must have length less than or equal to 63"), "{filter}");
    // Nothing of all this made a job.
    let listed = emulator.call("ListTransformJobs", json!({})).await.unwrap();
    assert_eq!(listed["TransformJobSummaries"], json!([]));
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let emulator = Emulator::new().await;
    let error = emulator
        .call("CreateTransformJob", json!({ "TransformJobName": 5 }))
        .await
        .unwrap_err();
    assert_eq!((error.status, error.code), (400, "SerializationException"));
    // Fields have names: a list is not taken for them in their order.
    for other in [json!(["j"]), json!("j"), json!(null)] {
        let error = emulator.call("DescribeTransformJob", other).await;
        assert_eq!(error.unwrap_err().code, "SerializationException");
    }
    let error = emulator
        .call("CreateEndpoint", json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.code, "UnknownOperationException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_taken_once() {
    let fake = fake::start(None, |body, _| Reply::ok(body)).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", "1\n").await;
    emulator.run(job("j", json!({}))).await;
    let error = emulator
        .call("CreateTransformJob", job("j", json!({})))
        .await
        .unwrap_err();
    insta::assert_snapshot!(format!("{}: {}", error.code, error.message), @"ResourceInUse: Job name must be unique within an AWS account and region, and a job with this name already exists (arn:aws:sagemaker:us-east-1:000000000000:transform-job/j)");
}

#[tokio::test]
async fn two_calls_at_once_make_one_job() {
    let emulator = Emulator::new().await;
    emulator.url_model("http://127.0.0.1:9").await;
    let calls = (0..8).map(|_| emulator.call("CreateTransformJob", job("j", json!({}))));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_echoes_the_request() {
    let fake = fake::start(None, |body, _| Reply::ok(body)).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    emulator.put("in/a.csv", "1\n").await;
    let request = job(
        "j",
        json!({ "Environment": { "A": "b" }, "Tags": [{ "Key": "k", "Value": "v" }] }),
    );
    let end = emulator.run(request.clone()).await;
    for (key, value) in request
        .as_object()
        .unwrap()
        .iter()
        .filter(|(k, _)| *k != "Tags")
    {
        assert_eq!(&end[key], value, "{key}");
    }
    assert!(end.get("Tags").is_none());
    for key in ["CreationTime", "TransformStartTime", "TransformEndTime"] {
        assert!(end[key].as_f64().unwrap() > 1.7e9, "{key}");
    }
    let arn = &end["TransformJobArn"];
    let tags = emulator
        .call("ListTags", json!({ "ResourceArn": arn }))
        .await
        .unwrap();
    assert_eq!(tags["Tags"], json!([{ "Key": "k", "Value": "v" }]));
    emulator
        .call(
            "AddTags",
            json!({ "ResourceArn": arn, "Tags": [{ "Key": "l", "Value": "w" }] }),
        )
        .await
        .unwrap();
    emulator
        .call(
            "DeleteTags",
            json!({ "ResourceArn": arn, "TagKeys": ["k"] }),
        )
        .await
        .unwrap();
    let tags = emulator
        .call("ListTags", json!({ "ResourceArn": arn }))
        .await
        .unwrap();
    assert_eq!(tags["Tags"], json!([{ "Key": "l", "Value": "w" }]));
}

#[tokio::test]
async fn an_unknown_job_is_not_found_in_one_of_two_ways() {
    for code in ["ValidationException", "ResourceNotFound"] {
        let missing_job = match code {
            "ResourceNotFound" => MissingJob::ResourceNotFound,
            _ => MissingJob::default(),
        };
        let emulator = Emulator::with(Assumptions {
            missing_job,
            ..Assumptions::default()
        })
        .await;
        for operation in ["DescribeTransformJob", "StopTransformJob"] {
            let error = emulator
                .call(operation, json!({ "TransformJobName": "no" }))
                .await
                .unwrap_err();
            let message = "Could not find transform job 'arn:aws:sagemaker:us-east-1:000000000000:transform-job/no'.";
            assert_eq!((error.code, error.message.as_str()), (code, message));
        }
    }
}

#[tokio::test]
async fn models_live_and_die() {
    let emulator = Emulator::new().await;
    emulator.url_model("http://127.0.0.1:9").await;
    let again = json!({ "ModelName": "m", "PrimaryContainer": { "Image": "x" } });
    assert!(
        emulator
            .call("CreateModel", again)
            .await
            .unwrap_err()
            .message
            .starts_with("Cannot create already existing model")
    );
    let emulator = emulator.restart().await;
    let model = emulator
        .call("DescribeModel", json!({ "ModelName": "m" }))
        .await
        .unwrap();
    assert_eq!(model["PrimaryContainer"]["Image"], "gristmill.local/url");
    assert!(model["CreationTime"].is_f64());
    let listed = emulator.call("ListModels", json!({})).await.unwrap();
    assert_eq!(listed["Models"][0]["ModelName"], "m");
    emulator
        .call("DeleteModel", json!({ "ModelName": "m" }))
        .await
        .unwrap();
    let error = emulator
        .call("DescribeModel", json!({ "ModelName": "m" }))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        r#"Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/m"."#
    );
}

async fn list(emulator: &Emulator, mut request: Value) -> (Vec<String>, Vec<usize>) {
    let (mut names, mut pages) = (Vec::new(), Vec::new());
    loop {
        let page = emulator
            .call("ListTransformJobs", request.clone())
            .await
            .unwrap();
        let summaries = page["TransformJobSummaries"].as_array().unwrap();
        names.extend(
            summaries
                .iter()
                .map(|s| s["TransformJobName"].as_str().unwrap().to_owned()),
        );
        pages.push(summaries.len());
        match page.get("NextToken") {
            Some(token) => request["NextToken"] = token.clone(),
            None => return (names, pages),
        }
    }
}

#[tokio::test]
async fn lists_are_descending_pages_of_ten_and_follow_the_filters() {
    let emulator = Emulator::new().await;
    emulator.url_model("http://127.0.0.1:9").await;
    for n in 0..25 {
        // Without input each fails at once.
        emulator.run(job(&format!("job-{n:02}"), json!({}))).await;
    }
    let (names, pages) = list(&emulator, json!({})).await;
    assert_eq!(pages, [10, 10, 5]);
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 25);
    assert_eq!(
        (names[0].as_str(), names[24].as_str()),
        ("job-24", "job-00")
    );
    let (names, pages) = list(
        &emulator,
        json!({ "SortBy": "Name", "SortOrder": "Ascending", "MaxResults": 7 }),
    )
    .await;
    assert_eq!((names, pages), (sorted, vec![7, 7, 7, 4]));
    let (names, _) = list(&emulator, json!({ "NameContains": "B-1" })).await;
    assert_eq!(names.len(), 10);
    assert_eq!(
        list(&emulator, json!({ "StatusEquals": "Completed" }))
            .await
            .0
            .len(),
        0
    );
    assert_eq!(
        list(&emulator, json!({ "StatusEquals": "Failed" }))
            .await
            .0
            .len(),
        25
    );
    assert_eq!(
        list(&emulator, json!({ "CreationTimeAfter": 4e9 }))
            .await
            .0
            .len(),
        0
    );
    assert_eq!(
        list(&emulator, json!({ "LastModifiedTimeBefore": 4e9 }))
            .await
            .0
            .len(),
        25
    );
    for bad in [
        json!({ "MaxResults": 0 }),
        json!({ "MaxResults": 101 }),
        json!({ "NextToken": "?" }),
        json!({ "SortBy": "X" }),
    ] {
        assert_eq!(
            emulator
                .call("ListTransformJobs", bad)
                .await
                .unwrap_err()
                .code,
            "ValidationException"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_read_as_the_python_sdk_reads_them() {
    let fake = fake::start(None, |body, _| Reply::ok(body)).await;
    let emulator = Emulator::new().await;
    emulator.url_model(&fake.url).await;
    let group = "/aws/sagemaker/TransformJobs";
    let streams = json!({ "logGroupName": group, "logStreamNamePrefix": "j/", "orderBy": "LogStreamName", "limit": 1 });
    let early = emulator
        .call("DescribeLogStreams", streams.clone())
        .await
        .unwrap_err();
    assert_eq!(early.code, "ResourceNotFoundException");
    emulator.put("in/a.csv", "1\n").await;
    emulator.run(job("j", json!({}))).await;
    let found = emulator
        .call(
            "DescribeLogStreams",
            json!({ "logGroupName": group, "logStreamNamePrefix": "j/" }),
        )
        .await
        .unwrap();
    let names: Vec<&str> = found["logStreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["logStreamName"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(
        names[0].starts_with("j/i-") && names[1] == format!("{}/data-log", names[0]),
        "{names:?}"
    );
    let first = emulator.call("DescribeLogStreams", streams).await.unwrap();
    assert_eq!(first["logStreams"].as_array().unwrap().len(), 1);
    assert_eq!(first["nextToken"], "1");
    let mut request = json!({ "logGroupName": group, "logStreamName": names[1], "startFromHead": true, "startTime": 0 });
    let page = emulator
        .call("GetLogEvents", request.clone())
        .await
        .unwrap();
    let message = page["events"][0]["message"].as_str().unwrap();
    assert!(message.ends_with(":[sagemaker logs]: MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"), "{message}");
    request["nextToken"] = page["nextForwardToken"].clone();
    let end = emulator.call("GetLogEvents", request).await.unwrap();
    assert_eq!(end["events"], json!([]));
    assert_eq!(end["nextForwardToken"], page["nextForwardToken"]);
}

#[tokio::test]
async fn models_are_refused_in_the_service_s_words() {
    let emulator = Emulator::new().await;
    let refused = async |change: serde_json::Value| {
        let mut model = json!({
            "ModelName": "m",
            "ExecutionRoleArn": "arn:aws:iam::000000000000:role/service-role/r",
            "PrimaryContainer": { "Image": "gristmill.local/onnx" },
        });
        for (key, value) in change.as_object().unwrap() {
            model[key] = value.clone();
        }
        emulator
            .call("CreateModel", model)
            .await
            .unwrap_err()
            .message
    };
    insta::assert_snapshot!(refused(json!({ "ExecutionRoleArn": "role/r" })).await, @r"1 validation error detected: Value 'role/r' at 'executionRoleArn' failed to satisfy constraint: Member must satisfy regular expression pattern: ^arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$");
    insta::assert_snapshot!(refused(json!({ "PrimaryContainer": { "Image": "a b" } })).await, @r"1 validation error detected: Value 'a b' at 'primaryContainer.image' failed to satisfy constraint: Member must satisfy regular expression pattern: [\S]+");
    insta::assert_snapshot!(refused(json!({ "PrimaryContainer": { "Image": "i", "ModelDataUrl": "/tmp/model" } })).await, @r"1 validation error detected: Value '/tmp/model' at 'primaryContainer.modelDataUrl' failed to satisfy constraint: Member must satisfy regular expression pattern: ^(https|s3)://([^/]+)/?(.*)$");
    insta::assert_snapshot!(refused(json!({ "PrimaryContainer": { "Image": "i", "Environment": { "A-B": "" } } })).await, @r"1 validation error detected: Value 'A-B' at 'primaryContainer.environment' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z_][a-zA-Z0-9_]*");
    let long = refused(json!({ "ModelName": "x".repeat(1 << 20) })).await;
    assert!(long.len() < 4096, "{} bytes", long.len());
    emulator.url_model("http://127.0.0.1:9").await;
}
