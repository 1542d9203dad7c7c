//! The dialects that a sample's bytes allow, each tried.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::dialect::{Dialect, NO_QUOTE};
use crate::sniff::Stated;
use crate::sniff_fit::Fit;

/// From so many bytes on, two threads try them.
const PARALLEL_BYTES: usize = 64 << 10;

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
    let candidates = candidates(sample, stated);
    let fit = |(weight, dialect): &(f64, Dialect)| {
        let fit = try_comments(sample, whole, *dialect, stated)?;
        Some((fit.score() * weight, fit))
    };
    let next = AtomicUsize::new(0);
    let try_some = || {
        let mut tried = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            match candidates.get(place) {
                Some(candidate) => tried.push((place, fit(candidate))),
                None => return tried,
            }
        }
    };
    // A small sample is done before a second thread has begun.
    let mut tried = if sample.len() < PARALLEL_BYTES {
        try_some()
    } else {
        thread::scope(|scope| {
            // Without a second thread to be had, the first tries them all.
            let beside = thread::Builder::new().spawn_scoped(scope, try_some).ok();
            let mut tried = try_some();
            match beside.map(thread::ScopedJoinHandle::join) {
                Some(Ok(others)) => tried.extend(others),
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                None => {}
            }
            tried
        })
    };
    tried.sort_by_key(|(place, _)| *place);
    tried.into_iter().filter_map(|(_, fit)| fit).collect()
}

/// Every dialect that may be, with the worth of its delimiter.
fn candidates(sample: &[u8], stated: &Stated) -> Vec<(f64, Dialect)> {
    let mut candidates = Vec::new();
    for (delimiter, weight) in delimiters(sample, stated) {
        for quote in quotes(sample, delimiter, stated) {
            for escape in escapes(sample, quote, stated) {
                let dialect = Dialect {
                    delimiter,
                    quote,
                    escape,
                    ..stated.or_usual()
                };
                candidates.push((weight, dialect));
            }
        }
    }
    candidates
}

/// Prose splits at spaces and colons; a table does so evenly. [`Fit::may_be_even`] must not deny it.
fn is_even(fit: &Fit) -> bool {
    fit.share() > 0.95 && fit.torn == 0 && fit.lines_before == 0
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

/// The fit, with `#` as comment if lines begin with it and the rest is more even without them.
fn try_comments(sample: &[u8], whole: bool, dialect: Dialect, stated: &Stated) -> Option<Fit> {
    const COMMENT: u8 = b'#';
    let begins = memchr::memchr_iter(COMMENT, sample)
        .any(|at| at == 0 || matches!(sample[at - 1], b'\n' | b'\r'));
    let free = stated.comment.is_none()
        && ![dialect.delimiter, dialect.quote].contains(&COMMENT)
        && dialect.escape != Some(COMMENT);
    let commented = (begins && free).then_some(Dialect {
        comment: Some(COMMENT),
        ..dialect
    });
    let weak = stated.delimiter.is_none() && WEAK.contains(&dialect.delimiter);
    let mut dialects = std::iter::once(&dialect).chain(&commented);
    if weak && !dialects.any(|dialect| Fit::may_be_even(sample, dialect)) {
        return None;
    }
    let plain = Fit::new(sample, whole, &dialect);
    let commented = commented.and_then(|dialect| Fit::new(sample, whole, &dialect));
    let fit = match (plain, commented) {
        (Some(plain), Some(with)) if with.width == plain.width && is_more_even(&with, &plain) => {
            Some(with)
        }
        (plain, with) => plain.or(with),
    };
    fit.filter(|fit| !weak || is_even(fit))
}

fn is_more_even(with: &Fit, plain: &Fit) -> bool {
    let first = |fit: &Fit| (fit.torn, fit.records - fit.alike, fit.lines_before);
    let (with, plain) = (first(with), first(plain));
    with != plain && with.0 <= plain.0 && with.1 <= plain.1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a few records rule out, all of them do.
        #[test]
        fn what_cannot_be_even_is_not(
            rows in prop::collection::vec("[a:\"]{0,4}(:[ab\"]{0,3}){0,2}", 0..40),
            times in 1..120_usize,
            whole in any::<bool>(),
        ) {
            let text = (rows.join("\n") + "\n").repeat(times);
            for quote in [b'"', NO_QUOTE] {
                let dialect = Dialect {
                    delimiter: b':',
                    quote,
                    ..Dialect::default()
                };
                if !Fit::may_be_even(text.as_bytes(), &dialect) {
                    let fit = Fit::new(text.as_bytes(), whole, &dialect);
                    prop_assert!(!fit.as_ref().is_some_and(is_even), "{fit:?}");
                }
            }
        }
    }

    /// Two threads find what one does, in the same order.
    #[test]
    fn the_size_of_a_sample_does_not_matter() {
        let text = "a;b,c:d\n1;2,3:4\n".repeat(PARALLEL_BYTES / 16 + 1);
        let fits_of = |text: &str| {
            let fits = fits(text.as_bytes(), true, &Stated::default());
            let fits = fits.into_iter();
            fits.map(|(score, fit)| {
                (
                    fit.dialect.delimiter,
                    fit.dialect.quote,
                    (score * 100.0).round(),
                )
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(fits_of(&text), fits_of(&text[..1600]));
        assert!(fits_of(&text).len() > 2);
    }
}
