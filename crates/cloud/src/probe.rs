//! What a store that speaks S3 really does of it: found out by a handful of small requests.
//!
//! AWS does all of it. Others may ignore a header that they do not know and answer 200, which
//! looks like success to a client: two writers of one key then both believe that they were first.

use crate::attempts::Attempts;
use crate::checksum::Crc64;
use crate::config::RetryPolicy;
use crate::error::{CloudError, CloudErrorKind};
use crate::store::Store;
use crate::upload::{PutOptions, PutReceipt};
use crate::uri::S3Uri;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::retry::RetryConfig;
use bytes::Bytes;
use std::time::Duration;

/// How the name of every object of a probe begins. One that a kill left behind is known by it, and
/// engines that read a folder leave out names that begin with `_`.
pub const PROBE_PREFIX: &str = "_gristmill-probe-";

/// An ETag that no content has.
const OTHER_ETAG: &str = "\"00000000000000000000000000000000\"";

/// What the probe's object holds, first and later.
const FIRST: &[u8] = b"gristmill asks what this store does";
const SECOND: &[u8] = b"gristmill asked, and was not heard";

/// The range that is asked for, with both ends counted, and where it lies in [`FIRST`].
const RANGE: &str = "bytes=3-12";
const RANGE_AT: std::ops::Range<usize> = 3..13;

/// Pauses of a probe: it stands at the start of a run, so a store that is down is found soon.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often the request with a wrong checksum is sent if it is answered by neither yes nor no.
const WRONG_CHECKSUM_ATTEMPTS: u32 = 3;

/// What a store does of what S3 promises. Made by [`Store::probe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// PutObject with `If-None-Match: *` is refused where an object is.
    pub put_if_absent: bool,
    /// PutObject with `If-Match` is refused for another ETag, and done for the right one.
    pub put_if_match: bool,
    /// GetObject with `Range` gives those bytes and says which they are.
    pub ranges: bool,
    /// GetObject with `If-Match` is refused for another ETag.
    pub get_if_match: bool,
    /// PutObject is refused if the bytes are not those of `x-amz-checksum-crc64nvme`.
    pub checksums_verified: bool,
    /// HeadObject states the CRC-64/NVME that the object was written with.
    pub checksums_stated: bool,
}

/// Something that a store does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// What it does not do, as the rest of a sentence that begins with the store.
    pub what: &'static str,
    /// What comes of it.
    pub why: &'static str,
    /// Whether results could be wrong, or be doubled, without anybody noticing.
    pub fatal: bool,
}

const LACKS: [Lack; 6] = [
    Lack {
        what: "ignores If-None-Match on PutObject",
        why: "two runs would each take the same key or destination for their own and publish over each other",
        fatal: true,
    },
    Lack {
        what: "ignores If-Match on PutObject",
        why: "a run that is continued on two machines at once would create its jobs twice",
        fatal: true,
    },
    Lack {
        what: "does not give the range of an object that GetObject asks for",
        why: "rows of large inputs would be lost or doubled",
        fatal: true,
    },
    Lack {
        what: "ignores If-Match on GetObject",
        why: "an object that is replaced while it is read would be read as a mix of both",
        fatal: true,
    },
    Lack {
        what: "does not check the checksum of what it is sent",
        why: "bytes that are damaged on their way there are found only when gristmill reads them back, and in published files not at all",
        fatal: false,
    },
    Lack {
        what: "does not state the checksums of its objects",
        why: "inputs are read without being compared with a checksum",
        fatal: false,
    },
];

impl Capabilities {
    /// What is missing, fatal first.
    #[must_use]
    pub fn missing(&self) -> Vec<Lack> {
        let has = [
            self.put_if_absent,
            self.put_if_match,
            self.ranges,
            self.get_if_match,
            self.checksums_verified,
            self.checksums_stated,
        ];
        let lacks = LACKS.iter().zip(has).filter(|(_, has)| !has);
        lacks.map(|(lack, _)| *lack).collect()
    }
}

impl Store {
    /// Finds out what the store does, with one object of a name of its own under `prefix` (a
    /// folder) that is removed afterwards: eleven small requests, one after the other. Transient
    /// failures are retried as always but with short pauses; the request that is sent to be
    /// refused for its checksum is not.
    ///
    /// # Errors
    /// Any [`CloudErrorKind`] of a request that a store that answers cannot refuse: a missing
    /// bucket, missing rights, no network.
    pub async fn probe(&self, prefix: &S3Uri) -> Result<Capabilities, CloudError> {
        let uri = prefix.join(&format!("{PROBE_PREFIX}{:016x}", fastrand::u64(..)));
        let patient = self.with_pauses_of_a_probe();
        let found = patient.try_out(&uri).await;
        let removed = patient.delete(&uri).await;
        let found = found?;
        removed.map(|()| found)
    }

    fn with_pauses_of_a_probe(&self) -> Self {
        let retry = RetryPolicy {
            max_attempts: self.retry.max_attempts,
            initial_backoff: self.retry.initial_backoff.min(FIRST_PAUSE),
            max_backoff: self.retry.max_backoff.min(LONGEST_PAUSE),
        };
        let sdk = RetryConfig::standard()
            .with_max_attempts(retry.max_attempts.max(1))
            .with_initial_backoff(retry.initial_backoff)
            .with_max_backoff(retry.max_backoff);
        Self {
            reads: with_retries(&self.reads, sdk.clone()),
            writes: with_retries(&self.writes, sdk),
            transfer: self.transfer,
            retry,
        }
    }

    async fn try_out(&self, uri: &S3Uri) -> Result<Capabilities, CloudError> {
        let first = self.first_put(uri).await?;
        let (ranges, get_if_match) = self.try_reads(uri, &first.etag).await?;
        let stated = self.head(uri).await?.and_then(|there| there.checksum);
        let put_if_absent = self.refuses(uri, &PutOptions::if_absent()).await?;
        let put_if_match = self.refuses(uri, &PutOptions::if_match(OTHER_ETAG)).await?
            && self.takes_right_etag(uri).await?;
        Ok(Capabilities {
            put_if_absent,
            put_if_match,
            ranges,
            get_if_match,
            checksums_verified: self.refuses_wrong_checksum(uri).await,
            checksums_stated: stated.as_ref() == Some(&first.checksum),
        })
    }

    /// The object to try things on. A store that refuses the condition as such gets it without.
    async fn first_put(&self, uri: &S3Uri) -> Result<PutReceipt, CloudError> {
        let (bytes, absent) = (Bytes::from_static(FIRST), PutOptions::if_absent());
        match self.put_bytes(uri, bytes.clone(), &absent).await {
            Err(e) if is_refusal(&e) => self.put_bytes(uri, bytes, &PutOptions::default()).await,
            done => done,
        }
    }

    /// Whether a PUT whose condition does not hold is refused for that.
    async fn refuses(&self, uri: &S3Uri, options: &PutOptions) -> Result<bool, CloudError> {
        match self
            .put_bytes(uri, Bytes::from_static(SECOND), options)
            .await
        {
            Ok(_) => Ok(false),
            Err(e) if e.kind == CloudErrorKind::PreconditionFailed => Ok(true),
            Err(e) if is_refusal(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Whether a PUT over the version that is there is done.
    async fn takes_right_etag(&self, uri: &S3Uri) -> Result<bool, CloudError> {
        let Some(there) = self.head(uri).await? else {
            return Ok(false);
        };
        let options = PutOptions::if_match(there.etag);
        match self
            .put_bytes(uri, Bytes::from_static(SECOND), &options)
            .await
        {
            Ok(_) => Ok(true),
            Err(e) if is_refusal(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Whether a range is what was asked for, and whether it is refused of another version.
    async fn try_reads(&self, uri: &S3Uri, etag: &str) -> Result<(bool, bool), CloudError> {
        let ranges = match self.get(uri, Some(RANGE), Some(etag)).await {
            Ok(output) => {
                let wanted = format!("bytes 3-12/{}", FIRST.len());
                // Looked at first: what says that it is longer is not read at all.
                output.content_range() == Some(wanted.as_str())
                    && output.content_length() == Some(RANGE_AT.len() as i64)
                    && is_body(output.body, &FIRST[RANGE_AT]).await
            }
            Err(e) if is_refusal(&e) => false,
            Err(e) => return Err(e),
        };
        let get_if_match = match self.get(uri, Some(RANGE), Some(OTHER_ETAG)).await {
            Ok(_) => false,
            Err(e) if e.kind == CloudErrorKind::PreconditionFailed => true,
            Err(e) if is_refusal(&e) => false,
            Err(e) => return Err(e),
        };
        Ok((ranges, get_if_match))
    }

    /// Whether bytes are refused that are not those of the checksum they come with. What is no
    /// answer counts as no: a lack of this kind is only stated.
    async fn refuses_wrong_checksum(&self, uri: &S3Uri) -> bool {
        let once = with_retries(&self.writes, RetryConfig::disabled());
        for attempt in 1..=WRONG_CHECKSUM_ATTEMPTS {
            let attempts = Attempts::default();
            let answer = once
                .put_object()
                .bucket(&uri.bucket)
                .key(&uri.key)
                .checksum_crc64_nvme(Crc64::of(FIRST).base64())
                .body(ByteStream::from_static(SECOND))
                .customize()
                .interceptor(attempts.counter())
                .send()
                .await;
            let Err(e) = answer else { return false };
            let status = CloudError::from_sdk("s3 PutObject", uri, &attempts, &e).status;
            if status.is_some_and(|status| (400..500).contains(&status) && status != 429) {
                return true;
            }
            tokio::time::sleep(self.retry.pause(attempt + 1)).await;
        }
        false
    }
}

/// Answers that mean that the store does not know what it was asked for. Not among them: what
/// every request would be answered with (rights, a missing bucket, throttling).
fn is_refusal(error: &CloudError) -> bool {
    matches!(
        error.kind,
        CloudErrorKind::Invalid
            | CloudErrorKind::PreconditionFailed
            | CloudErrorKind::Conflict
            | CloudErrorKind::Corrupt
    ) || error.status == Some(501)
}

async fn is_body(body: ByteStream, wanted: &[u8]) -> bool {
    body.collect()
        .await
        .is_ok_and(|bytes| bytes.into_bytes() == wanted)
}

fn with_retries(client: &Client, retries: RetryConfig) -> Client {
    Client::from_conf(client.config().to_builder().retry_config(retries).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_words_and_the_fatal_first() {
        let none = Capabilities {
            put_if_absent: false,
            put_if_match: false,
            ranges: false,
            get_if_match: false,
            checksums_verified: false,
            checksums_stated: false,
        };
        let fatal: Vec<bool> = none.missing().iter().map(|lack| lack.fatal).collect();
        assert_eq!(fatal, [true, true, true, true, false, false]);
        let stated = Capabilities {
            checksums_stated: false,
            put_if_absent: true,
            put_if_match: true,
            ranges: true,
            get_if_match: true,
            checksums_verified: true,
        };
        assert_eq!(stated.missing(), [LACKS[5]]);
    }
}
