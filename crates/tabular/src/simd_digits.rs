//! The same as [`swar`](crate::swar) in a vector of sixteen bytes, for x86-64 processors with AVX2.
//!
//! Nothing in it branches on what the digits are, their number, their sign or where the point is: in
//! data these are as good as random, and a wrong guess costs more than all the rest.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_madd_epi16, _mm_maddubs_epi16,
    _mm_movemask_epi8, _mm_packus_epi32, _mm_set_epi64x, _mm_set1_epi8, _mm_setr_epi8,
    _mm_setr_epi16, _mm_setzero_si128, _mm_shuffle_epi8, _mm_sub_epi8, _mm_subs_epu8,
    _mm_testz_si128,
};

use crate::instants;
use crate::swar::POWERS_OF_TEN;

/// Vectors of bytes, one a number from 0 to 16.
type Table = [[u8; 16]; 17];

/// By the length of a text: ones over its bytes, the last ones.
const LAST: Table = {
    let mut table = [[0; 16]; 17];
    let mut len = 0;
    while len <= 16 {
        let mut i = 16 - len;
        while i < 16 {
            table[len][i] = 0xff;
            i += 1;
        }
        len += 1;
    }
    table
};

/// By the place of a point: what comes before it moves up by one, a zero comes in. 16 is no point.
const WITHOUT_POINT: Table = {
    let mut table = [[0; 16]; 17];
    let mut place = 0;
    while place <= 16 {
        let mut i = 0;
        while i < 16 {
            table[place][i] = match i {
                // The high bit makes a zero.
                0 if place < 16 => 0x80,
                _ if i <= place && place < 16 => i as u8 - 1,
                _ => i as u8,
            };
            i += 1;
        }
        place += 1;
    }
    table
};

#[target_feature(enable = "avx2")]
#[inline]
fn vector(bytes: &[u8; 16]) -> __m128i {
    let all = u128::from_le_bytes(*bytes);
    _mm_set_epi64x((all >> 64) as i64, all as i64)
}

/// The digits' values of the `len` bytes before `end`, behind zeros; other bytes are above 9.
#[target_feature(enable = "avx2")]
#[inline]
fn values_before(block: &[u8], end: usize, len: usize) -> Option<__m128i> {
    let bytes: &[u8; 16] = block.get(end.checked_sub(16)?..end)?.try_into().ok()?;
    let values = _mm_sub_epi8(vector(bytes), _mm_set1_epi8(b'0' as i8));
    Some(_mm_and_si128(values, vector(&LAST[len])))
}

#[target_feature(enable = "avx2")]
#[inline]
fn are_digits(values: __m128i) -> bool {
    let above = _mm_subs_epu8(values, _mm_set1_epi8(9));
    _mm_testz_si128(above, above) == 1
}

/// Sixteen digits as a number: pairs, fours, eights, all.
#[target_feature(enable = "avx2")]
#[inline]
fn number_of_16(values: __m128i) -> u64 {
    let tens = _mm_setr_epi8(10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1);
    let hundreds = _mm_setr_epi16(100, 1, 100, 1, 100, 1, 100, 1);
    let thousands = _mm_setr_epi16(10_000, 1, 10_000, 1, 0, 0, 0, 0);
    let pairs = _mm_maddubs_epi16(values, tens);
    let fours = _mm_madd_epi16(pairs, hundreds);
    let fours = _mm_packus_epi32(fours, _mm_setzero_si128());
    let eights = _mm_cvtsi128_si64(_mm_madd_epi16(fours, thousands)) as u64;
    (eights & 0xffff_ffff) * 100_000_000 + (eights >> 32)
}

/// The sign, the first digit and the length without the sign; none without a digit or with more than
/// sixteen characters.
#[inline(always)]
fn sign_and_len(text: &[u8]) -> Option<(bool, u8, usize)> {
    let negative = *text.first()? == b'-';
    let len = text.len() - usize::from(negative);
    let first = *text.get(usize::from(negative))?;
    (len <= 16).then_some((negative, first, len))
}

/// `block[start..end]` as an integer in its canonical form.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn int(block: &[u8], start: usize, end: usize) -> Option<i64> {
    let (negative, first, len) = sign_and_len(block.get(start..end)?)?;
    let values = values_before(block, end, len)?;
    let leading_zero = (first == b'0') & ((len > 1) | negative);
    if leading_zero | !are_digits(values) {
        return None;
    }
    let value = number_of_16(values) as i64;
    let sign = -i64::from(negative);
    Some((value ^ sign) - sign)
}

/// `block[start..end]` as `-?digits[.digits]` of at most 15 digits, without leading zeros, as
/// [`swar::decimal`](crate::swar::decimal) reads it.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn decimal(block: &[u8], start: usize, end: usize) -> Option<f64> {
    const POINT: i8 = b'.'.wrapping_sub(b'0') as i8;
    let (negative, first, len) = sign_and_len(block.get(start..end)?)?;
    let values = values_before(block, end, len)?;
    let points = _mm_movemask_epi8(_mm_cmpeq_epi8(values, _mm_set1_epi8(POINT))) as u32;
    // Bit 16 stands for no point.
    let place = (points | 1 << 16).trailing_zeros() as usize;
    let values = _mm_shuffle_epi8(values, vector(&WITHOUT_POINT[place]));
    let whole = place - (16 - len).min(place);
    let fraction = 15usize.saturating_sub(place);
    let digits = len - usize::from(points != 0);
    let leading_zero = (first == b'0') & (whole != 1);
    let ends_with_point = place == 15;
    let wrong = leading_zero | (whole == 0) | ends_with_point | (digits > 15);
    // A second point is no digit.
    if wrong | !are_digits(values) {
        return None;
    }
    let value = number_of_16(values) as f64 / POWERS_OF_TEN[fraction];
    Some(f64::from_bits(value.to_bits() | u64::from(negative) << 63))
}

/// Days from 1970-01-01 of `YYYY-MM-DD`.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn date(block: &[u8], start: usize, end: usize) -> Option<i32> {
    const HYPHEN: i8 = b'-'.wrapping_sub(b'0') as i8;
    if end.wrapping_sub(start) != 10 {
        return None;
    }
    let values = values_before(block, end, 10)?;
    let hyphens = _mm_movemask_epi8(_mm_cmpeq_epi8(values, _mm_set1_epi8(HYPHEN)));
    // Of the text's ten bytes the first is byte 6: `YYYY-MM-DD` to `YYYYMMDD`.
    let order = _mm_setr_epi8(6, 7, 8, 9, 11, 12, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1);
    let values = _mm_shuffle_epi8(values, order);
    if (hyphens != (1 << 10 | 1 << 13)) | !are_digits(values) {
        return None;
    }
    let tens = _mm_setr_epi8(10, 1, 10, 1, 10, 1, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    let pairs = _mm_cvtsi128_si64(_mm_maddubs_epi16(values, tens)) as u64;
    let pair = |i: u32| (pairs >> (16 * i) & 0xff) as i32;
    instants::days(pair(0) * 100 + pair(1), pair(2), pair(3))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;
    use crate::swar;

    fn mostly_numbers() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?[0-9]{0,17}",
            "-?[0-9]{0,8}\\.[0-9]{0,8}",
            "-?(0|[1-9][0-9]{0,6})\\.[0-9]{1,7}",
            "[-+0-9.e,/:; ]{0,17}",
            "[0-9]{4}-[0-9]{2}-[0-9]{2}",
            "[0-9]{4}-[01][0-9]-[0-3][0-9]",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30_000))]

        #[test]
        fn both_ways_agree(text in mostly_numbers(), around: u8, before in 0usize..20, after in 0usize..3) {
            if !is_x86_feature_detected!("avx2") {
                return Ok(());
            }
            let mut block = vec![around; before];
            block.extend_from_slice(text.as_bytes());
            block.extend(vec![around; after]);
            let (start, end) = (before, before + text.len());
            #[expect(unsafe_code, reason = "calls across target features")]
            // SAFETY: the processor has just been found to have AVX2.
            let (int, decimal, date) = unsafe {
                (int(&block, start, end), decimal(&block, start, end), date(&block, start, end))
            };
            // Near a block's beginning the vector would begin before it.
            let seen = end >= 16;
            prop_assert_eq!(int, swar::int(&block, start, end).filter(|_| seen), "{}", text);
            let expected = swar::decimal(&block, start, end).filter(|_| seen);
            prop_assert_eq!(decimal.map(f64::to_bits), expected.map(f64::to_bits), "{}", text);
            prop_assert_eq!(date, instants::date(text.as_bytes()).filter(|_| seen), "{}", text);
        }

        #[test]
        fn nothing_panics(block in proptest::collection::vec(any::<u8>(), 0..40), start in 0usize..50, end in 0usize..50) {
            if !is_x86_feature_detected!("avx2") {
                return Ok(());
            }
            #[expect(unsafe_code, reason = "calls across target features")]
            // SAFETY: the processor has just been found to have AVX2.
            let _ = unsafe { (int(&block, start, end), decimal(&block, start, end), date(&block, start, end)) };
        }
    }
}
