//! The CreateTransformJob request as the API names it, and what a service says about a job.
//!
//! Member names are those of the SageMaker API (2017-07-24), so that the JSON of a plan, of a
//! ledger and of the wire are one. Enumerations stay text: the service knows its own, and adds to
//! them (`InstanceType` had 108 values in one release and 116 in a later one).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A whole CreateTransformJob request. `serde_json::from_value` of the API's JSON gives it;
/// unknown members are refused, so that none is dropped silently.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CreateTransformJob {
    /// Unique in account and region, for ever.
    pub transform_job_name: String,
    /// An existing model.
    pub model_name: String,
    /// Requests in flight to each instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_transforms: Option<i32>,
    /// The service's patience with the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_client_config: Option<ModelClientConfig>,
    /// The largest body of a request, in MB.
    #[serde(
        default,
        rename = "MaxPayloadInMB",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_payload_in_mb: Option<i32>,
    /// `MultiRecord` or `SingleRecord`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_strategy: Option<String>,
    /// Merged over the model's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// What is scored.
    pub transform_input: TransformInput,
    /// Where the predictions go.
    pub transform_output: TransformOutput,
    /// Manifests of what was scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_capture_config: Option<DataCaptureConfig>,
    /// On what.
    pub transform_resources: TransformResources,
    /// Filters and joins of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_processing: Option<DataProcessing>,
    /// Never in a description.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// SageMaker Experiments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_config: Option<ExperimentConfig>,
}

/// The service's patience with the container: always sent, its defaults are documented
/// contradictorily.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ModelClientConfig {
    /// 1 to 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocations_timeout_in_seconds: Option<i32>,
    /// 0 to 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocations_max_retries: Option<i32>,
}

/// What is scored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TransformInput {
    /// Where it is.
    pub data_source: DataSource,
    /// Sent with each request to the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `None` or `Gzip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression_type: Option<String>,
    /// `None`, `Line`, `RecordIO` or `TFRecord`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_type: Option<String>,
}

/// The only kind of source there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Objects in S3.
    #[serde(rename = "S3DataSource")]
    pub s3_data_source: S3DataSource,
}

/// Objects by prefix or by manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3DataSource {
    /// `S3Prefix` or `ManifestFile`.
    #[serde(rename = "S3DataType")]
    pub s3_data_type: String,
    /// A literal prefix, or the manifest's URI.
    #[serde(rename = "S3Uri")]
    pub s3_uri: String,
}

/// Where the predictions go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TransformOutput {
    /// A prefix.
    #[serde(rename = "S3OutputPath")]
    pub s3_output_path: String,
    /// Sent with each request to the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// `None` or `Line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assemble_with: Option<String>,
    /// Encrypts the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// On what the job runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TransformResources {
    /// `ml.m5.xlarge`, …
    pub instance_type: String,
    /// 1 to 100.
    pub instance_count: i32,
    /// Encrypts the instances' volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_kms_key_id: Option<String>,
    /// For GPU instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform_ami_version: Option<String>,
}

/// Manifests of what was scored, and where they go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DataCaptureConfig {
    /// A prefix.
    #[serde(rename = "DestinationS3Uri")]
    pub destination_s3_uri: String,
    /// Encrypts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Appends two columns to each record of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate_inference_id: Option<bool>,
}

/// The service's own filters and joins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DataProcessing {
    /// JSONPath, at most 63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_filter: Option<String>,
    /// JSONPath, at most 63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_filter: Option<String>,
    /// `None` or `Input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_source: Option<String>,
}

/// SageMaker Experiments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ExperimentConfig {
    /// The experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_name: Option<String>,
    /// The trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_name: Option<String>,
    /// How the job is shown in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_component_display_name: Option<String>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_name: Option<String>,
}

/// A tag of a job or a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Tag {
    /// 1 to 128 characters.
    pub key: String,
    /// At most 256 characters.
    pub value: String,
}

/// A member of a request that a description shows with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where, with dots: `TransformInput.SplitType`.
    pub member: String,
    /// What was requested.
    pub requested: String,
    /// What the job has; nothing if the description does not say.
    pub found: Option<String>,
}

impl CreateTransformJob {
    /// Where the job that a description shows differs from this request, in the order of the
    /// request's members: empty means that it is this request's job, and may be adopted.
    ///
    /// Only what the request says is compared, as the service adds its defaults; not the tags,
    /// which are in no description.
    pub fn differences(&self, description: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        if let (Ok(requested), Ok(described)) = (
            serde_json::to_value(self),
            serde_json::to_value(description),
        ) {
            compare("", &requested, Some(&described), &mut found);
        }
        found
    }
}

fn compare(place: &str, requested: &Value, described: Option<&Value>, found: &mut Vec<Difference>) {
    if let Value::Object(members) = requested {
        for (name, value) in members
            .iter()
            .filter(|(name, _)| !(place.is_empty() && *name == "Tags"))
        {
            let member = if place.is_empty() {
                name.clone()
            } else {
                format!("{place}.{name}")
            };
            compare(&member, value, described.and_then(|d| d.get(name)), found);
        }
    } else if described != Some(requested) {
        found.push(Difference {
            member: place.to_owned(),
            requested: requested.to_string(),
            found: described.map(ToString::to_string),
        });
    }
}

/// Where a job stands (SageMaker API reference, DescribeTransformJob).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobStatus {
    /// Queued or at work.
    InProgress,
    /// Ended well, says the service; says nothing about rows.
    Completed,
    /// Ended badly; objects without a bad record have their outputs all the same.
    Failed,
    /// On its way to `Stopped`.
    Stopping,
    /// Stopped: stores no output.
    Stopped,
    /// A status that this version does not know.
    Unknown(String),
}

impl JobStatus {
    pub(crate) fn of(text: &str) -> Self {
        match text {
            "InProgress" => Self::InProgress,
            "Completed" => Self::Completed,
            "Failed" => Self::Failed,
            "Stopping" => Self::Stopping,
            "Stopped" => Self::Stopped,
            other => Self::Unknown(crate::redact::clean(other)),
        }
    }

    /// Whether it will not change any more.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }
}

/// A job as DescribeTransformJob shows it. Times are seconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct JobInfo {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Where it stands.
    pub status: JobStatus,
    /// The service's reason, cleaned and at most 1,024 characters.
    pub failure_reason: Option<String>,
    /// When it was created: what a timeout of ours counts from.
    pub creation_time: f64,
    /// When instances began to be billed.
    pub start_time: Option<f64>,
    /// When they ended.
    pub end_time: Option<f64>,
    /// Its model.
    pub model_name: String,
    /// Its prefix or manifest.
    pub s3_input_uri: String,
    /// Where its outputs go.
    pub s3_output_path: String,
    /// The request that it was created by, as far as it is described (no tags): for
    /// [`CreateTransformJob::differences`].
    pub request: CreateTransformJob,
}

/// A job in a list. Times are seconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSummary {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Where it stands.
    pub status: JobStatus,
    /// When it was created.
    pub creation_time: f64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

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
            "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeKmsKeyId": "v", "TransformAmiVersion": "a"},
            "DataProcessing": {"InputFilter": "$[1:]", "OutputFilter": "$", "JoinSource": "Input"},
            "Tags": [{"Key": "k", "Value": "v"}],
            "ExperimentConfig": {"ExperimentName": "e", "TrialName": "t", "TrialComponentDisplayName": "d", "RunName": "r"}
        })
    }

    #[test]
    fn every_member_of_the_api_survives_both_ways() {
        let typed: CreateTransformJob = serde_json::from_value(request()).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap(), request());
    }

    #[test]
    fn an_unknown_member_is_refused() {
        let mut value = request();
        value["TransformInput"]["SplitTyp"] = json!("Line");
        let error = serde_json::from_value::<CreateTransformJob>(value).unwrap_err();
        assert!(error.to_string().contains("SplitTyp"));
    }

    #[test]
    fn a_description_with_defaults_added_and_no_tags_is_the_same_job() {
        let mut asked: CreateTransformJob = serde_json::from_value(request()).unwrap();
        let mut described = asked.clone();
        described.tags.clear();
        asked.data_processing = None;
        asked.transform_input.compression_type = None;
        assert_eq!(asked.differences(&described), []);
    }

    #[test]
    fn differences_are_named() {
        let asked: CreateTransformJob = serde_json::from_value(request()).unwrap();
        let mut described = asked.clone();
        described.model_name = "other".into();
        described.transform_input.split_type = None;
        let shown: Vec<_> = asked
            .differences(&described)
            .iter()
            .map(|d| format!("{} {} {:?}", d.member, d.requested, d.found))
            .collect();
        assert_eq!(
            shown,
            [
                r#"ModelName "churn" Some("\"other\"")"#,
                r#"TransformInput.SplitType "Line" None"#
            ]
        );
    }

    #[test]
    fn unknown_statuses_are_kept_and_not_final() {
        assert_eq!(JobStatus::of("Paused"), JobStatus::Unknown("Paused".into()));
        assert!(!JobStatus::of("Paused").is_terminal());
        assert!(
            ["Completed", "Failed", "Stopped"]
                .iter()
                .all(|s| JobStatus::of(s).is_terminal())
        );
    }
}
