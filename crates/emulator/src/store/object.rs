//! What the store knows of an object, and what a writer asks for.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::checksum::{ChecksumType, Checksums};

/// An object's record, as it lies on disk beside its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// The key, literally; it is never used as a path.
    pub key: String,
    /// Bytes of the content.
    pub size: u64,
    /// Without quotes: the content's MD5 in hex, or for a multipart object the MD5 of its parts'
    /// MD5s and `-N`.
    pub etag: String,
    /// When it was stored, in milliseconds since 1970.
    pub modified_millis: u64,
    /// Headers of the object and the user's metadata.
    #[serde(flatten)]
    pub headers: ObjectHeaders,
    /// As announced by the writer, or CRC64NVME where none was.
    pub checksums: Checksums,
    /// What the checksums cover.
    #[serde(default)]
    pub checksum_type: ChecksumType,
    /// Sizes of the parts of a multipart object, in bytes; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<u64>,
    /// The content's file is `<record's name>.<generation>`.
    pub(crate) generation: String,
}

impl ObjectInfo {
    /// When it was stored.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.modified_millis)
    }
}

/// What a writer says about an object besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObjectHeaders {
    /// `Content-Type`; S3 gives `binary/octet-stream` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Other headers that come back with the object, by lower-case name: `content-encoding`,
    /// `cache-control`, `content-disposition`, `content-language`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub system: BTreeMap<String, String>,
    /// `x-amz-meta-…`, by the name after that prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// What must hold at the moment in which an object is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// Nothing.
    #[default]
    Always,
    /// `If-None-Match: *`: there is no object of this key.
    Absent,
    /// `If-Match`: there is one, and this is its ETag (without quotes).
    Matches(String),
}

/// How an object is to be written.
#[derive(Debug, Clone, Default)]
pub struct PutRequest {
    /// Headers and metadata.
    pub headers: ObjectHeaders,
    /// Checksums that the content must have. Their algorithms are the ones that are stored; where
    /// there is none, CRC64NVME is computed and stored.
    pub expected: Checksums,
    /// `Content-MD5`, base64.
    pub content_md5: Option<String>,
    /// What must hold when the object is replaced.
    pub condition: Condition,
}

/// Milliseconds since 1970, now.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
