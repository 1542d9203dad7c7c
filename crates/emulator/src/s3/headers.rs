//! Headers that are stored with an object and come back with it.

use std::collections::{BTreeMap, HashMap};

use s3s::dto::{ServerSideEncryption, Timestamp};

use crate::store::{ObjectHeaders, ObjectInfo};

/// What S3 says of an object without a content type.
pub(super) const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

pub(super) const CACHE_CONTROL: &str = "cache-control";
pub(super) const CONTENT_DISPOSITION: &str = "content-disposition";
pub(super) const CONTENT_ENCODING: &str = "content-encoding";
pub(super) const CONTENT_LANGUAGE: &str = "content-language";
const ENCRYPTION: &str = "x-amz-server-side-encryption";
const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";

/// The stored headers of an S3 input.
macro_rules! stored_headers {
    ($input:expr) => {
        $crate::s3::headers::collect(
            $input.content_type.as_deref(),
            [
                (
                    $crate::s3::headers::CACHE_CONTROL,
                    $input.cache_control.as_deref(),
                ),
                (
                    $crate::s3::headers::CONTENT_DISPOSITION,
                    $input.content_disposition.as_deref(),
                ),
                (
                    $crate::s3::headers::CONTENT_ENCODING,
                    $input.content_encoding.as_deref(),
                ),
                (
                    $crate::s3::headers::CONTENT_LANGUAGE,
                    $input.content_language.as_deref(),
                ),
            ],
            $crate::s3::headers::Encryption {
                kind: $input.server_side_encryption.as_ref().map(|s| s.as_str()),
                key: $input.ssekms_key_id.as_deref(),
            },
            $input.metadata.as_ref(),
        )
    };
}

pub(super) use stored_headers;

/// The encryption that an input asks for. Nothing is encrypted; the answer says what was asked.
pub(super) struct Encryption<'a> {
    pub(super) kind: Option<&'a str>,
    pub(super) key: Option<&'a str>,
}

/// Gathers headers as they are stored. `aws-chunked` describes the transfer, not the object.
pub(super) fn collect(
    content_type: Option<&str>,
    system: [(&str, Option<&str>); 4],
    encryption: Encryption<'_>,
    metadata: Option<&HashMap<String, String>>,
) -> ObjectHeaders {
    let system = system
        .into_iter()
        .chain([(ENCRYPTION, encryption.kind), (KMS_KEY, encryption.key)]);
    let mut kept = BTreeMap::new();
    for (name, value) in system {
        let Some(value) = value else { continue };
        let value = if name == CONTENT_ENCODING {
            without_chunking(value)
        } else {
            value.to_owned()
        };
        if !value.is_empty() {
            kept.insert(name.to_owned(), value);
        }
    }
    ObjectHeaders {
        content_type: content_type.map(str::to_owned),
        system: kept,
        metadata: metadata
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    }
}

fn without_chunking(encoding: &str) -> String {
    let kept: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|e| !e.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    kept.join(",")
}

/// A stored header.
pub(super) fn system(headers: &ObjectHeaders, name: &str) -> Option<String> {
    headers.system.get(name).cloned()
}

/// The encryption and the KMS key that were asked for.
pub(super) fn encryption(
    headers: &ObjectHeaders,
) -> (Option<ServerSideEncryption>, Option<String>) {
    (
        system(headers, ENCRYPTION).map(ServerSideEncryption::from),
        system(headers, KMS_KEY),
    )
}

/// The user's metadata, as `s3s` holds it.
pub(super) fn metadata(headers: &ObjectHeaders) -> Option<HashMap<String, String>> {
    (!headers.metadata.is_empty()).then(|| headers.metadata.clone().into_iter().collect())
}

/// When an object was stored.
pub(super) fn modified(info: &ObjectInfo) -> Timestamp {
    Timestamp::from(info.modified())
}

/// Milliseconds since 1970 on the wire.
pub(super) fn millis(millis: u64) -> Timestamp {
    Timestamp::from(std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis))
}

/// A count or size on the wire.
pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
