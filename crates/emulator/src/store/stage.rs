//! A body on its way to disk: complete, hashed and durable, but not an object yet.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::StoreError;
use super::checksum::{Algorithm, Checksums, Hasher};

/// Bytes gathered before a write, so that small frames do not cost a system call each.
const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// An error of a body, from whatever it is read from.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A content in the temporary folder. Dropped without being placed, it is removed.
#[derive(Debug)]
pub(crate) struct Staged {
    file: TmpFile,
    pub(super) size: u64,
    pub(super) md5: Vec<u8>,
    pub(super) checksums: Checksums,
}

impl Staged {
    /// Writes a body to `path`, which must not exist, and syncs it. Memory: one frame of the body
    /// and the write buffer.
    pub(super) async fn write<S>(
        path: PathBuf,
        mut body: S,
        algorithms: &[Algorithm],
    ) -> Result<Self, StoreError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin + Send,
    {
        let file = tokio::fs::File::create_new(&path)
            .await
            .map_err(StoreError::io("create", &path))?;
        let tmp = TmpFile(Some(path));
        let mut file = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
        let mut hasher = Hasher::new(algorithms);
        let mut size = 0_u64;
        while let Some(frame) = body.next().await {
            let frame = frame.map_err(StoreError::Body)?;
            hasher.update(&frame);
            size += frame.len() as u64;
            file.write_all(&frame)
                .await
                .map_err(StoreError::io("write", tmp.path()))?;
        }
        file.flush()
            .await
            .map_err(StoreError::io("write", tmp.path()))?;
        file.get_ref()
            .sync_data()
            .await
            .map_err(StoreError::io("sync", tmp.path()))?;
        let (md5, checksums) = hasher.finish();
        Ok(Self {
            file: tmp,
            size,
            md5,
            checksums,
        })
    }

    /// Writes the files in `parts`, one after the other, to `path`. Blocking. The sums stay empty:
    /// those of a multipart object are made from its parts'.
    pub(super) fn concatenate(path: PathBuf, parts: &[PathBuf]) -> Result<Self, StoreError> {
        let mut whole =
            std::fs::File::create_new(&path).map_err(StoreError::io("create", &path))?;
        let tmp = TmpFile(Some(path));
        let mut size = 0_u64;
        for part in parts {
            let mut file = std::fs::File::open(part).map_err(StoreError::io("open", part))?;
            size += std::io::copy(&mut file, &mut whole)
                .map_err(StoreError::io("write", tmp.path()))?;
        }
        whole
            .sync_data()
            .map_err(StoreError::io("sync", tmp.path()))?;
        Ok(Self {
            file: tmp,
            size,
            md5: Vec::new(),
            checksums: Checksums::default(),
        })
    }

    /// Compares the content with what its sender announced.
    pub(crate) fn verify(
        &self,
        expected: &Checksums,
        content_md5: Option<&str>,
    ) -> Result<(), StoreError> {
        if let Some(expected) = content_md5 {
            let found = BASE64.encode(&self.md5);
            if found != expected {
                return Err(StoreError::BadDigest {
                    what: "MD5",
                    expected: expected.to_owned(),
                    found,
                });
            }
        }
        self.checksums.verify(expected)
    }

    /// Moves the content to its place. Not durable before the folder is synced.
    pub(super) fn place(mut self, path: &Path) -> Result<(), StoreError> {
        std::fs::rename(self.file.path(), path).map_err(StoreError::io("rename to", path))?;
        self.file.0 = None;
        Ok(())
    }
}

/// A file that is removed unless it was moved away.
#[derive(Debug)]
struct TmpFile(Option<PathBuf>);

impl TmpFile {
    fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }
}

impl Drop for TmpFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed now is removed when the store opens.
            let _ = std::fs::remove_file(path);
        }
    }
}
