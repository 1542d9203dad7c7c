//! The service's quotas and patterns, each with its source, and our own bounds. botocore and the
//! SDKs check almost none of them, so a mistake is otherwise found only after the call.
//!
//! Sources: "API" is the SageMaker service model 2017-07-24 (botocore 1.43), by shape; "DG" is
//! the SageMaker developer guide.

/// Quotas as numbers. Some change over time, so they are data with defaults, not conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `MaxPayloadInMB` at most (API CreateTransformJobRequest: "cannot be greater than 100 MB").
    pub max_payload_in_mb: u64,
    /// `MaxConcurrentTransforms` × `MaxPayloadInMB` at most (the same).
    pub payload_product_mb: u64,
    /// `InvocationsTimeoutInSeconds` at most (API InvocationsTimeoutInSeconds).
    pub invocations_timeout_s: u64,
    /// `InvocationsMaxRetries` at most (API InvocationsMaxRetries).
    pub invocations_max_retries: u64,
    /// `InstanceCount` at most (API TransformResources, in its text).
    pub instance_count: u64,
    /// Entries of a transform job's `Environment` (API TransformEnvironmentMap).
    pub environment_entries: usize,
    /// Characters of an environment key (API TransformEnvironmentKey).
    pub environment_key_chars: usize,
    /// Characters of an environment value (API TransformEnvironmentValue).
    pub environment_value_chars: usize,
    /// Tags of a job (API TagList), of which two are ours.
    pub tags: usize,
    /// Characters of a tag's key (API TagKey).
    pub tag_key_chars: usize,
    /// Characters of a tag's value (API TagValue).
    pub tag_value_chars: usize,
    /// Characters of `ContentType` and `Accept` (API ContentType, Accept).
    pub content_type_chars: usize,
    /// Characters of an S3 URI (API S3Uri).
    pub s3_uri_chars: usize,
    /// Characters of a model's or job's name (API ModelName, TransformJobName).
    pub name_chars: usize,
    /// Characters of `InputFilter` and `OutputFilter` (API JsonPath).
    pub json_path_chars: usize,
    /// Characters of a KMS key's id, ARN or alias (API KmsKeyId).
    pub kms_key_chars: usize,
    /// Characters of `TransformAmiVersion` (API TransformAmiVersion).
    pub ami_version_chars: usize,
    /// Characters of each name in `ExperimentConfig` (API ExperimentEntityName).
    pub experiment_name_chars: usize,
    /// Characters of a container's image (API ContainerImage).
    pub image_chars: usize,
    /// Characters of a role's ARN (API RoleArn).
    pub role_arn_chars: usize,
    /// Items of `SecurityGroupIds` (API VpcSecurityGroupIds).
    pub security_groups: usize,
    /// Items of `Subnets` (API Subnets).
    pub subnets: usize,
    /// Characters of one of either (API SecurityGroupId, SubnetId).
    pub vpc_id_chars: usize,
    /// Entries of a model's `Environment` (API EnvironmentMap).
    pub model_environment_entries: usize,
    /// Characters of one of its keys or values (API EnvironmentKey, EnvironmentValue).
    pub model_environment_chars: usize,
    /// Bytes of all its keys and values (API ContainerDefinition, in its text: 32 KB, counted with
    /// the smaller unit).
    pub model_environment_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::SERVICE
    }
}

impl Limits {
    /// What the service is known to hold to, each from the source that its field names.
    pub const SERVICE: Limits = Limits {
        max_payload_in_mb: 100,
        payload_product_mb: 100,
        invocations_timeout_s: 3600,
        invocations_max_retries: 3,
        instance_count: 100,
        environment_entries: 16,
        environment_key_chars: 1024,
        environment_value_chars: 10_240,
        tags: 50,
        tag_key_chars: 128,
        tag_value_chars: 256,
        content_type_chars: 256,
        s3_uri_chars: 1024,
        name_chars: 63,
        json_path_chars: 63,
        kms_key_chars: 2048,
        ami_version_chars: 63,
        experiment_name_chars: 120,
        image_chars: 255,
        role_arn_chars: 2048,
        security_groups: 5,
        subnets: 16,
        vpc_id_chars: 32,
        model_environment_entries: 100,
        model_environment_chars: 1024,
        model_environment_bytes: 32_000,
    };

    /// Tags that a user may set.
    pub fn own_tags(&self) -> usize {
        self.tags.saturating_sub(TAGS_OF_OURS)
    }

    /// Bytes that are surely within a payload of `mb`; `None` for 0, which means no limit.
    /// Whether the service's MB is 10^6 or 2^20 bytes, and whether the newline counts, is not
    /// documented: so the smaller unit, and [`PAYLOAD_SLACK_PERCENT`] under it.
    pub fn payload_bytes(mb: u32) -> Option<u64> {
        (mb > 0).then(|| u64::from(mb) * MEGABYTE / 100 * (100 - PAYLOAD_SLACK_PERCENT))
    }
}

/// The unit of `MaxPayloadInMB` that we count with: the smaller of the two that it may mean.
pub const MEGABYTE: u64 = 1_000_000;
/// How far under the payload a request is kept, in percent.
pub const PAYLOAD_SLACK_PERCENT: u64 = 1;
/// Bytes of an S3 key or URI that are kept for what a run adds to `work.uri`: `runs/<id>/out/a1/`
/// and the like, with a file's name.
pub const ROOM_UNDER_WORK: usize = 192;
/// `gristmill:fingerprint` and `gristmill:run`.
pub const TAGS_OF_OURS: usize = 2;
/// `MaxPayloadInMB` where the file says nothing (the API's own default).
pub const DEFAULT_PAYLOAD_IN_MB: u64 = 6;
/// `MaxPayloadInMB` where the file says nothing and shards are Parquet, which are one request
/// each: half of what the service takes, so that two requests at once stay possible.
pub const DEFAULT_PARQUET_PAYLOAD_IN_MB: u64 = 50;
/// Rows of a Parquet row group where the file says nothing.
pub const DEFAULT_ROW_GROUP_ROWS: u64 = 131_072;
/// The same where a shard is one request. A shard is cut between row groups, so small ones let it
/// be filled close to the payload.
pub const REQUEST_ROW_GROUP_ROWS: u64 = 16_384;
/// How far the shares of `prepare.split.parts` may be from 1 in all: the rounding of decimals.
pub const SHARE_SLACK: f64 = 1e-9;
/// Characters of a part's name at most. Ours: it is a folder.
pub const PART_NAME_CHARS: usize = 63;
/// Shard size where the file says nothing and the service splits shards by lines: some ten full
/// payloads, so that concurrent requests have work, and a retry of one shard stays cheap.
pub const DEFAULT_SHARD_BYTES: u64 = 64 * MEGABYTE;
/// `transform.jobs` at most. Ours: more jobs at once than most accounts' quotas for instances allow.
pub const MOST_JOBS: i64 = 100;
/// Bytes of a pipeline file at most. Ours.
pub const FILE_BYTES: usize = 1 << 20;
/// Nesting of a pipeline file at most. Ours; the format itself needs 6.
pub const FILE_DEPTH: usize = 32;
/// Keys, items and scalars of a pipeline file at most. Ours.
pub const FILE_NODES: usize = 100_000;
/// Characters of a text after its templates are rendered, at most. Ours.
pub const RENDERED_CHARS: usize = 65_536;
/// Bytes of a text with templates, and of the values that it names, each counted as often as it is named,
/// at most: four for each character of what may come of it. Ours.
pub const RENDERED_BYTES: usize = 4 * RENDERED_CHARS;

/// `[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?`, at most 63 (API ModelName).
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn model_name(name: &str) -> Result<(), String> {
    service_name(name, Limits::SERVICE.name_chars)
}

/// A name of the service's: letters, digits and `-`, letter or digit at both ends, at most `limit`
/// characters.
pub(crate) fn service_name(name: &str, limit: usize) -> Result<(), String> {
    let count = name.chars().count();
    if name.is_empty() {
        return Err("must not be empty".into());
    }
    if count > limit {
        return Err(format!(
            "has {count} characters; the service takes at most {limit}"
        ));
    }
    if let Some(bad) = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || *c == '-'))
    {
        return Err(format!(
            "holds `{bad}`; only letters, digits and `-` are allowed"
        ));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err("must begin and end with a letter or digit".into());
    }
    Ok(())
}

/// Longest pipeline name. Ours: it stands in paths, keys and job names.
pub const PIPELINE_NAME_CHARS: usize = 63;

/// `[a-z0-9](-*[a-z0-9])*`, at most 63.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn pipeline_name(name: &str) -> Result<(), String> {
    let count = name.chars().count();
    if name.is_empty() {
        return Err("must not be empty".into());
    }
    if count > PIPELINE_NAME_CHARS {
        return Err(format!(
            "has {count} characters; at most {PIPELINE_NAME_CHARS} are allowed"
        ));
    }
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(bad) = name.chars().find(|c| !fine(*c)) {
        return Err(format!("holds `{bad}`; only a-z, 0-9 and `-` are allowed"));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err("must begin and end with a letter or digit".into());
    }
    Ok(())
}

/// `[a-z0-9][a-z0-9_-]*`, at most 63: a part of a split, which becomes a folder.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn part_name(name: &str) -> Result<(), String> {
    let count = name.chars().count();
    if name.is_empty() {
        return Err("must not be empty".into());
    }
    if count > PART_NAME_CHARS {
        return Err(format!(
            "has {count} characters; at most {PART_NAME_CHARS} are allowed"
        ));
    }
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if let Some(bad) = name.chars().find(|c| !(word(*c) || "_-".contains(*c))) {
        return Err(format!(
            "holds `{bad}`; only a-z, 0-9, `_` and `-` are allowed"
        ));
    }
    if !name.starts_with(word) {
        return Err("must begin with a letter or digit".into());
    }
    Ok(())
}

/// `s3://bucket/key`, with a bucket name that S3 accepts, at most 1024 characters.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn s3_uri(uri: &str, limits: &Limits) -> Result<(), String> {
    let count = uri.chars().count();
    if count > limits.s3_uri_chars {
        return Err(format!(
            "has {count} characters; the service takes at most {}",
            limits.s3_uri_chars
        ));
    }
    let Some(rest) = uri.strip_prefix("s3://") else {
        return Err("must begin with `s3://`".into());
    };
    let bucket = rest.split('/').next().unwrap_or_default();
    bucket_name(bucket)?;
    if rest[bucket.len()..].starts_with("//") {
        return Err("has `//` after the bucket, which would be a key that begins with `/`".into());
    }
    if let Some(bad) = uri.chars().find(|c| c.is_control()) {
        return Err(format!(
            "holds the control character U+{:04X}",
            u32::from(bad)
        ));
    }
    Ok(())
}

/// 3 to 63 of a-z, 0-9, `-` and `.`, letter or digit at both ends (S3 user guide, "General
/// purpose bucket naming rules").
fn bucket_name(bucket: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if bucket.is_empty() {
        return Err("names no bucket; expected `s3://bucket/key`".into());
    }
    if !bucket.chars().all(fine) || !bucket.starts_with(ends) || !bucket.ends_with(ends) {
        return Err(format!(
            "has the bucket `{bucket}`; bucket names hold a-z, 0-9, `-` and `.`, and begin and \
             end with a letter or digit"
        ));
    }
    if bucket.contains("..") {
        return Err(format!(
            "has the bucket `{bucket}`; two `.` must not stand side by side in a bucket's name"
        ));
    }
    if bucket.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err(format!(
            "has the bucket `{bucket}`; a bucket's name must not look like an IP address"
        ));
    }
    if !(3..=63).contains(&bucket.len()) {
        return Err(format!(
            "has the bucket `{bucket}`; bucket names have 3 to 63 characters"
        ));
    }
    Ok(())
}

/// `ml.<family>.<size>`. The list of types is open: it grows, and differs by region.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn instance_type(name: &str) -> Result<(), String> {
    let mut parts = name.split('.');
    let fine = |part: Option<&str>| {
        part.is_some_and(|p| {
            !p.is_empty()
                && p.chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        })
    };
    let ml = parts.next() == Some("ml");
    if ml && fine(parts.next()) && fine(parts.next()) && parts.next().is_none() {
        return Ok(());
    }
    Err("is not of the form `ml.<family>.<size>`".into())
}
