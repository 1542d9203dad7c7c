//! Between [`crate::transform_job`] and the SDK's types, member by member.

use crate::redact::clean;
use crate::transform_job::{
    CreateTransformJob, DataCaptureConfig, DataProcessing, DataSource, ExperimentConfig, JobInfo,
    JobStatus, JobSummary, ModelClientConfig, S3DataSource, Tag, TransformInput, TransformOutput,
    TransformResources,
};
use aws_sdk_sagemaker::operation::create_transform_job::builders::CreateTransformJobFluentBuilder;
use aws_sdk_sagemaker::operation::describe_transform_job::DescribeTransformJobOutput;
use aws_sdk_sagemaker::primitives::DateTime;
use aws_sdk_sagemaker::types as sdk;

/// The SDK's request, filled with ours.
pub(crate) fn fill(
    request: CreateTransformJobFluentBuilder,
    job: &CreateTransformJob,
) -> CreateTransformJobFluentBuilder {
    let environment =
        (!job.environment.is_empty()).then(|| job.environment.clone().into_iter().collect());
    let tags = (!job.tags.is_empty()).then(|| job.tags.iter().map(tag).collect());
    request
        .transform_job_name(&job.transform_job_name)
        .model_name(&job.model_name)
        .set_max_concurrent_transforms(job.max_concurrent_transforms)
        .set_model_client_config(job.model_client_config.as_ref().map(model_client))
        .set_max_payload_in_mb(job.max_payload_in_mb)
        .set_batch_strategy(job.batch_strategy.as_deref().map(Into::into))
        .set_environment(environment)
        .transform_input(input(&job.transform_input))
        .transform_output(output(&job.transform_output))
        .set_data_capture_config(job.data_capture_config.as_ref().map(capture))
        .transform_resources(resources(&job.transform_resources))
        .set_data_processing(job.data_processing.as_ref().map(processing))
        .set_tags(tags)
        .set_experiment_config(job.experiment_config.as_ref().map(experiment))
}

pub(crate) fn tag(tag: &Tag) -> sdk::Tag {
    sdk::Tag::builder().key(&tag.key).value(&tag.value).build()
}

fn model_client(config: &ModelClientConfig) -> sdk::ModelClientConfig {
    sdk::ModelClientConfig::builder()
        .set_invocations_timeout_in_seconds(config.invocations_timeout_in_seconds)
        .set_invocations_max_retries(config.invocations_max_retries)
        .build()
}

fn input(input: &TransformInput) -> sdk::TransformInput {
    let source = &input.data_source.s3_data_source;
    let s3 = sdk::TransformS3DataSource::builder()
        .s3_data_type(source.s3_data_type.as_str().into())
        .s3_uri(&source.s3_uri)
        .build();
    sdk::TransformInput::builder()
        .data_source(
            sdk::TransformDataSource::builder()
                .s3_data_source(s3)
                .build(),
        )
        .set_content_type(input.content_type.clone())
        .set_compression_type(input.compression_type.as_deref().map(Into::into))
        .set_split_type(input.split_type.as_deref().map(Into::into))
        .build()
}

fn output(output: &TransformOutput) -> sdk::TransformOutput {
    sdk::TransformOutput::builder()
        .s3_output_path(&output.s3_output_path)
        .set_accept(output.accept.clone())
        .set_assemble_with(output.assemble_with.as_deref().map(Into::into))
        .set_kms_key_id(output.kms_key_id.clone())
        .build()
}

fn capture(config: &DataCaptureConfig) -> sdk::BatchDataCaptureConfig {
    sdk::BatchDataCaptureConfig::builder()
        .destination_s3_uri(&config.destination_s3_uri)
        .set_kms_key_id(config.kms_key_id.clone())
        .set_generate_inference_id(config.generate_inference_id)
        .build()
}

fn resources(resources: &TransformResources) -> sdk::TransformResources {
    sdk::TransformResources::builder()
        .instance_type(resources.instance_type.as_str().into())
        .instance_count(resources.instance_count)
        .set_volume_kms_key_id(resources.volume_kms_key_id.clone())
        .set_transform_ami_version(resources.transform_ami_version.clone())
        .build()
}

fn processing(processing: &DataProcessing) -> sdk::DataProcessing {
    sdk::DataProcessing::builder()
        .set_input_filter(processing.input_filter.clone())
        .set_output_filter(processing.output_filter.clone())
        .set_join_source(processing.join_source.as_deref().map(Into::into))
        .build()
}

fn experiment(config: &ExperimentConfig) -> sdk::ExperimentConfig {
    sdk::ExperimentConfig::builder()
        .set_experiment_name(config.experiment_name.clone())
        .set_trial_name(config.trial_name.clone())
        .set_trial_component_display_name(config.trial_component_display_name.clone())
        .set_run_name(config.run_name.clone())
        .build()
}

/// What a description says. Members that the model requires and a broken service leaves out are
/// empty, and so differ from any request.
pub(crate) fn job_info(described: &DescribeTransformJobOutput) -> JobInfo {
    let request = described_request(described);
    JobInfo {
        name: request.transform_job_name.clone(),
        arn: text(described.transform_job_arn()),
        status: status(described.transform_job_status()),
        failure_reason: described.failure_reason().map(clean),
        creation_time: described.creation_time().map_or(0.0, DateTime::as_secs_f64),
        start_time: described.transform_start_time().map(DateTime::as_secs_f64),
        end_time: described.transform_end_time().map(DateTime::as_secs_f64),
        model_name: request.model_name.clone(),
        s3_input_uri: request
            .transform_input
            .data_source
            .s3_data_source
            .s3_uri
            .clone(),
        s3_output_path: request.transform_output.s3_output_path.clone(),
        request,
    }
}

pub(crate) fn job_summary(job: &sdk::TransformJobSummary) -> JobSummary {
    JobSummary {
        name: text(job.transform_job_name()),
        arn: text(job.transform_job_arn()),
        status: status(job.transform_job_status()),
        creation_time: job.creation_time().map_or(0.0, DateTime::as_secs_f64),
    }
}

fn status(status: Option<&sdk::TransformJobStatus>) -> JobStatus {
    JobStatus::of(status.map_or("", sdk::TransformJobStatus::as_str))
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

fn described_request(described: &DescribeTransformJobOutput) -> CreateTransformJob {
    CreateTransformJob {
        transform_job_name: text(described.transform_job_name()),
        model_name: text(described.model_name()),
        max_concurrent_transforms: described.max_concurrent_transforms(),
        model_client_config: described.model_client_config().map(|c| ModelClientConfig {
            invocations_timeout_in_seconds: c.invocations_timeout_in_seconds(),
            invocations_max_retries: c.invocations_max_retries(),
        }),
        max_payload_in_mb: described.max_payload_in_mb(),
        batch_strategy: described.batch_strategy().map(|s| s.as_str().to_owned()),
        environment: described
            .environment()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        transform_input: described
            .transform_input()
            .map(described_input)
            .unwrap_or_default(),
        transform_output: described
            .transform_output()
            .map(described_output)
            .unwrap_or_default(),
        data_capture_config: described.data_capture_config().map(|c| DataCaptureConfig {
            destination_s3_uri: text(c.destination_s3_uri()),
            kms_key_id: c.kms_key_id().map(str::to_owned),
            generate_inference_id: c.generate_inference_id(),
        }),
        transform_resources: described
            .transform_resources()
            .map(described_resources)
            .unwrap_or_default(),
        data_processing: described.data_processing().map(|p| DataProcessing {
            input_filter: p.input_filter().map(str::to_owned),
            output_filter: p.output_filter().map(str::to_owned),
            join_source: p.join_source().map(|s| s.as_str().to_owned()),
        }),
        tags: Vec::new(),
        experiment_config: described.experiment_config().map(|c| ExperimentConfig {
            experiment_name: c.experiment_name().map(str::to_owned),
            trial_name: c.trial_name().map(str::to_owned),
            trial_component_display_name: c.trial_component_display_name().map(str::to_owned),
            run_name: c.run_name().map(str::to_owned),
        }),
    }
}

fn described_input(input: &sdk::TransformInput) -> TransformInput {
    let source = input
        .data_source()
        .and_then(sdk::TransformDataSource::s3_data_source);
    TransformInput {
        data_source: DataSource {
            s3_data_source: source
                .map(|s| S3DataSource {
                    s3_data_type: s
                        .s3_data_type()
                        .map(|t| t.as_str().to_owned())
                        .unwrap_or_default(),
                    s3_uri: text(s.s3_uri()),
                })
                .unwrap_or_default(),
        },
        content_type: input.content_type().map(str::to_owned),
        compression_type: input.compression_type().map(|t| t.as_str().to_owned()),
        split_type: input.split_type().map(|t| t.as_str().to_owned()),
    }
}

fn described_output(output: &sdk::TransformOutput) -> TransformOutput {
    TransformOutput {
        s3_output_path: text(output.s3_output_path()),
        accept: output.accept().map(str::to_owned),
        assemble_with: output.assemble_with().map(|a| a.as_str().to_owned()),
        kms_key_id: output.kms_key_id().map(str::to_owned),
    }
}

fn described_resources(resources: &sdk::TransformResources) -> TransformResources {
    TransformResources {
        instance_type: resources
            .instance_type()
            .map(|t| t.as_str().to_owned())
            .unwrap_or_default(),
        instance_count: resources.instance_count().unwrap_or_default(),
        volume_kms_key_id: resources.volume_kms_key_id().map(str::to_owned),
        transform_ami_version: resources.transform_ami_version().map(str::to_owned),
    }
}
