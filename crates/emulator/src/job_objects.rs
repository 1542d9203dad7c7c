//! The objects of transform jobs: in the emulator's own store, or in another S3 that it was told of.
//!
//! The few operations that jobs need, so that they need not know which it is.

use std::path::{Path, PathBuf};

use tokio::fs::File;

use crate::other_s3::OtherS3;
use crate::state::AppState;
use crate::store::{ObjectStore, PutRequest, StoreError};

/// Keys of one page of a listing.
const PAGE: usize = 1000;

/// Where jobs read and write. Clones share it.
#[derive(Clone)]
pub(crate) struct JobObjects {
    own: ObjectStore,
    other: Option<OtherS3>,
    /// Objects of another S3 are kept in nameless files there while they are read.
    folder: PathBuf,
}

/// Why an object could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectsError {
    /// No bucket of that name: to a listing, the same as no objects.
    #[error("no bucket {0:?}")]
    NoSuchBucket(String),
    /// No object of that key, as the store says it.
    #[error("{0}")]
    NoSuchKey(String),
    /// As the store says it.
    #[error("{0}")]
    Failed(String),
}

impl From<StoreError> for ObjectsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchBucket { bucket } => Self::NoSuchBucket(bucket),
            missing @ StoreError::NoSuchKey { .. } => Self::NoSuchKey(missing.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl JobObjects {
    pub(crate) fn of(state: &AppState) -> Self {
        Self {
            own: state.store.clone(),
            other: state.config.other_s3.clone(),
            folder: state.config.dir.clone(),
        }
    }

    /// All keys that start with `prefix`, in order.
    pub(crate) async fn keys(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<String>, ObjectsError> {
        if let Some(other) = &self.other {
            return other.keys(bucket, prefix).await;
        }
        let mut keys: Vec<String> = Vec::new();
        loop {
            let after = keys.last().map(String::as_str);
            let page = self.own.list(bucket, prefix, after, PAGE)?;
            if page.is_empty() {
                return Ok(keys);
            }
            keys.extend(page.iter().map(|object| object.key.clone()));
        }
    }

    /// An object's size in bytes, and its content from the first byte.
    pub(crate) async fn open(&self, bucket: &str, key: &str) -> Result<(u64, File), ObjectsError> {
        match &self.other {
            Some(other) => other.open(bucket, key, &self.folder).await,
            None => {
                let (info, file) = self.own.get(bucket, key).await?;
                Ok((info.size, file))
            }
        }
    }

    /// Stores a file, over what has the key.
    pub(crate) async fn put(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
    ) -> Result<(), ObjectsError> {
        if let Some(other) = &self.other {
            return other.put(bucket, key, path).await;
        }
        let file = File::open(path)
            .await
            .map_err(|e| ObjectsError::Failed(e.to_string()))?;
        self.own
            .put(bucket, key, file, PutRequest::default())
            .await?;
        Ok(())
    }
}
