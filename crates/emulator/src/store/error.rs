//! Why the store refuses.

use std::io;
use std::path::{Path, PathBuf};

use super::checksum::Algorithm;

/// A refusal or failure of the store. The S3 layer gives each its documented error code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The bucket does not exist.
    #[error("no bucket {bucket:?}")]
    NoSuchBucket {
        /// The bucket asked for.
        bucket: String,
    },
    /// The object does not exist.
    #[error("no object {key:?} in bucket {bucket:?}")]
    NoSuchKey {
        /// The bucket asked for.
        bucket: String,
        /// The key asked for.
        key: String,
    },
    /// The bucket exists already.
    #[error("bucket {bucket:?} exists already")]
    BucketExists {
        /// Its name.
        bucket: String,
    },
    /// A bucket that holds objects cannot be deleted.
    #[error("bucket {bucket:?} is not empty")]
    BucketNotEmpty {
        /// Its name.
        bucket: String,
    },
    /// A name that no bucket can have.
    #[error(
        "{bucket:?} is no bucket name: 3 to 63 of a-z, 0-9, '-' and '.', a letter or digit at both ends"
    )]
    InvalidBucketName {
        /// The name.
        bucket: String,
    },
    /// A key of 0 bytes, or of more than 1,024.
    #[error("a key has 1 to 1024 bytes; this one has {bytes}")]
    InvalidKey {
        /// Its length in bytes.
        bytes: usize,
    },
    /// `If-Match` or `If-None-Match` does not hold.
    #[error("condition {condition} does not hold")]
    PreconditionFailed {
        /// The header's name.
        condition: &'static str,
    },
    /// No upload of this id, or it was completed or aborted.
    #[error("no multipart upload {upload_id:?}")]
    NoSuchUpload {
        /// The id asked for.
        upload_id: String,
    },
    /// A part that a completion names was not uploaded, or is another.
    #[error("part {number}: {reason}")]
    InvalidPart {
        /// The part's number.
        number: u32,
        /// What does not agree.
        reason: String,
    },
    /// Parts of a completion must ascend.
    #[error("part {number} follows part {previous}; parts must ascend")]
    InvalidPartOrder {
        /// The part's number.
        number: u32,
        /// The number before it.
        previous: u32,
    },
    /// A part other than the last is too small.
    #[error("part {number} has {size} bytes; every part but the last needs at least {minimum}")]
    EntityTooSmall {
        /// The part's number.
        number: u32,
        /// Its size in bytes.
        size: u64,
        /// The smallest size allowed, in bytes.
        minimum: u64,
    },
    /// Content and announced checksum differ. Nothing was stored.
    #[error("{what} of the content is {found}, but {expected} was announced")]
    BadDigest {
        /// Which sum: a checksum algorithm's name, or `MD5`.
        what: &'static str,
        /// As announced, base64.
        expected: String,
        /// As computed, base64.
        found: String,
    },
    /// A value outside of what its parameter may be.
    #[error("{0}")]
    InvalidArgument(&'static str),
    /// A request that cannot be right in any state.
    #[error("{0}")]
    InvalidRequest(String),
    /// The body broke off or was refused on its way here. Nothing was stored.
    #[error("the body could not be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// A file could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record on disk does not hold what the store wrote.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The process is ending.
    #[error("the store is closing")]
    Closing,
}

impl StoreError {
    /// A [`StoreError::Io`], for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// A [`StoreError::NoSuchKey`].
    pub(crate) fn no_key(bucket: &str, key: &str) -> Self {
        Self::NoSuchKey {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }

    /// A [`StoreError::BadDigest`] of a checksum.
    pub(crate) fn bad_checksum(algorithm: Algorithm, expected: &str, found: &str) -> Self {
        Self::BadDigest {
            what: algorithm.name(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }
}
