//! The text of a cell to a value, and which types a text is a value of without being changed.

use std::fmt;
use std::io::Write;

use crate::instants::{date, instant};
use crate::schema::ColumnType;

/// Types that take a text as a value, as a set: bits of [`Kinds`] below. Empty for plain text.
pub(crate) type Kinds = u8;
/// An integer of 64 bits in its one canonical form.
pub(crate) const INT: Kinds = 1;
/// A decimal number that a double holds to 17 digits.
pub(crate) const FLOAT: Kinds = 2;
pub(crate) const BOOLEAN: Kinds = 4;
pub(crate) const DATE: Kinds = 8;
pub(crate) const TIMESTAMP: Kinds = 16;
pub(crate) const TIMESTAMP_UTC: Kinds = 32;
/// No value seen yet.
pub(crate) const ANY: Kinds = 63;

/// Unquoted cells that mean null in columns that are otherwise not text.
pub(crate) const DEFAULT_NULLS: [&str; 7] = ["NA", "N/A", "NULL", "null", "NaN", "nan", "\\N"];

/// Whether a cell is one of [`DEFAULT_NULLS`].
pub(crate) fn is_default_null(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'N' | b'n' | b'\\'))
        && DEFAULT_NULLS.iter().any(|t| t.as_bytes() == text)
}

/// The narrowest type of a set of kinds, string for the empty one.
pub(crate) fn narrowest(kinds: Kinds) -> ColumnType {
    [
        (INT, ColumnType::Int64),
        (FLOAT, ColumnType::Float64),
        (BOOLEAN, ColumnType::Boolean),
        (DATE, ColumnType::Date),
        (TIMESTAMP, ColumnType::Timestamp),
        (TIMESTAMP_UTC, ColumnType::TimestampUtc),
    ]
    .into_iter()
    .find(|(kind, _)| kinds & kind != 0)
    .map_or(ColumnType::String, |(_, column_type)| column_type)
}

/// Those of the types `among` that hold `text` unchanged.
#[inline]
pub(crate) fn kinds(text: &[u8], among: Kinds) -> Kinds {
    let found = match text.first() {
        // No number has two hyphens after its first digit.
        Some(b'0'..=b'9') if text.len() >= 10 && text[4] == b'-' && text[7] == b'-' => {
            date_kinds(text)
        }
        // Where no integer is looked for any more, the reading as a decimal says all.
        Some(b'0'..=b'9' | b'-' | b'.') if among & (INT | FLOAT) == FLOAT => float_kinds(text),
        Some(b'0'..=b'9' | b'-' | b'.') => number_kinds(text),
        Some(b't' | b'T' | b'f' | b'F') if boolean(text).is_some() => BOOLEAN,
        _ => 0,
    };
    found & among
}

fn date_kinds(text: &[u8]) -> Kinds {
    if text.len() == 10 {
        return if date(text).is_some() { DATE } else { 0 };
    }
    match instant(text) {
        Some((_, false)) => TIMESTAMP,
        Some((_, true)) => TIMESTAMP_UTC,
        None => 0,
    }
}

fn number_kinds(text: &[u8]) -> Kinds {
    if let Some(value) = int(text) {
        return if value.unsigned_abs() <= MAX_EXACT {
            INT | FLOAT
        } else {
            INT
        };
    }
    float_kinds(text)
}

#[inline]
fn float_kinds(text: &[u8]) -> Kinds {
    if short_decimal(text).is_some() {
        return FLOAT;
    }
    match Decimal::read(text) {
        Some(decimal) if decimal.is_kept(text) => FLOAT,
        _ => 0,
    }
}

/// 2^53: up to here every integer is a double.
const MAX_EXACT: u64 = 1 << 53;
/// Significant digits that a double can be asked to hold, and those that every double does.
const MAX_DIGITS: u32 = 17;
const SURE_DIGITS: u32 = 15;

/// An integer without leading zeros, plus sign or negative zero.
#[inline]
pub(crate) fn int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let (first, rest) = digits.split_first()?;
    if digits.len() > 19
        || !first.is_ascii_digit()
        || (*first == b'0' && (negative || !rest.is_empty()))
    {
        return None;
    }
    let mut value = u64::from(first - b'0');
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Nineteen digits are less than 10^19, which fits.
        value = value * 10 + u64::from(digit);
    }
    if negative {
        0i64.checked_sub_unsigned(value)
    } else {
        i64::try_from(value).ok()
    }
}

/// `-?digits[.digits]` of at most 15 digits, which is what most decimals are. Both numbers of the
/// quotient are doubles without rounding, so it is rounded once: Clinger 1990.
#[inline]
fn short_decimal(text: &[u8]) -> Option<f64> {
    let negative = text.first() == Some(&b'-');
    let digits = &text[usize::from(negative)..];
    if digits.len() > 16 || (digits.first() == Some(&b'0') && digits.get(1) != Some(&b'.')) {
        return None;
    }
    let (mut mantissa, mut point) = (0u64, digits.len());
    for (i, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + u64::from(digit);
        } else if *byte == b'.' && point == digits.len() {
            point = i;
        } else {
            return None;
        }
    }
    // The point, if there is one, stands before a digit.
    let fraction = (digits.len() - point).saturating_sub(1);
    if point + fraction > 15 || point == 0 || point + 1 == digits.len() {
        return None;
    }
    let value = mantissa as f64 / POWERS_OF_TEN[fraction];
    Some(if negative { -value } else { value })
}

/// The parts of `-?digits[.digits][e[±]digits]` or `-?.digits…`.
struct Decimal {
    negative: bool,
    /// The digits as an integer; meaningful up to 19 significant ones.
    mantissa: u64,
    /// From the first digit that is not zero to the last digit.
    significant: u32,
    /// Digits after the point.
    fraction: u32,
    point: bool,
    exponent: bool,
    leading_zero: bool,
}

impl Decimal {
    #[inline]
    fn read(text: &[u8]) -> Option<Self> {
        let negative = text.first() == Some(&b'-');
        let mut rest = &text[usize::from(negative)..];
        let mut d = Self {
            negative,
            mantissa: 0,
            significant: 0,
            fraction: 0,
            point: false,
            exponent: false,
            leading_zero: rest.len() > 1 && rest[0] == b'0' && rest[1].is_ascii_digit(),
        };
        let whole = d.digits(&mut rest);
        if rest.first() == Some(&b'.') {
            rest = &rest[1..];
            d.point = true;
            d.fraction = d.digits(&mut rest)?;
        } else {
            whole?;
        }
        if let Some(b'e' | b'E') = rest.first() {
            d.exponent = true;
            rest = &rest[1..];
            rest = rest
                .strip_prefix(b"-")
                .or_else(|| rest.strip_prefix(b"+"))
                .unwrap_or(rest);
            if rest.is_empty() || !rest.iter().all(u8::is_ascii_digit) {
                return None;
            }
            rest = &[];
        }
        rest.is_empty().then_some(d)
    }

    /// Takes digits off `rest`; their number, which is none for none.
    #[inline]
    fn digits(&mut self, rest: &mut &[u8]) -> Option<u32> {
        let mut n = 0;
        for byte in *rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            self.mantissa = self
                .mantissa
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit));
            self.significant += u32::from(self.significant > 0 || digit > 0);
            n += 1;
        }
        *rest = &rest[n..];
        (n > 0).then_some(n as u32)
    }

    /// Whether a double keeps what the text says: no more than 17 digits, all of which it gives back,
    /// no leading zeros, finite, not vanished, and an integer only up to 2^53.
    fn is_kept(&self, text: &[u8]) -> bool {
        if self.leading_zero || self.significant > MAX_DIGITS {
            return false;
        }
        if !self.point && !self.exponent {
            return self.mantissa <= MAX_EXACT;
        }
        let sure = self.significant <= SURE_DIGITS;
        if sure && !self.exponent && self.fraction < 300 {
            return true;
        }
        self.value(text).is_some_and(|v| {
            v == 0.0 && self.significant == 0 || v.is_normal() && (sure || self.is_printed_by(v))
        })
    }

    /// Whether the value has the text's digits when it is written with as many, or with as few as tell it
    /// from others: of two texts that are as near to it, one is the first and one may be the second.
    #[cold]
    fn is_printed_by(&self, value: f64) -> bool {
        let (value, places) = (value.abs(), self.significant.saturating_sub(1) as usize);
        let shows = |text: fmt::Arguments<'_>| digits_of(text) == Some(self.mantissa);
        shows(format_args!("{value:e}")) || shows(format_args!("{value:.places$e}"))
    }

    #[inline]
    fn value(&self, text: &[u8]) -> Option<f64> {
        // Both are doubles without rounding, so their quotient is rounded once: Clinger 1990.
        if self.significant <= 15 && !self.exponent && self.fraction <= 22 {
            let value = self.mantissa as f64 / POWERS_OF_TEN[self.fraction as usize];
            return Some(if self.negative { -value } else { value });
        }
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        value.is_finite().then_some(value)
    }
}

/// The digits of a number before its exponent, as an integer.
fn digits_of(number: fmt::Arguments<'_>) -> Option<u64> {
    let mut text = [0; 32];
    let mut room = &mut text[..];
    room.write_fmt(number).ok()?;
    let digits = text.iter().take_while(|byte| **byte != b'e');
    let digits = digits.filter(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, byte| number * 10 + u64::from(byte - b'0')))
}

#[rustfmt::skip]
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// A finite decimal number, to the nearest double. An integer beyond 2^53 is refused, as it would
/// silently become another.
#[inline]
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    if let Some(value) = short_decimal(text) {
        return Some(value);
    }
    let decimal = Decimal::read(text)?;
    let integer = !decimal.point && !decimal.exponent;
    if decimal.leading_zero
        || (integer && (decimal.significant > 16 || decimal.mantissa > MAX_EXACT))
    {
        return None;
    }
    decimal.value(text)
}

/// A number that a double keeps as the text says it: what [`kinds`] calls a float.
pub(crate) fn kept_float(text: &[u8]) -> Option<f64> {
    let kept = kinds(text, ANY) & FLOAT != 0;
    float(text).filter(|_| kept)
}

/// Any text that is a finite number, for comparing: also `007`, `+1` and integers of any length, to
/// the nearest double.
pub(crate) fn number(text: &[u8]) -> Option<f64> {
    float(text).or_else(|| {
        let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        Some(number).filter(|n| n.is_finite())
    })
}

/// `true`, `True`, `TRUE` and the same of false.
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use crate::instants::days_in;
    use proptest::prelude::*;

    fn type_of(text: &str) -> &'static str {
        narrowest(kinds(text.as_bytes(), ANY)).name()
    }

    #[test]
    fn texts_that_a_type_would_change_stay_text() {
        for text in [
            "007",
            "+1",
            "-01",
            "00",
            "1,5",
            "1.",
            ".",
            "-.",
            ".5.",
            "-",
            "",
            "inf",
            "-inf",
            "NaN",
            "0x10",
            " 1",
            "1 ",
            "1_000",
            "12345678901234567890",
            "1e400",
            "1e-400",
            "4.9e-324",
            "1e",
            "1e+",
            "1.2.3",
            "0.123456789012345678",
            "1.000000000000000000",
            "99999999999999999999.0",
            "9007199254740993.0",
            "9.007199254740993e15",
            "0.30000000000000001",
            "00.5",
            "tRUE",
            "yes",
            "T",
            "1-1",
            "--1",
        ] {
            assert_eq!(type_of(text), "string", "{text:?}");
        }
    }

    #[test]
    fn values_get_the_narrowest_type() {
        for (text, expected) in [
            ("0", "int64"),
            ("-1", "int64"),
            ("9223372036854775807", "int64"),
            ("-9223372036854775808", "int64"),
            ("9223372036854775808", "string"),
            ("-9223372036854775809", "string"),
            ("-0", "float64"),
            ("1.50", "float64"),
            ("1e5", "float64"),
            ("-1.5E-3", "float64"),
            ("1.5e-3", "float64"),
            ("0.10000000000000001", "float64"),
            ("0.0", "float64"),
            (".5", "float64"),
            ("-.25", "float64"),
            (".5e3", "float64"),
            ("0e0", "float64"),
            ("true", "boolean"),
            ("FALSE", "boolean"),
            ("True", "boolean"),
            ("2024-02-29", "date"),
            ("2023-02-29", "string"),
            ("1900-02-29", "string"),
            ("2000-02-29", "date"),
            ("0001-01-01", "date"),
            ("0000-01-01", "string"),
            ("2024-13-01", "string"),
            ("2024-1-01", "string"),
            ("2024-01-01T00:00", "timestamp"),
            ("2024-01-01 23:59:59", "timestamp"),
            ("2024-01-01 00:00:00.123456", "timestamp"),
            ("2024-01-01 00:00:00.1234567", "string"),
            ("2024-01-01 00:00.5", "string"),
            ("2024-01-01 00:00.500", "string"),
            ("2024-01-01 00:00.5+01:00", "string"),
            ("2024-01-01 24:00", "string"),
            ("2024-01-01 00:00:60", "string"),
            ("2024-01-01 00:00:00.", "string"),
            ("2024-01-01T00:00:00Z", "timestamp_utc"),
            ("2024-01-01T00:00+05:30", "timestamp_utc"),
            ("2024-01-01T00:00+0530", "string"),
            ("2024-01-01T00:00:00z", "string"),
            ("2024-01-01T", "string"),
            ("2024-01-01T00:00:00ZZ", "string"),
        ] {
            assert_eq!(type_of(text), expected, "{text:?}");
        }
    }

    #[test]
    fn integers_beyond_2_53_do_not_fit_into_floats() {
        assert_eq!(kinds(b"9007199254740992", ANY), INT | FLOAT);
        assert_eq!(kinds(b"9007199254740993", ANY), INT);
        assert_eq!(float(b"9007199254740992"), Some(9_007_199_254_740_992.0));
        assert_eq!(float(b"9007199254740993"), None);
        assert_eq!(float(b"-9007199254740993"), None);
        assert_eq!(float(b"99999999999999999999999"), None);
        assert_eq!(float(b"-0").map(f64::to_bits), Some((-0.0f64).to_bits()));
    }

    #[test]
    fn instants_are_microseconds_in_utc() {
        assert_eq!(instant(b"1970-01-01T00:00"), Some((0, false)));
        assert_eq!(instant(b"1969-12-31 23:59:59.999999"), Some((-1, false)));
        assert_eq!(
            instant(b"2013-01-01T10:00:00Z"),
            Some((1_357_034_400_000_000, true))
        );
        assert_eq!(
            instant(b"2013-01-01T05:00:00.5-05:00"),
            Some((1_357_034_400_500_000, true))
        );
    }

    #[test]
    fn days_go_up_by_one() {
        let mut expected = date(b"0001-01-01").unwrap();
        assert_eq!(expected, -719_162);
        for year in 1..=9999 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    assert_eq!(
                        date(format!("{year:04}-{month:02}-{day:02}").as_bytes()),
                        Some(expected)
                    );
                    expected += 1;
                }
            }
        }
        assert_eq!(date(b"1970-01-01"), Some(0));
    }

    proptest! {
        #[test]
        fn integers_agree_with_the_standard_library(text in "-?[0-9]{1,20}") {
            let canonical = text.parse::<i64>().ok().filter(|v| v.to_string() == text);
            prop_assert_eq!(int(text.as_bytes()), canonical);
        }

        #[test]
        fn every_integer_is_one(value in any::<i64>()) {
            prop_assert_eq!(int(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn floats_agree_with_the_standard_library(text in "-?(0|[1-9][0-9]{0,18})\\.[0-9]{1,24}(e-?[0-9]{1,3})?") {
            let expected = text.parse::<f64>().unwrap();
            let expected = Some(expected).filter(|v| v.is_finite()).map(f64::to_bits);
            prop_assert_eq!(float(text.as_bytes()).map(f64::to_bits), expected);
        }

        #[test]
        fn what_is_looked_for_changes_no_answer(
            text in "-?[0-9]{0,18}\\.?[0-9]{0,6}(e-?[0-9]{1,2})?|[0-9]{4}-[0-9]{2}-[0-9]{2}",
            among in 0..=ANY,
        ) {
            let all = kinds(text.as_bytes(), ANY);
            prop_assert_eq!(kinds(text.as_bytes(), among), all & among);
            if all & FLOAT != 0 {
                let expected = text.parse::<f64>().ok().map(f64::to_bits);
                prop_assert_eq!(float(text.as_bytes()).map(f64::to_bits), expected);
            }
        }

        #[test]
        fn shortest_texts_of_doubles_are_kept(value in proptest::num::f64::NORMAL) {
            let text = format!("{value:e}");
            prop_assert_eq!(float(text.as_bytes()), Some(value));
            let integer = !text.contains('.') && !text.contains('e');
            prop_assert!(kinds(text.as_bytes(), ANY) & FLOAT != 0 || integer, "{}", text);
        }

        #[test]
        fn nothing_panics(text in proptest::collection::vec(proptest::sample::select(&b"0123456789-+.eETZ: tn\xff"[..]), 0..40)) {
            let _ = (kinds(&text, ANY), float(&text), instant(&text), date(&text), boolean(&text));
        }
    }
}
