//! The dialects that a sample's bytes allow, each tried.

use crate::dialect::{Dialect, NO_QUOTE};
use crate::sniff::Stated;
use crate::sniff_fit::Fit;

/// Delimiters tried and what each is worth: ties go to the earlier, and what is common in prose
/// has to be much better than the others.
const DELIMITERS: [(u8, f64); 10] = [
    (b',', 1.0),
    (b'\t', 1.0),
    (b';', 1.0),
    (b'|', 1.0),
    (0x1f, 1.0),
    (0x01, 1.0),
    (b'^', 0.8),
    (b'~', 0.8),
    (b':', 0.3),
    (b' ', 0.3),
];
/// Delimiters that prose has as well: they are shown, and used only where they are stated.
pub(crate) const WEAK: [u8; 4] = [b' ', b':', b'^', b'~'];

/// Every dialect that may be, on the sample, with its score; in the order of likelihood beforehand.
pub(crate) fn fits(sample: &[u8], whole: bool, stated: &Stated) -> Vec<(f64, Fit)> {
    let mut fits: Vec<(f64, Fit)> = Vec::new();
    for (delimiter, weight) in delimiters(sample, stated) {
        for quote in quotes(sample, delimiter, stated) {
            for escape in escapes(sample, quote, stated) {
                let dialect = Dialect {
                    delimiter,
                    quote,
                    escape,
                    ..stated.or_usual()
                };
                let fit = try_comments(sample, whole, dialect, stated)
                    .filter(|fit| stated.delimiter.is_some() || is_plausible(fit));
                fits.extend(fit.map(|fit| (fit.score() * weight, fit)));
            }
        }
    }
    fits
}

/// Prose splits at spaces and colons; a table does so evenly.
fn is_plausible(fit: &Fit) -> bool {
    let even = fit.share() > 0.95 && fit.torn == 0 && fit.lines_before == 0;
    !WEAK.contains(&fit.dialect.delimiter) || even
}

/// The delimiters to try, with their worth.
fn delimiters(sample: &[u8], stated: &Stated) -> Vec<(u8, f64)> {
    if let Some(delimiter) = stated.delimiter {
        return vec![(delimiter, 1.0)];
    }
    let taken = [stated.quote, stated.escape, stated.comment];
    DELIMITERS
        .into_iter()
        .filter(|(d, _)| !taken.contains(&Some(*d)))
        .filter(|(d, _)| *d == b',' || memchr::memchr(*d, sample).is_some())
        .collect()
}

/// The quotes to try: those that stand at the start of a field somewhere.
fn quotes(sample: &[u8], delimiter: u8, stated: &Stated) -> Vec<u8> {
    if let Some(quote) = stated.quote {
        return vec![quote];
    }
    let opens = |quote: u8| {
        memchr::memchr_iter(quote, sample).any(|at| {
            at == 0 || sample[at - 1] == delimiter || matches!(sample[at - 1], b'\n' | b'\r')
        })
    };
    let mut quotes = vec![b'"'];
    if opens(b'\'') {
        quotes.push(b'\'');
    }
    // An escape stands within quotes.
    if opens(b'"') && stated.escape.is_none() {
        quotes.push(NO_QUOTE);
    }
    quotes.retain(|q| ![stated.escape, stated.comment].contains(&Some(*q)));
    quotes
}

/// The escapes to try: a backslash, if each one in quotes stands before a quote or another one.
fn escapes(sample: &[u8], quote: u8, stated: &Stated) -> Vec<Option<u8>> {
    const BACKSLASH: u8 = b'\\';
    if stated.escape.is_some() {
        return vec![stated.escape];
    }
    let escapes =
        memchr::memchr_iter(BACKSLASH, sample).any(|at| sample.get(at + 1) == Some(&quote));
    if escapes && quote != NO_QUOTE && stated.comment != Some(BACKSLASH) {
        vec![None, Some(BACKSLASH)]
    } else {
        vec![None]
    }
}

/// The fit with `#` as comment, if lines begin with it and the rest is more even without them.
fn try_comments(sample: &[u8], whole: bool, dialect: Dialect, stated: &Stated) -> Option<Fit> {
    const COMMENT: u8 = b'#';
    let plain = Fit::new(sample, whole, &dialect);
    let begins = memchr::memchr_iter(COMMENT, sample)
        .any(|at| at == 0 || matches!(sample[at - 1], b'\n' | b'\r'));
    let free = stated.comment.is_none()
        && ![dialect.delimiter, dialect.quote].contains(&COMMENT)
        && dialect.escape != Some(COMMENT);
    if !begins || !free {
        return plain;
    }
    let commented = Dialect {
        comment: Some(COMMENT),
        ..dialect
    };
    let commented = Fit::new(sample, whole, &commented);
    match (plain, commented) {
        (Some(plain), Some(with)) if with.width == plain.width && is_more_even(&with, &plain) => {
            Some(with)
        }
        (plain, with) => plain.or(with),
    }
}

fn is_more_even(with: &Fit, plain: &Fit) -> bool {
    let first = |fit: &Fit| (fit.torn, fit.records - fit.alike, fit.lines_before);
    let (with, plain) = (first(with), first(plain));
    with != plain && with.0 <= plain.0 && with.1 <= plain.1
}
