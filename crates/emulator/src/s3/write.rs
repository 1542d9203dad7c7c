//! Writing whole objects.

use futures_util::StreamExt as _;
use s3s::dto::*;
use s3s::{Body, S3Error, S3Request, S3Result, s3_error};

use super::checksums::{self, announced, set_checksums};
use super::conditions::{self, ReadConditions, etag};
use super::headers::{self, stored_headers};
use super::{Api, buckets};
use crate::store::{ObjectInfo, PutRequest, StoreError};

/// Of a body that is refused, so much is still read, in bytes: a client that is cut off while it
/// sends may not see the answer.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;

pub(super) async fn put(api: &Api, req: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
    let S3Request {
        mut input,
        headers: sent,
        trailing_headers,
        ..
    } = req;
    let mut body = body(input.body.take());
    let condition = conditions::for_write(input.if_match.take(), input.if_none_match.take())?;
    let expected = announced!(input);
    let wanted = checksums::wanted(&sent, &expected);
    let staged = match api.store.stage(&input.bucket, &mut body, &wanted).await {
        Ok(staged) => staged,
        Err(e) => return Err(drained(e, body).await),
    };
    let request = PutRequest {
        headers: stored_headers!(input),
        expected: checksums::with_trailers(expected, &sent, trailing_headers.as_ref())?,
        content_md5: input.content_md5,
        condition,
    };
    let info = api
        .store
        .commit(&input.bucket, &input.key, staged, request)
        .await?;
    Ok(put_output(&info))
}

fn put_output(info: &ObjectInfo) -> PutObjectOutput {
    let mut output = PutObjectOutput {
        e_tag: Some(etag(&info.etag)),
        checksum_type: Some(checksums::wire_type(info.checksum_type)),
        ..PutObjectOutput::default()
    };
    set_checksums!(output, info.checksums);
    (output.server_side_encryption, output.ssekms_key_id) = headers::encryption(&info.headers);
    output
}

/// A body, also where there is none.
pub(super) fn body(body: Option<StreamingBlob>) -> StreamingBlob {
    body.unwrap_or_else(|| StreamingBlob::from(Body::empty()))
}

/// The refusal, after the body that it refuses was read as far as that is cheap.
pub(super) async fn drained(error: StoreError, mut body: StreamingBlob) -> S3Error {
    let mut left = DRAIN_BYTES;
    while left > 0
        && !matches!(error, StoreError::Body(_))
        && let Some(Ok(frame)) = body.next().await
    {
        left = left.saturating_sub(frame.len());
    }
    error.into()
}

/// Bucket and key of the source of a copy.
pub(super) fn copy_source(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket {
            bucket,
            key,
            version_id: None,
        } => Ok((bucket, key)),
        _ => Err(s3_error!(
            NotImplemented,
            "A copy's source is a bucket and a key, without a version"
        )),
    }
}

pub(super) async fn copy(api: &Api, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
    buckets::require(api, &input.bucket)?;
    let from = copy_source(&input.copy_source)?;
    let to = (input.bucket.as_str(), input.key.as_str());
    let source = api.store.head(from.0, from.1)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match.clone(),
        if_none_match: input.copy_source_if_none_match.clone(),
        if_modified_since: input.copy_source_if_modified_since.clone(),
        if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
    };
    conditions.check_source(&source)?;
    let replace = input
        .metadata_directive
        .as_ref()
        .is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
    if from == to && !replace {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let algorithm = checksums::algorithm(input.checksum_algorithm.as_ref())?;
    let headers = replace.then(|| stored_headers!(input));
    let info = api.store.copy(from, to, headers, algorithm).await?;
    let mut result = CopyObjectResult {
        e_tag: Some(etag(&info.etag)),
        last_modified: Some(headers::modified(&info)),
        checksum_type: Some(checksums::wire_type(info.checksum_type)),
        ..CopyObjectResult::default()
    };
    set_checksums!(result, info.checksums);
    Ok(CopyObjectOutput {
        copy_object_result: Some(result),
        ..CopyObjectOutput::default()
    })
}
