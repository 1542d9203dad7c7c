//! Columns of a block to Arrow arrays, and checks of cells against a contract.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, StringArray, UInt32Array};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, FieldRef, Fields};

use crate::bad_rows::BadReason;
use crate::blocks::Block;
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::instants;
use crate::records::{BadRecord, Rows, Span, excerpt, unescape};
use crate::schema::{Column, ColumnType};
use crate::values::{self, DEFAULT_NULLS};

/// A column of the header with all that its cells are held to.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Its place in the header.
    pub(crate) index: usize,
    pub(crate) column: Column,
    /// First bytes of null tokens: most cells are no token at a glance.
    token_starts: Box<[bool; 256]>,
    limited: bool,
    /// The column as the source has it, if it has types and they are to stay.
    native: Option<FieldRef>,
}

impl Rule {
    /// `user_tokens` count in every column, the default ones in columns that are not text.
    pub(crate) fn new(index: usize, mut column: Column, user_tokens: &[String]) -> Self {
        let text = column.column_type == ColumnType::String;
        let defaults = DEFAULT_NULLS
            .iter()
            .filter(|_| !text)
            .map(|t| (*t).to_owned());
        for token in user_tokens.iter().cloned().chain(defaults) {
            if !column.null_tokens.contains(&token) {
                column.null_tokens.push(token);
            }
        }
        let mut token_starts = Box::new([false; 256]);
        for token in &column.null_tokens {
            if let Some(first) = token.as_bytes().first() {
                token_starts[usize::from(*first)] = true;
            }
        }
        let limited = column.min.is_some() || column.max.is_some() || !column.allowed.is_empty();
        Self {
            index,
            column,
            token_starts,
            limited,
            native: None,
        }
    }

    /// The same rule with the source's own type, if it has one: its arrays are then taken as they
    /// are.
    pub(crate) fn with_native(mut self, fields: Option<&Fields>) -> Self {
        self.native = fields.and_then(|fields| fields.get(self.index)).cloned();
        self
    }

    /// The Arrow field of the arrays that this rule gives.
    pub(crate) fn field(&self) -> Field {
        match &self.native {
            Some(field) => field.as_ref().clone().with_name(&self.column.name),
            None => self.column.to_arrow(),
        }
    }

    /// Whether an unquoted cell is null.
    #[inline]
    pub(crate) fn is_null(&self, span: Span, text: &[u8]) -> bool {
        if span.is_quoted() {
            return false;
        }
        match text.first() {
            None => true,
            Some(first) => {
                self.token_starts[usize::from(*first)]
                    && self.column.null_tokens.iter().any(|t| t.as_bytes() == text)
            }
        }
    }

    fn violation(&self, reason: BadReason, text: &[u8]) -> Violation {
        let column = &self.column;
        let expected = match reason {
            BadReason::Null => format!("{}, not null", column.column_type),
            BadReason::Range => range_in_words(column.min, column.max),
            BadReason::NotAllowed => format!("one of {}", crate::error::quoted(&column.allowed)),
            _ => column.column_type.name().to_owned(),
        };
        let found = match reason {
            BadReason::Null if text.is_empty() => "an empty cell".to_owned(),
            _ if column.sensitive => "***".to_owned(),
            _ => excerpt(text),
        };
        Violation {
            reason,
            expected,
            found,
        }
    }
}

fn range_in_words(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("a number from {min} to {max}"),
        (Some(min), None) => format!("a number of at least {min}"),
        (None, Some(max)) => format!("a number of at most {max}"),
        (None, None) => "a number".to_owned(),
    }
}

struct Violation {
    reason: BadReason,
    expected: String,
    found: String,
}

/// A block's rows with what is needed to read a column of them.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) block: &'a Block,
    pub(crate) width: usize,
    pub(crate) dialect: &'a Dialect,
}

/// Takes the cells of one column.
trait Sink {
    fn null(&mut self);
    /// The value as a number where it is one; none if the text is of another type.
    fn value(&mut self, text: &[u8]) -> Option<Option<f64>>;
}

/// Rows that a column refuses, by their place among the good ones.
type Refused = Vec<(usize, BadRecord)>;

/// The column as an array of its type. Refused cells are null in it, and listed.
pub(crate) fn array(rule: &Rule, cells: Cells<'_>) -> Result<(ArrayRef, Refused), TabularError> {
    if let (Some(_), Some(batch)) = (&rule.native, &cells.block.batch) {
        return Ok((kept(batch.column(rule.index), cells.rows)?, Vec::new()));
    }
    let rows = cells.rows.records.len();
    let array: (ArrayRef, Refused) = match rule.column.column_type {
        ColumnType::Int64 => {
            primitive::<Int64Type>(rule, cells, |t| values::int(t).map(|v| (v, v as f64)))
        }
        ColumnType::Float64 => {
            primitive::<Float64Type>(rule, cells, |t| values::float(t).map(|v| (v, v)))
        }
        ColumnType::Date => primitive::<Date32Type>(rule, cells, |t| {
            instants::date(t).map(|v| (v, f64::from(v)))
        }),
        ColumnType::Timestamp => {
            primitive::<TimestampMicrosecondType>(rule, cells, |t| instant(t, false))
        }
        ColumnType::TimestampUtc => {
            let (array, refused) = timestamps_utc(rule, cells);
            (Arc::new(array), refused)
        }
        ColumnType::Boolean => {
            let mut sink = Booleans {
                values: BooleanBufferBuilder::new(rows),
                nulls: NullBufferBuilder::new(rows),
            };
            let refused = fill(&mut sink, rule, cells);
            (
                Arc::new(BooleanArray::new(sink.values.finish(), sink.nulls.finish())),
                refused,
            )
        }
        ColumnType::String => {
            let mut sink = Strings::new(rows);
            let refused = fill(&mut sink, rule, cells);
            (Arc::new(sink.finish()?), refused)
        }
    };
    Ok(array)
}

/// The rows of a typed column that are still there.
fn kept(column: &ArrayRef, rows: &Rows) -> Result<ArrayRef, TabularError> {
    if rows.records.len() == column.len() {
        return Ok(Arc::clone(column));
    }
    let places = UInt32Array::from_iter_values(rows.records.iter().map(|r| r.index));
    arrow_select::take::take(column, &places, None)
        .map_err(|e| TabularError::Internal(format!("rows of a column: {e}")))
}

/// Rows that a column refuses; nothing is built.
pub(crate) fn refused(rule: &Rule, cells: Cells<'_>) -> Refused {
    fill(&mut Checked(rule.column.column_type), rule, cells)
}

fn instant(text: &[u8], zoned: bool) -> Option<(i64, f64)> {
    instants::instant(text)
        .filter(|(_, z)| *z == zoned)
        .map(|(v, _)| (v, v as f64))
}

fn timestamps_utc(
    rule: &Rule,
    cells: Cells<'_>,
) -> (PrimitiveArray<TimestampMicrosecondType>, Refused) {
    let (array, refused) = numbers::<TimestampMicrosecondType>(rule, cells, |t| instant(t, true));
    (array.with_timezone("UTC"), refused)
}

fn primitive<T: ArrowPrimitiveType>(
    rule: &Rule,
    cells: Cells<'_>,
    parse: impl Fn(&[u8]) -> Option<(T::Native, f64)>,
) -> (ArrayRef, Refused) {
    let (array, refused) = numbers::<T>(rule, cells, parse);
    (Arc::new(array), refused)
}

fn numbers<T: ArrowPrimitiveType>(
    rule: &Rule,
    cells: Cells<'_>,
    parse: impl Fn(&[u8]) -> Option<(T::Native, f64)>,
) -> (PrimitiveArray<T>, Refused) {
    let rows = cells.rows.records.len();
    let mut sink = Numbers {
        values: Vec::with_capacity(rows),
        nulls: NullBufferBuilder::new(rows),
        parse,
    };
    let refused = fill(&mut sink, rule, cells);
    (
        PrimitiveArray::new(ScalarBuffer::from(sink.values), sink.nulls.finish()),
        refused,
    )
}

/// Runs a column's cells into a sink, one call a row.
#[inline]
fn fill(sink: &mut impl Sink, rule: &Rule, cells: Cells<'_>) -> Refused {
    let mut refused = Vec::new();
    let mut scratch = Vec::new();
    let block = cells.block.text();
    let spans = cells
        .rows
        .spans
        .iter()
        .skip(rule.index)
        .step_by(cells.width);
    for (row, span) in spans.enumerate() {
        let mut text = span.bytes(block);
        if span.is_escaped() {
            scratch.clear();
            unescape(text, cells.dialect, &mut scratch);
            text = &scratch;
        }
        if let Err(violation) = judge(sink, rule, *span, text) {
            let record = cells.rows.records[row];
            let Violation {
                reason,
                expected,
                found,
            } = *violation;
            let column = Some(rule.column.name.clone());
            refused.push((
                row,
                BadRecord {
                    record,
                    column,
                    reason,
                    expected,
                    found,
                },
            ));
        }
    }
    refused
}

#[inline]
fn judge(sink: &mut impl Sink, rule: &Rule, span: Span, text: &[u8]) -> Result<(), Box<Violation>> {
    if rule.is_null(span, text) {
        sink.null();
        let fine = rule.column.nullable;
        return if fine {
            Ok(())
        } else {
            Err(Box::new(rule.violation(BadReason::Null, text)))
        };
    }
    let Some(number) = sink.value(text) else {
        sink.null();
        return Err(Box::new(rule.violation(BadReason::Type, text)));
    };
    if rule.limited {
        limits(rule, number, text)
    } else {
        Ok(())
    }
}

#[cold]
fn limits(rule: &Rule, number: Option<f64>, text: &[u8]) -> Result<(), Box<Violation>> {
    let column = &rule.column;
    if let Some(number) = number
        && (column.min.is_some_and(|min| number < min)
            || column.max.is_some_and(|max| number > max))
    {
        return Err(Box::new(rule.violation(BadReason::Range, text)));
    }
    if !column.allowed.is_empty() && !column.allowed.iter().any(|a| a.as_bytes() == text) {
        return Err(Box::new(rule.violation(BadReason::NotAllowed, text)));
    }
    Ok(())
}

struct Numbers<N, P> {
    values: Vec<N>,
    nulls: NullBufferBuilder,
    parse: P,
}

impl<N: Copy + Default, P: Fn(&[u8]) -> Option<(N, f64)>> Sink for Numbers<N, P> {
    #[inline]
    fn null(&mut self) {
        self.values.push(N::default());
        self.nulls.append_null();
    }

    #[inline]
    fn value(&mut self, text: &[u8]) -> Option<Option<f64>> {
        let (value, number) = (self.parse)(text)?;
        self.values.push(value);
        self.nulls.append_non_null();
        Some(Some(number))
    }
}

struct Booleans {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Sink for Booleans {
    fn null(&mut self) {
        self.values.append(false);
        self.nulls.append_null();
    }

    fn value(&mut self, text: &[u8]) -> Option<Option<f64>> {
        self.values.append(values::boolean(text)?);
        self.nulls.append_non_null();
        Some(None)
    }
}

struct Strings {
    text: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Strings {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            text: Vec::with_capacity(rows * 8),
            offsets,
            nulls: NullBufferBuilder::new(rows),
        }
    }

    fn end(&mut self) {
        // A block is at most 512 MiB long, so this fits.
        self.offsets.push(self.text.len() as i32);
    }

    fn finish(mut self) -> Result<StringArray, TabularError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        StringArray::try_new(offsets, Buffer::from_vec(self.text), self.nulls.finish())
            .map_err(|e| TabularError::Internal(format!("text column: {e}")))
    }
}

impl Sink for Strings {
    #[inline]
    fn null(&mut self) {
        self.end();
        self.nulls.append_null();
    }

    #[inline]
    fn value(&mut self, text: &[u8]) -> Option<Option<f64>> {
        self.text.extend_from_slice(text);
        self.end();
        self.nulls.append_non_null();
        Some(None)
    }
}

/// Only looks.
struct Checked(ColumnType);

impl Sink for Checked {
    fn null(&mut self) {}

    fn value(&mut self, text: &[u8]) -> Option<Option<f64>> {
        match self.0 {
            ColumnType::Int64 => values::int(text).map(|v| Some(v as f64)),
            ColumnType::Float64 => values::float(text).map(Some),
            ColumnType::Boolean => values::boolean(text).map(|_| None),
            ColumnType::Date => instants::date(text).map(|_| None),
            ColumnType::Timestamp => instant(text, false).map(|_| None),
            ColumnType::TimestampUtc => instant(text, true).map(|_| None),
            ColumnType::String => Some(None),
        }
    }
}
