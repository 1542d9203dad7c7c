//! Dates and timestamps of ISO 8601, the forms that [`ColumnType`](crate::schema::ColumnType) names.

/// Days from 1970-01-01 of `YYYY-MM-DD`.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    let text: &[u8; 10] = text.try_into().ok()?;
    let at = |place: usize| text[place].wrapping_sub(b'0');
    let digits = [at(0), at(1), at(2), at(3), at(5), at(6), at(8), at(9)];
    // One comparison of the greatest in place of eight.
    if digits.iter().fold(0, |most, d| most.max(*d)) > 9 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let [a, b, c, d, m, n, p, q] = digits.map(i32::from);
    let (year, month, day) = (a * 1000 + b * 100 + c * 10 + d, m * 10 + n, p * 10 + q);
    let valid = year >= 1
        && (1..=12).contains(&month)
        && day >= 1
        && (day <= 28 || day <= days_in(year, month));
    if valid {
        Some(days_from_civil(year, month, day))
    } else {
        None
    }
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
    Some((seconds * MICROS_A_SECOND + micros, offset.is_some()))
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
