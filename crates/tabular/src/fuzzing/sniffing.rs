//! Guesses from first bytes.

use crate::compression::Compression;
use crate::format::Layout;
use crate::sniff::sniff_dialect;

/// A guess is never one that is refused, its confidence is a share, and a guess at more of the same bytes
/// does not panic either.
pub fn sniffing(data: &[u8]) {
    let guess = sniff_dialect(data);
    guess.dialect.check().unwrap();
    assert!((0.0..=1.0).contains(&guess.confidence), "{guess:?}");
    Layout::sniff(data);
    let text =
        std::str::from_utf8(data).is_ok_and(|t| t.chars().all(|c| !c.is_control() || c == '\n'));
    if text {
        assert_eq!(Compression::sniff(data), None);
    }
}
