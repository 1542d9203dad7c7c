//! The parts of a request that are the user's own words, as the API spells them: see
//! [`crate::launch::TransformRequest`].

use serde::{Deserialize, Serialize};

use crate::spec;

/// `DataProcessing`. What is `None` is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DataProcessing {
    /// What of a record the model gets; at most 63 characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input_filter: Option<String>,
    /// What of the joined record is stored; at most 63 characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_filter: Option<String>,
    /// What stands before the answer.
    pub join_source: spec::JoinSource,
}

impl From<&spec::DataProcessing> for DataProcessing {
    fn from(own: &spec::DataProcessing) -> DataProcessing {
        DataProcessing {
            input_filter: own.input_filter.clone(),
            output_filter: own.output_filter.clone(),
            join_source: own.join_source,
        }
    }
}

/// `BatchDataCaptureConfig`. What is `None` is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DataCaptureConfig {
    /// An S3 prefix.
    #[serde(rename = "DestinationS3Uri")]
    pub destination_s3_uri: String,
    /// Encrypts the volume that manifests are made on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kms_key_id: Option<String>,
    /// Appends two columns to each record that is stored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub generate_inference_id: Option<bool>,
}

impl From<&spec::DataCaptureConfig> for DataCaptureConfig {
    fn from(own: &spec::DataCaptureConfig) -> DataCaptureConfig {
        DataCaptureConfig {
            destination_s3_uri: own.destination_s3_uri.clone(),
            kms_key_id: own.kms_key_id.clone(),
            generate_inference_id: own.generate_inference_id,
        }
    }
}

/// `ExperimentConfig`. What is `None` is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExperimentConfig {
    /// An experiment that exists.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub experiment_name: Option<String>,
    /// A trial that exists.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trial_name: Option<String>,
    /// How the job is shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trial_component_display_name: Option<String>,
    /// The experiment's run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run_name: Option<String>,
}

impl From<&spec::ExperimentConfig> for ExperimentConfig {
    fn from(own: &spec::ExperimentConfig) -> ExperimentConfig {
        ExperimentConfig {
            experiment_name: own.experiment_name.clone(),
            trial_name: own.trial_name.clone(),
            trial_component_display_name: own.trial_component_display_name.clone(),
            run_name: own.run_name.clone(),
        }
    }
}
