//! Dates and timestamps of ISO 8601, the forms that [`ColumnType`](crate::schema::ColumnType) names.

/// Days from 1970-01-01 of `YYYY-MM-DD`.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    let text: &[u8; 10] = text.try_into().ok()?;
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        number(&text[..4])?,
        number(&text[5..7])?,
        number(&text[8..])?,
    );
    let valid = year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month);
    valid.then(|| days_from_civil(year, month, day))
}

#[inline]
fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |n, b| {
        let digit = b.wrapping_sub(b'0');
        (digit <= 9).then(|| n * 10 + i32::from(digit))
    })
}

pub(crate) fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's `days_from_civil`, for years from 1 on.
fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const MICROS_A_SECOND: i64 = 1_000_000;

/// Microseconds from the epoch of a timestamp, and whether it named a zone (then they are UTC's).
pub(crate) fn instant(text: &[u8]) -> Option<(i64, bool)> {
    let (day, rest) = text.split_at_checked(10)?;
    let day = i64::from(date(day)?) * 86_400;
    let rest = rest
        .strip_prefix(b"T")
        .or_else(|| rest.strip_prefix(b" "))?;
    let (minutes, rest) = clock(rest)?;
    let (seconds, rest) = match rest.strip_prefix(b":") {
        Some(rest) => (number(rest.get(..2)?).filter(|s| *s < 60)?, &rest[2..]),
        None => (0, rest),
    };
    let (micros, rest) = match rest.strip_prefix(b".") {
        Some(rest) if text.len() > 19 => fraction(rest)?,
        Some(_) => return None,
        None => (0, rest),
    };
    let offset = zone(rest)?;
    let seconds =
        day + i64::from(minutes) * 60 + i64::from(seconds) - i64::from(offset.unwrap_or(0)) * 60;
    Some((seconds * MICROS_A_SECOND + micros, offset.is_some()))
}

/// `HH:MM` as minutes, and what follows.
fn clock(text: &[u8]) -> Option<(i32, &[u8])> {
    let (clock, rest) = text.split_at_checked(5)?;
    let (hours, minutes) = (number(&clock[..2])?, number(&clock[3..])?);
    let valid = clock[2] == b':' && hours < 24 && minutes < 60;
    valid.then_some((hours * 60 + minutes, rest))
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
