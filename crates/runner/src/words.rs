//! Numbers as people write them.

/// `27004` as `27,004`.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 file`, `2 files`, `27,004 rows`.
#[must_use]
pub fn counted(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_thousands_are_grouped() {
        assert_eq!((grouped(7), grouped(1000)), ("7".into(), "1,000".into()));
        assert_eq!(grouped(27_004_000), "27,004,000");
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(counted(27_004, "row"), "27,004 rows");
    }
}
