//! What takes the cells of a column and makes an array of them.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::error::TabularError;
use crate::instants;
use crate::records::Span;
use crate::schema::ColumnType;
use crate::swar;
use crate::values;

/// Takes the cells of one column, in order.
pub(crate) trait Sink {
    /// Takes a cell that is a value at a glance; false for one that has to be looked at. Empty cells
    /// are none.
    #[inline]
    fn take(&mut self, _block: &[u8], _span: Span) -> bool {
        false
    }

    fn null(&mut self);

    /// Takes the value, and gives it as a number where it is one; none if the text is of another
    /// type, which is then not taken.
    fn value(&mut self, text: &[u8]) -> Option<Option<f64>>;

    fn finish(self) -> Result<ArrayRef, TabularError>;
}

/// A number from the bytes of a block, in two ways: at a glance, or surely, then also as a double.
pub(crate) struct Numbers<T: ArrowPrimitiveType, G, P> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    data_type: DataType,
    glance: G,
    parse: P,
}

impl<T, G, P> Numbers<T, G, P>
where
    T: ArrowPrimitiveType,
    G: Fn(&[u8], usize, usize) -> Option<T::Native>,
    P: Fn(&[u8]) -> Option<(T::Native, f64)>,
{
    fn new(rows: usize, glance: G, parse: P) -> Self {
        Self {
            values: Vec::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
            data_type: T::DATA_TYPE,
            glance,
            parse,
        }
    }
}

impl<T, G, P> Sink for Numbers<T, G, P>
where
    T: ArrowPrimitiveType,
    G: Fn(&[u8], usize, usize) -> Option<T::Native>,
    P: Fn(&[u8]) -> Option<(T::Native, f64)>,
{
    #[inline]
    fn take(&mut self, block: &[u8], span: Span) -> bool {
        let (start, end) = span.range();
        match (self.glance)(block, start as usize, end as usize) {
            Some(value) => {
                self.values.push(value);
                self.nulls.append_non_null();
                true
            }
            None => false,
        }
    }

    fn null(&mut self) {
        self.values.push(T::default_value());
        self.nulls.append_null();
    }

    fn value(&mut self, text: &[u8]) -> Option<Option<f64>> {
        let (value, number) = (self.parse)(text)?;
        self.values.push(value);
        self.nulls.append_non_null();
        Some(Some(number))
    }

    fn finish(mut self) -> Result<ArrayRef, TabularError> {
        let values = ScalarBuffer::from(self.values);
        let array = PrimitiveArray::<T>::new(values, self.nulls.finish());
        Ok(Arc::new(array.with_data_type(self.data_type)))
    }
}

pub(crate) fn integers(rows: usize) -> impl Sink {
    let parse = |text: &[u8]| values::int(text).map(|v| (v, v as f64));
    Numbers::<Int64Type, _, _>::new(rows, swar::int, parse)
}

/// Any number that is near enough to a double, as a contract takes it.
pub(crate) fn floats(rows: usize) -> impl Sink {
    let parse = |text: &[u8]| values::float(text).map(|v| (v, v));
    Numbers::<Float64Type, _, _>::new(rows, swar::decimal, parse)
}

/// Only what a double holds unchanged.
pub(crate) fn kept_floats(rows: usize) -> impl Sink {
    let parse = |text: &[u8]| values::kept_float(text).map(|v| (v, v));
    Numbers::<Float64Type, _, _>::new(rows, swar::decimal, parse)
}

pub(crate) fn dates(rows: usize) -> impl Sink {
    let glance = |block: &[u8], start: usize, end: usize| instants::date(&block[start..end]);
    let parse = |text: &[u8]| instants::date(text).map(|v| (v, f64::from(v)));
    Numbers::<Date32Type, _, _>::new(rows, glance, parse)
}

pub(crate) fn timestamps(rows: usize) -> impl Sink {
    instants_of(rows, false)
}

pub(crate) fn timestamps_utc(rows: usize) -> impl Sink {
    let mut sink = instants_of(rows, true);
    sink.data_type = ColumnType::TimestampUtc.to_arrow();
    sink
}

fn instants_of(
    rows: usize,
    zoned: bool,
) -> Numbers<
    TimestampMicrosecondType,
    impl Fn(&[u8], usize, usize) -> Option<i64>,
    impl Fn(&[u8]) -> Option<(i64, f64)>,
> {
    let of = move |text: &[u8]| {
        let (value, with_zone) = instants::instant(text)?;
        (with_zone == zoned).then_some(value)
    };
    let glance = move |block: &[u8], start: usize, end: usize| of(&block[start..end]);
    let parse = move |text: &[u8]| of(text).map(|v| (v, v as f64));
    Numbers::new(rows, glance, parse)
}

/// `true` and `false`.
pub(crate) struct Booleans {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Booleans {
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            values: BooleanBufferBuilder::new(rows),
            nulls: NullBufferBuilder::new(rows),
        }
    }
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

    fn finish(mut self) -> Result<ArrayRef, TabularError> {
        let array = BooleanArray::new(self.values.finish(), self.nulls.finish());
        Ok(Arc::new(array))
    }
}

/// Bytes that are copied at once: short texts are copied whole words at a time, beyond their end.
const STRIDE: usize = 16;

/// Text as it is.
pub(crate) struct Strings {
    /// Beyond `len` are bytes that were copied too many, and zeros.
    text: Vec<u8>,
    len: usize,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Strings {
    pub(crate) fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            text: vec![0; rows * 8 + STRIDE],
            len: 0,
            offsets,
            nulls: NullBufferBuilder::new(rows),
        }
    }

    #[inline]
    fn end(&mut self, len: usize) {
        self.len = len;
        // A block is at most 512 MiB long, so this fits.
        self.offsets.push(len as i32);
    }

    /// Room for so many bytes more, and a stride.
    #[inline]
    fn reserve(&mut self, bytes: usize) {
        let needed = self.len + bytes + STRIDE;
        if self.text.len() < needed {
            self.text.resize(needed * 2, 0);
        }
    }

    #[inline]
    fn push(&mut self, text: &[u8]) {
        self.reserve(text.len());
        self.text[self.len..][..text.len()].copy_from_slice(text);
        self.end(self.len + text.len());
    }
}

impl Sink for Strings {
    #[inline]
    fn take(&mut self, block: &[u8], span: Span) -> bool {
        if span.is_escaped() || span.is_bare_empty() {
            return false;
        }
        let (start, end) = span.range();
        let (start, len) = (start as usize, (end - start) as usize);
        let strides = len.div_ceil(STRIDE);
        match block.get(start..start + strides * STRIDE) {
            Some(source) if strides <= 4 => {
                self.reserve(len);
                let (source, _) = source.as_chunks::<STRIDE>();
                let (target, _) = self.text[self.len..].as_chunks_mut::<STRIDE>();
                for (target, source) in target.iter_mut().zip(source) {
                    *target = *source;
                }
                self.end(self.len + len);
            }
            _ => self.push(&block[start..start + len]),
        }
        self.nulls.append_non_null();
        true
    }

    fn null(&mut self) {
        self.end(self.len);
        self.nulls.append_null();
    }

    fn value(&mut self, text: &[u8]) -> Option<Option<f64>> {
        self.push(text);
        self.nulls.append_non_null();
        Some(None)
    }

    fn finish(mut self) -> Result<ArrayRef, TabularError> {
        self.text.truncate(self.len);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let text = Buffer::from_vec(self.text);
        let array = StringArray::try_new(offsets, text, self.nulls.finish())
            .map_err(|e| TabularError::Internal(format!("text column: {e}")))?;
        Ok(Arc::new(array))
    }
}

/// Nothing but nulls; any value is of another type.
pub(crate) struct Empties {
    rows: usize,
}

impl Empties {
    pub(crate) fn new() -> Self {
        Self { rows: 0 }
    }
}

impl Sink for Empties {
    fn null(&mut self) {
        self.rows += 1;
    }

    fn value(&mut self, _text: &[u8]) -> Option<Option<f64>> {
        None
    }

    fn finish(self) -> Result<ArrayRef, TabularError> {
        Ok(Arc::new(StringArray::new_null(self.rows)))
    }
}

/// Only looks.
pub(crate) struct Checked(pub(crate) ColumnType);

impl Sink for Checked {
    fn null(&mut self) {}

    fn value(&mut self, text: &[u8]) -> Option<Option<f64>> {
        let instant = |zoned| {
            let found = instants::instant(text).filter(|(_, z)| *z == zoned);
            found.map(|(v, _)| Some(v as f64))
        };
        match self.0 {
            ColumnType::Int64 => values::int(text).map(|v| Some(v as f64)),
            ColumnType::Float64 => values::float(text).map(Some),
            ColumnType::Boolean => values::boolean(text).map(|_| None),
            ColumnType::Date => instants::date(text).map(|_| None),
            ColumnType::Timestamp => instant(false),
            ColumnType::TimestampUtc => instant(true),
            ColumnType::String => Some(None),
        }
    }

    fn finish(self) -> Result<ArrayRef, TabularError> {
        Ok(Arc::new(StringArray::new_null(0)))
    }
}
