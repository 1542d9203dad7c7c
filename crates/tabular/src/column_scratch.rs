//! Memory that a thread encodes column chunks in, one after the other.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

use crate::column_values::FixedValue;
use crate::dictionary::FixedDictionary;
use crate::page_buffer::PageBuffer;
use crate::page_codec::PageCodec;
use crate::pages::{Piece, write_levels};
use crate::text_dictionary::TextDictionary;

/// Bytes that a thread keeps of each of its buffers between column chunks.
pub(crate) const KEPT_BYTES: usize = 4 << 20;

/// Memory of a thread that encodes column chunks.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) page: PageBuffer,
    pub(crate) codec: PageCodec,
    validity: Option<BooleanBufferBuilder>,
    pub(crate) fixed: FixedDictionary,
    pub(crate) text: TextDictionary,
    /// Places of the chunk's values in its dictionary.
    pub(crate) numbers: Vec<u32>,
    /// A dictionary page.
    pub(crate) bytes: Vec<u8>,
    dense_i32: Vec<i32>,
    dense_i64: Vec<i64>,
    dense_f32: Vec<f32>,
    dense_f64: Vec<f64>,
}

/// A fixed-width type's memory for values that were not side by side.
pub(crate) trait Dense: FixedValue {
    fn dense(scratch: &mut Scratch) -> &mut Vec<Self>;
}

macro_rules! dense {
    ($native:ty, $field:ident) => {
        impl Dense for $native {
            fn dense(scratch: &mut Scratch) -> &mut Vec<$native> {
                &mut scratch.$field
            }
        }
    };
}

dense!(i32, dense_i32);
dense!(i64, dense_i64);
dense!(f32, dense_f32);
dense!(f64, dense_f64);

impl Scratch {
    /// Begins a page: with its definition levels, if the column may have nulls.
    pub(crate) fn begin_page<'a>(
        &mut self,
        nullable: bool,
        pieces: &[Piece],
        nulls: usize,
        nulls_of: impl Fn(usize) -> Option<&'a NullBuffer>,
    ) {
        self.page.clear();
        if nullable {
            let new = || BooleanBufferBuilder::new(0);
            let validity = self.validity.get_or_insert_with(new);
            write_levels(pieces, nulls, nulls_of, validity, &mut self.page);
        }
    }

    /// Gives memory back that only an unusual column needed.
    pub(crate) fn shrink(&mut self) {
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
