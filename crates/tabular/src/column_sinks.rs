//! What takes the cells of a column and makes an array of them.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::error::TabularError;
use crate::instants;
use crate::records::{EIGHT, EightSpans, Span};
use crate::schema::ColumnType;
use crate::values;

/// Values, and a bit for each that is one; the others mean nothing.
pub(crate) type Eight<T> = ([T; EIGHT], u8);

/// Takes the cells of one column, each row's once, in order.
pub(crate) trait Sink {
    /// Takes a cell that is a value at a glance; false for one that has to be looked at. Empty cells
    /// are none.
    #[inline]
    fn take(&mut self, _row: usize, _block: &[u8], _span: Span) -> bool {
        false
    }

    /// Takes those of eight cells, from `row` on, that are values at a glance, and has a bit set for each;
    /// none where they have to be taken one by one.
    #[inline]
    fn take_eight(&mut self, _row: usize, _block: &[u8], _spans: EightSpans<'_>) -> Option<u8> {
        None
    }

    fn null(&mut self, row: usize);

    /// Takes the value, and gives it as a number where it is one; none if the text is of another
    /// type, which is then not taken.
    fn value(&mut self, row: usize, text: &[u8]) -> Option<Option<f64>>;

    fn finish(self) -> Result<ArrayRef, TabularError>;
}

/// The rows that are null, of all. Where there are none, as in most columns, nothing is done a row.
struct Nulls {
    rows: usize,
    nulls: Vec<usize>,
}

impl Nulls {
    fn of(rows: usize) -> Self {
        Self {
            rows,
            nulls: Vec::new(),
        }
    }

    fn finish(self) -> Option<NullBuffer> {
        if self.nulls.is_empty() {
            return None;
        }
        let mut valid = BooleanBufferBuilder::new(self.rows);
        valid.append_n(self.rows, true);
        for row in self.nulls {
            valid.set_bit(row, false);
        }
        Some(NullBuffer::new(valid.finish()))
    }
}

/// How to read values of a block at a glance: one, and eight if there is a way.
pub(crate) struct Glance<O, E> {
    pub(crate) one: O,
    pub(crate) eight: E,
}

/// There is no way for eight.
pub(crate) fn one_by_one<T>(_block: &[u8], _spans: EightSpans<'_>) -> Option<Eight<T>> {
    None
}

/// A number from the bytes of a block, in two ways: at a glance, or surely, then also as a double.
struct Numbers<T: ArrowPrimitiveType, O, E, P> {
    /// Zero where there is none yet.
    values: Vec<T::Native>,
    nulls: Nulls,
    data_type: DataType,
    glance: Glance<O, E>,
    parse: P,
}

impl<T, O, E, P> Numbers<T, O, E, P>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8]) -> Option<(T::Native, f64)>,
{
    fn new(rows: usize, glance: Glance<O, E>, parse: P) -> Self {
        Self {
            values: vec![T::default_value(); rows],
            nulls: Nulls::of(rows),
            data_type: T::DATA_TYPE,
            glance,
            parse,
        }
    }
}

impl<T, O, E, P> Sink for Numbers<T, O, E, P>
where
    T: ArrowPrimitiveType,
    O: Fn(&[u8], usize, usize) -> Option<T::Native>,
    E: Fn(&[u8], EightSpans<'_>) -> Option<Eight<T::Native>>,
    P: Fn(&[u8]) -> Option<(T::Native, f64)>,
{
    #[inline(always)]
    fn take(&mut self, row: usize, block: &[u8], span: Span) -> bool {
        let (start, end) = span.range();
        match (self.glance.one)(block, start as usize, end as usize) {
            Some(value) => {
                self.values[row] = value;
                true
            }
            None => false,
        }
    }

    #[inline(always)]
    fn take_eight(&mut self, row: usize, block: &[u8], spans: EightSpans<'_>) -> Option<u8> {
        let (values, known) = (self.glance.eight)(block, spans)?;
        // What is no value is written over, as a value or as null.
        self.values[row..row + EIGHT].copy_from_slice(&values);
        Some(known)
    }

    fn null(&mut self, row: usize) {
        self.values[row] = T::default_value();
        self.nulls.nulls.push(row);
    }

    fn value(&mut self, row: usize, text: &[u8]) -> Option<Option<f64>> {
        let (value, number) = (self.parse)(text)?;
        self.values[row] = value;
        Some(Some(number))
    }

    fn finish(self) -> Result<ArrayRef, TabularError> {
        let values = ScalarBuffer::from(self.values);
        let array = PrimitiveArray::<T>::new(values, self.nulls.finish());
        Ok(Arc::new(array.with_data_type(self.data_type)))
    }
}

pub(crate) fn integers(
    rows: usize,
    glance: Glance<
        impl Fn(&[u8], usize, usize) -> Option<i64>,
        impl Fn(&[u8], EightSpans<'_>) -> Option<Eight<i64>>,
    >,
) -> impl Sink {
    let parse = |text: &[u8]| values::int(text).map(|v| (v, v as f64));
    Numbers::<Int64Type, _, _, _>::new(rows, glance, parse)
}

/// Any number that is near enough to a double, as a contract takes it; `kept`, only what a double
/// holds unchanged.
pub(crate) fn floats(
    rows: usize,
    kept: bool,
    glance: Glance<
        impl Fn(&[u8], usize, usize) -> Option<f64>,
        impl Fn(&[u8], EightSpans<'_>) -> Option<Eight<f64>>,
    >,
) -> impl Sink {
    let parse = move |text: &[u8]| {
        let value = if kept {
            values::kept_float(text)
        } else {
            values::float(text)
        };
        value.map(|v| (v, v))
    };
    Numbers::<Float64Type, _, _, _>::new(rows, glance, parse)
}

pub(crate) fn dates(
    rows: usize,
    glance: Glance<
        impl Fn(&[u8], usize, usize) -> Option<i32>,
        impl Fn(&[u8], EightSpans<'_>) -> Option<Eight<i32>>,
    >,
) -> impl Sink {
    let parse = |text: &[u8]| instants::date(text).map(|v| (v, f64::from(v)));
    Numbers::<Date32Type, _, _, _>::new(rows, glance, parse)
}

pub(crate) fn timestamps(rows: usize, zoned: bool) -> impl Sink {
    let of = move |text: &[u8]| {
        let (value, with_zone) = instants::instant(text)?;
        (with_zone == zoned).then_some(value)
    };
    let glance = Glance {
        one: move |block: &[u8], start: usize, end: usize| of(&block[start..end]),
        eight: one_by_one,
    };
    let parse = move |text: &[u8]| of(text).map(|v| (v, v as f64));
    let mut sink = Numbers::<TimestampMicrosecondType, _, _, _>::new(rows, glance, parse);
    if zoned {
        sink.data_type = ColumnType::TimestampUtc.to_arrow();
    }
    sink
}

/// `true` and `false`.
pub(crate) struct Booleans {
    /// False where there is none yet.
    values: BooleanBufferBuilder,
    nulls: Nulls,
}

impl Booleans {
    pub(crate) fn new(rows: usize) -> Self {
        let mut values = BooleanBufferBuilder::new(rows);
        values.append_n(rows, false);
        Self {
            values,
            nulls: Nulls::of(rows),
        }
    }
}

impl Sink for Booleans {
    #[inline]
    fn take(&mut self, row: usize, block: &[u8], span: Span) -> bool {
        self.value(row, span.bytes(block)).is_some()
    }

    fn null(&mut self, row: usize) {
        self.nulls.nulls.push(row);
    }

    fn value(&mut self, row: usize, text: &[u8]) -> Option<Option<f64>> {
        self.values.set_bit(row, values::boolean(text)?);
        Some(None)
    }

    fn finish(mut self) -> Result<ArrayRef, TabularError> {
        let array = BooleanArray::new(self.values.finish(), self.nulls.finish());
        Ok(Arc::new(array))
    }
}

/// Bytes that are copied at once, beyond the end of a short text, whose length is hard to guess.
const STRIDE: usize = 64;

/// Bytes that are made zeros at a time, to be written over before they leave the core's first cache.
const CLEARED: usize = 4 << 10;

/// Text as it is.
pub(crate) struct Strings {
    /// Beyond `len` are bytes that were copied too many, and zeros.
    text: Vec<u8>,
    len: usize,
    /// The end of each row's text, after the first's start; those to come are zero.
    offsets: Vec<i32>,
    nulls: Nulls,
}

impl Strings {
    /// For so many rows, of together about so many bytes.
    pub(crate) fn new(rows: usize, bytes: usize) -> Self {
        Self {
            text: Vec::with_capacity(bytes + STRIDE),
            len: 0,
            offsets: vec![0; rows + 1],
            nulls: Nulls::of(rows),
        }
    }

    #[inline(always)]
    fn end(&mut self, row: usize, len: usize) {
        self.len = len;
        // A block is at most 512 MiB long, so this fits.
        self.offsets[row + 1] = len as i32;
    }

    /// Room for a stride.
    #[inline(always)]
    fn reserve(&mut self) {
        let needed = self.len + STRIDE;
        if self.text.len() < needed {
            self.clear(needed);
        }
    }

    /// Zeros up to `needed`, and some beyond it as far as there is memory already.
    #[inline(never)]
    fn clear(&mut self, needed: usize) {
        let most = self.text.capacity().max(needed);
        self.text.resize(most.min(needed + CLEARED), 0);
    }

    fn push(&mut self, row: usize, text: &[u8]) {
        let end = self.len + text.len();
        match self.text.get_mut(self.len..end) {
            Some(room) => room.copy_from_slice(text),
            None => {
                self.text.truncate(self.len);
                self.text.extend_from_slice(text);
            }
        }
        self.end(row, end);
    }
}

impl Sink for Strings {
    #[inline(always)]
    fn take(&mut self, row: usize, block: &[u8], span: Span) -> bool {
        if span.is_escaped() || span.is_bare_empty() {
            return false;
        }
        let (start, end) = span.range();
        let (start, len) = (start as usize, (end - start) as usize);
        if len <= STRIDE
            && let Some(source) = block[start..].first_chunk::<STRIDE>()
        {
            self.reserve();
            if let Some(target) = self.text[self.len..].first_chunk_mut() {
                *target = *source;
            }
            self.end(row, self.len + len);
        } else {
            self.push(row, &block[start..start + len]);
        }
        true
    }

    fn null(&mut self, row: usize) {
        self.end(row, self.len);
        self.nulls.nulls.push(row);
    }

    fn value(&mut self, row: usize, text: &[u8]) -> Option<Option<f64>> {
        self.push(row, text);
        Some(None)
    }

    fn finish(mut self) -> Result<ArrayRef, TabularError> {
        self.text.truncate(self.len);
        check_text(&self.text, &self.offsets)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let text = Buffer::from_vec(self.text);
        #[expect(
            unsafe_code,
            reason = "arrow's own check takes a fifth of the time of text"
        )]
        // SAFETY: the text is UTF-8 and each offset is at a character's start, which was just checked;
        // `OffsetBuffer::new` has checked that offsets never decrease and end with the text, and there
        // is a null bit for each.
        let array = unsafe { StringArray::new_unchecked(offsets, text, self.nulls.finish()) };
        Ok(Arc::new(array))
    }
}

/// Whether the text is UTF-8, and each offset in it the start of a character or the text's end.
fn check_text(text: &[u8], offsets: &[i32]) -> Result<(), TabularError> {
    let valid = simdutf8::basic::from_utf8(text).is_ok()
        && offsets
            .last()
            .is_some_and(|&end| end as usize == text.len());
    // A byte that goes on with a character is 0b10xx_xxxx, the least of all as a signed one.
    let starts = |&at: &i32| {
        text.get(at as usize)
            .is_none_or(|&byte| byte as i8 >= -0x40)
    };
    if valid && (text.is_ascii() || offsets.iter().all(starts)) {
        return Ok(());
    }
    Err(TabularError::Internal(
        "a text column would not be UTF-8".into(),
    ))
}

/// Nothing but nulls; any value is of another type.
pub(crate) struct Empties {
    rows: usize,
}

impl Empties {
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows }
    }
}

impl Sink for Empties {
    fn null(&mut self, _row: usize) {}

    fn value(&mut self, _row: usize, _text: &[u8]) -> Option<Option<f64>> {
        None
    }

    fn finish(self) -> Result<ArrayRef, TabularError> {
        Ok(Arc::new(StringArray::new_null(self.rows)))
    }
}

/// Only looks.
pub(crate) struct Checked(pub(crate) ColumnType);

impl Sink for Checked {
    fn null(&mut self, _row: usize) {}

    fn value(&mut self, _row: usize, text: &[u8]) -> Option<Option<f64>> {
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
