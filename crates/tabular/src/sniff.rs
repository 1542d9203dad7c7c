//! The dialect found from a sample: delimiter, quote, escape, comments, lines before the table, header.
//!
//! Each dialect that the sample's bytes allow is tried, and scored as van den Burg, Nazábal and Sutton
//! propose ("Wrangling messy CSV files by detecting row and type patterns", Data Mining and Knowledge
//! Discovery 33, 2019): by how alike its records are, times how much its cells read as values. The
//! figures are our own. A confidence compares the best with the best of those that differ in that part.

use serde::Serialize;

use crate::dialect::{Dialect, NO_QUOTE};
use crate::error::TabularError;
use crate::header;
use crate::sniff_candidates::fits;
use crate::sniff_choice::Choice;
use crate::sniff_fit::Fit;
use crate::sniff_header::has_header;
use crate::sniff_options::options;

/// How much of a text a dialect is found from, in bytes.
pub const SNIFF_BYTES: u64 = 1 << 20;

/// A dialect is used without being stated from this confidence on.
pub(crate) const SURE: f64 = 0.6;
/// Records that tell whether the first of them is a header.
const HEADER_RECORDS: usize = 200;
/// The confidence in a part that the sample has no sign of.
const UNSEEN: f64 = 0.5;

/// Parts of the dialect that the caller knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stated {
    /// Between fields.
    pub delimiter: Option<u8>,
    /// Around fields.
    pub quote: Option<u8>,
    /// Inside quotes, makes the next byte literal.
    pub escape: Option<u8>,
    /// Begins a comment line.
    pub comment: Option<u8>,
    /// Whether the first record names the columns.
    pub header: Option<bool>,
    /// Lines before the table.
    pub skip_lines: Option<u64>,
}

impl Stated {
    /// The usual dialect but for what is stated.
    #[must_use]
    pub fn or_usual(&self) -> Dialect {
        let usual = Dialect::default();
        Dialect {
            delimiter: self.delimiter.unwrap_or(usual.delimiter),
            quote: self.quote.unwrap_or(usual.quote),
            escape: self.escape,
            comment: self.comment,
            header: self.header.unwrap_or(usual.header),
            skip_lines: self.skip_lines.unwrap_or(0),
        }
    }
}

/// How sure each part of a dialect is, 0 to 1: 1 where it was stated, 0.5 where nothing tells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Confidences {
    /// Between fields.
    pub delimiter: f64,
    /// Around fields.
    pub quote: f64,
    /// Inside quotes.
    pub escape: f64,
    /// At a line's start.
    pub comment: f64,
    /// Lines before the table.
    pub skip_lines: f64,
    /// Whether there are names.
    pub header: f64,
}

impl Confidences {
    const STATED: Self = Self {
        delimiter: 1.0,
        quote: 1.0,
        escape: 1.0,
        comment: 1.0,
        skip_lines: 1.0,
        header: 1.0,
    };
}

/// A guess, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DialectGuess {
    /// The likeliest dialect.
    pub dialect: Dialect,
    /// How sure it is that fields are separated as they are meant, 0 to 1: the share of records that
    /// are alike, less where another delimiter does nearly as well; at most 0.5 for one column; 1
    /// where the delimiter was stated.
    pub confidence: f64,
    /// The same for each part.
    pub confidences: Confidences,
}

/// Where a dialect that is used comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Every part that matters was stated.
    Stated,
    /// The usual one: comma, double quotes.
    Default,
    /// Found from the data, since the usual one does not fit.
    Detected,
}

/// The dialect to read with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settled {
    /// All of it.
    #[serde(flatten)]
    pub dialect: Dialect,
    /// Where it comes from.
    pub found: Found,
    /// How sure delimiter and quotes are, 0 to 1.
    pub confidence: f64,
    /// What the data looks like instead, as options, where that is something else with parts that are
    /// never used without being stated: `--skip-lines 2`. For the help of an error.
    #[serde(skip)]
    pub advice: Option<String>,
}

/// The likeliest dialect of a text, from its first bytes ([`SNIFF_BYTES`] are plenty; memory is a few
/// times theirs). A record cut off at the sample's end is not counted against any.
#[must_use]
pub fn sniff_dialect(sample: &[u8]) -> DialectGuess {
    sniff_stated(sample, false, &Stated::default())
}

/// The same, where parts are known; `whole` says that the text ends with the sample.
#[must_use]
pub fn sniff_stated(sample: &[u8], whole: bool, stated: &Stated) -> DialectGuess {
    let sample = from_first_line(sample, stated);
    Sniff::new(sample, whole, stated).guess(stated)
}

/// The dialect to read a text with, from its first bytes: what is stated, else the usual dialect
/// where it fits, else the one that the data shows, if that is sure. Header and lines to skip are
/// never guessed here, since a wrong guess would lose a row.
///
/// # Errors
/// [`TabularError::Columns`] where two delimiters do nearly as well, with the options to choose by.
pub fn settle_dialect(
    file: &str,
    sample: &[u8],
    whole: bool,
    stated: &Stated,
) -> Result<Settled, TabularError> {
    let sample = from_first_line(sample, stated);
    let sniff = Sniff::new(sample, whole, stated);
    let guess = sniff.guess(stated);
    let usual = stated.or_usual();
    let settled = |dialect: Dialect, found, confidence| Settled {
        dialect,
        found,
        confidence,
        advice: options(&guess.sure_parts(&dialect), &dialect),
    };
    if stated.delimiter.is_some() && stated.quote.is_some() {
        return Ok(settled(usual, Found::Stated, 1.0));
    }
    match sniff.choice(&usual) {
        Choice::Usual if stated.delimiter.is_some() => Ok(settled(usual, Found::Stated, 1.0)),
        Choice::Usual => {
            let confidence = hundredths(sniff.confidence_of_delimiter(usual.delimiter));
            Ok(settled(usual, Found::Default, confidence))
        }
        Choice::Other(dialect) => {
            let confidence = hundredths(sniff.confidence_of_delimiter(dialect.delimiter));
            Ok(settled(dialect, Found::Detected, confidence))
        }
        Choice::Unclear(one, other) => Err(TabularError::Columns {
            file: file.to_owned(),
            problem: format!(
                "the delimiter is unclear: most records have {} with {:?} and {} with {:?}: state it \
                 (source.delimiter, --delimiter)",
                columns(one.width),
                char::from(one.dialect.delimiter),
                columns(other.width),
                char::from(other.dialect.delimiter),
            ),
        }),
    }
}

/// The sample without its byte order mark and the lines that are stated to be skipped.
fn from_first_line<'a>(sample: &'a [u8], stated: &Stated) -> &'a [u8] {
    let skip = stated.skip_lines.unwrap_or(0);
    let from = header::after_lines(sample, header::mark(sample), skip, true);
    from.map_or(&[], |from| &sample[from..])
}

fn columns(width: usize) -> String {
    let s = if width == 1 { "" } else { "s" };
    format!("{width} column{s}")
}

/// Every dialect that was tried, the best first.
pub(crate) struct Sniff<'a> {
    sample: &'a [u8],
    pub(crate) whole: bool,
    pub(crate) fits: Vec<(f64, Fit)>,
}

impl<'a> Sniff<'a> {
    fn new(sample: &'a [u8], whole: bool, stated: &Stated) -> Self {
        let mut fits = fits(sample, whole, stated);
        // Stable: among equals the earlier candidate.
        fits.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self {
            sample,
            whole,
            fits,
        }
    }

    fn guess(&self, stated: &Stated) -> DialectGuess {
        let Some((_, best)) = self.fits.first() else {
            return DialectGuess {
                dialect: stated.or_usual(),
                confidence: 0.0,
                confidences: Confidences {
                    delimiter: 0.0,
                    ..Confidences::STATED
                },
            };
        };
        let mut dialect = best.dialect;
        let (header, sure) = has_header(&best.first_records(self.sample, HEADER_RECORDS));
        dialect.header = stated.header.unwrap_or(header);
        dialect.skip_lines = stated.skip_lines.unwrap_or(best.lines_before);
        let confidence = match stated.delimiter {
            Some(_) => 1.0,
            None => self.confidence_of_delimiter(dialect.delimiter),
        };
        DialectGuess {
            dialect,
            confidence: hundredths(confidence),
            confidences: self.confidences(best, stated, confidence, sure),
        }
    }

    fn confidences(&self, best: &Fit, stated: &Stated, all: f64, header: f64) -> Confidences {
        let part = |stated: bool, seen: bool, confidence: f64| match (stated, seen) {
            (true, _) => 1.0,
            (false, false) => UNSEEN,
            (false, true) => hundredths(confidence),
        };
        let dialect = &best.dialect;
        let quote = self.against(|d| d.quote != dialect.quote);
        // One quote that is not closed is no sign that quotes mean nothing.
        let unclosed = self.fits.iter().any(|(_, f)| f.unclosed);
        let quotes_seen = best.quoted > 0 || (dialect.quote == NO_QUOTE && !unclosed);
        let escape = self.against(|d| d.escape != dialect.escape);
        let before = if best.lines_before > 0 { 0.8 } else { 0.95 };
        Confidences {
            delimiter: part(stated.delimiter.is_some(), true, all),
            quote: part(stated.quote.is_some(), quotes_seen, quote),
            escape: part(stated.escape.is_some(), best.escaped > 0, escape),
            comment: part(stated.comment.is_some(), dialect.comment.is_some(), 0.8),
            skip_lines: part(stated.skip_lines.is_some(), true, before * best.share()),
            header: part(stated.header.is_some(), true, header),
        }
    }

    /// How sure a delimiter is: the share of records alike under it, less where another comes close,
    /// and less where few records say it.
    pub(crate) fn confidence_of_delimiter(&self, delimiter: u8) -> f64 {
        let own = self
            .fits
            .iter()
            .find(|(_, f)| f.dialect.delimiter == delimiter);
        let Some((score, fit)) = own else {
            return 0.0;
        };
        let other = self
            .fits
            .iter()
            .find(|(_, f)| f.dialect.delimiter != delimiter);
        let other = other.map_or(0.0, |(score, _)| *score);
        let few = 1.0 - 0.3f64.powi(i32::try_from(fit.alike.min(20)).unwrap_or(20));
        let one_column = if fit.width == 1 { 0.5 } else { 1.0 };
        fit.share() * few * one_column * ratio(*score, other)
    }

    /// How far the best is above the best of those that `differ`, 0.5 to 1.
    fn against(&self, differ: impl Fn(&Dialect) -> bool) -> f64 {
        let Some((best, _)) = self.fits.first() else {
            return 0.0;
        };
        let other = self.fits.iter().find(|(_, f)| differ(&f.dialect));
        ratio(*best, other.map_or(0.0, |(score, _)| *score))
    }
}

fn ratio(best: f64, other: f64) -> f64 {
    if best + other > 0.0 {
        best / (best + other)
    } else {
        0.0
    }
}

fn hundredths(confidence: f64) -> f64 {
    (confidence * 100.0).round() / 100.0
}
