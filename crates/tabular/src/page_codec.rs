//! Compresses pages, with the state and the memory of a codec kept from page to page.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use crate::parquet_writer::{PARQUET_GZIP_LEVEL, PARQUET_ZSTD_LEVEL, ParquetCompression};
use crate::snappy_elements::Head;
use crate::snappy_fragments::{FragmentCompressor, Fragments};
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

/// A page as it is stored, where it was made: nothing is put together before it is known where to.
pub(crate) struct Stored<'a> {
    head: Option<Head>,
    body: Body<'a>,
}

enum Body<'a> {
    Whole(&'a [u8]),
    Fragments(Fragments<'a>),
}

impl<'a> Stored<'a> {
    fn whole(bytes: &'a [u8]) -> Self {
        Self {
            head: None,
            body: Body::Whole(bytes),
        }
    }

    /// Bytes of it all.
    pub(crate) fn len(&self) -> usize {
        let body = match &self.body {
            Body::Whole(bytes) => bytes.len(),
            Body::Fragments(fragments) => fragments.len(),
        };
        self.head.as_ref().map_or(0, |head| head.as_slice().len()) + body
    }

    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        if let Some(head) = &self.head {
            out.extend_from_slice(head.as_slice());
        }
        match &self.body {
            Body::Whole(bytes) => out.extend_from_slice(bytes),
            Body::Fragments(fragments) => fragments.iter().for_each(|f| out.extend_from_slice(f)),
        }
    }
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
    ) -> io::Result<Stored<'a>> {
        let whole = match codec {
            ParquetCompression::None => page,
            ParquetCompression::Snappy => return Ok(self.snappy(page, bytes, key)),
            ParquetCompression::Zstd => self.zstd(page)?,
            ParquetCompression::Gzip => self.gzip(page)?,
        };
        Ok(Stored::whole(whole))
    }

    fn snappy<'a>(
        &'a mut self,
        page: &'a [u8],
        bytes: PageBytes,
        key: &mut Option<Key>,
    ) -> Stored<'a> {
        match bytes {
            PageBytes::Words(start) if page.len() - start >= MIN_WORD_BYTES => {
                Stored::whole(self.snappy_words(page, start, key))
            }
            PageBytes::Dense => Stored {
                head: Some(Head::of_literal(page.len())),
                body: Body::Whole(page),
            },
            _ if FragmentCompressor::is_few(page) => Stored {
                head: Some(Head::of_page(page.len())),
                body: Body::Fragments(self.snappy.fragments(page)),
            },
            _ => {
                let len = self.snappy.compress(page, &mut self.out);
                Stored::whole(&self.out[..len])
            }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    fn stored(codec: &mut PageCodec, page: &[u8], bytes: PageBytes) -> Vec<u8> {
        let mut out = b"before".to_vec();
        let stored = codec.compress(ParquetCompression::Snappy, page, bytes, &mut None);
        let stored = stored.unwrap();
        let len = stored.len();
        stored.append_to(&mut out);
        assert!(out.starts_with(b"before"));
        assert_eq!(out.len(), b"before".len() + len);
        out.split_off(b"before".len())
    }

    #[test]
    fn a_page_of_any_size_is_read_by_the_library_however_it_was_stored() {
        let mut codec = PageCodec::default();
        let sizes = [0, 1, 59, 60, 61, 256, 257, 5_000, 65_536, 65_537, 1 << 20];
        // About what fragments are kept of at once.
        for len in sizes.into_iter().chain([1_572_864, 1_572_865, 4 << 20]) {
            let page: Vec<u8> = (0..len as u32).map(|i| (i / 3 % 251) as u8).collect();
            for bytes in [PageBytes::Any, PageBytes::Words(0), PageBytes::Dense] {
                let stored = stored(&mut codec, &page, bytes);
                let back = snap::raw::Decoder::new().decompress_vec(&stored);
                assert!(back.unwrap() == page, "{len} {bytes:?}");
                assert!(bytes != PageBytes::Dense || stored.len() <= len + 10);
            }
        }
    }
}
