//! Rows of Apache Parquet: the columns of the table, in the file's order, are the features.
//!
//! The file's own types count (physical and logical), not the Arrow schema that some writers put
//! beside them. Every number goes through float64 to float32, as a cell of CSV does, so the same
//! table gives the same scores in either. The body lies in memory, as Parquet is read from its end;
//! of what it unpacks to, no more than a page of each column and a batch of rows.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use super::rows::{BATCH_ROWS, Rows, RowsError, named, shown};

/// Characters of the decoder's own message that are shown.
const MAX_WHY: usize = 300;

/// Reads all row groups in order. null is NaN, a missing value; true is 1, false 0.
pub(super) fn read(body: &Bytes, rows: &mut Rows<'_>) -> Result<(), RowsError> {
    let metadata = guarded(|| {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        ArrowReaderMetadata::load(body, options)
    })?;
    let width = rows.width();
    check_columns(metadata.schema(), width)?;
    let expected = metadata.metadata().file_metadata().num_rows();
    let mut reader = guarded(|| {
        ParquetRecordBatchReaderBuilder::new_with_metadata(body.clone(), metadata)
            .with_batch_size(BATCH_ROWS)
            .build()
    })?;
    let mut cells = Vec::new();
    let mut found = 0_i64;
    while let Some(batch) = next(&mut reader)? {
        found = found.saturating_add(i64::try_from(batch.num_rows()).unwrap_or(i64::MAX));
        cells.clear();
        cells.resize(batch.num_rows() * width, f32::NAN);
        fill(&batch, &mut cells)?;
        rows.batch(&cells)?;
    }
    if found != expected {
        return Err(RowsError::Parquet(format!(
            "its footer speaks of {expected} rows, its row groups hold {found}"
        )));
    }
    Ok(())
}

fn next(reader: &mut ParquetRecordBatchReader) -> Result<Option<RecordBatch>, RowsError> {
    guarded(|| reader.next().transpose())
}

/// Hostile bytes are known to make the decoder panic: that is an answer to the one request that
/// brought them, and no reason for the server to end. The reader is not used after an error.
fn guarded<T, E: std::fmt::Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, RowsError> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let why = error.to_string().chars().take(MAX_WHY).collect();
            Err(RowsError::Parquet(why))
        }
        Err(_) => Err(RowsError::Parquet(
            "it is damaged: its decoder gave up".to_owned(),
        )),
    }
}

/// All that is wrong with the columns, at once.
fn check_columns(schema: &Schema, width: usize) -> Result<(), RowsError> {
    let fields = schema.fields();
    let mut wrong = Vec::new();
    if fields.len() != width {
        let names: Vec<String> = fields
            .iter()
            .map(|f| format!("'{}'", shown(f.name())))
            .collect();
        wrong.push(format!(
            "expected {width} columns, one for each feature of the model, found {} ({})",
            fields.len(),
            named(&names)
        ));
    }
    let described = (1..).zip(fields.iter());
    let no_numbers: Vec<String> = described
        .filter_map(|(number, field)| {
            let what = no_number(field.data_type())?;
            Some(format!(
                "column {number} '{}' holds {what}",
                shown(field.name())
            ))
        })
        .collect();
    if !no_numbers.is_empty() {
        wrong.push(format!(
            "{}: a feature is a number, so turn such a column into one or leave it out",
            named(&no_numbers)
        ));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(RowsError::Table(wrong.join("; ")))
    }
}

/// What a column holds that cannot be a feature, with its type; none where it can be one.
fn no_number(data_type: &DataType) -> Option<String> {
    use DataType::*;
    let what = match data_type {
        Null | Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64
        | Float16 | Float32 | Float64 | Decimal128(..) | Decimal256(..) => return None,
        Date32 | Date64 => "dates",
        Timestamp(..) => "timestamps",
        Time32(_) | Time64(_) => "times of day",
        Duration(_) | Interval(_) => "durations",
        Utf8 | LargeUtf8 | Utf8View => "text",
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => "bytes",
        List(_) | LargeList(_) | FixedSizeList(..) | ListView(_) | LargeListView(_) => {
            return Some("lists".to_owned());
        }
        Struct(_) | Map(..) | Union(..) => return Some("nested values".to_owned()),
        _ => "other values",
    };
    Some(format!("{what} ({data_type})"))
}

/// Writes each column into its place of every row.
fn fill(batch: &RecordBatch, cells: &mut [f32]) -> Result<(), RowsError> {
    let width = batch.num_columns();
    for (column, array) in batch.columns().iter().enumerate() {
        let mut place = cells.get_mut(column..).unwrap_or_default();
        let mut put = |value: Option<f64>| {
            if let (Some(cell), Some(value)) = (place.first_mut(), value) {
                *cell = value as f32;
            }
            place = std::mem::take(&mut place)
                .get_mut(width..)
                .unwrap_or_default();
        };
        fill_column(array, &mut put).ok_or_else(|| {
            let why = format!("column {} changes its type within the file", column + 1);
            RowsError::Parquet(why)
        })?;
    }
    Ok(())
}

/// Hands every value to `put`; `None` for a type that [`no_number`] refuses.
fn fill_column(array: &dyn Array, put: &mut dyn FnMut(Option<f64>)) -> Option<()> {
    match array.data_type() {
        DataType::Null => (0..array.len()).for_each(|_| put(None)),
        DataType::Boolean => {
            let values = array.as_boolean_opt()?;
            values.iter().for_each(|v| put(v.map(f64::from)));
        }
        DataType::Int8 => numbers::<Int8Type>(array, f64::from, put)?,
        DataType::Int16 => numbers::<Int16Type>(array, f64::from, put)?,
        DataType::Int32 => numbers::<Int32Type>(array, f64::from, put)?,
        DataType::Int64 => numbers::<Int64Type>(array, |v| v as f64, put)?,
        DataType::UInt8 => numbers::<UInt8Type>(array, f64::from, put)?,
        DataType::UInt16 => numbers::<UInt16Type>(array, f64::from, put)?,
        DataType::UInt32 => numbers::<UInt32Type>(array, f64::from, put)?,
        DataType::UInt64 => numbers::<UInt64Type>(array, |v| v as f64, put)?,
        DataType::Float16 => numbers::<Float16Type>(array, |v| v.to_f64(), put)?,
        DataType::Float32 => numbers::<Float32Type>(array, f64::from, put)?,
        DataType::Float64 => numbers::<Float64Type>(array, |v| v, put)?,
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            numbers::<Decimal128Type>(array, |v| decimal(v, scale), put)?;
        }
        DataType::Decimal256(_, scale) => {
            let scale = *scale;
            numbers::<Decimal256Type>(array, |v| decimal_text(&v, scale), put)?;
        }
        _ => return None,
    }
    Some(())
}

fn numbers<T: ArrowPrimitiveType>(
    array: &dyn Array,
    widen: impl Fn(T::Native) -> f64,
    put: &mut dyn FnMut(Option<f64>),
) -> Option<()> {
    let values = array.as_primitive_opt::<T>()?;
    values.iter().for_each(|v| put(v.map(&widen)));
    Some(())
}

/// The float64 nearest to `value` / 10^`scale`, as reading its text gives it.
fn decimal(value: i128, scale: i8) -> f64 {
    // 10^19 is the last power in u64, and exact in float64: of two exact numbers a division rounds
    // once, as reading the text does.
    let exact = value.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS;
    match u32::try_from(scale)
        .ok()
        .and_then(|s| 10_u64.checked_pow(s))
    {
        Some(power) if exact => value as f64 / power as f64,
        _ => decimal_text(&value, scale),
    }
}

fn decimal_text(value: &impl std::fmt::Display, scale: i8) -> f64 {
    format!("{value}e{}", -i32::from(scale))
        .parse()
        .unwrap_or(f64::NAN)
}
