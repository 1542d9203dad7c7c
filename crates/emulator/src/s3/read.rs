//! Reading objects: whole, by range, by part, on conditions.

use std::io::SeekFrom;
use std::ops::Range as Bytes;

use s3s::dto::*;
use s3s::{S3Result, s3_error};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::checksums::{self, set_checksums};
use super::conditions::{ReadConditions, etag};
use super::{Api, headers};
use crate::store::{ObjectInfo, StoreError};

/// Bytes of one read of a content.
const READ_BYTES: usize = 256 * 1024;

pub(super) async fn get(api: &Api, input: GetObjectInput) -> S3Result<GetObjectOutput> {
    refuse_version(input.version_id.as_deref())?;
    let (info, mut file) = api.store.get(&input.bucket, &input.key).await?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&info)?;
    let part = selected(&info, input.range, input.part_number)?;
    let (start, length) = part
        .as_ref()
        .map_or((0, info.size), |p| (p.start, p.end - p.start));
    if start > 0 {
        let path = std::path::Path::new(&info.etag);
        file.seek(SeekFrom::Start(start))
            .await
            .map_err(StoreError::io("seek in", path))?;
    }
    let body = StreamingBlob::wrap(ReaderStream::with_capacity(file.take(length), READ_BYTES));
    let mut output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(body),
        cache_control: headers::system(&info.headers, headers::CACHE_CONTROL),
        content_disposition: headers::system(&info.headers, headers::CONTENT_DISPOSITION),
        content_encoding: headers::system(&info.headers, headers::CONTENT_ENCODING),
        content_language: headers::system(&info.headers, headers::CONTENT_LANGUAGE),
        content_length: Some(headers::signed(length)),
        content_range: part.as_ref().map(|p| content_range(p, info.size)),
        content_type: Some(content_type(&info)),
        e_tag: Some(etag(&info.etag)),
        last_modified: Some(headers::modified(&info)),
        metadata: headers::metadata(&info.headers),
        parts_count: parts_count(&info, input.part_number),
        ..GetObjectOutput::default()
    };
    (output.server_side_encryption, output.ssekms_key_id) = headers::encryption(&info.headers);
    if enabled(input.checksum_mode.as_ref()) && part.is_none() {
        set_checksums!(output, info.checksums);
        output.checksum_type = Some(checksums::wire_type(info.checksum_type));
    }
    Ok(output)
}

pub(super) fn head(api: &Api, input: &HeadObjectInput) -> S3Result<HeadObjectOutput> {
    refuse_version(input.version_id.as_deref())?;
    let info = api.store.head(&input.bucket, &input.key)?;
    let conditions = ReadConditions {
        if_match: input.if_match.clone(),
        if_none_match: input.if_none_match.clone(),
        if_modified_since: input.if_modified_since.clone(),
        if_unmodified_since: input.if_unmodified_since.clone(),
    };
    conditions.check(&info)?;
    let part = selected(&info, input.range, input.part_number)?;
    let length = part.as_ref().map_or(info.size, |p| p.end - p.start);
    let mut output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: headers::system(&info.headers, headers::CACHE_CONTROL),
        content_disposition: headers::system(&info.headers, headers::CONTENT_DISPOSITION),
        content_encoding: headers::system(&info.headers, headers::CONTENT_ENCODING),
        content_language: headers::system(&info.headers, headers::CONTENT_LANGUAGE),
        content_length: Some(headers::signed(length)),
        content_range: part.as_ref().map(|p| content_range(p, info.size)),
        content_type: Some(content_type(&info)),
        e_tag: Some(etag(&info.etag)),
        last_modified: Some(headers::modified(&info)),
        metadata: headers::metadata(&info.headers),
        parts_count: parts_count(&info, input.part_number),
        ..HeadObjectOutput::default()
    };
    (output.server_side_encryption, output.ssekms_key_id) = headers::encryption(&info.headers);
    if enabled(input.checksum_mode.as_ref()) && part.is_none() {
        set_checksums!(output, info.checksums);
        output.checksum_type = Some(checksums::wire_type(info.checksum_type));
    }
    Ok(output)
}

/// No object has tags; clients that copy large objects ask for them.
pub(super) fn tagging(
    api: &Api,
    input: &GetObjectTaggingInput,
) -> S3Result<GetObjectTaggingOutput> {
    api.store.head(&input.bucket, &input.key)?;
    Ok(GetObjectTaggingOutput::default())
}

fn refuse_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(
            NoSuchVersion,
            "The specified version does not exist."
        )),
    }
}

/// The bytes that were asked for; `None` for all.
fn selected(
    info: &ObjectInfo,
    range: Option<Range>,
    part: Option<PartNumber>,
) -> S3Result<Option<Bytes<u64>>> {
    match (range, part) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(s3_error!(
            InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter"
        )),
        (Some(range), None) if info.size > 0 => Ok(Some(range.check(info.size)?)),
        (Some(_), None) => Err(s3_error!(
            InvalidRange,
            "The requested range is not satisfiable"
        )),
        (None, Some(1)) if info.parts.is_empty() => Ok((info.size > 0).then_some(0..info.size)),
        (None, Some(number)) => part_bytes(info, number).map(Some),
    }
}

/// The bytes of a part of a multipart object.
fn part_bytes(info: &ObjectInfo, number: PartNumber) -> S3Result<Bytes<u64>> {
    let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    let found = index.and_then(|i| Some((info.parts.get(..i)?, info.parts.get(i)?)));
    let Some((before, size)) = found else {
        let code = s3s::S3ErrorCode::Custom("InvalidPartNumber".into());
        let mut error =
            s3s::S3Error::with_message(code, "The requested partnumber is not satisfiable");
        error.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE);
        return Err(error);
    };
    let start: u64 = before.iter().sum();
    Ok(start..start + size)
}

fn content_range(part: &Bytes<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1))
}

fn parts_count(info: &ObjectInfo, asked: Option<PartNumber>) -> Option<PartsCount> {
    asked
        .filter(|_| !info.parts.is_empty())
        .and_then(|_| i32::try_from(info.parts.len()).ok())
}

fn content_type(info: &ObjectInfo) -> String {
    info.headers
        .content_type
        .clone()
        .unwrap_or_else(|| headers::DEFAULT_CONTENT_TYPE.to_owned())
}

fn enabled(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|m| m.as_str() == ChecksumMode::ENABLED)
}
