//! Objects to memory or to a file, every byte checked.

use crate::body::{ACTION, Body};
use crate::checksum::{Check, Stated};
use crate::error::{CloudError, CloudErrorKind};
use crate::store::{ObjectMeta, Store, size_of};
use crate::upload::PutReceipt;
use crate::uri::S3Uri;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::ChecksumType;
use bytes::{Bytes, BytesMut};
use std::path::Path;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

/// How often an object is read from its first byte if its checksum is wrong at the end.
const CORRUPT_ATTEMPTS: u32 = 3;

/// What an object must be for a download to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// In bytes.
    pub size: u64,
    /// The entity tag with its quotes; sent as `If-Match`. Empty: not compared.
    pub etag: String,
    /// CRC-64/NVME in base64, where it is known.
    pub checksum: Option<String>,
}

impl From<&PutReceipt> for Expected {
    fn from(receipt: &PutReceipt) -> Self {
        Self {
            size: receipt.size,
            etag: receipt.etag.clone(),
            checksum: Some(receipt.checksum.clone()),
        }
    }
}

impl From<&ObjectMeta> for Expected {
    fn from(meta: &ObjectMeta) -> Self {
        Self {
            size: meta.size,
            etag: meta.etag.clone(),
            checksum: meta.checksum.clone(),
        }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetReceipt {
    /// In bytes.
    pub size: u64,
    /// The entity tag with its quotes.
    pub etag: String,
    /// CRC-64/NVME of the bytes read, computed here, base64 as S3 writes it.
    pub checksum: String,
}

/// An answer's headers, and its body still to be read.
struct Opened {
    size: u64,
    etag: String,
    check: Check,
    body: Body,
}

impl Store {
    /// A whole small object in memory, and its ETag.
    ///
    /// # Errors
    /// [`CloudErrorKind::Invalid`] if it has more than `max_bytes` (nothing is read then), and as
    /// [`Store::get_file`].
    pub async fn get_bytes(
        &self,
        uri: &S3Uri,
        max_bytes: u64,
    ) -> Result<(Bytes, String), CloudError> {
        let mut round = 0;
        loop {
            round += 1;
            let mut opened = self.open(uri, None).await?;
            if opened.size > max_bytes {
                let text = format!(
                    "the object has {} bytes, at most {max_bytes} are read",
                    opened.size
                );
                return Err(CloudError::new(CloudErrorKind::Invalid, ACTION, uri, text));
            }
            let mut bytes = BytesMut::new();
            while let Some(chunk) = opened.body.next().await? {
                opened.check.update(&chunk);
                bytes.extend_from_slice(&chunk);
            }
            match opened.check.finish() {
                Ok(_) => return Ok((bytes.freeze(), opened.etag)),
                Err(differ) if round >= CORRUPT_ATTEMPTS => {
                    return Err(corrupt(uri, &differ, round));
                }
                Err(_) => {}
            }
        }
    }

    /// Streams an object to `path`, which is created or overwritten and synced: give a temporary
    /// name and rename it. Memory: one network buffer.
    ///
    /// A body that breaks off goes on from its last good byte, at most `retry.max_attempts` times
    /// without progress, always of the same version. Size and checksum are compared with what the
    /// store states and with `expected`.
    ///
    /// # Errors
    /// [`CloudErrorKind::NotFound`]; [`CloudErrorKind::PreconditionFailed`] if the object is
    /// another than `expected` or is replaced meanwhile; [`CloudErrorKind::Corrupt`] if the bytes
    /// differ from the checksum three times; [`CloudErrorKind::Io`] on a local failure; or any of a
    /// request. What lies at `path` then is of no use.
    pub async fn get_file(
        &self,
        uri: &S3Uri,
        path: &Path,
        expected: Option<&Expected>,
    ) -> Result<GetReceipt, CloudError> {
        let io = |e: std::io::Error| CloudError::io("write", path, &e);
        let mut file = tokio::fs::File::create(path).await.map_err(io)?;
        let mut round = 0;
        loop {
            round += 1;
            let mut opened = self.open(uri, expected).await?;
            while let Some(chunk) = opened.body.next().await? {
                opened.check.update(&chunk);
                file.write_all(&chunk).await.map_err(io)?;
            }
            match finish(opened, expected) {
                Ok(receipt) => {
                    file.flush().await.map_err(io)?;
                    file.sync_all().await.map_err(io)?;
                    return Ok(receipt);
                }
                Err(differ) if round >= CORRUPT_ATTEMPTS => {
                    return Err(corrupt(uri, &differ, round));
                }
                Err(_) => {
                    file.rewind().await.map_err(io)?;
                    file.set_len(0).await.map_err(io)?;
                }
            }
        }
    }

    /// The first request for a whole object.
    async fn open(&self, uri: &S3Uri, expected: Option<&Expected>) -> Result<Opened, CloudError> {
        let if_match = expected
            .map(|e| e.etag.as_str())
            .filter(|etag| !etag.is_empty());
        let output = self.get(uri, None, if_match).await?;
        let size = size_of(ACTION, uri, output.content_length())?;
        if let Some(expected) = expected.filter(|e| e.size != size) {
            let text = format!(
                "the object has {size} bytes, {} were expected",
                expected.size
            );
            return Err(CloudError::new(
                CloudErrorKind::PreconditionFailed,
                ACTION,
                uri,
                text,
            ));
        }
        let etag = output.e_tag().unwrap_or_default().to_owned();
        let check = stated(&output).check();
        let body = Body::from_start(self, uri, &etag, size, output.body);
        Ok(Opened {
            size,
            etag,
            check,
            body,
        })
    }

    /// The checksum of an object whose store keeps none: by reading it.
    pub(crate) async fn checksum_by_reading(
        &self,
        uri: &S3Uri,
        etag: &str,
    ) -> Result<String, CloudError> {
        let output = self
            .get(uri, None, Some(etag).filter(|etag| !etag.is_empty()))
            .await?;
        let size = size_of(ACTION, uri, output.content_length())?;
        let mut check = Stated::default().check();
        let mut body = Body::from_start(self, uri, etag, size, output.body);
        while let Some(chunk) = body.next().await? {
            check.update(&chunk);
        }
        check.finish().map_err(|differ| corrupt(uri, &differ, 1))
    }
}

fn stated(output: &GetObjectOutput) -> Stated {
    let composite = output.checksum_type() == Some(&ChecksumType::Composite);
    Stated {
        crc64nvme: output.checksum_crc64_nvme().map(str::to_owned),
        crc32c: output.checksum_crc32_c().map(str::to_owned),
        crc32: output.checksum_crc32().map(str::to_owned),
        sha256: output.checksum_sha256().map(str::to_owned),
    }
    .without_composites(composite)
}

/// The receipt, or the pair (expected, computed) of checksums that differ.
fn finish(opened: Opened, expected: Option<&Expected>) -> Result<GetReceipt, (String, String)> {
    let checksum = opened.check.finish()?;
    match expected.and_then(|e| e.checksum.as_ref()) {
        Some(known) if *known != checksum => Err((known.clone(), checksum)),
        _ => Ok(GetReceipt {
            size: opened.size,
            etag: opened.etag,
            checksum,
        }),
    }
}

pub(crate) fn corrupt(
    uri: &S3Uri,
    (stated, computed): &(String, String),
    attempts: u32,
) -> CloudError {
    let text = format!("the bytes read have the checksum {computed}, the object's is {stated}");
    CloudError::new(CloudErrorKind::Corrupt, ACTION, uri, text).with_attempts(attempts)
}
