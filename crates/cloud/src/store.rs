//! Objects in S3: what exists, and small acts on it. Uploads, downloads and listings have files
//! of their own; all of them are methods of [`Store`].

use crate::attempts::Attempts;
use crate::checksum::Stated;
use crate::config::{CloudConfig, RetryPolicy, Transfer};
use crate::error::{CloudError, CloudErrorKind};
use crate::uri::S3Uri;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{
    BucketLocationConstraint, ChecksumMode, ChecksumType, CreateBucketConfiguration, Delete,
    ObjectIdentifier,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;

/// Keys in one DeleteObjects request, at most (S3 API reference).
const DELETE_MAX_KEYS: usize = 1000;

/// The largest object that one CopyObject takes (S3 API reference): 5 GiB.
const COPY_MAX_BYTES: u64 = 5 << 30;

/// What must stay as it is in `x-amz-copy-source`: unreserved characters and the slashes.
const COPY_SOURCE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// S3, or what answers as S3. Cheap to clone, safe to share.
#[derive(Clone)]
pub struct Store {
    /// Calls that are answered soon.
    pub(crate) reads: Client,
    /// Calls that send a body or let the service work for minutes.
    pub(crate) writes: Client,
    pub(crate) transfer: Transfer,
    pub(crate) retry: RetryPolicy,
}

/// Without the clients: theirs would show the access key id.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("transfer", &self.transfer)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// An object, as HEAD or a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The whole key, decoded.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// The entity tag with its quotes, as S3 gives it: opaque, not the MD5 of the content.
    pub etag: String,
    /// Seconds since 1970 UTC.
    pub last_modified: i64,
    /// CRC-64/NVME of the whole object in base64, if the store has it; never in a listing.
    pub checksum: Option<String>,
}

impl Store {
    pub(crate) fn new(reads: Client, writes: Client, config: &CloudConfig) -> Self {
        Self {
            reads,
            writes,
            transfer: config.transfer,
            retry: config.retry,
        }
    }

    /// Whether an object exists, and which.
    ///
    /// A missing bucket is `None` too: HEAD has no body that could tell.
    ///
    /// # Errors
    /// Any [`CloudErrorKind`] of a request, [`CloudErrorKind::NotFound`] excepted.
    pub async fn head(&self, uri: &S3Uri) -> Result<Option<ObjectMeta>, CloudError> {
        Ok(self.head_stated(uri).await?.map(|(meta, _)| meta))
    }

    /// [`Store::head`] with every checksum that was stated.
    pub(crate) async fn head_stated(
        &self,
        uri: &S3Uri,
    ) -> Result<Option<(ObjectMeta, Stated)>, CloudError> {
        let attempts = Attempts::default();
        let answer = self
            .reads
            .head_object()
            .bucket(&uri.bucket)
            .key(&uri.key)
            .checksum_mode(ChecksumMode::Enabled)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await;
        match answer {
            Ok(output) => object_of(uri, &output).map(Some),
            Err(e) => not_found_is_none(CloudError::from_sdk("s3 HeadObject", uri, &attempts, &e)),
        }
    }

    /// Deletes an object. One that does not exist is deleted already.
    ///
    /// # Errors
    /// Any [`CloudErrorKind`] of a request.
    pub async fn delete(&self, uri: &S3Uri) -> Result<(), CloudError> {
        let attempts = Attempts::default();
        self.reads
            .delete_object()
            .bucket(&uri.bucket)
            .key(&uri.key)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk("s3 DeleteObject", uri, &attempts, &e))?;
        Ok(())
    }

    /// Deletes objects of one bucket, a thousand a request, in the order given.
    ///
    /// # Errors
    /// The first request or the first key that failed; keys before it are gone, of the others
    /// some may be.
    pub async fn delete_many(&self, bucket: &S3Uri, keys: &[String]) -> Result<(), CloudError> {
        for chunk in keys.chunks(DELETE_MAX_KEYS) {
            self.delete_chunk(bucket, chunk).await?;
        }
        Ok(())
    }

    async fn delete_chunk(&self, bucket: &S3Uri, keys: &[String]) -> Result<(), CloudError> {
        const ACTION: &str = "s3 DeleteObjects";
        let wrong = |e: aws_sdk_s3::error::BuildError| invalid(ACTION, bucket, &e.to_string());
        let ids: Result<Vec<_>, _> = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key).build())
            .collect();
        let list = Delete::builder()
            .set_objects(Some(ids.map_err(wrong)?))
            .quiet(true)
            .build()
            .map_err(wrong)?;
        let attempts = Attempts::default();
        let output = self
            .reads
            .delete_objects()
            .bucket(&bucket.bucket)
            .delete(list)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk(ACTION, bucket, &attempts, &e))?;
        let Some(first) = output.errors().first() else {
            return Ok(());
        };
        let uri = bucket.with_key(first.key().unwrap_or_default());
        let text = format!(
            "{} of {} keys were not deleted; the first: {} {}",
            output.errors().len(),
            keys.len(),
            first.code().unwrap_or_default(),
            first.message().unwrap_or_default()
        );
        let kind = crate::classify::kind_of(None, first.code(), "");
        Err(CloudError::new(kind, ACTION, uri, text).with_attempts(attempts.count()))
    }

    /// Copies an object within the service; no byte comes through here.
    ///
    /// With `if_match`, only the version with that ETag. The copy gets a checksum of its own.
    ///
    /// # Errors
    /// [`CloudErrorKind::NotFound`], [`CloudErrorKind::PreconditionFailed`] if the source has
    /// changed, [`CloudErrorKind::Invalid`] above 5 GiB (CopyObject's limit), or any of a request.
    pub async fn copy(
        &self,
        from: &S3Uri,
        to: &S3Uri,
        if_match: Option<&str>,
    ) -> Result<(), CloudError> {
        const ACTION: &str = "s3 CopyObject";
        let source = self
            .head(from)
            .await?
            .ok_or_else(|| missing(ACTION, from))?;
        if source.size > COPY_MAX_BYTES {
            let text = format!(
                "{} bytes are more than the {COPY_MAX_BYTES} that one copy takes",
                source.size
            );
            return Err(invalid(ACTION, from, &text));
        }
        let path = format!("{}/{}", from.bucket, from.key);
        let attempts = Attempts::default();
        self.writes
            .copy_object()
            .copy_source(utf8_percent_encode(&path, COPY_SOURCE).to_string())
            .copy_source_if_match(if_match.unwrap_or(&source.etag))
            .bucket(&to.bucket)
            .key(&to.key)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk(ACTION, to, &attempts, &e))?;
        Ok(())
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> Option<String> {
        self.reads.config().region().map(ToString::to_string)
    }

    /// Makes a bucket unless it exists. For emulators: at AWS, buckets are their owner's decision.
    ///
    /// # Errors
    /// [`CloudErrorKind::NameInUse`] if it belongs to somebody else, or any of a request.
    pub async fn ensure_bucket(&self, bucket: &str) -> Result<(), CloudError> {
        let region = self.region();
        // The one region that must not be named (S3 API reference, CreateBucket).
        let place = region.filter(|name| name != "us-east-1").map(|name| {
            let constraint = BucketLocationConstraint::from(name.as_str());
            CreateBucketConfiguration::builder()
                .location_constraint(constraint)
                .build()
        });
        let attempts = Attempts::default();
        let answer = self
            .reads
            .create_bucket()
            .bucket(bucket)
            .set_create_bucket_configuration(place)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await;
        match answer {
            Err(e)
                if e.as_service_error()
                    .is_some_and(|e| e.is_bucket_already_owned_by_you()) =>
            {
                Ok(())
            }
            Err(e) => Err(CloudError::from_sdk(
                "s3 CreateBucket",
                format!("s3://{bucket}"),
                &attempts,
                &e,
            )),
            Ok(_) => Ok(()),
        }
    }
}

fn object_of(uri: &S3Uri, output: &HeadObjectOutput) -> Result<(ObjectMeta, Stated), CloudError> {
    let composite = output.checksum_type() == Some(&ChecksumType::Composite);
    let stated = Stated {
        crc64nvme: output.checksum_crc64_nvme().map(str::to_owned),
        crc32c: output.checksum_crc32_c().map(str::to_owned),
        crc32: output.checksum_crc32().map(str::to_owned),
        sha256: output.checksum_sha256().map(str::to_owned),
    }
    .without_composites(composite);
    let meta = ObjectMeta {
        key: uri.key.clone(),
        size: size_of("s3 HeadObject", uri, output.content_length())?,
        etag: output.e_tag().unwrap_or_default().to_owned(),
        last_modified: output
            .last_modified()
            .map_or(0, aws_sdk_s3::primitives::DateTime::secs),
        checksum: stated.crc64nvme.clone(),
    };
    Ok((meta, stated))
}

/// A size that a store states, or an error that it stated none.
pub(crate) fn size_of(
    action: &'static str,
    uri: &S3Uri,
    length: Option<i64>,
) -> Result<u64, CloudError> {
    length.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| {
        CloudError::new(
            CloudErrorKind::Corrupt,
            action,
            uri,
            "the store did not state the object's size",
        )
    })
}

pub(crate) fn missing(action: &'static str, uri: &S3Uri) -> CloudError {
    CloudError::new(
        CloudErrorKind::NotFound,
        action,
        uri,
        "the object does not exist",
    )
}

pub(crate) fn invalid(action: &'static str, uri: &S3Uri, message: &str) -> CloudError {
    CloudError::new(CloudErrorKind::Invalid, action, uri, message)
}

/// For the calls in which "there is none" is an answer.
pub(crate) fn not_found_is_none<T>(error: CloudError) -> Result<Option<T>, CloudError> {
    if error.kind == CloudErrorKind::NotFound {
        Ok(None)
    } else {
        Err(error)
    }
}
