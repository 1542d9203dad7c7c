//! An object as [`std::io::Read`], for a thread that may block.

use crate::body::{ACTION, Body};
use crate::checksum::Check;
use crate::download::corrupt;
use crate::error::{CloudError, CloudErrorKind};
use crate::store::{ObjectMeta, Store, missing};
use crate::uri::S3Uri;
use bytes::{Buf as _, Bytes, BytesMut};
use std::io::{self, Read};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// An object read by ranges, the next one fetched while this one is used.
///
/// All ranges are of one version: a replaced object is an error, never a mix. The checksum that
/// the store states is compared at the end, which then is an error instead of an end. Memory: two
/// ranges (`transfer.range_bytes` each).
///
/// Must be read on a thread that may block (a thread of its own, or `spawn_blocking`), never
/// within async code.
#[derive(Debug)]
pub struct BlockingObject {
    store: Store,
    uri: S3Uri,
    meta: ObjectMeta,
    handle: Handle,
    /// Taken at the end.
    check: Option<Check>,
    current: Bytes,
    /// The range after `current`, on its way.
    ahead: Option<JoinHandle<Result<Bytes, CloudError>>>,
    /// Offset of the first byte that no one has asked for.
    asked: u64,
    /// After an error there is no way on: an end would look like the object's end.
    failed: bool,
}

impl Store {
    /// Opens an object for a blocking thread, `handle` being of the runtime that does the work.
    ///
    /// With `if_match`, only the version with that ETag; otherwise the one that is there now.
    ///
    /// # Errors
    /// [`CloudErrorKind::NotFound`], [`CloudErrorKind::PreconditionFailed`] if the ETag is another,
    /// or any of a request. Reads give the same as [`io::Error`]s with the [`CloudError`] inside.
    ///
    /// # Panics
    /// Like every wait on a runtime's handle, if called within async code.
    pub fn open_read(
        &self,
        uri: &S3Uri,
        if_match: Option<&str>,
        handle: Handle,
    ) -> Result<BlockingObject, CloudError> {
        let head = handle.block_on(self.head_stated(uri))?;
        let (meta, stated) = head.ok_or_else(|| missing(ACTION, uri))?;
        if if_match.is_some_and(|etag| etag != meta.etag) {
            let text = format!(
                "the object has the ETag {}, expected was {}",
                meta.etag,
                if_match.unwrap_or_default()
            );
            return Err(CloudError::new(
                CloudErrorKind::PreconditionFailed,
                ACTION,
                uri,
                text,
            ));
        }
        let mut object = BlockingObject {
            store: self.clone(),
            uri: uri.clone(),
            meta,
            handle,
            check: Some(stated.check()),
            current: Bytes::new(),
            ahead: None,
            asked: 0,
            failed: false,
        };
        object.fetch_ahead();
        Ok(object)
    }

    /// `len` bytes of an object from `start` on, of the version with the ETag `etag`, for a blocking
    /// thread as with [`Store::open_read`]. They are all in memory; none is compared with a checksum,
    /// since stores state those of whole objects only.
    ///
    /// # Errors
    /// [`CloudErrorKind::PreconditionFailed`] if the ETag is another, or any of a request.
    ///
    /// # Panics
    /// As [`Store::open_read`].
    pub fn read_range(
        &self,
        uri: &S3Uri,
        etag: &str,
        start: u64,
        len: u64,
        handle: &Handle,
    ) -> Result<Bytes, CloudError> {
        let body = Body::range(self, uri, etag, start, start.saturating_add(len));
        handle.block_on(collect(body, len))
    }
}

impl BlockingObject {
    /// What is being read.
    pub fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn fetch_ahead(&mut self) {
        let end = self.meta.size.min(
            self.asked
                .saturating_add(self.store.transfer.range_bytes.max(1)),
        );
        if self.asked < end {
            let body = Body::range(&self.store, &self.uri, &self.meta.etag, self.asked, end);
            self.ahead = Some(self.handle.spawn(collect(body, end - self.asked)));
            self.asked = end;
        }
    }

    /// Waits for the next range; leaves `current` empty at the end.
    fn advance(&mut self) -> Result<(), CloudError> {
        let Some(task) = self.ahead.take() else {
            return self.finish();
        };
        let joined = self.handle.block_on(task);
        self.current = joined.unwrap_or_else(|e| {
            let text = format!("the task that fetched it ended: {e}");
            Err(CloudError::new(
                CloudErrorKind::Network,
                ACTION,
                &self.uri,
                text,
            ))
        })?;
        self.fetch_ahead();
        if let Some(check) = &mut self.check {
            check.update(&self.current);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CloudError> {
        match self.check.take().map(Check::finish) {
            Some(Err(differ)) => Err(corrupt(&self.uri, &differ, 1)),
            _ => Ok(()),
        }
    }
}

async fn collect(mut body: Body, len: u64) -> Result<Bytes, CloudError> {
    let mut bytes = BytesMut::with_capacity(usize::try_from(len).unwrap_or_default());
    while let Some(chunk) = body.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

impl Read for BlockingObject {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other(format!(
                "{}: reading it has failed before",
                self.uri
            )));
        }
        if self.current.is_empty() && !buf.is_empty() {
            self.advance().inspect_err(|_| self.failed = true)?;
        }
        let len = buf.len().min(self.current.len());
        self.current.copy_to_slice(&mut buf[..len]);
        Ok(len)
    }
}

impl Drop for BlockingObject {
    fn drop(&mut self) {
        if let Some(task) = &self.ahead {
            task.abort();
        }
    }
}
