//! Values of texts by the standard library and jiff: the other way to each of `values` and `instants`.

use jiff::civil;

/// An integer in its one canonical form.
pub(super) fn int(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|v| v.to_string() == text)
}

/// What a column of doubles may take: a finite decimal number without leading zeros, an integer only
/// as far as each is a double.
pub(super) fn float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut bytes = digits.bytes();
    let first = bytes.next()?;
    let second_is_digit = bytes.next().is_some_and(|b| b.is_ascii_digit());
    let shaped = digits
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && (first.is_ascii_digit() || first == b'.')
        && !(first == b'0' && second_is_digit)
        && !digits.ends_with('.')
        && !digits.contains(".e")
        && !digits.contains(".E");
    if !shaped {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let integer = digits.bytes().all(|b| b.is_ascii_digit());
    let exact = !integer || digits.parse::<u64>().is_ok_and(|n| n <= 1 << 53);
    (value.is_finite() && exact).then_some(value)
}

/// Whether a double keeps what the text says: at most 17 significant digits, which it has when it is
/// written with as many or as few as it takes, and not vanished.
pub(super) fn is_kept(text: &str) -> bool {
    let Some(value) = float(text) else {
        return false;
    };
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let significant = digits.len();
    let value_digits = |text: String| text.split('e').next().map(|t| t.replace('.', ""));
    let as_many = value_digits(format!("{:.*e}", significant.max(1) - 1, value.abs()));
    let as_few = value_digits(format!("{:e}", value.abs()));
    let printed = [as_many, as_few].contains(&Some(digits.to_owned()));
    significant <= 17 && (value.is_normal() && printed || value == 0.0 && significant == 0)
}

/// One of the six words.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let word = text.to_ascii_lowercase();
    let truth = word.parse().ok()?;
    let capital = word[..1].to_ascii_uppercase() + &word[1..];
    let cased = [&word, &word.to_ascii_uppercase(), &capital].contains(&&text.to_owned());
    cased.then_some(truth)
}

/// Days from 1970-01-01.
pub(super) fn date(text: &str) -> Option<i32> {
    let shape = |(at, b): (usize, u8)| {
        if matches!(at, 4 | 7) {
            b == b'-'
        } else {
            b.is_ascii_digit()
        }
    };
    if text.len() != 10 || !text.bytes().enumerate().all(|b| shape((b.0, b.1))) {
        return None;
    }
    let date: civil::Date = text.parse().ok()?;
    let epoch = civil::date(1970, 1, 1);
    let days = date.since(epoch).ok()?.get_days();
    (date.year() >= 1).then_some(days)
}

/// Microseconds, and whether a zone was named.
pub(super) fn instant(text: &str) -> Option<(i64, bool)> {
    let (day, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', ' '])?;
    let at = rest.find(['Z', '+', '-']);
    let (clock, zone) = at.map_or((rest, None), |at| (&rest[..at], Some(&rest[at..])));
    let (seconds, fraction) = match clock.split_once('.') {
        Some((seconds, fraction)) if seconds.len() == 8 => (seconds, Some(fraction)),
        Some(_) => return None,
        None => (clock, None),
    };
    let micros: i64 = match fraction {
        Some(digits) if (1..=6).contains(&digits.len()) && is_digits(digits) => {
            format!("{digits:0<6}").parse().ok()?
        }
        Some(_) => return None,
        None => 0,
    };
    let east = match zone {
        None | Some("Z") => 0,
        Some(zone) if zone.len() == 6 && !zone.starts_with('Z') => {
            let minutes = of_day(&zone[1..])? / 60;
            if zone.starts_with('-') {
                -minutes
            } else {
                minutes
            }
        }
        Some(_) => return None,
    };
    let seconds = i64::from(date(day)?) * 86_400 + of_day(seconds)? - east * 60;
    // By UTC, the year may be another.
    let day = i32::try_from(seconds.div_euclid(86_400)).ok()?;
    let years = date("0001-01-01")?..=date("9999-12-31")?;
    years
        .contains(&day)
        .then_some((seconds * 1_000_000 + micros, zone.is_some()))
}

/// Seconds of `HH:MM` or `HH:MM:SS`.
fn of_day(clock: &str) -> Option<i64> {
    let parts: Vec<&str> = clock.split(':').collect();
    let whole =
        (2..=3).contains(&parts.len()) && parts.iter().all(|p| p.len() == 2 && is_digits(p));
    if !whole {
        return None;
    }
    let at = |n: usize| parts.get(n).map_or(Some(0), |p| p.parse::<i8>().ok());
    // A second of 60 is none here, though jiff takes it as 59.
    let time = civil::Time::new(at(0)?, at(1)?, at(2)?, 0).ok()?;
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    Some(i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}
