//! Values as Parquet's statistics see them: their order, their bytes, their extremes.

use std::cmp::Ordering;

use arrow_buffer::ArrowNativeType;
use parquet::basic::Type;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

/// Values side by side in a loop that the compiler turns into vector operations.
const LANES: usize = 8;

/// What is known of a page's values that are not null. Of floating-point ones, NaN is an extreme
/// only if there is nothing else, and -0 is below +0 (IEEE 754 totalOrder, which is the order that
/// the footer names).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extremes<V> {
    /// The least and the greatest, if there are values.
    pub(crate) bounds: Option<(V, V)>,
    /// Values that are no number; 0 for types that know none.
    pub(crate) nans: u64,
}

/// A value with an order in Parquet.
pub(crate) trait ColumnValue: Copy {
    /// The type in the file.
    const PHYSICAL: Type;
    /// Whether NaN is counted.
    const FLOATING: bool = false;

    /// The order of statistics.
    fn order(self, other: Self) -> Ordering;

    /// True for what statistics leave out.
    fn is_nan(self) -> bool {
        false
    }

    /// Plain encoding, without the length of byte arrays.
    fn to_bytes(self) -> Vec<u8>;

    /// Statistics of a column chunk. `bounds` holds the bytes of least and greatest and whether
    /// each is a value that occurs.
    fn statistics(
        bounds: Option<(Self, Self)>,
        cut: Option<[(Vec<u8>, bool); 2]>,
        nulls: u64,
        nans: Option<u64>,
    ) -> Statistics;
}

/// A value of fixed width.
pub(crate) trait FixedValue: ColumnValue + ArrowNativeType {
    /// Equal for equal values only, NaN and -0 by their bits.
    fn bits(self) -> u64;

    /// Appends the value that has these bits.
    fn push_bits(bits: u64, out: &mut Vec<u8>);

    /// Where it lies above `least` in steps of one, for integers only.
    fn steps_above(self, least: Self) -> Option<u64>;

    /// Extremes of values, none of them null.
    fn extremes(values: &[Self]) -> Extremes<Self>;
}

macro_rules! fixed_statistics {
    ($physical:ident, $kind:ident) => {
        const PHYSICAL: Type = Type::$physical;

        fn to_bytes(self) -> Vec<u8> {
            self.to_le_bytes().to_vec()
        }

        fn statistics(
            bounds: Option<(Self, Self)>,
            _: Option<[(Vec<u8>, bool); 2]>,
            nulls: u64,
            nans: Option<u64>,
        ) -> Statistics {
            let (min, max) = bounds.unzip();
            Statistics::$kind(
                ValueStatistics::new(min, max, None, Some(nulls), false)
                    .with_nan_count(nans)
                    // Old readers know these orders by the deprecated fields.
                    .with_backwards_compatible_min_max(!Self::FLOATING),
            )
        }
    };
}

macro_rules! integer {
    ($native:ty, $unsigned:ty, $physical:ident, $kind:ident) => {
        impl ColumnValue for $native {
            fixed_statistics!($physical, $kind);

            fn order(self, other: Self) -> Ordering {
                self.cmp(&other)
            }
        }

        impl FixedValue for $native {
            #[inline(always)]
            fn bits(self) -> u64 {
                u64::from(self.cast_unsigned())
            }

            fn push_bits(bits: u64, out: &mut Vec<u8>) {
                out.extend_from_slice(&(bits as $unsigned).to_le_bytes());
            }

            #[inline(always)]
            fn steps_above(self, least: Self) -> Option<u64> {
                Some(u64::from(
                    self.cast_unsigned().wrapping_sub(least.cast_unsigned()),
                ))
            }

            fn extremes(values: &[Self]) -> Extremes<Self> {
                let (mut least, mut most) = ([Self::MAX; LANES], [Self::MIN; LANES]);
                let (lanes, tail) = values.as_chunks::<LANES>();
                for values in lanes {
                    for i in 0..LANES {
                        least[i] = least[i].min(values[i]);
                        most[i] = most[i].max(values[i]);
                    }
                }
                let least = least.iter().chain(tail).min();
                let most = most.iter().chain(tail).max();
                let bounds = least.copied().zip(most.copied());
                Extremes {
                    bounds: bounds.filter(|_| !values.is_empty()),
                    nans: 0,
                }
            }
        }
    };
}

integer!(i32, u32, INT32, Int32);
integer!(i64, u64, INT64, Int64);

macro_rules! floating {
    ($native:ty, $unsigned:ty, $physical:ident, $kind:ident) => {
        impl ColumnValue for $native {
            fixed_statistics!($physical, $kind);
            const FLOATING: bool = true;

            fn order(self, other: Self) -> Ordering {
                self.total_cmp(&other)
            }

            fn is_nan(self) -> bool {
                self.is_nan()
            }
        }

        impl FixedValue for $native {
            #[inline(always)]
            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }

            fn push_bits(bits: u64, out: &mut Vec<u8>) {
                out.extend_from_slice(&(bits as $unsigned).to_le_bytes());
            }

            #[inline(always)]
            fn steps_above(self, _: Self) -> Option<u64> {
                None
            }

            fn extremes(values: &[Self]) -> Extremes<Self> {
                let mut least = [Self::INFINITY; LANES];
                let mut most = [Self::NEG_INFINITY; LANES];
                let mut nans = [0 as $unsigned; LANES];
                let mut take = |values: &[Self]| {
                    for (i, &v) in values.iter().enumerate() {
                        // False for NaN, and as the vector operation has it.
                        least[i] = if v < least[i] { v } else { least[i] };
                        most[i] = if v > most[i] { v } else { most[i] };
                        nans[i] += <$unsigned>::from(v.is_nan());
                    }
                };
                let (lanes, tail) = values.as_chunks::<LANES>();
                lanes.iter().for_each(|values| take(values));
                take(tail);
                let nans = nans.iter().map(|&n| u64::from(n)).sum::<u64>();
                if nans == values.len() as u64 {
                    let least = values.iter().copied().min_by(Self::total_cmp);
                    let most = values.iter().copied().max_by(Self::total_cmp);
                    let bounds = least.zip(most);
                    return Extremes { bounds, nans };
                }
                let least = least.into_iter().fold(Self::INFINITY, Self::min);
                let most = most.into_iter().fold(Self::NEG_INFINITY, Self::max);
                let has = |zero: Self| values.iter().any(|v| v.to_bits() == zero.to_bits());
                let signed = |extreme: Self, zero: Self| match extreme == 0.0 {
                    true if has(zero) => zero,
                    true => -zero,
                    false => extreme,
                };
                let bounds = Some((signed(least, -0.0), signed(most, 0.0)));
                Extremes { bounds, nans }
            }
        }
    };
}

floating!(f32, u32, FLOAT, Float);
floating!(f64, u64, DOUBLE, Double);

impl ColumnValue for bool {
    const PHYSICAL: Type = Type::BOOLEAN;

    fn order(self, other: Self) -> Ordering {
        self.cmp(&other)
    }

    fn to_bytes(self) -> Vec<u8> {
        vec![u8::from(self)]
    }

    fn statistics(
        bounds: Option<(Self, Self)>,
        _: Option<[(Vec<u8>, bool); 2]>,
        nulls: u64,
        _: Option<u64>,
    ) -> Statistics {
        let (min, max) = bounds.unzip();
        // Unsigned, which the deprecated fields cannot say.
        Statistics::Boolean(ValueStatistics::new(min, max, None, Some(nulls), false))
    }
}

impl ColumnValue for &[u8] {
    const PHYSICAL: Type = Type::BYTE_ARRAY;

    fn order(self, other: Self) -> Ordering {
        self.cmp(other)
    }

    fn to_bytes(self) -> Vec<u8> {
        self.to_vec()
    }

    fn statistics(
        _: Option<(Self, Self)>,
        cut: Option<[(Vec<u8>, bool); 2]>,
        nulls: u64,
        _: Option<u64>,
    ) -> Statistics {
        let (mut min, mut max, mut exact) = (None, None, (false, false));
        if let Some([(least, least_exact), (most, most_exact)]) = cut {
            min = Some(ByteArray::from(least));
            max = Some(ByteArray::from(most));
            exact = (least_exact, most_exact);
        }
        Statistics::ByteArray(
            ValueStatistics::new(min, max, None, Some(nulls), false)
                .with_min_is_exact(exact.0)
                .with_max_is_exact(exact.1),
        )
    }
}
