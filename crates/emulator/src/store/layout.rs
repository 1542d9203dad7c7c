//! Where things lie on disk, and how a file becomes durable.
//!
//! ```text
//! <dir>/tmp/<random>                               being written; removed when the store opens
//! <dir>/buckets/<bucket>/bucket.json
//! <dir>/buckets/<bucket>/objects/<2 hex>/<hash>.json          an object's record
//! <dir>/buckets/<bucket>/objects/<2 hex>/<hash>.<generation>  its content
//! <dir>/buckets/<bucket>/uploads/<id>/upload.json, 00001.json, 00001.<generation>
//! ```
//!
//! `<hash>` is the SHA-256 of the key in hex: a key may have 1,024 bytes, `..`, `//` or a name that
//! is both a file and a folder, and none of it reaches the file system. The rename of a record is
//! the moment in which an object exists; a content without a record is rubbish.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::StoreError;

/// The folders of one store.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// A name in `tmp` that nobody else has.
    pub(super) fn tmp_file(&self) -> PathBuf {
        self.tmp().join(random_name())
    }

    pub(super) fn buckets(&self) -> PathBuf {
        self.root.join("buckets")
    }

    /// `bucket` must have passed [`check_bucket_name`].
    pub(super) fn bucket(&self, bucket: &str) -> PathBuf {
        self.buckets().join(bucket)
    }

    pub(super) fn bucket_record(&self, bucket: &str) -> PathBuf {
        self.bucket(bucket).join("bucket.json")
    }

    pub(super) fn objects(&self, bucket: &str) -> PathBuf {
        self.bucket(bucket).join("objects")
    }

    pub(super) fn record(&self, bucket: &str, key: &str) -> PathBuf {
        let hash = key_hash(key);
        self.objects(bucket)
            .join(&hash[..2])
            .join(format!("{hash}.json"))
    }

    pub(super) fn content(&self, bucket: &str, key: &str, generation: &str) -> PathBuf {
        self.record(bucket, key).with_extension(generation)
    }

    pub(super) fn uploads(&self, bucket: &str) -> PathBuf {
        self.bucket(bucket).join("uploads")
    }

    /// `id` must be one that the store made.
    pub(super) fn upload(&self, bucket: &str, id: &str) -> PathBuf {
        self.uploads(bucket).join(id)
    }

    pub(super) fn part_record(&self, bucket: &str, id: &str, number: u32) -> PathBuf {
        self.upload(bucket, id).join(format!("{number:05}.json"))
    }

    pub(super) fn part_content(
        &self,
        bucket: &str,
        id: &str,
        number: u32,
        generation: &str,
    ) -> PathBuf {
        self.upload(bucket, id)
            .join(format!("{number:05}.{generation}"))
    }
}

fn key_hash(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}

/// 32 hex digits.
pub(super) fn random_name() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// Refuses names that S3 refuses, and with them every name that is not a plain folder name.
pub(super) fn check_bucket_name(bucket: &str) -> Result<(), StoreError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = bucket.as_bytes();
    let ends = bytes.first().is_some_and(|b| plain(*b)) && bytes.last().is_some_and(|b| plain(*b));
    let middle = bytes.iter().all(|b| plain(*b) || matches!(b, b'-' | b'.'));
    if (3..=63).contains(&bytes.len()) && ends && middle && !bucket.contains("..") {
        return Ok(());
    }
    Err(StoreError::InvalidBucketName {
        bucket: bucket.to_owned(),
    })
}

/// Refuses keys that S3 refuses: empty, or more than 1,024 bytes.
pub(super) fn check_key(key: &str) -> Result<(), StoreError> {
    if (1..=1024).contains(&key.len()) {
        return Ok(());
    }
    Err(StoreError::InvalidKey { bytes: key.len() })
}

/// Makes a folder, and those above it.
pub(super) fn create_dir(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(StoreError::io("create", path))
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|f| f.sync_all())
        .map_err(StoreError::io("sync", path))
}

/// Writes `record` durably under `path`: whole, or not at all. `tmp` is a fresh name on the same
/// file system.
pub(super) fn write_record<T: Serialize>(
    record: &T,
    tmp: &Path,
    path: &Path,
) -> Result<(), StoreError> {
    let text = serde_json::to_vec(record).map_err(|e| StoreError::Damaged {
        path: path.to_path_buf(),
        reason: e.to_string(),
    })?;
    let written =
        File::create_new(tmp).and_then(|mut f| f.write_all(&text).and_then(|()| f.sync_data()));
    written.map_err(StoreError::io("write", tmp))?;
    fs::rename(tmp, path).map_err(StoreError::io("rename to", path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Reads what [`write_record`] wrote.
pub(super) fn read_record<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let text = fs::read(path).map_err(StoreError::io("read", path))?;
    serde_json::from_slice(&text).map_err(|e| StoreError::Damaged {
        path: path.to_path_buf(),
        reason: e.to_string(),
    })
}

/// The paths in a folder; none where it is missing.
pub(super) fn entries(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed = match fs::read_dir(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(StoreError::io("list", path))?,
    };
    let paths: Result<Vec<_>, _> = listed.map(|entry| entry.map(|e| e.path())).collect();
    paths.map_err(StoreError::io("list", path))
}

/// Removes a file; that it is gone already is as good.
pub(super) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(StoreError::io("remove", path)),
    }
}

/// Removes a folder and all in it; that it is gone already is as good.
pub(super) fn remove_dir(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(StoreError::io("remove", path)),
    }
}
