//! Reads a `.sz` file through and says what it is made of.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;

use crate::error::TabularError;
use crate::snappy_framing::{ChunkKind, ChunkReader};

/// Compressed bytes read at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// A whole framed Snappy file, every chunk decompressed and its checksum compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FramingInspection {
    /// Streams that follow one another, counted by their identifiers.
    pub streams: u64,
    /// Chunks of data that are compressed.
    pub compressed_chunks: u64,
    /// Chunks of data that are stored as they are.
    pub uncompressed_chunks: u64,
    /// Padding and reserved chunks that a reader skips.
    pub skipped_chunks: u64,
    /// Bytes of the file.
    pub compressed_bytes: u64,
    /// Bytes of its content.
    pub uncompressed_bytes: u64,
    /// Plain bytes of the largest chunk, at most 65,536.
    pub largest_chunk_bytes: u64,
}

/// Reads the whole file. Memory: one chunk.
///
/// # Errors
/// [`TabularError::Io`] if it cannot be read, is cut short or damaged; the message names the byte.
pub fn inspect_framing(path: &Path) -> Result<FramingInspection, TabularError> {
    let file = File::open(path).map_err(TabularError::io("open", path))?;
    let mut chunks = ChunkReader::new(BufReader::with_capacity(BUFFER_BYTES, file));
    let mut found = FramingInspection::default();
    let mut plain = Vec::new();
    while let Some(chunk) = chunks
        .next(&mut plain)
        .map_err(TabularError::io("read", path))?
    {
        match chunk.kind {
            ChunkKind::StreamIdentifier => found.streams += 1,
            ChunkKind::Compressed => found.compressed_chunks += 1,
            ChunkKind::Uncompressed => found.uncompressed_chunks += 1,
            ChunkKind::Skipped => found.skipped_chunks += 1,
        }
        found.compressed_bytes += chunk.stored_bytes;
        found.uncompressed_bytes += chunk.plain_bytes;
        found.largest_chunk_bytes = found.largest_chunk_bytes.max(chunk.plain_bytes);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::io::Write;

    use super::*;
    use crate::compression::{Compression, compress};

    #[test]
    fn counts_every_chunk_and_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv.sz");
        let file = File::create(&path).unwrap();
        let mut w = compress(Compression::SnappyFramed, Box::new(file));
        w.write_all(&vec![b'1'; 150_000]).unwrap();
        let mut file = w.finish().unwrap();
        // A second stream, padded.
        file.write_all(
            b"\xff\x06\x00\x00sNaPpY\x01\x0a\x00\x00\x74\x20\x93\x2b1,2,3\n\xfe\x02\x00\x00xx",
        )
        .unwrap();
        drop(file);
        let found = inspect_framing(&path).unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        let expected = FramingInspection {
            streams: 2,
            compressed_chunks: 3,
            uncompressed_chunks: 1,
            skipped_chunks: 1,
            compressed_bytes: size,
            uncompressed_bytes: 150_006,
            largest_chunk_bytes: 65_536,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn damage_is_an_error_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv.sz");
        std::fs::write(
            &path,
            b"\xff\x06\x00\x00sNaPpY\x01\x0a\x00\x00\x74\x20\x93\x2b1,2,4\n",
        )
        .unwrap();
        let message = inspect_framing(&path).unwrap_err().to_string();
        assert!(
            message.contains("a.csv.sz")
                && message.contains("compressed byte 10")
                && message.contains("checksum"),
            "{message}"
        );
    }
}
