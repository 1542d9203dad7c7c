//! A multipart upload under way: what was asked for, and the parts that are there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::checksum::{Algorithm, ChecksumType, Checksums};
use super::object::ObjectHeaders;
use super::{StoreError, layout, lock};

/// How a multipart object is to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRequest {
    /// Headers and metadata of the object.
    #[serde(flatten)]
    pub headers: ObjectHeaders,
    /// The algorithm that the client chose; `None`: CRC64NVME, computed here.
    #[serde(default)]
    pub algorithm: Option<Algorithm>,
    /// What the object's checksum covers; `None`: S3's default for the algorithm.
    #[serde(default)]
    pub checksum_type: Option<ChecksumType>,
}

impl UploadRequest {
    /// The algorithm that parts are summed with.
    #[must_use]
    pub fn effective_algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::Crc64nvme)
    }

    /// What the object's checksum covers.
    #[must_use]
    pub fn effective_type(&self) -> ChecksumType {
        self.checksum_type
            .unwrap_or_else(|| ChecksumType::default_for(self.effective_algorithm()))
    }
}

/// An upload under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadInfo {
    /// Its id, 32 hex digits.
    pub id: String,
    /// The key that it will have.
    pub key: String,
    /// When it was begun, in milliseconds since 1970.
    pub initiated_millis: u64,
    /// What was asked for.
    pub request: UploadRequest,
}

/// A part that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// 1 to 10,000.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// The MD5 in hex, without quotes.
    pub etag: String,
    /// Of the part's bytes.
    pub checksums: Checksums,
    /// When it was stored, in milliseconds since 1970.
    pub modified_millis: u64,
    /// The content's file is `<number>.<generation>`.
    pub(super) generation: String,
}

/// An upload in memory.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) info: UploadInfo,
    pub(super) state: Mutex<UploadState>,
}

/// What changes of an upload.
#[derive(Debug, Default)]
pub(super) struct UploadState {
    /// Completed or aborted: no part may be added any more.
    pub(super) closed: bool,
    pub(super) parts: BTreeMap<u32, PartInfo>,
}

impl Upload {
    pub(super) fn new(info: UploadInfo) -> Self {
        Self {
            info,
            state: Mutex::default(),
        }
    }

    /// Reads the upload in `folder` and clears away contents of parts that never became parts.
    /// `None` where its beginning or its end was cut off.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>, StoreError> {
        let record = folder.join("upload.json");
        if !record.exists() {
            layout::remove_dir(folder)?;
            return Ok(None);
        }
        let upload = Self::new(layout::read_record(&record)?);
        let mut used = vec![record];
        let mut contents = Vec::new();
        for path in layout::entries(folder)? {
            if used.contains(&path) {
                continue;
            }
            if path.extension().is_none_or(|e| e != "json") {
                contents.push(path);
                continue;
            }
            let part: PartInfo = layout::read_record(&path)?;
            used.push(path.with_extension(&part.generation));
            lock(&upload.state).parts.insert(part.number, part);
        }
        for path in contents.iter().filter(|p| !used.contains(p)) {
            layout::remove_file(path)?;
        }
        Ok(Some(upload))
    }
}
