//! Durations: `90s`, `2h`, `3h30m`, `1d`; a plain integer is seconds.

/// Units from the largest to the smallest; in a duration each at most once, in this order.
const UNITS: &[(char, u64)] = &[('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Seconds.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a duration; write for example 90s, 20m, 2h or 3h30m");
    let mut rest = text.trim();
    if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()) {
        return rest.parse().map_err(|_| wrong());
    }
    let mut units = UNITS.iter();
    let mut total = 0u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let mut after = rest[digits..].chars();
        let unit = after.next().ok_or_else(wrong)?;
        let (_, seconds) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total = count
            .checked_mul(*seconds)
            .and_then(|s| total.checked_add(s))
            .ok_or_else(wrong)?;
        rest = after.as_str();
    }
    Ok(total)
}

/// The shortest text that [`parse_duration`] reads back as the same number.
pub fn format_duration(seconds: u64) -> String {
    let mut rest = seconds;
    let mut text = String::new();
    for (name, unit) in UNITS {
        if rest >= *unit {
            text.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}
