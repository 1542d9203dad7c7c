//! Large files: parts in flight at once, each with its checksum, joined under the whole's.

use crate::attempts::Attempts;
use crate::checksum::Crc64;
use crate::error::{CloudError, CloudErrorKind};
use crate::store::Store;
use crate::upload::{PutOptions, PutReceipt, file_changed};
use crate::uri::S3Uri;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Parts of one upload, at most (S3 user guide, "multipart upload limits").
const PARTS_MAX: u64 = 10_000;

/// Part sizes grow by whole MiB.
const MIB: u64 = 1 << 20;

/// One part: where it lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    number: i32,
    offset: u64,
    len: u64,
}

impl Store {
    /// A whole multipart upload, begun anew if another writer was at work when it was completed
    /// (409: S3 then wants every part again).
    pub(crate) async fn put_in_parts(
        &self,
        uri: &S3Uri,
        path: &Path,
        size: u64,
        options: &PutOptions,
    ) -> Result<PutReceipt, CloudError> {
        let mut round = 0;
        loop {
            round += 1;
            match self.put_in_parts_once(uri, path, size, options).await {
                Err(error) if self.may_send_again(&error, round) => {
                    tokio::time::sleep(self.retry.pause(round + 1)).await;
                }
                done => return done,
            }
        }
    }

    async fn put_in_parts_once(
        &self,
        uri: &S3Uri,
        path: &Path,
        size: u64,
        options: &PutOptions,
    ) -> Result<PutReceipt, CloudError> {
        let id = self.begin_upload(uri, options).await?;
        let result = async {
            let (parts, crc) = self.send_parts(uri, &id, path, size).await?;
            let receipt = PutReceipt {
                key: uri.key.clone(),
                etag: String::new(),
                size,
                checksum: crc.base64(),
            };
            self.complete_upload(uri, &id, parts, receipt, options)
                .await
        }
        .await;
        if result.is_err() {
            // The first error is the one to report; parts that stay are found by `abort_uploads`.
            let _ = self.abort_upload(uri, &id).await;
        }
        result
    }

    async fn begin_upload(&self, uri: &S3Uri, options: &PutOptions) -> Result<String, CloudError> {
        const ACTION: &str = "s3 CreateMultipartUpload";
        let attempts = Attempts::default();
        let output = self
            .reads
            .create_multipart_upload()
            .bucket(&uri.bucket)
            .key(&uri.key)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .set_content_type(options.content_type.clone())
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk(ACTION, uri, &attempts, &e))?;
        output.upload_id().map(str::to_owned).ok_or_else(|| {
            CloudError::new(
                CloudErrorKind::Service,
                ACTION,
                uri,
                "the store gave the upload no id",
            )
        })
    }

    /// Sends all parts, at most `parts_in_flight` at once, and returns them in order with the
    /// checksum of the whole, joined from theirs.
    async fn send_parts(
        &self,
        uri: &S3Uri,
        id: &str,
        path: &Path,
        size: u64,
    ) -> Result<(Vec<CompletedPart>, Crc64), CloudError> {
        let parts = parts_of(size, self.transfer.part_bytes);
        let sent: Vec<(CompletedPart, Crc64)> = stream::iter(parts)
            .map(|part| self.send_part(uri, id, path, size, part))
            .buffered(self.transfer.parts_in_flight.max(1))
            .try_collect()
            .await?;
        let mut whole = Crc64::new();
        sent.iter().for_each(|(_, crc)| whole.append(crc));
        Ok((sent.into_iter().map(|(part, _)| part).collect(), whole))
    }

    async fn send_part(
        &self,
        uri: &S3Uri,
        id: &str,
        path: &Path,
        size: u64,
        part: Part,
    ) -> Result<(CompletedPart, Crc64), CloudError> {
        let (bytes, crc) = read_part(path, size, part).await?;
        let mut round = 0;
        loop {
            round += 1;
            match self
                .send_part_once(uri, id, part.number, bytes.clone(), &crc.base64())
                .await
            {
                Err(error) if self.may_send_again(&error, round) => {
                    tokio::time::sleep(self.retry.pause(round + 1)).await;
                }
                done => return done.map(|completed| (completed, crc)),
            }
        }
    }

    async fn send_part_once(
        &self,
        uri: &S3Uri,
        id: &str,
        number: i32,
        bytes: Bytes,
        checksum: &str,
    ) -> Result<CompletedPart, CloudError> {
        let attempts = Attempts::default();
        let output = self
            .writes
            .upload_part()
            .bucket(&uri.bucket)
            .key(&uri.key)
            .upload_id(id)
            .part_number(number)
            .checksum_crc64_nvme(checksum)
            .body(ByteStream::from(bytes))
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk("s3 UploadPart", uri, &attempts, &e))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(output.e_tag().map(str::to_owned))
            .checksum_crc64_nvme(checksum)
            .build())
    }

    async fn complete_upload(
        &self,
        uri: &S3Uri,
        id: &str,
        parts: Vec<CompletedPart>,
        receipt: PutReceipt,
        options: &PutOptions,
    ) -> Result<PutReceipt, CloudError> {
        let attempts = Attempts::default();
        let answer = self
            .writes
            .complete_multipart_upload()
            .bucket(&uri.bucket)
            .key(&uri.key)
            .upload_id(id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            )
            .checksum_type(ChecksumType::FullObject)
            .checksum_crc64_nvme(&receipt.checksum)
            .mpu_object_size(i64::try_from(receipt.size).unwrap_or(i64::MAX))
            .set_if_none_match(options.if_none_match_header())
            .set_if_match(options.if_match_header())
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await;
        let output = match answer {
            Ok(output) => output,
            Err(e) => {
                let error = CloudError::from_sdk("s3 CompleteMultipartUpload", uri, &attempts, &e);
                return self.completed_before(error, uri, receipt).await;
            }
        };
        crate::upload::confirmed(uri, &receipt, output.checksum_crc64_nvme())?;
        Ok(PutReceipt {
            etag: output.e_tag().unwrap_or_default().to_owned(),
            ..receipt
        })
    }

    /// An attempt whose answer was lost may have completed the upload; the next then finds it
    /// gone, or its own object in the way.
    async fn completed_before(
        &self,
        error: CloudError,
        uri: &S3Uri,
        receipt: PutReceipt,
    ) -> Result<PutReceipt, CloudError> {
        let gone = error.code.as_deref() == Some("NoSuchUpload");
        let refused = error.kind == CloudErrorKind::PreconditionFailed;
        if error.attempts > 1 && (gone || refused) {
            return self.ours_or(error, uri, receipt).await;
        }
        Err(error)
    }

    pub(crate) async fn abort_upload(&self, uri: &S3Uri, id: &str) -> Result<(), CloudError> {
        let attempts = Attempts::default();
        let answer = self
            .reads
            .abort_multipart_upload()
            .bucket(&uri.bucket)
            .key(&uri.key)
            .upload_id(id)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await;
        match answer {
            Err(e) => {
                let error = CloudError::from_sdk("s3 AbortMultipartUpload", uri, &attempts, &e);
                // Completed or aborted meanwhile: what was wanted.
                if error.kind == CloudErrorKind::NotFound {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            Ok(_) => Ok(()),
        }
    }
}

/// Cuts a file into parts of `part_bytes`, or of as many MiB more as 10,000 parts need.
fn parts_of(size: u64, part_bytes: u64) -> impl Iterator<Item = Part> {
    let needed = size.div_ceil(PARTS_MAX).div_ceil(MIB) * MIB;
    let len = if size.div_ceil(part_bytes.max(1)) > PARTS_MAX {
        needed
    } else {
        part_bytes.max(1)
    };
    (1..)
        .zip((0..size).step_by(usize::try_from(len).unwrap_or(usize::MAX)))
        .map(move |(number, offset)| Part {
            number,
            offset,
            len: len.min(size - offset),
        })
}

/// Reads one part on a thread for blocking work.
async fn read_part(path: &Path, size: u64, part: Part) -> Result<(Bytes, Crc64), CloudError> {
    let owned = path.to_owned();
    let read = move || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(&owned)?;
        file.seek(SeekFrom::Start(part.offset))?;
        let mut bytes = Vec::with_capacity(usize::try_from(part.len).unwrap_or_default());
        file.take(part.len).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let joined =
        tokio::task::spawn_blocking(move || read().map(|bytes| (Crc64::of(&bytes), bytes))).await;
    let (crc, bytes) = joined
        .map_err(std::io::Error::other)
        .and_then(|read| read)
        .map_err(|e| CloudError::io("read", path, &e))?;
    if bytes.len() as u64 != part.len {
        return Err(file_changed(path, size, part.offset + bytes.len() as u64));
    }
    Ok((bytes.into(), crc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_cover_the_file_once_and_in_order(size in 1_u64..1 << 44, part_bytes in 5 * MIB..64 * MIB) {
            let parts: Vec<Part> = parts_of(size, part_bytes).collect();
            prop_assert!(parts.len() as u64 <= PARTS_MAX);
            let mut end = 0;
            for (part, number) in parts.iter().zip(1..) {
                prop_assert_eq!((part.number, part.offset), (number, end));
                end += part.len;
            }
            prop_assert_eq!(end, size);
            let last = parts.len() - 1;
            prop_assert!(parts[..last].iter().all(|part| part.len >= 5 * MIB && part.len == parts[0].len));
        }
    }

    #[test]
    fn a_small_part_size_is_kept_where_it_fits() {
        assert_eq!(
            parts_of(10, 4).map(|part| part.len).collect::<Vec<_>>(),
            [4, 4, 2]
        );
    }
}
