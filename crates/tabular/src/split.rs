//! Rows to parts by the hash of a key: the same key always comes to the same part.
//!
//! The hash is a data contract and never changes. For a row, a message is made of the seed in decimal
//! and of each key column in order: the byte 0x00 if the cell is null, else the byte 0x01 and the
//! cell's text in UTF-8. The first 8 bytes of its SHA-256 (FIPS 180-4), read as a big-endian integer,
//! less its lowest 11 bits, are a fraction of 2^53 in [0, 1). The row's part is the first one whose
//! share, added to those before it, is above that fraction; the last part takes the rest. In Python:
//!
//! ```python
//! message = str(seed).encode() + b"".join(b"\0" if c is None else b"\1" + c.encode() for c in key)
//! fraction = (int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 11) / 2**53
//! ```
//!
//! A cell's text is what stands in the source, not its value, and only an empty cell without quotes
//! is null: neither types nor null tokens, which other rows may change, change a row's part.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::TabularError;
use crate::records::{Span, unescape};
use crate::rows::Pass;
use crate::scan::places;

/// The most parts.
pub const MAX_PARTS: usize = 64;
/// How far from 1 the sum of shares may be: they are written as decimals.
const SUM_TOLERANCE: f64 = 1e-9;

/// Which rows go to which part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Columns of the source, in order; they need not be written.
    pub key: Vec<String>,
    /// Another seed makes another split.
    pub seed: u64,
    /// Names and shares, in order. A name is the name of a folder: `a-z`, `0-9`, `-`, `_`. Shares are
    /// above 0 and together 1.
    pub parts: Vec<(String, f64)>,
}

impl Split {
    /// Refuses a split that cannot be done, with all that is wrong with it.
    ///
    /// # Errors
    /// [`TabularError::Options`].
    pub fn check(&self) -> Result<(), TabularError> {
        let mut wrong = Vec::new();
        if self.key.is_empty() {
            wrong.push("it has no key".to_owned());
        }
        if self.parts.len() < 2 || self.parts.len() > MAX_PARTS {
            wrong.push(format!(
                "it has {} parts, expected 2 to {MAX_PARTS}",
                self.parts.len()
            ));
        }
        for (i, (name, share)) in self.parts.iter().enumerate() {
            if !is_folder_name(name) {
                wrong.push(format!(
                    "the name of part {name:?} is no name of a folder: expected a-z, 0-9, '-', '_'"
                ));
            }
            if self.parts[..i].iter().any(|(other, _)| other == name) {
                wrong.push(format!("two parts are named {name:?}"));
            }
            if !(*share > 0.0 && *share < 1.0) {
                wrong.push(format!(
                    "the share of {name:?} is {share}, expected a number between 0 and 1"
                ));
            }
        }
        let sum: f64 = self.parts.iter().map(|(_, share)| share).sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            // Adding decimals shows digits that nobody wrote.
            let shown = (sum * 1e9).round() / 1e9;
            wrong.push(format!("the shares add up to {shown}, expected 1"));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(TabularError::Options(format!(
            "split: {}",
            wrong.join("; ")
        )))
    }
}

fn is_folder_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    name.len() <= 63
        && name.bytes().all(allowed)
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
}

/// A split over the columns of an input.
pub(crate) struct Splitter {
    key: Vec<usize>,
    seed: String,
    /// Where each part but the last ends, as a fraction.
    ends: Vec<f64>,
}

impl Splitter {
    pub(crate) fn new(split: &Split, pass: &Pass, file: &str) -> Result<Self, TabularError> {
        split.check()?;
        let key: Vec<&str> = split.key.iter().map(String::as_str).collect();
        let key = places(&key, pass.names(), file)?;
        pass.check_text(key.iter().copied())?;
        let mut sum = 0.0;
        let mut ends: Vec<f64> = split
            .parts
            .iter()
            .map(|(_, share)| {
                sum += share;
                sum
            })
            .collect();
        ends.pop();
        Ok(Self {
            key,
            seed: split.seed.to_string(),
            ends,
        })
    }

    /// Places of the key's columns.
    pub(crate) fn key(&self) -> &[usize] {
        &self.key
    }

    /// The part of a row, by its place in the list.
    pub(crate) fn part_of(
        &self,
        spans: &[Span],
        block: &[u8],
        dialect: &crate::dialect::Dialect,
        scratch: &mut Vec<u8>,
    ) -> usize {
        scratch.clear();
        scratch.extend_from_slice(self.seed.as_bytes());
        for &column in &self.key {
            let span = spans[column];
            if span.is_bare_empty() {
                scratch.push(0);
                continue;
            }
            scratch.push(1);
            if span.is_escaped() {
                unescape(span.bytes(block), dialect, scratch);
            } else {
                scratch.extend_from_slice(span.bytes(block));
            }
        }
        let fraction = fraction_of(scratch);
        self.ends.partition_point(|end| *end <= fraction)
    }
}

/// The first 53 bits of the message's SHA-256 as a fraction in [0, 1).
fn fraction_of(message: &[u8]) -> f64 {
    let digest = Sha256::digest(message);
    let first = digest.iter().take(8);
    let bits = first.fold(0u64, |sum, &byte| (sum << 8) | u64::from(byte)) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    /// Computed by the Python in the module's documentation.
    #[test]
    fn the_hash_is_frozen() {
        let of = |message: &[u8]| format!("{:.15}", fraction_of(message));
        assert_eq!(of(b"0\x01N14228"), "0.943865923935693");
        assert_eq!(of(b"42\x01UA\x011545"), "0.225146943417679");
        assert_eq!(of(b"0\x00"), "0.894379439449807");
    }

    #[test]
    fn a_split_is_refused_with_all_that_is_wrong() {
        let split = Split {
            key: vec![],
            seed: 0,
            parts: vec![("a".into(), 0.7), ("a".into(), 0.7), ("B/".into(), -1.0)],
        };
        insta::assert_snapshot!(split.check().unwrap_err(), @r#"split: it has no key; two parts are named "a"; the name of part "B/" is no name of a folder: expected a-z, 0-9, '-', '_'; the share of "B/" is -1, expected a number between 0 and 1; the shares add up to 0.4, expected 1"#);
        let good = Split {
            key: vec!["k".into()],
            seed: 0,
            parts: vec![
                ("train".into(), 0.8),
                ("validation".into(), 0.1),
                ("test".into(), 0.1),
            ],
        };
        good.check().unwrap();
    }
}
