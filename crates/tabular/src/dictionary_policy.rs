//! Whether a Parquet column pays for a dictionary, judged from a sample of its first row group.
//!
//! With a dictionary, every value is hashed and looked up (25 ns and more); where most values
//! differ, that time buys nothing, and the encoder falls back to plain pages half-way. So the
//! encoded size is estimated both ways and the dictionary must win clearly.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use hashbrown::HashMap;

/// Values looked at, evenly spaced over the row group so that sorted columns show their range.
const SAMPLE_VALUES: usize = 4_096;
/// A dictionary must bring the pages, before compression, below this part of the plain ones.
const WORTHWHILE: f64 = 0.7;
/// Bytes of the narrowest fixed-width value but booleans in Parquet: there are no shorter integers.
const NARROWEST_BYTES: usize = 4;
/// Parquet's limit of a dictionary page, behind which the encoder falls back to plain pages.
const MAX_DICTIONARY_BYTES: f64 = 1024.0 * 1024.0;

/// What a sample says of a column.
#[derive(Debug, Clone, Copy)]
struct Sampled {
    /// Values that are not null.
    values: usize,
    /// Plain bytes of all of them.
    bytes: usize,
    /// Values that differ from one another.
    distinct: usize,
    /// Of these, the ones met once, and the ones met twice.
    once: usize,
    twice: usize,
}

impl Sampled {
    fn new<K>(seen: &HashMap<K, u32>, bytes: usize) -> Sampled {
        let met = |times| seen.values().filter(|&&n| n == times).count();
        Sampled {
            values: seen.values().map(|&n| n as usize).sum(),
            bytes,
            distinct: seen.len(),
            once: met(1),
            twice: met(2),
        }
    }
}

/// True when a dictionary pays for this column. `blocks` are its rows of the first row group.
pub(crate) fn pays(blocks: &[ArrayRef]) -> bool {
    let rows: usize = blocks.iter().map(|b| b.len()).sum();
    let step = rows.div_ceil(SAMPLE_VALUES).max(1);
    let Some(first) = blocks.first() else {
        return true;
    };
    let sampled = match first.data_type() {
        // Parquet knows no dictionary of booleans.
        DataType::Boolean => return false,
        DataType::Utf8 => texts(blocks, step, |b, row| {
            b.as_string::<i32>().value(row).as_bytes()
        }),
        DataType::LargeUtf8 => texts(blocks, step, |b, row| {
            b.as_string::<i64>().value(row).as_bytes()
        }),
        DataType::Utf8View => texts(blocks, step, |b, row| {
            b.as_string_view().value(row).as_bytes()
        }),
        DataType::Binary => texts(blocks, step, |b, row| b.as_binary::<i32>().value(row)),
        DataType::LargeBinary => texts(blocks, step, |b, row| b.as_binary::<i64>().value(row)),
        DataType::BinaryView => texts(blocks, step, |b, row| b.as_binary_view().value(row)),
        DataType::FixedSizeBinary(width) => {
            fixed(blocks, step, usize::try_from(*width).unwrap_or(0))
        }
        other => match other.primitive_width() {
            Some(width) => fixed(blocks, step, width),
            // Dictionaries, of which a dictionary is what one expects, and nested columns.
            None => return true,
        },
    };
    verdict(sampled, rows, step)
}

/// Rows of the sample as (block, row in block).
fn sampled_rows<B: Copy>(
    blocks: impl Iterator<Item = B>,
    rows_of: impl Fn(B) -> usize,
    step: usize,
) -> impl Iterator<Item = (B, usize)> {
    let mut start = 0;
    blocks.flat_map(move |block| {
        let first = (step - start % step) % step;
        let rows = rows_of(block);
        start += rows;
        (first..rows).step_by(step).map(move |row| (block, row))
    })
}

/// Values of one width are told apart by their bytes.
fn fixed(blocks: &[ArrayRef], step: usize, width: usize) -> Sampled {
    let data: Vec<_> = blocks.iter().map(|b| b.to_data()).collect();
    let mut seen: HashMap<&[u8], u32> = HashMap::with_capacity(SAMPLE_VALUES);
    let mut values = 0;
    for (block, row) in sampled_rows(blocks.iter().zip(&data), |(b, _)| b.len(), step) {
        let (column, data) = block;
        if column.is_valid(row) {
            let at = (data.offset() + row) * width;
            *seen
                .entry(&data.buffers()[0].as_slice()[at..at + width])
                .or_default() += 1;
            values += 1;
        }
    }
    Sampled::new(&seen, values * width.max(NARROWEST_BYTES))
}

fn texts<'a>(
    blocks: &'a [ArrayRef],
    step: usize,
    value: impl Fn(&'a ArrayRef, usize) -> &'a [u8],
) -> Sampled {
    let mut seen: HashMap<&[u8], u32> = HashMap::with_capacity(SAMPLE_VALUES);
    let mut bytes = 0;
    for (block, row) in sampled_rows(blocks.iter(), |b| b.len(), step) {
        if block.is_valid(row) {
            let text = value(block, row);
            *seen.entry(text).or_default() += 1;
            // A plain byte array carries its length in four bytes.
            bytes += text.len() + 4;
        }
    }
    Sampled::new(&seen, bytes)
}

/// Compares the bytes of the row group's pages with and without a dictionary.
fn verdict(sampled: Sampled, rows: usize, step: usize) -> bool {
    if sampled.values == 0 {
        // Nothing but nulls: neither way costs anything; plain keeps the file free of empty pages.
        return false;
    }
    let width = sampled.bytes as f64 / sampled.values as f64;
    let values = (sampled.values * step).min(rows) as f64;
    let distinct = distinct_in_all(sampled, values);
    let dictionary = distinct * width;
    let index = values * (distinct.max(2.0).log2().ceil() / 8.0);
    dictionary <= MAX_DICTIONARY_BYTES && dictionary + index < WORTHWHILE * values * width
}

/// The distinct values among `values`, from those met in the sample: Chao's estimator (A. Chao,
/// 1984, bias-corrected), which adds those never met by how many were met once and twice. It holds
/// for even columns and for those where a few values are common and the rest are rare.
fn distinct_in_all(sampled: Sampled, values: f64) -> f64 {
    let (once, twice) = (sampled.once as f64, sampled.twice as f64);
    let met = sampled.distinct as f64;
    if values <= sampled.values as f64 {
        return met;
    }
    let never_met = once * (once - 1.0).max(0.0) / (2.0 * (twice + 1.0));
    (met + never_met).min(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use std::sync::Arc;

    use arrow_array::types::Int64Type;
    use arrow_array::{
        BooleanArray, Decimal128Array, Float64Array, Int16Array, Int64Array, StringArray,
        StringViewArray,
    };

    use super::*;

    fn ints(values: impl Iterator<Item = i64>) -> Vec<ArrayRef> {
        let all = Int64Array::from_iter_values(values);
        // Several blocks, so that the sample crosses their edges.
        (0..all.len())
            .step_by(10_000)
            .map(|at| Arc::new(all.slice(at, 10_000.min(all.len() - at))) as ArrayRef)
            .collect()
    }

    /// A scrambled but fixed sequence.
    fn noise(i: i64) -> i64 {
        (i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64))
            .rotate_left(31)
            .wrapping_mul(0x94d0_49bb)
            >> 1
    }

    #[test]
    fn few_values_pay_and_many_do_not() {
        assert!(pays(&ints((0..131_072).map(|i| noise(i) % 50))));
        assert!(
            pays(&ints((0..131_072).map(|i| noise(i) % 10_000))),
            "a foreign key"
        );
        assert!(!pays(&ints(0..131_072)), "a row number");
        assert!(
            !pays(&ints((0..131_072).map(|i| i / 4))),
            "a sorted key, each four times"
        );
        assert!(!pays(&ints((0..131_072).map(|i| noise(i) % 200_000))));
    }

    #[test]
    fn sample_is_spread_over_all_blocks() {
        // Constant at first, then all different: the first rows alone would mislead.
        assert!(!pays(&ints((0..131_072).map(|i| if i < 8_000 {
            1
        } else {
            i
        }))));
        let rows: Vec<ArrayRef> = ints(0..25_000);
        let picked: Vec<usize> = sampled_rows(rows.iter(), |b| b.len(), 7)
            .map(|(b, r)| b.as_primitive::<Int64Type>().value(r) as usize)
            .collect();
        assert_eq!(picked, (0..25_000).step_by(7).collect::<Vec<_>>());
    }

    #[test]
    fn each_type_is_judged() {
        let text = |f: fn(i64) -> String| {
            vec![Arc::new(StringArray::from_iter_values((0..20_000).map(f))) as ArrayRef]
        };
        assert!(pays(&text(|i| format!("carrier {}", i % 16))));
        assert!(!pays(&text(|i| format!("comment {i}"))));
        let floats = |f: fn(i64) -> f64| {
            vec![Arc::new(Float64Array::from_iter_values((0..20_000).map(f))) as ArrayRef]
        };
        assert!(pays(&floats(|i| (i % 11) as f64 / 100.0)));
        assert!(!pays(&floats(|i| i as f64 * 1.000_1)));
        let narrow: fn(i64) -> i16 = |i| (i % 30_000) as i16;
        let narrow = Int16Array::from_iter_values((0..20_000).map(narrow));
        assert!(!pays(&[Arc::new(narrow.slice(7, 19_000)) as ArrayRef]));
        let views = |n: i64| {
            let text = (0..20_000).map(|i| format!("a text longer than a view {}", i % n));
            vec![Arc::new(StringViewArray::from_iter_values(text)) as ArrayRef]
        };
        assert!(pays(&views(9)) && !pays(&views(20_000)));
        let money = |n: i64| {
            let cents = (0..20_000).map(|i| i128::from(noise(i) % n));
            vec![Arc::new(Decimal128Array::from_iter_values(cents)) as ArrayRef]
        };
        assert!(pays(&money(100)) && !pays(&money(1 << 40)));
        assert!(!pays(&[
            Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef
        ]));
        assert!(!pays(&[
            Arc::new(Int64Array::from(vec![None::<i64>; 9])) as ArrayRef
        ]));
        assert!(!pays(&ints(0..3)), "three rows");
    }
}
