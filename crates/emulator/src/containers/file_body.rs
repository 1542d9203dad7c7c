//! A file as the body of a request.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body::Frame;

/// Bytes of one read: all that is in memory of a file that is being sent.
const READ_BYTES: u64 = 256 << 10;

/// A file that is sent whole, as often as it must be. It may have lost its name.
#[derive(Clone, Debug)]
pub(crate) struct FileBody {
    file: Arc<File>,
    bytes: u64,
    chunked: bool,
}

impl FileBody {
    /// The first `bytes` bytes of `file`, with a `Content-Length`, or in chunks without one.
    pub(crate) fn new(file: File, bytes: u64, chunked: bool) -> Self {
        Self {
            file: Arc::new(file),
            bytes,
            chunked,
        }
    }

    /// Bytes to announce; none where they come in chunks.
    pub(super) fn content_length(&self) -> Option<u64> {
        (!self.chunked).then_some(self.bytes)
    }

    /// The bytes from the start. Each call reads by positions of its own, so one that was given up
    /// does not move another.
    pub(super) fn frames(&self) -> impl Stream<Item = io::Result<Frame<Bytes>>> + use<> {
        let (file, bytes) = (Arc::clone(&self.file), self.bytes);
        stream::try_unfold(0, move |at| {
            let file = Arc::clone(&file);
            async move {
                let length = (bytes - at).min(READ_BYTES);
                if length == 0 {
                    return Ok(None);
                }
                let read = tokio::task::spawn_blocking(move || {
                    let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
                    file.read_exact_at(&mut piece, at).map(|()| piece)
                });
                let piece = read.await.map_err(io::Error::other)??;
                Ok(Some((Frame::data(piece.into()), at + length)))
            }
        })
    }
}
