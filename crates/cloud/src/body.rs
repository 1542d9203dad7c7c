//! The bytes of an object, or of a range of it, as they come: whatever breaks in between, each
//! byte once and in order, all of one version.

use crate::attempts::Attempts;
use crate::error::{CloudError, CloudErrorKind, chain};
use crate::store::Store;
use crate::uri::S3Uri;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

pub(crate) const ACTION: &str = "s3 GetObject";

/// A body that made this much way since it was lost starts with a fresh number of attempts: a
/// large object over a bad line arrives, a dead line is given up.
const PROGRESS_BYTES: u64 = 1 << 20;

/// A body with its place in the object, able to go on after a loss.
///
/// The SDK does not retry once a body streams, and ends a short body without an error
/// (aws-sdk-rust#1079); so the end is known by counting here.
#[derive(Debug)]
pub(crate) struct Body {
    store: Store,
    uri: S3Uri,
    /// Of the version whose first byte was read; `If-Match` on every request that follows.
    etag: String,
    /// Offset in the object of the next byte.
    at: u64,
    /// Offset after the last byte.
    end: u64,
    stream: Option<ByteStream>,
    /// Losses since the last progress, and where progress is counted from.
    losses: u32,
    progress_from: u64,
    requests: u32,
}

impl Body {
    /// The body of an answer that began at the object's first byte.
    pub(crate) fn from_start(
        store: &Store,
        uri: &S3Uri,
        etag: &str,
        size: u64,
        stream: ByteStream,
    ) -> Self {
        Self {
            stream: Some(stream),
            ..Self::range(store, uri, etag, 0, size)
        }
    }

    /// The bytes from `at` until before `end`; nothing is sent until the first [`Body::next`].
    pub(crate) fn range(store: &Store, uri: &S3Uri, etag: &str, at: u64, end: u64) -> Self {
        Self {
            store: store.clone(),
            uri: uri.clone(),
            etag: etag.to_owned(),
            at,
            end,
            stream: None,
            losses: 0,
            progress_from: at,
            requests: 0,
        }
    }

    /// The next bytes, or nothing after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CloudError> {
        while self.at < self.end {
            if self.stream.is_none() {
                self.stream = Some(self.ask_for_rest().await?);
            }
            let next = match &mut self.stream {
                Some(stream) => stream.next().await,
                None => None,
            };
            match next {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => return self.advance(chunk).map(Some),
                Some(Err(e)) => self.lose(&chain(&e)).await?,
                None => self.lose("the connection ended").await?,
            }
        }
        Ok(None)
    }

    fn advance(&mut self, chunk: Bytes) -> Result<Bytes, CloudError> {
        let left = self.end - self.at;
        if chunk.len() as u64 > left {
            return Err(self.error(
                CloudErrorKind::Corrupt,
                "the store sent more bytes than it had stated",
            ));
        }
        self.at += chunk.len() as u64;
        if self.at - self.progress_from >= PROGRESS_BYTES {
            self.losses = 0;
            self.progress_from = self.at;
        }
        Ok(chunk)
    }

    /// Notes a loss and waits, or gives up.
    async fn lose(&mut self, why: &str) -> Result<(), CloudError> {
        self.stream = None;
        self.losses += 1;
        self.progress_from = self.at;
        if self.losses >= self.store.retry.max_attempts {
            let text = format!(
                "the body broke off at byte {} of {}: {why}",
                self.at, self.end
            );
            return Err(self
                .error(CloudErrorKind::Network, &text)
                .with_attempts(self.requests.max(self.losses)));
        }
        tokio::time::sleep(self.store.retry.pause(self.losses + 1)).await;
        Ok(())
    }

    async fn ask_for_rest(&mut self) -> Result<ByteStream, CloudError> {
        if self.etag.is_empty() {
            return Err(self.error(
                CloudErrorKind::Corrupt,
                "the store gives no ETag, so two requests could mix two versions of the object",
            ));
        }
        self.requests += 1;
        let wanted = format!("bytes={}-{}", self.at, self.end - 1);
        let output = self
            .store
            .get(&self.uri, Some(&wanted), Some(&self.etag))
            .await?;
        let given = output.content_range().unwrap_or_default();
        if !given.starts_with(&format!("bytes {}-{}/", self.at, self.end - 1)) {
            let text = format!("asked for the range {wanted}, the store sent `{given}`");
            return Err(self.error(CloudErrorKind::Corrupt, &text));
        }
        Ok(output.body)
    }

    fn error(&self, kind: CloudErrorKind, text: &str) -> CloudError {
        CloudError::new(kind, ACTION, &self.uri, text)
    }
}

impl Store {
    /// One GetObject, until its headers. Without a range, the store is asked for its checksum.
    pub(crate) async fn get(
        &self,
        uri: &S3Uri,
        range: Option<&str>,
        if_match: Option<&str>,
    ) -> Result<GetObjectOutput, CloudError> {
        let attempts = Attempts::default();
        let whole = range.is_none();
        self.reads
            .get_object()
            .bucket(&uri.bucket)
            .key(&uri.key)
            .set_range(range.map(str::to_owned))
            .set_if_match(if_match.map(str::to_owned))
            .customize()
            .interceptor(attempts.counter())
            .mutate_request(move |request| {
                // Set here and not as a member, by which the SDK would take the check over.
                if whole {
                    request
                        .headers_mut()
                        .insert("x-amz-checksum-mode", "ENABLED");
                }
            })
            .send()
            .await
            .map_err(|e| {
                let error = CloudError::from_sdk(ACTION, uri, &attempts, &e);
                let changed = error.kind == CloudErrorKind::PreconditionFailed;
                if changed {
                    return error.with_message(
                        "the object changed while it was read, or since it was listed",
                    );
                }
                error
            })
    }
}
