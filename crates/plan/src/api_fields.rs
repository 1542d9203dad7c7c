//! Every field of CreateTransformJob, and who sets it: a key of the pipeline file, or gristmill.

use crate::table::Map;

/// One member of the request that is no structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiField {
    /// By the API's names: `TransformInput.ContentType`; `[]` for the items of a list,
    /// `{key}` and `{}` for the keys and values of a map.
    pub path: &'static str,
    /// Who says what it is.
    pub set_by: SetBy,
}

/// Who sets a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// A key of the pipeline file, by its path.
    Key(&'static str),
    /// Gristmill, for this reason: the end of a sentence.
    Gristmill(&'static str),
}

const fn key(path: &'static str, key: &'static str) -> ApiField {
    let set_by = SetBy::Key(key);
    ApiField { path, set_by }
}

const fn ours(path: &'static str, why: &'static str) -> ApiField {
    let set_by = SetBy::Gristmill(why);
    ApiField { path, set_by }
}

/// The whole request (API CreateTransformJobRequest, botocore 1.44.5), in its order.
pub const CREATE_TRANSFORM_JOB: &[ApiField] = &[
    ours(
        "TransformJobName",
        "a job is named for its run, so that a lost answer leads to no second job",
    ),
    key("ModelName", "transform.model"),
    key(
        "MaxConcurrentTransforms",
        "transform.max_concurrent_transforms",
    ),
    key(
        "ModelClientConfig.InvocationsTimeoutInSeconds",
        "transform.invocations_timeout_in_seconds",
    ),
    key(
        "ModelClientConfig.InvocationsMaxRetries",
        "transform.invocations_max_retries",
    ),
    key("MaxPayloadInMB", "transform.max_payload_in_mb"),
    key("BatchStrategy", "transform.batch_strategy"),
    key("Environment{key}", "transform.environment"),
    key("Environment{}", "transform.environment"),
    ours(
        "TransformInput.DataSource.S3DataSource.S3DataType",
        "a job reads a prefix with nothing but the run's shards, a later one a manifest of those \
         that are missing",
    ),
    ours(
        "TransformInput.DataSource.S3DataSource.S3Uri",
        "shards for a model lie under `work.uri`; what they are made of is `source.uri`",
    ),
    key("TransformInput.ContentType", "transform.content_type"),
    key(
        "TransformInput.CompressionType",
        "transform.compression_type",
    ),
    key("TransformInput.SplitType", "transform.split_type"),
    ours(
        "TransformOutput.S3OutputPath",
        "each job writes to a prefix of its own under `work.uri`; the result goes to `assemble.to`",
    ),
    key("TransformOutput.Accept", "transform.accept"),
    key("TransformOutput.AssembleWith", "transform.assemble_with"),
    key("TransformOutput.KmsKeyId", "transform.kms_key_id"),
    key(
        "DataCaptureConfig.DestinationS3Uri",
        "transform.data_capture_config.destination_s3_uri",
    ),
    key(
        "DataCaptureConfig.KmsKeyId",
        "transform.data_capture_config.kms_key_id",
    ),
    key(
        "DataCaptureConfig.GenerateInferenceId",
        "transform.data_capture_config.generate_inference_id",
    ),
    key("TransformResources.InstanceType", "transform.instance_type"),
    key(
        "TransformResources.InstanceCount",
        "transform.instance_count",
    ),
    key(
        "TransformResources.VolumeKmsKeyId",
        "transform.volume_kms_key_id",
    ),
    key(
        "TransformResources.TransformAmiVersion",
        "transform.transform_ami_version",
    ),
    key(
        "DataProcessing.InputFilter",
        "transform.data_processing.input_filter",
    ),
    key(
        "DataProcessing.OutputFilter",
        "transform.data_processing.output_filter",
    ),
    key(
        "DataProcessing.JoinSource",
        "transform.data_processing.join_source",
    ),
    // A mapping of the user's, which the walker gives as keys and values.
    key("Tags[].Key", "transform.tags"),
    key("Tags[].Value", "transform.tags"),
    key(
        "ExperimentConfig.ExperimentName",
        "transform.experiment_config.experiment_name",
    ),
    key(
        "ExperimentConfig.TrialName",
        "transform.experiment_config.trial_name",
    ),
    key(
        "ExperimentConfig.TrialComponentDisplayName",
        "transform.experiment_config.trial_component_display_name",
    ),
    key(
        "ExperimentConfig.RunName",
        "transform.experiment_config.run_name",
    ),
];

/// Structures of the request whose members are keys of `transform`.
const FLAT: &[&str] = &[
    "model_client_config",
    "transform_input",
    "data_source",
    "s3_data_source",
    "transform_output",
    "transform_resources",
];

/// A word of the API that is no key at `path`: what is to be done about it. `None` for other words.
pub(crate) fn help_with(word: &str, path: &str, keys: &Map) -> Option<String> {
    if path != "transform" && !path.starts_with("transform.") {
        return None;
    }
    let snake = snake_case(word);
    if snake != word && keys.keys.iter().any(|key| key.name == snake) {
        return Some(format!("did you mean `{snake}`?"));
    }
    if FLAT.contains(&snake.as_str()) {
        return Some(format!(
            "the keys of `{word}` stand right under `transform`"
        ));
    }
    let field = CREATE_TRANSFORM_JOB
        .iter()
        .find(|field| snake_case(last(field.path)) == snake)?;
    Some(match field.set_by {
        SetBy::Gristmill(why) => format!("gristmill sets it: {why}"),
        SetBy::Key(key) => format!("the key is `{key}`"),
    })
}

fn last(path: &str) -> &str {
    let name = path.rsplit('.').next().unwrap_or(path);
    name.split(['[', '{']).next().unwrap_or(name)
}

/// `max_payload_in_mb` for `MaxPayloadInMB`, `s3_data_type` for `S3DataType`; anything else in
/// small letters as it is.
fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (i, c) in chars.iter().enumerate() {
        let after_small = i > 0 && !chars[i - 1].is_ascii_uppercase() && chars[i - 1] != '_';
        let begins_word =
            chars.get(i + 1).is_some_and(char::is_ascii_lowercase) && i > 0 && chars[i - 1] != '_';
        if c.is_ascii_uppercase() && (after_small || begins_word) {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn names_of_the_api_are_keys_in_small_letters() {
        for (api, key) in [
            ("MaxPayloadInMB", "max_payload_in_mb"),
            ("S3DataType", "s3_data_type"),
            ("DestinationS3Uri", "destination_s3_uri"),
            (
                "InvocationsTimeoutInSeconds",
                "invocations_timeout_in_seconds",
            ),
            ("KmsKeyId", "kms_key_id"),
            ("split_type", "split_type"),
            ("", ""),
        ] {
            assert_eq!(snake_case(api), key);
        }
    }
}
