//! Values of typed columns as text: what a CSV or JSON cell of them holds.
//!
//! Numbers are the shortest text that reads back to the same value, decimals have all their digits,
//! dates and times are ISO 8601 (in UTC and with `Z` where they have a zone).

use std::fmt::{Debug, Display};
use std::io::{self, Write};

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::{
    date32_to_datetime, date64_to_datetime, time32ms_to_time, time32s_to_time, time64ns_to_time,
    time64us_to_time, timestamp_ms_to_datetime, timestamp_ns_to_datetime, timestamp_s_to_datetime,
    timestamp_us_to_datetime,
};
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use crate::schema::ColumnType;

/// Whether a value is written bare, as numbers and booleans are; else it is text.
pub(crate) fn is_bare(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean
}

/// Whether values are bytes, which need not be text.
pub(crate) fn is_bytes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_bytes(values),
        other => other.is_binary() || *other == DataType::BinaryView,
    }
}

/// Whether a column of the type has a text at all: lists, structs and maps have none.
pub(crate) fn has_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => has_text(values),
        // All of its values are null.
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond)
        | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond)
        | DataType::Timestamp(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => true,
        other => {
            is_bare(other) && !matches!(other, DataType::Decimal32(..) | DataType::Decimal64(..))
        }
    }
}

/// The nearest of this crate's types, for those that are described rather than converted.
pub(crate) fn column_type(data_type: &DataType) -> ColumnType {
    match data_type {
        DataType::Boolean => ColumnType::Boolean,
        other if other.is_integer() => ColumnType::Int64,
        other if other.is_numeric() => ColumnType::Float64,
        DataType::Date32 | DataType::Date64 => ColumnType::Date,
        DataType::Timestamp(_, None) => ColumnType::Timestamp,
        DataType::Timestamp(_, Some(_)) => ColumnType::TimestampUtc,
        DataType::Dictionary(_, values) => column_type(values),
        _ => ColumnType::String,
    }
}

/// Appends the text of a value that is not null.
///
/// # Errors
/// A type that has no text, and a day or an instant outside the calendar.
pub(crate) fn push(out: &mut Vec<u8>, column: &ArrayRef, row: usize) -> io::Result<()> {
    macro_rules! number {
        ($t:ty) => {
            write!(out, "{}", column.as_primitive::<$t>().value(row))
        };
    }
    // Debug is the shortest form that reads back, with an exponent where Display has none.
    macro_rules! float {
        ($t:ty) => {
            write!(out, "{:?}", column.as_primitive::<$t>().value(row))
        };
    }
    match column.data_type() {
        DataType::Utf8 => out.write_all(column.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => out.write_all(column.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => out.write_all(column.as_string_view().value(row).as_bytes()),
        DataType::Binary => out.write_all(column.as_binary::<i32>().value(row)),
        DataType::LargeBinary => out.write_all(column.as_binary::<i64>().value(row)),
        DataType::BinaryView => out.write_all(column.as_binary_view().value(row)),
        DataType::Boolean => write!(out, "{}", column.as_boolean().value(row)),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => write!(
            out,
            "{:?}",
            column.as_primitive::<Float16Type>().value(row).to_f32()
        ),
        DataType::Float32 => float!(Float32Type),
        DataType::Float64 => float!(Float64Type),
        DataType::Decimal128(..) => {
            write!(
                out,
                "{}",
                column.as_primitive::<Decimal128Type>().value_as_string(row)
            )
        }
        DataType::Decimal256(..) => {
            write!(
                out,
                "{}",
                column.as_primitive::<Decimal256Type>().value_as_string(row)
            )
        }
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            push(out, dictionary.values(), key)
        }
        _ => push_instant(out, column, row),
    }
}

fn push_instant(out: &mut Vec<u8>, column: &ArrayRef, row: usize) -> io::Result<()> {
    macro_rules! raw {
        ($t:ty) => {
            column.as_primitive::<$t>().value(row)
        };
    }
    match column.data_type() {
        DataType::Date32 => {
            let days = raw!(Date32Type);
            calendar(out, date32_to_datetime(days).map(|d| d.date()), days)
        }
        DataType::Date64 => {
            let at = raw!(Date64Type);
            calendar(out, date64_to_datetime(at).map(|d| d.date()), at)
        }
        DataType::Time32(TimeUnit::Second) => {
            let at = raw!(Time32SecondType);
            calendar(out, time32s_to_time(at), at)
        }
        DataType::Time32(_) => {
            let at = raw!(Time32MillisecondType);
            calendar(out, time32ms_to_time(at), at)
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let at = raw!(Time64MicrosecondType);
            calendar(out, time64us_to_time(at), at)
        }
        DataType::Time64(_) => {
            let at = raw!(Time64NanosecondType);
            calendar(out, time64ns_to_time(at), at)
        }
        DataType::Timestamp(unit, zone) => {
            match unit {
                TimeUnit::Second => {
                    let at = raw!(TimestampSecondType);
                    instant(out, timestamp_s_to_datetime(at), at)?;
                }
                TimeUnit::Millisecond => {
                    let at = raw!(TimestampMillisecondType);
                    instant(out, timestamp_ms_to_datetime(at), at)?;
                }
                TimeUnit::Microsecond => {
                    let at = raw!(TimestampMicrosecondType);
                    instant(out, timestamp_us_to_datetime(at), at)?;
                }
                TimeUnit::Nanosecond => {
                    let at = raw!(TimestampNanosecondType);
                    instant(out, timestamp_ns_to_datetime(at), at)?;
                }
            }
            if zone.is_some() {
                out.push(b'Z');
            }
            Ok(())
        }
        other => Err(io::Error::other(format!(
            "a column of type {other} cannot be written as text"
        ))),
    }
}

fn calendar<T: Display>(out: &mut Vec<u8>, value: Option<T>, raw: impl Display) -> io::Result<()> {
    let value = value.ok_or_else(|| outside(raw))?;
    write!(out, "{value}")
}

fn instant<T: Debug>(out: &mut Vec<u8>, value: Option<T>, raw: impl Display) -> io::Result<()> {
    let value = value.ok_or_else(|| outside(raw))?;
    // Debug has the `T` between date and time.
    write!(out, "{value:?}")
}

fn outside(raw: impl Display) -> io::Error {
    io::Error::other(format!("{raw} since 1970 is outside the calendar"))
}
