//! Puts the pages of a column chunk one behind the other, and describes them for the footer.

use bytes::Bytes;
use parquet::basic::{Encoding, EncodingMask, PageType};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};

use crate::column_chunk::FlatColumn;
use crate::column_values::{ColumnValue, Extremes};
use crate::page_buffer::PageBuffer;
use crate::page_codec::{PageBytes, PageCodec};
use crate::page_header::{PageEncoding, PageKind, write_page_header};
use crate::page_index::{PageContent, PageIndexRecorder};
use crate::parquet_file::codec_of;
use crate::snappy_words::Key;

/// An encoded column chunk, its dictionary page first.
#[derive(Debug)]
pub(crate) struct EncodedChunk {
    /// What comes behind each other in the file.
    pub(crate) bytes: Vec<Bytes>,
    /// Places in it are counted from its first byte.
    pub(crate) close: ColumnCloseResult,
    pub(crate) data: Sizes,
    pub(crate) dictionary: Sizes,
}

/// Sizes of pages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sizes {
    /// Of their bodies before compression.
    pub(crate) plain: usize,
    /// As they are stored, with their headers.
    stored: usize,
}

/// Snappy must save at least one in so many bytes: packed bits hardly shrink, and to try takes
/// longer than to pack them.
const WORTHWHILE_PART: usize = 20;

impl Sizes {
    fn add(&mut self, plain: usize, stored: i32) {
        self.plain += plain;
        self.stored += stored as usize;
    }

    /// Whether compression saves enough, beside so many bytes more of which it saves none.
    pub(crate) fn is_worthwhile(self, others: usize) -> bool {
        let saved = self.plain.saturating_sub(self.stored);
        saved > (self.plain + others) / WORTHWHILE_PART
    }
}

/// Pages of a column chunk without a dictionary, encoded apart from those before and behind them.
#[derive(Debug)]
pub(crate) struct ChunkPart {
    bytes: Bytes,
    pages: Vec<PartPage>,
    plain_bytes: usize,
    data: Sizes,
}

/// What the index of the whole chunk needs of a page, as [`PageContent`] of the values themselves.
#[derive(Debug)]
pub(crate) struct PartPage {
    rows: usize,
    nulls: usize,
    text_bytes: Option<usize>,
    bounds: Option<(Vec<u8>, Vec<u8>)>,
    placed: Placed,
}

/// Where a page was put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    /// From the first byte of the chunk, or of the part.
    offset: usize,
    /// Its length, with its header.
    stored: i32,
}

impl PartPage {
    /// A page that was put where `placed` says.
    pub(crate) fn new(content: &PageContent<&[u8]>, placed: Placed) -> Self {
        let owned = |(least, most): (&[u8], &[u8])| (least.to_vec(), most.to_vec());
        Self {
            rows: content.rows,
            nulls: content.nulls,
            text_bytes: content.text_bytes,
            bounds: content.extremes.bounds.map(owned),
            placed,
        }
    }

    fn content(&self) -> PageContent<&[u8]> {
        let bounds = self.bounds.as_ref();
        let bounds = bounds.map(|(least, most)| (least.as_slice(), most.as_slice()));
        PageContent {
            rows: self.rows,
            nulls: self.nulls,
            text_bytes: self.text_bytes,
            extremes: Extremes { bounds, nans: 0 },
        }
    }
}

/// Bytes made room for ahead, at most: pages of long texts may differ much.
const MAX_RESERVED: usize = 8 << 20;

/// A page's header takes less: eight numbers of at most five bytes, and their fields' heads.
const MAX_HEADER_BYTES: usize = 64;

/// A column chunk being written.
pub(crate) struct ChunkWriter<'a, V> {
    column: &'a FlatColumn,
    /// Data pages that are to come.
    pages: usize,
    bytes: Vec<u8>,
    /// What was encoded as parts, before `bytes`.
    parts: Vec<Bytes>,
    index: PageIndexRecorder<V>,
    /// Length of the dictionary page with its header.
    dictionary: Option<usize>,
    /// Bytes before compression, headers counted.
    plain_bytes: usize,
    data: Sizes,
    dictionary_sizes: Sizes,
    key: Option<Key>,
    plain_pages: i32,
    dictionary_pages: i32,
}

impl<'a, V: ColumnValue> ChunkWriter<'a, V> {
    /// For a chunk of so many data pages.
    pub(crate) fn new(column: &'a FlatColumn, pages: usize, utf8: bool) -> ChunkWriter<'a, V> {
        ChunkWriter {
            column,
            pages,
            bytes: Vec::new(),
            parts: Vec::new(),
            index: PageIndexRecorder::new(column.nullable, utf8),
            dictionary: None,
            plain_bytes: 0,
            data: Sizes::default(),
            dictionary_sizes: Sizes::default(),
            key: None,
            plain_pages: 0,
            dictionary_pages: 0,
        }
    }

    /// The dictionary page of so many values, before all others.
    pub(crate) fn dictionary(
        &mut self,
        values: usize,
        body: &[u8],
        bytes: PageBytes,
        codec: &mut PageCodec,
    ) -> Result<(), ParquetError> {
        let stored = self.store(PageKind::Dictionary, values, body, bytes, codec)?;
        self.key = None;
        self.dictionary = Some(stored as usize);
        self.dictionary_sizes.add(body.len(), stored);
        Ok(())
    }

    /// The next data page; where it was put.
    pub(crate) fn page(
        &mut self,
        content: &PageContent<V>,
        encoding: PageEncoding,
        body: &PageBuffer,
        bytes: PageBytes,
        codec: &mut PageCodec,
    ) -> Result<Placed, ParquetError> {
        let offset = self.bytes.len();
        let kind = PageKind::Data(encoding);
        let bytes = match self.column.is_dense {
            true => PageBytes::Dense,
            false => bytes,
        };
        self.pages = self.pages.saturating_sub(1);
        let stored = self.store(kind, content.rows, body.as_slice(), bytes, codec)?;
        self.data.add(body.len(), stored);
        self.index.add(content, offset, stored);
        match encoding {
            PageEncoding::Plain => self.plain_pages += 1,
            PageEncoding::Dictionary => self.dictionary_pages += 1,
        }
        Ok(Placed { offset, stored })
    }

    /// Appends a page; its length with its header.
    fn store(
        &mut self,
        kind: PageKind,
        values: usize,
        body: &[u8],
        bytes: PageBytes,
        codec: &mut PageCodec,
    ) -> Result<i32, ParquetError> {
        let stored = codec
            .compress(self.column.codec, body, bytes, &mut self.key)
            .map_err(|e| ParquetError::External(Box::new(e)))?;
        let size = |len: usize| i32::try_from(len).map_err(|_| self.too_large(len));
        let (body_len, stored_len) = (size(body.len())?, size(stored.len())?);
        let values = size(values)?;
        self.reserve(kind, stored.len());
        let start = self.bytes.len();
        write_page_header(&mut self.bytes, kind, values, body_len, stored_len);
        self.plain_bytes += self.bytes.len() - start + body.len();
        stored.append_to(&mut self.bytes);
        let whole = self.bytes.len() - start;
        i32::try_from(whole).map_err(|_| self.too_large(whole))
    }

    /// Room for a page of so many bytes and for those to come, which will be about as large: growing
    /// step by step would copy them each time.
    fn reserve(&mut self, kind: PageKind, stored: usize) {
        let page = stored + MAX_HEADER_BYTES;
        if self.bytes.capacity() - self.bytes.len() >= page {
            return;
        }
        let others = match kind {
            PageKind::Dictionary => 0,
            PageKind::Data(_) => self.pages * (page + page / 16),
        };
        self.bytes.reserve_exact(page + others.min(MAX_RESERVED));
    }

    fn too_large(&self, bytes: usize) -> ParquetError {
        ParquetError::General(format!(
            "column {:?} has a value that takes a page of {bytes} bytes, and Parquet's pages have \
             less than 2 GiB",
            self.column.descriptor.name()
        ))
    }

    pub(crate) fn finish(self) -> Result<EncodedChunk, ParquetError> {
        let (encodings, pages) = self.encodings();
        let index = self.index.finish()?;
        let mut bytes = self.parts;
        if !self.bytes.is_empty() {
            bytes.push(self.bytes.into());
        }
        let size = bytes.iter().map(Bytes::len).sum::<usize>() as i64;
        let metadata = ColumnChunkMetaData::builder(self.column.descriptor.clone())
            .set_compression(codec_of(self.column.codec)?)
            .set_encodings_mask(encodings)
            .set_page_encoding_stats(pages)
            .set_total_compressed_size(size)
            .set_total_uncompressed_size(self.plain_bytes as i64)
            .set_num_values(index.rows as i64)
            .set_data_page_offset(self.dictionary.unwrap_or(0) as i64)
            .set_dictionary_page_offset(self.dictionary.map(|_| 0))
            .set_statistics(index.statistics)
            .set_unencoded_byte_array_data_bytes(index.text_bytes)
            .set_definition_level_histogram(index.definition_levels)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: size as u64,
            rows_written: index.rows,
            metadata,
            bloom_filter: None,
            column_index: Some(index.column_index),
            offset_index: Some(index.offset_index),
        };
        Ok(EncodedChunk {
            bytes,
            close,
            data: self.data,
            dictionary: self.dictionary_sizes,
        })
    }

    /// What was written, to be joined to other parts; `pages` are all of its pages.
    pub(crate) fn into_part(self, pages: Vec<PartPage>) -> ChunkPart {
        ChunkPart {
            bytes: self.bytes.into(),
            pages,
            plain_bytes: self.plain_bytes,
            data: self.data,
        }
    }

    fn encodings(&self) -> (EncodingMask, Vec<PageEncodingStats>) {
        let of = |page_type, encoding, count| PageEncodingStats {
            page_type,
            encoding,
            count,
        };
        let dictionary = i32::from(self.dictionary.is_some());
        let mut pages = vec![
            of(PageType::DICTIONARY_PAGE, Encoding::PLAIN, dictionary),
            of(
                PageType::DATA_PAGE,
                Encoding::RLE_DICTIONARY,
                self.dictionary_pages,
            ),
            of(PageType::DATA_PAGE, Encoding::PLAIN, self.plain_pages),
        ];
        pages.retain(|p| p.count > 0);
        // Levels are always run lengths.
        let all = std::iter::once(&Encoding::RLE).chain(pages.iter().map(|p| &p.encoding));
        (EncodingMask::new_from_encodings(all), pages)
    }
}

impl<'p> ChunkWriter<'_, &'p [u8]> {
    /// The pages of a part behind all that came before.
    pub(crate) fn part(&mut self, part: &'p ChunkPart) {
        let before: usize = self.parts.iter().map(Bytes::len).sum();
        for page in &part.pages {
            let Placed { offset, stored } = page.placed;
            self.index.add(&page.content(), before + offset, stored);
            self.plain_pages += 1;
        }
        self.parts.push(part.bytes.clone());
        self.plain_bytes += part.plain_bytes;
        self.data.plain += part.data.plain;
        self.data.stored += part.data.stored;
    }
}
