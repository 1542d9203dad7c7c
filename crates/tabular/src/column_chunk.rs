//! Flat columns of the usual types to Parquet column chunks, by an encoder of our own.
//!
//! It sees all of a column chunk's values at once, so the dictionary is complete before the first
//! page is written, and every step is a loop over a page's values in memory that is used again.
//! Types that it does not know are left to parquet-rs (see `parquet_file.rs`).

use std::cell::RefCell;

use arrow_array::ArrayRef;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, GenericBinaryType, GenericStringType, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::{LogicalType, Type};
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

use crate::chunk_writer::{ChunkPart, EncodedChunk};
use crate::column_scratch::Scratch;
use crate::parquet_writer::ParquetCompression;
use crate::row_groups::{BLOCK_ROWS, split};

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
    pub(crate) dictionary: bool,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

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

    /// Whether the chunk is encoded in parts, each as soon as its rows are there, which takes less memory and
    /// leaves no long column for the end. Texts alone are: they are most of the bytes where there are
    /// many, and a dictionary, or numbers that are packed by what they have in common, are the whole chunk's.
    pub(crate) fn is_in_parts(&self) -> bool {
        let texts = [Kind::Utf8, Kind::LargeUtf8, Kind::Binary, Kind::LargeBinary];
        !self.dictionary && texts.contains(&self.kind)
    }

    /// Encodes some rows of a row group, of a column that [is in parts](Self::is_in_parts).
    pub(crate) fn encode_part(&self, blocks: &[ArrayRef]) -> Result<ChunkPart, ParquetError> {
        self.check_nulls(blocks)?;
        SCRATCH.with_borrow_mut(|scratch| {
            let part = match self.kind {
                Kind::LargeUtf8 => self.text_part::<GenericStringType<i64>>(blocks, scratch),
                Kind::Binary => self.text_part::<GenericBinaryType<i32>>(blocks, scratch),
                Kind::LargeBinary => self.text_part::<GenericBinaryType<i64>>(blocks, scratch),
                Kind::Utf8 => self.text_part::<GenericStringType<i32>>(blocks, scratch),
                _ => Err(ParquetError::General(
                    "numbers are not encoded in parts".into(),
                )),
            };
            scratch.shrink();
            part
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

    /// Whether byte arrays are text.
    pub(crate) fn is_utf8(&self) -> bool {
        self.descriptor.logical_type_ref() == Some(&LogicalType::String)
    }
}
