//! Compresses pages, with the state and the memory of a codec kept from page to page.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use crate::parquet_writer::{PARQUET_GZIP_LEVEL, PARQUET_ZSTD_LEVEL, ParquetCompression};
use crate::snappy_elements::store_as_literal;
use crate::snappy_fragments::FragmentCompressor;
use crate::snappy_words::{Key, WordCompressor};

/// Bytes of values below which a page is too small to choose a way for.
const MIN_WORD_BYTES: usize = 4_096;

/// What is in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageBytes {
    Any,
    /// Plain values of eight bytes from this place on.
    Words(usize),
    /// What Snappy does not make smaller.
    Dense,
}

/// Codecs that are made when they are first needed.
#[derive(Default)]
pub(crate) struct PageCodec {
    words: WordCompressor,
    snappy: FragmentCompressor,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    out: Vec<u8>,
}

impl PageCodec {
    /// The page as it is stored. `key` is chosen by the first page of a column chunk whose values
    /// are words, and kept for the others.
    pub(crate) fn compress<'a>(
        &'a mut self,
        codec: ParquetCompression,
        page: &'a [u8],
        bytes: PageBytes,
        key: &mut Option<Key>,
    ) -> io::Result<&'a [u8]> {
        match codec {
            ParquetCompression::None => Ok(page),
            ParquetCompression::Snappy => match bytes {
                PageBytes::Words(start) if page.len() - start >= MIN_WORD_BYTES => {
                    Ok(self.snappy_words(page, start, key))
                }
                PageBytes::Dense => {
                    let len = store_as_literal(page, &mut self.out);
                    Ok(&self.out[..len])
                }
                _ => {
                    let len = self.snappy.compress(page, &mut self.out);
                    Ok(&self.out[..len])
                }
            },
            ParquetCompression::Zstd => self.zstd(page),
            ParquetCompression::Gzip => self.gzip(page),
        }
    }

    fn snappy_words(&mut self, page: &[u8], start: usize, key: &mut Option<Key>) -> &[u8] {
        let (words, out) = (&mut self.words, &mut self.out);
        let key = *key.get_or_insert_with(|| words.choose(&page[start..], out));
        let len = words.compress(page, start, key, out);
        &out[..len]
    }

    fn zstd(&mut self, page: &[u8]) -> io::Result<&[u8]> {
        let encoder = match &mut self.zstd {
            Some(encoder) => encoder,
            none => none.insert(zstd::bulk::Compressor::new(PARQUET_ZSTD_LEVEL)?),
        };
        self.out.clear();
        self.out
            .reserve(zstd::zstd_safe::compress_bound(page.len()));
        encoder.compress_to_buffer(page, &mut self.out)?;
        Ok(&self.out)
    }

    fn gzip(&mut self, page: &[u8]) -> io::Result<&[u8]> {
        self.out.clear();
        let level = flate2::Compression::new(PARQUET_GZIP_LEVEL);
        let mut encoder = GzEncoder::new(std::mem::take(&mut self.out), level);
        encoder.write_all(page)?;
        self.out = encoder.finish()?;
        Ok(&self.out)
    }

    /// Gives memory back that only an unusual page needed.
    pub(crate) fn shrink_to(&mut self, most: usize) {
        if self.out.capacity() > most {
            self.out = Vec::new();
        }
    }
}
