//! Listings: objects in both versions, parts, uploads.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::checksums::{self, set_checksums};
use super::conditions::etag;
use super::{Api, headers};
use crate::store::{ListQuery, ObjectInfo, Page, PartInfo, UploadInfo};

/// Entries of one page, at most (API reference).
const MAX_ENTRIES: i32 = 1000;

/// What `encoding-type=url` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

pub(super) fn v2(api: &Api, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let max = limit(input.max_keys, "max-keys")?;
    let encode = encoder(input.encoding_type.as_ref())?;
    let after = match &input.continuation_token {
        Some(token) => Some(from_token(token)?),
        None => input.start_after.clone().filter(|s| !s.is_empty()),
    };
    let page = page(
        api,
        &input.bucket,
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        after,
        max,
    )?;
    let count = page.objects.len() + page.prefixes.len();
    Ok(ListObjectsV2Output {
        key_count: i32::try_from(count).ok(),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(|key| BASE64.encode(key)),
        contents: Some(objects(&page, encode)),
        common_prefixes: prefixes(&page, encode),
        name: Some(input.bucket),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
        max_keys: Some(max),
        continuation_token: input.continuation_token,
        delimiter: input.delimiter.as_deref().map(encode),
        start_after: input.start_after.as_deref().map(encode),
        encoding_type: input.encoding_type,
        ..ListObjectsV2Output::default()
    })
}

pub(super) fn v1(api: &Api, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let max = limit(input.max_keys, "max-keys")?;
    let encode = encoder(input.encoding_type.as_ref())?;
    let after = input.marker.clone().filter(|s| !s.is_empty());
    let page = page(
        api,
        &input.bucket,
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        after,
        max,
    )?;
    Ok(ListObjectsOutput {
        is_truncated: Some(page.next.is_some()),
        // Without a delimiter, clients take the last key (API reference, NextMarker).
        next_marker: page
            .next
            .as_deref()
            .filter(|_| input.delimiter.is_some())
            .map(encode),
        contents: Some(objects(&page, encode)),
        common_prefixes: prefixes(&page, encode),
        name: Some(input.bucket),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(encode(input.marker.as_deref().unwrap_or_default())),
        max_keys: Some(max),
        delimiter: input.delimiter.as_deref().map(encode),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    })
}

fn page(
    api: &Api,
    bucket: &str,
    prefix: Option<&str>,
    delimiter: Option<&str>,
    after: Option<String>,
    max: i32,
) -> S3Result<Page> {
    let query = ListQuery {
        prefix: prefix.unwrap_or_default().to_owned(),
        delimiter: delimiter.map(str::to_owned),
        after,
        max: usize::try_from(max).unwrap_or_default(),
    };
    Ok(api.store.list_page(bucket, &query)?)
}

/// How many entries a page may have.
fn limit(asked: Option<i32>, name: &str) -> S3Result<i32> {
    match asked {
        Some(n) if n < 0 => Err(s3_error!(
            InvalidArgument,
            "Argument {name} must be an integer between 0 and 2147483647"
        )),
        asked => Ok(asked.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES)),
    }
}

/// A token is the last entry of its page; to clients it is opaque.
fn from_token(token: &str) -> S3Result<String> {
    let key = BASE64
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    })
}

type Encode = fn(&str) -> String;

fn encoder(kind: Option<&EncodingType>) -> S3Result<Encode> {
    match kind.map(EncodingType::as_str) {
        None => Ok(|text| text.to_owned()),
        Some(EncodingType::URL) => Ok(|text| utf8_percent_encode(text, PLAIN).to_string()),
        Some(_) => Err(s3_error!(
            InvalidArgument,
            "Invalid Encoding Method specified in Request"
        )),
    }
}

fn objects(page: &Page, encode: Encode) -> Vec<Object> {
    page.objects
        .iter()
        .map(|info| object(info, encode))
        .collect()
}

fn object(info: &Arc<ObjectInfo>, encode: Encode) -> Object {
    let algorithms = info
        .checksums
        .algorithms()
        .into_iter()
        .map(checksums::wire_algorithm);
    Object {
        checksum_algorithm: Some(algorithms.collect()),
        checksum_type: Some(checksums::wire_type(info.checksum_type)),
        e_tag: Some(etag(&info.etag)),
        key: Some(encode(&info.key)),
        last_modified: Some(headers::modified(info)),
        size: Some(headers::signed(info.size)),
        storage_class: Some(ObjectStorageClass::from_static(
            ObjectStorageClass::STANDARD,
        )),
        ..Object::default()
    }
}

fn prefixes(page: &Page, encode: Encode) -> Option<Vec<CommonPrefix>> {
    let prefixes = page.prefixes.iter().map(|p| CommonPrefix {
        prefix: Some(encode(p)),
    });
    (!page.prefixes.is_empty()).then(|| prefixes.collect())
}

pub(super) fn parts(api: &Api, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let max = limit(input.max_parts, "max-parts")?;
    let upload = api
        .store
        .upload(&input.bucket, &input.key, &input.upload_id)?;
    let marker = input.part_number_marker.unwrap_or_default();
    let mut left = api
        .store
        .list_parts(&input.bucket, &input.key, &input.upload_id)?;
    left.retain(|p| i64::from(p.number) > i64::from(marker));
    let truncated = left.len() > usize::try_from(max).unwrap_or_default();
    left.truncate(usize::try_from(max).unwrap_or_default());
    let next = left
        .last()
        .and_then(|p| i32::try_from(p.number).ok())
        .filter(|_| truncated);
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        checksum_algorithm: upload.request.algorithm.map(checksums::wire_algorithm),
        checksum_type: Some(checksums::wire_type(upload.request.effective_type())),
        is_truncated: Some(truncated),
        max_parts: Some(max),
        part_number_marker: Some(marker),
        next_part_number_marker: next,
        parts: Some(left.into_iter().map(part).collect()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..ListPartsOutput::default()
    })
}

fn part(info: PartInfo) -> Part {
    let mut part = Part {
        e_tag: Some(etag(&info.etag)),
        last_modified: Some(headers::millis(info.modified_millis)),
        part_number: i32::try_from(info.number).ok(),
        size: Some(headers::signed(info.size)),
        ..Part::default()
    };
    set_checksums!(part, info.checksums);
    part
}

pub(super) fn uploads(
    api: &Api,
    input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    if input.delimiter.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "Uploads are listed without a delimiter"
        ));
    }
    let max = limit(input.max_uploads, "max-uploads")?;
    let encode = encoder(input.encoding_type.as_ref())?;
    let mut left = api
        .store
        .list_uploads(&input.bucket, input.prefix.as_deref().unwrap_or_default())?;
    skip_to_marker(
        &mut left,
        input.key_marker.as_deref(),
        input.upload_id_marker.as_deref(),
    );
    let truncated = left.len() > usize::try_from(max).unwrap_or_default();
    left.truncate(usize::try_from(max).unwrap_or_default());
    let last = left.last().filter(|_| truncated);
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        is_truncated: Some(truncated),
        key_marker: Some(encode(input.key_marker.as_deref().unwrap_or_default())),
        upload_id_marker: input.upload_id_marker,
        max_uploads: Some(max),
        next_key_marker: last.map(|u| encode(&u.key)),
        next_upload_id_marker: last.map(|u| u.id.clone()),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
        encoding_type: input.encoding_type,
        uploads: Some(left.iter().map(|u| upload(u, encode)).collect()),
        ..ListMultipartUploadsOutput::default()
    })
}

/// Drops what comes before the markers: keys up to the key marker, but for uploads of that very key
/// behind the upload marker.
fn skip_to_marker(uploads: &mut Vec<UploadInfo>, key: Option<&str>, id: Option<&str>) {
    let Some(key) = key.filter(|k| !k.is_empty()) else {
        return;
    };
    let at = uploads
        .iter()
        .position(|u| u.key == key && Some(u.id.as_str()) == id);
    match at {
        Some(at) => drop(uploads.drain(..=at)),
        None => uploads.retain(|u| u.key.as_str() > key),
    }
}

fn upload(info: &UploadInfo, encode: Encode) -> MultipartUpload {
    MultipartUpload {
        checksum_algorithm: info.request.algorithm.map(checksums::wire_algorithm),
        checksum_type: Some(checksums::wire_type(info.request.effective_type())),
        initiated: Some(headers::millis(info.initiated_millis)),
        key: Some(encode(&info.key)),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(info.id.clone()),
        ..MultipartUpload::default()
    }
}
