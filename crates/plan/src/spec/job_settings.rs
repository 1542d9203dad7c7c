//! What a job is told besides its input, output and machines, in the service's own words.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// `transform.join`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// We do, by position; ids stay here.
    #[default]
    Local,
    /// The service does: see [`crate::server_join`].
    Server,
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

/// `transform.jobs`. In JSON a number, or `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Jobs {
    /// The planner chooses.
    Auto,
    /// 1 to [`crate::limits::MOST_JOBS`].
    Number(u32),
}

impl Default for Jobs {
    fn default() -> Jobs {
        Jobs::Number(1)
    }
}

impl From<Jobs> for Value {
    fn from(jobs: Jobs) -> Value {
        match jobs {
            Jobs::Auto => Value::from("auto"),
            Jobs::Number(n) => Value::from(n),
        }
    }
}

impl TryFrom<Value> for Jobs {
    type Error = String;

    fn try_from(value: Value) -> Result<Jobs, String> {
        if value == "auto" {
            return Ok(Jobs::Auto);
        }
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
        match number {
            Some(n) if n > 0 => Ok(Jobs::Number(n)),
            _ => Err(format!(
                "expected a number of jobs or `auto`, found {value}"
            )),
        }
    }
}
