//! Whether a Parquet column pays for a dictionary, judged from a sample of its first row group.
//!
//! With a dictionary, every value is hashed and looked up (25 ns and more); where most values
//! differ, that time buys nothing, and the encoder falls back to plain pages half-way. So the
//! encoded size is estimated both ways and the dictionary must win clearly.

use std::collections::HashMap;
use std::hash::Hash;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float64Type, Int64Type, TimestampMicrosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};

/// Values looked at, evenly spaced over the row group so that sorted columns show their range.
const SAMPLE_VALUES: usize = 4_096;
/// A dictionary must bring the pages, before compression, below this part of the plain ones.
const WORTHWHILE: f64 = 0.7;
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
        DataType::Int64 => fixed::<Int64Type, _>(blocks, step, |v| v),
        DataType::UInt32 => fixed::<UInt32Type, _>(blocks, step, |v| v),
        DataType::UInt64 => fixed::<UInt64Type, _>(blocks, step, |v| v),
        DataType::Date32 => fixed::<Date32Type, _>(blocks, step, |v| v),
        DataType::Float64 => fixed::<Float64Type, _>(blocks, step, f64::to_bits),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            fixed::<TimestampMicrosecondType, _>(blocks, step, |v| v)
        }
        DataType::Utf8 => strings(blocks, step),
        _ => return true,
    };
    verdict(sampled, rows, step)
}

/// Rows of the sample as (block, row in block).
fn sampled_rows(blocks: &[ArrayRef], step: usize) -> impl Iterator<Item = (&ArrayRef, usize)> {
    let mut start = 0;
    blocks.iter().flat_map(move |block| {
        let first = (step - start % step) % step;
        start += block.len();
        (first..block.len())
            .step_by(step)
            .map(move |row| (block, row))
    })
}

fn fixed<T: ArrowPrimitiveType, K: Hash + Eq>(
    blocks: &[ArrayRef],
    step: usize,
    key: fn(T::Native) -> K,
) -> Sampled {
    let mut seen: HashMap<K, u32> = HashMap::with_capacity(SAMPLE_VALUES);
    let mut values = 0;
    for (block, row) in sampled_rows(blocks, step) {
        let column: &PrimitiveArray<T> = block.as_primitive();
        if column.is_valid(row) {
            *seen.entry(key(column.value(row))).or_default() += 1;
            values += 1;
        }
    }
    Sampled::new(&seen, values * size_of::<T::Native>())
}

fn strings(blocks: &[ArrayRef], step: usize) -> Sampled {
    let mut seen: HashMap<&str, u32> = HashMap::with_capacity(SAMPLE_VALUES);
    let mut bytes = 0;
    for (block, row) in sampled_rows(blocks, step) {
        let column = block.as_string::<i32>();
        if column.is_valid(row) {
            let text = column.value(row);
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

    use arrow_array::{BooleanArray, Float64Array, Int64Array, StringArray};

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
        let picked: Vec<usize> = sampled_rows(&rows, 7)
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
        assert!(!pays(&[
            Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef
        ]));
        assert!(!pays(&[
            Arc::new(Int64Array::from(vec![None::<i64>; 9])) as ArrayRef
        ]));
        assert!(!pays(&ints(0..3)), "three rows");
    }
}
