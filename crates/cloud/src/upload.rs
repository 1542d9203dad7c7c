//! Bytes to an object, by one request where they fit; [`crate::multipart`] does the others.

use crate::attempts::Attempts;
use crate::checksum::Crc64;
use crate::error::{CloudError, CloudErrorKind};
use crate::store::Store;
use crate::uri::S3Uri;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use std::path::Path;

const ACTION: &str = "s3 PutObject";

/// What must hold for a write to happen (conditional writes, S3 user guide).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PutCondition {
    /// Nothing: what is there is replaced.
    #[default]
    None,
    /// No object of that key exists.
    IfAbsent,
    /// The object of that key has this ETag.
    IfMatch(String),
}

/// How an object is written.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// What must hold.
    pub condition: PutCondition,
    /// The `Content-Type` header; the store's default without it.
    pub content_type: Option<String>,
}

impl PutOptions {
    /// Only if no object of that key exists.
    pub fn if_absent() -> Self {
        Self {
            condition: PutCondition::IfAbsent,
            content_type: None,
        }
    }

    /// Only over the object with this ETag.
    pub fn if_match(etag: impl Into<String>) -> Self {
        Self {
            condition: PutCondition::IfMatch(etag.into()),
            content_type: None,
        }
    }

    pub(crate) fn if_none_match_header(&self) -> Option<String> {
        (self.condition == PutCondition::IfAbsent).then(|| "*".to_owned())
    }

    pub(crate) fn if_match_header(&self) -> Option<String> {
        match &self.condition {
            PutCondition::IfMatch(etag) => Some(etag.clone()),
            _ => None,
        }
    }
}

/// Proof that the store has the object: it confirmed this checksum, computed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutReceipt {
    /// The whole key.
    pub key: String,
    /// The entity tag with its quotes.
    pub etag: String,
    /// In bytes.
    pub size: u64,
    /// CRC-64/NVME of the whole content, base64 of 8 bytes big endian, as S3 writes it.
    pub checksum: String,
}

impl Store {
    /// Sends a file: one PutObject up to `transfer.single_put_max_bytes`, else a multipart upload.
    ///
    /// The checksum is computed from the bytes read here and checked by the store before the
    /// object becomes visible; an object is visible whole or not at all.
    ///
    /// # Errors
    /// [`CloudErrorKind::PreconditionFailed`] if the condition does not hold: but not if the
    /// object there is this very one, written by an attempt whose answer was lost.
    /// [`CloudErrorKind::Io`] if the file cannot be read or changes while it is,
    /// [`CloudErrorKind::Corrupt`] if the bytes arrived damaged at every attempt, or any of a
    /// request.
    pub async fn put_file(
        &self,
        uri: &S3Uri,
        path: &Path,
        options: &PutOptions,
    ) -> Result<PutReceipt, CloudError> {
        let io = |e: std::io::Error| CloudError::io("read", path, &e);
        let size = tokio::fs::metadata(path).await.map_err(io)?.len();
        if size > self.transfer.single_put_max_bytes {
            return self.put_in_parts(uri, path, size, options).await;
        }
        let bytes = tokio::fs::read(path).await.map_err(io)?;
        if bytes.len() as u64 != size {
            return Err(file_changed(path, size, bytes.len() as u64));
        }
        self.put_bytes(uri, bytes.into(), options).await
    }

    /// Sends bytes from memory by one PutObject.
    ///
    /// # Errors
    /// As [`Store::put_file`].
    pub async fn put_bytes(
        &self,
        uri: &S3Uri,
        bytes: Bytes,
        options: &PutOptions,
    ) -> Result<PutReceipt, CloudError> {
        let receipt = PutReceipt {
            key: uri.key.clone(),
            etag: String::new(),
            size: bytes.len() as u64,
            checksum: Crc64::of(&bytes).base64(),
        };
        // Earlier rounds may have written the object too, so their attempts count.
        let (mut sent, mut round) = (0, 0);
        loop {
            round += 1;
            let attempts = Attempts::default();
            let error = match self
                .put_once(uri, bytes.clone(), &receipt, options, &attempts)
                .await
            {
                Ok(etag) => return Ok(PutReceipt { etag, ..receipt }),
                Err(error) => error,
            };
            sent += attempts.count();
            if error.kind == CloudErrorKind::PreconditionFailed && sent > 1 {
                return self.ours_or(error.with_attempts(sent), uri, receipt).await;
            }
            if !self.may_send_again(&error, round) {
                return Err(error.with_attempts(sent));
            }
            tokio::time::sleep(self.retry.pause(round + 1)).await;
        }
    }

    async fn put_once(
        &self,
        uri: &S3Uri,
        bytes: Bytes,
        receipt: &PutReceipt,
        options: &PutOptions,
        attempts: &Attempts,
    ) -> Result<String, CloudError> {
        let output = self
            .writes
            .put_object()
            .bucket(&uri.bucket)
            .key(&uri.key)
            .checksum_crc64_nvme(&receipt.checksum)
            .set_if_none_match(options.if_none_match_header())
            .set_if_match(options.if_match_header())
            .set_content_type(options.content_type.clone())
            .body(ByteStream::from(bytes))
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk(ACTION, uri, attempts, &e))?;
        confirmed(uri, receipt, output.checksum_crc64_nvme())?;
        Ok(output.e_tag().unwrap_or_default().to_owned())
    }

    /// Two answers to a write that the SDK takes for final and that are worth another try: another
    /// writer was at work at that moment, or the bytes were damaged on their way.
    pub(crate) fn may_send_again(&self, error: &CloudError, round: u32) -> bool {
        matches!(
            error.kind,
            CloudErrorKind::Conflict | CloudErrorKind::Corrupt
        ) && round < self.retry.max_attempts
    }

    /// A refused condition is a success if what is there is what we sent.
    pub(crate) async fn ours_or(
        &self,
        refused: CloudError,
        uri: &S3Uri,
        receipt: PutReceipt,
    ) -> Result<PutReceipt, CloudError> {
        match self.find_same(uri, &receipt).await? {
            Some(etag) => Ok(PutReceipt { etag, ..receipt }),
            None => Err(refused),
        }
    }

    /// The ETag of the object there if it has the size and checksum of `receipt`. A store that
    /// keeps no checksums is asked for the bytes.
    async fn find_same(
        &self,
        uri: &S3Uri,
        receipt: &PutReceipt,
    ) -> Result<Option<String>, CloudError> {
        let Some(there) = self.head(uri).await? else {
            return Ok(None);
        };
        if there.size != receipt.size {
            return Ok(None);
        }
        let checksum = match there.checksum {
            Some(checksum) => checksum,
            None => self.checksum_by_reading(uri, &there.etag).await?,
        };
        Ok((checksum == receipt.checksum).then_some(there.etag))
    }
}

/// A store that answers with another checksum than it was sent has other bytes.
pub(crate) fn confirmed(
    uri: &S3Uri,
    receipt: &PutReceipt,
    stated: Option<&str>,
) -> Result<(), CloudError> {
    match stated {
        Some(stated) if stated != receipt.checksum => Err(CloudError::new(
            CloudErrorKind::Corrupt,
            ACTION,
            uri,
            format!(
                "the store confirmed CRC-64/NVME {stated}, sent was {}",
                receipt.checksum
            ),
        )),
        _ => Ok(()),
    }
}

pub(crate) fn file_changed(path: &Path, expected: u64, found: u64) -> CloudError {
    CloudError::new(
        CloudErrorKind::Io,
        "read",
        path.display(),
        format!("the file changed while it was sent: {expected} bytes at first, {found} now"),
    )
}
