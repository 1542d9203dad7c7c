//! How large a Parquet file will be, known before its row groups are written.
//!
//! A file is magic bytes, the row groups' pages, their page indexes and the footer. Pages are known
//! to the byte once they are encoded. The rest holds offsets in the file as variable-length
//! integers, so it is measured where no offset can be larger: a row group's metadata is written by
//! the library itself, to nowhere, behind the largest place that the limit lets it have.

use std::io::{self, Read};

use bytes::Bytes;
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::parquet_file::FilePlan;

/// A limit beyond this is none: no file comes near it, and measuring would take long.
const LARGEST_LIMIT: u64 = 1 << 40;
/// By how much the footer of a file of many row groups is longer than that of none beside the row
/// groups themselves: the length of their list (6 bytes rather than 1) and the number of rows (10
/// rather than 1), as Thrift's compact protocol has them.
const FOOTER_GROWTH: u64 = 5 + 9;
/// By how much a row group's ordinal (16 bits, zigzag) may be longer than that of the first.
const ORDINAL_GROWTH: u64 = 2;
/// Bytes written at once to get to a place.
const STRIDE: usize = 1 << 20;

/// Upper bounds of sizes of files of one plan.
#[derive(Debug)]
pub(crate) struct SizeBounds {
    /// The largest file.
    pub(crate) limit: u64,
    /// A file without row groups, grown as it may be with them.
    pub(crate) empty: u64,
    /// The same, as it is.
    bare: u64,
    zeros: Vec<u8>,
}

impl SizeBounds {
    /// For files of at most `limit` bytes.
    pub(crate) fn new(plan: &FilePlan, limit: u64) -> Result<SizeBounds, ParquetError> {
        let mut file = plan.open(io::sink())?;
        file.finish()?;
        let bare = file.bytes_written() as u64;
        Ok(SizeBounds {
            limit,
            empty: bare + FOOTER_GROWTH,
            bare,
            zeros: vec![0; STRIDE],
        })
    }

    /// By how much a row group makes a file larger, at most: its pages, their index and its part
    /// of the footer. Zero if there is no limit.
    pub(crate) fn of(
        &self,
        plan: &FilePlan,
        chunks: &[ArrowColumnChunk],
    ) -> Result<u64, ParquetError> {
        if self.limit > LARGEST_LIMIT {
            return Ok(0);
        }
        let mut file = plan.open(io::sink())?;
        let mut left = self.limit;
        while left > 0 {
            let step = left.min(STRIDE as u64);
            file.write_all(&self.zeros[..step as usize])?;
            left -= step;
        }
        let mut group = file.next_row_group()?;
        for chunk in chunks {
            let close = chunk.close().clone();
            let size = close.metadata.compressed_size();
            let has_dictionary = close.metadata.dictionary_page_offset().is_some();
            // A dictionary's page comes first in the file, whatever its length.
            let length = if has_dictionary { size } else { 0 };
            let close = close.update_dictionary_location(usize::try_from(length).unwrap_or(0))?;
            group.append_column(&Zeros, close)?;
        }
        group.close()?;
        file.finish()?;
        Ok(file.bytes_written() as u64 - self.limit - self.bare + ORDINAL_GROWTH)
    }
}

/// Stands for pages whose size alone counts.
struct Zeros;

impl Length for Zeros {
    fn len(&self) -> u64 {
        u64::MAX
    }
}

impl ChunkReader for Zeros {
    type T = io::Repeat;

    fn get_read(&self, _: u64) -> Result<io::Repeat, ParquetError> {
        Ok(io::repeat(0))
    }

    fn get_bytes(&self, _: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = vec![0; length];
        self.get_read(0)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}
