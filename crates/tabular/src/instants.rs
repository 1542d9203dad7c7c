//! Dates and timestamps of ISO 8601, the forms that [`ColumnType`](crate::schema::ColumnType) names.

use crate::swar;

/// Days from 1970-01-01 of `YYYY-MM-DD`.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    let digits = swar::date_digits(text, 0, text.len())?;
    let (year, month_and_day) = (digits as i32 / 10_000, digits as i32 % 10_000);
    days(year, month_and_day / 100, month_and_day % 100)
}

/// Days from 1970-01-01; none if the calendar has no such day, or the year is 0.
#[inline]
pub(crate) fn days(year: i32, month: i32, day: i32) -> Option<i32> {
    let valid = (year >= 1) & (1..=12).contains(&month) & (day >= 1);
    // Most days of the month are in every month, but a guess at that is wrong too often.
    (valid && day <= days_in(year, month)).then(|| days_from_civil(year, month, day))
}

#[inline]
fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |n, b| {
        let digit = b.wrapping_sub(b'0');
        (digit <= 9).then(|| n * 10 + i32::from(digit))
    })
}

/// Days of a month from 1 to 12.
#[inline]
pub(crate) fn days_in(year: i32, month: i32) -> i32 {
    const OTHER_YEARS: [u8; 16] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0];
    let leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0));
    i32::from(OTHER_YEARS[month as usize % 16]) + i32::from((month == 2) & leap)
}

/// Days before a month, from March on, so that a leap day is the last of its year.
const DAYS_BEFORE: [i32; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];

/// Howard Hinnant's `days_from_civil`, for years from 1 on and months from 1 to 12.
#[inline]
fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = year - i32::from(month <= 2);
    let from_march = (month + 9) % 12;
    let day_of_year = DAYS_BEFORE[from_march as usize % 12] + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

const MICROS_A_SECOND: i64 = 1_000_000;
/// From the epoch to 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: other years have no four digits.
const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;

/// Microseconds from the epoch of a timestamp, and whether it named a zone (then they are UTC's).
pub(crate) fn instant(text: &[u8]) -> Option<(i64, bool)> {
    let (day, rest) = text.split_at_checked(10)?;
    let day = i64::from(date(day)?) * 86_400;
    let rest = rest
        .strip_prefix(b"T")
        .or_else(|| rest.strip_prefix(b" "))?;
    let (minutes, rest) = clock(rest)?;
    let (seconds, micros, rest) = match rest.strip_prefix(b":") {
        Some(rest) => second(rest)?,
        // A fraction of a minute is no zone either, so it is refused.
        None => (0, 0, rest),
    };
    let offset = zone(rest)?;
    let seconds =
        day + i64::from(minutes) * 60 + i64::from(seconds) - i64::from(offset.unwrap_or(0)) * 60;
    // By UTC, the first and the last year may have another before or behind them.
    (FIRST_SECOND..=LAST_SECOND)
        .contains(&seconds)
        .then_some((seconds * MICROS_A_SECOND + micros, offset.is_some()))
}

/// `HH:MM` as minutes, and what follows.
fn clock(text: &[u8]) -> Option<(i32, &[u8])> {
    let (clock, rest) = text.split_at_checked(5)?;
    let (hours, minutes) = (number(&clock[..2])?, number(&clock[3..])?);
    let valid = clock[2] == b':' && hours < 24 && minutes < 60;
    valid.then_some((hours * 60 + minutes, rest))
}

/// `SS` and `.` with one to six digits, as seconds and microseconds, and what follows.
fn second(text: &[u8]) -> Option<(i32, i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(2)?;
    let seconds = number(digits).filter(|s| *s < 60)?;
    let (micros, rest) = match rest.strip_prefix(b".") {
        Some(rest) => fraction(rest)?,
        None => (0, rest),
    };
    Some((seconds, micros, rest))
}

/// One to six digits as microseconds.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let n = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if n == 0 || n > 6 {
        return None;
    }
    let value = i64::from(number(&text[..n])?) * 10i64.pow(6 - n as u32);
    Some((value, &text[n..]))
}

/// Minutes east of UTC; none where no zone is named. The outer none is no zone at all.
fn zone(text: &[u8]) -> Option<Option<i32>> {
    match text.split_first() {
        None => Some(None),
        Some((b'Z', [])) => Some(Some(0)),
        Some((sign @ (b'+' | b'-'), rest)) => {
            let (minutes, rest) = clock(rest)?;
            rest.is_empty()
                .then_some(Some(if *sign == b'-' { -minutes } else { minutes }))
        }
        Some(_) => None,
    }
}
