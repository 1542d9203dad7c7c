//! Sizes: `45MB` is 45·10^6 bytes, `45MiB` is 45·2^20, a plain integer is bytes.

/// Every unit: its name, and what it multiplies by.
const UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Bytes. The number may have decimals (`1.5GB`) if the product is a whole number of bytes.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let factor = if unit.is_empty() {
        1
    } else {
        UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor)
            .ok_or_else(|| {
                format!(
                    "`{text}` is not a size; the units are B, KB, MB, GB, TB, KiB, MiB, GiB, TiB"
                )
            })?
    };
    product(number, factor).ok_or_else(|| {
        format!("`{text}` is not a size in whole bytes; write for example 45MB, 45MiB or 45000000")
    })
}

/// `number` (decimal) × `factor`, if exact and within u64.
fn product(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (number, ""),
    };
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole: u128 = whole.parse().ok()?;
    let fraction: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let scaled = whole
        .checked_mul(scale)?
        .checked_add(fraction)?
        .checked_mul(factor.into())?;
    (scaled % scale == 0).then(|| u64::try_from(scaled / scale).ok())?
}

/// The shortest text that [`parse_size`] reads back as the same number: `64MB`, `16MiB`, `1234`.
pub fn format_size(bytes: u64) -> String {
    let best = UNITS
        .iter()
        .filter(|(name, factor)| {
            *name != "kB" && *factor > 1 && bytes > 0 && bytes.is_multiple_of(*factor)
        })
        .max_by_key(|(_, factor)| *factor);
    match best {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => bytes.to_string(),
    }
}
