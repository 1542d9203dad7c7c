//! Column chunks of booleans.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBufferBuilder;
use parquet::errors::ParquetError;

use crate::chunk_writer::{ChunkWriter, EncodedChunk};
use crate::column_chunk::FlatColumn;
use crate::column_scratch::Scratch;
use crate::column_values::Extremes;
use crate::page_codec::PageBytes;
use crate::page_header::PageEncoding;
use crate::page_index::PageContent;
use crate::pages::{cut_pages, nulls_in};

impl FlatColumn {
    /// A chunk of booleans, a bit each; Parquet knows no dictionary of them.
    pub(crate) fn booleans(
        &self,
        blocks: &[ArrayRef],
        scratch: &mut Scratch,
    ) -> Result<EncodedChunk, ParquetError> {
        let lengths: Vec<usize> = blocks.iter().map(|b| b.len()).collect();
        let pages = cut_pages(&lengths, |_, piece| piece.rows);
        let mut writer = ChunkWriter::new(self, pages.len(), false);
        let mut bits = BooleanBufferBuilder::new(0);
        for page in &pages {
            bits.truncate(0);
            let rows: usize = page.iter().map(|p| p.rows).sum();
            for piece in page {
                let array = blocks[piece.block].as_boolean();
                let values = array.values().slice(piece.from, piece.rows);
                if nulls_in(array.nulls(), piece.from, piece.rows) == 0 {
                    bits.append_buffer(&values);
                } else if let Some(nulls) = array.nulls() {
                    let nulls = nulls.slice(piece.from, piece.rows);
                    nulls
                        .valid_indices()
                        .for_each(|row| bits.append(values.value(row)));
                }
            }
            let nulls = rows - bits.len();
            scratch.begin_page(self.nullable, page, nulls, |block| blocks[block].nulls());
            scratch.page.extend(bits.as_slice());
            let ones: u32 = bits.as_slice().iter().map(|b| b.count_ones()).sum();
            let bounds = (!bits.is_empty()).then(|| (ones as usize == bits.len(), ones > 0));
            let content = PageContent {
                rows,
                nulls,
                text_bytes: None,
                extremes: Extremes { bounds, nans: 0 },
            };
            writer.page(
                &content,
                PageEncoding::Plain,
                &scratch.page,
                PageBytes::Any,
                &mut scratch.codec,
            )?;
        }
        writer.finish()
    }
}
