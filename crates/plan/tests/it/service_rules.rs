//! Every rule about CreateTransformJob, each by lines of a file that break it.

use std::path::Path;

use gristmill_plan::api_fields::{CREATE_TRANSFORM_JOB, SetBy};
use gristmill_plan::instance_types::known;
use gristmill_plan::limits::{Limits, ROOM_UNDER_WORK};
use gristmill_plan::{parse, resolve, review};

use crate::support::{context, edited, plan, problems_of};

/// A rule, and lines that break it: they are added to `transform` of [`crate::support::FINE`] from
/// its line 17 on.
struct Broken {
    rule: &'static str,
    /// What else is replaced.
    edits: &'static [(&'static str, &'static str)],
    lines: String,
}

fn broken(rule: &'static str, lines: impl Into<String>) -> Broken {
    broken_in(&[], rule, lines)
}

fn broken_in(
    edits: &'static [(&'static str, &'static str)],
    rule: &'static str,
    lines: impl Into<String>,
) -> Broken {
    let lines = lines.into();
    Broken { rule, edits, lines }
}

const JSONL: &[(&str, &str)] = &[("format: csv", "format: jsonl")];
const PARQUET: &[(&str, &str)] = &[("format: csv", "format: parquet")];
const GZIP_WHOLE: &[(&str, &str)] = &[("format: csv", "format: csv.gz\n  max_bytes: 6MB")];
const NO_MODEL: &[(&str, &str)] = &[("  model: late-v1\n", "")];
const NO_TYPE: &[(&str, &str)] = &[("  instance_type: ml.m5.xlarge\n", "  instance_count: 1\n")];
const MODEL: &[(&str, &str)] = &[("model: late-v1", "model: late_v1")];
const MODEL_END: &[(&str, &str)] = &[("model: late-v1", "model: late-")];
const TYPE: &[(&str, &str)] = &[("ml.m5.xlarge", "m5.xlarge")];
const OWN_DISKS: &[(&str, &str)] = &[("ml.m5.xlarge", "ml.g5.xlarge\n  volume_kms_key_id: k")];
const RESERVED: &[(&str, &str)] = &[
    ("format: csv", "format: jsonl"),
    (
        "select: [month, day, distance]",
        "select: [month, SageMakerOutput]",
    ),
];

fn k(n: usize) -> String {
    "k".repeat(n)
}

fn entries(n: usize) -> String {
    let entries: Vec<String> = (0..n).map(|i| format!("K{i}: v")).collect();
    format!("{{ {} }}", entries.join(", "))
}

/// Sections A.1 to A.4 of the request: each field alone.
fn fields() -> Vec<Broken> {
    let nested = |section: &str, key: &str, value: &str| format!("{section}: {{ {key}: {value} }}");
    let experiment = |key, value: &str| nested("experiment_config", key, value);
    vec![
        broken_in(NO_MODEL, "ModelName: required", ""),
        broken_in(MODEL, "ModelName: pattern", ""),
        broken_in(MODEL_END, "ModelName: ends", ""),
        broken_in(NO_TYPE, "InstanceType: required", ""),
        broken_in(TYPE, "InstanceType: form", ""),
        broken("InstanceCount: least", "instance_count: 0"),
        broken("InstanceCount: most", "instance_count: 101"),
        broken(
            "MaxConcurrentTransforms: least",
            "max_concurrent_transforms: -1",
        ),
        broken(
            "MaxConcurrentTransforms: most",
            "max_payload_in_mb: 0\nmax_concurrent_transforms: 2147483648",
        ),
        broken("MaxPayloadInMB: least", "max_payload_in_mb: -1"),
        broken("MaxPayloadInMB: most", "max_payload_in_mb: 101"),
        broken("BatchStrategy: values", "batch_strategy: SingleRecords"),
        broken(
            "InvocationsTimeoutInSeconds: least",
            "invocations_timeout_in_seconds: 0",
        ),
        broken(
            "InvocationsTimeoutInSeconds: most",
            "invocations_timeout_in_seconds: 3601",
        ),
        broken(
            "InvocationsMaxRetries: least",
            "invocations_max_retries: -1",
        ),
        broken("InvocationsMaxRetries: most", "invocations_max_retries: 4"),
        broken(
            "Environment: entries",
            format!("environment: {}", entries(17)),
        ),
        broken("Environment: key's pattern", "environment: { 9A: x }"),
        broken(
            "Environment: key's length",
            format!("environment: {{ {}: x }}", k(1025)),
        ),
        broken(
            "Environment: value's length",
            format!("environment: {{ K: {} }}", k(10_241)),
        ),
        broken(
            "ContentType: length",
            format!("content_type: text/csv;{}", k(250)),
        ),
        broken("ContentType: a media type", "content_type: csv"),
        broken("CompressionType: values", "compression_type: snappy"),
        broken("SplitType: values", "split_type: lines"),
        broken("Accept: length", format!("accept: text/csv;{}", k(250))),
        broken("AssembleWith: values", "assemble_with: newline"),
        broken("KmsKeyId: pattern", "kms_key_id: 'alias/my key'"),
        broken("KmsKeyId: length", format!("kms_key_id: {}", k(2049))),
        broken("VolumeKmsKeyId: pattern", "volume_kms_key_id: a*b"),
        broken(
            "VolumeKmsKeyId: length",
            format!("volume_kms_key_id: {}", k(2049)),
        ),
        broken(
            "TransformAmiVersion: pattern",
            "transform_ami_version: al2_ami",
        ),
        broken(
            "TransformAmiVersion: one hyphen",
            "transform_ami_version: al2--ami",
        ),
        broken(
            "TransformAmiVersion: length",
            format!("transform_ami_version: {}", k(64)),
        ),
        broken("Tags: number", format!("tags: {}", entries(49))),
        broken("Tags: key's length", format!("tags: {{ {}: x }}", k(129))),
        broken("Tags: empty key", "tags: { '': x }"),
        broken(
            "Tags: value's length",
            format!("tags: {{ team: {} }}", k(257)),
        ),
        broken("Tags: pattern", "tags: { team: 'a&b' }"),
        broken("Tags: aws:", "tags: { 'AWS:team': a }"),
        broken(
            "DestinationS3Uri: required",
            "data_capture_config: { generate_inference_id: true }",
        ),
        broken(
            "DestinationS3Uri: pattern",
            nested("data_capture_config", "destination_s3_uri", "capture/"),
        ),
        broken(
            "DestinationS3Uri: length",
            nested(
                "data_capture_config",
                "destination_s3_uri",
                &format!("s3://captured/{}", k(1020)),
            ),
        ),
        broken(
            "DataCaptureConfig.KmsKeyId: pattern",
            "data_capture_config: { destination_s3_uri: s3://captured/, kms_key_id: '?' }",
        ),
        broken(
            "GenerateInferenceId: type",
            "data_capture_config: { destination_s3_uri: s3://captured/, generate_inference_id: yes }",
        ),
        broken(
            "ExperimentName: pattern",
            experiment("experiment_name", "my_experiment"),
        ),
        broken(
            "ExperimentName: length",
            experiment("experiment_name", &k(121)),
        ),
        broken("TrialName: pattern", experiment("trial_name", "-t")),
        broken(
            "TrialComponentDisplayName: pattern",
            experiment("trial_component_display_name", "t-"),
        ),
        broken("RunName: pattern", experiment("run_name", "''")),
    ]
}

/// Fields that gristmill sets, and the API's words for others.
fn words_of_the_api() -> Vec<Broken> {
    vec![
        broken("TransformJobName", "transform_job_name: x"),
        broken("S3DataType", "s3_data_type: AugmentedManifestFile"),
        broken("S3Uri", "S3Uri: s3://in/"),
        broken("S3OutputPath", "s3_output_path: s3://out/"),
        broken("ModelName", "model_name: late-v1"),
        broken(
            "structures",
            "TransformInput: { ContentType: text/csv }\nmodel_client_config: {}",
        ),
        broken("CamelCase", "SplitType: Line\nMaxPayloadInMB: 6"),
        broken(
            "of a part",
            "input_filter: $\nInputFilter: $\ndata_processing: { InputFilter: $ }",
        ),
    ]
}

/// Section A.5.
fn data_processing() -> Vec<Broken> {
    let filter = |text: &str| format!("data_processing: {{ input_filter: \"{text}\" }}");
    let join = "data_processing: { join_source: input }";
    let parts =
        "data_processing: { output_filter: \"$['month','SageMakerOutput']\", join_source: input }";
    vec![
        broken(
            "JoinSource: values",
            "data_processing: { join_source: output }",
        ),
        broken("InputFilter: length", filter(&format!("$.{}", k(62)))),
        broken(
            "OutputFilter: length",
            format!("data_processing: {{ output_filter: $.{} }}", k(62)),
        ),
        broken("a filter's syntax", filter("$[1;]")),
        broken("ranges and places", filter("$[0:2,246:]")),
        broken("a range with an end", filter("$[1:3]")),
        broken("names in CSV", filter("$.distance")),
        broken("a place beyond the columns", filter("$[0,3]")),
        broken(
            "OutputFilter of CSV",
            "data_processing: { output_filter: \"$['SageMakerOutput']\", join_source: input }",
        ),
        broken_in(
            JSONL,
            "places in JSON Lines",
            format!("{}\naccept: application/jsonlines", filter("$[1:]")),
        ),
        broken_in(
            JSONL,
            "a name that is no column",
            format!("{}\naccept: application/jsonlines", filter("$['dya']")),
        ),
        broken_in(
            PARQUET,
            "media type",
            "data_processing: { join_source: input }",
        ),
        broken(
            "Accept is ContentType",
            format!("{join}\naccept: application/jsonlines"),
        ),
        broken(
            "AssembleWith is SplitType",
            format!("{join}\nassemble_with: none"),
        ),
        broken("lines", format!("{join}\nsplit_type: none")),
        broken_in(
            JSONL,
            "a join of objects",
            format!("{parts}\naccept: application/jsonlines"),
        ),
        broken_in(
            RESERVED,
            "SageMakerOutput",
            "data_processing: { output_filter: $.SageMakerOutput, join_source: input }\naccept: application/jsonlines",
        ),
    ]
}

/// Section A.6, and what else is about several fields.
fn combinations() -> Vec<Broken> {
    vec![
        broken(
            "payload product",
            "max_payload_in_mb: 20\nmax_concurrent_transforms: 6",
        ),
        broken(
            "payload product of any payload",
            "max_concurrent_transforms: 101",
        ),
        broken(
            "BatchStrategy without SplitType",
            "split_type: none\nbatch_strategy: multi_record",
        ),
        broken("RecordIO of text", "split_type: recordio"),
        broken("TFRecord of text", "split_type: tfrecord"),
        broken_in(PARQUET, "Parquet is not split", "split_type: line"),
        broken_in(
            PARQUET,
            "Parquet is not assembled by lines",
            "assemble_with: line",
        ),
        broken_in(
            GZIP_WHOLE,
            "gzip, not split, is within the payload",
            "split_type: none",
        ),
        broken("CompressionType of plain text", "compression_type: gzip"),
        broken_in(
            JSONL,
            "many documents as one",
            "content_type: application/json",
        ),
        broken_in(
            JSONL,
            "many documents as one, not split",
            "content_type: application/json\nsplit_type: none",
        ),
        broken("ContentType of CSV", "content_type: application/x-parquet"),
        broken(
            "Accept that is not read",
            "accept: application/x-recordio-protobuf",
        ),
        broken_in(OWN_DISKS, "VolumeKmsKeyId with own disks", ""),
        broken(
            "captured data in the state",
            "data_capture_config: { destination_s3_uri: s3://work-bucket/runs/captured }",
        ),
        broken(
            "captured data around the result",
            "data_capture_config: { destination_s3_uri: s3://scores }",
        ),
    ]
}

fn told(case: &Broken) -> String {
    let lines: Vec<&str> = case.lines.lines().collect();
    let lines = format!("instance_type: ml.m5.xlarge\n  {}", lines.join("\n  "));
    let mut edits = case.edits.to_vec();
    if !case.lines.is_empty() {
        edits.push(("instance_type: ml.m5.xlarge", &lines));
    }
    let told = problems_of(&edits);
    assert!(!told.is_empty(), "{}: nothing is said of it", case.rule);
    format!("{}\n{told}", case.rule)
}

fn all_told(cases: &[Broken]) -> String {
    let told: Vec<String> = cases.iter().map(told).collect();
    told.join("\n\n")
}

#[test]
fn every_field_has_a_limit_or_a_form_and_a_remedy() {
    insta::assert_snapshot!(all_told(&fields()), @r#"
    ModelName: required
    [missing-key] p.yaml:14:1: `transform` needs the key `model`
      help: `model`: A model's name, or the definition of one to create for the run.

    ModelName: pattern
    [bad-value] p.yaml:15:10: `transform.model`: `late_v1` holds `_`; only letters, digits and `-` are allowed

    ModelName: ends
    [bad-value] p.yaml:15:10: `transform.model`: `late-` must begin and end with a letter or digit

    InstanceType: required
    [missing-key] p.yaml:14:1: `transform` needs the key `instance_type`
      help: `instance_type`: `ml.…`; the list of types is open.

    InstanceType: form
    [bad-value] p.yaml:16:18: `transform.instance_type`: `m5.xlarge` is not of the form `ml.<family>.<size>`

    InstanceCount: least
    [bad-value] p.yaml:17:19: `transform.instance_count`: expected an integer from 1 to 100, found 0

    InstanceCount: most
    [bad-value] p.yaml:17:19: `transform.instance_count`: expected an integer from 1 to 100, found 101

    MaxConcurrentTransforms: least
    [bad-value] p.yaml:17:30: `transform.max_concurrent_transforms`: expected an integer from 0 to 2147483647, found -1

    MaxConcurrentTransforms: most
    [bad-value] p.yaml:18:30: `transform.max_concurrent_transforms`: expected an integer from 0 to 2147483647, found 2147483648

    MaxPayloadInMB: least
    [bad-value] p.yaml:17:22: `transform.max_payload_in_mb`: expected an integer from 0 to 100, found -1

    MaxPayloadInMB: most
    [bad-value] p.yaml:17:22: `transform.max_payload_in_mb`: expected an integer from 0 to 100, found 101

    BatchStrategy: values
    [bad-value] p.yaml:17:19: `transform.batch_strategy`: expected `multi_record` or `single_record`, found `SingleRecords`
      help: did you mean `single_record`?

    InvocationsTimeoutInSeconds: least
    [bad-value] p.yaml:17:35: `transform.invocations_timeout_in_seconds`: expected an integer from 1 to 3600, found 0

    InvocationsTimeoutInSeconds: most
    [bad-value] p.yaml:17:35: `transform.invocations_timeout_in_seconds`: expected an integer from 1 to 3600, found 3601

    InvocationsMaxRetries: least
    [bad-value] p.yaml:17:28: `transform.invocations_max_retries`: expected an integer from 0 to 3, found -1

    InvocationsMaxRetries: most
    [bad-value] p.yaml:17:28: `transform.invocations_max_retries`: expected an integer from 0 to 3, found 4

    Environment: entries
    [bad-value] p.yaml:17:16: `transform.environment` has 17 entries; the service takes at most 16
      help: put settings together, or into a file of the model's data

    Environment: key's pattern
    [bad-value] p.yaml:17:22: `transform.environment`: `9A` is not a name that the service takes: letters, digits and `_`, at most 1024

    Environment: key's length
    [bad-value] p.yaml:17:1045: `transform.environment`: `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…` is not a name that the service takes: letters, digits and `_`, at most 1024

    Environment: value's length
    [bad-value] p.yaml:17:21: `transform.environment`: `K` has 10241 characters; the service takes at most 10240
      help: put a large value into a file of the model's data

    ContentType: length
    [bad-value] p.yaml:17:17: `transform.content_type`: `text/csv;kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…` has 259 characters; the service takes at most 256

    ContentType: a media type
    [bad-value] p.yaml:17:17: `transform.content_type`: `csv` is not a media type such as `text/csv`

    CompressionType: values
    [bad-value] p.yaml:17:21: `transform.compression_type`: expected `none` or `gzip`, found `snappy`

    SplitType: values
    [bad-value] p.yaml:17:15: `transform.split_type`: expected `none`, `line`, `recordio` or `tfrecord`, found `lines`
      help: did you mean `line`?

    Accept: length
    [bad-value] p.yaml:17:11: `transform.accept`: `text/csv;kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…` has 259 characters; the service takes at most 256

    AssembleWith: values
    [bad-value] p.yaml:17:18: `transform.assemble_with`: expected `none` or `line`, found `newline`

    KmsKeyId: pattern
    [bad-value] p.yaml:17:15: `transform.kms_key_id`: `alias/my key` holds ` `; a KMS key is an id, an ARN or `alias/NAME`, of letters, digits and `: / _ -`

    KmsKeyId: length
    [bad-value] p.yaml:17:15: `transform.kms_key_id`: `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…` has 2049 characters; the service takes at most 2048

    VolumeKmsKeyId: pattern
    [bad-value] p.yaml:17:22: `transform.volume_kms_key_id`: `a*b` holds `*`; a KMS key is an id, an ARN or `alias/NAME`, of letters, digits and `: / _ -`

    VolumeKmsKeyId: length
    [bad-value] p.yaml:17:22: `transform.volume_kms_key_id`: `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…` has 2049 characters; the service takes at most 2048

    TransformAmiVersion: pattern
    [bad-value] p.yaml:17:26: `transform.transform_ami_version`: `al2_ami` is not an image's name such as `al2-ami-sagemaker-batch-gpu-535`: letters and digits, with one `-` between words

    TransformAmiVersion: one hyphen
    [bad-value] p.yaml:17:26: `transform.transform_ami_version`: `al2--ami` is not an image's name such as `al2-ami-sagemaker-batch-gpu-535`: letters and digits, with one `-` between words

    TransformAmiVersion: length
    [bad-value] p.yaml:17:26: `transform.transform_ami_version`: `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk` has 64 characters; the service takes at most 63

    Tags: number
    [bad-value] p.yaml:17:9: `transform.tags` has 49 tags; the service takes 50, of which two are the tool's own
      help: keep 48 of them

    Tags: key's length
    [bad-value] p.yaml:17:142: `transform.tags`: the tag `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…` must have 1 to 128 characters

    Tags: empty key
    [bad-value] p.yaml:17:15: `transform.tags`: the tag `` must have 1 to 128 characters

    Tags: value's length
    [bad-value] p.yaml:17:17: `transform.tags`: the tag `team` has a value of more than 256 characters

    Tags: pattern
    [bad-value] p.yaml:17:17: `transform.tags`: the tag `team` holds `&`; letters, digits, blanks and `_ . : / = + - @` are allowed

    Tags: aws:
    [bad-value] p.yaml:17:23: `transform.tags`: the tag `AWS:team` begins with `aws:`, which is reserved by AWS

    DestinationS3Uri: required
    [missing-key] p.yaml:17:3: `transform.data_capture_config` needs the key `destination_s3_uri`
      help: `destination_s3_uri`: An S3 prefix of its own for the manifests.

    DestinationS3Uri: pattern
    [bad-value] p.yaml:17:46: `transform.data_capture_config.destination_s3_uri`: `capture/` must begin with `s3://`

    DestinationS3Uri: length
    [bad-value] p.yaml:17:46: `transform.data_capture_config.destination_s3_uri`: `s3://captured/kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…` has 1034 characters; the service takes at most 1024

    DataCaptureConfig.KmsKeyId: pattern
    [bad-value] p.yaml:17:74: `transform.data_capture_config.kms_key_id`: `?` holds `?`; a KMS key is an id, an ARN or `alias/NAME`, of letters, digits and `: / _ -`

    GenerateInferenceId: type
    [wrong-type] p.yaml:17:85: `transform.data_capture_config.generate_inference_id`: expected true or false, found the text `yes`
      help: `yes` is a text in YAML 1.2; write true

    ExperimentName: pattern
    [bad-value] p.yaml:17:41: `transform.experiment_config.experiment_name`: `my_experiment` holds `_`; only letters, digits and `-` are allowed

    ExperimentName: length
    [bad-value] p.yaml:17:41: `transform.experiment_config.experiment_name`: `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…` has 121 characters; the service takes at most 120

    TrialName: pattern
    [bad-value] p.yaml:17:36: `transform.experiment_config.trial_name`: `-t` must begin and end with a letter or digit

    TrialComponentDisplayName: pattern
    [bad-value] p.yaml:17:54: `transform.experiment_config.trial_component_display_name`: `t-` must begin and end with a letter or digit

    RunName: pattern
    [bad-value] p.yaml:17:34: `transform.experiment_config.run_name`: must not be empty
    "#);
}

#[test]
fn the_apis_own_words_lead_to_the_keys() {
    insta::assert_snapshot!(all_told(&words_of_the_api()), @r#"
    TransformJobName
    [unknown-key] p.yaml:17:3: unknown key `transform_job_name` in `transform`
      help: gristmill sets it: a job is named for its run, so that a lost answer leads to no second job

    S3DataType
    [unknown-key] p.yaml:17:3: unknown key `s3_data_type` in `transform`
      help: gristmill sets it: a job reads a prefix with nothing but the run's shards, a later one a manifest of those that are missing

    S3Uri
    [unknown-key] p.yaml:17:3: unknown key `S3Uri` in `transform`
      help: gristmill sets it: shards for a model lie under `work.uri`; what they are made of is `source.uri`

    S3OutputPath
    [unknown-key] p.yaml:17:3: unknown key `s3_output_path` in `transform`
      help: gristmill sets it: each job writes to a prefix of its own under `work.uri`; the result goes to `assemble.to`

    ModelName
    [unknown-key] p.yaml:17:3: unknown key `model_name` in `transform`
      help: the key is `transform.model`

    structures
    [unknown-key] p.yaml:17:3: unknown key `TransformInput` in `transform`
      help: the keys of `TransformInput` stand right under `transform`
    [unknown-key] p.yaml:18:3: unknown key `model_client_config` in `transform`
      help: the keys of `model_client_config` stand right under `transform`

    CamelCase
    [unknown-key] p.yaml:17:3: unknown key `SplitType` in `transform`
      help: did you mean `split_type`?
    [unknown-key] p.yaml:18:3: unknown key `MaxPayloadInMB` in `transform`
      help: did you mean `max_payload_in_mb`?

    of a part
    [unknown-key] p.yaml:17:3: unknown key `input_filter` in `transform`
      help: the key is `transform.data_processing.input_filter`
    [unknown-key] p.yaml:18:3: unknown key `InputFilter` in `transform`
      help: the key is `transform.data_processing.input_filter`
    [unknown-key] p.yaml:19:22: unknown key `InputFilter` in `transform.data_processing`
      help: did you mean `input_filter`?
    "#);
}

#[test]
fn data_processing_works_with_lines_of_text_only() {
    insta::assert_snapshot!(all_told(&data_processing()), @r#"
    JoinSource: values
    [bad-value] p.yaml:17:35: `transform.data_processing.join_source`: expected `none` or `input`, found `output`

    InputFilter: length
    [filter] p.yaml:17:100: `transform.data_processing.input_filter`: `$.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk`: has 64 characters; the service takes at most 63
      help: put the columns that are kept apart first in `prepare.select`: then one open range such as `$[2:]` is enough

    OutputFilter: length
    [filter] p.yaml:17:100: `transform.data_processing.output_filter`: `$.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk`: has 64 characters; the service takes at most 63
      help: put the columns that are kept apart first in `prepare.select`: then one open range such as `$[2:]` is enough

    a filter's syntax
    [filter] p.yaml:17:40: `transform.data_processing.input_filter`: `$[1;]`: expected `,` or `]`, found `;`
      help: close the brackets

    ranges and places
    [filter] p.yaml:17:42: `transform.data_processing.input_filter`: `$[0:2,246:]`: mixes ranges and places, or has two ranges; only one range such as `[1:5]` is supported
      help: list the places, `$[0,5,6]`, or put the columns that are kept first and use one open range, `$[2:]`

    a range with an end
    [filter] p.yaml:17:38: `transform.data_processing.input_filter`: `$[1:3]`: is a range with an end, of which the service's documents say both that it belongs to the range and that it does not
      help: write `[1,2]` or `[1,2,3]`, as you mean it

    names in CSV
    [filter] p.yaml:17:38: `transform.data_processing.input_filter`: `$.distance`: asks for names, but a record of CSV is an array of its cells
      help: count columns from 0: `$[0,2]`, from one on `$[1:]`, the last `$[-1]`

    a place beyond the columns
    [filter] p.yaml:17:38: `transform.data_processing.input_filter`: `$[0,3]`: asks for column 3, but what it is applied to has 3
      help: columns count from 0: here 0 to 2

    OutputFilter of CSV
    [filter] p.yaml:17:39: `transform.data_processing.output_filter`: `$['SageMakerOutput']`: asks for names, but a record of CSV is an array of its cells
      help: count columns from 0: `$[0,2]`, from one on `$[1:]`, the last `$[-1]`

    places in JSON Lines
    [filter] p.yaml:17:38: `transform.data_processing.input_filter`: `$[1:]`: asks for elements by their places, but a record of JSON Lines is an object
      help: name its attributes: `$['age','plan']`

    a name that is no column
    [filter] p.yaml:17:38: `transform.data_processing.input_filter`: `$['dya']`: names `dya`, which is no column of the shards
      help: did you mean `day`?

    media type
    [data-processing] p.yaml:17:3: `data_processing` works on text/csv, application/json and application/jsonlines, not on `content_type: application/x-parquet`
      help: remove `data_processing`: `prepare.select` and `assemble.columns` do the same

    Accept is ContentType
    [data-processing] p.yaml:18:11: with `data_processing`, `accept` must equal `content_type`: `application/jsonlines` is not `text/csv`
      help: `accept: text/csv`

    AssembleWith is SplitType
    [data-processing] p.yaml:18:18: with `data_processing`, `assemble_with` must be `line`, found `none`
      help: use `assemble_with: line`: records are filtered and joined line by line

    lines
    [data-processing] p.yaml:17:3: with `data_processing`, `assemble_with` must be `line`, found `none`
      help: use `assemble_with: line`: records are filtered and joined line by line
    [data-processing] p.yaml:18:15: with `data_processing`, `split_type` must be `line`, found `none`
      help: use `split_type: line`: records are filtered and joined line by line

    a join of objects
    [data-processing] p.yaml:17:37: the job would store parts of JSON objects, of which no prediction is read
      help: `output_filter: $.SageMakerOutput` stores the answer alone; the columns beside it are put back by `assemble.columns`

    SageMakerOutput
    [data-processing] p.yaml:11:19: `SageMakerOutput` is where a join puts the answer: it would be lost
      help: leave the column out, or do without `join_source: input`
    "#);
}

#[test]
fn fields_that_do_not_go_together_are_told() {
    insta::assert_snapshot!(all_told(&combinations()), @r"
    payload product
    [payload-product] p.yaml:18:30: `max_concurrent_transforms` × `max_payload_in_mb` is 6 × 20 = 120; the service takes at most 100
      help: with 20 MB at most 5 at once

    payload product of any payload
    [payload-product] p.yaml:17:30: `max_concurrent_transforms` × `max_payload_in_mb` is 101 × 1 = 101; the service takes at most 100
      help: with 1 MB at most 100 at once

    BatchStrategy without SplitType
    [batch-without-split] p.yaml:18:19: `batch_strategy` needs a `split_type` of line, recordio or tfrecord
      help: with `split_type: none` a shard is one request: remove `batch_strategy`

    RecordIO of text
    [conflict] p.yaml:17:15: `split_type: recordio` cannot split CSV
      help: use `split_type: line`

    TFRecord of text
    [conflict] p.yaml:17:15: `split_type: tfrecord` cannot split CSV
      help: use `split_type: line`

    Parquet is not split
    [parquet-with-split] p.yaml:17:15: `split_type: line` cannot be used with Parquet shards
      help: a Parquet file is one request: use `split_type: none`

    Parquet is not assembled by lines
    [parquet-with-split] p.yaml:17:18: `assemble_with: line` cannot be used with Parquet shards
      help: a Parquet file is one request: use `assemble_with: none`

    gzip, not split, is within the payload
    [shard-above-payload] p.yaml:14:14: `shards.max_bytes` is 6MB, but with `split_type: none` a shard is one request, and one request holds at most 5940KB (`max_payload_in_mb: 6`, less 1 %)
      help: `max_bytes: 5940KB` or less, or a larger payload

    CompressionType of plain text
    [conflict] p.yaml:17:21: `compression_type` must be `none` for this `shards.format`
      help: leave it out: it follows from `shards.format`

    many documents as one
    [conflict] p.yaml:17:17: `content_type: application/json` announces one document, but a request would hold many, a line each
      help: use `content_type: application/jsonlines`, or `batch_strategy: single_record`

    many documents as one, not split
    [conflict] p.yaml:17:17: `content_type: application/json` announces one document, but a request would hold many, a line each
      help: use `content_type: application/jsonlines`, or `batch_strategy: single_record`

    ContentType of CSV
    [conflict] p.yaml:17:17: `content_type: application/x-parquet` does not fit `shards.format: csv`
      help: use `text/csv`

    Accept that is not read
    [bad-value] p.yaml:17:11: `accept: application/x-recordio-protobuf`: predictions are read as CSV, JSON Lines or JSON only
      help: use `accept: text/csv`, `application/jsonlines` or `application/json`

    VolumeKmsKeyId with own disks
    [conflict] p.yaml:17:22: `volume_kms_key_id` is not taken for ml.g5.xlarge, which has disks of its own
      help: leave it out: their hardware encrypts them

    captured data in the state
    [overlap] p.yaml:17:46: `transform.data_capture_config.destination_s3_uri` and `work.uri` must not lie in one another
      help: captured data needs a prefix of its own

    captured data around the result
    [overlap] p.yaml:17:46: `transform.data_capture_config.destination_s3_uri` and `assemble.to` must not lie in one another
      help: captured data needs a prefix of its own
    ");
}

#[test]
fn every_field_that_a_file_can_set_has_a_rule_that_is_broken_here() {
    let cases = [fields(), data_processing(), combinations()];
    let told: String = cases.iter().flatten().map(told).collect();
    for field in CREATE_TRANSFORM_JOB {
        if let SetBy::Key(key) = field.set_by {
            assert!(told.contains(&format!("`{key}")), "{key}");
        }
    }
}

#[test]
fn what_is_just_within_the_limits_is_fine() {
    let fine = |lines: &str| {
        let lines = format!(
            "instance_type: ml.m5.xlarge\n  {}",
            lines.replace('\n', "\n  ")
        );
        assert_eq!(
            problems_of(&[("instance_type: ml.m5.xlarge", &lines)]),
            "",
            "{lines}"
        );
    };
    fine("instance_count: 100\nmax_concurrent_transforms: 100\nmax_payload_in_mb: 1");
    fine("max_concurrent_transforms: 0\nmax_payload_in_mb: 100");
    fine("max_concurrent_transforms: 16\nmax_payload_in_mb: 6");
    fine("invocations_timeout_in_seconds: 1\ninvocations_max_retries: 0");
    fine("invocations_timeout_in_seconds: 3600\ninvocations_max_retries: 3");
    fine(&format!("environment: {{ {}: {} }}", k(1024), k(10_240)));
    fine(&format!(
        "tags: {{ {}: {}, 'Größe 日本': \"a\\u00a0b\" }}",
        k(128),
        k(256)
    ));
    fine(&format!(
        "kms_key_id: {}\nvolume_kms_key_id: alias/a_b-c",
        k(2048)
    ));
    fine("kms_key_id: arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    fine(&format!("transform_ami_version: {}", k(63)));
    fine(&format!(
        "experiment_config: {{ experiment_name: {}, trial_name: a--b, run_name: '1' }}",
        k(120)
    ));
    fine(
        "data_capture_config: { destination_s3_uri: s3://captured/x, kms_key_id: k, generate_inference_id: false }",
    );
    fine(
        "data_processing: { input_filter: '$[1:]', output_filter: '$[0,-1]', join_source: Input }",
    );
    // Nothing is filtered or joined, so nothing has to go together.
    fine("data_processing: { input_filter: $, output_filter: $ }\nassemble_with: none");
}

#[test]
fn json_lines_are_filtered_by_names() {
    let fine = |lines: &str| {
        let lines =
            format!("instance_type: ml.m5.xlarge\n  accept: application/jsonlines\n  {lines}");
        let edits = [
            ("format: csv", "format: jsonl"),
            ("instance_type: ml.m5.xlarge", lines.as_str()),
        ];
        assert_eq!(problems_of(&edits), "", "{lines}");
    };
    fine("data_processing: { input_filter: \"$['month','day']\" }");
    fine(
        "data_processing: { input_filter: $.month, output_filter: $.SageMakerOutput, join_source: input }",
    );
    fine("data_processing: { join_source: input }");
    fine("data_processing: { output_filter: $, join_source: input }");
    fine("data_processing: { output_filter: '$.predictions[0]' }");
    fine("content_type: application/jsonlines\n  batch_strategy: single_record");
}

#[test]
fn work_leaves_room_for_the_names_under_it() {
    let uri = |n: usize| {
        let uri = format!("s3://work-bucket/{}", k(n - 17));
        problems_of(&[("s3://work-bucket/runs/", &uri)])
    };
    let most = 1024 - ROOM_UNDER_WORK;
    assert_eq!(uri(most), "");
    insta::assert_snapshot!(uri(most + 1), @r"
    [bad-value] p.yaml:6:8: `work.uri` has 833 bytes; at most 832 leave room for the names under it, since the service takes 1024
      help: use a shorter prefix
    ");
}

#[test]
fn a_model_that_is_created_has_limits_too() {
    let model = |more: &str| {
        let role = "arn:aws:iam::123456789012:role/r";
        let text = format!("model: {{ image: i, execution_role_arn: '{role}', {more} }}");
        problems_of(&[("model: late-v1", &text)])
    };
    let ids = |n: usize| vec!["sg-1"; n].join(", ");
    let vpc = |groups: &str, subnets: &str| {
        model(&format!(
            "vpc_config: {{ security_group_ids: [{groups}], subnets: [{subnets}] }}"
        ))
    };
    assert_eq!(vpc(&ids(5), &ids(16)), "");
    let values: Vec<String> = (0..33).map(|i| format!("K{i}: {}", k(1000))).collect();
    let all = [
        vpc(&ids(6), &ids(17)),
        vpc("sg_1", &k(33)),
        model(&format!("environment: {{ {} }}", values.join(", "))),
        model(&format!("environment: {}", entries(101))),
        model(&format!("environment: {{ K: {} }}", k(1025))),
        problems_of(&[(
            "model: late-v1",
            &format!(
                "model: {{ image: {}, execution_role_arn: 'arn:aws:iam::123456789012:role/a b' }}",
                k(256)
            ),
        )]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    [bad-value] p.yaml:15:112: `security_group_ids` has 6 items; the service takes at most 5
    [bad-value] p.yaml:15:159: `subnets` has 17 items; the service takes at most 16
    [bad-value] p.yaml:15:113: `transform.model.vpc_config.security_group_ids[0]`: `sg_1` is not an id such as `subnet-0a1b`: letters, digits and `-`
    [bad-value] p.yaml:15:130: `transform.model.vpc_config.subnets[0]`: `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk` has 33 characters; the service takes at most 32
    [bad-value] p.yaml:15:91: `transform.model.environment` has 33089 bytes in all; the service takes at most 32000
      help: put large values into files of the model's data
    [bad-value] p.yaml:15:91: `transform.model.environment` has 101 entries; the service takes at most 100
      help: put settings together, or into a file of the model's data
    [bad-value] p.yaml:15:96: `transform.model.environment`: `K` has 1025 characters; the service takes at most 1024
      help: put a large value into a file of the model's data
    [bad-value] p.yaml:15:19: `transform.model.image`: `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…` has 256 characters; the service takes at most 255
    [bad-value] p.yaml:15:297: `transform.model.execution_role_arn`: `arn:aws:iam::123456789012:role/a b` is not a role's ARN, `arn:aws:iam::123456789012:role/NAME`
    ");
}

/// Warnings of a file, as a user reads them.
fn warnings(edits: &[(&str, &str)]) -> String {
    let review = review(&edited(edits), "p.yaml", Path::new("/"), &|_| {
        Err("unread".into())
    });
    assert_eq!(review.problems, []);
    let told = review.warnings.iter().map(|w| format!("[{}] {w}", w.code));
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_not_known_is_worth_a_warning_only() {
    assert_eq!(warnings(&[]), "");
    for name in known() {
        assert_eq!(warnings(&[("ml.m5.xlarge", &name)]), "");
    }
    let all = [
        warnings(&[("ml.m5.xlarge", "ml.m5.3xlarge")]),
        warnings(&[("ml.m5.xlarge", "ml.m5.xlrage")]),
        warnings(&[("ml.m5.xlarge", "ml.z9.metal-48xl")]),
        warnings(&[(
            "ml.m5.xlarge",
            "ml.g5.xlarge\n  transform_ami_version: al2-ami-sagemaker-batch-gpu-53",
        )]),
        warnings(&[(
            "ml.m5.xlarge",
            "ml.m5.xlarge\n  transform_ami_version: al2-ami-sagemaker-batch-gpu-535",
        )]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    [unknown-instance-type] p.yaml:16:18: `instance_type: ml.m5.3xlarge` is not among the types known for transform jobs
      help: did you mean `ml.m5.2xlarge`?
    [unknown-instance-type] p.yaml:16:18: `instance_type: ml.m5.xlrage` is not among the types known for transform jobs
      help: did you mean `ml.m5.xlarge`?
    [unknown-instance-type] p.yaml:16:18: `instance_type: ml.z9.metal-48xl` is not among the types known for transform jobs
      help: the list grows: if the service has it, go on
    [doubtful] p.yaml:17:26: `transform_ami_version: al2-ami-sagemaker-batch-gpu-53` is not among the known images
      help: did you mean `al2-ami-sagemaker-batch-gpu-535`?
    [doubtful] p.yaml:17:26: `transform_ami_version` is for GPUs, and ml.m5.xlarge has none
      help: leave it out
    ");
}

#[test]
fn limits_are_data() {
    let text = edited(&[(
        "instance_type: ml.m5.xlarge",
        "instance_type: ml.m5.xlarge\n  max_payload_in_mb: 150\n  kms_key_id: abcd\n  data_processing: { input_filter: '$[0]' }",
    )]);
    let doc = parse(&text, "p.yaml").unwrap();
    let mut wider = context(&[]);
    wider.limits = Limits {
        max_payload_in_mb: 200,
        payload_product_mb: 200,
        ..Limits::SERVICE
    };
    assert_eq!(
        resolve(&doc, &wider)
            .unwrap()
            .transform
            .unwrap()
            .max_payload_in_mb,
        150
    );
    let mut narrower = context(&[]);
    narrower.limits = Limits {
        kms_key_chars: 3,
        json_path_chars: 3,
        ..Limits::SERVICE
    };
    insta::assert_snapshot!(resolve(&doc, &narrower).unwrap_err(), @r"
    p.yaml:17:22: `transform.max_payload_in_mb`: expected an integer from 0 to 100, found 150
    p.yaml:18:15: `transform.kms_key_id`: `abcd` has 4 characters; the service takes at most 3
    p.yaml:19:40: `transform.data_processing.input_filter`: `$[0]`: has 4 characters; the service takes at most 3
      help: put the columns that are kept apart first in `prepare.select`: then one open range such as `$[2:]` is enough
    ");
}

#[test]
fn every_setting_ends_up_in_the_request() {
    let all = "\
instance_type: ml.g4dn.xlarge
  instance_count: 3
  kms_key_id: alias/out
  transform_ami_version: al2-ami-sagemaker-batch-gpu-535
  max_concurrent_transforms: 0
  data_processing: { input_filter: '$[1:]', output_filter: '$[0,-1]', join_source: input }
  data_capture_config: { destination_s3_uri: s3://captured/x/, kms_key_id: alias/cap, generate_inference_id: true }
  experiment_config: { experiment_name: e, trial_name: t, trial_component_display_name: d, run_name: r }";
    let sent = |text: &str| {
        let plan = plan(&[("instance_type: ml.m5.xlarge", text)]);
        serde_json::to_value(&plan.request).unwrap()
    };
    let request = sent(all);
    insta::assert_snapshot!(serde_json::to_string_pretty(&request).unwrap(), @r#"
    {
      "TransformJobName": "late-flights-<hash>-a1",
      "ModelName": "late-v1",
      "MaxConcurrentTransforms": 0,
      "ModelClientConfig": {
        "InvocationsTimeoutInSeconds": 600,
        "InvocationsMaxRetries": 3
      },
      "MaxPayloadInMB": 3,
      "BatchStrategy": "MultiRecord",
      "TransformInput": {
        "DataSource": {
          "S3DataSource": {
            "S3DataType": "S3Prefix",
            "S3Uri": "s3://work-bucket/runs/runs/<run id>/shards/<fingerprint>/"
          }
        },
        "ContentType": "text/csv",
        "CompressionType": "None",
        "SplitType": "Line"
      },
      "TransformOutput": {
        "S3OutputPath": "s3://work-bucket/runs/runs/<run id>/out/a1/",
        "Accept": "text/csv",
        "AssembleWith": "Line",
        "KmsKeyId": "alias/out"
      },
      "DataCaptureConfig": {
        "DestinationS3Uri": "s3://captured/x/",
        "KmsKeyId": "alias/cap",
        "GenerateInferenceId": true
      },
      "TransformResources": {
        "InstanceType": "ml.g4dn.xlarge",
        "InstanceCount": 3,
        "TransformAmiVersion": "al2-ami-sagemaker-batch-gpu-535"
      },
      "DataProcessing": {
        "InputFilter": "$[1:]",
        "OutputFilter": "$[0,-1]",
        "JoinSource": "Input"
      },
      "ExperimentConfig": {
        "ExperimentName": "e",
        "TrialName": "t",
        "TrialComponentDisplayName": "d",
        "RunName": "r"
      },
      "Tags": [
        {
          "Key": "gristmill:fingerprint",
          "Value": "<fingerprint>"
        },
        {
          "Key": "gristmill:run",
          "Value": "<run id>"
        }
      ]
    }
    "#);
    let request = sent("instance_type: ml.m5.xlarge\n  volume_kms_key_id: alias/vol");
    assert_eq!(request["TransformResources"]["VolumeKmsKeyId"], "alias/vol");
    assert!(request.get("DataProcessing").is_none() && request.get("ExperimentConfig").is_none());
}
