//! What a job is told besides its input, output and machines, in the service's own words.

use serde::{Deserialize, Serialize};

/// `transform.data_processing`: filters and a join of the service's own (API DataProcessing).
/// Fields of an answer, `prediction[n]`, are then those of what the job stores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataProcessing {
    /// What of a record the model gets: see [`crate::filter::Filter`]. By default all of it.
    pub input_filter: Option<String>,
    /// What of the joined record, or without a join of the answer, is stored. By default all.
    pub output_filter: Option<String>,
    /// What stands before the answer.
    pub join_source: JoinSource,
}

impl DataProcessing {
    /// Whether it does anything.
    pub fn is_active(&self) -> bool {
        let filters = |filter: &Option<String>| filter.as_deref().is_some_and(|f| f != "$");
        filters(&self.input_filter)
            || filters(&self.output_filter)
            || self.join_source == JoinSource::Input
    }
}

/// `JoinSource`. Serialised as the API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum JoinSource {
    /// Nothing.
    #[default]
    None,
    /// The whole input record, unfiltered.
    Input,
}

/// `transform.data_capture_config` (API BatchDataCaptureConfig): manifests of what a job read and
/// wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataCaptureConfig {
    /// An S3 prefix.
    pub destination_s3_uri: String,
    /// Encrypts the volume that they are made on.
    pub kms_key_id: Option<String>,
    /// Appends two columns to each record that is stored: a UUID, and the job's start.
    pub generate_inference_id: Option<bool>,
}

/// `transform.experiment_config` (API ExperimentConfig).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentConfig {
    /// An experiment that exists.
    pub experiment_name: Option<String>,
    /// A trial that exists; by default one is made.
    pub trial_name: Option<String>,
    /// How the job is shown.
    pub trial_component_display_name: Option<String>,
    /// The experiment's run.
    pub run_name: Option<String>,
}
