//! What is sent: CreateTransformJob's request as the API spells it, and the manifest of its
//! input. Stored before it is sent, so that a crash in between can be told from none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::{self, Limits};
use crate::plan::Plan;
use crate::request_settings::{DataCaptureConfig, DataProcessing, ExperimentConfig};
use crate::spec::{AssembleWith, BatchStrategy, CompressionType, SplitType, Transform};

/// CreateTransformJob (SageMaker API 2017-07-24). JSON has the API's field names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TransformRequest {
    /// 1 to 63 characters, unique in region and account. See [`job_name`].
    pub transform_job_name: String,
    /// Must exist in the same region and account.
    pub model_name: String,
    /// For one instance; 0 leaves it to the container.
    pub max_concurrent_transforms: u32,
    /// Always sent: sources disagree about the defaults.
    pub model_client_config: ModelClientConfig,
    /// In units of 10^6 bytes (treated as the smaller unit, to be safe); 0 means no limit.
    #[serde(rename = "MaxPayloadInMB")]
    pub max_payload_in_mb: u32,
    /// Not sent when `SplitType` is `None`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub batch_strategy: Option<BatchStrategy>,
    /// At most 16 entries.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub environment: BTreeMap<String, String>,
    /// What is read.
    pub transform_input: TransformInput,
    /// Where answers go.
    pub transform_output: TransformOutput,
    /// Manifests of what was read and written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_capture_config: Option<DataCaptureConfig>,
    /// The machines.
    pub transform_resources: TransformResources,
    /// Filters and a join of the service's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_processing: Option<DataProcessing>,
    /// SageMaker Experiments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub experiment_config: Option<ExperimentConfig>,
    /// At most 50.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

/// Timeouts and retries of a request to the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModelClientConfig {
    /// 1 to 3600.
    pub invocations_timeout_in_seconds: u32,
    /// 0 to 3.
    pub invocations_max_retries: u32,
}

/// `TransformInput`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TransformInput {
    /// Where.
    pub data_source: DataSource,
    /// Sent as a header with each request.
    pub content_type: String,
    /// Decompressed by the service before it splits.
    pub compression_type: CompressionType,
    /// Where an object is cut.
    pub split_type: SplitType,
}

/// `TransformDataSource`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    /// The only kind.
    #[serde(rename = "S3DataSource")]
    pub s3: S3DataSource,
}

/// `TransformS3DataSource`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3DataSource {
    /// How `S3Uri` is read.
    #[serde(rename = "S3DataType")]
    pub data_type: S3DataType,
    /// A prefix (literally: every key that starts with it) or a manifest's object.
    #[serde(rename = "S3Uri")]
    pub uri: String,
}

/// The two kinds that a transform job accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum S3DataType {
    /// Every key that starts with the text.
    S3Prefix,
    /// A JSON array: see [`manifest_json`].
    ManifestFile,
}

/// `TransformOutput`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TransformOutput {
    /// A prefix of this job's own.
    #[serde(rename = "S3OutputPath")]
    pub s3_output_path: String,
    /// What the model is asked to answer in.
    pub accept: String,
    /// How answers are joined.
    pub assemble_with: AssembleWith,
    /// Encrypts what is stored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kms_key_id: Option<String>,
}

/// `TransformResources`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TransformResources {
    /// `ml.…`
    pub instance_type: String,
    /// 1 to 100.
    pub instance_count: u32,
    /// Encrypts the instances' volumes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub volume_kms_key_id: Option<String>,
    /// The image that GPU instances start from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transform_ami_version: Option<String>,
}

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// 1 to 128 characters.
    pub key: String,
    /// 0 to 256 characters.
    pub value: String,
}

/// The key of the tag that holds the transform stage's fingerprint.
pub const FINGERPRINT_TAG: &str = "gristmill:fingerprint";
/// The key of the tag that holds the run's id.
pub const RUN_TAG: &str = "gristmill:run";

/// What only the run knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFacts {
    /// The run's id.
    pub run_id: String,
    /// `work.uri`.
    pub work_uri: String,
    /// The transform stage's fingerprint (hex).
    pub fingerprint: String,
    /// Which of several first jobs it is, from 1; `None` for the only one and for later jobs.
    pub wave: Option<u32>,
    /// From 1.
    pub attempt: u32,
    /// The model's name in the service: `transform.model`, or that of the one created.
    pub model_name: String,
    /// What the job reads.
    pub input: JobInput,
    /// Where the job writes: a prefix of its own, ending with `/`.
    pub output: String,
}

/// What a job reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobInput {
    /// Every object under an S3 prefix, which must end with `/`.
    Prefix(String),
    /// The objects that the manifest at this S3 URI lists.
    Manifest(String),
}

/// Why no request can be made. These are checked here again, after all templates and names are
/// known, so that nothing invalid is ever stored or sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The plan has no transform stage.
    #[error("the plan of `{name}` has no `transform` stage, so there is nothing to launch")]
    NoTransform {
        /// The pipeline.
        name: String,
    },
    /// A URI that the API would refuse or read differently than meant.
    #[error("{what} `{uri}`: {why}")]
    Uri {
        /// Which of the two.
        what: &'static str,
        /// The URI, shortened.
        uri: String,
        /// What is wrong.
        why: String,
    },
    /// The model's name is not valid.
    #[error("model name `{name}`: {why}")]
    ModelName {
        /// The name.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// The request for a run's job. Same plan and facts: the same bytes.
///
/// # Errors
/// See [`LaunchError`].
pub fn launch(plan: &Plan, run: &RunFacts) -> Result<TransformRequest, LaunchError> {
    let transform = plan
        .transform
        .as_ref()
        .ok_or_else(|| LaunchError::NoTransform {
            name: plan.name.clone(),
        })?;
    check(run)?;
    let name = job_name(
        &plan.name,
        &run.work_uri,
        &run.run_id,
        &run.fingerprint,
        run.wave,
        run.attempt,
    );
    Ok(request(transform, name, run))
}

/// The request with nothing checked.
pub(crate) fn request(transform: &Transform, job: String, run: &RunFacts) -> TransformRequest {
    let (data_type, uri) = match &run.input {
        JobInput::Prefix(uri) => (S3DataType::S3Prefix, uri.clone()),
        JobInput::Manifest(uri) => (S3DataType::ManifestFile, uri.clone()),
    };
    TransformRequest {
        transform_job_name: job,
        model_name: run.model_name.clone(),
        max_concurrent_transforms: transform.max_concurrent_transforms,
        model_client_config: ModelClientConfig {
            invocations_timeout_in_seconds: transform.invocations_timeout_in_seconds,
            invocations_max_retries: transform.invocations_max_retries,
        },
        max_payload_in_mb: transform.max_payload_in_mb,
        batch_strategy: transform.batch_strategy,
        environment: transform.environment.clone(),
        transform_input: TransformInput {
            data_source: DataSource {
                s3: S3DataSource { data_type, uri },
            },
            content_type: transform.content_type.clone(),
            compression_type: transform.compression_type,
            split_type: transform.split_type,
        },
        transform_output: TransformOutput {
            s3_output_path: run.output.clone(),
            accept: transform.accept.clone(),
            assemble_with: transform.assemble_with,
            kms_key_id: transform.kms_key_id.clone(),
        },
        data_capture_config: transform.data_capture_config.as_ref().map(Into::into),
        transform_resources: TransformResources {
            instance_type: transform.instance_type.clone(),
            instance_count: transform.instance_count,
            volume_kms_key_id: transform.volume_kms_key_id.clone(),
            transform_ami_version: transform.transform_ami_version.clone(),
        },
        data_processing: transform.data_processing.as_ref().map(Into::into),
        experiment_config: transform.experiment_config.as_ref().map(Into::into),
        tags: tags(&transform.tags, run),
    }
}

fn check(run: &RunFacts) -> Result<(), LaunchError> {
    let uri = |what, uri: &String, prefix: bool| {
        let why = match limits::s3_uri(uri, &Limits::default()) {
            Err(why) => why,
            Ok(()) if prefix && !uri.ends_with('/') => {
                "must end with `/`: the service takes every key that starts with it".to_owned()
            }
            Ok(()) => return Ok(()),
        };
        Err(LaunchError::Uri {
            what,
            uri: crate::tree::shorten(uri),
            why,
        })
    };
    match &run.input {
        JobInput::Prefix(input) => uri("the job's input", input, true)?,
        JobInput::Manifest(input) => uri("the job's manifest", input, false)?,
    }
    uri("the job's output", &run.output, true)?;
    apart(run)?;
    limits::model_name(&run.model_name).map_err(|why| LaunchError::ModelName {
        name: run.model_name.clone(),
        why,
    })
}

/// A job reads every key that starts with its prefix, so what it writes must not.
fn apart(run: &RunFacts) -> Result<(), LaunchError> {
    match &run.input {
        JobInput::Prefix(input) if run.output.starts_with(input) => Err(LaunchError::Uri {
            what: "the job's output",
            uri: crate::tree::shorten(&run.output),
            why: "lies under the job's input: the service would read what it writes".to_owned(),
        }),
        _ => Ok(()),
    }
}

fn tags(own: &BTreeMap<String, String>, run: &RunFacts) -> Vec<Tag> {
    let ours = [(FINGERPRINT_TAG, &run.fingerprint), (RUN_TAG, &run.run_id)];
    let ours = ours.into_iter().map(|(key, value)| Tag {
        key: key.into(),
        value: value.clone(),
    });
    let own = own.iter().map(|(key, value)| Tag {
        key: key.clone(),
        value: value.clone(),
    });
    own.chain(ours).collect()
}

/// The longest part of a pipeline's name that goes into a job's name.
pub(crate) const NAME_IN_JOB: usize = 24;

/// `<name, at most 24>-<12 hex of sha256 over work.uri, run id and fingerprint>[-w<wave>]-a<attempt>`:
/// the same for the same work wherever it is computed, different for any other. At most
/// 24 + 1 + 12 + 2 + 10 + 2 + 10 = 61 of the 63 characters allowed. Characters that the API does not
/// take are replaced, so the result is valid whatever comes in.
pub fn job_name(
    name: &str,
    work_uri: &str,
    run_id: &str,
    fingerprint: &str,
    wave: Option<u32>,
    attempt: u32,
) -> String {
    let hash = crate::fingerprint::short_hash(&[work_uri, run_id, fingerprint]);
    let wave = wave.map(|wave| format!("-w{wave}")).unwrap_or_default();
    format!("{}-{hash}{wave}-a{attempt}", api_name(name, NAME_IN_JOB))
}

/// `name` reduced to `[a-zA-Z0-9](-*[a-zA-Z0-9])*` of at most `max` characters, never empty.
pub fn api_name(name: &str, max: usize) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(max)
        .collect();
    let clean = clean.trim_matches('-');
    if clean.is_empty() {
        "gristmill".chars().take(max).collect()
    } else {
        clean.to_owned()
    }
}

/// The JSON of a `ManifestFile` input: `[{"prefix": …}, name, …]`. The service joins prefix and
/// name as they are, so `prefix` must end with `/`.
///
/// # Errors
/// [`LaunchError::Uri`] if it does not.
pub fn manifest_json(prefix: &str, names: &[String]) -> Result<String, LaunchError> {
    if !prefix.ends_with('/') {
        let why = "must end with `/`: the service joins it to each name as it is".to_owned();
        return Err(LaunchError::Uri {
            what: "the manifest's prefix",
            uri: prefix.into(),
            why,
        });
    }
    let mut list = vec![serde_json::json!({ "prefix": prefix })];
    list.extend(
        names
            .iter()
            .map(|name| serde_json::Value::String(name.clone())),
    );
    Ok(serde_json::Value::Array(list).to_string())
}
