//! How a CSV file is written, and a guess at it from a sample.

use serde::{Deserialize, Serialize};

use crate::error::TabularError;
use crate::parser::{ParseLimits, parse};
use crate::records::Rows;
use crate::structure::Marks;
use crate::values;

/// The bytes that structure a CSV file. Quoting follows `csv-core`: a quote opens only as the first
/// byte of a field, and a doubled quote inside is one quote. Serialised, each is a text of one
/// character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Characters", try_from = "Characters")]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields.
    pub quote: u8,
    /// Inside quotes, makes the next byte literal.
    pub escape: Option<u8>,
    /// As the first byte of a line, makes it a comment.
    pub comment: Option<u8>,
    /// Whether the first record names the columns.
    pub header: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: b'"',
            escape: None,
            comment: None,
            header: true,
        }
    }
}

impl Dialect {
    /// Refuses bytes that are not ASCII, are line ends, or have two roles.
    ///
    /// # Errors
    /// [`TabularError::Options`] that names the byte and its role.
    pub fn check(&self) -> Result<(), TabularError> {
        let roles = [
            ("delimiter", Some(self.delimiter)),
            ("quote", Some(self.quote)),
            ("escape", self.escape),
            ("comment", self.comment),
        ];
        for (i, (role, byte)) in roles.iter().enumerate() {
            let Some(byte) = *byte else { continue };
            if !byte.is_ascii() || matches!(byte, b'\n' | b'\r' | 0) {
                return Err(TabularError::Options(format!(
                    "{role}: expected one ASCII character that is no line end, found byte 0x{byte:02x}"
                )));
            }
            if let Some((other, _)) = roles[..i].iter().find(|(_, b)| *b == Some(byte)) {
                let shown = char::from(byte);
                return Err(TabularError::Options(format!(
                    "{other} and {role} are both {shown:?}: choose another for one"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn marks(&self) -> Marks {
        Marks {
            delimiter: self.delimiter,
            quote: self.quote,
            escape: self.escape.unwrap_or(self.quote),
        }
    }
}

/// A [`Dialect`] as people and JSON write it.
#[derive(Serialize, Deserialize)]
struct Characters {
    delimiter: char,
    quote: char,
    escape: Option<char>,
    comment: Option<char>,
    header: bool,
}

impl From<Dialect> for Characters {
    fn from(dialect: Dialect) -> Self {
        Self {
            delimiter: char::from(dialect.delimiter),
            quote: char::from(dialect.quote),
            escape: dialect.escape.map(char::from),
            comment: dialect.comment.map(char::from),
            header: dialect.header,
        }
    }
}

impl TryFrom<Characters> for Dialect {
    type Error = std::char::TryFromCharError;

    fn try_from(written: Characters) -> Result<Self, Self::Error> {
        Ok(Self {
            delimiter: written.delimiter.try_into()?,
            quote: written.quote.try_into()?,
            escape: written.escape.map(u8::try_from).transpose()?,
            comment: written.comment.map(u8::try_from).transpose()?,
            header: written.header,
        })
    }
}

/// A guess, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DialectGuess {
    /// The likeliest dialect.
    pub dialect: Dialect,
    /// The share of sampled records that it splits alike, 0 to 1; at most 0.5 for a single column.
    pub confidence: f64,
}

/// Delimiters tried, the likeliest first: ties go to the earlier.
const CANDIDATES: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Records of the sample that are looked at.
const SAMPLED_RECORDS: u64 = 500;

/// Guesses delimiter and header from the first bytes of a file (64 KiB are plenty). A record cut off
/// at the sample's end is not counted against a candidate.
pub fn sniff_dialect(sample: &[u8]) -> DialectGuess {
    let sample = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    let mut best: Option<(f64, DialectGuess)> = None;
    for delimiter in CANDIDATES {
        let dialect = Dialect {
            delimiter,
            ..Dialect::default()
        };
        let Some((fields, share)) = agreement(sample, &dialect) else {
            continue;
        };
        // More fields split alike say more than one field split alike, which every text does.
        let score = if fields > 1 {
            share + 1.0 - 1.0 / fields as f64
        } else {
            0.0
        };
        let confidence = if fields > 1 { share } else { 0.5 * share };
        if best.as_ref().is_none_or(|(s, _)| score > *s) {
            best = Some((
                score,
                DialectGuess {
                    dialect,
                    confidence,
                },
            ));
        }
    }
    let mut guess = best.map_or(
        DialectGuess {
            dialect: Dialect::default(),
            confidence: 0.0,
        },
        |(_, g)| g,
    );
    guess.dialect.header = looks_like_header(sample, &guess.dialect);
    guess
}

/// The commonest number of fields, and the share of records that have it.
fn agreement(sample: &[u8], dialect: &Dialect) -> Option<(usize, f64)> {
    let rows = sampled(sample, dialect);
    let mut counts: Vec<usize> = rows.field_counts().collect();
    let cut_off = !matches!(sample.last(), Some(b'\n' | b'\r'));
    if cut_off && counts.len() > 1 && (counts.len() as u64) < SAMPLED_RECORDS {
        counts.pop();
    }
    let total = counts.len();
    counts.sort_unstable();
    let (fields, alike) = counts
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .max_by_key(|&(fields, alike)| (alike, fields))?;
    Some((fields, alike as f64 / total as f64))
}

fn sampled(sample: &[u8], dialect: &Dialect) -> Rows {
    let limits = ParseLimits {
        fields: None,
        records: SAMPLED_RECORDS,
        ..ParseLimits::default()
    };
    parse(sample, 0, dialect, &limits)
}

/// A header has non-empty, distinct names none of which reads as a number, date or truth value. Where
/// it is followed by rows that look just the same, it still counts as a header: most files have one.
fn looks_like_header(sample: &[u8], dialect: &Dialect) -> bool {
    let limits = ParseLimits {
        fields: None,
        records: 1,
        ..ParseLimits::default()
    };
    let rows = parse(sample, 0, dialect, &limits);
    let names: Vec<&[u8]> = rows.first_cells(sample).collect();
    let distinct = names.iter().collect::<std::collections::HashSet<_>>().len() == names.len();
    !names.is_empty()
        && distinct
        && names.iter().all(|n| {
            !n.is_empty() && values::kinds(n, values::ANY) == 0 && !values::is_default_null(n)
        })
}
