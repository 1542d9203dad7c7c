//! What CreateTransformJob refuses.

use super::constraints::{
    AMI_VERSION, Constraints, ENVIRONMENT_KEY, EXPERIMENT_NAME, INSTANCE_TYPE, JOB_NAME,
    MODEL_NAME, S3_URI, TAG_KEY, invalid,
};
use super::request::{DataProcessing, Tag, TransformInput, TransformJobRequest, TransformOutput};
use crate::assume::{Assumptions, StrategyWithoutSplit};
use crate::error::ServiceError;

/// `MaxConcurrentTransforms × MaxPayloadInMB`, and `MaxPayloadInMB` alone (API reference).
const MAX_PAYLOAD_MB: i64 = 100;
const MAX_INSTANCES: i64 = 100;
const MAX_ENVIRONMENT: usize = 16;
const MAX_TAGS: usize = 50;

/// Everything but the existence of names.
pub(crate) fn check(
    request: &TransformJobRequest,
    assume: Assumptions,
) -> Result<(), ServiceError> {
    check_fields(request)?;
    check_combinations(request)?;
    check_strategy(request, assume)?;
    refuse_unsupported(request)
}

/// The rules of the API model: each field alone.
fn check_fields(request: &TransformJobRequest) -> Result<(), ServiceError> {
    let mut c = Constraints::default();
    let name = c.required("transformJobName", request.transform_job_name.as_deref());
    c.pattern("transformJobName", name, 63, JOB_NAME);
    let model = c.required("modelName", request.model_name.as_deref());
    c.pattern("modelName", model, 63, MODEL_NAME);
    c.range(
        "maxConcurrentTransforms",
        request.max_concurrent_transforms,
        0,
        i64::MAX,
    );
    c.range("maxPayloadInMB", request.max_payload_in_mb, 0, i64::MAX);
    c.one_of(
        "batchStrategy",
        request.batch_strategy.as_deref(),
        &["MultiRecord", "SingleRecord"],
    );
    if let Some(client) = &request.model_client_config {
        let field = |name: &str| format!("modelClientConfig.{name}");
        c.range(
            &field("invocationsTimeoutInSeconds"),
            client.invocations_timeout_in_seconds,
            1,
            3600,
        );
        c.range(
            &field("invocationsMaxRetries"),
            client.invocations_max_retries,
            0,
            3,
        );
    }
    c.entries("environment", request.environment.len(), MAX_ENVIRONMENT);
    for (key, value) in &request.environment {
        c.pattern("environment", Some(key), 1024, ENVIRONMENT_KEY);
        c.length("environment", Some(value), 10240);
    }
    if let Some(input) = c.required("transformInput", request.transform_input.as_ref()) {
        check_input(&mut c, input);
    }
    if let Some(output) = c.required("transformOutput", request.transform_output.as_ref()) {
        check_output(&mut c, output);
    }
    if let Some(resources) = c.required("transformResources", request.transform_resources.as_ref())
    {
        let kind = c.required(
            "transformResources.instanceType",
            resources.instance_type.as_deref(),
        );
        c.pattern("transformResources.instanceType", kind, 63, INSTANCE_TYPE);
        let count = c.required(
            "transformResources.instanceCount",
            resources.instance_count.as_ref(),
        );
        c.range(
            "transformResources.instanceCount",
            count.copied(),
            1,
            MAX_INSTANCES,
        );
        c.length(
            "transformResources.volumeKmsKeyId",
            resources.volume_kms_key_id.as_deref(),
            2048,
        );
        c.pattern(
            "transformResources.transformAmiVersion",
            resources.transform_ami_version.as_deref(),
            63,
            AMI_VERSION,
        );
    }
    if let Some(processing) = &request.data_processing {
        check_processing(&mut c, processing);
    }
    check_side_configs(&mut c, request);
    check_tags(&mut c, &request.tags);
    c.finish()
}

fn check_input(c: &mut Constraints, input: &TransformInput) {
    let source = c.required("transformInput.dataSource", input.data_source.as_ref());
    let source = source.and_then(|s| s.s3_data_source.as_ref());
    if let Some(s3) = c.required("transformInput.dataSource.s3DataSource", source) {
        let field = |name: &str| format!("transformInput.dataSource.s3DataSource.{name}");
        let kind = c.required(&field("s3DataType"), s3.s3_data_type.as_deref());
        let kinds = [
            "ManifestFile",
            "S3Prefix",
            "AugmentedManifestFile",
            "Converse",
        ];
        c.one_of(&field("s3DataType"), kind, &kinds);
        let uri = c.required(&field("s3Uri"), s3.s3_uri.as_deref());
        c.pattern(&field("s3Uri"), uri, 1024, S3_URI);
    }
    c.length(
        "transformInput.contentType",
        input.content_type.as_deref(),
        256,
    );
    c.one_of(
        "transformInput.compressionType",
        input.compression_type.as_deref(),
        &["None", "Gzip"],
    );
    let splits = ["None", "Line", "RecordIO", "TFRecord"];
    c.one_of(
        "transformInput.splitType",
        input.split_type.as_deref(),
        &splits,
    );
}

fn check_output(c: &mut Constraints, output: &TransformOutput) {
    let path = c.required(
        "transformOutput.s3OutputPath",
        output.s3_output_path.as_deref(),
    );
    c.pattern("transformOutput.s3OutputPath", path, 1024, S3_URI);
    c.length("transformOutput.accept", output.accept.as_deref(), 256);
    c.one_of(
        "transformOutput.assembleWith",
        output.assemble_with.as_deref(),
        &["None", "Line"],
    );
    c.length(
        "transformOutput.kmsKeyId",
        output.kms_key_id.as_deref(),
        2048,
    );
}

fn check_processing(c: &mut Constraints, processing: &DataProcessing) {
    c.length(
        "dataProcessing.inputFilter",
        processing.input_filter.as_deref(),
        63,
    );
    c.length(
        "dataProcessing.outputFilter",
        processing.output_filter.as_deref(),
        63,
    );
    c.one_of(
        "dataProcessing.joinSource",
        processing.join_source.as_deref(),
        &["Input", "None"],
    );
}

/// What decides nothing about the transforming.
fn check_side_configs(c: &mut Constraints, request: &TransformJobRequest) {
    if let Some(capture) = &request.data_capture_config {
        let field = |name: &str| format!("dataCaptureConfig.{name}");
        let uri = capture.destination_s3_uri.as_deref();
        let uri = c.required(&field("destinationS3Uri"), uri);
        c.pattern(&field("destinationS3Uri"), uri, 1024, S3_URI);
        c.length(&field("kmsKeyId"), capture.kms_key_id.as_deref(), 2048);
    }
    let Some(experiment) = &request.experiment_config else {
        return;
    };
    for (name, value) in [
        ("experimentName", &experiment.experiment_name),
        ("trialName", &experiment.trial_name),
        (
            "trialComponentDisplayName",
            &experiment.trial_component_display_name,
        ),
        ("runName", &experiment.run_name),
    ] {
        let field = format!("experimentConfig.{name}");
        c.pattern(&field, value.as_deref(), 120, EXPERIMENT_NAME);
    }
}

pub(super) fn check_tags(c: &mut Constraints, tags: &[Tag]) {
    c.entries("tags", tags.len(), MAX_TAGS);
    for tag in tags {
        c.length("tags.key", Some(&tag.key), 128);
        if tag.key.is_empty() {
            c.pattern("tags.key", Some(""), 128, TAG_KEY);
        }
        c.length("tags.value", Some(&tag.value), 256);
    }
}

/// The rules that the model does not have: fields together.
fn check_combinations(request: &TransformJobRequest) -> Result<(), ServiceError> {
    let payload = request.max_payload_in_mb;
    if let Some(payload) = payload.filter(|p| *p > MAX_PAYLOAD_MB) {
        return Err(invalid(format!(
            "MaxPayloadInMB must be less than or equal to {MAX_PAYLOAD_MB}, but was {payload}"
        )));
    }
    if let Some(concurrent) = request.max_concurrent_transforms {
        let product = concurrent.saturating_mul(payload.unwrap_or(6));
        if product > MAX_PAYLOAD_MB {
            return Err(invalid(format!(
                "The product of MaxConcurrentTransforms and MaxPayloadInMB must be less than or \
                 equal to {MAX_PAYLOAD_MB}, but was {product}"
            )));
        }
    }
    let input = request.transform_input.clone().unwrap_or_default();
    let output = request.transform_output.clone().unwrap_or_default();
    let source = input
        .data_source
        .and_then(|s| s.s3_data_source)
        .unwrap_or_default();
    if let Some(kind @ ("AugmentedManifestFile" | "Converse")) = source.s3_data_type.as_deref() {
        return Err(invalid(format!(
            "S3DataType {kind} is not supported for transform jobs; valid are ManifestFile and S3Prefix"
        )));
    }
    match &request.data_processing {
        Some(processing) if processing.is_active() => check_processing_pairs(
            &[input.content_type, output.accept],
            input.split_type.as_deref().unwrap_or("None"),
            output.assemble_with.as_deref().unwrap_or("None"),
        ),
        _ => Ok(()),
    }
}

/// "To enable the batch strategy, you must set SplitType to Line, RecordIO, or TFRecord" (API
/// reference); what becomes of a request that does not, it does not say.
fn check_strategy(request: &TransformJobRequest, assume: Assumptions) -> Result<(), ServiceError> {
    let input = request.transform_input.as_ref();
    let split = input.and_then(|i| i.split_type.as_deref());
    let refused = assume.strategy_without_split == StrategyWithoutSplit::Refuse;
    match &request.batch_strategy {
        Some(strategy) if refused && matches!(split, None | Some("None")) => Err(invalid(format!(
            "To enable the batch strategy, SplitType must be Line, RecordIO or TFRecord, but \
                 BatchStrategy was {strategy} and SplitType None"
        ))),
        _ => Ok(()),
    }
}

/// Input and output must be cut alike, or records could not be joined (developer guide,
/// "batch-transform-data-processing").
fn check_processing_pairs(
    types: &[Option<String>; 2],
    split: &str,
    assemble: &str,
) -> Result<(), ServiceError> {
    let [content_type, accept] = types;
    if content_type != accept {
        return Err(invalid(format!(
            "With DataProcessing, Accept must equal ContentType, but they were '{}' and '{}'",
            accept.as_deref().unwrap_or(""),
            content_type.as_deref().unwrap_or("")
        )));
    }
    let media = media(content_type.as_deref());
    if !["text/csv", "application/json", "application/jsonlines"].contains(&media) {
        return Err(invalid(format!(
            "DataProcessing supports text/csv, application/json and application/jsonlines, but ContentType was '{media}'"
        )));
    }
    if split != assemble {
        return Err(invalid(format!(
            "With DataProcessing, AssembleWith must equal SplitType, but they were {assemble} and {split}"
        )));
    }
    if media == "text/csv" && split != "Line" {
        return Err(invalid(format!(
            "With DataProcessing of text/csv, SplitType and AssembleWith must be Line, but they were {split}"
        )));
    }
    Ok(())
}

/// A content type without its parameters.
pub(super) fn media(content_type: Option<&str>) -> &str {
    let whole = content_type.unwrap_or("");
    whole.split(';').next().unwrap_or("").trim()
}

/// What the service does and this emulator does not: said before anything runs.
fn refuse_unsupported(request: &TransformJobRequest) -> Result<(), ServiceError> {
    let unsupported = |what: &str| {
        Err(invalid(format!(
            "{what} is not supported by the gristmill emulator"
        )))
    };
    let split = request
        .transform_input
        .as_ref()
        .and_then(|i| i.split_type.as_deref());
    if let Some(split @ ("RecordIO" | "TFRecord")) = split {
        return unsupported(&format!("SplitType {split}"));
    }
    Ok(())
}
