//! Multipart uploads.

use std::io::SeekFrom;

use futures_util::StreamExt as _;
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::checksums::{self, announced, set_checksums};
use super::conditions::{self, ReadConditions, etag};
use super::headers::{self, stored_headers};
use super::write::{body, copy_source, drained};
use super::{Api, buckets};
use crate::store::{BodyError, CompletedPart as NamedPart, Completion, StoreError, UploadRequest};

pub(super) async fn create(
    api: &Api,
    input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    let request = UploadRequest {
        headers: stored_headers!(input),
        algorithm: checksums::algorithm(input.checksum_algorithm.as_ref())?,
        checksum_type: checksums::checksum_type(input.checksum_type.as_ref())?,
    };
    let info = api
        .store
        .create_upload(&input.bucket, &input.key, request)
        .await?;
    let (encryption, key) = headers::encryption(&info.request.headers);
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(info.id),
        checksum_algorithm: info.request.algorithm.map(checksums::wire_algorithm),
        checksum_type: info
            .request
            .algorithm
            .map(|_| checksums::wire_type(info.request.effective_type())),
        server_side_encryption: encryption,
        ssekms_key_id: key,
        ..CreateMultipartUploadOutput::default()
    })
}

/// A part's number; what is out of range is for the store to refuse.
fn number(number: PartNumber) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

pub(super) async fn part(api: &Api, req: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
    let S3Request {
        mut input,
        headers: sent,
        trailing_headers,
        ..
    } = req;
    let mut body = body(input.body.take());
    let expected = announced!(input);
    let wanted = checksums::wanted(&sent, &expected);
    let (bucket, key, id, number) = (
        &input.bucket,
        &input.key,
        &input.upload_id,
        number(input.part_number),
    );
    let staged = match api
        .store
        .stage_part(bucket, key, id, number, &mut body, &wanted)
        .await
    {
        Ok(staged) => staged,
        Err(e) => return Err(drained(e, body).await),
    };
    let expected = checksums::with_trailers(expected, &sent, trailing_headers.as_ref())?;
    staged.verify(&expected, input.content_md5.as_deref())?;
    let part = api
        .store
        .commit_part(bucket, key, id, number, staged)
        .await?;
    let mut output = UploadPartOutput {
        e_tag: Some(etag(&part.etag)),
        ..UploadPartOutput::default()
    };
    set_checksums!(output, part.checksums);
    Ok(output)
}

pub(super) async fn part_copy(
    api: &Api,
    input: UploadPartCopyInput,
) -> S3Result<UploadPartCopyOutput> {
    buckets::require(api, &input.bucket)?;
    let from = copy_source(&input.copy_source)?;
    let (source, mut file) = api.store.get(from.0, from.1).await?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    conditions.check_source(&source)?;
    let bytes = source_range(input.copy_source_range.as_deref(), source.size)?;
    let path = std::path::Path::new(&source.etag);
    file.seek(SeekFrom::Start(bytes.start))
        .await
        .map_err(StoreError::io("seek in", path))?;
    let content =
        ReaderStream::new(file.take(bytes.end - bytes.start)).map(|r| r.map_err(BodyError::from));
    let (bucket, key, id, number) = (
        &input.bucket,
        &input.key,
        &input.upload_id,
        number(input.part_number),
    );
    let algorithm: Vec<_> = api
        .store
        .upload(bucket, key, id)?
        .request
        .algorithm
        .into_iter()
        .collect();
    let staged = api
        .store
        .stage_part(bucket, key, id, number, content, &algorithm)
        .await?;
    let part = api
        .store
        .commit_part(bucket, key, id, number, staged)
        .await?;
    let mut result = CopyPartResult {
        e_tag: Some(etag(&part.etag)),
        last_modified: Some(headers::millis(part.modified_millis)),
        ..CopyPartResult::default()
    };
    set_checksums!(result, part.checksums);
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    })
}

/// The bytes of a copy's source: `bytes=first-last`, which must lie inside (API reference).
fn source_range(range: Option<&str>, size: u64) -> S3Result<std::ops::Range<u64>> {
    let Some(text) = range else {
        return Ok(0..size);
    };
    match Range::parse(text) {
        Ok(Range::Int {
            first,
            last: Some(last),
        }) if last < size => Ok(first..last + 1),
        Ok(_) => Err(s3_error!(
            InvalidArgument,
            "Range specified is not valid for source object of size: {size}"
        )),
        Err(_) => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
        )),
    }
}

pub(super) async fn complete(
    api: &Api,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let completion = Completion {
        parts: named_parts(&input)?,
        expected: announced!(input),
        checksum_type: checksums::checksum_type(input.checksum_type.as_ref())?,
        size: input
            .mpu_object_size
            .map(|n| u64::try_from(n).unwrap_or_default()),
        condition: conditions::for_write(input.if_match, input.if_none_match)?,
    };
    let info = api
        .store
        .complete_upload(&input.bucket, &input.key, &input.upload_id, completion)
        .await?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(etag(&info.etag)),
        checksum_type: Some(checksums::wire_type(info.checksum_type)),
        ..CompleteMultipartUploadOutput::default()
    };
    set_checksums!(output, info.checksums);
    (output.server_side_encryption, output.ssekms_key_id) = headers::encryption(&info.headers);
    Ok(output)
}

fn named_parts(input: &CompleteMultipartUploadInput) -> S3Result<Vec<NamedPart>> {
    let parts = input
        .multipart_upload
        .as_ref()
        .and_then(|m| m.parts.as_ref());
    let parts = parts
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|part| {
            let (Some(number), Some(etag)) = (part.part_number, part.e_tag.as_ref()) else {
                return Err(s3_error!(
                    MalformedXML,
                    "A part is named by its number and its ETag"
                ));
            };
            let number = u32::try_from(number).unwrap_or_default();
            Ok(NamedPart {
                number,
                etag: etag.value().to_owned(),
                checksums: announced!(part),
            })
        });
    parts.collect()
}

pub(super) async fn abort(
    api: &Api,
    input: &AbortMultipartUploadInput,
) -> S3Result<AbortMultipartUploadOutput> {
    api.store
        .abort_upload(&input.bucket, &input.key, &input.upload_id)
        .await?;
    Ok(AbortMultipartUploadOutput::default())
}
