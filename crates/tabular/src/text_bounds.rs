//! Long texts in statistics: cut short, and still bounds.

/// Bytes of a byte array in statistics and page indexes, at most; enough to tell pages apart. It is
/// what parquet-rs cuts at.
pub(crate) const MAX_BOUND_BYTES: usize = 64;

/// A lower bound of `value`, and whether it is the value itself. If `value` is UTF-8, so is it.
pub(crate) fn lower_bound(value: &[u8], utf8: bool) -> (Vec<u8>, bool) {
    if value.len() <= MAX_BOUND_BYTES {
        return (value.to_vec(), true);
    }
    (beginning(value, utf8).to_vec(), false)
}

/// An upper bound of `value`, and whether it is the value itself. If `value` is UTF-8, so is it.
pub(crate) fn upper_bound(value: &[u8], utf8: bool) -> (Vec<u8>, bool) {
    if value.len() <= MAX_BOUND_BYTES {
        return (value.to_vec(), true);
    }
    let start = beginning(value, utf8);
    let above = match std::str::from_utf8(start) {
        Ok(text) if utf8 => text_above(text),
        _ => bytes_above(start),
    };
    // Nothing of that length is greater if all is as great as can be.
    above.map_or_else(|| (value.to_vec(), true), |above| (above, false))
}

fn beginning(value: &[u8], utf8: bool) -> &[u8] {
    let whole = (1..=MAX_BOUND_BYTES).rev().find(|&at| {
        // A character does not begin with a continuation byte.
        !utf8 || value[at] & 0xc0 != 0x80
    });
    &value[..whole.unwrap_or(MAX_BOUND_BYTES)]
}

/// The last character that has a next one of the same length is replaced by that; the rest is cut.
fn text_above(text: &str) -> Option<Vec<u8>> {
    text.char_indices().rev().find_map(|(at, last)| {
        let next = match last {
            // Surrogates are no characters.
            '\u{d7ff}' => '\u{e000}',
            _ => char::from_u32(u32::from(last) + 1)?,
        };
        (next.len_utf8() == last.len_utf8()).then(|| {
            let mut above = text.as_bytes()[..at].to_vec();
            above.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
            above
        })
    })
}

fn bytes_above(bytes: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.iter().rposition(|&b| b < u8::MAX)?;
    let mut above = bytes[..=at].to_vec();
    above[at] += 1;
    Some(above)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cut_at_characters() {
        let text = "é".repeat(40);
        assert_eq!(
            lower_bound(text.as_bytes(), true),
            ("é".repeat(32).into(), false)
        );
        let above = format!("{}ê", "é".repeat(31));
        assert_eq!(upper_bound(text.as_bytes(), true), (above.into(), false));
        let odd = format!("a{text}");
        assert_eq!(lower_bound(odd.as_bytes(), true).0.len(), 63);
        assert_eq!(lower_bound(odd.as_bytes(), false).0.len(), 64);
    }

    #[test]
    fn what_has_nothing_above_is_whole() {
        let most = "\u{10ffff}".repeat(20);
        assert_eq!(
            upper_bound(most.as_bytes(), true),
            (most.clone().into(), true)
        );
        assert_eq!(upper_bound(&[0xff; 70], false), (vec![0xff; 70], true));
        // The last character of two bytes and of one have no next of their length.
        let text = format!("a{}", "\u{7ff}".repeat(40));
        assert_eq!(upper_bound(text.as_bytes(), true), (b"b".to_vec(), false));
        let gap = "\u{d7ff}".repeat(30);
        let above = format!("{}\u{e000}", "\u{d7ff}".repeat(20));
        assert_eq!(upper_bound(gap.as_bytes(), true), (above.into(), false));
    }

    proptest! {
        #[test]
        fn bounds_are_bounds(text in "\\PC{0,120}", tail in "[\u{7e}-\u{82}\u{7fe}-\u{801}\u{10fffe}-\u{10ffff}]{0,70}") {
            let text = text + &tail;
            for utf8 in [true, false] {
                let (lower, is_least) = lower_bound(text.as_bytes(), utf8);
                let (upper, is_most) = upper_bound(text.as_bytes(), utf8);
                prop_assert!(lower.as_slice() <= text.as_bytes() && text.as_bytes() <= upper.as_slice());
                prop_assert_eq!(is_least, lower == text.as_bytes());
                prop_assert_eq!(is_most, upper == text.as_bytes());
                prop_assert!(lower.len() <= MAX_BOUND_BYTES);
                if utf8 {
                    prop_assert!(std::str::from_utf8(&lower).is_ok() && std::str::from_utf8(&upper).is_ok());
                }
            }
        }
    }
}
