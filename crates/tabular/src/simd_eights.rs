//! The same as [`simd_digits`](crate::simd_digits) for eight cells at once, for x86-64 processors with
//! AVX-512 (F, BW, DQ, VL and VBMI).
//!
//! Each cell is the sixteen bytes that end with it: a quarter of a vector, four cells in the first and
//! four in the second of two. What is one number a cell is a word of a vector of eight. A cell that is
//! no value at a glance is only marked: the ways for one cell decide about it.

use std::arch::x86_64::{
    __m128i, __m256i, __m512d, __m512i, _mm_loadu_si128, _mm_set_epi64x, _mm_test_epi16_mask,
    _mm512_add_epi64, _mm512_adds_epu8, _mm512_and_si512, _mm512_castpd_si512,
    _mm512_castsi128_si512, _mm512_cmpeq_epi8_mask, _mm512_cmpeq_epi64_mask,
    _mm512_cmpge_epu8_mask, _mm512_cmpgt_epu8_mask, _mm512_cmpgt_epu64_mask,
    _mm512_cmple_epu8_mask, _mm512_cmplt_epu64_mask, _mm512_cvtepi64_epi32, _mm512_cvtepu64_pd,
    _mm512_div_pd, _mm512_inserti32x4, _mm512_madd_epi16, _mm512_maddubs_epi16,
    _mm512_mask_add_epi64, _mm512_mask_mov_epi8, _mm512_mask_sub_epi8, _mm512_mask_sub_epi64,
    _mm512_maskz_mov_epi8, _mm512_maskz_set1_epi64, _mm512_maskz_sub_epi8, _mm512_mul_epu32,
    _mm512_or_si512, _mm512_packus_epi32, _mm512_permutex2var_epi64, _mm512_permutex2var_pd,
    _mm512_permutexvar_epi8, _mm512_permutexvar_epi64, _mm512_sad_epu8, _mm512_set1_epi8,
    _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_epi8, _mm512_shuffle_epi32, _mm512_srli_epi64, _mm512_sub_epi8,
    _mm512_sub_epi64,
};

use crate::column_sinks::Eight;
use crate::records::{EIGHT, EightSpans, POSITION};
use crate::swar::POWERS_OF_TEN;

/// Bytes of a cell that are looked at.
const CELL: usize = 16;
/// The last byte of each cell of a vector.
const LAST: u64 = 0x8000_8000_8000_8000;

type Bytes = [u8; 64];

/// The same in each cell.
const fn each(cell: [u8; CELL]) -> Bytes {
    let mut bytes = [0; 64];
    let mut i = 0;
    while i < 64 {
        bytes[i] = cell[i % CELL];
        i += 1;
    }
    bytes
}

/// Places in a cell, and how far they are from its end.
const PLACES: Bytes = each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
const FROM_END: Bytes = each([16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);

/// The lowest byte of a cell's word of eight to all its bytes; cells of the first vector from word 0
/// on, those of the second from word 4 on.
const fn spread(first_word: u8) -> Bytes {
    let mut bytes = [0; 64];
    let mut i = 0;
    while i < 64 {
        bytes[i] = 8 * (first_word + (i / CELL) as u8);
        i += 1;
    }
    bytes
}

const SPREAD: [Bytes; 2] = [spread(0), spread(4)];

#[target_feature(enable = "avx512f")]
#[inline]
fn vector(bytes: Bytes) -> __m512i {
    #[expect(
        unsafe_code,
        reason = "put together from words, the vector takes eight loads"
    )]
    // SAFETY: both types are 64 bytes, and any bytes make a vector.
    unsafe {
        std::mem::transmute::<Bytes, __m512i>(bytes)
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn words(words: [u64; EIGHT]) -> __m512i {
    #[expect(unsafe_code, reason = "there is no other way from an array")]
    // SAFETY: both types are 64 bytes, and any words make a vector.
    unsafe {
        std::mem::transmute::<[u64; EIGHT], __m512i>(words)
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn to_words(vector: __m512i) -> [u64; EIGHT] {
    #[expect(unsafe_code, reason = "there is no other way to an array")]
    // SAFETY: both types are 64 bytes, and any bytes make words.
    unsafe {
        std::mem::transmute::<__m512i, [u64; EIGHT]>(vector)
    }
}

// Not by `map`: a function without these features would call what makes one of eight each time.

#[target_feature(enable = "avx512f")]
#[inline]
fn to_integers(vector: __m512i) -> [i64; EIGHT] {
    #[expect(unsafe_code, reason = "there is no other way to an array")]
    // SAFETY: both types are 64 bytes, and any bytes make integers.
    unsafe {
        std::mem::transmute::<__m512i, [i64; EIGHT]>(vector)
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn to_doubles(vector: __m512i) -> [f64; EIGHT] {
    #[expect(unsafe_code, reason = "there is no other way to an array")]
    // SAFETY: both types are 64 bytes, and any bytes make doubles.
    unsafe {
        std::mem::transmute::<__m512i, [f64; EIGHT]>(vector)
    }
}

/// The lower half of each word.
#[target_feature(enable = "avx512f")]
#[inline]
fn to_halves(vector: __m512i) -> [i32; EIGHT] {
    let halves = _mm512_cvtepi64_epi32(vector);
    #[expect(unsafe_code, reason = "there is no other way to an array")]
    // SAFETY: both types are 32 bytes, and any bytes make integers.
    unsafe {
        std::mem::transmute::<__m256i, [i32; EIGHT]>(halves)
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn doubles(values: [f64; EIGHT]) -> __m512d {
    #[expect(unsafe_code, reason = "there is no other way from an array")]
    // SAFETY: both types are 64 bytes, and any doubles make a vector.
    unsafe {
        std::mem::transmute::<[f64; EIGHT], __m512d>(values)
    }
}

/// Each cell's bytes and its length; none if one begins too near the block's beginning.
#[target_feature(enable = "avx512f")]
#[inline]
fn cells(block: &[u8], spans: EightSpans<'_>) -> Option<([__m512i; 2], __m512i)> {
    let fields = words(spans.words());
    let begin = _mm512_and_si512(fields, _mm512_set1_epi64(0xffff_ffff));
    let end = _mm512_srli_epi64::<32>(fields);
    let end = _mm512_and_si512(end, _mm512_set1_epi64(i64::from(POSITION)));
    let before = _mm512_cmplt_epu64_mask(end, _mm512_set1_epi64(CELL as i64));
    let behind = _mm512_cmpgt_epu64_mask(end, _mm512_set1_epi64(block.len() as i64));
    if before | behind != 0 {
        return None;
    }
    let ends = to_words(end);
    let cell = |number: usize| {
        #[expect(unsafe_code, reason = "eight bounds in two comparisons")]
        // SAFETY: the sixteen bytes before each end lie in the block, as was just checked.
        unsafe {
            _mm_loadu_si128(block.as_ptr().add(ends[number] as usize - CELL).cast())
        }
    };
    let first = four(cell(0), cell(1), cell(2), cell(3));
    let second = four(cell(4), cell(5), cell(6), cell(7));
    Some(([first, second], _mm512_sub_epi64(end, begin)))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn four(a: __m128i, b: __m128i, c: __m128i, d: __m128i) -> __m512i {
    let two = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
    _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(two, c), d)
}

/// The cells in which a bit for any byte is set.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn cells_of(first: u64, second: u64) -> u8 {
    let both = _mm_set_epi64x(second as i64, first as i64);
    _mm_test_epi16_mask(both, both)
}

/// The bytes above 9.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn no_digits(values: __m512i) -> u64 {
    _mm512_cmpgt_epu8_mask(values, _mm512_set1_epi8(9))
}

/// Four cells with their signs taken off.
struct Unsigned {
    /// Digits as their values, other bytes above 9; zeros before the text and in place of a sign.
    values: __m512i,
    /// Bytes that are a sign.
    sign: u64,
    /// Bytes behind one, or where the text begins.
    first: u64,
}

/// `begins` are the places where the texts begin, spread over the cells.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn unsigned(bytes: __m512i, begins: __m512i) -> Unsigned {
    let places = vector(PLACES);
    let text = _mm512_cmpge_epu8_mask(places, begins);
    let begin = _mm512_cmpeq_epi8_mask(places, begins);
    let sign = begin & _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b'-' as i8));
    let values = _mm512_maskz_sub_epi8(text, bytes, _mm512_set1_epi8(b'0' as i8));
    Unsigned {
        values: _mm512_mask_mov_epi8(values, sign, _mm512_setzero_si512()),
        sign,
        first: (begin & !sign) | (sign & !LAST) << 1,
    }
}

/// Eight cells with their signs taken off.
struct Numbers {
    halves: [Unsigned; 2],
    /// Bytes of the text without the sign.
    lens: __m512i,
    negative: u8,
    /// Cells without text, or with too much.
    wrong: u8,
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
#[inline]
fn numbers(bytes: [__m512i; 2], lens: __m512i) -> Numbers {
    let begins = _mm512_sub_epi64(_mm512_set1_epi64(CELL as i64), lens);
    let spread = |half: usize| _mm512_permutexvar_epi8(vector(SPREAD[half]), begins);
    let halves = [unsigned(bytes[0], spread(0)), unsigned(bytes[1], spread(1))];
    let negative = cells_of(halves[0].sign, halves[1].sign);
    let one = _mm512_set1_epi64(1);
    let lens = _mm512_mask_sub_epi64(lens, negative, lens, one);
    // Nothing is less than nothing here: a length of 0 becomes the greatest.
    let less = _mm512_sub_epi64(lens, one);
    let wrong = _mm512_cmpgt_epu64_mask(less, _mm512_set1_epi64(CELL as i64 - 1));
    Numbers {
        halves,
        lens,
        negative,
        wrong,
    }
}

/// Sixteen digits a cell as a number: pairs, fours, eights, all.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn numbers_of_16(digits: [__m512i; 2]) -> __m512i {
    let tens = _mm512_set1_epi16(0x010a);
    let hundreds = _mm512_set1_epi32(0x0001_0064);
    let thousands = _mm512_set1_epi32(0x0001_2710);
    let fours = |half| _mm512_madd_epi16(_mm512_maddubs_epi16(half, tens), hundreds);
    // In each quarter, a cell of the first half and then one of the second.
    let both = _mm512_packus_epi32(fours(digits[0]), fours(digits[1]));
    let eights = _mm512_madd_epi16(both, thousands);
    let eights = _mm512_permutexvar_epi64(words([0, 2, 4, 6, 1, 3, 5, 7]), eights);
    let high = _mm512_mul_epu32(eights, _mm512_set1_epi64(100_000_000));
    _mm512_add_epi64(high, _mm512_srli_epi64::<32>(eights))
}

/// Integers in their canonical form, as [`simd_digits::int`](crate::simd_digits::int).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
#[inline]
pub(crate) fn ints(block: &[u8], spans: EightSpans<'_>) -> Eight<i64> {
    let Some((bytes, lens)) = cells(block, spans) else {
        return ([0; EIGHT], 0);
    };
    let cells = numbers(bytes, lens);
    let [a, b] = &cells.halves;
    let wrong = cells.wrong | cells_of(no_int(a), no_int(b));
    let numbers = numbers_of_16([a.values, b.values]);
    let zero = _mm512_setzero_si512();
    let numbers = _mm512_mask_sub_epi64(numbers, cells.negative, zero, numbers);
    (to_integers(numbers), !wrong)
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn no_int(half: &Unsigned) -> u64 {
    let zeros = _mm512_cmpeq_epi8_mask(half.values, _mm512_setzero_si512());
    // A zero that is first is the only digit, and has no sign.
    let leading = zeros & half.first & (!LAST | half.sign << 1);
    leading | no_digits(half.values)
}

/// `-?digits[.digits]`, as [`simd_digits::decimal`](crate::simd_digits::decimal).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
#[inline]
pub(crate) fn decimals(block: &[u8], spans: EightSpans<'_>) -> Eight<f64> {
    let Some((bytes, lens)) = cells(block, spans) else {
        return ([0.0; EIGHT], 0);
    };
    let cells = numbers(bytes, lens);
    let (a, b) = (
        without_point(&cells.halves[0]),
        without_point(&cells.halves[1]),
    );
    let from_end = _mm512_permutex2var_epi64(a.from_end, words(EVEN), b.from_end);
    let one = _mm512_set1_epi64(1);
    let pointed = _mm512_cmpgt_epu64_mask(from_end, _mm512_setzero_si512());
    let count = _mm512_mask_sub_epi64(cells.lens, pointed, cells.lens, one);
    let fraction = _mm512_mask_sub_epi64(from_end, pointed, from_end, one);
    // Any 15 digits are a double, and so are these powers: the quotient is rounded once.
    let long = _mm512_cmpgt_epu64_mask(count, _mm512_set1_epi64(15));
    let values = _mm512_cvtepu64_pd(numbers_of_16([a.digits, b.digits]));
    let values = _mm512_div_pd(values, powers(fraction));
    let sign = _mm512_maskz_set1_epi64(cells.negative, i64::MIN);
    let values = _mm512_or_si512(_mm512_castpd_si512(values), sign);
    let wrong = cells.wrong | long | cells_of(a.wrong, b.wrong);
    (to_doubles(values), !wrong)
}

/// Four cells with their points taken out.
struct Pointless {
    digits: __m512i,
    /// How far the point was from the end, in both words of a cell; 0 is no point.
    from_end: __m512i,
    wrong: u64,
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn without_point(half: &Unsigned) -> Pointless {
    const POINT: i8 = b'.'.wrapping_sub(b'0') as i8;
    let (values, first) = (half.values, half.first);
    let (places, zero) = (vector(PLACES), _mm512_setzero_si512());
    let points = _mm512_cmpeq_epi8_mask(values, _mm512_set1_epi8(POINT));
    let leading = first & _mm512_cmpeq_epi8_mask(values, zero);
    let more_digits = (leading & !LAST) << 1 & !points;
    let sums = _mm512_sad_epu8(_mm512_maskz_mov_epi8(points, vector(FROM_END)), zero);
    let from_end = _mm512_add_epi64(sums, _mm512_shuffle_epi32::<0b01_00_11_10>(sums));
    // What comes before the point moves up by one, a zero comes in.
    let distance = _mm512_shuffle_epi8(from_end, zero);
    let distance = _mm512_sub_epi8(distance, _mm512_set1_epi8(1));
    let end = _mm512_set1_epi8(CELL as i8 - 1);
    let before = _mm512_cmple_epu8_mask(_mm512_adds_epu8(places, distance), end);
    let order = _mm512_mask_sub_epi8(places, before, places, _mm512_set1_epi8(1));
    let digits = _mm512_shuffle_epi8(values, order);
    // A second point is no digit.
    let wrong = more_digits | points & (LAST | first) | no_digits(digits);
    Pointless {
        digits,
        from_end,
        wrong,
    }
}

/// Of the words of two vectors, the first one of each cell.
const EVEN: [u64; EIGHT] = [0, 2, 4, 6, 8, 10, 12, 14];

/// Ten to the power of each word, 0 to 15.
#[target_feature(enable = "avx512f")]
#[inline]
fn powers(exponents: __m512i) -> __m512d {
    let (low, high) = POWERS_OF_TEN.split_at(EIGHT);
    let half = |half: &[f64]| half.first_chunk().copied().unwrap_or_default();
    _mm512_permutex2var_pd(doubles(half(low)), exponents, doubles(half(high)))
}

/// Days from 1970-01-01 of `YYYY-MM-DD`, as [`instants::date`](crate::instants::date).
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
pub(crate) fn dates(block: &[u8], spans: EightSpans<'_>) -> Eight<i32> {
    let Some((bytes, lens)) = cells(block, spans) else {
        return ([0; EIGHT], 0);
    };
    let (a, b) = (date_pairs(bytes[0]), date_pairs(bytes[1]));
    let pairs = _mm512_permutex2var_epi64(a.0, words(EVEN), b.0);
    let len = _mm512_cmpeq_epi64_mask(lens, _mm512_set1_epi64(10));
    let (days, valid) = days(pairs);
    let known = len & valid & !cells_of(a.1, b.1);
    (to_halves(days), known)
}

/// Of each cell four numbers of two digits, and the bytes that are no part of a date.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn date_pairs(bytes: __m512i) -> (__m512i, u64) {
    const HYPHEN: i8 = b'-'.wrapping_sub(b'0') as i8;
    /// Of the text's ten bytes the first is byte 6: `YYYY-MM-DD`.
    const HYPHENS: u64 = 0x2400_2400_2400_2400;
    const TEXT: u64 = 0xffc0_ffc0_ffc0_ffc0;
    const NONE: u8 = 0x80;
    const ORDER: Bytes = each([
        6, 7, 8, 9, 11, 12, 14, 15, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    ]);
    let values = _mm512_maskz_sub_epi8(TEXT, bytes, _mm512_set1_epi8(b'0' as i8));
    let hyphens = _mm512_cmpeq_epi8_mask(values, _mm512_set1_epi8(HYPHEN));
    let digits = _mm512_shuffle_epi8(values, vector(ORDER));
    let pairs = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(0x010a));
    (pairs, hyphens ^ HYPHENS | no_digits(digits))
}

/// Days from 1970-01-01, and whether the calendar has such a day, of four numbers of 16 bits each: the
/// centuries, the years in them, month and day.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn days(pairs: __m512i) -> (__m512i, u8) {
    let number = _mm512_set1_epi64;
    let low = |v| _mm512_and_si512(v, number(0xffff));
    let century = _mm512_mul_epu32(low(pairs), number(100));
    let year = _mm512_add_epi64(century, low(_mm512_srli_epi64::<16>(pairs)));
    let month = low(_mm512_srli_epi64::<32>(pairs));
    let day = _mm512_srli_epi64::<48>(pairs);
    let (one, zero) = (number(1), number(0));
    let in_year = _mm512_cmplt_epu64_mask(_mm512_sub_epi64(month, one), number(12));
    let after_zero = _mm512_cmpgt_epu64_mask(year, zero) & _mm512_cmpgt_epu64_mask(day, zero);
    let february = _mm512_cmpeq_epi64_mask(month, number(2));
    let last = by_month(&DAYS_IN_MONTH, month);
    let last = _mm512_mask_add_epi64(last, february & leap(year), last, one);
    let in_month = !_mm512_cmpgt_epu64_mask(day, last);
    // See `instants::days_from_civil`: years begin with March.
    let begun = _mm512_cmplt_epu64_mask(month, number(3));
    let year = _mm512_mask_sub_epi64(year, begun, year, one);
    let hundreds = hundreds(year);
    let leaps = _mm512_sub_epi64(_mm512_srli_epi64::<2>(year), hundreds);
    let leaps = _mm512_add_epi64(leaps, _mm512_srli_epi64::<2>(hundreds));
    let years = _mm512_add_epi64(_mm512_mul_epu32(year, number(365)), leaps);
    let of_year = _mm512_add_epi64(by_month(&DAYS_BEFORE_MONTH, month), day);
    let days = _mm512_add_epi64(years, of_year);
    // The day itself is one more than those before it.
    let days = _mm512_sub_epi64(days, number(719_468 + 1));
    (days, in_year & after_zero & in_month)
}

const DAYS_IN_MONTH: [u64; 16] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0];
/// From the first of March before.
const DAYS_BEFORE_MONTH: [u64; 16] = [
    0, 306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 0, 0, 0,
];

#[target_feature(enable = "avx512f")]
#[inline]
fn by_month(table: &[u64; 16], month: __m512i) -> __m512i {
    let (low, high) = table.split_at(EIGHT);
    let half = |half: &[u64]| half.first_chunk().copied().unwrap_or_default();
    _mm512_permutex2var_epi64(words(half(low)), month, words(half(high)))
}

/// Centuries of years below 43,699.
#[target_feature(enable = "avx512f")]
#[inline]
fn hundreds(year: __m512i) -> __m512i {
    _mm512_srli_epi64::<19>(_mm512_mul_epu32(year, _mm512_set1_epi64(5_243)))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn leap(year: __m512i) -> u8 {
    let century = hundreds(year);
    let fourth = |v| {
        let rest = _mm512_and_si512(v, _mm512_set1_epi64(3));
        _mm512_cmpeq_epi64_mask(rest, _mm512_setzero_si512())
    };
    let whole = _mm512_mul_epu32(century, _mm512_set1_epi64(100));
    fourth(year) & (!_mm512_cmpeq_epi64_mask(year, whole) | fourth(century))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;
    use crate::records::Span;
    use crate::structure::Vectors;
    use crate::{instants, swar};

    fn mostly_numbers() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?[0-9]{0,17}",
            "-?[0-9]{1,4}",
            "-?[0-9]{0,8}\\.[0-9]{0,8}",
            "-?(0|[1-9][0-9]{0,6})\\.[0-9]{1,7}",
            "[-+0-9.e,/:; ]{0,17}",
            "[-.0]{0,4}",
            "[0-9]{4}-[0-9]{2}-[0-9]{2}",
            "[0-9]{4}-[01][0-9]-[0-3][0-9]",
            "[0-9]{2}00-02-(28|29)",
        ]
    }

    /// Whatever is known of eight cells is so of each alone, and a cell of at most sixteen bytes
    /// that begins late enough is known whatever stands beside it.
    fn held<T: PartialEq + std::fmt::Debug>(
        eight: Eight<T>,
        one: impl Fn(usize) -> Option<T>,
        seen: impl Fn(usize) -> bool,
    ) {
        for (cell, value) in eight.0.into_iter().enumerate() {
            let known = (eight.1 >> cell & 1 == 1).then_some(value);
            assert_eq!(known, one(cell).filter(|_| seen(cell)), "cell {cell}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn eight_are_as_each_alone(
            texts in prop::array::uniform8(mostly_numbers()),
            around: u8,
            before in 0usize..20,
        ) {
            if Vectors::detect() != Vectors::Avx512 {
                return Ok(());
            }
            let mut block = vec![around; before];
            let spans = texts.each_ref().map(|text| {
                let start = block.len();
                block.extend_from_slice(text.as_bytes());
                block.push(around);
                Span::new(start, start + text.len(), 0)
            });
            let apart: Vec<Span> = spans.iter().flat_map(|&span| [span; 3]).collect();
            let eight = EightSpans::new(&apart, 3).unwrap();
            #[expect(unsafe_code, reason = "calls across target features")]
            // SAFETY: the processor has just been found to have what is asked for.
            let (ints, decimals, dates) = unsafe {
                (ints(&block, eight), decimals(&block, eight), dates(&block, eight))
            };
            let ends = spans.map(|span| span.range().1 as usize);
            let range = |i: usize| (spans[i].range().0 as usize, ends[i]);
            let seen = |i: usize| ends[0] >= CELL && texts[i].len() <= CELL;
            held(ints, |i| swar::int(&block, range(i).0, range(i).1), seen);
            let bits = (decimals.0.map(f64::to_bits), decimals.1);
            held(bits, |i| swar::decimal(&block, range(i).0, range(i).1).map(f64::to_bits), seen);
            held(dates, |i| instants::date(texts[i].as_bytes()), seen);
        }

        #[test]
        fn nothing_panics(
            block in prop::collection::vec(any::<u8>(), 0..60),
            places in prop::array::uniform8((0usize..70, 0usize..70)),
        ) {
            if Vectors::detect() != Vectors::Avx512 {
                return Ok(());
            }
            let spans = places.map(|(start, end)| Span::new(start, end, 0));
            let eight = EightSpans::new(&spans, 1).unwrap();
            #[expect(unsafe_code, reason = "calls across target features")]
            // SAFETY: the processor has just been found to have what is asked for.
            let _ = unsafe {
                (ints(&block, eight), decimals(&block, eight), dates(&block, eight))
            };
        }
    }

    #[test]
    fn every_day_of_the_calendar() {
        if Vectors::detect() != Vectors::Avx512 {
            return;
        }
        let mut block = vec![b' '; 6];
        let days: Vec<String> = (0..=9999)
            .flat_map(|year| {
                let months = [0, 1, 2, 3, 4, 12, 13];
                months.into_iter().flat_map(move |month| {
                    [0, 1, 28, 29, 30, 31, 32].map(|day| format!("{year:04}-{month:02}-{day:02}"))
                })
            })
            .collect();
        let spans: Vec<Span> = days
            .iter()
            .map(|day| {
                block.extend_from_slice(day.as_bytes());
                Span::new(block.len() - 10, block.len(), 0)
            })
            .collect();
        let (eights, _) = spans.as_chunks::<EIGHT>();
        for (spans, texts) in eights.iter().zip(days.chunks(EIGHT)) {
            #[expect(unsafe_code, reason = "a call across target features")]
            // SAFETY: the processor has just been found to have what is asked for.
            let found = unsafe { dates(&block, EightSpans::new(spans, 1).unwrap()) };
            held(found, |i| instants::date(texts[i].as_bytes()), |_| true);
        }
    }
}
