//! How large a Parquet file will be, known before its row groups are written.
//!
//! A file is magic bytes, the row groups' pages, their page indexes and the footer. Pages are known
//! to the byte once they are encoded. The rest holds offsets in the file as variable-length
//! integers, so it is measured where no offset can be larger: a row group's metadata is written by
//! the library itself, to nowhere, behind the largest place that the limit lets it have.

use std::io::{self, Read};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::parquet_file::{ColumnChunk, FilePlan};

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
        let mut file = plan.open_by_library(io::sink())?;
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
    pub(crate) fn of(&self, plan: &FilePlan, chunks: &[ColumnChunk]) -> Result<u64, ParquetError> {
        if self.limit > LARGEST_LIMIT {
            return Ok(0);
        }
        let mut file = plan.open_by_library(io::sink())?;
        let mut left = self.limit;
        while left > 0 {
            let step = left.min(STRIDE as u64);
            file.write_all(&self.zeros[..step as usize])?;
            left -= step;
        }
        let mut group = file.next_row_group()?;
        for chunk in chunks {
            group.append_column(&Zeros, chunk.close()?)?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;
    use crate::parquet_writer::ParquetCompression;

    /// Half of the columns numbers, half of them texts, some with dictionaries.
    fn columns(count: usize, rows: i64, group: i64) -> Vec<Vec<ArrayRef>> {
        let value = |i: i64| (i + group).wrapping_mul(0x5851_f42d_4c95_7f2d) >> 20;
        let column = |index: usize| -> ArrayRef {
            if index.is_multiple_of(2) {
                Arc::new(Int64Array::from_iter_values((0..rows).map(value)))
            } else {
                let text = |i| "long ".repeat((value(i).unsigned_abs() % 40) as usize);
                Arc::new(StringArray::from_iter_values((0..rows).map(text)))
            }
        };
        (0..count).map(|index| vec![column(index)]).collect()
    }

    #[test]
    fn bounds_hold_and_are_close() {
        for (count, rows, groups) in [(1, 1, 1), (1, 3, 300), (40, 7, 20), (6, 40_000, 3)] {
            let field = |i: usize| {
                let number = i.is_multiple_of(2);
                let kind = if number {
                    DataType::Int64
                } else {
                    DataType::Utf8
                };
                Field::new(format!("column {i}"), kind, true)
            };
            let schema = Arc::new(Schema::new((0..count).map(field).collect::<Vec<_>>()));
            let hints: Vec<bool> = (0..count).map(|i| i % 3 == 1).collect();
            let plan = FilePlan::new(&schema, ParquetCompression::Snappy, &hints).unwrap();
            let encode = |group| plan.encode(&columns(count, rows, group)).unwrap();
            let mut bytes = Vec::new();
            let mut file = plan.open(&mut bytes).unwrap();
            for group in 0..groups {
                file.append(encode(group)).unwrap();
            }
            let size = file.finish().unwrap();
            assert_eq!(size, bytes.len() as u64);
            // The limit is just what the file takes: no offset in it can be larger.
            let bounds = SizeBounds::new(&plan, size).unwrap();
            let of_group = |group| bounds.of(&plan, &encode(group)).unwrap();
            let bound = bounds.empty + (0..groups).map(of_group).sum::<u64>();
            // Each of a chunk's offsets, and of its pages', is at most three bytes shorter.
            let pages = rows.unsigned_abs().div_ceil(16_384);
            let slack = groups as u64 * (2 + count as u64 * 3 * (6 + pages)) + FOOTER_GROWTH;
            assert!(
                size <= bound && bound <= size + slack,
                "{size}, {bound}, {slack}"
            );
        }
    }

    #[test]
    fn no_limit_is_not_measured() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let plan = FilePlan::new(&schema, ParquetCompression::None, &[false]).unwrap();
        let bounds = SizeBounds::new(&plan, u64::MAX).unwrap();
        let chunks = plan.encode(&columns(1, 5, 0)).unwrap();
        assert_eq!(bounds.of(&plan, &chunks).unwrap(), 0);
    }
}
