//! Flat columns of the usual types to Parquet column chunks, by an encoder of our own.
//!
//! It sees all of a column chunk's values at once, so the dictionary is complete before the first
//! page is written, and every step is a loop over a page's values in memory that is used again.
//! Types that it does not know are left to parquet-rs (see `parquet_file.rs`).

use std::cell::RefCell;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, ByteArrayType, Date32Type, Float32Type, Float64Type, GenericBinaryType,
    GenericStringType, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, ToByteSlice};
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::{LogicalType, Type};
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

use crate::chunk_writer::{ChunkWriter, EncodedChunk};
use crate::column_values::{Extremes, FixedValue};
use crate::dictionary::FixedDictionary;
use crate::page_buffer::PageBuffer;
use crate::page_codec::{PageBytes, PageCodec};
use crate::page_header::PageEncoding;
use crate::page_index::PageContent;
use crate::pages::{FixedBlock, Piece, cut_pages, dense_pages, nulls_in, write_levels};
use crate::parquet_writer::ParquetCompression;
use crate::rle::{bits_below, write_hybrid};
use crate::row_groups::{BLOCK_ROWS, split};
use crate::text_dictionary::TextDictionary;
use crate::text_values::{Text, TextBlock, TextVisitor, write_plain_texts};

/// Bytes that a thread keeps of each of its buffers between column chunks.
const KEPT_BYTES: usize = 4 << 20;

/// Bytes of a page below which it says nothing about others: then the codec is the one asked for.
const MIN_JUDGED_BYTES: usize = 4_096;

/// How the values of a column are laid out in Arrow and in Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Int32,
    Date32,
    Int64,
    Float32,
    Float64,
    Timestamp(TimeUnit),
    Utf8,
    LargeUtf8,
    Binary,
    LargeBinary,
}

impl Kind {
    fn of(data_type: &DataType) -> Option<Kind> {
        Some(match data_type {
            DataType::Boolean => Kind::Boolean,
            DataType::Int32 => Kind::Int32,
            DataType::Date32 => Kind::Date32,
            DataType::Int64 => Kind::Int64,
            DataType::Float32 => Kind::Float32,
            DataType::Float64 => Kind::Float64,
            // Parquet knows no seconds.
            DataType::Timestamp(unit, _) if *unit != TimeUnit::Second => Kind::Timestamp(*unit),
            DataType::Utf8 => Kind::Utf8,
            DataType::LargeUtf8 => Kind::LargeUtf8,
            DataType::Binary => Kind::Binary,
            DataType::LargeBinary => Kind::LargeBinary,
            _ => return None,
        })
    }

    fn physical(self) -> Type {
        match self {
            Kind::Boolean => Type::BOOLEAN,
            Kind::Int32 | Kind::Date32 => Type::INT32,
            Kind::Int64 | Kind::Timestamp(_) => Type::INT64,
            Kind::Float32 => Type::FLOAT,
            Kind::Float64 => Type::DOUBLE,
            Kind::Utf8 | Kind::LargeUtf8 | Kind::Binary | Kind::LargeBinary => Type::BYTE_ARRAY,
        }
    }
}

/// Whether columns of this type are encoded here, from arrays of any length.
pub(crate) fn is_flat(data_type: &DataType) -> bool {
    Kind::of(data_type).is_some()
}

/// A column that is encoded here.
#[derive(Debug, Clone)]
pub(crate) struct FlatColumn {
    kind: Kind,
    pub(crate) descriptor: ColumnDescPtr,
    pub(crate) nullable: bool,
    pub(crate) codec: ParquetCompression,
    /// Data pages are not worth their compression; the dictionary page may be.
    pub(crate) is_dense: bool,
    dictionary: bool,
}

/// Memory of a thread that encodes column chunks.
#[derive(Default)]
struct Scratch {
    page: PageBuffer,
    codec: PageCodec,
    validity: Option<BooleanBufferBuilder>,
    fixed: FixedDictionary,
    text: TextDictionary,
    numbers: Vec<u32>,
    bytes: Vec<u8>,
    dense_i32: Vec<i32>,
    dense_i64: Vec<i64>,
    dense_f32: Vec<f32>,
    dense_f64: Vec<f64>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A fixed-width type's memory for values that were not side by side.
trait Dense: FixedValue + ToBytes {
    fn dense(scratch: &mut Scratch) -> &mut Vec<Self>;
}

/// Plain encoding of a slice.
trait ToBytes: Sized {
    fn slice_bytes(values: &[Self]) -> &[u8];
}

macro_rules! dense {
    ($native:ty, $field:ident) => {
        impl Dense for $native {
            fn dense(scratch: &mut Scratch) -> &mut Vec<$native> {
                &mut scratch.$field
            }
        }
        impl ToBytes for $native {
            fn slice_bytes(values: &[$native]) -> &[u8] {
                values.to_byte_slice()
            }
        }
    };
}

dense!(i32, dense_i32);
dense!(i64, dense_i64);
dense!(f32, dense_f32);
dense!(f64, dense_f64);

impl FlatColumn {
    /// How a column of this type is encoded here, if it is.
    pub(crate) fn new(
        data_type: &DataType,
        descriptor: ColumnDescPtr,
        codec: ParquetCompression,
        dictionary: bool,
    ) -> Option<FlatColumn> {
        let kind = Kind::of(data_type)?;
        let levels = (descriptor.max_def_level(), descriptor.max_rep_level());
        let nullable = match levels {
            (0, 0) => false,
            (1, 0) => true,
            _ => return None,
        };
        (descriptor.physical_type() == kind.physical()).then_some(FlatColumn {
            kind,
            descriptor,
            nullable,
            codec,
            is_dense: false,
            dictionary,
        })
    }

    /// Encodes the rows of a row group, which may come in arrays of any lengths.
    ///
    /// Memory: the encoded chunk, and in the thread the chunk's dictionary, its places in it, its
    /// values if there are nulls among them, and a page.
    pub(crate) fn encode(&self, blocks: &[ArrayRef]) -> Result<EncodedChunk, ParquetError> {
        SCRATCH.with_borrow_mut(|scratch| {
            let chunk = self.encode_with(blocks, scratch);
            scratch.shrink();
            chunk
        })
    }

    /// The same column with pages stored as they are where Snappy does little to them, judged by a
    /// page in the middle of these rows. Other codecs are asked for where size counts more.
    pub(crate) fn judged_by(
        &self,
        blocks: &[ArrayRef],
    ) -> Result<Option<FlatColumn>, ParquetError> {
        let rows: usize = blocks.iter().map(|b| b.len()).sum();
        if self.codec != ParquetCompression::Snappy || rows == 0 {
            return Ok(None);
        }
        let (_, second_half) = split(blocks, rows.saturating_sub(BLOCK_ROWS) / 2);
        let (page, _) = split(&second_half, BLOCK_ROWS);
        let trial = self.encode(&page)?;
        if trial.data.plain < MIN_JUDGED_BYTES || trial.data.is_worthwhile(0) {
            return Ok(None);
        }
        // There will be as many bytes of such pages beside the dictionary.
        let data = trial.data.plain * rows / rows.min(BLOCK_ROWS);
        let codec = match trial.dictionary.is_worthwhile(data) {
            true => self.codec,
            false => ParquetCompression::None,
        };
        Ok(Some(FlatColumn {
            codec,
            is_dense: true,
            ..self.clone()
        }))
    }

    fn encode_with(
        &self,
        blocks: &[ArrayRef],
        scratch: &mut Scratch,
    ) -> Result<EncodedChunk, ParquetError> {
        self.check_nulls(blocks)?;
        match self.kind {
            Kind::Boolean => self.booleans(blocks, scratch),
            Kind::Int32 => self.fixed::<Int32Type>(blocks, scratch),
            Kind::Date32 => self.fixed::<Date32Type>(blocks, scratch),
            Kind::Int64 => self.fixed::<Int64Type>(blocks, scratch),
            Kind::Float32 => self.fixed::<Float32Type>(blocks, scratch),
            Kind::Float64 => self.fixed::<Float64Type>(blocks, scratch),
            Kind::Timestamp(TimeUnit::Microsecond) => {
                self.fixed::<TimestampMicrosecondType>(blocks, scratch)
            }
            Kind::Timestamp(TimeUnit::Millisecond) => {
                self.fixed::<TimestampMillisecondType>(blocks, scratch)
            }
            Kind::Timestamp(_) => self.fixed::<TimestampNanosecondType>(blocks, scratch),
            Kind::Utf8 => self.texts::<GenericStringType<i32>>(blocks, scratch),
            Kind::LargeUtf8 => self.texts::<GenericStringType<i64>>(blocks, scratch),
            Kind::Binary => self.texts::<GenericBinaryType<i32>>(blocks, scratch),
            Kind::LargeBinary => self.texts::<GenericBinaryType<i64>>(blocks, scratch),
        }
    }

    fn check_nulls(&self, blocks: &[ArrayRef]) -> Result<(), ParquetError> {
        let nulls: usize = blocks.iter().map(|b| b.null_count()).sum();
        if self.nullable || nulls == 0 {
            return Ok(());
        }
        Err(ParquetError::General(format!(
            "column {:?} may have no nulls, and {nulls} of its rows are null",
            self.descriptor.name()
        )))
    }

    fn is_utf8(&self) -> bool {
        self.descriptor.logical_type_ref() == Some(&LogicalType::String)
    }

    fn fixed<A>(
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
            self.begin_page(pieces, nulls, nulls_of, scratch);
            let numbers = &scratch.numbers;
            let levels = scratch.page.len();
            let (encoding, bytes) = if dictionary {
                let numbers = &numbers[at..at + values.len()];
                write_numbers(numbers, distinct[index], &mut scratch.page);
                (PageEncoding::Dictionary, PageBytes::Any)
            } else {
                scratch.page.extend(T::slice_bytes(values));
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

    /// An empty page, or one that has its definition levels.
    fn begin_page<'a>(
        &self,
        pieces: &[Piece],
        nulls: usize,
        nulls_of: impl Fn(usize) -> Option<&'a NullBuffer>,
        scratch: &mut Scratch,
    ) {
        scratch.page.clear();
        if self.nullable {
            let validity = scratch
                .validity
                .get_or_insert_with(|| BooleanBufferBuilder::new(0));
            write_levels(pieces, nulls, nulls_of, validity, &mut scratch.page);
        }
    }

    fn booleans(
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
            self.begin_page(page, nulls, |block| blocks[block].nulls(), scratch);
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

    fn texts<B: ByteArrayType>(
        &self,
        blocks: &[ArrayRef],
        scratch: &mut Scratch,
    ) -> Result<EncodedChunk, ParquetError> {
        let arrays: Vec<TextBlock<'_, B::Offset>> = blocks
            .iter()
            .map(|block| {
                let array = block.as_bytes::<B>();
                TextBlock {
                    offsets: array.value_offsets(),
                    data: array.value_data(),
                    nulls: array.nulls().filter(|n| n.null_count() > 0),
                }
            })
            .collect();
        let lengths: Vec<usize> = blocks.iter().map(|b| b.len()).collect();
        if self.dictionary {
            let encoded = self.text_dictionary(&arrays, &lengths, scratch)?;
            if let Some(chunk) = encoded {
                return Ok(chunk);
            }
        }
        let pages = cut_pages(&lengths, |bytes, p| arrays[p.block].fitting(bytes, p));
        let nulls_of = |block: usize| arrays[block].nulls;
        let mut writer = ChunkWriter::new(self, pages.len(), self.is_utf8());
        for page in &pages {
            let rows = page.iter().map(|p| p.rows).sum();
            let nulls = |p: &Piece| nulls_in(arrays[p.block].nulls, p.from, p.rows);
            let nulls = page.iter().map(nulls).sum();
            self.begin_page(page, nulls, nulls_of, scratch);
            let (extremes, bytes) = write_plain_texts(&arrays, page, &mut scratch.page);
            let content = PageContent {
                rows,
                nulls,
                text_bytes: Some(bytes),
                extremes,
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

    /// The chunk with a dictionary, unless that becomes too large or has no values.
    fn text_dictionary<O: arrow_array::OffsetSizeTrait>(
        &self,
        arrays: &[TextBlock<'_, O>],
        lengths: &[usize],
        scratch: &mut Scratch,
    ) -> Result<Option<EncodedChunk>, ParquetError> {
        let pages = cut_pages(lengths, |_, piece| piece.rows);
        let mut contents = Vec::with_capacity(pages.len());
        let (numbers, dictionary) = (&mut scratch.numbers, &mut scratch.text);
        numbers.clear();
        numbers.reserve(lengths.iter().sum());
        dictionary.clear();
        for page in &pages {
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
                return Ok(None);
            }
            contents.push((
                start..numbers.len(),
                dictionary.len(),
                bytes,
                dictionary.page_bounds(),
            ));
        }
        if numbers.is_empty() {
            return Ok(None);
        }
        // The dictionary stays where it is while the rest of the memory is written to.
        let dictionary = std::mem::take(&mut scratch.text);
        let mut writer = ChunkWriter::new(self, pages.len(), self.is_utf8());
        writer.dictionary(
            dictionary.len(),
            &dictionary.page,
            PageBytes::Any,
            &mut scratch.codec,
        )?;
        for (page, (range, distinct, bytes, bounds)) in pages.iter().zip(contents) {
            let rows = page.iter().map(|p| p.rows).sum();
            let nulls = rows - range.len();
            self.begin_page(page, nulls, |block| arrays[block].nulls, scratch);
            write_numbers(&scratch.numbers[range], distinct, &mut scratch.page);
            let bounds = bounds.map(|(a, b)| (dictionary.value(a), dictionary.value(b)));
            let content = PageContent {
                rows,
                nulls,
                text_bytes: Some(bytes),
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

impl Scratch {
    fn shrink(&mut self) {
        self.page.shrink_to(KEPT_BYTES);
        self.codec.shrink_to(KEPT_BYTES);
        self.fixed.shrink();
        self.text.shrink();
        self.numbers.clear();
        self.numbers.shrink_to(KEPT_BYTES / size_of::<u32>());
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }
}

/// Plain values from `start` on.
fn words<T>(start: usize) -> PageBytes {
    match size_of::<T>() {
        8 => PageBytes::Words(start),
        _ => PageBytes::Any,
    }
}

/// Appends a page's places in a dictionary, which has `distinct` values so far: the width in bits,
/// and the places.
fn write_numbers(numbers: &[u32], distinct: usize, out: &mut PageBuffer) {
    let width = bits_below(distinct);
    out.push(width as u8);
    write_hybrid(numbers, width, out);
}
