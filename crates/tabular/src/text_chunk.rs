//! Column chunks of texts and other byte arrays.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::ByteArrayType;
use arrow_array::{Array, ArrayRef, OffsetSizeTrait};
use parquet::errors::ParquetError;

use crate::chunk_writer::{ChunkPart, ChunkWriter, EncodedChunk, PartPage, Placed};
use crate::column_chunk::FlatColumn;
use crate::column_scratch::Scratch;
use crate::column_values::Extremes;
use crate::page_codec::PageBytes;
use crate::page_header::PageEncoding;
use crate::page_index::PageContent;
use crate::pages::{Piece, cut_pages, nulls_in};
use crate::rle::write_numbers;
use crate::text_dictionary::TextDictionary;
use crate::text_values::{Text, TextBlock, TextVisitor, write_plain_texts};

impl FlatColumn {
    /// A chunk of byte arrays.
    pub(crate) fn texts<B: ByteArrayType>(
        &self,
        blocks: &[ArrayRef],
        scratch: &mut Scratch,
    ) -> Result<EncodedChunk, ParquetError> {
        let (arrays, lengths) = text_blocks::<B>(blocks);
        if self.dictionary {
            let encoded = self.text_dictionary(&arrays, &lengths, scratch)?;
            if let Some(chunk) = encoded {
                return Ok(chunk);
            }
        }
        self.plain_texts(&arrays, &lengths, scratch)
    }

    fn plain_texts<O: OffsetSizeTrait>(
        &self,
        arrays: &[TextBlock<'_, O>],
        lengths: &[usize],
        scratch: &mut Scratch,
    ) -> Result<EncodedChunk, ParquetError> {
        self.plain_pages(arrays, lengths, scratch, |_, _| ())?
            .finish()
    }

    /// Pages of rows that are not all of their row group's: the others come as other parts.
    pub(crate) fn text_part<B: ByteArrayType>(
        &self,
        blocks: &[ArrayRef],
        scratch: &mut Scratch,
    ) -> Result<ChunkPart, ParquetError> {
        let (arrays, lengths) = text_blocks::<B>(blocks);
        let mut pages = Vec::new();
        let writer = self.plain_pages(&arrays, &lengths, scratch, |content, placed| {
            pages.push(PartPage::new(content, placed));
        })?;
        Ok(writer.into_part(pages))
    }

    /// A column chunk of the parts of a row group, in order.
    pub(crate) fn joined(&self, parts: &[ChunkPart]) -> Result<EncodedChunk, ParquetError> {
        let mut writer = ChunkWriter::new(self, 0, self.is_utf8());
        parts.iter().for_each(|part| writer.part(part));
        writer.finish()
    }

    /// Writes all pages, and tells `each` what is in it and where it was put.
    fn plain_pages<'a, O: OffsetSizeTrait>(
        &self,
        arrays: &[TextBlock<'a, O>],
        lengths: &[usize],
        scratch: &mut Scratch,
        mut each: impl FnMut(&PageContent<&'a [u8]>, Placed),
    ) -> Result<ChunkWriter<'_, &'a [u8]>, ParquetError> {
        let pages = cut_pages(lengths, |bytes, p| arrays[p.block].fitting(bytes, p));
        let nulls_of = |block: usize| arrays[block].nulls;
        let mut writer = ChunkWriter::new(self, pages.len(), self.is_utf8());
        for page in &pages {
            let rows = page.iter().map(|p| p.rows).sum();
            let nulls = |p: &Piece| nulls_in(arrays[p.block].nulls, p.from, p.rows);
            let nulls = page.iter().map(nulls).sum();
            scratch.begin_page(self.nullable, page, nulls, nulls_of);
            let (extremes, bytes) = write_plain_texts(arrays, page, &mut scratch.page);
            let content = PageContent {
                rows,
                nulls,
                text_bytes: Some(bytes),
                extremes,
            };
            let placed = writer.page(
                &content,
                PageEncoding::Plain,
                &scratch.page,
                PageBytes::Any,
                &mut scratch.codec,
            )?;
            each(&content, placed);
        }
        Ok(writer)
    }

    /// The chunk with a dictionary, unless that becomes too large or has no values.
    fn text_dictionary<O: OffsetSizeTrait>(
        &self,
        arrays: &[TextBlock<'_, O>],
        lengths: &[usize],
        scratch: &mut Scratch,
    ) -> Result<Option<EncodedChunk>, ParquetError> {
        let pages = cut_pages(lengths, |_, piece| piece.rows);
        let Some(numbered) = number_texts(arrays, &pages, scratch) else {
            return Ok(None);
        };
        // The dictionary stays where it is while the rest of the memory is written to.
        let dictionary = std::mem::take(&mut scratch.text);
        let mut writer = ChunkWriter::new(self, pages.len(), self.is_utf8());
        writer.dictionary(
            dictionary.len(),
            &dictionary.page,
            PageBytes::Any,
            &mut scratch.codec,
        )?;
        for (page, numbered) in pages.iter().zip(numbered) {
            let rows = page.iter().map(|p| p.rows).sum();
            let nulls = rows - numbered.range.len();
            scratch.begin_page(self.nullable, page, nulls, |block| arrays[block].nulls);
            let numbers = &scratch.numbers[numbered.range];
            write_numbers(numbers, numbered.distinct, &mut scratch.page);
            let bounds = numbered.bounds;
            let bounds = bounds.map(|(a, b)| (dictionary.value(a), dictionary.value(b)));
            let content = PageContent {
                rows,
                nulls,
                text_bytes: Some(numbered.bytes),
                extremes: Extremes { bounds, nans: 0 },
            };
            writer.page(
                &content,
                PageEncoding::Dictionary,
                &scratch.page,
                PageBytes::Any,
                &mut scratch.codec,
            )?;
        }
        let chunk = writer.finish();
        scratch.text = dictionary;
        chunk.map(Some)
    }
}

/// The texts of arrays, and their lengths.
fn text_blocks<B: ByteArrayType>(
    blocks: &[ArrayRef],
) -> (Vec<TextBlock<'_, B::Offset>>, Vec<usize>) {
    let texts = |block| {
        let array = ArrayRef::as_bytes::<B>(block);
        TextBlock {
            offsets: array.value_offsets(),
            data: array.value_data(),
            nulls: array.nulls().filter(|n| n.null_count() > 0),
        }
    };
    let lengths = blocks.iter().map(|b| b.len());
    (blocks.iter().map(texts).collect(), lengths.collect())
}

/// A page whose values have their numbers.
struct NumberedPage {
    /// Which of the chunk's numbers.
    range: Range<usize>,
    /// Values of the dictionary up to the end of this page.
    distinct: usize,
    /// Of all values, without lengths.
    bytes: usize,
    /// Numbers of the least and the greatest value.
    bounds: Option<(u32, u32)>,
}

/// Looks all values up; none if the dictionary becomes too large or has nothing in it.
fn number_texts<O: OffsetSizeTrait>(
    arrays: &[TextBlock<'_, O>],
    pages: &[Vec<Piece>],
    scratch: &mut Scratch,
) -> Option<Vec<NumberedPage>> {
    let (numbers, dictionary) = (&mut scratch.numbers, &mut scratch.text);
    numbers.clear();
    numbers.reserve(pages.iter().flatten().map(|p| p.rows).sum());
    dictionary.clear();
    let mut numbered = Vec::with_capacity(pages.len());
    for page in pages {
        let start = numbers.len();
        dictionary.begin_page();
        let mut numbering = Numbering {
            dictionary: &mut *dictionary,
            numbers: &mut *numbers,
            bytes: 0,
        };
        for &piece in page {
            arrays[piece.block].each(piece, &mut numbering);
        }
        let bytes = numbering.bytes;
        if dictionary.is_too_large(numbers.len()) {
            return None;
        }
        numbered.push(NumberedPage {
            range: start..numbers.len(),
            distinct: dictionary.len(),
            bytes,
            bounds: dictionary.page_bounds(),
        });
    }
    (!numbers.is_empty()).then_some(numbered)
}

/// Numbers the texts of a page.
struct Numbering<'s> {
    dictionary: &'s mut TextDictionary,
    numbers: &'s mut Vec<u32>,
    bytes: usize,
}

impl TextVisitor<'_> for Numbering<'_> {
    #[inline(always)]
    fn visit(&mut self, text: Text<'_>) {
        self.bytes += text.len;
        self.numbers.push(self.dictionary.number(text));
    }
}
