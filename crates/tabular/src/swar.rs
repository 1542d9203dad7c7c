//! Numbers and dates of up to sixteen characters in one or two machine words, without a branch a
//! character ("SIMD within a register"). Each gives none for what it does not know as well as for what
//! is no value: [`values`](crate::values) and [`instants`](crate::instants) then decide.
//!
//! Text is read as the bytes that *end* with it, so that a short one never reads beyond a block; what
//! stands before it is masked away. Words are little-endian: a text's last character is the highest
//! byte.

/// `0` in each byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;
const ZEROS_16: u128 = (ZEROS as u128) << 64 | ZEROS as u128;
const POINTS_16: u128 = 0x2e2e_2e2e_2e2e_2e2e_2e2e_2e2e_2e2e_2e2e;
const SEVENS_16: u128 = 0x7f7f_7f7f_7f7f_7f7f_7f7f_7f7f_7f7f_7f7f;

/// The most digits that any double holds.
const EXACT_DIGITS: usize = 15;

/// The eight bytes before `end`.
#[inline]
fn word_before(block: &[u8], end: usize) -> Option<u64> {
    let bytes = block.get(end.checked_sub(8)?..end)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

#[inline]
fn words_before(block: &[u8], end: usize) -> Option<u128> {
    let bytes = block.get(end.checked_sub(16)?..end)?;
    bytes.try_into().ok().map(u128::from_le_bytes)
}

/// The last `len` bytes of a word, 1 to 8, behind zeros.
#[inline]
fn last_of_8(word: u64, len: usize) -> u64 {
    let before = 64 - 8 * len as u32;
    (word >> before << before) | (ZEROS >> 1 >> (8 * len as u32 - 1))
}

/// The last `len` bytes of two words, 1 to 16, behind zeros.
#[inline]
fn last_of_16(words: u128, len: usize) -> u128 {
    let before = 128 - 8 * len as u32;
    (words >> before << before) | (ZEROS_16 >> 1 >> (8 * len as u32 - 1))
}

/// Whether all bytes are digits: high halves are 3, and stay so when 6 is added.
#[inline]
fn are_digits(word: u64) -> bool {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const SIXES: u64 = 0x0606_0606_0606_0606;
    (word & HIGH) | ((word.wrapping_add(SIXES) & HIGH) >> 4) == 0x3333_3333_3333_3333
}

/// Eight digits as a number: pairs, fours, eights.
#[inline]
fn number_of_8(word: u64) -> u64 {
    const ODD_PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let digits = word.wrapping_sub(ZEROS);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & ODD_PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & ODD_PAIRS).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

/// `block[start..end]` as an integer in its canonical form.
#[inline]
pub(crate) fn int(block: &[u8], start: usize, end: usize) -> Option<i64> {
    let text = block.get(start..end)?;
    let negative = *text.first()? == b'-';
    let digits = &text[usize::from(negative)..];
    let len = digits.len();
    if len == 0 || len > 16 || (digits[0] == b'0' && (len > 1 || negative)) {
        return None;
    }
    let value = if len <= 8 {
        let word = last_of_8(word_before(block, end)?, len);
        are_digits(word).then(|| number_of_8(word))?
    } else {
        let words = last_of_16(words_before(block, end)?, len);
        digits_of_16(words)?
    };
    Some(if negative {
        -(value as i64)
    } else {
        value as i64
    })
}

/// Sixteen digits as a number.
#[inline]
fn digits_of_16(words: u128) -> Option<u64> {
    let (first, last) = (words as u64, (words >> 64) as u64);
    if !are_digits(first) || !are_digits(last) {
        return None;
    }
    Some(number_of_8(first) * 100_000_000 + number_of_8(last))
}

/// `block[start..end]` as `-?digits[.digits]` of at most 15 digits, without leading zeros. The digits
/// and the power of ten are doubles without rounding, so their quotient is rounded once: Clinger 1990.
#[inline]
pub(crate) fn decimal(block: &[u8], start: usize, end: usize) -> Option<f64> {
    let text = block.get(start..end)?;
    let negative = *text.first()? == b'-';
    let digits = &text[usize::from(negative)..];
    let len = digits.len();
    if len == 0 || len > 16 || (len > 1 && digits[0] == b'0' && digits[1] != b'.') {
        return None;
    }
    let words = last_of_16(words_before(block, end)?, len);
    let (words, fraction) = without_point(words, len)?;
    let value = digits_of_16(words)? as f64 / POWERS_OF_TEN[fraction];
    Some(f64::from_bits(value.to_bits() | u64::from(negative) << 63))
}

/// Takes the one point out, between digits, and says how many digits follow it.
#[inline]
fn without_point(words: u128, len: usize) -> Option<(u128, usize)> {
    // The high bit of each byte that is a point: no sum reaches the next byte.
    let other = words ^ POINTS_16;
    let points = !(((other & SEVENS_16) + SEVENS_16) | other | SEVENS_16);
    if points == 0 {
        return (len <= EXACT_DIGITS).then_some((words, 0));
    }
    let place = points.trailing_zeros() as usize / 8;
    // A second point stays, and is no digit. One at either end is left to others.
    if place == 15 || place == 16 - len {
        return None;
    }
    let before = words & ((1u128 << (8 * place)) - 1);
    let after = words >> (8 * place + 8) << (8 * place + 8);
    Some((after | before << 8 | 0x30, 15 - place))
}

#[rustfmt::skip]
pub(crate) const POWERS_OF_TEN: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// `block[start..end]`, ten bytes `YYYY-MM-DD`, as the number `YYYYMMDD`; whether there is such a day is
/// not looked at.
#[inline]
pub(crate) fn date_digits(block: &[u8], start: usize, end: usize) -> Option<u32> {
    let text: &[u8; 10] = block.get(start..end)?.try_into().ok()?;
    let [a, b, c, d, first, m, n, second, p, q] = *text;
    if first != b'-' || second != b'-' {
        return None;
    }
    let word = u64::from_le_bytes([a, b, c, d, m, n, p, q]);
    are_digits(word).then(|| number_of_8(word) as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;
    use crate::values;

    /// The text in the middle of a block of such bytes, and at its ends.
    fn everywhere<T: PartialEq + std::fmt::Debug + Copy>(
        text: &str,
        around: u8,
        of: impl Fn(&[u8], usize, usize) -> Option<T>,
    ) -> Option<T> {
        let mut block = vec![around; 20];
        block.extend_from_slice(text.as_bytes());
        let found = of(&block, 20, block.len());
        block.extend([around; 20]);
        assert_eq!(of(&block, 20, 20 + text.len()), found);
        let alone = of(text.as_bytes(), 0, text.len());
        assert!(alone.is_none() || alone == found);
        found
    }

    fn mostly_numbers() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?[0-9]{0,17}",
            "-?[0-9]{0,8}\\.[0-9]{0,8}",
            "-?(0|[1-9][0-9]{0,6})\\.[0-9]{1,7}",
            "[-+0-9.e,/:; ]{0,17}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn integers_are_those_of_the_plain_way(text in mostly_numbers(), around: u8) {
            let expected = values::int(text.as_bytes());
            let found = everywhere(&text, around, int);
            let known = text.trim_start_matches('-').len() <= 16;
            prop_assert_eq!(found, expected.filter(|_| known), "{}", text);
        }

        #[test]
        fn decimals_are_those_of_the_plain_way(text in mostly_numbers(), around: u8) {
            if let Some(found) = everywhere(&text, around, decimal) {
                let expected = text.parse::<f64>().unwrap();
                prop_assert_eq!(found.to_bits(), expected.to_bits(), "{}", text);
                prop_assert_eq!(values::float(text.as_bytes()).map(f64::to_bits), Some(expected.to_bits()));
                let fits = values::kinds(text.as_bytes(), values::ANY) & values::FLOAT != 0;
                prop_assert!(fits, "{}", text);
            }
        }

        #[test]
        fn short_decimals_are_known(negative: bool, whole in 0u32..10_000_000, digits in "[0-9]{1,8}") {
            let text = format!("{}{whole}.{digits}", if negative { "-" } else { "" });
            prop_assert!(everywhere(&text, b'9', decimal).is_some(), "{}", text);
        }

        #[test]
        fn dates_are_their_digits(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}|[-0-9/:]{9,11}") {
            let expected: Option<u32> = (text.len() == 10 && &text[4..5] == "-" && &text[7..8] == "-")
                .then(|| text.replacen('-', "", 2))
                .filter(|digits| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()))
                .map(|digits| digits.parse().unwrap());
            prop_assert_eq!(everywhere(&text, b'1', date_digits), expected);
        }

        #[test]
        fn nothing_panics(block in proptest::collection::vec(any::<u8>(), 0..40), start in 0usize..50, end in 0usize..50) {
            let _ = (int(&block, start, end), decimal(&block, start, end), date_digits(&block, start, end));
        }
    }
}
