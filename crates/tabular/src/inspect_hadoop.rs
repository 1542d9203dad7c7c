//! Reads a file in Hadoop's Snappy through and says what it is made of.

use std::io::{self, Read};

use serde::Serialize;

use crate::snappy_hadoop::{HadoopReader, Piece};

/// A whole file in Hadoop's Snappy, every chunk decompressed. The format has no checksums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HadoopInspection {
    /// Blocks that hold data.
    pub blocks: u64,
    /// Blocks of no bytes: all that an empty file has, and the end of some others.
    pub empty_blocks: u64,
    /// Chunks; Hadoop's own writer makes several in a block only of large writes.
    pub chunks: u64,
    /// Bytes of the file.
    pub compressed_bytes: u64,
    /// Bytes of its content.
    pub uncompressed_bytes: u64,
    /// Plain bytes of the largest block.
    pub largest_block_bytes: u64,
    /// Plain bytes of the largest chunk: more than 262,144 need a Hadoop with larger buffers.
    pub largest_chunk_bytes: u64,
}

/// Reads to the end. Memory: one chunk.
///
/// # Errors
/// Those of the source; a stream that is cut short or damaged, with its place.
pub(crate) fn inspect_hadoop(source: impl Read) -> io::Result<HadoopInspection> {
    let mut reader = HadoopReader::new(source);
    let mut found = HadoopInspection::default();
    let mut plain = Vec::new();
    while let Some(piece) = reader.next(&mut plain)? {
        match piece {
            Piece::EmptyBlock => {
                found.empty_blocks += 1;
                continue;
            }
            Piece::FirstChunk(block) => {
                found.blocks += 1;
                found.largest_block_bytes = found.largest_block_bytes.max(block.into());
            }
            Piece::NextChunk => {}
        }
        found.chunks += 1;
        found.uncompressed_bytes += plain.len() as u64;
        found.largest_chunk_bytes = found.largest_chunk_bytes.max(plain.len() as u64);
    }
    found.compressed_bytes = reader.offset();
    Ok(found)
}
