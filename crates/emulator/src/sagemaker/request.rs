//! The requests' fields, by their names in the API. All optional: what is required is said by the
//! checks, in the service's words, not by the parser.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::ServiceError;

/// `CreateTransformJob`. Fields that decide nothing here stay in the stored JSON.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransformJobRequest {
    pub(crate) transform_job_name: Option<String>,
    pub(crate) model_name: Option<String>,
    pub(crate) max_concurrent_transforms: Option<i64>,
    #[serde(rename = "MaxPayloadInMB")]
    pub(crate) max_payload_in_mb: Option<i64>,
    pub(crate) batch_strategy: Option<String>,
    pub(crate) model_client_config: Option<ModelClientConfig>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) transform_input: Option<TransformInput>,
    pub(crate) transform_output: Option<TransformOutput>,
    pub(crate) transform_resources: Option<TransformResources>,
    pub(crate) data_processing: Option<DataProcessing>,
    pub(crate) data_capture_config: Option<DataCaptureConfig>,
    pub(crate) experiment_config: Option<ExperimentConfig>,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ModelClientConfig {
    pub(crate) invocations_timeout_in_seconds: Option<i64>,
    pub(crate) invocations_max_retries: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransformInput {
    pub(crate) data_source: Option<DataSource>,
    pub(crate) content_type: Option<String>,
    pub(crate) compression_type: Option<String>,
    pub(crate) split_type: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DataSource {
    pub(crate) s3_data_source: Option<S3DataSource>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct S3DataSource {
    pub(crate) s3_data_type: Option<String>,
    pub(crate) s3_uri: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransformOutput {
    pub(crate) s3_output_path: Option<String>,
    pub(crate) accept: Option<String>,
    pub(crate) assemble_with: Option<String>,
    pub(crate) kms_key_id: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransformResources {
    pub(crate) instance_type: Option<String>,
    pub(crate) instance_count: Option<i64>,
    pub(crate) volume_kms_key_id: Option<String>,
    pub(crate) transform_ami_version: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DataCaptureConfig {
    pub(crate) destination_s3_uri: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) generate_inference_id: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ExperimentConfig {
    pub(crate) experiment_name: Option<String>,
    pub(crate) trial_name: Option<String>,
    pub(crate) trial_component_display_name: Option<String>,
    pub(crate) run_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DataProcessing {
    pub(crate) input_filter: Option<String>,
    pub(crate) output_filter: Option<String>,
    pub(crate) join_source: Option<String>,
}

impl DataProcessing {
    /// Does it do anything?
    pub(crate) fn is_active(&self) -> bool {
        let filters = |f: &Option<String>| f.as_deref().is_some_and(|f| f != "$");
        filters(&self.input_filter)
            || filters(&self.output_filter)
            || self.join_source.as_deref() == Some("Input")
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// `CreateModel`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ModelRequest {
    pub(crate) model_name: Option<String>,
    pub(crate) primary_container: Option<ContainerDefinition>,
    pub(crate) containers: Vec<ContainerDefinition>,
    pub(crate) execution_role_arn: Option<String>,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerDefinition {
    pub(crate) image: Option<String>,
    pub(crate) model_data_url: Option<String>,
    pub(crate) model_data_source: Option<serde_json::Value>,
    pub(crate) model_package_name: Option<String>,
    pub(crate) environment: BTreeMap<String, String>,
}

/// `ListTransformJobs` and `ListModels`; times are seconds since 1970.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ListRequest {
    pub(crate) creation_time_after: Option<f64>,
    pub(crate) creation_time_before: Option<f64>,
    pub(crate) last_modified_time_after: Option<f64>,
    pub(crate) last_modified_time_before: Option<f64>,
    pub(crate) name_contains: Option<String>,
    pub(crate) status_equals: Option<String>,
    pub(crate) sort_by: Option<String>,
    pub(crate) sort_order: Option<String>,
    pub(crate) max_results: Option<i64>,
    pub(crate) next_token: Option<String>,
}

/// `{Describe,Stop}TransformJob`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct JobNameRequest {
    pub(crate) transform_job_name: Option<String>,
}

/// `{Describe,Delete}Model`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ModelNameRequest {
    pub(crate) model_name: Option<String>,
}

/// `AddTags`, `ListTags`, `DeleteTags`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TagsRequest {
    pub(crate) resource_arn: Option<String>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) tag_keys: Vec<String>,
}

/// Parses a body; an empty one stands for no fields.
pub(crate) fn parse<T: serde::de::DeserializeOwned + Default>(
    body: &[u8],
) -> Result<T, ServiceError> {
    let unreadable = |why: String| {
        let message = format!("the request cannot be read: {why}");
        ServiceError::new("SerializationException", message)
    };
    match body.iter().find(|b| !b.is_ascii_whitespace()) {
        None => Ok(T::default()),
        // Other JSON than an object would be taken for the fields in their order.
        Some(b'{') => serde_json::from_slice(body).map_err(|e| unreadable(e.to_string())),
        Some(_) => Err(unreadable("expected a JSON object".to_owned())),
    }
}
