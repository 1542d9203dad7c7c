//! Column chunks of values of fixed width.

use arrow_array::cast::AsArray;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{NullBuffer, ToByteSlice};
use parquet::errors::ParquetError;

use crate::chunk_writer::{ChunkWriter, EncodedChunk};
use crate::column_chunk::FlatColumn;
use crate::column_scratch::{Dense, KEPT_BYTES, Scratch};
use crate::column_values::Extremes;
use crate::page_codec::PageBytes;
use crate::page_header::PageEncoding;
use crate::page_index::PageContent;
use crate::pages::{FixedBlock, Piece, cut_pages, dense_pages};
use crate::rle::write_numbers;

impl FlatColumn {
    /// A chunk of values of fixed width.
    pub(crate) fn fixed<A>(
        &self,
        blocks: &[ArrayRef],
        scratch: &mut Scratch,
    ) -> Result<EncodedChunk, ParquetError>
    where
        A: ArrowPrimitiveType<Native: Dense>,
    {
        let arrays: Vec<FixedBlock<'_, A::Native>> = blocks
            .iter()
            .map(|block| {
                let array = block.as_primitive::<A>();
                FixedBlock {
                    values: array.values(),
                    nulls: array.nulls().filter(|n| n.null_count() > 0),
                }
            })
            .collect();
        let lengths: Vec<usize> = arrays.iter().map(|a| a.values.len()).collect();
        let pieces = cut_pages(&lengths, |_, piece| piece.rows);
        let mut dense = std::mem::take(A::Native::dense(scratch));
        let pages = dense_pages(&arrays, &pieces, &mut dense);
        let nulls_of = |block: usize| arrays[block].nulls;
        let chunk = self.fixed_pages(&pieces, &pages, nulls_of, scratch);
        dense.clear();
        dense.shrink_to(KEPT_BYTES / size_of::<A::Native>());
        *A::Native::dense(scratch) = dense;
        chunk
    }

    fn fixed_pages<'a, T: Dense>(
        &self,
        pieces: &[Vec<Piece>],
        pages: &[(usize, &[T])],
        nulls_of: impl Fn(usize) -> Option<&'a NullBuffer> + Copy,
        scratch: &mut Scratch,
    ) -> Result<EncodedChunk, ParquetError> {
        let extremes: Vec<Extremes<T>> = pages.iter().map(|(_, v)| T::extremes(v)).collect();
        let mut distinct = Vec::with_capacity(pages.len());
        let bounds = extremes.iter().filter_map(|e| e.bounds);
        // Those of integers; others do not ask for them.
        let bounds = bounds.reduce(|a, b| {
            let least = if b.0.order(a.0).is_lt() { b.0 } else { a.0 };
            let greatest = if b.1.order(a.1).is_gt() { b.1 } else { a.1 };
            (least, greatest)
        });
        let dictionary = self.dictionary && bounds.is_some() && {
            let numbers = &mut scratch.numbers;
            scratch.fixed.number(pages, bounds, numbers, &mut distinct)
        };
        let mut writer = ChunkWriter::new(self, pages.len(), false);
        if dictionary {
            scratch.bytes.clear();
            for &bits in &scratch.fixed.values {
                T::push_bits(bits, &mut scratch.bytes);
            }
            let count = scratch.fixed.values.len();
            let bytes = words::<T>(0);
            writer.dictionary(count, &scratch.bytes, bytes, &mut scratch.codec)?;
        }
        let mut at = 0;
        for (index, (&(nulls, values), pieces)) in pages.iter().zip(pieces).enumerate() {
            scratch.begin_page(self.nullable, pieces, nulls, nulls_of);
            let numbers = &scratch.numbers;
            let levels = scratch.page.len();
            let (encoding, bytes) = if dictionary {
                let numbers = &numbers[at..at + values.len()];
                write_numbers(numbers, distinct[index], &mut scratch.page);
                (PageEncoding::Dictionary, PageBytes::Any)
            } else {
                scratch.page.extend(values.to_byte_slice());
                (PageEncoding::Plain, words::<T>(levels))
            };
            at += values.len();
            let content = PageContent {
                rows: values.len() + nulls,
                nulls,
                text_bytes: None,
                extremes: extremes[index],
            };
            writer.page(&content, encoding, &scratch.page, bytes, &mut scratch.codec)?;
        }
        writer.finish()
    }
}

/// Plain values from `start` on.
fn words<T>(start: usize) -> PageBytes {
    match size_of::<T>() {
        8 => PageBytes::Words(start),
        _ => PageBytes::Any,
    }
}
