//! What the values of some rows of an Arrow array take in memory.

use arrow_array::cast::AsArray;
use arrow_array::types::ByteViewType;
use arrow_array::{Array, GenericByteViewArray, OffsetSizeTrait};
use arrow_schema::DataType;

/// Bytes that a byte view array keeps a value in, or its length and place.
const VIEW_BYTES: usize = 16;
/// For types that nothing is known of here.
const UNKNOWN_BYTES: usize = 16;

/// Bytes of the values of rows `from..to`, nulls counted as values are; of text and binary values
/// also their offsets or views, of lists and structs all that is in them. Values of a dictionary
/// count as their keys: the rest is shared.
///
/// The sum over ranges is that of the whole, so what is cut by it does not depend on how rows came
/// in batches.
pub(crate) fn value_bytes(array: &dyn Array, from: usize, to: usize) -> usize {
    let rows = to - from;
    match array.data_type() {
        DataType::Null => 0,
        DataType::Utf8 => text(array.as_string::<i32>().value_offsets(), from, to),
        DataType::LargeUtf8 => text(array.as_string::<i64>().value_offsets(), from, to),
        DataType::Binary => text(array.as_binary::<i32>().value_offsets(), from, to),
        DataType::LargeBinary => text(array.as_binary::<i64>().value_offsets(), from, to),
        DataType::Utf8View => views(array.as_string_view(), from, to),
        DataType::BinaryView => views(array.as_binary_view(), from, to),
        DataType::FixedSizeBinary(width) => rows * usize::try_from(*width).unwrap_or(0),
        DataType::Dictionary(key, _) => rows * key.primitive_width().unwrap_or(1),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            list_bytes(list.value_offsets(), list.values(), from, to)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            list_bytes(list.value_offsets(), list.values(), from, to)
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            list_bytes(map.value_offsets(), map.entries(), from, to)
        }
        DataType::FixedSizeList(_, n) => {
            let (list, n) = (array.as_fixed_size_list(), usize::try_from(*n).unwrap_or(0));
            value_bytes(list.values(), from * n, to * n)
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|c| value_bytes(c, from, to)).sum()
        }
        DataType::Boolean => rows,
        other => rows * other.primitive_width().unwrap_or(UNKNOWN_BYTES),
    }
}

fn between<O: OffsetSizeTrait>(offsets: &[O], from: usize, to: usize) -> usize {
    offsets[to].as_usize() - offsets[from].as_usize()
}

fn text<O: OffsetSizeTrait>(offsets: &[O], from: usize, to: usize) -> usize {
    between(offsets, from, to) + (to - from) * size_of::<O>()
}

/// A view holds the length in its lowest 32 bits (Arrow columnar format, variable-size binary
/// view layout).
fn views<T: ByteViewType + ?Sized>(
    array: &GenericByteViewArray<T>,
    from: usize,
    to: usize,
) -> usize {
    let lengths = array.views()[from..to].iter().map(|&v| v as u32 as usize);
    lengths.sum::<usize>() + (to - from) * VIEW_BYTES
}

fn list_bytes<O: OffsetSizeTrait>(
    offsets: &[O],
    values: &dyn Array,
    from: usize,
    to: usize,
) -> usize {
    let (first, last) = (offsets[from].as_usize(), offsets[to].as_usize());
    value_bytes(values, first, last) + (to - from) * size_of::<O>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{Decimal128Array, Int64Array, LargeStringArray, StringViewArray};

    use super::*;

    fn parts_make_the_whole(array: &dyn Array, whole: usize) {
        assert_eq!(value_bytes(array, 0, array.len()), whole);
        let one_by_one: usize = (0..array.len()).map(|i| value_bytes(array, i, i + 1)).sum();
        assert_eq!(one_by_one, whole);
        // A slice counts its own rows from its own start.
        let slice = array.slice(1, array.len() - 1);
        let rest = value_bytes(array, 1, array.len());
        assert_eq!(value_bytes(&slice, 0, slice.len()), rest);
    }

    #[test]
    fn counts_values_and_where_they_are() {
        parts_make_the_whole(&Int64Array::from(vec![Some(1), None, Some(3)]), 24);
        parts_make_the_whole(&Decimal128Array::from(vec![1, 2]), 32);
        let texts = ["", "four", "longer than twelve bytes"];
        parts_make_the_whole(&LargeStringArray::from_iter_values(texts), 28 + 3 * 8);
        parts_make_the_whole(&StringViewArray::from_iter_values(texts), 28 + 3 * 16);
        let mut lists = ListBuilder::new(StringBuilder::new());
        for list in [vec!["a", "bc"], vec![], vec!["def"]] {
            list.iter().for_each(|t| lists.values().append_value(t));
            lists.append(true);
        }
        parts_make_the_whole(&lists.finish(), 6 + 3 * 4 + 3 * 4);
    }
}
